/* quantize_row: codes, scales and sums must be equal to the reference's to the last bit, element by element
 * (the order of the codes is each table's own), and everything behind them zero. */
#include "check.h"

#include <math.h>
#include <string.h>

#include "base/float16.h"

enum { MAX_N = 3072 };

static size_t code_position(const struct kernels *k, enum code_order order, uint32_t c)
{
    uint32_t block = k->pair_block;
    return order == ORDER_NATURAL ? c : (size_t)c / block * block + c % 2 * (block / 2) + c % block / 2;
}

/* One row, number 1 of 2, so that a kernel that mixes up strides is caught. */
static struct q8_rows quantize(const struct kernels *k, const float *x, uint32_t n, enum code_order order,
                               uint32_t group, const enum area areas[3])
{
    struct q8_rows out = {.group = group};
    out.code_stride = (n + KERNEL_CODE_ALIGN - 1) / KERNEL_CODE_ALIGN * KERNEL_CODE_ALIGN;
    out.group_stride = (n / group + 15) / 16 * 16;
    out.codes = guard_place(areas[0], 2 * out.code_stride, PLACE_END, 0);
    out.scales = guard_place(areas[1], 2 * out.group_stride * sizeof(float), PLACE_END, 0);
    out.sums = guard_place(areas[2], 2 * out.group_stride * sizeof(float), PLACE_END, 0);
    memset(out.codes, 99, 2 * out.code_stride);
    memset(out.scales, 99, 2 * out.group_stride * sizeof(float));
    memset(out.sums, 99, 2 * out.group_stride * sizeof(float));
    k->quantize_row(x, n, order, &out, 1);
    return out;
}

static bool codes_equal(const struct kernels *k, const struct q8_rows *got, const struct kernels *reference,
                        const struct q8_rows *want, enum code_order order, uint32_t n)
{
    const int8_t *a = got->codes + got->code_stride, *b = want->codes + want->code_stride;
    bool seen[MAX_N + KERNEL_CODE_ALIGN] = {false};
    for (uint32_t c = 0; c < n; c++) {
        size_t at = code_position(k, order, c);
        if (a[at] != b[code_position(reference, order, c)])
            return false;
        seen[at] = true;
    }
    for (size_t i = 0; i < got->code_stride; i++)
        if (!seen[i] && a[i] != 0)
            return false;
    return got->codes[got->code_stride - 1] == 99; /* the row before */
}

/* To the last bit, any NaN being equal to any other. */
static bool floats_equal(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(isnan(a[i]) && isnan(b[i])) && float_to_bits(a[i]) != float_to_bits(b[i]))
            return false;
    return true;
}

static void quantize_case(const struct kernels *k, uint32_t n, uint32_t group, enum code_order order,
                          enum fill fill, int special)
{
    static const enum area mine[3] = {AREA_OUT, AREA_OUT2, AREA_OUT3},
                           theirs[3] = {AREA_WEIGHT, AREA_SCALES, AREA_BIASES};
    static const float specials[] = {NAN, INFINITY, -INFINITY, 3.4e38f, 1e-45f, -0.0f};
    struct kernels reference;
    kernels_init_reference(&reference);
    float *x = guard_place(AREA_X, n * sizeof *x, random_below(2) ? PLACE_END : PLACE_START, 0);
    fill_floats(x, n, fill);
    for (int i = 0; i < special; i++)
        x[random_below(n)] = specials[random_below(6)];
    struct q8_rows want = quantize(&reference, x, n, order, group, theirs);
    struct q8_rows got = quantize(k, x, n, order, group, mine);
    size_t stride = got.group_stride;
    check_that(codes_equal(k, &got, &reference, &want, order, n), "codes: n %u group %u order %d fill %d", n,
               group, (int)order, (int)fill);
    check_that(floats_equal(got.scales + stride, want.scales + stride, stride),
               "scales: n %u group %u fill %d", n, group, (int)fill);
    check_that(floats_equal(got.sums + stride, want.sums + stride, stride), "sums: n %u group %u fill %d", n,
               group, (int)fill);
    check_that(guard_intact("quantize_row"), "n %u group %u: wrote outside", n, group);
}

/* The codes mean what they should: scale * code is within half a step of x. This one needs no reference. */
static void quantize_meaning(const struct kernels *k)
{
    static const enum area mine[3] = {AREA_OUT, AREA_OUT2, AREA_OUT3};
    float *x = guard_place(AREA_X, 512 * sizeof *x, PLACE_END, 0);
    fill_floats(x, 512, FILL_OUTLIERS);
    struct q8_rows q = quantize(k, x, 512, ORDER_PAIRS, 64, mine);
    bool good = true;
    for (uint32_t c = 0; c < 512; c++) {
        float scale = q.scales[q.group_stride + c / 64];
        float back = scale * (float)q.codes[q.code_stride + code_position(k, ORDER_PAIRS, c)];
        good = good && near_enough(back, x[c], 0.5001 * (double)scale);
    }
    check_that(good, "codes do not stand for their numbers");
}

void check_quantize_row(const struct kernels *k)
{
    check_begin("quantize_row", k->isa);
    for (uint32_t group = 16; group <= 128; group *= 2)
        for (uint32_t times = 1; times <= 24; times++)
            for (enum fill fill = 0; fill < FILLS; fill++) {
                enum code_order order = random_below(2) ? ORDER_PAIRS : ORDER_NATURAL;
                quantize_case(k, times * group, group, order, fill, 0);
                quantize_case(k, times * group, group, order, fill, 3);
            }
    quantize_meaning(k);
    check_end();
}
