/* The small JSON files of a model's folder, as other programs write them. */
#ifndef LLMIND_OUTPUT_JSON_H
#define LLMIND_OUTPUT_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "output/folder.h"

/* Takes over the object, also when it is NULL: jansson hands allocation failures down as NULL. Keys come in
 * their order when sorted. Errors: ERROR_MEMORY, ERROR_IO. */
int output_json(const struct output_folder *folder, const char *name, json_t *object, bool sorted,
                struct error *error);

#endif
