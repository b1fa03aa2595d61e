/* What config.json says about how weights are coded.
 *
 *   "quantization": {"group_size": 64, "bits": 4, "mode": "affine",
 *                    "model.layers.0.mlp.down_proj": {"group_size": 32, "bits": 6}, "lm_head": false}
 *
 * mlx-lm writes the same object again as "quantization_config". Its loader (0.32) takes a module's own entry
 * at its word, and for every other module that has scales it reads bits and group size off the tensors'
 * shapes; so do we, and then hold both against the shapes. Other programs' formats (awq, gptq, fp8,
 * compressed-tensors, bitnet ...) are refused by name: mlx_lm.convert makes MLX checkpoints of them.
 * "quantize_activations" is about how mlx multiplies, not about what the file holds, and is ignored.
 */
#ifndef LLMIND_MODEL_QUANTIZATION_H
#define LLMIND_MODEL_QUANTIZATION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "plan/weight.h"

struct quantization {
    bool present;
    enum weight_format format;
    uint32_t bits, group_size;
    const json_t *object; /* borrowed from config.json's tree */
};

/* Checks the whole object, entries of single modules included. */
int quantization_read(const json_t *config, struct quantization *out, struct error *error);

enum quantization_choice {
    QUANTIZATION_BY_SHAPE, /* nothing is said of this module: dense, or what its tensors look like */
    QUANTIZATION_DENSE,    /* false */
    QUANTIZATION_GIVEN     /* format, bits and group size are given */
};
/* What is said about one module ("model.layers.0.mlp.down_proj"); fills format, bits, group_size when GIVEN.
 */
enum quantization_choice quantization_of(const struct quantization *quantization, const char *module,
                                         enum weight_format *format, uint32_t *bits, uint32_t *group_size);

/* A mode of config.json ("affine", "mxfp4", ...) with the bits and the group size it has where none are
 * given; false: there is none of that name. */
bool quantization_mode(const char *name, enum weight_format *format, uint32_t *bits, uint32_t *group_size);
/* The mode's name; "" for a format that is none. */
const char *quantization_mode_name(enum weight_format format);

/* True for combinations that exist: affine 2/3/4/5/6/8 bits in groups of 32/64/128, mxfp4 4/32, mxfp8 8/32,
 * nvfp4 4/16. */
bool quantization_exists(enum weight_format format, uint32_t bits, uint32_t group_size);

#endif
