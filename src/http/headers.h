/* The headers of every response: the handler's own, and those that make a browser careful. */
#ifndef LLMIND_HTTP_HEADERS_H
#define LLMIND_HTTP_HEADERS_H

#include <stdbool.h>

#include "http/exchange_internal.h"

struct headers_wish {
    const char *cors_origin; /* NULL: no CORS headers */
    bool vary;               /* answers differ by Origin */
    bool close;
};

/* Calls add for each, except Content-Length and the like, which belong to the sender. */
void headers_each(const struct http_exchange *exchange, const struct headers_wish *wish,
                  void (*add)(void *context, const char *name, const char *value), void *context);

#endif
