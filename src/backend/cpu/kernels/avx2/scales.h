/* Scales and biases of eight neighbouring groups of a weight row, as f32 (kernels_group_scale, vectorised).
 */
#ifndef LLMIND_BACKEND_CPU_KERNELS_AVX2_SCALES_H
#define LLMIND_BACKEND_CPU_KERNELS_AVX2_SCALES_H

#include "backend/cpu/kernels/avx2/simd.h"

/* e4m3 -> f32. Shifted into an f16 the exponent is 8 too small (bias 7 against 15): hence the 256. */
ALWAYS_INLINE __m256 from_e4m3(__m128i bytes)
{
    __m128i wide = _mm_cvtepu8_epi16(bytes);
    __m128i magnitude = _mm_and_si128(wide, _mm_set1_epi16(0x7F));
    __m128i sign = _mm_slli_epi16(_mm_andnot_si128(_mm_set1_epi16(0x7F), wide), 8);
    __m128i half = _mm_or_si128(_mm_slli_epi16(magnitude, 7), sign);
    /* 0x7F is the format's NaN. */
    half = _mm_or_si128(half, _mm_cmpeq_epi16(magnitude, _mm_set1_epi16(0x7F)));
    return _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256.0f));
}

/* e8m0 -> f32: the exponent field itself; 0 is 2^-127 (a denormal), 255 NaN. */
ALWAYS_INLINE __m256 from_e8m0(__m128i bytes)
{
    __m256i wide = _mm256_cvtepu8_epi32(bytes);
    __m256i bits = _mm256_slli_epi32(wide, 23);
    __m256i zero = _mm256_cmpeq_epi32(wide, _mm256_setzero_si256());
    __m256i nan = _mm256_cmpeq_epi32(wide, _mm256_set1_epi32(255));
    bits = _mm256_or_si256(bits, _mm256_and_si256(zero, _mm256_set1_epi32(0x00400000)));
    return _mm256_castsi256_ps(_mm256_or_si256(bits, _mm256_srli_epi32(nan, 1)));
}

/* Groups g .. g + 7 of a row of `groups`; zeros beyond the row's last group. format and type are the weight's
 * (a constant, in loops that must be short). */
ALWAYS_INLINE void load_group_scales(enum weight_format format, enum scalar_type type,
                                     const struct weight *weight, size_t row, uint32_t g, uint32_t groups,
                                     __m256 *scale, __m256 *bias)
{
    uint32_t n = groups - g < 8 ? groups - g : 8;
    size_t index = row * groups + g;
    if (format == WEIGHT_AFFINE) {
        size_t size = type == SCALAR_F32 ? 4 : 2;
        *scale = load_scalars(type, weight->scales + index * size, n);
        *bias = load_scalars(type, weight->biases + index * size, n);
        return;
    }
    __m128i bytes = n == 8 ? _mm_loadl_epi64((const __m128i *)(const void *)(weight->scales + index))
                           : load_first_bytes(weight->scales + index, n);
    if (format == WEIGHT_NVFP4) {
        *scale = _mm256_mul_ps(from_e4m3(bytes), _mm256_set1_ps(0.5f));
        if (weight->tensor_scales)
            *scale = _mm256_mul_ps(*scale, _mm256_set1_ps(weight->tensor_scales[row / weight->rows]));
    } else {
        *scale = _mm256_mul_ps(from_e8m0(bytes), _mm256_set1_ps(format == WEIGHT_MXFP4 ? 0.5f : 1.0f));
    }
    *scale = _mm256_and_ps(*scale, _mm256_castsi256_ps(first_lanes(n)));
    *bias = format == WEIGHT_MXFP8 ? _mm256_setzero_ps() : _mm256_mul_ps(*scale, _mm256_set1_ps(-12.0f));
}

#endif
