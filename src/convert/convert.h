/* Checkpoints as they are published (bf16, f16 or f32 numbers in safetensors files) become MLX checkpoints,
 * quantized or not: what `mlx_lm.convert` does, every tensor bit for bit the same, in C and as fast as the
 * files can be read and written. config.json keeps what it said, with "quantization" as mlx-lm writes it;
 * where it is silent about tied embeddings it gets an answer, since readers differ in what silence means, and
 * so does a text_config without a model_type, which mlx-lm does not load.
 *
 * Names change where MLX has others (stacked experts), what no reader needs is left out, the texts of the
 * tokenizer and the chat template are copied. Nothing of the source is changed. The output is opened and
 * checked like any model before it gets its name.
 */
#ifndef LLMIND_CONVERT_CONVERT_H
#define LLMIND_CONVERT_CONVERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct convert_options {
    const char *mode;        /* "affine", "mxfp4", "mxfp8"; NULL: affine */
    uint32_t bits;           /* 2 3 4 5 6 8, or 16: not quantized; 0: what the mode wants, 4 for affine */
    uint32_t group_size;     /* 32 64 128; 0: what the mode wants, 64 for affine */
    uint32_t embedding_bits; /* of the embedding (affine); 0: as all others */
    const char *recipe; /* "mixed_2_6", "mixed_3_4", "mixed_3_6", "mixed_4_6" (affine); NULL: all alike */
    /* "bfloat16", "float16", "float32"; NULL: config.json's torch_dtype, or its text_config's dtype, else as
     * they are */
    const char *dtype;
    uint32_t n_threads; /* 0: as many as the process may use */
};

struct convert_report {
    uint64_t parameters;   /* numbers */
    uint64_t source_bytes; /* of the tensors that were read */
    uint64_t tensor_bytes; /* of those that were written */
    uint32_t n_files;      /* safetensors files */
    uint32_t n_threads;
};

/* Called now and then on the caller's thread; false stops the work (ERROR_CANCELLED). */
typedef bool (*convert_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/* source: a folder with config.json and *.safetensors. target must not exist, or be empty; everything is
 * written to target.partial, which takes the name when it is complete and is removed when something fails.
 * Memory: scales and biases of the largest tensor, and some buffers. progress and report may be NULL.
 *
 * Errors: ERROR_INVALID (an option: the message lists what there is; a source that is quantized already; a
 * number that is not finite), ERROR_UNSUPPORTED (an architecture or a type of numbers), ERROR_NOT_FOUND,
 * ERROR_LIMIT (not enough free space, an absurd tensor or text), ERROR_BUSY (somebody is writing there),
 * ERROR_IO, ERROR_MEMORY, ERROR_CANCELLED. */
int convert_model(const struct convert_options *options, const char *source, const char *target,
                  convert_progress progress, void *context, struct convert_report *report,
                  struct error *error);

#endif
