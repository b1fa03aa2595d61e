/* A LoRA adapter as mlx-lm writes it (arXiv 2106.09685): a folder of adapter_config.json and
 * adapters.safetensors with two thin matrices for some of a model's linear layers. The layer's result becomes
 *
 *     y = W x + scale * B A x        A: [rank, in], B: [out, rank]
 *
 * The files keep A and B transposed; they are turned when they are read, and kept in f32: an adapter is a
 * hundredth of its model.
 */
#ifndef LLMIND_MODEL_ADAPTER_H
#define LLMIND_MODEL_ADAPTER_H

#include "base/arena.h"
#include "model/checkpoint.h"
#include "plan/weight.h"

enum { ADAPTER_MAX_RANK = 1024 };

struct adapter {
    struct checkpoint checkpoint;
    uint32_t rank;
    float scale;
    struct arena *arena; /* borrowed: owns the matrices */
};

/* What one layer has; both NULL: nothing. */
struct adapter_pair {
    const struct weight *a, *b;
};

/* *adapter must be closed even after a failure, and may be as soon as the plan is written: what adapter_find
 * gave is the arena's, and the file is not needed any more. Errors: ERROR_NOT_FOUND, ERROR_INVALID, ERROR_IO,
 * and ERROR_UNSUPPORTED: it is of another kind (DoRA, full weights). */
int adapter_open(struct adapter *adapter, const char *folder, struct arena *arena, struct error *error);
void adapter_close(struct adapter *adapter);

/* The matrices of the linear layer of this name, which maps cols to rows. */
int adapter_find(struct adapter *adapter, const char *module, uint32_t rows, uint32_t cols,
                 struct adapter_pair *out, struct error *error);

/* ERROR_UNSUPPORTED naming a tensor that no layer has asked for. */
int adapter_check_leftovers(const struct adapter *adapter, struct error *error);

#endif
