/* The real shapes that can be made: the numbers of published config.json files. */
#ifndef LLMIND_SYNTH_SHAPE_H
#define LLMIND_SYNTH_SHAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum synth_family { SYNTH_LLAMA, SYNTH_MISTRAL, SYNTH_QWEN2, SYNTH_QWEN3, SYNTH_QWEN3_MOE };

struct synth_shape {
    const char *name, *summary;
    enum synth_family family;
    uint32_t hidden, layers, intermediate;
    uint32_t heads, kv_heads, head_dim;
    uint32_t vocab;
    uint32_t first_special; /* ids from here to vocab - 1 are special tokens */
    uint32_t max_context;
    uint32_t rope_theta;
    uint32_t rope_factor;    /* "llama3" scaling of a context of 8192; 0 = none */
    uint32_t sliding_window; /* 0 = none */
    bool tied;               /* the output head is the embedding table */
    uint32_t experts, active_experts, expert_intermediate;
};

/* NULL beyond the last. */
const struct synth_shape *synth_shape_at(size_t i);
/* ERROR_INVALID with the list of names. */
int synth_shape_find(const char *name, struct synth_shape *out, struct error *error);
/* config.json's "model_type". */
const char *synth_family_type(enum synth_family family);
/* Llama and Mistral put a BOS token before every text; the Qwens have none. */
bool synth_family_has_bos(enum synth_family family);

#endif
