/* Matrix products in plain C: y = W x for every weight format.
 *
 * Formats: MLX affine groups (w = scale * q + bias), OCP Microscaling Formats v1.0 (mxfp4, mxfp8: groups of
 * 32 with an e8m0 scale), nvfp4 (groups of 16 with an e4m3 scale, and one f32 scale per expert), and
 * dense f32, f16, bf16.
 */
#include "backend/cpu/kernels/reference/reference.h"

#include <math.h>

#include "base/float16.h"

static float dense_value(const struct weight *weight, size_t row, uint32_t c)
{
    const uint8_t *at = weight->data + row * weight->row_bytes;
    uint16_t half;
    float value;
    if (weight->type == SCALAR_F32) {
        memcpy(&value, at + (size_t)c * sizeof value, sizeof value);
        return value;
    }
    memcpy(&half, at + (size_t)c * sizeof half, sizeof half);
    return weight->type == SCALAR_F16 ? float_from_f16(half) : float_from_bf16(half);
}

static void reference_unpack_row(const struct weight *weight, uint32_t expert, uint32_t row, float *out)
{
    size_t at = (size_t)expert * weight->rows + row;
    for (uint32_t c = 0; c < weight->cols; c++) {
        float scale, bias;
        if (weight->format == WEIGHT_DENSE) {
            out[c] = dense_value(weight, at, c);
            continue;
        }
        kernels_group_scale(weight, at, c / weight->group_size, &scale, &bias);
        if (weight->format == WEIGHT_AFFINE)
            out[c] = scale * (float)kernels_code(weight, at, c) + bias;
        else if (weight->format == WEIGHT_MXFP8)
            out[c] = scale * float_from_e4m3(weight->data[at * weight->row_bytes + c]);
        else /* the 12 is taken off while it is an integer: the product alone rounds */
            out[c] = scale * ((float)kernels_code(weight, at, c) - 12.0f);
    }
}

static size_t reference_scratch_bytes(uint32_t cols)
{
    return (size_t)cols * sizeof(float);
}

static void reference_linear_f32(const struct weight *weight, uint32_t expert, uint32_t row_begin,
                                 uint32_t row_end, const float *x, size_t x_stride, uint32_t n_tokens,
                                 float *out, size_t out_stride, void *scratch)
{
    float *w = scratch;
    for (uint32_t row = row_begin; row < row_end; row++) {
        reference_unpack_row(weight, expert, row, w);
        for (uint32_t t = 0; t < n_tokens; t++) {
            double sum = 0;
            for (uint32_t c = 0; c < weight->cols; c++)
                sum += (double)w[c] * (double)x[t * x_stride + c];
            out[t * out_stride + row] = (float)sum;
        }
    }
}

/* Where element c's code lies in a row of codes (kernels.h: enum code_order). */
static size_t code_position(enum code_order order, uint32_t c)
{
    if (order == ORDER_NATURAL)
        return c;
    return c / REFERENCE_PAIR_BLOCK * REFERENCE_PAIR_BLOCK + c % 2 * (REFERENCE_PAIR_BLOCK / 2) +
           c % REFERENCE_PAIR_BLOCK / 2;
}

static void reference_linear_int8(const struct weight *weight, uint32_t expert, uint32_t row_begin,
                                  uint32_t row_end, const struct q8_rows *x, uint32_t n_tokens, float *out,
                                  size_t out_stride, void *scratch)
{
    uint8_t *q = scratch;
    enum code_order order = kernels_code_order(weight);
    for (uint32_t row = row_begin; row < row_end; row++) {
        size_t at = (size_t)expert * weight->rows + row;
        for (uint32_t c = 0; c < weight->cols; c++)
            q[c] = (uint8_t)kernels_code(weight, at, c);
        for (uint32_t t = 0; t < n_tokens; t++) {
            const int8_t *codes = x->codes + t * x->code_stride;
            double sum = 0;
            for (uint32_t g = 0; g < weight->cols / x->group; g++) {
                float scale, bias;
                int32_t dot = 0;
                kernels_group_scale(weight, at, g, &scale, &bias);
                for (uint32_t c = g * x->group; c < (g + 1) * x->group; c++)
                    dot += q[c] * codes[code_position(order, c)];
                sum += (double)scale * dot * (double)x->scales[t * x->group_stride + g];
                sum += (double)bias * (double)x->sums[t * x->group_stride + g];
            }
            out[t * out_stride + row] = (float)sum;
        }
    }
}

/* The largest magnitude as a bit pattern: for non-negative floats the order of the patterns is the order of
 * the values, and a NaN lies above infinity, so that it wins and shows in the scale. */
static float largest_magnitude(const float *x, uint32_t n)
{
    uint32_t largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits = float_to_bits(x[i]) & 0x7FFFFFFFu;
        largest = bits > largest ? bits : largest;
    }
    return float_from_bits(largest);
}

static int8_t round_code(float value)
{
    if (isnan(value))
        return 0;
    value = value > 127 ? 127 : value < -127 ? -127 : value;
    return (int8_t)rintf(value);
}

static void reference_quantize_row(const float *x, uint32_t n, enum code_order order, struct q8_rows *out,
                                   uint32_t row)
{
    int8_t *codes = out->codes + row * out->code_stride;
    float *scales = out->scales + row * out->group_stride;
    float *sums = out->sums + row * out->group_stride;
    memset(codes, 0, out->code_stride);
    memset(scales, 0, out->group_stride * sizeof *scales);
    memset(sums, 0, out->group_stride * sizeof *sums);
    for (uint32_t g = 0; g < n / out->group; g++) {
        float amax = largest_magnitude(x + (size_t)g * out->group, out->group);
        float inverse = amax > 0 ? 127.0f / amax : 0;
        int32_t sum = 0;
        for (uint32_t c = g * out->group; c < (g + 1) * out->group; c++) {
            int8_t code = round_code(x[c] * inverse);
            codes[code_position(order, c)] = code;
            sum += code;
        }
        scales[g] = amax / 127.0f;
        sums[g] = scales[g] * (float)sum;
    }
}

void reference_linear_init(struct kernels *kernels)
{
    kernels->pair_block = REFERENCE_PAIR_BLOCK;
    kernels->quantize_row = reference_quantize_row;
    kernels->linear_int8 = reference_linear_int8;
    kernels->linear_f32 = reference_linear_f32;
    kernels->linear_scratch_bytes = reference_scratch_bytes;
    kernels->unpack_row = reference_unpack_row;
}
