/* What the AVX-512 kernel files share: a vector exp, a fixed-order horizontal sum, conversions and tail
 * masks.
 *
 * The sum's order is part of the contract between the matrix-vector and the matrix-matrix path
 * (linear_int8.c): lane i meets lane i + 8, then i + 4, then i + 2, then i + 1.
 */
#ifndef LLMIND_BACKEND_CPU_KERNELS_AVX512_AVX512_H
#define LLMIND_BACKEND_CPU_KERNELS_AVX512_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "backend/cpu/kernels/kernels.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* A mask of the first n of 16 lanes, n >= 0. */
ALWAYS_INLINE __mmask16 first_lanes(uint32_t n)
{
    return (__mmask16)(n >= 16 ? 0xFFFFu : (1u << n) - 1u);
}

/* A mask of the first n of 64 bytes. */
ALWAYS_INLINE __mmask64 first_bytes(size_t n)
{
    return n >= 64 ? ~(__mmask64)0 : (((__mmask64)1 << n) - 1u);
}

ALWAYS_INLINE float sum_lanes(__m512 v)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    b = _mm_add_ss(b, _mm_shuffle_ps(b, b, 1));
    return _mm_cvtss_f32(b);
}

ALWAYS_INLINE __m512 bf16_to_f32(__m256i v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16));
}

/* e^x, relative error below 2e-7: x = n ln 2 + r with |r| <= ln 2 / 2 (Cody & Waite split of ln 2), e^r by
 * its Taylor polynomial of degree 7 (remainder (ln 2 / 2)^8 / 8! = 5e-9). Beyond the f32 range the result is
 * 0 or infinity, NaN stays NaN. */
ALWAYS_INLINE __m512 exp_ps(__m512 x)
{
    x = _mm512_max_ps(_mm512_set1_ps(-120.0f), x);
    x = _mm512_min_ps(_mm512_set1_ps(120.0f), x);
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 8);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693145752f), x);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(1.42860677e-6f), r);
    __m512 p = _mm512_set1_ps(1.0f / 5040.0f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 720.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 120.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 24.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f / 6.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* tanh x = 1 - 2 / (e^2x + 1): absolute error about 1e-7, enough for soft caps and activations. */
ALWAYS_INLINE __m512 tanh_ps(__m512 x)
{
    __m512 e = exp_ps(_mm512_add_ps(x, x));
    __m512 one = _mm512_set1_ps(1.0f);
    return _mm512_sub_ps(one, _mm512_div_ps(_mm512_set1_ps(2.0f), _mm512_add_ps(e, one)));
}

/* cap * tanh(x / cap) */
ALWAYS_INLINE __m512 softcap_ps(__m512 x, __m512 cap)
{
    return _mm512_mul_ps(cap, tanh_ps(_mm512_div_ps(x, cap)));
}

/* 16 group scales (and biases) of one row, groups [g, g + 16) of which the masked ones exist. */
struct group_scales {
    __m512 scale, bias;
};

/* 16 numbers of a scale type at element index `at`. */
ALWAYS_INLINE __m512 load_scalars(enum scalar_type type, const uint8_t *base, size_t at, __mmask16 mask)
{
    switch (type) {
    case SCALAR_BF16:
        return bf16_to_f32(_mm256_maskz_loadu_epi16(mask, base + at * 2));
    case SCALAR_F16:
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, base + at * 2));
    default:
        return _mm512_maskz_loadu_ps(mask, base + at * 4);
    }
}

/* Of the 4-bit float formats (scales.c). */
struct group_scales load_float_scales(const struct weight *weight, size_t row, uint32_t g, __mmask16 mask);

ALWAYS_INLINE struct group_scales load_group_scales(const struct weight *weight, bool affine, size_t row,
                                                    uint32_t g, __mmask16 mask)
{
    if (!affine)
        return load_float_scales(weight, row, g, mask);
    size_t at = row * (weight->cols / weight->group_size) + g;
    return (struct group_scales){load_scalars(weight->type, weight->scales, at, mask),
                                 load_scalars(weight->type, weight->biases, at, mask)};
}

/* Codes [64 u, 64 u + 64) of a row in the kernel's order as unsigned bytes, for u-th vector; bytes beyond the
 * row are zero. NIBBLES: vector 2b holds the even, 2b + 1 the odd elements of block b. */
enum unpack { UNPACK_NIBBLES, UNPACK_E2M1, UNPACK_2, UNPACK_3, UNPACK_5, UNPACK_6, UNPACK_8 };

/* Makes 16 vectors of 16 dwords into the 16 vectors of their columns. */
void transpose_16x16(__m512i v[16]);

void avx512_linear_int8(const struct weight *weight, uint32_t expert, uint32_t row_begin, uint32_t row_end,
                        const struct q8_rows *x, uint32_t n_tokens, float *out, size_t out_stride,
                        void *scratch);
void avx512_linear_f32(const struct weight *weight, uint32_t expert, uint32_t row_begin, uint32_t row_end,
                       const float *x, size_t x_stride, uint32_t n_tokens, float *out, size_t out_stride,
                       void *scratch);
/* A tile of 16-row groups for linear_int8 with many tokens (tile.c). */
void avx512_linear_tile(const struct weight *weight, enum unpack unpack, size_t first_row, uint32_t row_begin,
                        uint32_t row_end, const struct q8_rows *x, uint32_t n_tokens, float *out,
                        size_t out_stride, void *scratch);
size_t avx512_tile_scratch_bytes(uint32_t cols);
enum unpack avx512_unpack_kind(const struct weight *weight);
void avx512_unpack_row(const struct weight *weight, uint32_t expert, uint32_t row, float *out);
void avx512_quantize_row(const float *x, uint32_t n, enum code_order order, struct q8_rows *out,
                         uint32_t row);
void avx512_rms_norm(const float *x, const float *weight, float eps, uint32_t n, float *out);
void avx512_rope(float *x, uint32_t n_heads, uint32_t head_dim, uint32_t dims, bool interleaved,
                 const float *cos_sin);
void avx512_kv_store(const float *key, const float *value, uint32_t head_dim, uint32_t kv_bits,
                     uint32_t position, uint8_t *page_keys, uint8_t *page_values);
void avx512_attend(const struct attend_tile *tile, void *scratch);
size_t avx512_attend_scratch_bytes(uint32_t head_dim);
void avx512_act_mul(enum plan_activation activation, const float *gate, const float *up, uint32_t n,
                    float *out);
void avx512_add(const float *a, const float *b, uint32_t n, float *out);
void avx512_add_scaled(float *y, const float *x, float scale, uint32_t n);
void avx512_scale(const float *x, float scale, float softcap, uint32_t n, float *out);

/* ---- unpacking, shared by the matrix-vector and the tile path ---- */

enum { AVX512_PAIR_BLOCK = 128 };

/* Bits of one code. */
ALWAYS_INLINE uint32_t unpack_bits(enum unpack unpack)
{
    switch (unpack) {
    case UNPACK_2:
        return 2;
    case UNPACK_3:
        return 3;
    case UNPACK_5:
        return 5;
    case UNPACK_6:
        return 6;
    case UNPACK_8:
        return 8;
    default:
        return 4;
    }
}

/* Spreads bytes [b q, b q + b) of a vector into qword q, for codes of b bits: eight codes fill b bytes. */
ALWAYS_INLINE __m512i spread_index(uint32_t bits)
{
    uint8_t index[64];
    for (uint32_t i = 0; i < 64; i++)
        index[i] = (uint8_t)(i / 8 * bits + i % 8);
    return _mm512_loadu_si512(index);
}

/* For each byte of a qword, the bit at which its code starts. */
ALWAYS_INLINE __m512i shift_index(uint32_t bits)
{
    uint64_t shifts = 0;
    for (uint64_t i = 0; i < 8; i++)
        shifts |= (i * bits) << (8 * i);
    return _mm512_set1_epi64((long long)shifts);
}

/* The 64 codes in natural order that `bytes` (8 * bits of them used) hold. */
ALWAYS_INLINE __m512i unpack_natural(__m512i bytes, uint32_t bits)
{
    if (bits == 8)
        return bytes;
    __m512i spread = _mm512_permutexvar_epi8(spread_index(bits), bytes);
    __m512i codes = _mm512_multishift_epi64_epi8(shift_index(bits), spread);
    return _mm512_and_si512(codes, _mm512_set1_epi8((char)((1u << bits) - 1u)));
}

/* Twice the e2m1 value plus 12, for each 4-bit code. */
ALWAYS_INLINE __m512i e2m1_codes(__m512i nibbles)
{
    const __m128i table = _mm_setr_epi8(12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), nibbles);
}

ALWAYS_INLINE __m512i even_nibbles(__m512i bytes, enum unpack unpack)
{
    __m512i low = _mm512_and_si512(bytes, _mm512_set1_epi8(15));
    return unpack == UNPACK_E2M1 ? e2m1_codes(low) : low;
}

ALWAYS_INLINE __m512i odd_nibbles(__m512i bytes, enum unpack unpack)
{
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi8(15));
    return unpack == UNPACK_E2M1 ? e2m1_codes(high) : high;
}

#endif
