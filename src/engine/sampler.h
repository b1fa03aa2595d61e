/* From a row of logits to a token.
 *
 * Order, as transformers (generation/utils.py: _get_logits_processor), vLLM and llama.cpp have it:
 *   logit bias, penalties        on the raw logits
 *   what is allowed              all other tokens are out, whatever their logits
 *   temperature                  x / T; T = 0 takes the largest logit (lowest id on ties) and stops here
 *   top-k                        the k most probable tokens (Fan et al. 2018, arXiv 1805.04833)
 *   top-p                        the smallest head whose probability reaches p (Holtzman et al. 2019,
 *                                arXiv 1904.09751), probabilities taken after top-k
 *   min-p                        tokens at least min_p times as probable as the best (Nguyen et al. 2024,
 *                                arXiv 2407.01082)
 *   draw                         with random_unit(seed, index of the token in the answer)
 * "Most probable" is a total order, lower id first among equals, so that every result is determined.
 *
 * Logits that are NaN or infinite are an error of the model, never a crash.
 *
 * A sampler is scratch memory: one per engine, touched by the engine's thread only. Nothing is allocated
 * after sampler_init.
 */
#ifndef LLMIND_ENGINE_SAMPLER_H
#define LLMIND_ENGINE_SAMPLER_H

#include <stdint.h>

#include "base/error.h"
#include "engine/engine.h"
#include "engine/penalties.h"

struct sampler_candidate {
    float logit, weight; /* weight = exp((logit - largest) / T): 1 for the best token */
    int32_t token;
};

struct sampler {
    uint32_t vocab;
    float *adjusted;                      /* [vocab] logits with bias and penalties */
    struct sampler_candidate *candidates; /* [vocab] */
};

int sampler_init(struct sampler *sampler, uint32_t vocab, struct error *error);
void sampler_free(struct sampler *sampler);

/* logits: [vocab], raw; settings were checked by sampler_check; penalties may be off. index: how many tokens
 * of the answer came before. allowed: one bit per token (bit id % 32 of word id / 32), at least one set;
 * NULL: all. Errors: ERROR_INTERNAL when a logit is not finite. */
int sampler_draw(struct sampler *sampler, const struct engine_sampling *settings,
                 const struct penalties *penalties, const uint32_t *allowed, uint32_t index,
                 const float *logits, int32_t *token, struct error *error);

/* Natural logarithms of softmax(raw logits), what is allowed not considered: of `token`, and of the n_top
 * most probable tokens, best first. logits are finite. n_top <= ENGINE_MAX_LOGPROBS and <= vocab. */
void sampler_logprobs(const float *logits, uint32_t vocab, int32_t token, uint32_t n_top, float *logprob,
                      struct engine_logprob *top);

/* ERROR_INVALID with the name of the field that is out of range. */
int sampler_check(const struct engine_sampling *settings, uint32_t vocab, struct error *error);

#endif
