/* Models of real shapes with random weights: something to benchmark and test a machine with, without any
 * download.
 *
 * What comes out is a checkpoint folder as mlx-lm writes it (config.json, model*.safetensors, tokenizer.json,
 * ...) that every reader of MLX models opens. The weights are noise, but noise whose activations behave:
 * every linear layer keeps the variance of what goes in, the residual stream grows as a trained one does,
 * logits have a spread. The tokenizer is a working byte-level BPE of the real size whose tokens are made-up
 * words.
 *
 * This module writes files. It knows nothing of how they are read.
 */
#ifndef LLMIND_SYNTH_SYNTH_H
#define LLMIND_SYNTH_SYNTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct synth_options {
    const char *shape;   /* "llama-3.2-1b": see synth_shape_name */
    const char *mode;    /* "affine", "mxfp4", "mxfp8", "nvfp4"; NULL: affine */
    uint32_t bits;       /* 2 3 4 5 6 8, or 16 = plain bf16; 0: what the mode wants, 4 for affine */
    uint32_t group_size; /* 32 64 128; 0: what the mode wants, 64 for affine */
    uint32_t n_layers;   /* 0: the shape's own; fewer or more make a shorter or longer model */
    uint64_t seed;       /* the same options and seed write the same bytes */
    bool outliers;       /* channels and a first token as extreme as trained models have: see outliers.h */
};

struct synth_report {
    uint64_t parameters;   /* numbers, not packed words */
    uint64_t tensor_bytes; /* of all tensors */
    uint32_t n_files;      /* safetensors files */
};

/* Called now and then on the caller's thread; false stops the work (ERROR_CANCELLED). */
typedef bool (*synth_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/* Writes the model. The folder `path` must not exist, or be empty. Everything is written to `path`.partial
 * first, which takes the final name when it is complete: a model that was interrupted is never found under
 * its name. On failure and on cancellation the partial folder is removed; after a crash the next call with
 * the same folder reuses it.
 *
 * progress and report may be NULL. Memory use is a few megabytes, whatever the shape.
 * Errors: ERROR_INVALID (shape, bits, group size, layers: the message lists what there is; a folder that
 * holds something), ERROR_LIMIT (not enough free space, with figures), ERROR_BUSY (somebody is writing
 * there), ERROR_IO, ERROR_MEMORY, ERROR_CANCELLED. */
int synth_write(const struct synth_options *options, const char *path, synth_progress progress, void *context,
                struct synth_report *report, struct error *error);

/* Name of shape number i, and one line about it; NULL beyond the last. */
const char *synth_shape_name(size_t i);
const char *synth_shape_summary(size_t i);

#endif
