/* The architectures this program knows: one table, one row and one small file each.
 *
 * A family gets the checked spec and the weights and writes a plan; that is all it does. Those that are built
 * alike share families/decoder.h and only say in what they differ.
 */
#ifndef LLMIND_MODEL_FAMILIES_H
#define LLMIND_MODEL_FAMILIES_H

#include "model/families/decoder.h"
#include "model/spec.h"

struct model_family {
    const char *model_type; /* of config.json */
    struct spec_defaults defaults;
    int (*write)(struct decoder *decoder); /* ends with decoder_write */
};

/* NULL when it is not known. */
const struct model_family *family_find(const char *model_type);
/* "llama, mistral, ..." */
const char *family_list(void);

int llama_write(struct decoder *decoder);
int mistral_write(struct decoder *decoder);
int qwen2_write(struct decoder *decoder);
int qwen3_write(struct decoder *decoder);
int qwen3_moe_write(struct decoder *decoder);

#endif
