/* Rotary position embeddings and the ways of stretching them, as config.json names them: default, linear,
 * dynamic, llama3, yarn, longrope (once called su). The reference for numbers is mlx_lm/models/rope_utils.py.
 */
#ifndef LLMIND_MODEL_ROPE_H
#define LLMIND_MODEL_ROPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN, ROPE_LONG };

struct rope_spec {
    enum rope_kind kind;
    bool interleaved; /* "rope_traditional" */
    double theta, factor;
    double partial;              /* of a head's dimensions, the first ones, turn: partial_rotary_factor */
    uint32_t max_positions;      /* max_position_embeddings */
    uint32_t original_positions; /* llama3, yarn, longrope */
    double low_freq_factor, high_freq_factor;
    double beta_fast, beta_slow;
    double mscale, mscale_all_dim; /* yarn */
    double attention_factor;       /* yarn, longrope: used instead of mscale when above 0 */
    bool truncate;                 /* yarn: round the correction range outwards */
    const double *long_factor;     /* longrope: [n_factors], the arena's */
    uint32_t n_factors;
};

/* Reads rope_theta, rope_traditional, partial_rotary_factor, and rope_scaling or (transformers 5)
 * rope_parameters, of which those of full attention where each kind of layer has its own. default_theta as
 * json_fields_number takes it; default_partial: where no place has a partial_rotary_factor. */
int rope_spec_read(const json_t *config, double default_theta, double default_partial, uint32_t max_positions,
                   struct arena *arena, struct rope_spec *out, struct error *error);

/* Dimensions of a head that turn: even, at least 2; 0 where the spec and head_dim do not go together. */
uint32_t rope_dims(const struct rope_spec *spec, uint32_t head_dim);

/* Tokens the stretched embedding is meant for. */
uint32_t rope_context(const struct rope_spec *spec);

/* Frequencies for heads of `dims` rotated dimensions. NULL when memory is short. */
const struct plan_rope *rope_build(const struct rope_spec *spec, uint32_t dims, struct arena *arena);

#endif
