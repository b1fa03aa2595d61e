/* The opener may turn into the browser itself and live as long, so a thread of its own waits for it. It leads
 * a process group of its own: Ctrl-C in our terminal is for the server, not for the user's browser. */
#include "platform/open_url.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/spawn_setup.h"

#if defined(__APPLE__)
static char opener[] = "open";
#else
static char opener[] = "xdg-open"; /* of the package xdg-utils */
#endif

struct waiting {
    pid_t pid;
    void (*failed)(const char *reason);
};

static void *wait_for_it(void *context)
{
    struct waiting waiting = *(struct waiting *)context;
    int result = 0;
    char reason[64];
    free(context);
    while (waitpid(waiting.pid, &result, 0) < 0)
        if (errno != EINTR)
            return NULL;
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0)
        return NULL;
    if (WIFEXITED(result))
        snprintf(reason, sizeof reason, "%s found no browser (exit code %d)", opener, WEXITSTATUS(result));
    else
        snprintf(reason, sizeof reason, "%s was ended by signal %d", opener, WTERMSIG(result));
    waiting.failed(reason);
    return NULL;
}

/* What posix_spawnp says. */
static int start(char *url, pid_t *pid)
{
    char *arguments[] = {opener, url, NULL};
    struct spawn_setup setup;
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE); /* which a server ignores, and its children would */
    int failed = spawn_setup_init(&setup);
    if (failed)
        return failed;
    failed = posix_spawn_file_actions_adddup2(&setup.actions, STDOUT_FILENO, STDERR_FILENO);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(&setup.attributes, &defaults);
    if (!failed)
        failed = posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawnp(pid, opener, &setup.actions, &setup.attributes, arguments, environ);
    spawn_setup_free(&setup);
    return failed;
}

int open_url(const char *url, void (*failed)(const char *reason), struct error *error)
{
    struct waiting *waiting = malloc(sizeof *waiting);
    char *copy = strdup(url);
    pthread_t thread;
    int status = 0;
    if (!waiting || !copy) {
        status = error_memory(error, "a URL", strlen(url));
        goto out;
    }
    waiting->failed = failed;
    int problem = start(copy, &waiting->pid);
    if (problem) {
        status = error_set(error, ERROR_IO, "cannot start %s: %s", opener, strerror(problem));
        goto out;
    }
    if (pthread_create(&thread, NULL, wait_for_it, waiting) == 0) { /* or it stays a zombie until we end */
        pthread_detach(thread);
        waiting = NULL; /* the thread's */
    }
out:
    free(waiting);
    free(copy);
    return status;
}
