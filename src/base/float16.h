/* Scalar conversions between f32 and the short formats of checkpoints: IEEE half, bfloat16, and the OCP 8-
 * and 4-bit formats of quantized weights. Kernels convert whole vectors themselves; this is for tables,
 * references and scalars. */
#ifndef LLMIND_BASE_FLOAT16_H
#define LLMIND_BASE_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float float_from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t float_to_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_from_bf16(uint16_t bits)
{
    return float_from_bits((uint32_t)bits << 16);
}

/* Round to nearest even; NaN stays NaN. */
static inline uint16_t float_to_bf16(float value)
{
    uint32_t bits = float_to_bits(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return (uint16_t)((bits >> 16) | 0x40u);
    bits += 0x7FFFu + ((bits >> 16) & 1u);
    return (uint16_t)(bits >> 16);
}

static inline float float_from_f16(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t exponent = (half >> 10) & 0x1Fu, fraction = half & 0x3FFu;
    if (exponent == 0x1F)
        return float_from_bits(sign | 0x7F800000u | (fraction << 13));
    if (exponent)
        return float_from_bits(sign | ((exponent + 112u) << 23) | (fraction << 13));
    float magnitude = (float)fraction * 0x1p-24f;
    return sign ? -magnitude : magnitude;
}

/* Round to nearest even; overflow becomes infinity, NaN stays NaN. */
static inline uint16_t float_to_f16(float value)
{
    uint32_t bits = float_to_bits(value);
    uint16_t sign = (uint16_t)((bits >> 16) & 0x8000u);
    bits &= 0x7FFFFFFFu;
    if (bits > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (bits >= 0x477FF000u) /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7C00u);
    if (bits < 0x38800000u) { /* below 2^-14: a multiple of 2^-24, rounded to even by the f32 addition */
        float magic = float_from_bits(bits) + 0.5f;
        return (uint16_t)(sign | (uint16_t)(float_to_bits(magic) - 0x3F000000u));
    }
    bits += 0xFFFu + ((bits >> 13) & 1u);
    return (uint16_t)(sign | ((bits - 0x38000000u) >> 13));
}

/* e4m3 (OCP "fn" variant: no infinity, 0x7F and 0xFF are NaN). */
static inline float float_from_e4m3(uint8_t code)
{
    uint32_t sign = (uint32_t)(code & 0x80u) << 24;
    uint32_t exponent = (code >> 3) & 0xFu, fraction = code & 7u;
    if (exponent == 0xF && fraction == 7)
        return float_from_bits(sign | 0x7FC00000u);
    if (exponent)
        return float_from_bits(sign | ((exponent + 120u) << 23) | (fraction << 20));
    float magnitude = (float)fraction * 0x1p-9f;
    return sign ? -magnitude : magnitude;
}

/* e8m0: 2^(code - 127); 0xFF is NaN. */
static inline float float_from_e8m0(uint8_t code)
{
    if (code == 0xFF)
        return float_from_bits(0x7FC00000u);
    if (code == 0)
        return float_from_bits(0x00400000u);
    return float_from_bits((uint32_t)code << 23);
}

/* e2m1: 0 .5 1 1.5 2 3 4 6 and their negatives. Twice the value is a small integer. */
static inline int e2m1_twice(uint8_t code)
{
    static const signed char twice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    return twice[code & 15];
}

#endif
