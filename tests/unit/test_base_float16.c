/* The short float formats, exhaustively, against arithmetic done the slow way: in double, from the definition
 * of each format (IEEE 754-2019 binary16; bfloat16 as the upper half of binary32; OCP Microscaling Formats
 * v1.0). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>

#include "base/float16.h"

/* A value from its fields: sign, exponent bits, fraction bits. infinity: the top exponent is not for numbers.
 */
static double from_fields(unsigned code, int exponent_bits, int fraction_bits, int bias, bool infinity)
{
    unsigned fraction = code & ((1u << fraction_bits) - 1);
    unsigned exponent = code >> fraction_bits & ((1u << exponent_bits) - 1);
    double sign = code >> (fraction_bits + exponent_bits) & 1 ? -1 : 1;
    if (infinity && exponent == (1u << exponent_bits) - 1)
        return fraction ? NAN : sign * INFINITY;
    double scale = ldexp(1, -fraction_bits);
    if (exponent == 0)
        return sign * ldexp(fraction * scale, 1 - bias);
    return sign * ldexp(1 + fraction * scale, (int)exponent - bias);
}

static bool same(double a, double b)
{
    return (isnan(a) && isnan(b)) || (a == b && signbit(a) == signbit(b));
}

static void every_half_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        float value = float_from_f16((uint16_t)code);
        if (!same(value, from_fields(code, 5, 10, 15, true)))
            fail_msg("f16 %04x is read as %a", code, (double)value);
        uint16_t back = float_to_f16(value);
        bool nan = (code & 0x7FFF) > 0x7C00;
        if (nan ? (back & 0x7FFF) <= 0x7C00 : back != code)
            fail_msg("f16 %04x comes back as %04x", code, back);
    }
}

static void every_bfloat_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 65536; code++) {
        float value = float_from_bf16((uint16_t)code);
        if (!same(value, from_fields(code, 8, 7, 127, true)))
            fail_msg("bf16 %04x is read as %a", code, (double)value);
        uint16_t back = float_to_bf16(value);
        bool nan = (code & 0x7FFF) > 0x7F80;
        if (nan ? (back & 0x7FFF) <= 0x7F80 : back != code)
            fail_msg("bf16 %04x comes back as %04x", code, back);
    }
}

/* Between each two neighbours: below, at and above the middle. At the middle the even code wins. */
static void check_rounding(unsigned last_finite, double step_beyond, float (*from)(uint16_t),
                           uint16_t (*to)(float))
{
    for (unsigned code = 0; code <= last_finite; code++) {
        double low = from((uint16_t)code);
        double high = code < last_finite ? (double)from((uint16_t)(code + 1)) : low + step_beyond;
        float middle = (float)((low + high) / 2); /* exact: both formats are much narrower than f32 */
        assert_true((double)middle == (low + high) / 2);
        unsigned even = code & 1 ? code + 1 : code;
        for (unsigned sign = 0; sign < 2; sign++) {
            float s = sign ? -1.0F : 1.0F;
            unsigned bit = sign << 15;
            assert_int_equal(to(s * middle), even | bit);
            assert_int_equal(to(s * nextafterf(middle, 0)), code | bit);
            assert_int_equal(to(s * nextafterf(middle, INFINITY)), (code + 1) | bit);
        }
    }
}

static void half_rounds_to_nearest_even(void **state)
{
    (void)state;
    check_rounding(0x7BFF, 32, float_from_f16, float_to_f16);
    assert_int_equal(float_to_f16(65519.996F), 0x7BFF);
    assert_int_equal(float_to_f16(65520), 0x7C00);
    assert_int_equal(float_to_f16(3e38F), 0x7C00);
    assert_int_equal(float_to_f16(-INFINITY), 0xFC00);
    assert_int_equal(float_to_f16(1e-30F), 0);
    assert_int_equal(float_to_f16(-1e-30F), 0x8000);
}

static void bfloat_rounds_to_nearest_even(void **state)
{
    (void)state;
    check_rounding(0x7F7E, 0x1p120, float_from_bf16, float_to_bf16); /* beyond the last one: below */
    assert_int_equal(float_to_bf16(float_from_bits(0x7F7F7FFF)), 0x7F7F);
    assert_int_equal(float_to_bf16(float_from_bits(0x7F7F8000)), 0x7F80);
    assert_int_equal(float_to_bf16(INFINITY), 0x7F80);
    uint16_t nan = float_to_bf16(float_from_bits(0x7F800001)); /* a NaN whose payload is cut away */
    assert_true((nan & 0x7FFF) > 0x7F80);
}

static void every_e4m3_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        double expected = (code & 0x7F) == 0x7F ? NAN : from_fields(code, 4, 3, 7, false);
        if (!same(float_from_e4m3((uint8_t)code), expected))
            fail_msg("e4m3 %02x is read as %a", code, (double)float_from_e4m3((uint8_t)code));
    }
}

static void every_e8m0_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        double expected = code == 255 ? NAN : ldexp(1, (int)code - 127);
        if (!same(float_from_e8m0((uint8_t)code), expected))
            fail_msg("e8m0 %02x is read as %a", code, (double)float_from_e8m0((uint8_t)code));
    }
}

static void every_e2m1_code(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 256; code++) {
        double expected = from_fields(code & 15, 2, 1, 1, false);
        assert_true(e2m1_twice((uint8_t)code) == 2 * expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_code),
        cmocka_unit_test(every_bfloat_code),
        cmocka_unit_test(half_rounds_to_nearest_even),
        cmocka_unit_test(bfloat_rounds_to_nearest_even),
        cmocka_unit_test(every_e4m3_code),
        cmocka_unit_test(every_e8m0_code),
        cmocka_unit_test(every_e2m1_code),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
