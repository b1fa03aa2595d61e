/* A model before its weights are there: config.json alone, compiled into a plan that can be asked for shapes
 * and costs. Not a byte of weights is looked for, let alone read. As everywhere in this module the file is
 * hostile until checked.
 */
#ifndef LLMIND_MODEL_SHAPE_H
#define LLMIND_MODEL_SHAPE_H

#include <jansson.h>
#include <stdbool.h>

#include "model/model.h"

/* path: a folder that holds config.json, or such a file under any name. *config: a new reference. Errors:
 * ERROR_NOT_FOUND, ERROR_INVALID, ERROR_IO, ERROR_LIMIT. */
int model_shape_read(const char *path, json_t **config, struct error *error);

/* *out: model_plan's result is `shapes_only`, model_info's file_bytes are those of the tensors, and there is
 * no generation. Errors: those of model_open about config.json. */
int model_shape_compile(const json_t *config, const char *name, struct model **out, struct error *error);

/* The same configuration with all weights affine of so many bits in groups of group_size, or plain 16-bit
 * numbers when bits is 16; entries of single modules are dropped. A new reference; NULL: memory. */
json_t *model_shape_requantize(const json_t *config, uint32_t bits, uint32_t group_size);

/* What config.json calls itself; "unknown". Borrowed. */
const char *model_shape_architecture(const json_t *config);
/* What this program would need to run an architecture that it does not know: a clause that goes behind "it
 * needs"; NULL: nobody has looked at it yet, or it is supported. */
const char *model_shape_needs(const char *architecture);

#endif
