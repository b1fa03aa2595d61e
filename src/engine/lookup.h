/* Prompt lookup: the next tokens are guessed from the text itself (Saxena 2023; transformers'
 * prompt_lookup_num_tokens, llama.cpp's lookup). What was written before after the same last tokens is likely
 * to come again: names, code that is changed, a document that is summed up.
 *
 * A guess costs rows in a step, and saves a step for each that is right. How many are worth it follows from
 * how many have been right so far in this answer.
 */
#ifndef LLMIND_ENGINE_LOOKUP_H
#define LLMIND_ENGINE_LOOKUP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "engine/engine.h"

struct lookup {
    int32_t *text; /* [capacity] prompt and answer so far; NULL: no lookup */
    uint32_t n;    /* of text */
    uint32_t most; /* tokens guessed at once */
    float right;   /* share of guesses that were right, lately */
    uint32_t rest; /* steps to go without a search, while few were right */
    int32_t guess[ENGINE_MAX_PROMPT_LOOKUP];
    uint32_t n_guess; /* of this step */
};

/* most: 1 to ENGINE_MAX_PROMPT_LOOKUP. prompt is copied; n_answer: the most tokens that are added. */
int lookup_init(struct lookup *lookup, uint32_t most, const int32_t *prompt, uint32_t n_prompt,
                uint32_t n_answer, struct arena *arena, struct error *error);
void lookup_add(struct lookup *lookup, int32_t token);
/* Once a step: fills guess with at most `room` tokens that may follow the text. */
void lookup_guess(struct lookup *lookup, uint32_t room);
/* How many of the guesses were right. */
void lookup_learn(struct lookup *lookup, uint32_t n_right);

#endif
