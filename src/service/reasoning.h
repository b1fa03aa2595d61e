/* Tells a model's thinking from its answer while the text streams: <think> ... </think> at the beginning.
 *
 * Thinking is looked for at the start only (models that show their thoughts do it first); a tag later on is
 * text like any other. White space around the tags belongs to neither part. Text is held back only as long as
 * it may still become a tag, or white space before one. Pure: one owner, no engine, no clock.
 */
#ifndef LLMIND_SERVICE_REASONING_H
#define LLMIND_SERVICE_REASONING_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"

enum reasoning_state {
    REASONING_BEFORE, /* nothing but white space so far */
    REASONING_INSIDE, /* the model thinks */
    REASONING_AFTER,  /* the closing tag was seen, and no content yet */
    REASONING_CONTENT /* for the rest of the text */
};

struct reasoning {
    enum reasoning_state state;
    bool began; /* INSIDE: something other than white space was seen */
    struct buffer held;
};

/* thinking: false for text. The bytes are the callee's only during the call. */
typedef void (*reasoning_sink)(void *context, bool thinking, const char *text, size_t length);

/* inside: the prompt ended with an open <think>, so the text starts in the middle of a thought. */
void reasoning_init(struct reasoning *reasoning, bool inside);
void reasoning_free(struct reasoning *reasoning);
void reasoning_feed(struct reasoning *reasoning, const char *text, size_t length, reasoning_sink sink,
                    void *context);
/* The text is over: what was held back comes out. */
void reasoning_finish(struct reasoning *reasoning, reasoning_sink sink, void *context);

#endif
