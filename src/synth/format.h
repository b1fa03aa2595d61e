/* How the matrices of a model are coded: the quantization modes of MLX checkpoints. */
#ifndef LLMIND_SYNTH_FORMAT_H
#define LLMIND_SYNTH_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum synth_mode { SYNTH_DENSE, SYNTH_AFFINE, SYNTH_MXFP4, SYNTH_MXFP8, SYNTH_NVFP4 };

struct synth_format {
    enum synth_mode mode;
    uint32_t bits;       /* 16 when dense (bf16) */
    uint32_t group_size; /* 0 when dense */
};

/* mode NULL, bits 0 and group_size 0 stand for the usual ones. ERROR_INVALID says which combinations exist.
 */
int synth_format_parse(const char *mode, uint32_t bits, uint32_t group_size, struct synth_format *out,
                       struct error *error);
const char *synth_mode_name(enum synth_mode mode);

/* Standard deviation of a code drawn as fill.c draws it, in units of the group's scale. */
float synth_format_code_std(const struct synth_format *format);

#endif
