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

/* What a parser would build of a text, counted without building it: parsers recurse, and a value of two bytes
 * may cost them a hundred. Of a text that is not JSON something is counted; the parser refuses it. */
struct json_text_size {
    size_t depth;      /* objects and arrays inside one another */
    size_t containers; /* objects and arrays */
    size_t values;     /* all values, and a few more or less */
};
struct json_text_size json_text_measure(const char *text, size_t length);

/* For texts that strangers wrote, wherever they are parsed in this process. */
enum { JSON_TEXT_MAX_DEPTH = 64 };

#endif
