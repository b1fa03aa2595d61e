/* Server-sent events (WHATWG HTML, 9.2): the text format. What sends them is http_reply_stream. */
#ifndef LLMIND_HTTP_SSE_H
#define LLMIND_HTTP_SSE_H

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"

/* One event: "event: NAME" (NULL: none), "id: N" (negative: none), "data: ..." (each line of a text with
 * newlines gets its own), and the blank line that sends it off. */
void sse_text(struct buffer *out, const char *event, int64_t id, const char *text, size_t length);
/* The same with JSON, on one line. Takes over the reference; NULL (memory was short) marks out as failed. */
void sse_json(struct buffer *out, const char *event, int64_t id, json_t *data);
/* ": text", which clients skip; keeps connections open. */
void sse_comment(struct buffer *out, const char *text);

#endif
