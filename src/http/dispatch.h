/* From a request that was let in to the handler that answers it. No HTTP library, no sockets. */
#ifndef LLMIND_HTTP_DISPATCH_H
#define LLMIND_HTTP_DISPATCH_H

#include "http/exchange_internal.h"
#include "http/guard.h"

/* Parses the target and finds the route. What has no handler (a wrong target, an unknown path or method,
 * OPTIONS) is answered at once; then, and only then, exchange->response.status is set. */
void dispatch_find(struct http_exchange *exchange, const char *target, const struct guard_verdict *verdict);

/* The most bytes its body may have. */
size_t dispatch_max_body(const struct http_exchange *exchange);

/* Calls the handler, unless the exchange has been answered. Afterwards it has been. */
void dispatch_run(struct http_exchange *exchange);

#endif
