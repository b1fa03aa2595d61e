/* Group scales of every format as f32 vectors, and the transpose that turns them from rows into lanes. */
#include "backend/cpu/kernels/avx512/avx512.h"
#include "base/float16.h"

/* 2^(code - 127). Code 0 is subnormal in f32, 0xFF is NaN. */
static __m512 e8m0_to_f32(__m512i codes)
{
    __m512i bits = _mm512_slli_epi32(codes, 23);
    bits = _mm512_mask_mov_epi32(bits, _mm512_cmpeq_epi32_mask(codes, _mm512_setzero_si512()),
                                 _mm512_set1_epi32(0x00400000));
    bits = _mm512_mask_mov_epi32(bits, _mm512_cmpeq_epi32_mask(codes, _mm512_set1_epi32(0xFF)),
                                 _mm512_set1_epi32(0x7FC00000));
    return _mm512_castsi512_ps(bits);
}

/* Normal e4m3 numbers are f32 with another exponent bias; subnormal ones are a multiple of 2^-9. */
static __m512 e4m3_to_f32(__m512i codes)
{
    __m512i magnitude = _mm512_and_si512(codes, _mm512_set1_epi32(0x7F));
    __m512i sign = _mm512_slli_epi32(_mm512_and_si512(codes, _mm512_set1_epi32(0x80)), 24);
    __m512i normal = _mm512_add_epi32(_mm512_slli_epi32(magnitude, 20), _mm512_set1_epi32(120 << 23));
    __m512 small = _mm512_mul_ps(_mm512_cvtepi32_ps(magnitude), _mm512_set1_ps(0x1p-9f));
    __mmask16 subnormal = _mm512_cmplt_epi32_mask(magnitude, _mm512_set1_epi32(8));
    __mmask16 nan = _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7F));
    __m512i bits = _mm512_mask_mov_epi32(normal, subnormal, _mm512_castps_si512(small));
    bits = _mm512_mask_mov_epi32(bits, nan, _mm512_set1_epi32(0x7FC00000));
    return _mm512_castsi512_ps(_mm512_or_si512(bits, sign));
}

struct group_scales load_float_scales(const struct weight *weight, size_t row, uint32_t g, __mmask16 mask)
{
    size_t at = row * (weight->cols / weight->group_size) + g;
    __m512i codes = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, weight->scales + at));
    __m512 stored = weight->format == WEIGHT_NVFP4 ? e4m3_to_f32(codes) : e8m0_to_f32(codes);
    if (weight->tensor_scales)
        stored = _mm512_mul_ps(stored, _mm512_set1_ps(weight->tensor_scales[row / weight->rows]));
    __m512 scale = _mm512_maskz_mul_ps(mask, stored, _mm512_set1_ps(0.5f));
    return (struct group_scales){scale, _mm512_mul_ps(scale, _mm512_set1_ps(-12.0f))};
}

void transpose_16x16(__m512i v[16])
{
    __m512i t[16];
    for (size_t i = 0; i < 8; i++) { /* pairs of rows: dwords side by side */
        t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
    }
    /* four rows: qwords; v[4i + c] holds columns c, c + 4, c + 8, c + 12 of rows 4i.. */
    for (size_t i = 0; i < 4; i++) {
        v[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
        v[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
        v[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
        v[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
    }
    for (int c = 0; c < 4; c++) { /* 128-bit blocks: column c + 4 b of all rows is block b of the four */
        __m512i low = _mm512_shuffle_i32x4(v[c], v[4 + c], 0x88),
                high = _mm512_shuffle_i32x4(v[c], v[4 + c], 0xDD);
        __m512i low2 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0x88);
        __m512i high2 = _mm512_shuffle_i32x4(v[8 + c], v[12 + c], 0xDD);
        t[c] = _mm512_shuffle_i32x4(low, low2, 0x88);
        t[c + 8] = _mm512_shuffle_i32x4(low, low2, 0xDD);
        t[c + 4] = _mm512_shuffle_i32x4(high, high2, 0x88);
        t[c + 12] = _mm512_shuffle_i32x4(high, high2, 0xDD);
    }
    for (int i = 0; i < 16; i++)
        v[i] = t[i];
}
