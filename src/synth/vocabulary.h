/* A tokenizer of the real size: byte-level BPE whose merges make pronounceable words, and the special tokens
 * of the family. */
#ifndef LLMIND_SYNTH_VOCABULARY_H
#define LLMIND_SYNTH_VOCABULARY_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "synth/shape.h"

enum { VOCABULARY_TOKEN_MAX = 48 };

/* Text of special token `id` (first_special <= id < vocab). */
void vocabulary_special(const struct synth_shape *shape, uint32_t id, char out[VOCABULARY_TOKEN_MAX]);
/* The id of a family's special token by its text, or vocab when there is none. */
uint32_t vocabulary_find_special(const struct synth_shape *shape, const char *text);

/* Writes tokenizer.json. ERROR_LIMIT when the shape wants more tokens than there are made-up words. */
int vocabulary_write(const struct synth_shape *shape, FILE *file, struct error *error);

#endif
