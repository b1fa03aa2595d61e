/* One request and its response, as a handler sees them. Nothing here knows the HTTP library.
 *
 * A handler runs on a thread of its own connection, after the whole body has arrived and the guard (guard.h)
 * has let the request in; it may block. It must answer exactly once, by one of the http_reply functions.
 * Everything the getters return belongs to the exchange and lives until the response has been sent; the body
 * only until the handler returns.
 */
#ifndef LLMIND_HTTP_EXCHANGE_H
#define LLMIND_HTTP_EXCHANGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "service/services.h"

struct http_exchange;

/* ---- the request ---- */

const char *http_method(const struct http_exchange *exchange); /* "GET" */
const char *http_path(const struct http_exchange *exchange);   /* decoded, without the query */
/* The part of the path that stands for {name} in the route, percent-decoded; NULL when the route has none. */
const char *http_parameter(const struct http_exchange *exchange, const char *name);
const char *http_query(const struct http_exchange *exchange, const char *name);  /* decoded, or NULL */
const char *http_header(const struct http_exchange *exchange, const char *name); /* or NULL */
const char *http_body(const struct http_exchange *exchange, size_t *length);
const char *http_request_id(const struct http_exchange *exchange); /* 16 hexadecimal digits; X-Request-Id */
struct services *http_services(const struct http_exchange *exchange);

/* The body as a JSON object (an empty body is an empty object where empty_ok). NULL: it was not one, and the
 * exchange has been answered with 400. The caller owns the reference. */
json_t *http_json_object(struct http_exchange *exchange, int empty_ok);
/* The same for a body that may also be a bare array: it becomes the member `name` of an object. An empty body
 * is an empty object. */
json_t *http_json_list(struct http_exchange *exchange, const char *name);

/* Tells when the client is gone (it closed or half-closed its connection, was cut for reading too slowly, or
 * the server is stopping): gone(context) is called once, from another thread, at most 250 ms later, and must
 * only wake or cancel something. Until http_unwatch, or the end of the exchange. */
void http_watch(struct http_exchange *exchange, void (*gone)(void *context), void *context);
/* gone is not running and will not be called any more once this has returned. */
void http_unwatch(struct http_exchange *exchange);

/* ---- the response: exactly one ---- */

/* Before the reply; copied. */
void http_set_header(struct http_exchange *exchange, const char *name, const char *value);

/* Takes over the reference. A NULL body is answered as 500 (memory). */
void http_reply_json(struct http_exchange *exchange, int status, json_t *body);
void http_reply_bytes(struct http_exchange *exchange, int status, const char *content_type, const void *bytes,
                      size_t length);
/* The same for bytes that live as long as the program: they are sent from where they lie. */
void http_reply_constant(struct http_exchange *exchange, int status, const char *content_type,
                         const void *bytes, size_t length);

/* {"error": {"message", "type", "code", "param"}}; type follows from the status, code and param may be NULL.
 * 429 and 503 carry Retry-After. */
void http_reply_problem(struct http_exchange *exchange, int status, const char *code, const char *param,
                        const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same from an error of the layers below: INVALID, UNSUPPORTED 400 · NOT_FOUND 404 · LIMIT 400 · BUSY 429
 * · CANCELLED 503 · IO, MEMORY 503 · INTERNAL 500. */
void http_reply_error(struct http_exchange *exchange, const struct error *error, const char *param);

/* A body that is made while it is sent: server-sent events. */
struct http_source {
    /* Appends to *out what there is, waiting for it at most wait_ms. Returns 1 while more may come (out may
     * have stayed empty), 0 when that was all. */
    int (*next)(void *context, struct buffer *out, int wait_ms);
    void (*close)(void *context); /* exactly once, sent or not */
    /* As in http_watch: make `next` come to an end. Also before a close that comes before `next` returned 0;
     * calling it twice must do no harm. */
    void (*gone)(void *context);
    void *context;
    bool endless; /* a server that stops need not wait for its end */
};
/* text/event-stream, status 200. A comment is sent when nothing came for 10 s. */
void http_reply_stream(struct http_exchange *exchange, const struct http_source *source);

#endif
