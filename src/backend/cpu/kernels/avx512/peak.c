/* f32: vfmadd; int8: vpdpbusd, 64 products a time. Every sum depends on the one before it, so that no round
 * can be left out. */
#include <immintrin.h>

#include "backend/cpu/kernels/peaks.h"

enum { CHAINS = 16, FLOATS = 16, BYTES = 64 };

static uint32_t run_f32(uint32_t rounds)
{
    __m512 sum[CHAINS], factor = _mm512_set1_ps(0.999f), term = _mm512_set1_ps(0.001f);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_ps((float)(i + 1));
    for (uint32_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_fmadd_ps(sum[i], factor, term);

    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return (uint32_t)_mm512_cvtss_f32(sum[0]);
}

static uint32_t run_int8(uint32_t rounds)
{
    __m512i sum[CHAINS];
    const __m512i codes = _mm512_set1_epi8(3), x = _mm512_set1_epi8(13);
    for (int i = 0; i < CHAINS; i++)
        sum[i] = _mm512_set1_epi32(i);
    for (uint32_t round = 0; round < rounds; round++)
        for (int i = 0; i < CHAINS; i++)
            sum[i] = _mm512_dpbusd_epi32(sum[i], codes, x);

    for (int i = 1; i < CHAINS; i++)
        sum[0] = _mm512_xor_si512(sum[0], sum[i]);
    return (uint32_t)_mm_cvtsi128_si32(_mm512_castsi512_si128(sum[0]));
}

void avx512_peak(struct peak *out)
{
    out->int8 = (struct peak_loop){"vpdpbusd, 512 bits", 2.0 * CHAINS * BYTES, run_int8};
    out->f32 = (struct peak_loop){"vfmadd, 512 bits", 2.0 * CHAINS * FLOATS, run_f32};
}
