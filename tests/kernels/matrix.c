/* Random weight matrices. Codes are written with a packer of the harness's own, one bit at a time. */
#include "matrix.h"

#include <stdio.h>
#include <string.h>

#include "base/float16.h"

void formats_each(bool coded, void (*visit)(const struct kernels *k, const struct format *format),
                  const struct kernels *k)
{
    static const uint32_t widths[] = {2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128};
    static const enum scalar_type types[] = {SCALAR_F32, SCALAR_F16, SCALAR_BF16};
    if (!coded) {
        for (int t = 0; t < 3; t++)
            visit(k, &(struct format){WEIGHT_DENSE, types[t], types[t] == SCALAR_F32 ? 32 : 16, 0, false});
        visit(k, &(struct format){WEIGHT_MXFP8, SCALAR_U8, 8, 32, false});
        return;
    }
    for (int w = 0; w < 6; w++)
        for (int g = 0; g < 3; g++)
            for (int t = 0; t < 3; t++)
                visit(k, &(struct format){WEIGHT_AFFINE, types[t], widths[w], groups[g], false});
    visit(k, &(struct format){WEIGHT_MXFP4, SCALAR_U8, 4, 32, false});
    visit(k, &(struct format){WEIGHT_NVFP4, SCALAR_U8, 4, 16, false});
    visit(k, &(struct format){WEIGHT_NVFP4, SCALAR_U8, 4, 16, true});
}

const char *format_name(const struct format *format)
{
    static const char *const names[] = {"dense", "affine", "mxfp4", "mxfp8", "nvfp4"};
    static const char *const types[] = {"f32", "f16", "bf16", "u8", "u32"};
    static char name[64];
    snprintf(name, sizeof name, "%s %u bits group %u %s%s", names[format->format], format->bits,
             format->group, types[format->type], format->tensor_scales ? " with tensor scales" : "");
    return name;
}

static enum place random_place(size_t *offset)
{
    *offset = random_below(8);
    return random_below(3) ? PLACE_END : PLACE_START;
}

static void put_code(uint8_t *row, size_t index, uint32_t bits, uint32_t code)
{
    for (uint32_t i = 0; i < bits; i++) {
        size_t bit = index * bits + i;
        row[bit / 8] = (uint8_t)((row[bit / 8] & ~(1u << bit % 8)) | (code >> i & 1u) << bit % 8);
    }
}

static void put_scalar(enum scalar_type type, uint8_t *array, size_t index, float value)
{
    uint16_t half = type == SCALAR_F16 ? float_to_f16(value) : float_to_bf16(value);
    if (type == SCALAR_F32)
        memcpy(array + index * sizeof value, &value, sizeof value);
    else
        memcpy(array + index * sizeof half, &half, sizeof half);
}

static uint32_t pick_code(const struct format *format, enum codes codes, size_t i)
{
    uint32_t all = (1u << format->bits) - 1u;
    uint32_t code = codes == CODES_MAX           ? all
                    : codes == CODES_ZERO        ? 0
                    : codes == CODES_ALTERNATING ? (i % 2 ? all : 0)
                                                 : (uint32_t)random_u64() & all;
    /* e4m3's two NaNs: rarely, and not for the extremes */
    if (format->format == WEIGHT_MXFP8 && (code & 0x7F) == 0x7F)
        code ^= 1;
    return code;
}

/* A scale or bias for one group, as stored. */
static uint8_t pick_byte_scale(const struct format *format, bool exact)
{
    if (format->format == WEIGHT_NVFP4)
        return exact ? 0x40 : (uint8_t)random_below(0x7F); /* 0x40 = 2, halved: 1 */
    if (exact)
        return 128; /* 2, halved: 1 */
    return (uint8_t)(random_below(20) ? 117 + random_below(20)
                                      : random_below(20)); /* now and then denormal */
}

static void make_scales(const struct format *format, struct weight *w, size_t groups, bool exact)
{
    size_t offset, size = format->format == WEIGHT_AFFINE ? (format->type == SCALAR_F32 ? 4 : 2) : 1;
    enum place place = random_place(&offset);
    uint8_t *scales = guard_place(AREA_SCALES, groups * size, place, offset);
    w->scales = scales;
    if (format->format != WEIGHT_AFFINE) {
        for (size_t i = 0; i < groups; i++)
            scales[i] = pick_byte_scale(format, exact);
        return;
    }
    place = random_place(&offset);
    uint8_t *biases = guard_place(AREA_BIASES, groups * size, place, offset);
    w->biases = biases;
    for (size_t i = 0; i < groups; i++) {
        put_scalar(format->type, scales, i, exact ? 1.0f : random_uniform(-0.05f, 0.05f));
        put_scalar(format->type, biases, i,
                   exact ? (float)random_below(9) - 4.0f : random_uniform(-0.5f, 0.5f));
    }
}

/* Dense elements: any finite values of the type. */
static void make_dense(const struct format *format, uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_scalar(format->type, data, i, random_uniform(-1, 1) * (random_below(50) ? 1.0f : 1000.0f));
}

struct weight matrix_make(const struct format *format, uint32_t n_experts, uint32_t rows, uint32_t cols,
                          enum codes codes, bool exact)
{
    static float tensor_scales[8];
    size_t n_rows = (size_t)n_experts * rows, offset;
    struct weight w = {.name = "test",
                       .format = format->format,
                       .type = format->type,
                       .bits = format->bits,
                       .group_size = format->group,
                       .n_experts = n_experts,
                       .rows = rows,
                       .cols = cols,
                       .row_bytes = (size_t)cols * format->bits / 8};
    enum place place = random_place(&offset);
    uint8_t *data = guard_place(AREA_WEIGHT, n_rows * w.row_bytes, place, offset);
    w.data = data;
    if (format->format == WEIGHT_DENSE) {
        make_dense(format, data, n_rows * cols);
        return w;
    }
    for (size_t row = 0; row < n_rows; row++)
        for (uint32_t c = 0; c < cols; c++)
            put_code(data + row * w.row_bytes, c, format->bits, pick_code(format, codes, c));
    make_scales(format, &w, n_rows * (cols / format->group), exact);
    if (format->tensor_scales) {
        for (uint32_t e = 0; e < n_experts; e++)
            tensor_scales[e] = exact ? 1.0f : random_uniform(0.1f, 2);
        w.tensor_scales = tensor_scales;
    }
    return w;
}
