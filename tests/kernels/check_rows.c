/* rms_norm, rope, act_mul, add, add_scaled, scale. Products and sums may be fused or not: tolerances are in
 * units of u = 2^-24 of the magnitudes involved. */
#include "check.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const double u = 0x1p-24;
enum { MAX_N = 1024 };

static uint32_t odd_size(uint32_t i)
{
    return i < 40 ? i + 1 : 1 + random_below(MAX_N);
}

static float *fresh(enum area area, uint32_t n, enum fill fill)
{
    float *p = guard_place(area, n * sizeof *p, random_below(2) ? PLACE_END : PLACE_START, 0);
    fill_floats(p, n, fill);
    return p;
}

static void check_rms_norm(const struct kernels *k, const struct kernels *reference)
{
    check_begin("rms_norm", k->isa);
    for (uint32_t i = 0; i < 120; i++) {
        uint32_t n = odd_size(i);
        float want[MAX_N], *x = fresh(AREA_X, n, i % FILLS), *out = fresh(AREA_OUT, n, FILL_NORMAL);
        const float *weight = random_below(3) ? fresh(AREA_X2, n, FILL_NORMAL) : NULL;
        float eps = i % 2 ? 1e-5f : 1e-6f;
        bool good = true;
        reference->rms_norm(x, weight, eps, n, want);
        k->rms_norm(x, weight, eps, n, out);
        /* the mean: one rounding per 16th element when summed in f32 vectors, halved by the root */
        for (uint32_t j = 0; j < n; j++)
            good = good && near_enough(out[j], want[j], (6 + n / 16.0) * u * fabs((double)want[j]) + 1e-44);
        check_that(good, "n %u fill %u", n, i % FILLS);
        k->rms_norm(x, weight, eps, n, x);
        check_that(same_bits(x, out, n * sizeof *x), "n %u: in place differs", n);
        check_that(guard_intact("rms_norm"), "n %u: wrote outside", n);
    }
    check_end();
}

static bool rope_close(const float *got, const float *want, const float *before, const float *cos_sin,
                       uint32_t head_dim, uint32_t dims, bool interleaved)
{
    uint32_t pairs = dims / 2;
    for (uint32_t i = 0; i < pairs; i++) {
        uint32_t a = interleaved ? 2 * i : i, b = interleaved ? a + 1 : a + pairs;
        double size = fabs((double)before[a]) + fabs((double)before[b]);
        double largest = fmax(fabs((double)cos_sin[i]), fabs((double)cos_sin[pairs + i]));
        if (!near_enough(got[a], want[a], 2 * u * size * largest + 1e-44) ||
            !near_enough(got[b], want[b], 2 * u * size * largest + 1e-44))
            return false;
    }
    return same_bits(got + dims, want + dims, (head_dim - dims) * sizeof *got);
}

static void check_rope(const struct kernels *k, const struct kernels *reference)
{
    check_begin("rope", k->isa);
    for (uint32_t i = 0; i < 160; i++) {
        uint32_t dims = i < 60 ? 2 * (i / 2 + 1) : 2 * (1 + random_below(64)),
                 head_dim = dims + 2 * random_below(4);
        uint32_t n_heads = 1 + random_below(4), n = n_heads * head_dim;
        bool interleaved = i % 2, good = true;
        float before[4 * 160], want[4 * 160], *x = fresh(AREA_X, n, random_below(FILLS));
        float *cos_sin = fresh(AREA_X2, dims, FILL_NORMAL);
        memcpy(before, x, n * sizeof *x);
        memcpy(want, x, n * sizeof *x);
        reference->rope(want, n_heads, head_dim, dims, interleaved, cos_sin);
        k->rope(x, n_heads, head_dim, dims, interleaved, cos_sin);
        for (uint32_t h = 0; h < n; h += head_dim)
            good = good && rope_close(x + h, want + h, before + h, cos_sin, head_dim, dims, interleaved);
        check_that(good, "%u heads of %u, %u turned%s", n_heads, head_dim, dims,
                   interleaved ? ", interleaved" : "");
        check_that(guard_intact("rope"), "%u heads of %u: wrote outside", n_heads, head_dim);
    }
    check_end();
}

/* SiLU: 16 u of the result. SWIGLU_OAI's exponent is a product, whose rounding is u of the result for each
 * unit of its size. The GELUs may be x (1 + tanh) / 2 or x (1 + erf) / 2 as written, which cancels in the
 * lower tail: a few u of x there. 1e-35: what is left of a result when e^-x has left the range of f32. */
static double act_tolerance(enum plan_activation activation, float gate, float up, float want)
{
    double relative = 16, cancelled = 0;
    if (activation == ACTIVATION_SWIGLU_OAI)
        relative += (double)PLAN_SWIGLU_OAI_ALPHA * fabs((double)fminf(gate, PLAN_SWIGLU_OAI_LIMIT));
    else if (activation != ACTIVATION_SILU)
        cancelled = 4 * fabs((double)gate * (double)up);
    return (relative * fabs((double)want) + cancelled) * u + 1e-35;
}

static void check_act_mul(const struct kernels *k, const struct kernels *reference)
{
    check_begin("act_mul", k->isa);
    for (uint32_t i = 0; i < 360; i++) {
        enum plan_activation activation = i % 4;
        uint32_t n = odd_size(i / 4);
        float want[MAX_N], *gate = fresh(AREA_X, n, i / 4 % FILLS), *up = fresh(AREA_X2, n, FILL_NORMAL);
        float *out = fresh(AREA_OUT, n, FILL_NORMAL), alone;
        bool scaled = i / 4 / FILLS % 2; /* each fill as it is, and each scaled */
        for (uint32_t j = 0; j < n && scaled; j++) {
            gate[j] *= random_uniform(0, 20);
            up[j] *= random_uniform(0, 20);
        }
        bool good = true;
        reference->act_mul(activation, gate, up, n, want);
        k->act_mul(activation, gate, up, n, out);
        for (uint32_t j = 0; j < n; j++)
            good = good && near_enough(out[j], want[j], act_tolerance(activation, gate[j], up[j], want[j]));
        check_that(good, "activation %d n %u fill %u", (int)activation, n, i / 4 % FILLS);
        uint32_t at = random_below(n);
        k->act_mul(activation, gate + at, up + at, 1, &alone);
        check_that(same_bits(&alone, out + at, sizeof alone), "activation %d: element %u of %u differs alone",
                   (int)activation, at, n);
        k->act_mul(activation, gate, up, n, gate);
        check_that(same_bits(gate, out, n * sizeof *gate), "activation %d n %u: in place differs",
                   (int)activation, n);
        check_that(guard_intact("act_mul"), "n %u: wrote outside", n);
    }
    check_end();
}

static void check_add(const struct kernels *k, const struct kernels *reference)
{
    check_begin("add", k->isa);
    for (uint32_t i = 0; i < 120; i++) {
        uint32_t n = odd_size(i);
        float want[MAX_N], *a = fresh(AREA_X, n, i % FILLS), *b = fresh(AREA_X2, n, random_below(FILLS));
        float *out = fresh(AREA_OUT, n, FILL_NORMAL);
        reference->add(a, b, n, want);
        k->add(a, b, n, out);
        check_that(same_bits(out, want, n * sizeof *out), "n %u", n);
        float *target = i % 2 ? a : b;
        k->add(a, b, n, target);
        check_that(same_bits(target, want, n * sizeof *out), "n %u: in place differs", n);
        check_that(guard_intact("add"), "n %u: wrote outside", n);
    }
    check_end();
}

static void check_add_scaled(const struct kernels *k, const struct kernels *reference)
{
    check_begin("add_scaled", k->isa);
    for (uint32_t i = 0; i < 120; i++) {
        uint32_t n = odd_size(i);
        float scale = random_uniform(-2, 2), want[MAX_N], size[MAX_N], *y = fresh(AREA_OUT, n, i % FILLS);
        float *x = fresh(AREA_X, n, random_below(FILLS));
        bool good = true;
        memcpy(want, y, n * sizeof *y);
        for (uint32_t j = 0; j < n; j++)
            size[j] = fabsf(y[j]) + fabsf(scale * x[j]);
        reference->add_scaled(want, x, scale, n);
        k->add_scaled(y, x, scale, n);
        for (uint32_t j = 0; j < n; j++)
            good = good && near_enough(y[j], want[j], 2 * u * (double)size[j] + 1e-44);
        check_that(good, "n %u", n);
        check_that(guard_intact("add_scaled"), "n %u: wrote outside", n);
    }
    check_end();
}

/* Numbers that no logit should be, here and there. */
static void spoil(float *x, uint32_t n)
{
    static const float odd[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, FLT_MIN, 0.0f, -0.0f};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        x[random_below(n)] = odd[i];
}

/* Without a softcap one product, the same everywhere. With one the result never leaves it, and is off by a
 * few u of it: the argument is rounded twice, tanh may be 1 - 2 / (e^2x + 1) as written. */
static bool scale_close(float got, float x, float scale, float softcap)
{
    if (softcap == 0)
        return near_enough(got, x * scale, 0);
    double cap = (double)softcap, want = cap * tanh((double)x * (double)scale / cap);
    return near_enough(got, (float)want, 8 * u * cap) && !(fabsf(got) > softcap);
}

static void check_scale(const struct kernels *k)
{
    check_begin("scale", k->isa);
    for (uint32_t i = 0; i < 240; i++) {
        uint32_t n = odd_size(i / 2), at = random_below(n + 1);
        float softcap = i % 2 ? random_uniform(1, 60) : 0, scale = random_uniform(-2, 2), cut[MAX_N];
        float *x = fresh(AREA_X, n, i / 2 % FILLS), *out = fresh(AREA_OUT, n, FILL_NORMAL);
        if (random_below(2)) /* around the softcap, where tanh bends */
            scale *= 50;
        if (random_below(3) == 0)
            spoil(x, n);
        bool good = true;
        k->scale(x, scale, softcap, n, out);
        for (uint32_t j = 0; j < n; j++)
            good = good && scale_close(out[j], x[j], scale, softcap);
        check_that(good, "n %u fill %u, times %g, softcap %g", n, i / 2 % FILLS, (double)scale,
                   (double)softcap);
        k->scale(x, scale, softcap, at, cut);
        k->scale(x + at, scale, softcap, n - at, cut + at);
        check_that(same_bits(cut, out, n * sizeof *out), "n %u softcap %g: differs when cut at %u", n,
                   (double)softcap, at);
        k->scale(x, scale, softcap, n, x);
        check_that(same_bits(x, out, n * sizeof *out), "n %u softcap %g: in place differs", n,
                   (double)softcap);
        check_that(guard_intact("scale"), "n %u: wrote outside", n);
    }
    check_end();
}

void check_rows(const struct kernels *k)
{
    struct kernels reference;
    kernels_init_reference(&reference);
    check_rms_norm(k, &reference);
    check_rope(k, &reference);
    check_act_mul(k, &reference);
    check_add(k, &reference);
    check_add_scaled(k, &reference);
    check_scale(k);
}
