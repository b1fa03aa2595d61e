/* config.json as a family of models and its checked numbers, also where it is of a model of several parts. */
#ifndef LLMIND_MODEL_CONFIG_H
#define LLMIND_MODEL_CONFIG_H

#include <jansson.h>

#include "model/families/families.h"
#include "model/spec.h"

/* What the tensors of a wrapped language model begin with. */
#define MODEL_CONFIG_TEXT_PREFIX "language_model."
/* What tensors of a wrapper begin with that no text goes through; ends with NULL. */
extern const char *const model_config_other_parts[];

struct model_config {
    const struct model_family *family;
    const struct model_wrapper *wrapper; /* NULL: config.json is of the language model alone */
    struct model_spec spec;
};

/* Errors name the field; ERROR_UNSUPPORTED: the architecture, or something of it, is not known. */
int model_config_read(const json_t *config, struct arena *arena, struct model_config *out,
                      struct error *error);
/* The fields of the language model: config itself, or its text_config. Borrowed. */
const json_t *model_config_text(const json_t *config);

#endif
