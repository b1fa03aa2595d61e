/* The small JSON files of a checkpoint: what the model is, how it samples, how it chats. */
#ifndef LLMIND_SYNTH_CONFIGURATION_H
#define LLMIND_SYNTH_CONFIGURATION_H

#include "output/folder.h"
#include "synth/format.h"
#include "synth/shape.h"

/* config.json with the fields that published checkpoints of the family have. */
int configuration_write_model(const struct output_folder *folder, const struct synth_shape *shape,
                              const struct synth_format *format, struct error *error);
/* generation_config.json and tokenizer_config.json. */
int configuration_write_text(const struct output_folder *folder, const struct synth_shape *shape,
                             struct error *error);

#endif
