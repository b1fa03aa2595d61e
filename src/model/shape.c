#include "model/shape.h"

#include <stdlib.h>
#include <string.h>

#include "model/families/families.h"
#include "model/json_file.h"
#include "platform/file.h"

static int read_file(const char *path, json_t **config, struct error *error)
{
    char *text = NULL;
    size_t length = 0;
    int status = file_read(path, JSON_FILE_MAX_BYTES, &text, &length, error);
    if (status == 0)
        status = json_text_parse(text, length, path, config, error);
    free(text);
    return status;
}

int model_shape_read(const char *path, json_t **config, struct error *error)
{
    *config = NULL;
    return file_is_folder(path) ? json_file_read(path, "config.json", config, error)
                                : read_file(path, config, error);
}

json_t *model_shape_requantize(const json_t *config, uint32_t bits, uint32_t group_size)
{
    json_t *copy = json_copy((json_t *)(uintptr_t)config); /* jansson's copies do not touch the original */
    json_object_del(copy, "quantization");
    json_object_del(copy, "quantization_config");
    if (bits >= 16 || !copy)
        return copy;
    json_t *quantization = json_pack("{s:i, s:i}", "bits", (int)bits, "group_size", (int)group_size);
    if (!quantization || json_object_set_new(copy, "quantization", quantization)) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

const char *model_shape_architecture(const json_t *config)
{
    const char *type = json_string_value(json_object_get(config, "model_type"));
    return type ? type : "unknown";
}

/* What docs/plan.md found when these models were written down as plans; a prefix stands for its variants. */
static const struct {
    const char *prefix, *needs;
} needs[] = {
    {"gemma3n", "layers that predict one another and embeddings of their own for each"},
    {"deepseek_v", "a latent cache (MLA), block-diagonal products and routing by groups of experts"},
    {"qwen3_next", "recurrent layers: a convolution and a delta rule with a state of their own"},
    {"mamba", "recurrent layers with a state of their own"},
};

const char *model_shape_needs(const char *architecture)
{
    if (family_find(architecture) || wrapper_find(architecture))
        return NULL;
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (strncmp(architecture, needs[i].prefix, strlen(needs[i].prefix)) == 0)
            return needs[i].needs;
    return NULL;
}
