/* A foreign server that is started for a run. It gets a process group of its own, so that it can be ended
 * with everything it started, and the terminal's signals do not reach it: whoever started it ends it. What it
 * writes goes to a file without a name, whose end is shown when it does not come up. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "profile/net_client.h"
#include "profile/remote.h"

enum { POLL_MS = 100, PROBE_TIMEOUT_MS = 2000, STOP_MS = 5000, LOG_TAIL = 400, MAX_PROBE = 4 << 20 };

struct remote_server {
    pid_t pid; /* and process group; 0: none */
    FILE *log;
};

static int spawn(struct remote_server *server, char *const *argv, struct error *error)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int log = fileno(server->log);
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return error_set(error, ERROR_IO, "cannot start %s: %s", argv[0], strerror(failed));
    failed = posix_spawnattr_init(&attributes);
    if (failed) {
        posix_spawn_file_actions_destroy(&actions);
        return error_set(error, ERROR_IO, "cannot start %s: %s", argv[0], strerror(failed));
    }
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, log, STDOUT_FILENO);
    failed = failed ? failed : posix_spawn_file_actions_adddup2(&actions, log, STDERR_FILENO);
    failed = failed ? failed : posix_spawnattr_setpgroup(&attributes, 0);
    failed = failed ? failed : posix_spawnattr_setsigmask(&attributes, &none);
    failed = failed ? failed : posix_spawnattr_setsigdefault(&attributes, &all);
    failed = failed ? failed
                    : posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                                POSIX_SPAWN_SETSIGDEF);
    failed = failed ? failed : posix_spawnp(&server->pid, argv[0], &actions, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (!failed)
        return 0;
    server->pid = 0;
    return error_set(error, ERROR_INVALID, "cannot start %s: %s", argv[0], strerror(failed));
}

/* The last lines it wrote, on one line. */
static void log_tail(struct remote_server *server, char out[LOG_TAIL + 1])
{
    out[0] = '\0';
    if (fseek(server->log, 0, SEEK_END))
        return;
    long end = ftell(server->log), from = end > LOG_TAIL ? end - LOG_TAIL : 0;
    if (end <= 0 || fseek(server->log, from, SEEK_SET))
        return;
    size_t n = fread(out, 1, LOG_TAIL, server->log);
    while (n && (unsigned char)out[n - 1] <= ' ')
        n--;
    out[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if (out[i] == '\n' || out[i] == '\t' || out[i] == '\r')
            out[i] = ' ';
}

/* Whether it has ended; it stays a zombie, so that its number, and its group's, is nobody else's yet. */
static bool has_ended(pid_t pid, siginfo_t *how)
{
    memset(how, 0, sizeof *how);
    return waitid(P_PID, (id_t)pid, how, WEXITED | WNOHANG | WNOWAIT) == 0 && how->si_pid == pid;
}

static int it_ended(struct remote_server *server, const char *command, const siginfo_t *how,
                    struct error *error)
{
    char tail[LOG_TAIL + 1];
    log_tail(server, tail);
    return error_set(error, ERROR_IO, "%s ended with %s %d before it answered%s%s", command,
                     how->si_code == CLD_EXITED ? "exit code" : "signal", how->si_status,
                     tail[0] ? "; the last it wrote: " : "", tail);
}

static int ignore_body(void *context, const char *bytes, size_t length, uint64_t now_ns, struct error *error)
{
    (void)context, (void)bytes, (void)length, (void)now_ns, (void)error;
    return 0;
}

/* Any answer but "not yet" will do: servers load their models first and say 503 meanwhile. */
static bool answers(struct net_client *client, const atomic_int *cancel)
{
    struct net_exchange exchange = {.path = net_client_url(client)->path[0] ? "/models" : "/v1/models",
                                    .max_body = MAX_PROBE,
                                    .timeout_ms = PROBE_TIMEOUT_MS,
                                    .cancel = cancel,
                                    .on_body = ignore_body};
    bool yes = !net_client_run(client, &exchange, NULL) && !exchange.problem.code && exchange.status > 0 &&
               exchange.status < 500;
    net_exchange_free(&exchange);
    return yes;
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int wait_until_up(struct remote_server *server, struct net_client *client, const char *command,
                         uint32_t wait_ms, const atomic_int *cancel, struct error *error)
{
    uint64_t end_ns = clock_now_ns() + wait_ms * (uint64_t)1000000;
    siginfo_t how;
    char tail[LOG_TAIL + 1];
    for (;;) {
        if (cancel && atomic_load(cancel))
            return error_set(error, ERROR_CANCELLED, "interrupted");
        if (has_ended(server->pid, &how))
            return it_ended(server, command, &how, error);
        if (answers(client, cancel)) /* it, and not a server that was there before and kept the port */
            return has_ended(server->pid, &how) ? it_ended(server, command, &how, error) : 0;
        if (clock_now_ns() > end_ns)
            break;
        sleep_ms(POLL_MS);
    }
    log_tail(server, tail);
    return error_set(error, ERROR_IO, "%s did not answer within %u s%s%s", command, wait_ms / 1000,
                     tail[0] ? "; the last it wrote: " : "", tail);
}

int remote_server_start(char *const *argv, const char *url, uint32_t wait_ms, const atomic_int *cancel,
                        struct remote_server **out, struct error *error)
{
    struct net_client *client = NULL;
    *out = NULL;
    int status = net_client_open(url, true, NULL, &client, error);
    if (status)
        return status;
    if (answers(client, cancel)) {
        net_client_close(client);
        return error_set(error, ERROR_BUSY,
                         "somebody answers at %s already: stop that server, or leave out "
                         "the command",
                         url);
    }
    struct remote_server *server = calloc(1, sizeof *server);
    if (!server) {
        net_client_close(client);
        return error_memory(error, "a server", sizeof *server);
    }
    if (!(server->log = tmpfile()) || fcntl(fileno(server->log), F_SETFD, FD_CLOEXEC))
        status = error_set(error, ERROR_IO, "cannot keep what %s writes: %s", argv[0], strerror(errno));
    if (!status)
        status = spawn(server, argv, error);
    if (!status)
        status = wait_until_up(server, client, argv[0], wait_ms, cancel, error);
    net_client_close(client);
    if (status)
        remote_server_stop(server);
    else
        *out = server;
    return status;
}

void remote_server_stop(struct remote_server *server)
{
    if (!server)
        return;
    if (server->pid > 0) {
        siginfo_t how;
        uint64_t end_ns = clock_now_ns() + STOP_MS * (uint64_t)1000000;
        kill(-server->pid, SIGTERM);
        while (!has_ended(server->pid, &how) && clock_now_ns() < end_ns)
            sleep_ms(POLL_MS / 4);
        kill(-server->pid, SIGKILL); /* itself, or whom it left behind */
        while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (server->log)
        fclose(server->log);
    free(server);
}
