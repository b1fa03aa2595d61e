/* Starting `llmind worker`. posix_spawn, because the parent has many threads: between fork and exec hardly
 * anything would be allowed. The child's ends are moved up first, so that none of them is in the way of the
 * numbers they get. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/process.h"
#include "worker/client_internal.h"

enum { CHILD_END = 3, SPARE_DESCRIPTOR = 10, PATH_BYTES = 4096 };

static int no_descriptor(struct error *error)
{
    return error_set(error, ERROR_IO, "cannot start a worker: %s", strerror(errno));
}

/* Both ends closed on exec, the child's one moved out of the way. On error both are closed, and -1. */
static int prepare_ends(int ends[2], int childs, struct error *error)
{
    int moved = fcntl(ends[childs], F_DUPFD_CLOEXEC, SPARE_DESCRIPTOR);
    int failed = moved < 0 || fcntl(ends[1 - childs], F_SETFD, FD_CLOEXEC) < 0;
    int status = failed ? no_descriptor(error) : 0;
    close(ends[childs]);
    ends[childs] = moved;
    if (failed) {
        close(ends[1 - childs]);
        if (moved >= 0)
            close(moved);
        ends[0] = ends[1] = -1;
    }
    return status;
}

static int start(const char *program, int socket, int errors, pid_t *pid)
{
    char name[] = "llmind", command[] = "worker";
    char *arguments[] = {name, command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    if ((failed = posix_spawnattr_init(&attributes)) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return failed;
    }
    failed = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions, socket, CHILD_END);
    if (!failed)
        failed = posix_spawnattr_setsigmask(&attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(&attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawn(pid, program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

/* Tests are programs of their own: $LLMIND_PROGRAM_FOR_TESTS tells them which file is llmind. */
static int find_program(char *out, size_t capacity, struct error *error)
{
    const char *given = getenv("LLMIND_PROGRAM_FOR_TESTS");
    if (!given || !*given)
        return process_program(out, capacity, error);
    if (strlen(given) >= capacity)
        return error_set(error, ERROR_LIMIT, "LLMIND_PROGRAM_FOR_TESTS is too long");
    memcpy(out, given, strlen(given) + 1);
    return 0;
}

int worker_spawn(struct worker *worker, struct error *error)
{
    char program[PATH_BYTES];
    int sockets[2], pipes[2];
    int status = find_program(program, sizeof program, error);
    if (status)
        return status;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
        return no_descriptor(error);
    if ((status = prepare_ends(sockets, 1, error)) != 0)
        return status;
    if (pipe(pipes))
        status = no_descriptor(error);
    else
        status = prepare_ends(pipes, 1, error);
    if (!status) {
        int failed = start(program, sockets[1], pipes[1], &worker->pid);
        if (failed)
            status = error_set(error, ERROR_IO, "cannot start %s as a worker: %s", program, strerror(failed));
        close(pipes[1]);
        if (status)
            close(pipes[0]);
    }
    close(sockets[1]);
    if (status) {
        close(sockets[0]);
        return status;
    }
#ifdef SO_NOSIGPIPE
    setsockopt(sockets[0], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    worker->socket = sockets[0];
    worker->errors = pipes[0];
    return 0;
}
