/* posix_spawn, because the parent has many threads: between fork and exec hardly anything would be allowed.
 * The child's ends are moved up first, so that none of them is in the way of the numbers they get. */
#include "platform/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/process.h"
#include "platform/spawn_setup.h"

enum { SPARE_DESCRIPTOR = 10, PATH_BYTES = 4096, READ_ROUNDS = 16 };

/* ---- starting ---- */

static int no_descriptor(const char *command, struct error *error)
{
    return error_set(error, ERROR_IO, "cannot start a %s: %s", command, strerror(errno));
}

/* Both ends closed on exec, the child's one moved out of the way. On error both are closed, and -1. */
static int prepare_ends(const char *command, int ends[2], int childs, struct error *error)
{
    int moved = fcntl(ends[childs], F_DUPFD_CLOEXEC, SPARE_DESCRIPTOR);
    int failed = moved < 0 || fcntl(ends[1 - childs], F_SETFD, FD_CLOEXEC) < 0;
    int status = failed ? no_descriptor(command, error) : 0;
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

static int start(const char *program, const char *command, int socket, int errors, pid_t *pid)
{
    char name[] = "llmind", word[32];
    strncpy(word, command, sizeof word - 1);
    word[sizeof word - 1] = '\0';
    char *arguments[] = {name, word, NULL};
    struct spawn_setup setup;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    sigdelset(&all, SIGKILL);
    sigdelset(&all, SIGSTOP);
    int failed = spawn_setup_init(&setup);
    if (failed)
        return failed;
    failed = posix_spawn_file_actions_adddup2(&setup.actions, errors, STDERR_FILENO);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&setup.actions, socket, SPAWN_SOCKET);
    if (!failed)
        failed = posix_spawnattr_setsigmask(&setup.attributes, &none);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(&setup.attributes, &all);
    if (!failed)
        failed = posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawn(pid, program, &setup.actions, &setup.attributes, arguments, environ);
    spawn_setup_free(&setup);
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

int spawn_self(const char *command, struct spawned *out, struct error *error)
{
    char program[PATH_BYTES];
    int sockets[2], pipes[2];
    int status = find_program(program, sizeof program, error);
    if (status)
        return status;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
        return no_descriptor(command, error);
    if ((status = prepare_ends(command, sockets, 1, error)) != 0)
        return status;
    if (pipe(pipes))
        status = no_descriptor(command, error);
    else
        status = prepare_ends(command, pipes, 1, error);
    if (!status) {
        int failed = start(program, command, sockets[1], pipes[1], &out->pid);
        if (failed)
            status =
                error_set(error, ERROR_IO, "cannot start %s as a %s: %s", program, command, strerror(failed));
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
    out->socket = sockets[0];
    out->errors = pipes[0];
    return 0;
}

/* ---- stderr, and the end ---- */

void spawn_line_add(struct spawn_line *line, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n') {
            line->ended = true;
            continue;
        }
        if (line->ended)
            line->length = 0;
        line->ended = false;
        if (line->length < SPAWN_LINE)
            line->text[line->length++] = bytes[i];
    }
    line->text[line->length] = '\0';
}

bool spawn_line_read(struct spawn_line *line, int errors, void (*relay)(const void *bytes, size_t length))
{
    char bytes[4096];
    /* no more at once than a pipe holds: a helper that floods it must not keep its messages waiting */
    for (int round = 0; round < READ_ROUNDS; round++) {
        ssize_t n = read(errors, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && errno == EAGAIN;
        spawn_line_add(line, bytes, (size_t)n);
        if (relay)
            relay(bytes, (size_t)n);
    }
    return true;
}

void spawn_describe_end(const char *who, bool known, int result, const struct spawn_line *line,
                        struct error *out)
{
    const char *text = line->length ? line->text : "it left no message";
    if (!known)
        error_set(out, ERROR_IO, "%s is gone; the system does not say how: %s", who, text);
    else if (WIFSIGNALED(result) && WTERMSIG(result) == SIGKILL)
        error_set(out, ERROR_IO, "%s was killed by signal 9 (SIGKILL): perhaps the system was out of memory",
                  who);
    else if (WIFSIGNALED(result))
        error_set(out, ERROR_IO, "%s crashed by signal %d (%s)%s%s", who, WTERMSIG(result),
                  strsignal(WTERMSIG(result)), line->length ? ": " : "", line->text);
    else
        error_set(out, ERROR_IO, "%s exited with code %d: %s", who, WEXITSTATUS(result), text);
}

/* ---- the helper's side ---- */

bool spawn_was_spawned(void)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(SPAWN_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

void spawn_begin_helper(const char *name)
{
    static const int parents_affair[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof parents_affair / sizeof *parents_affair; i++)
        signal(parents_affair[i], SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    process_close_from(SPAWN_SOCKET + 1);
    process_set_name(name);
    process_no_new_privileges();
    process_volunteer_for_oom();
}
