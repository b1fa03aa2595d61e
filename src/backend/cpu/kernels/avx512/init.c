/* The AVX-512 column of the kernel table. */
#include "backend/cpu/kernels/avx512/avx512.h"

static size_t linear_scratch_bytes(uint32_t cols)
{
    size_t f32 = (size_t)cols * 4 * sizeof(float), tile = avx512_tile_scratch_bytes(cols);
    return f32 > tile ? f32 : tile;
}

void kernels_init_avx512(struct kernels *kernels)
{
    kernels->isa = "avx512";
    kernels->pair_block = AVX512_PAIR_BLOCK;
    kernels->quantize_row = avx512_quantize_row;
    kernels->linear_int8 = avx512_linear_int8;
    kernels->linear_f32 = avx512_linear_f32;
    kernels->linear_scratch_bytes = linear_scratch_bytes;
    kernels->unpack_row = avx512_unpack_row;
    kernels->rms_norm = avx512_rms_norm;
    kernels->rope = avx512_rope;
    kernels->kv_store = avx512_kv_store;
    kernels->attend = avx512_attend;
    kernels->attend_scratch_bytes = avx512_attend_scratch_bytes;
    kernels->act_mul = avx512_act_mul;
    kernels->add = avx512_add;
    kernels->add_scaled = avx512_add_scaled;
    kernels->scale = avx512_scale;
}
