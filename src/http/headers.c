/* A handler may set any of the careful ones itself (the web page brings its own Content-Security-Policy and
 * may be cached); then its value stands. */
#include "http/headers.h"

#include <string.h>

static const struct http_header careful[] = {
    {"Content-Security-Policy", "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
                                "frame-ancestors 'none'"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cache-Control", "no-store"}};

static bool is_set(const struct http_response *response, const char *name)
{
    for (size_t i = 0; i < response->n_headers; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return true;
    return false;
}

void headers_each(const struct http_exchange *exchange, const struct headers_wish *wish,
                  void (*add)(void *context, const char *name, const char *value), void *context)
{
    const struct http_response *response = &exchange->response;
    for (size_t i = 0; i < sizeof careful / sizeof *careful; i++)
        if (!is_set(response, careful[i].name))
            add(context, careful[i].name, careful[i].value);
    add(context, "X-Request-Id", exchange->id);
    if (response->content_type[0])
        add(context, "Content-Type", response->content_type);
    for (size_t i = 0; i < response->n_headers; i++)
        add(context, response->headers[i].name, response->headers[i].value);
    if (wish->cors_origin) {
        add(context, "Access-Control-Allow-Origin", wish->cors_origin);
        add(context, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
    }
    if (wish->vary)
        add(context, "Vary", "Origin");
    if (wish->close)
        add(context, "Connection", "close");
}
