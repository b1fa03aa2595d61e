/* The architectures this program knows: one table with a row for each, and small files that write their
 * plans.
 *
 * A family gets the checked spec and the weights and writes a plan; that is all it does. Those that are built
 * alike share families/decoder.h and only say in what they differ.
 */
#ifndef LLMIND_MODEL_FAMILIES_H
#define LLMIND_MODEL_FAMILIES_H

#include <jansson.h>

#include "model/families/decoder.h"
#include "model/json_file.h"
#include "model/spec.h"

struct model_family {
    const char *model_type; /* of config.json */
    struct spec_defaults defaults;
    int (*write)(struct decoder *decoder); /* ends with decoder_write */
    /* A JSON object of the fields that the published configurations leave out; NULL: none. */
    const char *silent;
    /* Reads into the spec what only this family has; NULL: nothing. Failures are the fields'. */
    void (*read)(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
};

/* A model of several parts whose language model is one of the families: its fields are those of text_config,
 * its tensors begin with "language_model.", and those of its other parts are left alone. */
struct model_wrapper {
    const char *model_type;
    const char *text_type; /* where text_config names no model_type */
};

/* NULL when it is not known. */
const struct model_family *family_find(const char *model_type);
const struct model_wrapper *wrapper_find(const char *model_type);
/* The names of all families and wrappers: "llama, mistral, ..." */
const char *family_list(void);

int llama_write(struct decoder *decoder);
int mistral_write(struct decoder *decoder);
int qwen2_write(struct decoder *decoder);
int qwen3_write(struct decoder *decoder);

void ministral3_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
int mixtral_write(struct decoder *decoder);
void gemma2_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
int gemma2_write(struct decoder *decoder);
void gemma3_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
int gemma3_write(struct decoder *decoder);
int phi3_write(struct decoder *decoder);
void smollm3_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
void granite_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
int olmo2_write(struct decoder *decoder);
int glm4_write(struct decoder *decoder);
void gpt_oss_read(struct json_fields *fields, struct arena *arena, struct model_spec *spec);
int gpt_oss_write(struct decoder *decoder);

#endif
