/* linear_int8, linear_f32 and unpack_row.
 *
 * Tolerance. A float sum of L rounded steps whose terms' magnitudes sum to M is off by at most about L * u *
 * M, u = 2^-24, whatever the order (Higham 2002, ch. 4), and each term carries a few roundings of its own. A
 * vector kernel adds at least eight lanes in parallel, two terms per 64 columns in linear_int8, one per eight
 * columns in linear_f32: L is cols / 32 and cols / 8, plus 16 for the terms' roundings and the last
 * additions. Integer parts are exact: with scales of 1 and whole biases the result must be equal to the last
 * bit.
 */
#include "matrix.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float16.h"

static const double u = 0x1p-24;
static const uint32_t batches[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 16, 17, 40};
enum { BATCHES = 12, MAX_GROUPS_TIMES = 24, MAX_COLS = 3072 };

struct case_shape {
    uint32_t experts, expert, rows, cols, begin, end, tokens;
    size_t out_stride;
};

static struct case_shape random_shape(uint32_t cols, uint32_t tokens)
{
    struct case_shape s = {.cols = cols, .tokens = tokens};
    s.experts = 1 + random_below(2);
    s.expert = random_below(s.experts);
    s.rows = 1 + random_below(33);
    s.begin = random_below(3) ? 0 : random_below(s.rows);
    s.end = random_below(3) ? s.rows : s.begin + 1 + random_below(s.rows - s.begin);
    s.out_stride = s.rows + random_below(4);
    return s;
}

/* Outputs outside the asked rows must stay as they are. */
static const float untouched = 12345.0f;

static float *fresh_out(enum area area, const struct case_shape *s)
{
    size_t n = (s->tokens - 1) * s->out_stride + s->rows;
    float *out = guard_place(area, n * sizeof *out, random_below(2) ? PLACE_END : PLACE_START, 0);
    for (size_t i = 0; i < n; i++)
        out[i] = untouched;
    return out;
}

static bool rest_untouched(const float *out, const struct case_shape *s)
{
    for (uint32_t t = 0; t < s->tokens; t++)
        for (size_t r = 0; r < (t + 1 < s->tokens ? s->out_stride : s->rows); r++)
            if ((r < s->begin || r >= s->end) && out[t * s->out_stride + r] != untouched)
                return false;
    return true;
}

/* ---- linear_int8 ---- */

enum x_codes { X_RANDOM, X_MAX, X_MIN, X_ALTERNATING, X_ZERO, X_OUTLIER, X_KINDS };

static int8_t natural[40 * MAX_COLS]; /* codes in the order of the elements */

static int8_t pick_x(enum x_codes kind, uint32_t c, uint32_t limit)
{
    int32_t top = (int32_t)limit;
    switch (kind) {
    case X_MAX:
        return (int8_t)top;
    case X_MIN:
        return (int8_t)-top;
    case X_ALTERNATING:
        return (int8_t)(c % 2 ? -top : top);
    case X_ZERO:
        return 0;
    case X_OUTLIER:
        return (int8_t)(random_below(32) ? 0 : top);
    default:
        return (int8_t)((int32_t)random_below(2 * limit + 1) - top);
    }
}

static size_t code_position(enum code_order order, uint32_t block, uint32_t c)
{
    if (order == ORDER_NATURAL)
        return c;
    return (size_t)c / block * block + c % 2 * (block / 2) + c % block / 2;
}

/* The same codes in a kernel table's own order, rows padded as the contract says. */
static struct q8_rows lay_codes(const struct kernels *k, const struct weight *w, uint32_t tokens,
                                enum area area)
{
    struct q8_rows x = {.group = w->group_size};
    x.code_stride = (w->cols + KERNEL_CODE_ALIGN - 1) / KERNEL_CODE_ALIGN * KERNEL_CODE_ALIGN;
    x.codes = guard_place(area, tokens * x.code_stride, PLACE_END, 0);
    memset(x.codes, 0, tokens * x.code_stride);
    for (uint32_t t = 0; t < tokens; t++)
        for (uint32_t c = 0; c < w->cols; c++)
            x.codes[t * x.code_stride + code_position(kernels_code_order(w), k->pair_block, c)] =
                natural[(size_t)t * w->cols + c];
    return x;
}

static void make_x(const struct weight *w, uint32_t tokens, struct q8_rows *x, bool exact, enum x_codes kind,
                   uint32_t limit)
{
    uint32_t groups = w->cols / w->group_size;
    x->group_stride = (groups + 15) / 16 * 16;
    size_t bytes = tokens * x->group_stride * sizeof(float);
    x->scales = guard_place(AREA_X2, bytes, PLACE_END, 0);
    x->sums = guard_place(AREA_X3, bytes, PLACE_END, 0);
    memset(x->scales, 0, bytes);
    memset(x->sums, 0, bytes);
    for (uint32_t t = 0; t < tokens; t++)
        for (uint32_t g = 0; g < groups; g++) {
            int32_t sum = 0;
            for (uint32_t c = g * w->group_size; c < (g + 1) * w->group_size; c++)
                sum += natural[(size_t)t * w->cols + c] = pick_x(kind, c, limit);
            float scale = exact ? 1.0f : random_uniform(0, 0.1f) * (random_below(20) ? 1.0f : 1000.0f);
            x->scales[t * x->group_stride + g] = scale;
            x->sums[t * x->group_stride + g] = scale * (float)sum;
        }
}

/* Sum of the terms' magnitudes. 8-bit codes may be counted from the middle: 128 * scale moves from the
 * product to the bias. */
static double magnitude_int8(const struct weight *w, size_t row, const struct q8_rows *x, uint32_t t)
{
    double total = 0;
    for (uint32_t g = 0; g < w->cols / w->group_size; g++) {
        float scale, bias;
        double dot = 0;
        kernels_group_scale(w, row, g, &scale, &bias);
        for (uint32_t c = g * w->group_size; c < (g + 1) * w->group_size; c++)
            dot += abs(natural[(size_t)t * w->cols + c]) *
                   (kernels_code(w, row, c) + (w->bits == 8 ? 128.0 : 0));
        total += dot * fabs((double)scale * (double)x->scales[t * x->group_stride + g]);
        total += fabs((double)bias * (double)x->sums[t * x->group_stride + g]);
    }
    return total;
}

static bool compare_int8(const struct weight *w, const struct case_shape *s, const struct q8_rows *x,
                         const float *got, const float *want, bool exact)
{
    for (uint32_t t = 0; t < s->tokens; t++)
        for (uint32_t r = s->begin; r < s->end; r++) {
            size_t row = (size_t)s->expert * s->rows + r;
            double tolerance = 0;
            if (!exact) /* and something for products that fall among the denormals */
                tolerance = (s->cols / 32.0 + 16) * u * magnitude_int8(w, row, x, t) + 1e-36;
            if (!near_enough(got[t * s->out_stride + r], want[t * s->out_stride + r], tolerance)) {
                printf("  row %u token %u: %.9g instead of %.9g, tolerance %.3g\n", r, t,
                       (double)got[t * s->out_stride + r], (double)want[t * s->out_stride + r], tolerance);
                return false;
            }
        }
    return true;
}

/* Each token by itself, and a part of the batch and of the rows, must give the same bits. */
static bool int8_is_invariant(const struct kernels *k, const struct weight *w, const struct case_shape *s,
                              const struct q8_rows *x, const float *whole, void *scratch)
{
    float *one = fresh_out(AREA_OUT3, s);
    uint32_t step = s->tokens > 9 ? 7 : 1;
    for (uint32_t t = 0; t < s->tokens; t += step) {
        struct q8_rows part = *x;
        uint32_t n = random_below(4) ? 1 : 1 + random_below(s->tokens - t);
        uint32_t begin = s->begin + random_below(s->end - s->begin);
        part.codes += t * x->code_stride;
        part.scales += t * x->group_stride;
        part.sums += t * x->group_stride;
        k->linear_int8(w, s->expert, begin, s->end, &part, n, one, s->out_stride, scratch);
        for (uint32_t i = 0; i < n; i++)
            if (!same_bits(one + i * s->out_stride + begin, whole + (t + i) * s->out_stride + begin,
                           (s->end - begin) * sizeof(float)))
                return false;
    }
    return true;
}

static void int8_case(const struct kernels *k, const struct format *format, uint32_t cols, uint32_t tokens)
{
    struct kernels reference;
    kernels_init_reference(&reference);
    struct case_shape s = random_shape(cols, tokens);
    bool exact = random_below(3) == 0;
    enum codes codes = random_below(2) ? CODES_RANDOM : random_below(CODE_KINDS);
    enum x_codes kind = random_below(2) ? X_RANDOM : random_below(X_KINDS);
    struct weight w = matrix_make(format, s.experts, s.rows, s.cols, codes, exact);
    /* Exact cases must stay below 2^24, the largest run of whole floats; 16 per column is room for the
     * biases. */
    uint32_t limit = 127, top = format->format == WEIGHT_AFFINE ? (1u << format->bits) + 128 : 24 + 16;
    if (exact && (1u << 24) / (cols * top) < limit)
        limit = (1u << 24) / (cols * top);
    struct q8_rows x, mine, theirs;
    make_x(&w, tokens, &x, exact, kind, limit);
    mine = lay_codes(k, &w, tokens, AREA_X);
    theirs = lay_codes(&reference, &w, tokens, AREA_OUT2);
    mine.scales = theirs.scales = x.scales;
    mine.sums = theirs.sums = x.sums;
    mine.group_stride = theirs.group_stride = x.group_stride;
    static float want[40 * 64];
    static uint8_t reference_scratch[MAX_COLS * sizeof(float)];
    reference.linear_int8(&w, s.expert, s.begin, s.end, &theirs, tokens, want, s.out_stride,
                          reference_scratch);
    void *scratch = guard_scratch(k->linear_scratch_bytes(cols));
    float *out = fresh_out(AREA_OUT, &s);
    k->linear_int8(&w, s.expert, s.begin, s.end, &mine, tokens, out, s.out_stride, scratch);
    const char *name = format_name(format);
    check_that(compare_int8(&w, &s, &mine, out, want, exact), "%s, %u columns, %u tokens%s", name, cols,
               tokens, exact ? ", exact" : "");
    check_that(rest_untouched(out, &s), "%s: wrote rows nobody asked for", name);
    check_that(int8_is_invariant(k, &w, &s, &mine, out, scratch), "%s, %u columns: not batch-invariant", name,
               cols);
    check_that(guard_intact(name), "%s: wrote outside", name);
}

static void int8_format(const struct kernels *k, const struct format *format)
{
    for (uint32_t times = 1; times <= MAX_GROUPS_TIMES; times++)
        int8_case(k, format, times * format->group, batches[random_below(BATCHES)]);
    for (uint32_t i = 0; i < BATCHES; i++)
        int8_case(k, format, format->group * (1 + random_below(2048 / format->group)), batches[i]);
}

void check_linear_int8(const struct kernels *k)
{
    check_begin("linear_int8", k->isa);
    formats_each(true, int8_format, k);
    check_end();
}

/* ---- unpack_row and linear_f32 ---- */

/* |scale * q| + |bias| of element c: what its rounding errors are measured by (codes of fp4 are counted from
 * -12, see kernels_group_scale). Dense and mxfp8 weights are at most one product and equal to the
 * reference's. */
static double element_magnitude(const struct weight *w, size_t row, uint32_t c, float value)
{
    float scale, bias;
    if (!kernels_is_coded(w))
        return fabs((double)value);
    kernels_group_scale(w, row, c / w->group_size, &scale, &bias);
    return fabs((double)scale * kernels_code(w, row, c)) + fabs((double)bias);
}

static void unpack_case(const struct kernels *k, const struct format *format, uint32_t cols)
{
    struct kernels reference;
    kernels_init_reference(&reference);
    struct case_shape s = random_shape(cols, 1);
    struct weight w = matrix_make(format, s.experts, s.rows, cols, random_below(CODE_KINDS), false);
    uint32_t row = random_below(2) ? s.rows - 1 : random_below(s.rows);
    static float want[MAX_COLS];
    float *got = guard_place(AREA_OUT, cols * sizeof *got, random_below(2) ? PLACE_END : PLACE_START, 0);
    reference.unpack_row(&w, s.expert, row, want);
    k->unpack_row(&w, s.expert, row, got);
    bool good = true;
    for (uint32_t c = 0; c < cols; c++) {
        double tolerance = 0;
        if (kernels_is_coded(&w))
            tolerance = 2 * u * element_magnitude(&w, (size_t)s.expert * s.rows + row, c, want[c]);
        good = good && near_enough(got[c], want[c], tolerance);
    }
    check_that(good, "%s, %u columns", format_name(format), cols);
    check_that(guard_intact("unpack_row"), "%s: wrote outside", format_name(format));
}

static uint32_t pick_cols(const struct format *format, uint32_t i)
{
    return format->group ? i * format->group : i < 20 ? i : 1 + random_below(2000);
}

static void unpack_format(const struct kernels *k, const struct format *format)
{
    for (uint32_t i = 1; i <= MAX_GROUPS_TIMES; i++)
        unpack_case(k, format, pick_cols(format, i));
}

/* Every bit pattern of the 16-bit and 8-bit formats, NaNs and infinities among them. */
static void unpack_all_values(const struct kernels *k, enum weight_format format, enum scalar_type type)
{
    static uint16_t values[65536];
    static float got[65536];
    uint8_t scale = 127;
    uint32_t n = format == WEIGHT_DENSE ? 65536 : 32;
    for (uint32_t i = 0; i < 65536; i++)
        values[i] = (uint16_t)i;
    struct weight w = {.format = format,
                       .type = type,
                       .bits = format == WEIGHT_DENSE ? 16 : 8,
                       .n_experts = 1,
                       .group_size = format == WEIGHT_DENSE ? 0 : 32,
                       .rows = 1,
                       .cols = n,
                       .scales = &scale};
    bool good = true;
    for (uint32_t block = 0; block < (format == WEIGHT_DENSE ? 1u : 8u); block++) {
        uint8_t bytes[32];
        for (uint32_t i = 0; i < 32; i++)
            bytes[i] = (uint8_t)(block * 32 + i);
        w.data = format == WEIGHT_DENSE ? (const uint8_t *)values : bytes;
        w.row_bytes = n * w.bits / 8;
        k->unpack_row(&w, 0, 0, got);
        for (uint32_t i = 0; i < n; i++) {
            float want = format != WEIGHT_DENSE ? float_from_e4m3(bytes[i])
                         : type == SCALAR_F16   ? float_from_f16(values[i])
                                                : float_from_bf16(values[i]);
            good = good && near_enough(got[i], want, 0);
        }
    }
    check_that(good, "all values of a %s", format == WEIGHT_DENSE ? "16-bit float" : "8-bit float");
}

void check_unpack_row(const struct kernels *k)
{
    check_begin("unpack_row", k->isa);
    formats_each(true, unpack_format, k);
    formats_each(false, unpack_format, k);
    unpack_all_values(k, WEIGHT_DENSE, SCALAR_F16);
    unpack_all_values(k, WEIGHT_DENSE, SCALAR_BF16);
    unpack_all_values(k, WEIGHT_MXFP8, SCALAR_U8);
    check_end();
}

static bool compare_f32(const struct kernels *reference, const struct weight *w, const struct case_shape *s,
                        const float *x, size_t x_stride, const float *got)
{
    static float row[MAX_COLS];
    for (uint32_t r = s->begin; r < s->end; r++) {
        reference->unpack_row(w, s->expert, r, row);
        for (uint32_t t = 0; t < s->tokens; t++) {
            double sum = 0, magnitude = 0;
            for (uint32_t c = 0; c < s->cols; c++) {
                double factor = (double)x[t * x_stride + c];
                sum += (double)row[c] * factor;
                magnitude += fabs(factor) * element_magnitude(w, (size_t)s->expert * s->rows + r, c, row[c]);
            }
            double tolerance = (s->cols / 8.0 + 16) * u * magnitude + 1e-36;
            if (!near_enough(got[t * s->out_stride + r], (float)sum, tolerance)) {
                printf("  row %u token %u: %.9g instead of %.9g, tolerance %.3g\n", r, t,
                       (double)got[t * s->out_stride + r], sum, tolerance);
                return false;
            }
        }
    }
    return true;
}

static void f32_case(const struct kernels *k, const struct format *format, uint32_t cols, uint32_t tokens)
{
    struct kernels reference;
    kernels_init_reference(&reference);
    struct case_shape s = random_shape(cols, tokens);
    struct weight w = matrix_make(format, s.experts, s.rows, cols, random_below(CODE_KINDS), false);
    size_t x_stride = cols + random_below(3);
    size_t n = (tokens - 1) * x_stride + cols;
    float *x = guard_place(AREA_X, n * sizeof *x, random_below(2) ? PLACE_END : PLACE_START, 0);
    fill_floats(x, n, random_below(2) ? FILL_NORMAL : random_below(FILLS));
    void *scratch = guard_scratch(k->linear_scratch_bytes(cols));
    float *out = fresh_out(AREA_OUT, &s);
    k->linear_f32(&w, s.expert, s.begin, s.end, x, x_stride, tokens, out, s.out_stride, scratch);
    const char *name = format_name(format);
    check_that(compare_f32(&reference, &w, &s, x, x_stride, out), "%s, %u columns, %u tokens", name, cols,
               tokens);
    check_that(rest_untouched(out, &s), "%s: wrote rows nobody asked for", name);
    float *one = fresh_out(AREA_OUT3, &s);
    bool invariant = true;
    for (uint32_t t = 0; t<tokens; t += tokens> 9 ? 7 : 1) {
        uint32_t begin = s.begin + random_below(s.end - s.begin);
        uint32_t part = random_below(4) ? 1 : 1 + random_below(tokens - t);
        k->linear_f32(&w, s.expert, begin, s.end, x + t * x_stride, x_stride, part, one, s.out_stride,
                      scratch);
        for (uint32_t i = 0; i < part; i++)
            invariant =
                invariant && same_bits(one + i * s.out_stride + begin, out + (t + i) * s.out_stride + begin,
                                       (s.end - begin) * sizeof(float));
    }
    check_that(invariant, "%s, %u columns: not batch-invariant", name, cols);
    check_that(guard_intact(name), "%s: wrote outside", name);
}

static void f32_format(const struct kernels *k, const struct format *format)
{
    for (uint32_t i = 0; i < BATCHES; i++)
        f32_case(k, format, pick_cols(format, i + 1), batches[i]);
    for (uint32_t i = 1; i <= MAX_GROUPS_TIMES / 2; i++)
        f32_case(k, format, pick_cols(format, 2 * i), batches[random_below(6)]);
}

void check_linear_f32(const struct kernels *k)
{
    check_begin("linear_f32", k->isa);
    formats_each(true, f32_format, k);
    formats_each(false, f32_format, k);
    check_end();
}
