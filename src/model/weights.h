/* Finding a module's tensors and checking them: from names in a file to a `struct weight` that a backend may
 * trust.
 *
 * A linear or embedding module NAME has NAME.weight, when quantized NAME.scales (and NAME.biases when affine,
 * NAME.global_scale when nvfp4 has one), and may have NAME.bias. Matrices stay where they are in the mapped
 * file; vectors (norms, biases) are copied to f32, since they are small and read by every kernel.
 */
#ifndef LLMIND_MODEL_WEIGHTS_H
#define LLMIND_MODEL_WEIGHTS_H

#include "base/arena.h"
#include "model/checkpoint.h"
#include "model/quantization.h"
#include "plan/weight.h"

/* Without a checkpoint (NULL) there are shapes only: every module that is asked for exists, quantized as
 * config.json says, of `type` where it is dense, and has no data.
 *
 * One per opening; the first failure stays in status, and later calls return NULL. */
struct weights {
    const struct checkpoint *checkpoint;
    enum scalar_type type; /* of what is not quantized, where there is no checkpoint */
    const struct quantization *quantization;
    struct arena *arena;
    struct error *error;
    int status;
    uint64_t parameters; /* numbers found so far, not packed words */
    uint64_t bytes;      /* of their tensors */
};

/* Whether a checkpoint has this tensor; without one nobody can tell, and it is false. */
bool weights_have(const struct weights *weights, const char *module, const char *suffix);

/* The matrix [rows, cols] of a module; n_experts > 0: a stack [n_experts, rows, cols] of them. */
const struct weight *weights_matrix(struct weights *weights, const char *module, uint32_t n_experts,
                                    uint32_t rows, uint32_t cols);
/* The vector MODULE.SUFFIX of this length, as f32. */
const float *weights_vector(struct weights *weights, const char *module, const char *suffix, uint32_t length);

/* The vectors of a stack of experts, [n_experts, length], one after another. */
const float *weights_vectors(struct weights *weights, const char *module, const char *suffix,
                             uint32_t n_experts, uint32_t length);
/* MODULE.weight of a norm, each plus base: some families store the distance from 1. */
const float *weights_norm(struct weights *weights, const char *module, uint32_t length, float base);

/* Counts a tensor as known though the plan does not need it. */
void weights_ignore(struct weights *weights, const char *module, const char *suffix);
/* All whose names begin so: "vision_tower." */
void weights_ignore_all(struct weights *weights, const char *beginning);

/* After everything was taken: ERROR_UNSUPPORTED naming a tensor that nobody asked for. A bias or a norm that
 * the program overlooked would give wrong answers without any other sign. */
int weights_check_leftovers(struct weights *weights);

#endif
