/* What a group becomes: the ends are exact, ties and extremes go where mx.quantize puts them (figures by
 * hand; whole tensors against mlx itself: tests/golden/test_convert.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/float16.h"
#include "convert/quantize.h"

enum { COLS = 128 };

struct coded {
    uint8_t codes[COLS], scales[COLS], biases[COLS];
};

static bool code(uint32_t bits, uint32_t group_size, const float *row, uint32_t cols, struct coded *out)
{
    const struct code_format format = {WEIGHT_AFFINE, bits, group_size};
    memset(out, 0, sizeof *out);
    return quantize_row(&format, SCALAR_F32, row, cols, out->codes, out->scales, out->biases);
}

static float number(const uint8_t *bytes, uint32_t i)
{
    float value;
    memcpy(&value, bytes + 4 * i, sizeof value);
    return value;
}

static void the_larger_end_is_exact(void **state)
{
    (void)state;
    float row[32] = {0};
    struct coded coded;
    row[3] = 3;
    row[4] = -1;
    assert_true(code(4, 32, row, 32, &coded));
    /* step 4/15, edge 3: code rint(3 / -(4/15)) = -11 away from 0, so 3 is code 0 and 0 is code 11 */
    float scale = number(coded.scales, 0), bias = number(coded.biases, 0);
    assert_true(bias == 3 && scale == 3.0f / -11.0f);
    assert_int_equal(coded.codes[0], 0xBB); /* two zeros */
    assert_int_equal(coded.codes[1], 0x0B); /* 0, 3 */
    assert_int_equal(coded.codes[2], 0xBF); /* -1 is 14.67, 0 */
    row[3] = 1;
    row[4] = -3;
    assert_true(code(4, 32, row, 32, &coded));
    assert_true(number(coded.biases, 0) == -3 && number(coded.scales, 0) == 3.0f / 11.0f);
}

static void numbers_that_are_all_alike_stay_exact(void **state)
{
    (void)state;
    static const float values[] = {0, -0.0f, 3.25f, -1e-20f, 1e30f, -3e38f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        float row[32];
        struct coded coded;
        for (uint32_t k = 0; k < 32; k++)
            row[k] = values[i];
        assert_true(code(3, 32, row, 32, &coded));
        float scale = number(coded.scales, 0), bias = number(coded.biases, 0);
        for (uint32_t k = 0; k < 12; k++)
            assert_int_equal(coded.codes[k], coded.codes[k % 3]);
        if (values[i] == 0)
            assert_true(bias == 0 && !signbit(bias));
        if (fabsf(values[i]) > 1e-6f)
            assert_true(bias == values[i] && coded.codes[0] == 0 && isfinite(scale));
    }
}

static void codes_lie_one_after_another(void **state)
{
    (void)state;
    static const uint32_t all[] = {2, 3, 4, 5, 6, 8};
    for (size_t b = 0; b < sizeof all / sizeof *all; b++) {
        uint32_t bits = all[b], most = (1u << bits) - 1;
        float row[64];
        struct coded coded;
        for (uint32_t i = 0; i < 64; i++) /* 0 .. most, both ends in each group */
            row[i] = (float)(i % 32 == 31 ? most : i % 32 == 30 ? 0 : (i * 7) % (most + 1));
        assert_true(code(bits, 32, row, 64, &coded));
        for (uint32_t i = 0; i < 64; i++) {
            uint32_t at = i * bits, value = 0;
            for (uint32_t k = 0; k < bits; k++)
                value |= (uint32_t)(coded.codes[(at + k) / 8] >> (at + k) % 8 & 1) << k;
            float scale = number(coded.scales, i / 32), bias = number(coded.biases, i / 32);
            assert_true(fabsf((float)value * scale + bias - row[i]) < 1e-4f);
        }
    }
}

static void microscaling(void **state)
{
    (void)state;
    const struct code_format four = {WEIGHT_MXFP4, 4, 32}, eight = {WEIGHT_MXFP8, 8, 32};
    float row[32] = {6, 0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5, -0.2f, -6, -0.3f};
    static const uint8_t expected[] = {0x07, 0x21, 0x43, 0x65, 0xF0, 0x09};
    struct coded coded = {0};
    assert_true(quantize_row(&four, SCALAR_BF16, row, 32, coded.codes, coded.scales, NULL));
    assert_int_equal(coded.scales[0], 127);
    assert_memory_equal(coded.codes, expected, sizeof expected);
    row[0] = 6.5f; /* does not fit any more: the next power of two */
    assert_true(quantize_row(&four, SCALAR_BF16, row, 32, coded.codes, coded.scales, NULL));
    assert_int_equal(coded.scales[0], 128);
    float wide[32] = {448, -448, 0x1p-9f, 0x1p-10f, 0x1.8p-9f, -0.0f, 1, 464};
    static const uint8_t bytes[] = {0x76, 0xF6, 0x00, 0x00,
                                    0x01, 0x80, 0x30, 0x76}; /* of the halves; 232 is a tie */
    assert_true(quantize_row(&eight, SCALAR_F32, wide, 32, coded.codes, coded.scales, NULL));
    assert_int_equal(coded.scales[0], 128);
    assert_memory_equal(coded.codes, bytes, sizeof bytes);
    float none[32] = {0};
    assert_true(quantize_row(&eight, SCALAR_F32, none, 32, coded.codes, coded.scales, NULL));
    assert_int_equal(coded.scales[0], 127);
}

static void what_is_not_finite_is_told(void **state)
{
    (void)state;
    static const float bad[] = {INFINITY, -INFINITY, NAN};
    const struct code_format mx = {WEIGHT_MXFP4, 4, 32};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (uint32_t at = 0; at < 64; at += 13) {
            float row[64] = {1, -1};
            struct coded coded;
            row[at] = bad[i];
            assert_false(code(4, 64, row, 64, &coded));
            assert_false(quantize_row(&mx, SCALAR_F32, row, 64, coded.codes, coded.scales, NULL));
        }
    float far[32] = {3e38f, -3e38f};
    struct coded coded;
    assert_false(code(4, 32, far, 32, &coded));
}

static void numbers_change_their_type(void **state)
{
    (void)state;
    float numbers[3] = {1.0f, -0x1.004p0f, 65504.0f}, back[3];
    uint8_t bytes[12];
    numbers_write(SCALAR_F16, numbers, 3, bytes);
    numbers_read(SCALAR_F16, bytes, 3, back);
    assert_true(back[0] == 1 && back[1] == -0x1.004p0f && back[2] == 65504);
    numbers_write(SCALAR_BF16, numbers, 3, bytes);
    numbers_read(SCALAR_BF16, bytes, 3, back);
    assert_true(back[0] == 1 && back[1] == -1 && back[2] == 65536);
    numbers_round(SCALAR_BF16, numbers, 3);
    assert_memory_equal(numbers, back, sizeof back);
    numbers_write(SCALAR_F32, numbers, 3, bytes);
    assert_memory_equal(bytes, numbers, sizeof numbers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_end_is_exact),
        cmocka_unit_test(numbers_that_are_all_alike_stay_exact),
        cmocka_unit_test(codes_lie_one_after_another),
        cmocka_unit_test(microscaling),
        cmocka_unit_test(what_is_not_finite_is_told),
        cmocka_unit_test(numbers_change_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
