/* Weights of any format times f32 activations: rows are unpacked to f32 in scratch, then multiplied.
 *
 * One accumulator vector for each (weight row, token), columns in order, 16 at a time, lanes added at the end
 * in the order of sum_lanes: the same for one token or many.
 */
#include "backend/cpu/kernels/avx512/avx512.h"
#include "base/float16.h"

enum { ROWS = 4, TOKENS = 4 };

static void unpack_dense(const struct weight *weight, size_t row, float *out)
{
    const uint8_t *data = weight->data + row * weight->row_bytes;
    for (uint32_t c = 0; c < weight->cols; c += 16) {
        __mmask16 mask = first_lanes(weight->cols - c);
        __m512 v;
        if (weight->type == SCALAR_BF16)
            v = bf16_to_f32(_mm256_maskz_loadu_epi16(mask, data + (size_t)c * 2));
        else if (weight->type == SCALAR_F16)
            v = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, data + (size_t)c * 2));
        else
            v = _mm512_maskz_loadu_ps(mask, data + (size_t)c * 4);
        _mm512_mask_storeu_ps(out + c, mask, v);
    }
}

/* 16 e4m3 numbers. Exponent and fraction moved to where f16 has them are the number times 2^-8, subnormal
 * ones included; only NaN must be told. */
ALWAYS_INLINE __m512 from_e4m3(__m128i codes)
{
    __m256i wide = _mm256_cvtepu8_epi16(codes), magnitude = _mm256_and_si256(wide, _mm256_set1_epi16(0x7F));
    __m256i sign = _mm256_slli_epi16(_mm256_xor_si256(wide, magnitude), 8);
    __m256i half = _mm256_or_si256(_mm256_slli_epi16(magnitude, 7), sign);
    __mmask16 nan = _mm256_cmpeq_epi16_mask(magnitude, _mm256_set1_epi16(0x7F));
    half = _mm256_mask_mov_epi16(half, nan, _mm256_set1_epi16(0x7E00));
    return _mm512_mul_ps(_mm512_cvtph_ps(half), _mm512_set1_ps(256.0f));
}

static void unpack_mxfp8(const struct weight *weight, size_t row, float *out)
{
    const uint8_t *data = weight->data + row * weight->row_bytes;
    const uint8_t *scales = weight->scales + row * (weight->cols / weight->group_size);
    for (uint32_t c = 0; c < weight->cols; c += 16) {
        __m128i codes = _mm_loadu_si128((const __m128i *)(const void *)(data + c));
        __m512 scale = _mm512_set1_ps(float_from_e8m0(scales[c / weight->group_size]));
        _mm512_storeu_ps(out + c, _mm512_mul_ps(from_e4m3(codes), scale));
    }
}

/* 16 codes (a byte each) of one group, n of them wanted. */
ALWAYS_INLINE void store_codes(__m128i codes, float scale, float bias, float *out, uint32_t n)
{
    __m512 q = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes));
    _mm512_mask_storeu_ps(out, first_lanes(n),
                          _mm512_fmadd_ps(q, _mm512_set1_ps(scale), _mm512_set1_ps(bias)));
}

/* 64 codes in natural order from the first `bytes` bytes at data. */
static __m512i natural_codes(enum unpack unpack, const uint8_t *data, size_t left)
{
    uint32_t bits = unpack_bits(unpack);
    size_t load = 8 * (size_t)bits;
    __m512i q = _mm512_maskz_loadu_epi8(first_bytes(left < load ? left : load), data);
    switch (unpack) {
    case UNPACK_NIBBLES:
        return unpack_natural(q, 4);
    case UNPACK_E2M1:
        return e2m1_codes(unpack_natural(q, 4));
    case UNPACK_2:
        return unpack_natural(q, 2);
    case UNPACK_3:
        return unpack_natural(q, 3);
    case UNPACK_5:
        return unpack_natural(q, 5);
    case UNPACK_6:
        return unpack_natural(q, 6);
    default:
        return q;
    }
}

static void unpack_coded(const struct weight *weight, size_t row, float *out)
{
    enum unpack unpack = avx512_unpack_kind(weight);
    uint32_t group = weight->group_size, n_groups = weight->cols / group, bits = unpack_bits(unpack);
    float scale[16], bias[16];
    for (uint32_t c = 0; c < weight->cols; c += 64) {
        size_t at = (size_t)c / 8 * bits;
        __m512i codes =
            natural_codes(unpack, weight->data + row * weight->row_bytes + at, weight->row_bytes - at);
        uint8_t bytes[64];
        _mm512_storeu_si512(bytes, codes);
        uint32_t end = weight->cols - c < 64 ? weight->cols - c : 64;
        for (uint32_t i = 0; i < end; i += 16) {
            uint32_t g = (c + i) / group;
            if (g % 16 == 0 && (c + i) % group == 0) {
                struct group_scales loaded =
                    load_group_scales(weight, unpack != UNPACK_E2M1, row, g, first_lanes(n_groups - g));
                _mm512_storeu_ps(scale, loaded.scale);
                _mm512_storeu_ps(bias, loaded.bias);
            }
            store_codes(_mm_loadu_si128((const __m128i *)(const void *)(bytes + i)), scale[g % 16],
                        bias[g % 16], out + c + i, end - i);
        }
    }
}

static void unpack_any(const struct weight *weight, size_t row, float *out)
{
    if (weight->format == WEIGHT_DENSE)
        unpack_dense(weight, row, out);
    else if (weight->format == WEIGHT_MXFP8)
        unpack_mxfp8(weight, row, out);
    else
        unpack_coded(weight, row, out);
}

void avx512_unpack_row(const struct weight *weight, uint32_t expert, uint32_t row, float *out)
{
    unpack_any(weight, (size_t)expert * weight->rows + row, out);
}

/* NR unpacked rows times NT tokens. */
ALWAYS_INLINE void multiply_block(const float *w, uint32_t cols, const uint32_t NR, const float *x,
                                  size_t x_stride, const uint32_t NT, float *out, size_t out_stride)
{
    __m512 acc[ROWS * TOKENS];
    for (uint32_t i = 0; i < NR * NT; i++)
        acc[i] = _mm512_setzero_ps();
    for (uint32_t c = 0; c < cols; c += 16) {
        __mmask16 mask = first_lanes(cols - c);
        __m512 row[ROWS];
        for (uint32_t r = 0; r < NR; r++)
            row[r] = _mm512_maskz_loadu_ps(mask, w + (size_t)r * cols + c);
        for (uint32_t t = 0; t < NT; t++) {
            __m512 value = _mm512_maskz_loadu_ps(mask, x + t * x_stride + c);
            for (uint32_t r = 0; r < NR; r++)
                acc[t * NR + r] = _mm512_fmadd_ps(row[r], value, acc[t * NR + r]);
        }
    }
    for (uint32_t t = 0; t < NT; t++)
        for (uint32_t r = 0; r < NR; r++)
            out[t * out_stride + r] = sum_lanes(acc[t * NR + r]);
}

static void multiply_rows(const float *w, uint32_t cols, uint32_t n_rows, const float *x, size_t x_stride,
                          uint32_t n_tokens, float *out, size_t out_stride)
{
    uint32_t t = 0;
    if (n_rows == ROWS)
        for (; t + TOKENS <= n_tokens; t += TOKENS)
            multiply_block(w, cols, ROWS, x + t * x_stride, x_stride, TOKENS, out + t * out_stride,
                           out_stride);
    for (; t < n_tokens; t++) {
        const float *token = x + t * x_stride;
        float *target = out + t * out_stride;
        if (n_rows == ROWS)
            multiply_block(w, cols, ROWS, token, x_stride, 1, target, out_stride);
        else
            for (uint32_t r = 0; r < n_rows; r++)
                multiply_block(w + (size_t)r * cols, cols, 1, token, x_stride, 1, target + r, out_stride);
    }
}

void avx512_linear_f32(const struct weight *weight, uint32_t expert, uint32_t row_begin, uint32_t row_end,
                       const float *x, size_t x_stride, uint32_t n_tokens, float *out, size_t out_stride,
                       void *scratch)
{
    float *rows = scratch;
    size_t first_row = (size_t)expert * weight->rows;
    if (!n_tokens)
        return;
    for (uint32_t r = row_begin; r < row_end; r += ROWS) {
        uint32_t n = row_end - r < ROWS ? row_end - r : ROWS;
        for (uint32_t i = 0; i < n; i++)
            unpack_any(weight, first_row + r + i, rows + (size_t)i * weight->cols);
        multiply_rows(rows, weight->cols, n, x, x_stride, n_tokens, out + r, out_stride);
    }
}
