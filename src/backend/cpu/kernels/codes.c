/* What the integer codes of a quantized weight are, one at a time. The reference kernels and the tests are
 * written with these; the fast kernels unpack whole vectors and must agree.
 *
 * Affine (MLX): w = scale * q + bias, q unsigned of 2, 3, 4, 5, 6 or 8 bits.
 * mxfp4 (OCP Microscaling Formats v1.0) and nvfp4: w = stored_scale * e2m1(code); nvfp4 may have one more
 * scale per expert. Twice an e2m1 value is an integer between -12 and 12; counted from -12 it is an unsigned
 * number 0 .. 24, so that the very same product of unsigned weights and signed activations serves these
 * formats too: w = (stored_scale / 2) * (u - 12).
 */
#include "backend/cpu/kernels/kernels.h"

#include "base/float16.h"

static float read_scalar(enum scalar_type type, const uint8_t *array, size_t index)
{
    uint16_t half;
    float value;
    switch (type) {
    case SCALAR_F16:
        memcpy(&half, array + index * sizeof half, sizeof half);
        return float_from_f16(half);
    case SCALAR_BF16:
        memcpy(&half, array + index * sizeof half, sizeof half);
        return float_from_bf16(half);
    default:
        memcpy(&value, array + index * sizeof value, sizeof value);
        return value;
    }
}

bool kernels_is_coded(const struct weight *weight)
{
    return weight->format == WEIGHT_AFFINE || weight->format == WEIGHT_MXFP4 ||
           weight->format == WEIGHT_NVFP4;
}

enum code_order kernels_code_order(const struct weight *weight)
{
    return kernels_is_coded(weight) && weight->bits == 4 ? ORDER_PAIRS : ORDER_NATURAL;
}

void kernels_group_scale(const struct weight *weight, size_t row, uint32_t group, float *scale, float *bias)
{
    size_t index = row * (weight->cols / weight->group_size) + group;
    switch (weight->format) {
    case WEIGHT_MXFP4:
        *scale = 0.5f * float_from_e8m0(weight->scales[index]);
        *bias = -12.0f * *scale;
        return;
    case WEIGHT_NVFP4:
        *scale = 0.5f * float_from_e4m3(weight->scales[index]);
        if (weight->tensor_scales)
            *scale *= weight->tensor_scales[row / weight->rows];
        *bias = -12.0f * *scale;
        return;
    case WEIGHT_MXFP8:
        *scale = float_from_e8m0(weight->scales[index]);
        *bias = 0;
        return;
    default:
        *scale = read_scalar(weight->type, weight->scales, index);
        *bias = read_scalar(weight->type, weight->biases, index);
    }
}

uint32_t kernels_code(const struct weight *weight, size_t row, uint32_t c)
{
    const uint8_t *data = weight->data + row * weight->row_bytes;
    size_t bit = (size_t)c * weight->bits;
    uint32_t shift = bit % 8, code = data[bit / 8];
    if (shift + weight->bits > 8)
        code |= (uint32_t)data[bit / 8 + 1] << 8;
    code = (code >> shift) & ((1u << weight->bits) - 1u);
    if (weight->format == WEIGHT_AFFINE)
        return code;
    return (uint32_t)(e2m1_twice((uint8_t)code) + 12);
}
