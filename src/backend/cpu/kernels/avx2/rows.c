/* Kernels over single rows of f32. An incomplete last vector goes through the same instructions as a full
 * one, so an element's result does not depend on where a row was cut. */
#include "backend/cpu/kernels/avx2/avx2.h"

#include <math.h>

#include "backend/cpu/kernels/avx2/simd.h"

/* Squares in double, as the reference does: neither overflow nor loss of the small beside the large. */
static double sum_of_squares(const float *x, uint32_t n)
{
    __m256d low = _mm256_setzero_pd(), high = low;
    for (uint32_t i = 0; i < n; i += 8) {
        __m256 v = load_first(x + i, n - i);
        __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
        __m256d b = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        low = _mm256_fmadd_pd(a, a, low);
        high = _mm256_fmadd_pd(b, b, high);
    }
    double lanes[4];
    _mm256_storeu_pd(lanes, _mm256_add_pd(low, high));
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

static void avx2_rms_norm(const float *x, const float *weight, float eps, uint32_t n, float *out)
{
    const __m256 factor = _mm256_set1_ps((float)(1.0 / sqrt(sum_of_squares(x, n) / n + (double)eps)));
    for (uint32_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_mul_ps(load_first(x + i, n - i), factor);
        if (weight)
            v = _mm256_mul_ps(v, load_first(weight + i, n - i));
        store_first(out + i, n - i, v);
    }
}

/* Pairs (i, i + pairs): eight at a time. */
static void rope_halves(float *head, uint32_t pairs, const float *cos_sin)
{
    for (uint32_t i = 0; i < pairs; i += 8) {
        uint32_t n = pairs - i;
        __m256 cosine = load_first(cos_sin + i, n), sine = load_first(cos_sin + pairs + i, n);
        __m256 a = load_first(head + i, n), b = load_first(head + pairs + i, n);
        store_first(head + i, n, _mm256_sub_ps(_mm256_mul_ps(a, cosine), _mm256_mul_ps(b, sine)));
        store_first(head + pairs + i, n, _mm256_add_ps(_mm256_mul_ps(b, cosine), _mm256_mul_ps(a, sine)));
    }
}

/* Pairs (2i, 2i + 1): four at a time. v * (c, c) -+ (its neighbour) * (s, s). */
static void rope_neighbours(float *head, uint32_t pairs, const float *cos_sin)
{
    const __m256i spread = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    for (size_t i = 0; i < pairs; i += 4) {
        uint32_t n = pairs - i < 4 ? (uint32_t)(pairs - i) : 4;
        __m256 cosine = _mm256_permutevar8x32_ps(load_first(cos_sin + i, n), spread);
        __m256 sine = _mm256_permutevar8x32_ps(load_first(cos_sin + pairs + i, n), spread);
        __m256 v = load_first(head + 2 * i, 2 * n), swapped = _mm256_permute_ps(v, 0xB1);
        v = _mm256_addsub_ps(_mm256_mul_ps(v, cosine), _mm256_mul_ps(swapped, sine));
        store_first(head + 2 * i, 2 * n, v);
    }
}

static void avx2_rope(float *x, uint32_t n_heads, uint32_t head_dim, uint32_t dims, bool interleaved,
                      const float *cos_sin)
{
    for (uint32_t head = 0; head < n_heads; head++) {
        if (interleaved)
            rope_neighbours(x + (size_t)head * head_dim, dims / 2, cos_sin);
        else
            rope_halves(x + (size_t)head * head_dim, dims / 2, cos_sin);
    }
}

/* x / (1 + exp(-k)) */
ALWAYS_INLINE __m256 times_sigmoid(__m256 x, __m256 k)
{
    const __m256 one = _mm256_set1_ps(1.0f);
    return _mm256_div_ps(x, _mm256_add_ps(one, exp_ps(_mm256_sub_ps(_mm256_setzero_ps(), k))));
}

/* 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))), with 0.5 (1 + tanh u) = 1 / (1 + exp(-2u)) */
ALWAYS_INLINE __m256 gelu_tanh(__m256 x)
{
    __m256 cubic = _mm256_mul_ps(_mm256_set1_ps(0.044715f), _mm256_mul_ps(x, x));
    __m256 inner = _mm256_fmadd_ps(cubic, x, x);
    return times_sigmoid(x, _mm256_mul_ps(inner, _mm256_set1_ps(2 * 0.7978845608028654f)));
}

/* x * Phi(x). For the lower tail erfc(z), z = |x| / sqrt 2, is t exp(-z² + P(t)), t = 1 / (1 + z / 2): the
 * Chebyshev fit of Numerical Recipes (erfcc), fractional error below 1.2e-7 before rounding. */
ALWAYS_INLINE __m256 gelu(__m256 x)
{
    static const float p[10] = {0.17087277f,  -0.82215223f, 1.48851587f, -1.13520398f, 0.27886807f,
                                -0.18628806f, 0.09678418f,  0.37409196f, 1.00002368f,  -1.26551223f};
    const __m256 sign = _mm256_set1_ps(-0.0f), half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f);
    __m256 z = _mm256_mul_ps(_mm256_andnot_ps(sign, x), _mm256_set1_ps(0.70710678118654752f));
    __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(z, half, one));
    __m256 sum = _mm256_set1_ps(p[0]);
    for (int i = 1; i < 10; i++)
        sum = _mm256_fmadd_ps(sum, t, _mm256_set1_ps(p[i]));
    __m256 tail = _mm256_mul_ps(_mm256_mul_ps(half, t), exp_ps(_mm256_fnmadd_ps(z, z, sum)));
    return _mm256_mul_ps(x, _mm256_blendv_ps(_mm256_sub_ps(one, tail), tail, x));
}

ALWAYS_INLINE __m256 swiglu_oai(__m256 gate, __m256 up)
{
    const __m256 limit = _mm256_set1_ps(PLAN_SWIGLU_OAI_LIMIT), one = _mm256_set1_ps(1.0f);
    gate = _mm256_min_ps(gate, limit);
    up = _mm256_max_ps(_mm256_min_ps(up, limit), _mm256_sub_ps(_mm256_setzero_ps(), limit));
    gate = times_sigmoid(gate, _mm256_mul_ps(gate, _mm256_set1_ps(PLAN_SWIGLU_OAI_ALPHA)));
    return _mm256_mul_ps(gate, _mm256_add_ps(up, one));
}

static void avx2_act_mul(enum plan_activation activation, const float *gate, const float *up, uint32_t n,
                         float *out)
{
    for (uint32_t i = 0; i < n; i += 8) {
        __m256 v = load_first(gate + i, n - i);
        if (activation == ACTIVATION_SWIGLU_OAI) {
            store_first(out + i, n - i, swiglu_oai(v, load_first(up + i, n - i)));
            continue;
        }
        if (activation == ACTIVATION_SILU)
            v = times_sigmoid(v, v);
        else if (activation == ACTIVATION_GELU_TANH)
            v = gelu_tanh(v);
        else
            v = gelu(v);
        store_first(out + i, n - i, _mm256_mul_ps(v, load_first(up + i, n - i)));
    }
}

static void avx2_add(const float *a, const float *b, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i += 8)
        store_first(out + i, n - i, _mm256_add_ps(load_first(a + i, n - i), load_first(b + i, n - i)));
}

static void avx2_add_scaled(float *y, const float *x, float scale, uint32_t n)
{
    const __m256 factor = _mm256_set1_ps(scale);
    for (uint32_t i = 0; i < n; i += 8) {
        __m256 product = _mm256_mul_ps(factor, load_first(x + i, n - i));
        store_first(y + i, n - i, _mm256_add_ps(load_first(y + i, n - i), product));
    }
}

static void avx2_scale(const float *x, float scale, float softcap, uint32_t n, float *out)
{
    const __m256 factor = _mm256_set1_ps(scale), cap = _mm256_set1_ps(softcap);
    for (uint32_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_mul_ps(load_first(x + i, n - i), factor);
        store_first(out + i, n - i, softcap > 0 ? softcap_ps(v, cap) : v);
    }
}

void avx2_rows_init(struct kernels *kernels)
{
    kernels->rms_norm = avx2_rms_norm;
    kernels->rope = avx2_rope;
    kernels->act_mul = avx2_act_mul;
    kernels->add = avx2_add;
    kernels->add_scaled = avx2_add_scaled;
    kernels->scale = avx2_scale;
}
