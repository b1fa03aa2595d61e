/* The handler's side of an exchange: reads what arrived, and writes down the answer; server.c sends it when
 * the handler has returned. A second answer is a mistake of ours: it is logged and dropped, because the first
 * may have been promised already. */
#include "http/exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/utf8.h"
#include "http/exchange_internal.h"
#include "http/watch.h"
#include "platform/clock.h"

enum { MESSAGE_MAX = ERROR_MESSAGE_MAX };

/* ---- the request ---- */

const char *http_method(const struct http_exchange *exchange)
{
    return exchange->method;
}

const char *http_path(const struct http_exchange *exchange)
{
    return exchange->target.path;
}

const char *http_parameter(const struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->match.n_parameters; i++)
        if (strlen(name) == exchange->match.parameters[i].name_length &&
            memcmp(name, exchange->match.parameters[i].name, strlen(name)) == 0)
            return exchange->parameters[i];
    return NULL;
}

const char *http_query(const struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->target.n_query; i++)
        if (strcmp(exchange->target.query[i].name, name) == 0)
            return exchange->target.query[i].value;
    return NULL;
}

const char *http_header(const struct http_exchange *exchange, const char *name)
{
    for (size_t i = 0; i < exchange->n_headers; i++)
        if (strcasecmp(exchange->headers[i].name, name) == 0)
            return exchange->headers[i].value;
    return NULL;
}

const char *http_body(const struct http_exchange *exchange, size_t *length)
{
    *length = exchange->body.length;
    return exchange->body.data ? exchange->body.data : "";
}

const char *http_request_id(const struct http_exchange *exchange)
{
    return exchange->id;
}

struct services *http_services(const struct http_exchange *exchange)
{
    return exchange->services;
}

void exchange_make_id(struct http_exchange *exchange)
{
    unsigned char bytes[8];
    if (getentropy(bytes, sizeof bytes) != 0) {
        uint64_t now = clock_now_ns();
        memcpy(bytes, &now, sizeof bytes);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(exchange->id + 2 * i, 3, "%02x", bytes[i]);
}

int exchange_decode_parameters(struct http_exchange *exchange, struct error *error)
{
    for (size_t i = 0; i < exchange->match.n_parameters; i++) {
        exchange->parameters[i] =
            target_decode(exchange->match.parameters[i].value, exchange->match.parameters[i].length, false,
                          "path", &exchange->arena, error);
        if (!exchange->parameters[i])
            return error->code;
    }
    return 0;
}

void http_watch(struct http_exchange *exchange, void (*gone)(void *context), void *context)
{
    if (exchange->connection)
        watch_set(exchange->connection, gone, context);
}

void http_unwatch(struct http_exchange *exchange)
{
    if (exchange->connection)
        watch_clear(exchange->connection);
}

/* ---- the response ---- */

/* true: this is the first answer. */
static bool answer(struct http_exchange *exchange, int status, const char *content_type)
{
    struct http_response *response = &exchange->response;
    if (response->status) {
        log_event(LOG_LEVEL_ERROR, "answered twice", "id=%s path=%s first=%d second=%d", exchange->id,
                  exchange->target.path, response->status, status);
        return false;
    }
    response->status = status;
    response->content_type = content_type;
    return true;
}

void http_set_header(struct http_exchange *exchange, const char *name, const char *value)
{
    struct http_response *response = &exchange->response;
    if (response->n_headers == HTTP_MAX_REPLY_HEADERS)
        return;
    char *copied_name = arena_strdup(&exchange->arena, name);
    char *copied_value = arena_strdup(&exchange->arena, value);
    if (!copied_name || !copied_value)
        return;
    for (char *p = copied_value; *p; p++) /* a value must not end its line */
        if ((unsigned char)*p < 0x20 || *p == 0x7F)
            *p = ' ';
    response->headers[response->n_headers++] = (struct http_header){copied_name, copied_value};
}

void http_reply_bytes(struct http_exchange *exchange, int status, const char *content_type, const void *bytes,
                      size_t length)
{
    const char *type = arena_strdup(&exchange->arena, content_type);
    if (!answer(exchange, status, type ? type : "application/octet-stream"))
        return;
    buffer_append(&exchange->response.body, bytes, length);
    if (exchange->response.body.failed) {
        buffer_clear(&exchange->response.body);
        exchange->response.status = 500;
    }
}

void http_reply_constant(struct http_exchange *exchange, int status, const char *content_type,
                         const void *bytes, size_t length)
{
    if (!answer(exchange, status, content_type))
        return;
    exchange->response.constant = bytes;
    exchange->response.constant_length = length;
}

static void reply_text(struct http_exchange *exchange, int status, char *json_text)
{
    static const char short_of_memory[] =
        "{\"error\":{\"message\":\"the server is short of memory\",\"type\":\"server_error\","
        "\"code\":\"memory\",\"param\":null}}";
    const char *text = json_text ? json_text : short_of_memory;
    http_reply_bytes(exchange, json_text ? status : 500, "application/json", text, strlen(text));
    free(json_text);
}

void http_reply_json(struct http_exchange *exchange, int status, json_t *body)
{
    char *text = body ? json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(body);
    reply_text(exchange, status, text);
}

const char *exchange_problem_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 409:
        return "conflict_error";
    case 429:
        return "rate_limit_error";
    default:
        return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

char *exchange_problem_text(int status, const char *code, const char *param, const char *message)
{
    json_t *body = json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", message, "type",
                             exchange_problem_type(status), "code", code, "param", param);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    return text;
}

static void reply_problem(struct http_exchange *exchange, int status, const char *code, const char *param,
                          const char *message)
{
    /* error_set cleans what may have come from outside, or was cut inside a character */
    struct error clean, clean_param;
    error_set(&clean, ERROR_INVALID, "%s", message);
    if (param && !utf8_is_valid(param, strlen(param))) {
        error_set(&clean_param, ERROR_INVALID, "%s", param);
        param = clean_param.message;
    }
    if (status == 429)
        http_set_header(exchange, "Retry-After", "1");
    if (status == 503)
        http_set_header(exchange, "Retry-After", "5");
    reply_text(exchange, status, exchange_problem_text(status, code, param, clean.message));
}

void http_reply_problem(struct http_exchange *exchange, int status, const char *code, const char *param,
                        const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    reply_problem(exchange, status, code, param, message);
}

void http_reply_error(struct http_exchange *exchange, const struct error *error, const char *param)
{
    static const struct {
        int error, status;
    } table[] = {{ERROR_INVALID, 400}, {ERROR_UNSUPPORTED, 400}, {ERROR_NOT_FOUND, 404}, {ERROR_LIMIT, 400},
                 {ERROR_BUSY, 429},    {ERROR_CANCELLED, 503},   {ERROR_IO, 503},        {ERROR_MEMORY, 503}};
    int status = 500;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].error == error->code)
            status = table[i].status;
    if (status == 500)
        log_event(LOG_LEVEL_ERROR, "internal error", "id=%s message=%s", exchange->id, error->message);
    reply_problem(exchange, status, error_code_name(error->code), param, error->message);
}

void http_reply_stream(struct http_exchange *exchange, const struct http_source *source)
{
    if (!answer(exchange, 200, "text/event-stream")) {
        source->close(source->context);
        return;
    }
    exchange->response.source = *source;
    exchange->response.has_source = true;
    if (source->endless && exchange->connection)
        watch_enter(exchange->connection, WATCH_ENDLESS);
    http_watch(exchange, source->gone, source->context);
}

void exchange_close_source(struct http_exchange *exchange)
{
    if (!exchange->response.has_source)
        return;
    http_unwatch(exchange); /* before its context is freed */
    exchange->response.has_source = false;
    exchange->response.source.close(exchange->response.source.context);
}

void exchange_free(struct http_exchange *exchange)
{
    exchange_close_source(exchange);
    http_unwatch(exchange);
    buffer_free(&exchange->body);
    buffer_free(&exchange->response.body);
    arena_free(&exchange->arena);
}
