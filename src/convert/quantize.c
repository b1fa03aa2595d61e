#include "convert/quantize.h"

#include <math.h>
#include <string.h>

#include "base/float16.h"

/* Built once for each of these, and chosen when the program is loaded: the loops are plain C that the
 * compiler makes vectors of. (CMakeLists.txt: numbers here are finite, but for what is looked for in their
 * bits.) Not with sanitizers, whose runtimes are not ready when the loader chooses. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__) &&                 \
    !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
#define FOR_EACH_ISA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FOR_EACH_ISA
#endif
#define INLINE static inline __attribute__((always_inline))

/* Added and taken away again it rounds to nearest even whatever is below 2^22 in magnitude. */
static const float ROUNDER = 12582912.0f;
/* mx.quantize's least scale. */
static const float LEAST_SCALE = 1e-7f;
static const uint32_t EXPONENT = 0x7F800000u;

INLINE bool is_finite(float value)
{
    return (float_to_bits(value) & EXPONENT) != EXPONENT;
}

INLINE float nearest(float value)
{
    return (value + ROUNDER) - ROUNDER;
}

/* ---- numbers of a tensor's type ---- */

FOR_EACH_ISA void numbers_read(enum scalar_type type, const uint8_t *data, uint64_t n, float *out)
{
    uint16_t half;
    if (type == SCALAR_F32)
        memcpy(out, data, n * sizeof *out);
    else if (type == SCALAR_BF16)
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&half, data + 2 * i, sizeof half);
            out[i] = float_from_bf16(half);
        }
    else
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&half, data + 2 * i, sizeof half);
            out[i] = float_from_f16(half);
        }
}

FOR_EACH_ISA void numbers_write(enum scalar_type type, const float *numbers, uint64_t n, uint8_t *out)
{
    uint16_t half;
    if (type == SCALAR_F32)
        memcpy(out, numbers, n * sizeof *numbers);
    else if (type == SCALAR_BF16)
        for (uint64_t i = 0; i < n; i++) {
            half = float_to_bf16(numbers[i]);
            memcpy(out + 2 * i, &half, sizeof half);
        }
    else
        for (uint64_t i = 0; i < n; i++) {
            half = float_to_f16(numbers[i]);
            memcpy(out + 2 * i, &half, sizeof half);
        }
}

INLINE float rounded(enum scalar_type type, float value)
{
    if (type == SCALAR_BF16)
        return float_from_bf16(float_to_bf16(value));
    return type == SCALAR_F16 ? float_from_f16(float_to_f16(value)) : value;
}

FOR_EACH_ISA void numbers_round(enum scalar_type type, float *numbers, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        numbers[i] = rounded(type, numbers[i]);
}

/* Zero without its sign, which the compiler may get wrong here: in integers. */
INLINE float signless_zero(float value)
{
    uint32_t bits = float_to_bits(value);
    return float_from_bits(bits << 1 ? bits : 0);
}

INLINE void write_scalar(enum scalar_type type, float value, uint8_t *out)
{
    uint16_t half = type == SCALAR_BF16 ? float_to_bf16(value) : float_to_f16(value);
    if (type == SCALAR_F32)
        memcpy(out, &value, sizeof value);
    else
        memcpy(out, &half, sizeof half);
}

/* ---- what a group is like ---- */

struct extent {
    float low, high;
    bool finite;
};

INLINE struct extent extent_of(const float *group, uint32_t n)
{
    float low = group[0], high = group[0];
    uint32_t broken = 0;
    for (uint32_t i = 0; i < n; i++) {
        low = group[i] < low ? group[i] : low;
        high = group[i] > high ? group[i] : high;
        broken |= !is_finite(group[i]);
    }
    return (struct extent){low, high, !broken};
}

/* ---- packing: code i at bits [i * bits, (i + 1) * bits) ---- */

/* Neighbours are pushed together: bytes to pairs, pairs to fours, fours to eight codes in 8 * bits bits. */
INLINE uint64_t eight_codes(const uint8_t *codes, uint32_t bits)
{
    const uint64_t bytes = UINT64_C(0x00FF00FF00FF00FF), pairs = UINT64_C(0x0000FFFF0000FFFF);
    uint64_t x;
    memcpy(&x, codes, sizeof x); /* little endian, as the files are */
    x = (x & bytes) | (x >> 8 & bytes) << bits;
    x = (x & pairs) | (x >> 16 & pairs) << 2 * bits;
    return (x & UINT32_MAX) | x >> 32 << 4 * bits;
}

INLINE void pack(const uint8_t *codes, uint32_t n, uint32_t bits, uint8_t *out)
{
    if (bits == 8) {
        memcpy(out, codes, n);
        return;
    }
    for (uint32_t i = 0; i < n; i += 8, out += bits) {
        uint64_t word = eight_codes(codes + i, bits);
        if (bits == 4)
            memcpy(out, &word, 4);
        else
            for (uint32_t b = 0; b < bits; b++)
                out[b] = (uint8_t)(word >> 8 * b);
    }
}

/* ---- affine ---- */

enum { AT_ONCE = 32 }; /* groups: long enough chains of dependent steps, side by side */

struct affine {
    float scale[AT_ONCE], bias[AT_ONCE]; /* not yet of the tensor's type */
};

INLINE void affine_scales(const float *low, const float *high, uint32_t n, float most, struct affine *out)
{
    for (uint32_t g = 0; g < n; g++) {
        float step = (high[g] - low[g]) / most;
        step = step > LEAST_SCALE ? step : LEAST_SCALE;
        bool negative_end = fabsf(low[g]) > fabsf(high[g]);
        float edge = negative_end ? low[g] : high[g], scale = negative_end ? step : -step;
        float edge_code = rintf(edge / scale); /* beyond 2^22 where all are alike */
        out->scale[g] = edge_code != 0 ? edge / edge_code : scale;
        out->bias[g] = edge_code != 0 ? edge : 0;
    }
}

INLINE float clamped(float code, float most)
{
    code = code > 0 ? code : 0;
    return code < most ? code : most;
}

/* How near to the middle between two codes a number came: up to 0.5. A product with 1 / scale is off by less
 * than 2^-22 of itself, so whatever came nearer than 0.4999 may have got another code than a division gives.
 */
INLINE float code_by_product(const float *group, uint32_t n, float scale, float bias, float most,
                             uint8_t *codes)
{
    float inverse = 1.0f / scale, middle = is_finite(inverse) ? 0.0f : 0.5f;
    inverse = is_finite(inverse) ? inverse : 0;
    for (uint32_t i = 0; i < n; i++) {
        float v = (group[i] - bias) * inverse, code = nearest(v), off = fabsf(v - code);
        middle = off > middle ? off : middle;
        codes[i] = (uint8_t)(int32_t)clamped(code, most);
    }
    return middle;
}

INLINE void code_by_division(const float *group, uint32_t n, float scale, float bias, float most,
                             uint8_t *codes)
{
    for (uint32_t i = 0; i < n; i++)
        codes[i] = (uint8_t)(int32_t)clamped(nearest((group[i] - bias) / scale), most);
}

/* `count` groups, at most AT_ONCE. false: a number is not finite, or two lie too far apart for any scale. */
INLINE bool affine_groups(const float *numbers, uint32_t count, uint32_t n, uint32_t bits, struct affine *out,
                          uint8_t *codes)
{
    float low[AT_ONCE], high[AT_ONCE], middle[AT_ONCE], most = (float)((1u << bits) - 1u);
    uint8_t whole[AT_ONCE * QUANTIZE_MAX_GROUP];
    uint32_t broken = 0;
    for (size_t g = 0; g < count; g++) {
        struct extent extent = extent_of(numbers + g * n, n);
        low[g] = extent.low;
        high[g] = extent.high;
        broken |= !extent.finite || !is_finite(extent.high - extent.low);
    }
    if (broken)
        return false;
    affine_scales(low, high, count, most, out);
    for (size_t g = 0; g < count; g++)
        middle[g] = code_by_product(numbers + g * n, n, out->scale[g], out->bias[g], most, whole + g * n);
    for (size_t g = 0; g < count; g++) {
        uint8_t *group = whole + g * n;
        if (out->scale[g] == 0) /* all alike and beyond 1e31: the bias alone says it */
            memset(group, 0, n);
        else if (middle[g] > 0.4999f)
            code_by_division(numbers + g * n, n, out->scale[g], out->bias[g], most, group);
    }
    pack(whole, count * n, bits, codes);
    return true;
}

/* bits and n are constants where this is inlined. */
INLINE bool affine_row(uint32_t bits, uint32_t n, enum scalar_type type, const float *row, uint32_t cols,
                       uint8_t *codes, uint8_t *scales, uint8_t *biases)
{
    size_t size = scalar_size(type);
    for (uint32_t first = 0; first < cols / n; first += AT_ONCE) {
        uint32_t count = cols / n - first < AT_ONCE ? cols / n - first : AT_ONCE;
        struct affine affine;
        if (!affine_groups(row + (size_t)first * n, count, n, bits, &affine,
                           codes + (size_t)first * n * bits / 8))
            return false;
        for (uint32_t g = 0; g < count; g++) {
            write_scalar(type, affine.scale[g], scales + (first + g) * size);
            write_scalar(type, signless_zero(affine.bias[g]), biases + (first + g) * size);
        }
    }
    return true;
}

/* ---- microscaling ---- */

/* The exponent of the power of two at or above max / largest, which MLX computes in the tensor's type. */
INLINE int scale_exponent(enum scalar_type type, float max, float largest)
{
    int exponent;
    float ratio = rounded(type, max / largest);
    if (ratio == 0)
        return 0;
    if (frexpf(ratio, &exponent) == 0.5f)
        exponent--;
    return exponent < -127 ? -127 : exponent > 127 ? 127 : exponent;
}

INLINE uint8_t to_e2m1(float value)
{
    float a = fabsf(value);
    int code = (a > 0.25f) + (a > 0.75f) + (a > 1.25f) + (a > 1.75f) + (a > 2.5f) + (a > 3.5f) + (a > 5.0f);
    return (uint8_t)(code | (value < 0 && code ? 8 : 0));
}

INLINE uint8_t to_e4m3(float value)
{
    uint32_t bits = float_to_bits(value), sign = bits >> 24 & 0x80u;
    bits &= 0x7FFFFFFFu;
    /* below 2^-6 a number is a multiple of 2^-9 */
    uint32_t small = (uint32_t)(int32_t)nearest(float_from_bits(bits < 0x3C800000u ? bits : 0) * 512.0f);
    uint32_t large = (bits + 0x7FFFFu + (bits >> 20 & 1u) - (120u << 23)) >> 20;
    large = large < 126 ? large : 126;
    return (uint8_t)(sign | (bits < 0x3C800000u ? small : large));
}

INLINE bool micro_group(const struct code_format *format, enum scalar_type type, const float *group,
                        uint8_t *scale, uint8_t *codes)
{
    uint32_t n = format->group_size;
    struct extent extent = extent_of(group, n);
    bool four = format->format == WEIGHT_MXFP4;
    if (!extent.finite)
        return false;
    float max = extent.high > -extent.low ? extent.high : -extent.low;
    int exponent = scale_exponent(type, max, four ? 6.0f : 448.0f);
    float unit = ldexpf(1.0f, -exponent);
    *scale = (uint8_t)(exponent + 127);
    if (four)
        for (uint32_t i = 0; i < n; i++)
            codes[i] = to_e2m1(group[i] * unit);
    else
        for (uint32_t i = 0; i < n; i++)
            codes[i] = to_e4m3(group[i] * unit);
    return true;
}

FOR_EACH_ISA bool quantize_row(const struct code_format *format, enum scalar_type type, const float *row,
                               uint32_t cols, uint8_t *codes, uint8_t *scales, uint8_t *biases)
{
    uint32_t n = format->group_size, bits = format->bits;
    uint8_t group[QUANTIZE_MAX_GROUP];
    if (format->format == WEIGHT_AFFINE && bits == 4 && n == 64) /* what most models are made with */
        return affine_row(4, 64, type, row, cols, codes, scales, biases);
    if (format->format == WEIGHT_AFFINE)
        return affine_row(bits, n, type, row, cols, codes, scales, biases);
    for (uint32_t g = 0; g < cols / n; g++) {
        if (!micro_group(format, type, row + (size_t)g * n, &scales[g], group))
            return false;
        pack(group, n, bits, codes + (size_t)g * n * bits / 8);
    }
    return true;
}
