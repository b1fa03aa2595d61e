/* Rounding a row of activations to int8 codes. Bit-equal to the reference: the largest magnitude is exact,
 * and scale, inverse and rounding are the same three operations. */
#include "backend/cpu/kernels/avx2/avx2.h"
#include "backend/cpu/kernels/avx2/blocks.h"

/* As bit patterns, so that a NaN is larger than all (see the reference). n is a multiple of 8. */
static float largest_magnitude(const float *x, uint32_t n)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i largest = _mm256_setzero_si256();
    for (uint32_t i = 0; i < n; i += 8)
        largest = _mm256_max_epi32(largest, _mm256_and_si256(load_32_bytes(x + i), magnitude));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

/* 8 codes as 32-bit lanes; NaN gives 0. */
ALWAYS_INLINE __m256i round_codes(__m256 x, __m256 inverse)
{
    __m256 v = _mm256_mul_ps(x, inverse);
    v = _mm256_and_ps(v, _mm256_cmp_ps(v, v, _CMP_ORD_Q));
    v = _mm256_min_ps(_mm256_max_ps(v, _mm256_set1_ps(-127.0f)), _mm256_set1_ps(127.0f));
    return _mm256_cvtps_epi32(v);
}

/* One group in natural order; returns the sum of its codes. */
static int32_t round_group(const float *x, uint32_t n, float inverse, int8_t *codes)
{
    const __m256 factor = _mm256_set1_ps(inverse);
    __m256i sum = _mm256_setzero_si256();
    for (uint32_t i = 0; i < n; i += 8) {
        __m256i v = round_codes(_mm256_loadu_ps(x + i), factor);
        sum = _mm256_add_epi32(sum, v);
        __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storel_epi64((__m128i *)(void *)(codes + i), _mm_packs_epi16(half, half));
    }
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1));
    return _mm_cvtsi128_si32(s);
}

/* Even bytes of 64 first, then the odd ones, in place. */
ALWAYS_INLINE void pair_block(int8_t *codes)
{
    const __m256i low = _mm256_set1_epi16(0xFF);
    __m256i a = load_32_bytes(codes), b = load_32_bytes(codes + 32);
    __m256i even = _mm256_packus_epi16(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
    __m256i odd = _mm256_packus_epi16(_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8));
    store_32_bytes(codes, _mm256_permute4x64_epi64(even, 0xD8));
    store_32_bytes(codes + 32, _mm256_permute4x64_epi64(odd, 0xD8));
}

static void avx2_quantize_row(const float *x, uint32_t n, enum code_order order, struct q8_rows *out,
                              uint32_t row)
{
    int8_t *codes = out->codes + row * out->code_stride;
    float *scales = out->scales + row * out->group_stride;
    float *sums = out->sums + row * out->group_stride;
    uint32_t groups = n / out->group;
    for (uint32_t g = 0; g < groups; g++) {
        const float *from = x + (size_t)g * out->group;
        float amax = largest_magnitude(from, out->group);
        float inverse = amax > 0 ? 127.0f / amax : 0;
        int32_t sum = round_group(from, out->group, inverse, codes + (size_t)g * out->group);
        scales[g] = amax / 127.0f;
        sums[g] = scales[g] * (float)sum;
    }
    memset(codes + n, 0, out->code_stride - n);
    memset(scales + groups, 0, (out->group_stride - groups) * sizeof *scales);
    memset(sums + groups, 0, (out->group_stride - groups) * sizeof *sums);
    if (order == ORDER_PAIRS)
        for (uint32_t c = 0; c < n; c += BLOCK)
            pair_block(codes + c);
}

void avx2_quantize_init(struct kernels *kernels)
{
    kernels->quantize_row = avx2_quantize_row;
}
