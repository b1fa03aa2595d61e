/* A weight matrix as it lies in a checkpoint file: where its bytes are and how they code numbers.
 *
 * Nothing here is copied or re-packed: the pointers lead into the mapped file, and have no alignment to rely
 * on (safetensors promises none): read them with memcpy or unaligned vector loads.
 */
#ifndef LLMIND_PLAN_WEIGHT_H
#define LLMIND_PLAN_WEIGHT_H

#include <stddef.h>
#include <stdint.h>

enum scalar_type { SCALAR_F32, SCALAR_F16, SCALAR_BF16, SCALAR_U8, SCALAR_U32 };

enum weight_format {
    WEIGHT_DENSE,  /* scalar_type f32, f16 or bf16: data is [rows, cols] of it */
    WEIGHT_AFFINE, /* w = scale * q + bias per group; q of `bits` bits, scales and biases of scale_type */
    WEIGHT_MXFP4,  /* 4-bit e2m1 codes, groups of 32 with one e8m0 scale (OCP Microscaling Formats v1.0) */
    WEIGHT_MXFP8,  /* 8-bit e4m3 codes, groups of 32 with one e8m0 scale */
    WEIGHT_NVFP4   /* 4-bit e2m1 codes, groups of 16 with one e4m3 scale, times tensor_scales */
};

/* Codes are packed little endian: code i of a row occupies bits [i*bits, (i+1)*bits) of the row's bit string
 * (MLX packs them into uint32, or bytes for 3, 5 and 6 bits: the same bit string on a little-endian machine).
 * All arrays are row-major and contiguous: data [n_experts, rows, row_bytes], scales and biases
 * [n_experts, rows, cols / group_size]. */
struct weight {
    const char *name; /* "model.layers.0.mlp.down_proj"; owned by the model */
    enum weight_format format;
    enum scalar_type type;     /* of dense elements; of scales and biases when affine */
    uint32_t bits, group_size; /* of quantized formats; dense: 8 * element size, 0 */
    uint32_t n_experts;        /* 1 unless stacked experts */
    uint32_t rows, cols;       /* out features, in features */
    size_t row_bytes;          /* of data, one row */
    const uint8_t *data, *scales, *biases;
    /* nvfp4's second scale, one per expert: [n_experts] f32, ready to multiply with, or NULL (all 1). mlx-lm
     * writes it for stacked experts only. */
    const float *tensor_scales;
};

/* Numbers the matrix stands for: n_experts * rows * cols. */
uint64_t weight_elements(const struct weight *weight);
/* Bytes of one row: codes or elements, and its scales and biases. */
uint64_t weight_row_bytes(const struct weight *weight);
/* Bytes of the whole matrix, all experts. */
uint64_t weight_bytes(const struct weight *weight);
size_t scalar_size(enum scalar_type type);
const char *scalar_name(enum scalar_type type); /* "bf16" */
/* "bf16", "4-bit affine, group 64", "mxfp4" ... into a caller's buffer. */
void weight_describe(const struct weight *weight, char *out, size_t capacity);

#endif
