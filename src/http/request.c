/* The body as JSON. jansson checks UTF-8, duplicate keys and garbage behind the end, but it recurses up to
 * 2048 levels, and an empty object of two bytes costs it two hundred: so depth and values are counted first.
 */
#include <string.h>

#include "base/json_text.h"
#include "http/exchange_internal.h"

/* A million tokens as a prompt, or the parts of a long conversation, and not gigabytes of empty objects. */
enum { MAX_VALUES = 2 << 20, MAX_CONTAINERS = 256 << 10 };

static bool check_size(struct http_exchange *exchange, const char *text, size_t length)
{
    struct json_text_size size = json_text_measure(text, length);
    if (size.depth > JSON_TEXT_MAX_DEPTH)
        http_reply_problem(exchange, 400, "too_deep", NULL,
                           "the body's JSON is nested more than %d levels deep", JSON_TEXT_MAX_DEPTH);
    else if (size.containers > MAX_CONTAINERS || size.values > MAX_VALUES)
        http_reply_problem(exchange, 400, "too_many", NULL,
                           "the body's JSON has %zu values, %zu of them objects or arrays; at most %d and %d "
                           "are allowed",
                           size.values, size.containers, MAX_VALUES, MAX_CONTAINERS);
    else
        return true;
    return false;
}

/* Any JSON value. NULL: answered. */
static json_t *parse(struct http_exchange *exchange, const char *text, size_t length)
{
    if (!check_size(exchange, text, length))
        return NULL;
    json_error_t problem;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json && json_error_code(&problem) == json_error_null_character)
        http_reply_problem(exchange, 400, "invalid_json", NULL,
                           "a text in the body has a zero character (\\u0000) in it; leave it out (line %d, "
                           "column %d)",
                           problem.line, problem.column);
    else if (!json)
        http_reply_problem(exchange, 400, "invalid_json", NULL,
                           "the body is not valid JSON: %s (line %d, column %d)", problem.text, problem.line,
                           problem.column);
    return json;
}

json_t *http_json_list(struct http_exchange *exchange, const char *name)
{
    size_t length;
    const char *text = http_body(exchange, &length);
    json_t *json = length ? parse(exchange, text, length) : json_object();
    if (json_is_array(json))
        json = json_pack("{s:o}", name, json);
    if (!json && !exchange->response.status)
        http_reply_problem(exchange, 500, "memory", NULL, "the server is short of memory");
    return json;
}

json_t *http_json_object(struct http_exchange *exchange, int empty_ok)
{
    size_t length;
    const char *text = http_body(exchange, &length);
    if (length == 0) {
        json_t *empty = empty_ok ? json_object() : NULL;
        if (!empty)
            http_reply_problem(exchange, empty_ok ? 500 : 400, empty_ok ? "memory" : "empty_body", NULL,
                               empty_ok ? "the server is short of memory"
                                        : "the request has no body; send a JSON object");
        return empty;
    }
    json_t *json = parse(exchange, text, length);
    if (json && !json_is_object(json)) {
        json_decref(json);
        http_reply_problem(exchange, 400, "invalid_json", NULL,
                           "the body must be a JSON object, like {\"model\": \"builtin\"}");
        return NULL;
    }
    return json;
}
