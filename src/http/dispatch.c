/* What is answered without a handler is answered here: wrong targets, unknown paths (with the near one),
 * wrong methods (with the right ones), OPTIONS and CORS preflights. A handler that forgets to answer is our
 * bug, and the client's 500. */
#include "http/dispatch.h"

#include <string.h>

#include "base/log.h"

static void answer_options(struct http_exchange *exchange, const struct guard_verdict *verdict)
{
    http_set_header(exchange, "Allow", exchange->match.allow);
    if (verdict->preflight) {
        const char *wanted = http_header(exchange, "Access-Control-Request-Headers");
        http_set_header(exchange, "Access-Control-Allow-Methods", exchange->match.allow);
        if (wanted)
            http_set_header(exchange, "Access-Control-Allow-Headers", wanted);
        http_set_header(exchange, "Access-Control-Max-Age", "600");
    }
    http_reply_bytes(exchange, 204, "", "", 0);
}

static void answer_not_found(struct http_exchange *exchange)
{
    const char *near = exchange->match.near;
    if (near)
        http_reply_problem(exchange, 404, "unknown_path", NULL,
                           "there is nothing at %.200s (did you mean %s?); GET /openapi.json lists all paths",
                           exchange->target.path, near);
    else
        http_reply_problem(exchange, 404, "unknown_path", NULL,
                           "there is nothing at %.200s; GET /openapi.json lists all paths",
                           exchange->target.path);
}

void dispatch_find(struct http_exchange *exchange, const char *target, const struct guard_verdict *verdict)
{
    struct error error = {0};
    if (target_parse(target, &exchange->arena, &exchange->target, &error)) {
        http_reply_problem(exchange, error.code == ERROR_MEMORY ? 503 : 400, "bad_target", NULL, "%s",
                           error.message);
        return;
    }
    size_t n_tables;
    const struct http_route_table *const *tables = http_all_routes(&n_tables);
    http_match_route(tables, n_tables, exchange->method, exchange->target.raw_path, &exchange->match);
    if (!exchange->match.allow[0]) {
        answer_not_found(exchange);
    } else if (strcmp(exchange->method, "OPTIONS") == 0) {
        answer_options(exchange, verdict);
    } else if (!exchange->match.route) {
        http_set_header(exchange, "Allow", exchange->match.allow);
        http_reply_problem(exchange, 405, "method_not_allowed", NULL, "%.200s takes %s, not %.20s",
                           exchange->target.path, exchange->match.allow, exchange->method);
    } else if (exchange_decode_parameters(exchange, &error)) {
        http_reply_problem(exchange, 400, "bad_target", NULL, "%s", error.message);
    }
}

size_t dispatch_max_body(const struct http_exchange *exchange)
{
    size_t limit = exchange->match.route ? exchange->match.route->max_body : 0;
    return limit == 0 ? HTTP_DEFAULT_BODY : limit < HTTP_MAX_BODY ? limit : HTTP_MAX_BODY;
}

void dispatch_run(struct http_exchange *exchange)
{
    if (!exchange->response.status)
        exchange->match.route->handler(exchange);
    if (!exchange->response.has_source)
        http_unwatch(exchange); /* what the handler watched with may be gone with its frame */
    if (!exchange->response.status) {
        log_event(LOG_LEVEL_ERROR, "no answer", "id=%s route=%s", exchange->id,
                  exchange->match.route->pattern);
        http_reply_problem(exchange, 500, "internal", NULL, "the server had no answer; this is a bug");
    }
}
