/* Between the parts of the decoder's writer. */
#ifndef LLMIND_MODEL_DECODER_OPS_H
#define LLMIND_MODEL_DECODER_OPS_H

#include "model/families/decoder.h"

enum role { ROLE_PROJECTION, ROLE_HEAD, ROLE_ROUTER };

/* The one place where precision is decided. Integer codes (affine, and e2m1 whose doubles are integers) take
 * int8 activations, which is what makes them fast; formats without them are multiplied in f32 anyway. Routers
 * stay f32: a rounding that swaps two experts changes the answer in a jump, and a router is under a
 * thousandth of a layer's bytes. */
enum plan_precision decoder_precision(const struct weight *weight, enum role role);

enum { DECODER_PATH_BYTES = 160 };

/* "model.layers.3.NAME", or "model.NAME" outside the layers, with the prefix in front. */
void decoder_path(const struct decoder *decoder, const char *name, char path[DECODER_PATH_BYTES]);

const struct weight *decoder_matrix(struct decoder *decoder, const char *name, uint32_t n_experts,
                                    uint32_t rows, uint32_t cols);

/* The operation's name need not be the module's. */
void decoder_linear(struct decoder *decoder, const char *op_name, const char *module, enum role role,
                    bool bias, struct plan_view in, struct plan_view out);
void decoder_projection(struct decoder *decoder, const char *name, bool bias, struct plan_view in,
                        struct plan_view out);
/* Adds what the adapter changes in the linear layers written since the last time, of which there are
 * DECODER_MAX_WAITING at most (a further one is ERROR_INTERNAL in weights->status): together, so that layers
 * that read the same run side by side. Before their results are read. */
void decoder_adapt(struct decoder *decoder);
void decoder_norm(struct decoder *decoder, const char *name, uint32_t n_groups, struct plan_view in,
                  struct plan_view out);
/* Adds the branch to the residual. */
void decoder_add(struct decoder *decoder, const char *name, const struct decoder_rows *rows);

/* The two halves of a layer, each from the residual back into it. */
void decoder_attention(struct decoder *decoder, uint32_t layer, const struct decoder_rows *rows);
void decoder_mlp(struct decoder *decoder, uint32_t layer, const struct decoder_rows *rows);

#endif
