/* The table of AVX2 kernels. */
#include "backend/cpu/kernels/avx2/avx2.h"

static size_t scratch_bytes(uint32_t cols)
{
    size_t int8 = avx2_int8_scratch_bytes(cols), f32 = avx2_f32_scratch_bytes(cols);
    return int8 > f32 ? int8 : f32;
}

void kernels_init_avx2(struct kernels *kernels)
{
    kernels->isa = "avx2";
    kernels->linear_scratch_bytes = scratch_bytes;
    avx2_quantize_init(kernels);
    avx2_linear_int8_init(kernels);
    avx2_linear_f32_init(kernels);
    avx2_attend_init(kernels);
    avx2_rows_init(kernels);
}
