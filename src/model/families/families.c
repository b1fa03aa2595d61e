#include "model/families/families.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* Defaults are those of transformers' configuration classes and of mlx-lm where they agree. */
static const struct model_family families[] = {
    {"llama", {.context = 2048, .rope_theta = 10000}, llama_write, NULL, NULL},
    {"mistral", {.context = 131072, .rope_theta = 10000}, mistral_write, NULL, NULL},
    {"ministral3", {.context = 262144, .rope_theta = 1000000}, llama_write, NULL, ministral3_read},
    {"mixtral",
     {.context = 131072, .rope_theta = 1000000, .experts = EXPERTS_LOCAL},
     mixtral_write,
     "{\"rms_norm_eps\": 1e-5, \"num_local_experts\": 8, \"num_experts_per_tok\": 2}",
     NULL},
    {"qwen2", {.context = 32768, .rope_theta = 1000000}, qwen2_write, NULL, NULL},
    {"qwen3", {.context = JSON_REQUIRED_COUNT, .rope_theta = JSON_REQUIRED_NUMBER}, qwen3_write, NULL, NULL},
    {"qwen3_moe",
     {.context = JSON_REQUIRED_COUNT, .rope_theta = JSON_REQUIRED_NUMBER, .experts = EXPERTS_QWEN},
     qwen3_write,
     NULL,
     NULL},
    {"gemma2",
     {.context = 8192, .rope_theta = 10000},
     gemma2_write,
     "{\"hidden_act\": \"gelu_pytorch_tanh\", \"tie_word_embeddings\": true, \"sliding_window\": 4096}",
     gemma2_read},
    {"gemma3_text",
     {.context = 131072, .rope_theta = 1000000},
     gemma3_write,
     "{\"hidden_act\": \"gelu_pytorch_tanh\", \"num_attention_heads\": 8, \"num_key_value_heads\": 4, "
     "\"head_dim\": 256, \"rms_norm_eps\": 1e-6, \"vocab_size\": 262208, \"sliding_window\": 4096}",
     gemma3_read},
    {"phi3", {.context = 131072, .rope_theta = 10000}, phi3_write, NULL, NULL},
    {"smollm3",
     {.context = 32768, .rope_theta = 2000000},
     llama_write,
     "{\"tie_word_embeddings\": true}",
     smollm3_read},
    {"granite", {.context = 2048, .rope_theta = 10000}, llama_write, NULL, granite_read},
    {"olmo2", {.context = 2048, .rope_theta = 10000}, olmo2_write, NULL, NULL},
    {"glm4",
     {.context = 131072, .rope_theta = 10000, .partial = 0.5},
     glm4_write,
     "{\"rope_traditional\": true}",
     NULL},
    {"gpt_oss",
     {.context = 131072, .rope_theta = 150000, .experts = EXPERTS_LOCAL},
     gpt_oss_write,
     "{\"head_dim\": 64, \"rms_norm_eps\": 1e-5, \"sliding_window\": 128}",
     gpt_oss_read},
};

static const struct model_wrapper wrappers[] = {
    {"gemma3", "gemma3_text"},
    {"mistral3", "mistral"},
};

static pthread_once_t list_once = PTHREAD_ONCE_INIT;
static char list[512];

const struct model_family *family_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strcmp(model_type, families[i].model_type) == 0)
            return &families[i];
    return NULL;
}

const struct model_wrapper *wrapper_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        if (strcmp(model_type, wrappers[i].model_type) == 0)
            return &wrappers[i];
    return NULL;
}

static void add_to_list(const char *name)
{
    size_t used = strlen(list);
    snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", name);
}

static void write_list(void)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        add_to_list(families[i].model_type);
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
        add_to_list(wrappers[i].model_type);
}

const char *family_list(void)
{
    pthread_once(&list_once, write_list);
    return list;
}
