/* The noise itself: bytes of any rows of any tensor, independent of all others. */
#ifndef LLMIND_SYNTH_FILL_H
#define LLMIND_SYNTH_FILL_H

#include <stdint.h>

#include "synth/tensor.h"

/* Writes rows first .. first + count - 1 of the tensor to out (count * row_bytes bytes). Pure. */
void synth_fill(const struct synth_tensor *tensor, uint64_t first, uint64_t count, uint8_t *out);

#endif
