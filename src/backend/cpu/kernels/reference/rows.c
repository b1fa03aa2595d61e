/* Kernels over single rows of f32, in plain C, and the reference table. */
#include "backend/cpu/kernels/reference/reference.h"

#include <math.h>

/* RMS norm (Zhang & Sennrich 2019). The mean is taken in double: squares of large activations neither
 * overflow nor swallow the small ones. */
static void reference_rms_norm(const float *x, const float *weight, float eps, uint32_t n, float *out)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    float factor = (float)(1.0 / sqrt(sum / n + (double)eps));
    for (uint32_t i = 0; i < n; i++)
        out[i] = weight ? x[i] * factor * weight[i] : x[i] * factor;
}

/* Rotary embedding (Su et al. 2021): each pair (a, b) turns by its angle. */
static void reference_rope(float *x, uint32_t n_heads, uint32_t head_dim, uint32_t dims, bool interleaved,
                           const float *cos_sin)
{
    uint32_t pairs = dims / 2;
    for (uint32_t head = 0; head < n_heads; head++) {
        float *h = x + (size_t)head * head_dim;
        for (uint32_t i = 0; i < pairs; i++) {
            float *a = interleaved ? h + (size_t)2 * i : h + i;
            float *b = interleaved ? a + 1 : a + pairs;
            float cosine = cos_sin[i], sine = cos_sin[pairs + i];
            float turned = *a * cosine - *b * sine;
            *b = *b * cosine + *a * sine;
            *a = turned;
        }
    }
}

/* SiLU: x / (1 + exp(-x)). GELU (Hendrycks & Gimpel 2016): x * Phi(x), or its tanh form. In double, so that
 * the tails carry no cancellation. */
static double activate(enum plan_activation activation, double x)
{
    const double sqrt_2_over_pi = 0.7978845608028654, sqrt_half = 0.7071067811865476;
    switch (activation) {
    case ACTIVATION_GELU_TANH:
        /* 0.5 (1 + tanh u) = 1 / (1 + exp(-2u)) */
        return x / (1 + exp(-2 * sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
    case ACTIVATION_GELU:
        return 0.5 * x * erfc(-x * sqrt_half);
    default:
        return x / (1 + exp(-x));
    }
}

static void reference_act_mul(enum plan_activation activation, const float *gate, const float *up, uint32_t n,
                              float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        if (activation == ACTIVATION_SWIGLU_OAI) {
            double g = fmin((double)gate[i], (double)PLAN_SWIGLU_OAI_LIMIT);
            double u =
                fmax(fmin((double)up[i], (double)PLAN_SWIGLU_OAI_LIMIT), -(double)PLAN_SWIGLU_OAI_LIMIT);
            out[i] = (float)(g / (1 + exp(-(double)PLAN_SWIGLU_OAI_ALPHA * g)) * (u + 1));
        } else {
            out[i] = (float)activate(activation, (double)gate[i]) * up[i];
        }
    }
}

static void reference_add(const float *a, const float *b, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = a[i] + b[i];
}

static void reference_add_scaled(float *y, const float *x, float scale, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        y[i] += scale * x[i];
}

static void reference_scale(const float *x, float scale, float softcap, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = softcap > 0 ? softcap * tanhf(x[i] * scale / softcap) : x[i] * scale;
}

void kernels_init_reference(struct kernels *kernels)
{
    *kernels = (struct kernels){
        .isa = "reference",
        .rms_norm = reference_rms_norm,
        .rope = reference_rope,
        .act_mul = reference_act_mul,
        .add = reference_add,
        .add_scaled = reference_add_scaled,
        .scale = reference_scale,
    };
    reference_linear_init(kernels);
    reference_attend_init(kernels);
}
