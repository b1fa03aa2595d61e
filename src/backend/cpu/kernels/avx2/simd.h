/* Small vector helpers that several AVX2 files share. Arrays that come from outside may end at the end of a
 * mapped file: whatever reads fewer than eight elements says how many. */
#ifndef LLMIND_BACKEND_CPU_KERNELS_AVX2_SIMD_H
#define LLMIND_BACKEND_CPU_KERNELS_AVX2_SIMD_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "plan/weight.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Lanes 0 .. n - 1 set; n <= 8. */
ALWAYS_INLINE __m256i first_lanes(uint32_t n)
{
    static const int32_t lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    return _mm256_loadu_si256((const __m256i *)(const void *)(lanes + 8 - n));
}

/* The first n of 8 floats, zeros after them. */
ALWAYS_INLINE __m256 load_first(const float *p, uint32_t n)
{
    return n >= 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, first_lanes(n));
}

ALWAYS_INLINE void store_first(float *p, uint32_t n, __m256 v)
{
    if (n >= 8)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, first_lanes(n), v);
}

ALWAYS_INLINE __m128i load_16_bytes(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

ALWAYS_INLINE __m256i load_32_bytes(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

ALWAYS_INLINE void store_32_bytes(void *p, __m256i v)
{
    _mm256_storeu_si256((__m256i *)p, v);
}

/* n <= 16 bytes, zeros after them. */
ALWAYS_INLINE __m128i load_first_bytes(const void *p, size_t n)
{
    uint8_t buffer[16] = {0};
    memcpy(buffer, p, n);
    return load_16_bytes(buffer);
}

ALWAYS_INLINE __m256 from_bf16(__m128i half)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* The first n <= 8 elements of an array of f32, f16 or bf16 of any alignment, zeros after them. */
ALWAYS_INLINE __m256 load_scalars(enum scalar_type type, const uint8_t *p, uint32_t n)
{
    if (type == SCALAR_F32)
        return load_first((const float *)(const void *)p, n);
    __m128i half = n >= 8 ? load_16_bytes(p) : load_first_bytes(p, n * sizeof(uint16_t));
    return type == SCALAR_F16 ? _mm256_cvtph_ps(half) : from_bf16(half);
}

/* Sum of the lanes, always in this order. */
ALWAYS_INLINE float sum_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    s = _mm_add_ss(s, _mm_shuffle_ps(s, s, 1));
    return _mm_cvtss_f32(s);
}

ALWAYS_INLINE float max_lanes(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    s = _mm_max_ss(s, _mm_shuffle_ps(s, s, 1));
    return _mm_cvtss_f32(s);
}

/* exp(x): x = n ln 2 + r with |r| <= ln 2 / 2, exp(r) = 1 + r + r² P(r) with the degree-5 P of Cephes' expf
 * (Moshier 1989), then times 2^n in two steps, so that results fall through the denormals to 0 and rise to
 * infinity where they should. Error below 2 ulp. NaN stays NaN (min and max return their second operand). */
ALWAYS_INLINE __m256 exp_ps(__m256 x)
{
    x = _mm256_max_ps(_mm256_set1_ps(-104.0f), x);
    x = _mm256_min_ps(_mm256_set1_ps(89.0f), x);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half), one = _mm256_set1_epi32(127);
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, one), 23)));
    return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, one), 23)));
}

/* tanh(x) = 1 - 2 / (exp(2x) + 1): absolute error of a few 2^-24, which softcap_ps multiplies by the cap. */
ALWAYS_INLINE __m256 tanh_ps(__m256 x)
{
    const __m256 one = _mm256_set1_ps(1.0f), two = _mm256_set1_ps(2.0f);
    __m256 e = _mm256_add_ps(exp_ps(_mm256_mul_ps(x, two)), one);
    return _mm256_sub_ps(one, _mm256_div_ps(two, e));
}

/* cap * tanh(x / cap) */
ALWAYS_INLINE __m256 softcap_ps(__m256 x, __m256 cap)
{
    return _mm256_mul_ps(cap, tanh_ps(_mm256_div_ps(x, cap)));
}

#endif
