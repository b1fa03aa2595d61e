/* Numbers as the models' own config.json files give them. The tiny shapes have a real family's structure at a
 * size that a test can afford. */
#include "synth/shape.h"

#include <string.h>

#include "synth/synth.h"

/* clang-format off */
static const struct synth_shape shapes[] = {
    /* hidden, layers, intermediate | heads, kv_heads, head_dim | vocab, first_special | max_context, rope_theta,
     * rope_factor, sliding_window | tied | experts, active_experts, expert_intermediate */
    {"llama-3.2-1b", "1.2 B parameters, tied embeddings", SYNTH_LLAMA,
     2048, 16, 8192,  32, 8, 64,  128256, 128000,  131072, 500000, 32, 0,  true,  0, 0, 0},
    {"llama-3.2-3b", "3.2 B parameters, tied embeddings", SYNTH_LLAMA,
     3072, 28, 8192,  24, 8, 128,  128256, 128000,  131072, 500000, 32, 0,  true,  0, 0, 0},
    {"llama-3.1-8b", "8.0 B parameters", SYNTH_LLAMA,
     4096, 32, 14336,  32, 8, 128,  128256, 128000,  131072, 500000, 8, 0,  false,  0, 0, 0},
    {"llama-3.1-70b", "70.6 B parameters", SYNTH_LLAMA,
     8192, 80, 28672,  64, 8, 128,  128256, 128000,  131072, 500000, 8, 0,  false,  0, 0, 0},
    {"mistral-7b", "7.2 B parameters, window of 4096", SYNTH_MISTRAL,
     4096, 32, 14336,  32, 8, 128,  32000, 31744,  32768, 10000, 0, 4096,  false,  0, 0, 0},
    {"qwen2.5-0.5b", "0.5 B parameters, tied embeddings, biases", SYNTH_QWEN2,
     896, 24, 4864,  14, 2, 64,  151936, 151643,  32768, 1000000, 0, 0,  true,  0, 0, 0},
    {"qwen2.5-7b", "7.6 B parameters, biases", SYNTH_QWEN2,
     3584, 28, 18944,  28, 4, 128,  152064, 151643,  32768, 1000000, 0, 0,  false,  0, 0, 0},
    {"qwen3-0.6b", "0.6 B parameters, tied embeddings", SYNTH_QWEN3,
     1024, 28, 3072,  16, 8, 128,  151936, 151643,  40960, 1000000, 0, 0,  true,  0, 0, 0},
    {"qwen3-1.7b", "1.7 B parameters, tied embeddings", SYNTH_QWEN3,
     2048, 28, 6144,  16, 8, 128,  151936, 151643,  40960, 1000000, 0, 0,  true,  0, 0, 0},
    {"qwen3-4b", "4.0 B parameters, tied embeddings", SYNTH_QWEN3,
     2560, 36, 9728,  32, 8, 128,  151936, 151643,  40960, 1000000, 0, 0,  true,  0, 0, 0},
    {"qwen3-8b", "8.2 B parameters", SYNTH_QWEN3,
     4096, 36, 12288,  32, 8, 128,  151936, 151643,  40960, 1000000, 0, 0,  false,  0, 0, 0},
    {"qwen3-30b-a3b", "30.5 B parameters, 3.3 B active", SYNTH_QWEN3_MOE,
     2048, 48, 6144,  32, 4, 128,  151936, 151643,  40960, 1000000, 0, 0,  false,  128, 8, 768},
    {"tiny-llama", "for tests", SYNTH_LLAMA,
     256, 4, 512,  8, 2, 32,  1024, 1000,  131072, 500000, 32, 0,  true,  0, 0, 0},
    {"tiny-mistral", "for tests, window of 48", SYNTH_MISTRAL,
     256, 4, 512,  8, 2, 32,  1024, 1000,  4096, 10000, 0, 48,  false,  0, 0, 0},
    {"tiny-qwen2", "for tests", SYNTH_QWEN2,
     256, 4, 512,  4, 2, 64,  1024, 992,  32768, 1000000, 0, 0,  true,  0, 0, 0},
    {"tiny-qwen3", "for tests", SYNTH_QWEN3,
     256, 4, 512,  4, 2, 128,  1024, 992,  40960, 1000000, 0, 0,  true,  0, 0, 0},
    {"tiny-qwen3-moe", "for tests, 8 experts", SYNTH_QWEN3_MOE,
     256, 4, 512,  4, 2, 64,  1024, 992,  40960, 1000000, 0, 0,  true,  8, 2, 128},
};
/* clang-format on */

enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

const struct synth_shape *synth_shape_at(size_t i)
{
    return i < N_SHAPES ? &shapes[i] : NULL;
}

const char *synth_shape_name(size_t i)
{
    return i < N_SHAPES ? shapes[i].name : NULL;
}

const char *synth_shape_summary(size_t i)
{
    return i < N_SHAPES ? shapes[i].summary : NULL;
}

int synth_shape_find(const char *name, struct synth_shape *out, struct error *error)
{
    char names[512] = "";
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            *out = shapes[i];
            return 0;
        }
        size_t used = strlen(names), more = strlen(shapes[i].name);
        if (used + more + 3 < sizeof names) {
            memcpy(names + used, used ? ", " : "", used ? 2 : 0);
            memcpy(names + used + (used ? 2 : 0), shapes[i].name, more + 1);
        }
    }
    return error_set(error, ERROR_INVALID, "no shape is called \"%s\"; there are: %s", name, names);
}

const char *synth_family_type(enum synth_family family)
{
    switch (family) {
    case SYNTH_LLAMA:
        return "llama";
    case SYNTH_MISTRAL:
        return "mistral";
    case SYNTH_QWEN2:
        return "qwen2";
    case SYNTH_QWEN3:
        return "qwen3";
    case SYNTH_QWEN3_MOE:
        return "qwen3_moe";
    }
    return "unknown";
}

bool synth_family_has_bos(enum synth_family family)
{
    return family == SYNTH_LLAMA || family == SYNTH_MISTRAL;
}
