/* Short texts about a model's weights, for people. */
#ifndef LLMIND_MODEL_DESCRIBE_H
#define LLMIND_MODEL_DESCRIBE_H

#include "base/arena.h"
#include "plan/plan.h"

/* "bf16", "4-bit affine, group 64", "mixed: 4-bit affine, group 64; 8-bit affine, group 64" (largest share of
 * bytes first). NULL when memory is short. */
const char *describe_weights(const struct plan *plan, struct arena *arena);

#endif
