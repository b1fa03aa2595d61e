/* Arguments are handed on exactly as the model wrote them, so values are found as spans of the text; jansson
 * only says whether a text is valid, and what the names are.
 */
#include "service/tool_json.h"

#include <string.h>

#include "base/json_text.h"

int tool_json_match(const char *text, size_t length, size_t at, const char *what)
{
    size_t n = strlen(what);
    size_t left = length - at;
    if (memcmp(text + at, what, left < n ? left : n) != 0)
        return -1;
    return left >= n;
}

int tool_json_scan(struct tool_calls_scan *scan, const char *text, size_t length)
{
    if (scan->closed)
        return 1;
    if (scan->first < length && text[scan->first] != '{' && text[scan->first] != '[')
        return -1;
    while (scan->at < length) {
        char c = text[scan->at++];
        if (scan->in_string) {
            if (scan->escaped)
                scan->escaped = false;
            else if (c == '\\')
                scan->escaped = true;
            else if (c == '"')
                scan->in_string = false;
        } else if (c == '"') {
            scan->in_string = true;
        } else if (c == '{' || c == '[') {
            if (++scan->depth > TOOL_CALL_MAX_DEPTH)
                return -1;
        } else if ((c == '}' || c == ']') && --scan->depth == 0) {
            scan->closed = true;
            return 1;
        }
    }
    return 0;
}

bool tool_json_declared(const json_t *tools, const char *name, const json_t **parameters)
{
    size_t i;
    const json_t *tool;
    json_array_foreach(tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        const char *declared = json_string_value(json_object_get(function, "name"));
        if (declared && strcmp(declared, name) == 0) {
            if (parameters)
                *parameters = json_object_get(function, "parameters");
            return true;
        }
    }
    return false;
}

/* The end of the value that begins at `at` in valid JSON. */
static size_t value_end(const char *text, size_t length, size_t at)
{
    if (text[at] == '{' || text[at] == '[') {
        struct tool_calls_scan scan = {.first = at, .at = at};
        tool_json_scan(&scan, text, length);
        return scan.at;
    }
    if (text[at] == '"') {
        for (at++; at < length && text[at] != '"'; at++)
            at += text[at] == '\\';
        return at + 1;
    }
    while (at < length && !tool_json_is_space(text[at]) && text[at] != ',' && text[at] != '}' &&
           text[at] != ']')
        at++;
    return at;
}

/* The span of a member's value in a valid object. The key is compared as written: one with escapes in it is
 * not found. */
static bool member_span(const char *text, size_t length, const char *key, size_t *begin, size_t *end)
{
    size_t n = strlen(key);
    size_t at = tool_json_skip_space(text, length, 1);
    while (at < length && text[at] == '"') {
        size_t key_end = value_end(text, length, at);
        bool found = key_end - at == n + 2 && memcmp(text + at + 1, key, n) == 0;
        *begin = tool_json_skip_space(text, length,
                                      tool_json_skip_space(text, length, key_end) + 1); /* behind the colon */
        if (*begin >= length)
            return false;
        *end = value_end(text, length, *begin);
        if (found)
            return true;
        at = tool_json_skip_space(text, length,
                                  tool_json_skip_space(text, length, *end) + 1); /* behind the comma */
    }
    return false;
}

/* NULL: no JSON, or deeper than a parser should go. */
static json_t *parse(const char *text, size_t length)
{
    if (json_text_measure(text, length).depth > TOOL_CALL_MAX_DEPTH)
        return NULL;
    /* the text is what is handed on, so an integer may have any size */
    return json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
}

bool tool_json_is_object(const char *text, size_t length)
{
    json_t *value = parse(text, length);
    bool is_object = json_is_object(value);
    json_decref(value);
    return is_object;
}

/* Arguments as an object, or as a string that holds one, or none. */
static bool take_arguments(const json_t *object, const char *text, size_t length, const char *key,
                           struct buffer *arguments)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_string(value)) {
        const char *inner = json_string_value(value);
        if (!tool_json_is_object(inner, json_string_length(value)))
            return false;
        buffer_append(arguments, inner, json_string_length(value));
        return true;
    }
    size_t begin, end;
    if (!json_is_object(value) || !member_span(text, length, key, &begin, &end))
        return false;
    buffer_append(arguments, text + begin, end - begin);
    return true;
}

bool tool_json_call(const json_t *tools, const char *text, size_t length, bool need_arguments,
                    json_t **parsed, const char **name, struct buffer *arguments)
{
    *parsed = parse(text, length);
    *name = json_string_value(json_object_get(*parsed, "name"));
    if (!*name || !tool_json_declared(tools, *name, NULL))
        return false;
    const char *key = json_object_get(*parsed, "arguments") ? "arguments" : "parameters";
    const json_t *value = json_object_get(*parsed, key);
    if (!value || json_is_null(value)) {
        if (need_arguments)
            return false;
        buffer_text(arguments, "{}");
        return true;
    }
    return take_arguments(*parsed, text, length, key, arguments);
}
