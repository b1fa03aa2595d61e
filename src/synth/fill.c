/* Codes are uniform random bits (what quantizing noise per group gives, near enough), which makes them as
 * fast to write as random numbers are to draw; the scale of each group then sets the standard deviation.
 * Scales vary from group to group, and in affine mode have either sign, as MLX's quantizer leaves them.
 *
 * A group of the embedding table that holds a planted outlier is written differently: its scale is made for
 * the outlier, and the other numbers of the group are exactly zero. */
#include "synth/fill.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/float16.h"
#include "synth/random.h"

static const uint64_t SCALE_STREAM = UINT64_C(0x5CA1E5CA1E5CA1E5);

static void store_u16(uint8_t *out, uint16_t value)
{
    memcpy(out, &value, sizeof value);
}

/* ---- scales ---- */

/* One of the two powers of two around `value`, such that the mean square is value squared. */
static uint8_t draw_e8m0(float value, float uniform)
{
    uint8_t below = (uint8_t)(float_to_bits(value) >> 23);
    float ratio = value / float_from_e8m0(below);
    return (uint8_t)(below + (uniform < (ratio * ratio - 1) / 3));
}

/* The same for positive e4m3 numbers, up to 448. */
static uint8_t draw_e4m3(float value, float uniform)
{
    uint32_t below =
        value < 0x1p-6f ? (uint32_t)(value * 512) : (float_to_bits(value) >> 20) - (uint32_t)(120 << 3);
    if (below >= 0x7E)
        return 0x7E;
    float low = float_from_e4m3((uint8_t)below), high = float_from_e4m3((uint8_t)(below + 1));
    return (uint8_t)(below + (uniform < (value * value - low * low) / (high * high - low * low)));
}

/* The largest planted number of a group, or 0. */
static float planted_in_group(const struct synth_tensor *tensor, uint64_t row, uint32_t group)
{
    struct outlier_channel planted[OUTLIER_MAX_CHANNELS + OUTLIER_MAX_MASSIVE];
    float largest = 0;
    if (!tensor->outliers)
        return 0;
    uint32_t n = outliers_of_row(tensor->outliers, row, planted);
    for (uint32_t i = 0; i < n; i++)
        if (planted[i].channel / tensor->format.group_size == group)
            largest = fmaxf(largest, fabsf(planted[i].value));
    return largest;
}

/* Largest number a code of a planted group has, in units of the scale. */
static float planted_top(const struct synth_format *format)
{
    switch (format->mode) {
    case SYNTH_AFFINE:
        return (float)((1u << format->bits >> 1) - 1);
    case SYNTH_MXFP8:
        return 256;
    default:
        return 6;
    }
}

/* The scale of a group as a number: what the three parts of a matrix have to agree on. `code` is how the byte
 * formats store it. */
static float scale_of_group(const struct synth_tensor *tensor, uint64_t row, uint32_t group, uint8_t *code)
{
    uint32_t groups = tensor->cols / tensor->format.group_size;
    uint64_t bits = random_at(tensor->stream ^ SCALE_STREAM, row * groups + group);
    float uniform = random_uniform(bits), value = planted_in_group(tensor, row, group);
    bool planted = value > 0;
    if (planted)
        value /= planted_top(&tensor->format);
    else
        value = tensor->std / synth_format_code_std(&tensor->format);
    if (tensor->loud > 1 && row % tensor->matrix_rows == tensor->loud_row)
        value *= tensor->loud;

    *code = 0;
    switch (tensor->format.mode) {
    case SYNTH_MXFP4:
    case SYNTH_MXFP8:
        *code = draw_e8m0(value, planted ? 0 : uniform);
        return float_from_e8m0(*code);
    case SYNTH_NVFP4:
        *code = draw_e4m3(value, planted ? 0 : uniform);
        return float_from_e4m3(*code);
    default:
        break;
    }
    if (!planted) /* 0.75 .. 1.25 of it, whose root mean square is 1.0104 */
        value *= (0.75f + 0.5f * uniform) / 1.0104f * (bits & 1 ? -1.0f : 1.0f);
    return float_from_bf16(float_to_bf16(value));
}

static void fill_scales(const struct synth_tensor *tensor, uint64_t row, uint8_t *out)
{
    uint32_t groups = tensor->cols / tensor->format.group_size;
    for (uint32_t group = 0; group < groups; group++) {
        uint8_t code;
        float scale = scale_of_group(tensor, row, group, &code);
        if (tensor->format.mode == SYNTH_AFFINE)
            store_u16(out + 2 * (size_t)group, float_to_bf16(scale));
        else
            out[group] = code;
    }
}

/* Affine codes are 0 .. 2^bits - 1; the bias puts their middle on zero, and in a planted group code 2^(bits -
 * 1). */
static void fill_biases(const struct synth_tensor *tensor, uint64_t row, uint8_t *out)
{
    uint32_t groups = tensor->cols / tensor->format.group_size;
    float middle = ((float)(1u << tensor->format.bits) - 1) / 2;
    for (uint32_t group = 0; group < groups; group++) {
        uint8_t code;
        float scale = scale_of_group(tensor, row, group, &code);
        float zero = planted_in_group(tensor, row, group) > 0 ? middle + 0.5f : middle;
        store_u16(out + 2 * (size_t)group, float_to_bf16(-zero * scale));
    }
}

/* ---- codes ---- */

/* Code i of a row occupies bits i * bits ... of the row's little-endian bit string. */
static void store_code(uint8_t *row, uint32_t i, uint32_t bits, uint32_t code)
{
    for (uint32_t b = 0; b < bits; b++) {
        uint64_t at = (uint64_t)i * bits + b;
        uint8_t mask = (uint8_t)(1u << (at & 7));
        row[at >> 3] = (uint8_t)((row[at >> 3] & ~mask) | (code >> b & 1 ? mask : 0));
    }
}

static uint32_t nearest_e2m1(float value)
{
    uint32_t best = 0;
    for (uint32_t code = 1; code < 8; code++)
        if (fabsf((float)e2m1_twice((uint8_t)code) / 2 - fabsf(value)) <
            fabsf((float)e2m1_twice((uint8_t)best) / 2 - fabsf(value)))
            best = code;
    return value < 0 ? best | 8 : best;
}

static uint32_t nearest_e4m3(float value)
{
    uint32_t best = 0;
    for (uint32_t code = 1; code < 0x7F; code++)
        if (fabsf(float_from_e4m3((uint8_t)code) - fabsf(value)) <
            fabsf(float_from_e4m3((uint8_t)best) - fabsf(value)))
            best = code;
    return value < 0 ? best | 0x80 : best;
}

static uint32_t code_of(const struct synth_format *format, float in_scales)
{
    switch (format->mode) {
    case SYNTH_AFFINE:
        return (uint32_t)((1 << format->bits) / 2 + (int)lrintf(in_scales));
    case SYNTH_MXFP8:
        return nearest_e4m3(in_scales);
    default:
        return nearest_e2m1(in_scales);
    }
}

static void plant_codes(const struct synth_tensor *tensor, uint64_t row, uint8_t *out)
{
    struct outlier_channel planted[OUTLIER_MAX_CHANNELS + OUTLIER_MAX_MASSIVE];
    const struct synth_format *format = &tensor->format;
    uint32_t n = outliers_of_row(tensor->outliers, row, planted);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t first = planted[i].channel - planted[i].channel % format->group_size;
        for (uint32_t k = 0; k < format->group_size; k++)
            store_code(out, first + k, format->bits, code_of(format, 0));
    }
    for (uint32_t i = 0; i < n; i++) {
        uint8_t code;
        float scale = scale_of_group(tensor, row, planted[i].channel / format->group_size, &code);
        store_code(out, planted[i].channel, format->bits, code_of(format, planted[i].value / scale));
    }
}

/* mxfp8 codes are not uniform bits, which would be uniform in the logarithm and now and then NaN: this table
 * turns a random byte into a number uniform in -1 .. 1. */
static void fill_e4m3_table(uint8_t table[256])
{
    for (uint32_t i = 0; i < 256; i++)
        table[i] = (uint8_t)nearest_e4m3(((float)i - 127.5f) / 127.5f);
}

static void fill_codes(const struct synth_tensor *tensor, uint64_t row, const uint8_t *table, uint8_t *out)
{
    uint64_t stream = random_at(tensor->stream, row), bytes = tensor->row_bytes, i = 0;
    for (; i + 8 <= bytes; i += 8) {
        uint64_t bits = random_at(stream, i);
        memcpy(out + i, &bits, 8);
    }
    if (i < bytes) {
        uint64_t bits = random_at(stream, i);
        memcpy(out + i, &bits, bytes - i);
    }
    if (tensor->format.mode == SYNTH_MXFP8)
        for (i = 0; i < bytes; i++)
            out[i] = table[out[i]];
    if (tensor->outliers)
        plant_codes(tensor, row, out);
}

/* ---- plain numbers ---- */

/* The sum of four random bytes is near enough to a normal distribution: mean 510, std 147.8. */
static void fill_dense(const struct synth_tensor *tensor, uint64_t row, uint8_t *out)
{
    struct outlier_channel planted[OUTLIER_MAX_CHANNELS + OUTLIER_MAX_MASSIVE];
    uint64_t stream = random_at(tensor->stream, row);
    float unit = tensor->std / 147.8f;
    if (tensor->loud > 1 && row % tensor->matrix_rows == tensor->loud_row)
        unit *= tensor->loud;
    for (uint32_t i = 0; i < tensor->cols; i++) {
        uint64_t bits = random_at(stream, i / 2) >> (i & 1 ? 32 : 0);
        uint32_t sum = (uint32_t)((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24 & 255));
        store_u16(out + 2 * (size_t)i, float_to_bf16(unit * (float)((int32_t)sum - 510)));
    }
    uint32_t n = tensor->outliers ? outliers_of_row(tensor->outliers, row, planted) : 0;
    for (uint32_t i = 0; i < n; i++)
        store_u16(out + 2 * (size_t)planted[i].channel, float_to_bf16(planted[i].value));
}

static void fill_vector(const struct synth_tensor *tensor, uint8_t *out)
{
    for (uint32_t i = 0; i < tensor->cols; i++) {
        float value = tensor->mean + tensor->std * (2 * random_uniform(random_at(tensor->stream, i)) - 1);
        if (tensor->outliers && tensor->norm == NORM_RESIDUAL)
            value *= outliers_norm_weight(tensor->outliers, i, tensor->residual_std);
        if (tensor->outliers && tensor->norm == NORM_LAST)
            value *= outliers_last_norm_weight(tensor->outliers, i, tensor->residual_std) *
                     (random_at(tensor->stream, i) & 1 ? 1.0f : -1.0f);
        store_u16(out + 2 * (size_t)i, float_to_bf16(value));
    }
}

void synth_fill(const struct synth_tensor *tensor, uint64_t first, uint64_t count, uint8_t *out)
{
    uint8_t table[256] = {0};
    if (tensor->fill == FILL_CODES && tensor->format.mode == SYNTH_MXFP8)
        fill_e4m3_table(table);
    for (uint64_t row = first; row < first + count; row++, out += tensor->row_bytes) {
        switch (tensor->fill) {
        case FILL_CODES:
            fill_codes(tensor, row, table, out);
            break;
        case FILL_SCALES:
            fill_scales(tensor, row, out);
            break;
        case FILL_BIASES:
            fill_biases(tensor, row, out);
            break;
        case FILL_DENSE:
            fill_dense(tensor, row, out);
            break;
        case FILL_VECTOR:
            fill_vector(tensor, out);
            break;
        }
    }
}
