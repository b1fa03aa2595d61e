/* The body as JSON. jansson checks UTF-8, duplicate keys and garbage behind the end, but it recurses up to
 * 2048 levels and every level costs stack and a small allocation; the depth is therefore counted first. */
#include <string.h>

#include "http/exchange_internal.h"

enum { MAX_DEPTH = 64 };

/* Brackets outside strings, a string being what stands between quotes that no backslash precedes. Wrong JSON
 * is counted somehow and refused by the parser. */
static bool is_too_deep(const char *text, size_t length)
{
    size_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else
                in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > MAX_DEPTH)
                return true;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return false;
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
    if (is_too_deep(text, length)) {
        http_reply_problem(exchange, 400, "too_deep", NULL,
                           "the body's JSON is nested more than %d levels deep", MAX_DEPTH);
        return NULL;
    }
    json_error_t problem;
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &problem);
    if (!json) {
        http_reply_problem(exchange, 400, "invalid_json", NULL,
                           "the body is not valid JSON: %s (line %d, column %d)", problem.text, problem.line,
                           problem.column);
        return NULL;
    }
    if (!json_is_object(json)) {
        json_decref(json);
        http_reply_problem(exchange, 400, "invalid_json", NULL,
                           "the body must be a JSON object, like {\"model\": \"builtin\"}");
        return NULL;
    }
    return json;
}
