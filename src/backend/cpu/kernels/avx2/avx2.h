/* The AVX2 kernels (with FMA and F16C: Haswell, Zen and later), by file. */
#ifndef LLMIND_BACKEND_CPU_KERNELS_AVX2_AVX2_H
#define LLMIND_BACKEND_CPU_KERNELS_AVX2_AVX2_H

#include "backend/cpu/kernels/kernels.h"

void avx2_quantize_init(struct kernels *kernels);
void avx2_linear_int8_init(struct kernels *kernels);
void avx2_linear_f32_init(struct kernels *kernels);
void avx2_attend_init(struct kernels *kernels);
void avx2_rows_init(struct kernels *kernels);

void avx2_unpack_row(const struct weight *weight, uint32_t expert, uint32_t row, float *out);

/* What each of the two linear kernels needs; the table's answer is the larger. */
size_t avx2_int8_scratch_bytes(uint32_t cols);
size_t avx2_f32_scratch_bytes(uint32_t cols);

#endif
