/* The weights of a model of noise, as output/shards.h writes them. */
#ifndef LLMIND_SYNTH_CHECKPOINT_H
#define LLMIND_SYNTH_CHECKPOINT_H

#include <stdint.h>

#include "output/folder.h"
#include "synth/synth.h"
#include "synth/tensor.h"

/* Writes all files and the index; *n_files as many as there are. Errors: those of output_shards. */
int checkpoint_write(const struct output_folder *folder, const struct synth_tensors *tensors,
                     uint64_t shard_bytes, synth_progress progress, void *context, uint32_t *n_files,
                     struct error *error);

#endif
