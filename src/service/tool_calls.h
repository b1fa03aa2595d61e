/* Reads tool calls out of a model's text while it streams, in the formats that models are trained on:
 *
 *   Hermes, Qwen    <tool_call>{"name": "f", "arguments": {...}}</tool_call>, any number of them
 *   Qwen3-Coder     <tool_call><function=f><parameter=k>value</parameter></function></tool_call>
 *   Mistral         [TOOL_CALLS][{"name": "f", "arguments": {...}}, ...], [TOOL_CALLS]f[ARGS]{...}
 *   Llama 3.x       {"name": "f", "parameters": {...}} as the whole answer, also after <|python_tag|>
 *
 * The text itself shows which. A call is told once it is whole: valid JSON (no duplicate keys, bounded
 * depth), arguments an object, the name one of the declared ones. Whatever only looked like a call comes out
 * as text, whole and in order; text is held back only as long as it may still become a call. White space
 * between calls, and before the first when there is no other text, belongs to them. Pure: one owner.
 */
#ifndef LLMIND_SERVICE_TOOL_CALLS_H
#define LLMIND_SERVICE_TOOL_CALLS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum { TOOL_CALL_MAX_BYTES = 1 << 20, TOOL_CALL_MAX = 128, TOOL_CALL_MAX_DEPTH = 64 };

/* name NULL: text that is no part of a call. Otherwise a call: its name, and in text[0..length) its arguments
 * exactly as the model wrote them (where it wrote JSON). Valid during the call. */
typedef void (*tool_calls_sink)(void *context, const char *name, const char *text, size_t length);

struct tool_calls {
    /* given */
    const json_t *tools; /* borrowed: OpenAI's array of {"type": "function", "function": {"name", ...}} */
    bool only_first;     /* the text after the first call is dropped */
    tool_calls_sink sink;
    void *context;
    /* private: start from zero */
    enum tool_calls_where {
        TOOL_CALLS_START, /* only white space so far */
        TOOL_CALLS_TEXT,
        TOOL_CALLS_BETWEEN, /* only white space since a call */
        TOOL_CALLS_DONE     /* only_first, and it was told */
    } where;
    struct buffer held; /* undecided; a control token in it has a byte 0xFF before it */
    uint32_t n_calls;
    /* The candidate in `held`, when there is one: where its marker begins and ends, and how far the JSON
     * value in it that is being read has been scanned. */
    const struct tool_calls_format *format;
    size_t begin, body;
    struct tool_calls_scan {
        size_t first, at; /* where the value begins; read up to here */
        uint32_t depth;
        bool in_string, escaped, closed;
    } scan;
};

void tool_calls_free(struct tool_calls *calls);
/* control: text is one control token of the model. Those that belong to a format are taken as such, any other
 * one is dropped. */
void tool_calls_feed(struct tool_calls *calls, const char *text, size_t length, bool control);
/* The text is over: what was held back comes out, as calls or as text. */
void tool_calls_finish(struct tool_calls *calls);

#endif
