/* What an exchange is made of. For server.c, which fills and sends it, and the files that implement
 * exchange.h; handlers see only exchange.h. No HTTP library here either, so that tests can make one.
 */
#ifndef LLMIND_HTTP_EXCHANGE_INTERNAL_H
#define LLMIND_HTTP_EXCHANGE_INTERNAL_H

#include <stdbool.h>

#include "base/arena.h"
#include "http/exchange.h"
#include "http/router.h"
#include "http/target.h"

enum { HTTP_MAX_REPLY_HEADERS = 16 };

struct http_header {
    const char *name, *value;
};

struct watch_connection; /* watch.h */

struct http_response {
    int status; /* 0: not answered yet */
    const char *content_type;
    struct buffer body;
    const void *constant; /* instead of the body; NULL: none */
    size_t constant_length;
    bool has_source;
    struct http_source source;
    struct http_header headers[HTTP_MAX_REPLY_HEADERS]; /* text in the arena */
    size_t n_headers;
};

struct http_exchange {
    char id[17];
    struct services *services;
    struct watch_connection *connection; /* NULL: nobody watches (tests) */
    struct arena arena;                  /* everything the getters return */

    const char *method;
    const struct http_header *headers;
    size_t n_headers;
    struct http_target target;
    struct http_match match;                     /* of the route; its raw values point into the target */
    const char *parameters[HTTP_MAX_PARAMETERS]; /* decoded */
    struct buffer body;

    struct http_response response;
};

/* A new id. */
void exchange_make_id(struct http_exchange *exchange);

/* Decodes what the match found. Fails with a message fit for a 4xx answer when a parameter of the match is
 * not properly encoded. */
int exchange_decode_parameters(struct http_exchange *exchange, struct error *error);

/* The type member of a problem with this status. */
const char *exchange_problem_type(int status);
/* The JSON text of a problem, malloc'ed; NULL when memory is short. */
char *exchange_problem_text(int status, const char *code, const char *param, const char *message);

/* Closes the source if nobody has, frees everything. The struct itself is the caller's. */
void exchange_free(struct http_exchange *exchange);
void exchange_close_source(struct http_exchange *exchange);

#endif
