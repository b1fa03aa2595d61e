#include "model/families/families.h"

#include <string.h>

#include "model/json_file.h"

/* Defaults are those of transformers' configuration classes and of mlx-lm where they agree. */
static const struct model_family families[] = {
    {"llama", {.context = 2048, .rope_theta = 10000}, llama_write},
    {"mistral", {.context = 131072, .rope_theta = 10000}, mistral_write},
    {"qwen2", {.context = 32768, .rope_theta = 1000000}, qwen2_write},
    {"qwen3", {.context = JSON_REQUIRED_COUNT, .rope_theta = JSON_REQUIRED_NUMBER}, qwen3_write},
    {"qwen3_moe",
     {.context = JSON_REQUIRED_COUNT, .rope_theta = JSON_REQUIRED_NUMBER, .experts = true},
     qwen3_moe_write},
};

const struct model_family *family_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(model_type, families[i].model_type) == 0)
            return &families[i];
    return NULL;
}

const char *family_list(void)
{
    return "llama, mistral, qwen2, qwen3, qwen3_moe";
}
