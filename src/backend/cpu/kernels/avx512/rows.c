/* Kernels that work on one row: rounding to int8, norm, rope, activations, sums, storing keys and values. */
#include <math.h>

#include "backend/cpu/kernels/avx512/avx512.h"
#include "backend/cpu/kernels/kv.h"

/* Where in the stored row the codes of elements [c, c + 16) go. */
static void store_16_codes(int8_t *row, enum code_order order, uint32_t c, __m128i codes)
{
    if (order == ORDER_NATURAL) {
        _mm_storeu_si128((__m128i *)(void *)(row + c), codes);
        return;
    }
    const __m128i split = _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    __m128i halves = _mm_shuffle_epi8(codes, split);
    int8_t *block = row + (size_t)(c / AVX512_PAIR_BLOCK) * AVX512_PAIR_BLOCK + c % AVX512_PAIR_BLOCK / 2;
    _mm_storel_epi64((__m128i *)(void *)block, halves);
    _mm_storel_epi64((__m128i *)(void *)(block + AVX512_PAIR_BLOCK / 2), _mm_unpackhi_epi64(halves, halves));
}

void avx512_quantize_row(const float *x, uint32_t n, enum code_order order, struct q8_rows *out, uint32_t row)
{
    int8_t *codes = out->codes + row * out->code_stride;
    float *scales = out->scales + row * out->group_stride, *sums = out->sums + row * out->group_stride;
    uint32_t group = out->group, n_groups = n / group;
    for (uint32_t g = 0; g < n_groups; g++) {
        __m512 most = _mm512_setzero_ps();
        for (uint32_t i = 0; i < group; i += 16)
            most = _mm512_max_ps(most, _mm512_abs_ps(_mm512_loadu_ps(x + (size_t)g * group + i)));
        /* max_ps drops a NaN when a number follows it: ask for NaN apart, so that a broken row stays visible
         */
        __mmask16 nan = 0;
        for (uint32_t i = 0; i < group; i += 16) {
            __m512 v = _mm512_loadu_ps(x + (size_t)g * group + i);
            nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        }
        float amax = nan ? NAN : _mm512_reduce_max_ps(most);
        float scale = amax / 127.0f, inverse = amax > 0 ? 127.0f / amax : 0;
        __m512i sum = _mm512_setzero_si512();
        for (uint32_t i = 0; i < group; i += 16) {
            __m512 v = _mm512_mul_ps(_mm512_loadu_ps(x + (size_t)g * group + i), _mm512_set1_ps(inverse));
            /* limits first: a subnormal group has an infinite inverse, and converting that gives INT_MIN */
            __m512 limited = _mm512_max_ps(_mm512_min_ps(v, _mm512_set1_ps(127.0f)), _mm512_set1_ps(-127.0f));
            __m512i q = _mm512_cvtps_epi32(limited);
            q = _mm512_maskz_mov_epi32(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), q);
            sum = _mm512_add_epi32(sum, q);
            store_16_codes(codes, order, g * group + i, _mm512_cvtepi32_epi8(q));
        }
        scales[g] = scale;
        sums[g] = scale * (float)_mm512_reduce_add_epi32(sum);
    }
    for (size_t g = n_groups; g < out->group_stride; g++)
        scales[g] = sums[g] = 0;
    /* the padding: in PAIRS order the last block's halves are each filled from the front */
    uint32_t whole = n / AVX512_PAIR_BLOCK * AVX512_PAIR_BLOCK, rest = n - whole;
    if (order == ORDER_NATURAL || !rest) {
        for (size_t i = n; i < out->code_stride; i++)
            codes[i] = 0;
        return;
    }
    for (size_t i = rest / 2; i < AVX512_PAIR_BLOCK / 2; i++)
        codes[whole + i] = codes[whole + AVX512_PAIR_BLOCK / 2 + i] = 0;
    for (size_t i = whole + AVX512_PAIR_BLOCK; i < out->code_stride; i++)
        codes[i] = 0;
}

void avx512_rms_norm(const float *x, const float *weight, float eps, uint32_t n, float *out)
{
    __m512 squares = _mm512_setzero_ps();
    for (uint32_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        squares = _mm512_fmadd_ps(v, v, squares);
    }
    __m512 factor = _mm512_set1_ps(1.0f / sqrtf(sum_lanes(squares) / (float)n + eps));
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 mask = first_lanes(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        if (weight)
            v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, weight + i));
        _mm512_mask_storeu_ps(out + i, mask, v);
    }
}

static void rotate_interleaved(float *head, uint32_t pairs, const float *cos_sin)
{
    for (size_t i = 0; i < pairs; i++) {
        float a = head[2 * i], b = head[2 * i + 1];
        head[2 * i] = a * cos_sin[i] - b * cos_sin[pairs + i];
        head[2 * i + 1] = a * cos_sin[pairs + i] + b * cos_sin[i];
    }
}

void avx512_rope(float *x, uint32_t n_heads, uint32_t head_dim, uint32_t dims, bool interleaved,
                 const float *cos_sin)
{
    uint32_t pairs = dims / 2;
    for (uint32_t h = 0; h < n_heads; h++) {
        float *head = x + (size_t)h * head_dim;
        if (interleaved) {
            rotate_interleaved(head, pairs, cos_sin);
            continue;
        }
        for (uint32_t i = 0; i < pairs; i += 16) {
            __mmask16 mask = first_lanes(pairs - i);
            __m512 a = _mm512_maskz_loadu_ps(mask, head + i),
                   b = _mm512_maskz_loadu_ps(mask, head + pairs + i);
            __m512 c = _mm512_maskz_loadu_ps(mask, cos_sin + i),
                   s = _mm512_maskz_loadu_ps(mask, cos_sin + pairs + i);
            _mm512_mask_storeu_ps(head + i, mask, _mm512_fmsub_ps(a, c, _mm512_mul_ps(b, s)));
            _mm512_mask_storeu_ps(head + pairs + i, mask, _mm512_fmadd_ps(a, s, _mm512_mul_ps(b, c)));
        }
    }
}

void avx512_kv_store(const float *key, const float *value, uint32_t head_dim, uint32_t kv_bits,
                     uint32_t position, uint8_t *page_keys, uint8_t *page_values)
{
    uint32_t slot = position % BACKEND_PAGE_TOKENS;
    if (kv_bits == 8) {
        kv_store_codes(key, value, head_dim, slot, page_keys, page_values);
        return;
    }
    const __m512 most = _mm512_set1_ps(65504.0f), least = _mm512_set1_ps(-65504.0f);
    for (uint32_t d = 0; d < head_dim; d += 16) {
        __mmask16 mask = first_lanes(head_dim - d);
        __m512 k = _mm512_maskz_loadu_ps(mask, key + d), v = _mm512_maskz_loadu_ps(mask, value + d);
        uint32_t n = head_dim - d < 16 ? head_dim - d : 16;
        if (kv_bits == 32) {
            float lanes[16];
            _mm512_storeu_ps(lanes, k);
            for (uint32_t i = 0; i < n; i++)
                __builtin_memcpy(page_keys + kv_key_index(slot, d + i, head_dim) * 4, &lanes[i], 4);
            _mm512_mask_storeu_ps(page_values + ((size_t)slot * head_dim + d) * 4, mask, v);
        } else {
            uint16_t lanes[16];
            k = _mm512_min_ps(_mm512_max_ps(k, least), most);
            v = _mm512_min_ps(_mm512_max_ps(v, least), most);
            _mm256_storeu_si256((__m256i *)(void *)lanes, _mm512_cvtps_ph(k, _MM_FROUND_TO_NEAREST_INT));
            for (uint32_t i = 0; i < n; i++)
                __builtin_memcpy(page_keys + kv_key_index(slot, d + i, head_dim) * 2, &lanes[i], 2);
            _mm256_mask_storeu_epi16(page_values + ((size_t)slot * head_dim + d) * 2, mask,
                                     _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
        }
    }
}

/* Hendrycks & Gimpel 2016: GELU; the tanh form is its approximation with sqrt(2 / pi) and 0.044715. */
ALWAYS_INLINE __m512 activate(enum plan_activation activation, __m512 x)
{
    const __m512 one = _mm512_set1_ps(1.0f);
    if (activation == ACTIVATION_SILU) {
        __m512 e = exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), x));
        return _mm512_div_ps(x, _mm512_add_ps(one, e));
    }
    if (activation == ACTIVATION_GELU_TANH) {
        /* 0.5 x (1 + tanh y) = x / (1 + e^-2y), which keeps its digits in the lower tail */
        __m512 cube = _mm512_mul_ps(_mm512_mul_ps(x, x), x);
        __m512 inner =
            _mm512_mul_ps(_mm512_set1_ps(-1.59576912f), _mm512_fmadd_ps(_mm512_set1_ps(0.044715f), cube, x));
        return _mm512_div_ps(x, _mm512_add_ps(one, exp_ps(inner)));
    }
    float lanes[16];
    _mm512_storeu_ps(lanes, x);
    for (int i = 0; i < 16; i++)
        lanes[i] = 0.5f * lanes[i] * (1.0f + erff(lanes[i] * 0.707106781f));
    return _mm512_loadu_ps(lanes);
}

/* gate may be clipped by the limit from above only, up on both sides (plan.h). */
ALWAYS_INLINE __m512 swiglu_oai(__m512 gate, __m512 up)
{
    const __m512 limit = _mm512_set1_ps(PLAN_SWIGLU_OAI_LIMIT), one = _mm512_set1_ps(1.0f);
    gate = _mm512_min_ps(gate, limit);
    up = _mm512_max_ps(_mm512_min_ps(up, limit), _mm512_sub_ps(_mm512_setzero_ps(), limit));
    __m512 e = exp_ps(_mm512_mul_ps(gate, _mm512_set1_ps(-PLAN_SWIGLU_OAI_ALPHA)));
    return _mm512_mul_ps(_mm512_div_ps(gate, _mm512_add_ps(one, e)), _mm512_add_ps(up, one));
}

void avx512_act_mul(enum plan_activation activation, const float *gate, const float *up, uint32_t n,
                    float *out)
{
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 mask = first_lanes(n - i);
        if (activation == ACTIVATION_SWIGLU_OAI) {
            _mm512_mask_storeu_ps(
                out + i, mask,
                swiglu_oai(_mm512_maskz_loadu_ps(mask, gate + i), _mm512_maskz_loadu_ps(mask, up + i)));
            continue;
        }
        __m512 value = activate(activation, _mm512_maskz_loadu_ps(mask, gate + i));
        _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(value, _mm512_maskz_loadu_ps(mask, up + i)));
    }
}

void avx512_add(const float *a, const float *b, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 mask = first_lanes(n - i);
        _mm512_mask_storeu_ps(
            out + i, mask,
            _mm512_add_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i)));
    }
}

void avx512_add_scaled(float *y, const float *x, float scale, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 mask = first_lanes(n - i);
        __m512 sum = _mm512_fmadd_ps(_mm512_set1_ps(scale), _mm512_maskz_loadu_ps(mask, x + i),
                                     _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, sum);
    }
}

void avx512_scale(const float *x, float scale, float softcap, uint32_t n, float *out)
{
    const __m512 factor = _mm512_set1_ps(scale), cap = _mm512_set1_ps(softcap);
    for (uint32_t i = 0; i < n; i += 16) {
        __mmask16 mask = first_lanes(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), factor);
        _mm512_mask_storeu_ps(out + i, mask, softcap > 0 ? softcap_ps(v, cap) : v);
    }
}
