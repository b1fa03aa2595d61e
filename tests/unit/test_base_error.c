#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/error.h"

/* Well-formed UTF-8 (lengths and continuation bytes; enough for messages cut in the middle). */
static bool is_utf8(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        int more = *p < 0x80 ? 0 : *p >= 0xF0 ? 3 : *p >= 0xE0 ? 2 : *p >= 0xC2 ? 1 : -1;
        if (more < 0)
            return false;
        while (more--)
            if ((*++p & 0xC0) != 0x80)
                return false;
    }
    return true;
}

static void set_returns_the_code(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_set(&error, ERROR_LIMIT, "%d of %s", 7, "nine"), ERROR_LIMIT);
    assert_int_equal(error.code, ERROR_LIMIT);
    assert_string_equal(error.message, "7 of nine");
    assert_int_equal(error_set(NULL, ERROR_IO, "nobody reads this"), ERROR_IO);
}

static void prefix_goes_before(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, ERROR_INVALID, "bad header");
    error_prefix(&error, "%s", "model.safetensors");
    assert_string_equal(error.message, "model.safetensors: bad header");
    assert_int_equal(error.code, ERROR_INVALID);
    error_prefix(NULL, "x");
}

static void memory_errors_name_the_size(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(error_memory(&error, "the KV cache", 123456), ERROR_MEMORY);
    assert_non_null(strstr(error.message, "the KV cache"));
    assert_non_null(strstr(error.message, "123456"));
}

static void control_characters_are_replaced(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, ERROR_INVALID,
              "a\x1b[2Jb\nc\td\re\x7f"
              "f");
    assert_string_equal(error.message, "a?[2Jb?c?d?e?f");
}

/* Every length around the limit, with characters of 1 to 4 bytes: the cut never leaves half a character. */
static void cuts_on_character_boundaries(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "é", "€", "😀"};
    for (size_t c = 0; c < 4; c++) {
        size_t width = strlen(characters[c]);
        for (size_t shift = 0; shift < 4; shift++) {
            char text[2 * ERROR_MESSAGE_MAX];
            memset(text, 'x', shift);
            size_t length = shift;
            while (length + width < sizeof text) {
                memcpy(text + length, characters[c], width);
                length += width;
            }
            text[length] = '\0';
            struct error error;
            error_set(&error, ERROR_INVALID, "%s", text);
            assert_true(is_utf8(error.message));
            assert_true(strlen(error.message) >= ERROR_MESSAGE_MAX - 1 - 4);
            assert_memory_equal(error.message, text, strlen(error.message));
            error_prefix(&error, "%s", "préfixe");
            assert_true(is_utf8(error.message));
            assert_true(strlen(error.message) >= ERROR_MESSAGE_MAX - 1 - 4);
        }
    }
}

static void a_prefix_longer_than_the_message_is_cut_too(void **state)
{
    (void)state;
    char text[2 * ERROR_MESSAGE_MAX];
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "€", 4);
    struct error error;
    error_set(&error, ERROR_INVALID, "lost");
    error_prefix(&error, "%s", text);
    assert_true(is_utf8(error.message));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_the_code),
        cmocka_unit_test(prefix_goes_before),
        cmocka_unit_test(memory_errors_name_the_size),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(cuts_on_character_boundaries),
        cmocka_unit_test(a_prefix_longer_than_the_message_is_cut_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
