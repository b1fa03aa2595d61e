/* generation_config.json: how the model's makers want it sampled, and which tokens end an answer. */
#ifndef LLMIND_MODEL_GENERATION_H
#define LLMIND_MODEL_GENERATION_H

#include <jansson.h>

#include "model/model.h"

/* generation: of generation_config.json, or NULL. What it leaves out of eos and bos comes from config, and
 * what that leaves out from its text_config (as in transformers' GenerationConfig.from_model_config). */
int generation_read(const json_t *config, const json_t *generation, struct model_generation *out,
                    struct error *error);

#endif
