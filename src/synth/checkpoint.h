/* The safetensors files of a model: one, or shards of up to 5 GiB and an index, as mlx-lm cuts them. */
#ifndef LLMIND_SYNTH_CHECKPOINT_H
#define LLMIND_SYNTH_CHECKPOINT_H

#include <stdint.h>

#include "synth/folder.h"
#include "synth/synth.h"
#include "synth/tensor.h"

/* Writes all files and the index; *n_files as many as there are. Limit: shard_bytes per file (a larger tensor
 * has a file of its own). Errors: ERROR_IO, ERROR_MEMORY, ERROR_CANCELLED. */
int checkpoint_write(const struct synth_folder *folder, const struct synth_tensors *tensors,
                     uint64_t shard_bytes, synth_progress progress, void *context, uint32_t *n_files,
                     struct error *error);

#endif
