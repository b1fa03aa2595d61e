/* A row of numbers coded as MLX codes it, bit for bit: the codes, scales and biases that mx.quantize of mlx
 * 0.32 makes of the same row on its CPU (mlx/backend/cpu/quantized.cpp and the fallbacks of mlx/ops.cpp;
 * tests/golden/test_convert.py holds one against the other).
 *
 * affine: a group's scale is (max - min) / (2^bits - 1), then moved so that the larger of its ends is coded
 * exactly; a code is the nearest, by a scale that is not yet rounded to the tensor's type. mxfp4, mxfp8: the
 * scale is the power of two at or above max |w| / 6 (448); a code is the nearest, ties to the smaller for
 * e2m1 and to the even one for e4m3.
 */
#ifndef LLMIND_CONVERT_QUANTIZE_H
#define LLMIND_CONVERT_QUANTIZE_H

#include <stdbool.h>
#include <stdint.h>

#include "plan/weight.h"

enum { QUANTIZE_MAX_GROUP = 128 };

struct code_format {
    enum weight_format format; /* WEIGHT_DENSE, WEIGHT_AFFINE, WEIGHT_MXFP4 or WEIGHT_MXFP8 */
    uint32_t bits, group_size; /* a combination that exists (quantization_exists) */
};

/* row: [cols] numbers that `type` (f32, f16, bf16) can hold; cols is a multiple of the group size. codes:
 * cols * bits / 8 bytes; scales: one per group, of `type` when affine and else a byte; biases: the same, only
 * when affine. No array needs an alignment. false: a number is not finite, and what was written is worthless.
 * Pure. */
bool quantize_row(const struct code_format *format, enum scalar_type type, const float *row, uint32_t cols,
                  uint8_t *codes, uint8_t *scales, uint8_t *biases);

/* n numbers of a type as f32; f32 as numbers of a type, rounded to nearest even; the same, staying f32. */
void numbers_read(enum scalar_type type, const uint8_t *data, uint64_t n, float *out);
void numbers_write(enum scalar_type type, const float *numbers, uint64_t n, uint8_t *out);
void numbers_round(enum scalar_type type, float *numbers, uint64_t n);

#endif
