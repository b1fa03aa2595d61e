/* Whatever bytes go in, valid JSON comes out, and valid text comes back as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/utf8.h"

static void expect(const char *text, size_t length, const char *json)
{
    struct buffer out = {0};
    buffer_json_string(&out, text, length);
    assert_string_equal(out.data, json);
    buffer_free(&out);
}

static void test_strings(void **state)
{
    (void)state;
    expect("", 0, "\"\"");
    expect("plain", 5, "\"plain\"");
    expect("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    expect("\b\f\n\r\t\x01\x1f\x7f", 8, "\"\\b\\f\\n\\r\\t\\u0001\\u001f\\u007f\"");
    expect("a\0b", 3, "\"a\\u0000b\"");
    expect("é日😀", strlen("é日😀"), "\"é日😀\"");
    expect("a\xff\xc3", 3, "\"a\xEF\xBF\xBD\xEF\xBF\xBD\"");
    expect("\xed\xa0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""); /* a surrogate */
}

static void test_any_bytes_give_valid_text(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        char bytes[64];
        for (size_t i = 0; i < sizeof bytes; i++) {
            seed = seed * 1664525u + 1013904223u;
            bytes[i] = (char)(seed >> 24);
        }
        struct buffer out = {0};
        buffer_json_string(&out, bytes, (size_t)(seed % (sizeof bytes + 1)));
        assert_true(utf8_is_valid(out.data, out.length));
        for (size_t i = 0; i < out.length; i++)
            assert_true((unsigned char)out.data[i] >= 0x20);
        buffer_free(&out);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const float values[] = {0, -1.5f, 3.4028235e38f, 1e-45f, -0.1f, 16777217.0f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct buffer out = {0};
        buffer_json_float(&out, values[i]);
        assert_true(strtof(out.data, NULL) == values[i]);
        buffer_clear(&out);
        buffer_json_double(&out, (double)values[i] / 3);
        assert_true(strtod(out.data, NULL) == (double)values[i] / 3);
        buffer_free(&out);
    }
    struct buffer out = {0};
    buffer_json_float(&out, INFINITY);
    buffer_json_double(&out, -(double)INFINITY);
    buffer_json_float(&out, NAN);
    assert_string_equal(out.data, "nullnullnull");
    buffer_free(&out);
}

static void test_measure(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t depth, containers, values;
    } cases[] = {{"", 0, 0, 0},
                 {"5", 0, 0, 0},
                 {"[1, 2, {\"a\": [\"[[[\\\"[,\"]}, []]", 3, 4, 7},
                 {"]]][[", 2, 2, 2},
                 {"{\"a\": \"\\", 1, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_text_size size = json_text_measure(cases[i].text, strlen(cases[i].text));
        assert_int_equal(size.depth, cases[i].depth);
        assert_int_equal(size.containers, cases[i].containers);
        assert_int_equal(size.values, cases[i].values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_any_bytes_give_valid_text),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_measure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
