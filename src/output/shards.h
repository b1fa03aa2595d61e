/* The safetensors files of a model: one, or shards of some gigabytes and an index, as mlx-lm cuts them.
 *
 * Whoever writes lists the tensors first, which gives the sizes, and fills in their bytes when they are asked
 * for, in the order of the list and from first row to last. While it fills, what came before is written by a
 * thread of its own. Memory: two buffers of a few megabytes, or of the longest row.
 */
#ifndef LLMIND_OUTPUT_SHARDS_H
#define LLMIND_OUTPUT_SHARDS_H

#include <stdbool.h>
#include <stdint.h>

#include "output/folder.h"

enum { OUTPUT_MAX_DIMS = 8 };

struct output_tensor {
    const char *name;  /* UTF-8 */
    const char *dtype; /* of safetensors: "U32", "U8", "BF16" */
    uint32_t n_dims;
    uint64_t dims[OUTPUT_MAX_DIMS];
    uint64_t rows, row_bytes; /* rows * row_bytes = its bytes */
};

struct output_source {
    const struct output_tensor *tensors; /* [n_tensors] */
    uint32_t n_tensors;
    uint64_t parameters; /* for the index: numbers, not packed words */
    /* Writes rows first .. first + count - 1 of a tensor to out (count * row_bytes bytes). Not 0: stops. */
    int (*fill)(void *context, uint32_t tensor, uint64_t first, uint64_t count, uint8_t *out,
                struct error *error);
    /* Called now and then on the caller's thread; false stops the work (ERROR_CANCELLED). May be NULL. */
    bool (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
    void *context;
};

#define OUTPUT_SHARD_BYTES (UINT64_C(5) << 30) /* mlx-lm's */

/* Writes all files and the index; *n_files as many as there are. At most shard_bytes of tensors per file (a
 * larger tensor has a file of its own). Errors: ERROR_IO, ERROR_MEMORY, ERROR_CANCELLED, fill's. */
int output_shards(const struct output_folder *folder, const struct output_source *source,
                  uint64_t shard_bytes, uint32_t *n_files, struct error *error);

/* Bytes of all tensors. */
uint64_t output_bytes(const struct output_source *source);

#endif
