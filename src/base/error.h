/* One way to fail, for the whole program.
 *
 * A function that can fail returns int: 0, or a negative code from the list below. Its last parameter is a
 * `struct error *` (may be NULL), filled once, at the place where it happened, with a sentence a user can act
 * on: what is wrong, where, and what to do. Callers hand the code up unchanged; they may add the context
 * ("model.safetensors: ...") with error_prefix. Nothing that comes from outside may reach assert, abort or
 * exit.
 */
#ifndef LLMIND_BASE_ERROR_H
#define LLMIND_BASE_ERROR_H

enum error_code {
    ERROR_INVALID = -1,     /* the input is wrong: a file, an option, a request */
    ERROR_NOT_FOUND = -2,   /* it names something that is not there */
    ERROR_UNSUPPORTED = -3, /* it is well formed, and this program cannot do it */
    ERROR_MEMORY = -4,      /* not enough memory */
    ERROR_IO = -5,          /* the operating system refused to read, write or map */
    ERROR_LIMIT = -6,       /* too large, too many, too long */
    ERROR_BUSY = -7,        /* somebody else holds it; try again */
    ERROR_CANCELLED = -8,   /* the caller asked to stop */
    ERROR_INTERNAL = -9     /* a broken invariant of our own */
};

enum { ERROR_MESSAGE_MAX = 1024 };

struct error {
    int code;
    char message[ERROR_MESSAGE_MAX];
};

/* Fills *error (when not NULL) and returns code. The message is cut at ERROR_MESSAGE_MAX, on a UTF-8
 * boundary; control characters in it (C0, DEL, C1) and bytes that are not UTF-8 become '?', because parts of
 * it often come from hostile files. */
int error_set(struct error *error, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "invalid", "not_found", ...: what JSON calls the code. Anything unknown is "internal". */
const char *error_code_name(int code);

/* Puts "prefix: " before the message. Does nothing when error is NULL. */
void error_prefix(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Every `what` in the message becomes `by`: a name for a path that not every reader may see. An empty `what`
 * is in no message. Does nothing when error is NULL. */
void error_replace(struct error *error, const char *what, const char *by);

/* "not enough memory for WHAT (N bytes)". Returns ERROR_MEMORY. */
int error_memory(struct error *error, const char *what, unsigned long long bytes);

#endif
