/* Quality of a model over a text: perplexity, how often the most likely token is the right one, and how near
 * the logits are to those of another run (default against precise, one quantization against another).
 *
 * Works on an open engine through engine.h alone. */
#ifndef LLMIND_EVAL_EVAL_H
#define LLMIND_EVAL_EVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "eval/score.h"

struct eval_options {
    const int32_t *tokens; /* borrowed */
    size_t n_tokens;
    uint32_t window; /* tokens scored with one common context; 0: the engine's context */
    const char
        *logits_path; /* NULL, or where to write every position's logits: float32 .npy [n_tokens, vocab] */
    const char *compare_path; /* NULL, or such a file of another run over the same tokens */
};

struct eval_result {
    struct score score;
    size_t n_tokens;
    double seconds; /* of computing and scoring, without loading */
};

/* Called now and then on the caller's thread; false stops (ERROR_CANCELLED). */
typedef bool (*eval_progress)(void *context, size_t done_tokens, size_t total_tokens);

/* The text is cut into windows that do not overlap; the first token of a window is not scored. progress may
 * be NULL. Errors: ERROR_INVALID (fewer than two tokens, a token beyond the vocabulary, a comparison of
 * another shape, logits that are not finite), ERROR_IO, ERROR_CANCELLED, those of the engine. A logits file
 * that is not complete is removed. */
int eval_run(struct engine *engine, const struct eval_options *options, eval_progress progress, void *context,
             struct eval_result *out, struct error *error);

#endif
