/* f32: vfmadd. int8: what linear_int8.c does with two vectors of codes: vpmaddubsw on each, the 16-bit sums
 * added, vpmaddwd to 32 bits, added to the total. The empty asm statement says that the operands may have
 * changed: without it the compiler would take the products out of the loop. */
#include <immintrin.h>

#include "backend/cpu/kernels/peaks.h"

enum { FMA_CHAINS = 12, DOT_CHAINS = 8, FLOATS = 8, BYTES = 32 };

static uint32_t run_f32(uint32_t rounds)
{
    __m256 sum[FMA_CHAINS], factor = _mm256_set1_ps(0.999f), term = _mm256_set1_ps(0.001f);
    for (int i = 0; i < FMA_CHAINS; i++)
        sum[i] = _mm256_set1_ps((float)(i + 1));
    for (uint32_t round = 0; round < rounds; round++)
        for (int i = 0; i < FMA_CHAINS; i++)
            sum[i] = _mm256_fmadd_ps(sum[i], factor, term);

    for (int i = 1; i < FMA_CHAINS; i++)
        sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return (uint32_t)_mm_cvtss_f32(_mm256_castps256_ps128(sum[0]));
}

static uint32_t run_int8(uint32_t rounds)
{
    __m256i sum[DOT_CHAINS], first = _mm256_set1_epi8(13), second = _mm256_set1_epi8(7);
    const __m256i codes = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    for (int i = 0; i < DOT_CHAINS; i++)
        sum[i] = _mm256_set1_epi32(i);
    for (uint32_t round = 0; round < rounds; round++)
        for (int i = 0; i < DOT_CHAINS; i++) {
            __asm__ volatile("" : "+x"(first), "+x"(second));
            __m256i pairs =
                _mm256_add_epi16(_mm256_maddubs_epi16(codes, first), _mm256_maddubs_epi16(codes, second));
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(pairs, ones));
        }
    for (int i = 1; i < DOT_CHAINS; i++)
        sum[0] = _mm256_xor_si256(sum[0], sum[i]);
    return (uint32_t)_mm256_extract_epi32(sum[0], 0);
}

void avx2_peak(struct peak *out)
{
    out->int8 =
        (struct peak_loop){"vpmaddubsw and vpmaddwd, 256 bits", 2.0 * 2 * DOT_CHAINS * BYTES, run_int8};
    out->f32 = (struct peak_loop){"vfmadd, 256 bits", 2.0 * FMA_CHAINS * FLOATS, run_f32};
}
