/* Weights that are not there yet: what a module's tensors will look like, by config.json alone. Called by
 * weights.c where there is no checkpoint. */
#ifndef LLMIND_MODEL_WEIGHTS_SHAPE_H
#define LLMIND_MODEL_WEIGHTS_SHAPE_H

#include "model/weights.h"

/* Fills format, bits and row_bytes; rows, cols and n_experts are there. Returns weights->status. */
int weights_shape_matrix(struct weights *weights, const char *module, struct weight *out);
/* Zeros: one vector of this length, which stands for rows of them (0: for itself). */
float *weights_shape_vectors(struct weights *weights, uint32_t rows, uint32_t length);

/* What config.json's "torch_dtype" or "dtype" says, or its text_config's; bf16 where they say nothing. */
enum scalar_type weights_shape_type(const json_t *config);

#endif
