/* The target of a request line, "/api/chats/x%20y?limit=3": its path as it came and decoded, and its query.
 * Strict: a percent sign without two hexadecimal digits, a zero byte and bytes that are not UTF-8 are errors.
 */
#ifndef LLMIND_HTTP_TARGET_H
#define LLMIND_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/error.h"

enum { HTTP_MAX_QUERY = 32 };

struct http_pair {
    const char *name, *value;
};

struct http_target {
    const char *raw_path; /* without the query, still encoded: what routes are matched with */
    const char *path;     /* decoded */
    struct http_pair query[HTTP_MAX_QUERY];
    size_t n_query;
};

/* text is copied into the arena. Errors: ERROR_INVALID (with a sentence for the client), ERROR_MEMORY. */
int target_parse(const char *text, struct arena *arena, struct http_target *out, struct error *error);

/* length bytes decoded into the arena; plus_is_space as in queries. NULL, with the error filled, on what is
 * not properly encoded. `what` names it in the message. */
const char *target_decode(const char *text, size_t length, bool plus_is_space, const char *what,
                          struct arena *arena, struct error *error);

#endif
