/* What the formats of tool calls have in common: JSON values found in a text that is still growing, and the
 * call that one of them is. Pure. */
#ifndef LLMIND_SERVICE_TOOL_JSON_H
#define LLMIND_SERVICE_TOOL_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "service/tool_calls.h"

/* Reads on in the object or array that begins at text[scan->first]; scan starts as {.first = F, .at = F}. 1
 * when it has been closed (scan->at is behind it, also when asked again), 0 when more text is needed, -1 when
 * it is none or too deep. */
int tool_json_scan(struct tool_calls_scan *scan, const char *text, size_t length);

/* The JSON Schema of a declared function's parameters in *parameters (NULL when it has none). False: no tool
 * of this name is declared. */
bool tool_json_declared(const json_t *tools, const char *name, const json_t **parameters);

/* One call: the object text[0..length), {"name": ..., "arguments" or "parameters": ...}. Returns true with
 * the name (owned by *parsed, which the caller frees) and the arguments as written, appended to *arguments.
 * need_arguments: an object without any is no call. */
bool tool_json_call(const json_t *tools, const char *text, size_t length, bool need_arguments,
                    json_t **parsed, const char **name, struct buffer *arguments);

/* Whether text[0..length) is one JSON object. */
bool tool_json_is_object(const char *text, size_t length);

/* Qwen3-Coder's <function=NAME><parameter=KEY>VALUE</parameter>...</function> at the beginning of
 * text[0..length): 1 with the name (capacity bytes), the arguments as JSON appended to *arguments (a value is
 * what the declared schema says it is, else a string) and *used; 0 when more text is needed; -1: it is none.
 */
int tool_coder_call(const json_t *tools, const char *text, size_t length, char *name, size_t capacity,
                    struct buffer *arguments, size_t *used);

static inline bool tool_json_is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}
static inline size_t tool_json_skip_space(const char *text, size_t length, size_t at)
{
    while (at < length && tool_json_is_space(text[at]))
        at++;
    return at;
}
/* `what` stands at text[at]: 1; it may once there is more text: 0; it does not: -1. */
int tool_json_match(const char *text, size_t length, size_t at, const char *what);

#endif
