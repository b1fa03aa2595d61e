/* Starting this program again as a helper process of a given command (`llmind worker`, `llmind lab`), and
 * what both sides of that do alike: the parent gets a socket and the end of the helper's stderr, the helper
 * finds the socket as descriptor 3 and forgets everything else it could have inherited.
 *
 * The socket is the life line: a helper reads it all the time and ends when it is closed, however that
 * happened. (prctl's PR_SET_PDEATHSIG would not do: it fires when the *thread* that started the process ends,
 * and in a server that is some connection's.)
 */
#ifndef LLMIND_PLATFORM_SPAWN_H
#define LLMIND_PLATFORM_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

enum { SPAWN_SOCKET = 3 }; /* the helper's end */

struct spawned {
    pid_t pid;
    int socket; /* stream; blocking */
    int errors; /* its stderr, not blocking */
};

/* Starts `llmind command`. Any thread. ERROR_IO. The caller closes both descriptors and reaps the process. */
int spawn_self(const char *command, struct spawned *out, struct error *error);

/* The last line that is not empty of what a helper wrote to stderr; zero-initialise. */
enum { SPAWN_LINE = 400 };
struct spawn_line {
    char text[SPAWN_LINE + 1]; /* zero-terminated; cleaned when it becomes part of an error */
    size_t length;
    bool ended;
};
void spawn_line_add(struct spawn_line *line, const char *bytes, size_t length);
/* Adds what can be read now (at most about 64 KB); every piece is also handed to `relay` (may be NULL). False
 * at its end. */
bool spawn_line_read(struct spawn_line *line, int errors, void (*relay)(const void *bytes, size_t length));

/* How a helper ended, as ERROR_IO: "the worker process crashed by signal 11 (Segmentation fault): LINE". who:
 * "the worker process"; result: of waitpid, when known. */
void spawn_describe_end(const char *who, bool known, int result, const struct spawn_line *line,
                        struct error *out);

/* ---- the helper's side ---- */

/* Whether descriptor 3 is a stream socket: false when a person typed the command. */
bool spawn_was_spawned(void);
/* First of all: signals of the terminal are the parent's affair, no inherited descriptors, a name (at most 15
 * bytes), no new privileges, first in line when memory runs out. */
void spawn_begin_helper(const char *name);

#endif
