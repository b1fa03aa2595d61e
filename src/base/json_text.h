/* JSON written straight into a buffer: for what is written once per token, where building a tree of values
 * first would cost more than the value. Readers of JSON use jansson.
 */
#ifndef LLMIND_BASE_JSON_TEXT_H
#define LLMIND_BASE_JSON_TEXT_H

#include <stddef.h>

#include "base/buffer.h"

/* A quoted string, RFC 8259; bytes that are not UTF-8 become U+FFFD, so that the text is always valid. */
void buffer_json_string(struct buffer *buffer, const char *text, size_t length);
/* A number that reads back as the same float or double; null when it is not finite. */
void buffer_json_float(struct buffer *buffer, float number);
void buffer_json_double(struct buffer *buffer, double number);

#endif
