/* Repetition, presence and frequency penalties of one sequence.
 *
 * repetition (transformers' RepetitionPenaltyLogitsProcessor, after Keskar et al., CTRL, arXiv 1909.05858):
 * each token that occurs in prompt or answer has its logit divided by the penalty when positive, multiplied
 * when negative; once, however often it occurs. presence, frequency (OpenAI API reference, "Parameter
 * details"): with c = occurrences in the answer, logit -= c * frequency + (c > 0) * presence.
 *
 * All memory comes from the request's arena when it is submitted; afterwards nothing is allocated. Filled by
 * the thread that submits, then touched by the engine's thread only.
 */
#ifndef LLMIND_ENGINE_PENALTIES_H
#define LLMIND_ENGINE_PENALTIES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/engine.h"

struct penalties {
    float repetition, presence, frequency;
    uint32_t *entry_of; /* [vocab] 1 + index of the token's entry, 0: not seen. NULL: no penalty is on */
    struct penalty_entry {
        int32_t token;
        uint32_t in_answer;
    } * entries; /* [capacity] each token seen, once */
    uint32_t n_entries, capacity;
};

/* max_tokens: of prompt and answer together. With all three penalties off this is a zeroed struct on which
 * the other functions do nothing. */
int penalties_init(struct penalties *penalties, const struct engine_sampling *sampling, struct arena *arena,
                   uint32_t vocab, uint32_t max_tokens, struct error *error);
/* Tokens are in 0 .. vocab - 1. */
void penalties_add(struct penalties *penalties, int32_t token, bool in_answer);
/* logits: [vocab], changed in place. Results are kept finite. */
void penalties_apply(const struct penalties *penalties, float *logits);

static inline bool penalties_on(const struct penalties *penalties)
{
    return penalties->entry_of != NULL;
}

#endif
