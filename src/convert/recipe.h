/* How each matrix of a model is to be coded. */
#ifndef LLMIND_CONVERT_RECIPE_H
#define LLMIND_CONVERT_RECIPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "convert/convert.h"
#include "convert/quantize.h"
#include "model/config.h"

struct recipe {
    struct code_format base;
    uint32_t high_bits;      /* of the matrices that a mixed recipe holds to be sensitive; 0: not mixed */
    uint32_t embedding_bits; /* 0: as all others */
    uint32_t n_layers;
    const char *const *careful; /* ends of modules that have 8 bits, as mlx-lm's families ask for, up to a
                                   NULL; NULL: none */
};

/* model: the source's. Errors: ERROR_INVALID. */
int recipe_read(const struct convert_options *options, const struct model_config *model, struct recipe *out,
                struct error *error);

/* How the matrix of a module ("model.layers.0.mlp.down_proj") with so many columns is coded; dense where its
 * rows cannot be cut into groups. */
struct code_format recipe_of(const struct recipe *recipe, const char *module, uint64_t cols);

/* {"group_size", "bits", "mode"}, as in config.json; a new reference, or NULL: memory. */
json_t *recipe_json(const struct code_format *format);

#endif
