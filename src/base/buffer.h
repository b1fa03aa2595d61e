/* A growing run of bytes: responses, frames, text that is put together.
 *
 * Zero-initialise. One owner. A failed allocation is remembered (`failed`), further appends do nothing, so
 * that a writer checks once at the end. Always zero-terminated beyond length once anything was appended.
 */
#ifndef LLMIND_BASE_BUFFER_H
#define LLMIND_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct buffer {
    char *data;
    size_t length, capacity;
    bool failed; /* memory was short: data is incomplete */
};

void buffer_free(struct buffer *buffer);  /* and zeroed again */
void buffer_clear(struct buffer *buffer); /* keeps the memory */
void buffer_append(struct buffer *buffer, const void *bytes, size_t length);
void buffer_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Removes the first n bytes. */
void buffer_drop(struct buffer *buffer, size_t n);

#endif
