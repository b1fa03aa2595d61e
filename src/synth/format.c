/* The combinations are those of mx.quantize (mlx 0.32): affine takes any bits and groups of its lists, the
 * other modes one pair each. */
#include "synth/format.h"

#include <math.h>
#include <string.h>

static const char *const mode_names[] = {"dense", "affine", "mxfp4", "mxfp8", "nvfp4"};

const char *synth_mode_name(enum synth_mode mode)
{
    return mode_names[mode];
}

static int parse_affine(uint32_t bits, uint32_t group_size, struct synth_format *out, struct error *error)
{
    bits = bits ? bits : 4;
    if (bits == 16) {
        if (group_size)
            return error_set(error, ERROR_INVALID, "16 bits are plain bf16, which has no group size");
        *out = (struct synth_format){SYNTH_DENSE, 16, 0};
        return 0;
    }
    group_size = group_size ? group_size : 64;
    if (bits < 2 || bits > 8 || bits == 7)
        return error_set(error, ERROR_INVALID, "%u bits: affine has 2, 3, 4, 5, 6 and 8 (and 16 for bf16)",
                         bits);
    if (group_size != 32 && group_size != 64 && group_size != 128)
        return error_set(error, ERROR_INVALID, "group size %u: affine has 32, 64 and 128", group_size);
    *out = (struct synth_format){SYNTH_AFFINE, bits, group_size};
    return 0;
}

int synth_format_parse(const char *mode, uint32_t bits, uint32_t group_size, struct synth_format *out,
                       struct error *error)
{
    static const struct synth_format fixed[] = {
        {SYNTH_MXFP4, 4, 32},
        {SYNTH_MXFP8, 8, 32},
        {SYNTH_NVFP4, 4, 16},
    };
    if (!mode || strcmp(mode, "affine") == 0)
        return parse_affine(bits, group_size, out, error);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (strcmp(mode, mode_names[fixed[i].mode]) != 0)
            continue;
        if ((bits && bits != fixed[i].bits) || (group_size && group_size != fixed[i].group_size))
            return error_set(error, ERROR_INVALID, "%s has %u bits and groups of %u, nothing else", mode,
                             fixed[i].bits, fixed[i].group_size);
        *out = fixed[i];
        return 0;
    }
    return error_set(error, ERROR_INVALID, "no mode is called \"%s\"; there are: affine, mxfp4, mxfp8, nvfp4",
                     mode);
}

float synth_format_code_std(const struct synth_format *format)
{
    switch (format->mode) {
    case SYNTH_DENSE:
        return 1;
    case SYNTH_AFFINE: { /* uniform over 2^bits integers */
        float levels = (float)(1u << format->bits);
        return sqrtf((levels * levels - 1) / 12);
    }
    case SYNTH_MXFP4:
    case SYNTH_NVFP4: /* 0 .5 1 1.5 2 3 4 6 with equal chances */
        return sqrtf(68.5f / 8);
    case SYNTH_MXFP8: /* uniform in -1 .. 1 */
        return sqrtf(1.0f / 3);
    }
    return 1;
}
