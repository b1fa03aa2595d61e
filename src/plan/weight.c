#include "plan/weight.h"

#include <stdio.h>

size_t scalar_size(enum scalar_type type)
{
    switch (type) {
    case SCALAR_F32:
    case SCALAR_U32:
        return 4;
    case SCALAR_F16:
    case SCALAR_BF16:
        return 2;
    case SCALAR_U8:
        return 1;
    }
    return 0;
}

const char *scalar_name(enum scalar_type type)
{
    switch (type) {
    case SCALAR_F32:
        return "f32";
    case SCALAR_F16:
        return "f16";
    case SCALAR_BF16:
        return "bf16";
    case SCALAR_U8:
        return "u8";
    case SCALAR_U32:
        return "u32";
    }
    return "?";
}

uint64_t weight_elements(const struct weight *weight)
{
    return (uint64_t)weight->n_experts * weight->rows * weight->cols;
}

uint64_t weight_row_bytes(const struct weight *weight)
{
    uint64_t bytes = weight->row_bytes;
    if (weight->group_size == 0)
        return bytes;
    uint64_t groups = weight->cols / weight->group_size;
    if (weight->format == WEIGHT_AFFINE)
        return bytes + 2 * groups * scalar_size(weight->type);
    return bytes + groups; /* one-byte scales */
}

uint64_t weight_bytes(const struct weight *weight)
{
    uint64_t bytes = weight_row_bytes(weight) * weight->rows * weight->n_experts;
    return weight->tensor_scales ? bytes + (uint64_t)weight->n_experts * sizeof(float) : bytes;
}

void weight_describe(const struct weight *weight, char *out, size_t capacity)
{
    switch (weight->format) {
    case WEIGHT_DENSE:
        snprintf(out, capacity, "%s", scalar_name(weight->type));
        break;
    case WEIGHT_AFFINE:
        snprintf(out, capacity, "%u-bit affine, group %u", weight->bits, weight->group_size);
        break;
    case WEIGHT_MXFP4:
        snprintf(out, capacity, "mxfp4");
        break;
    case WEIGHT_MXFP8:
        snprintf(out, capacity, "mxfp8");
        break;
    case WEIGHT_NVFP4:
        snprintf(out, capacity, "nvfp4");
        break;
    }
}
