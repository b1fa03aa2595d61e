/* Writes a LoRA adapter for the tiny model (support/tiny_model.h): of rank 2, for the queries of its first
 * layer. */
#ifndef LLMIND_TESTS_TINY_ADAPTER_H
#define LLMIND_TESTS_TINY_ADAPTER_H

#include "support/tiny_model.h"

enum {
    TINY_RANK = 2,
    TINY_ADAPTER_BYTES = (TINY_HIDDEN + TINY_HEADS * TINY_HEAD_DIM) * TINY_RANK * 4 /* f32 */
};

static inline void tiny_half(struct tiny_writer *writer, const char *suffix, uint32_t rows, uint32_t cols)
{
    tiny_entry(writer, "model.layers.0.self_attn.q_proj", suffix, "F32", rows, cols,
               (uint64_t)rows * cols * 4);
    for (uint32_t i = 0; i < rows * cols; i++)
        tiny_number(writer, 0.1f * tiny_uniform(writer));
}

/* Into a new folder under $TMPDIR or /tmp; its path goes to folder[0..capacity). */
static inline void tiny_adapter_write(uint64_t seed, char *folder, size_t capacity)
{
    const char *root = getenv("TMPDIR");
    struct tiny_writer writer;
    snprintf(folder, capacity, "%s/llmind-lora-XXXXXX", root && *root ? root : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        abort();
    }
    FILE *file = tiny_create(folder, "adapter_config.json");
    fprintf(file, "{\"fine_tune_type\":\"lora\",\"lora_parameters\":{\"rank\":%d,\"scale\":2.0}}", TINY_RANK);
    fclose(file);
    tiny_begin(&writer, TINY_F32, seed);
    tiny_half(&writer, ".lora_a", TINY_HIDDEN, TINY_RANK);
    tiny_half(&writer, ".lora_b", TINY_RANK, TINY_HEADS * TINY_HEAD_DIM);
    tiny_end(&writer, folder, "adapters.safetensors");
}

/* What it is called wherever it is told. */
static inline const char *tiny_adapter_name(const char *folder)
{
    return strrchr(folder, '/') + 1;
}

static inline void tiny_adapter_remove(const char *folder)
{
    folder_remove(folder);
}

#endif
