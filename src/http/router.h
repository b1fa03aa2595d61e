/* The route table: which handler answers what, and what /openapi.json says of it.
 *
 * Each file of routes exports one table; routes.c lists the tables. A path pattern is literal parts and
 * {names}; a {name...} at the end takes the rest of the path, slashes included (model names have them).
 */
#ifndef LLMIND_HTTP_ROUTER_H
#define LLMIND_HTTP_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "http/exchange.h"

struct http_route {
    const char *method, *pattern; /* "POST", "/api/chats/{id}/messages" */
    void (*handler)(struct http_exchange *exchange);
    /* one sentence, for /openapi.json; NULL: not the API's but the web page's, which exists for GET and HEAD
     * only, and which nobody who mistyped a path of the API is sent to */
    const char *summary;
    const char *request; /* name of a schema in openapi_schemas.json's components, or NULL: no body */
    /* likewise; "202 NAME": answered with 202; NULL: not JSON (then the summary says what) */
    const char *response;
    size_t max_body; /* bytes; 0: HTTP_DEFAULT_BODY */
    bool generates;  /* its requests become the engine's, and wait in its queue (acceptor.h) */
};
enum { HTTP_DEFAULT_BODY = 1 << 20, HTTP_MAX_BODY = 16 << 20 };

struct http_route_table {
    const struct http_route *routes;
    size_t count;
};

extern const struct http_route_table openai_routes;   /* openai.c: /v1/... */
extern const struct http_route_table model_routes;    /* models.c: /api/models... */
extern const struct http_route_table download_routes; /* downloads.c: /api/models/download... */
extern const struct http_route_table chat_routes;     /* chats.c: /api/chats... */
extern const struct http_route_table settings_routes; /* settings.c: /api/settings */
extern const struct http_route_table
    live_routes; /* live.c: /health, /metrics, /api/performance..., /api/system */
extern const struct http_route_table profiling_routes; /* profiling.c: /api/profiling/... */
extern const struct http_route_table openapi_routes;   /* openapi.c: /openapi.json */
extern const struct http_route_table asset_routes;     /* assets.c: / and the other addresses of the page */

/* ---- finding a route ---- */

enum { HTTP_MAX_PARAMETERS = 4, HTTP_ALLOW_TEXT = 64 };

struct http_match {
    const struct http_route *route; /* NULL: none */
    struct {
        const char *name, *value; /* in the pattern, and in the path that was matched: still encoded */
        size_t name_length, length;
    } parameters[HTTP_MAX_PARAMETERS];
    size_t n_parameters;
    /* the path exists when this is not "": the methods it has, for the Allow header ("GET, HEAD, OPTIONS") */
    char allow[HTTP_ALLOW_TEXT];
    const char *near; /* no such path: the pattern that was most likely meant, or NULL */
};

/* path: without the query, still percent-encoded. HEAD finds the route of GET. Literal parts win against
 * {names}, and those against {names...}. A {name} never stands for nothing. Pure. */
void http_match_route(const struct http_route_table *const *tables, size_t n_tables, const char *method,
                      const char *path, struct http_match *out);

/* All tables (routes.c). */
const struct http_route_table *const *http_all_routes(size_t *n_tables);

#endif
