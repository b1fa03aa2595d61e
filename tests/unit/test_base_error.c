#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

static bool is_utf8(const char *text)
{
    return utf8_is_valid(text, strlen(text));
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

static void codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(error_code_name(ERROR_INVALID), "invalid");
    assert_string_equal(error_code_name(ERROR_CANCELLED), "cancelled");
    const int unnamed[] = {ERROR_INTERNAL, 0, 1, ERROR_INTERNAL - 1};
    for (size_t i = 0; i < sizeof unnamed / sizeof *unnamed; i++)
        assert_string_equal(error_code_name(unnamed[i]), "internal");
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

/* U+0080 to U+009F: U+009B is a terminal's CSI. What comes right behind them in Unicode stays. */
static void c1_controls_are_replaced(void **state)
{
    (void)state;
    for (int second = 0x80; second <= 0xBF; second++) {
        const char text[] = {'a', (char)0xC2, (char)second, 'b', '\0'};
        struct error error;
        error_set(&error, ERROR_INVALID, "%s", text);
        assert_string_equal(error.message, second < 0xA0 ? "a?b" : text);
        error_set(&error, ERROR_INVALID, "x");
        error_prefix(&error, "%s", text);
        assert_memory_equal(error.message, second < 0xA0 ? "a?b: x" : text, 3);
    }
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *text, *clean;
    } cases[] = {
        {"\xFF\xFE", "??"},
        {"a\x80z", "a?z"},                                             /* a continuation without a start */
        {"\xC3", "?"},                                                 /* a start without its continuation */
        {"\xE2\x82", "??"},                                            /* two thirds of a character */
        {"\xE2\x82z", "??z"},                                          /* the same, then text */
        {"\xC0\x8A", "??"},                                            /* overlong newline */
        {"\xE0\x80\x9B", "???"},                                       /* overlong escape */
        {"\xED\xA0\x80", "???"},                                       /* a surrogate */
        {"\xF4\x90\x80\x80", "????"},                                  /* beyond U+10FFFF */
        {"\xF5\x80\x80\x80", "????"},                                  /* no such start */
        {"\xC3\xA9\xC3\xF0\x9F\x98\x80", "\xC3\xA9?\xF0\x9F\x98\x80"}, /* the whole ones beside it stay */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error;
        error_set(&error, ERROR_INVALID, "%s", cases[i].text);
        assert_string_equal(error.message, cases[i].clean);
    }
}

/* A message that is cut, and is nothing but continuation bytes or starts, is not lost. */
static void long_garbage_stays_visible(void **state)
{
    (void)state;
    static const char bytes[] = {(char)0x80, (char)0xC3, (char)0xF0, (char)0xFF};
    for (size_t i = 0; i < sizeof bytes; i++) {
        char text[2 * ERROR_MESSAGE_MAX];
        memset(text, bytes[i], sizeof text - 1);
        text[sizeof text - 1] = '\0';
        struct error error;
        error_set(&error, ERROR_INVALID, "%s", text);
        size_t length = strlen(error.message);
        assert_true(length >= ERROR_MESSAGE_MAX - 1 - 4);
        assert_int_equal(strspn(error.message, "?"), length);
    }
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

static void replaces_a_path_by_a_name(void **state)
{
    (void)state;
    struct error error;
    error_set(&error, ERROR_INVALID, "/a/b/c.json: not in /a/b, nor in /a");
    error_replace(&error, "/a/b", "tiny");
    assert_string_equal(error.message, "tiny/c.json: not in tiny, nor in /a");
    error_replace(&error, "", "x");
    error_replace(&error, "absent", "x");
    assert_string_equal(error.message, "tiny/c.json: not in tiny, nor in /a");
    error_replace(&error, "tiny/c.json: not in tiny, nor in /a", "");
    assert_string_equal(error.message, "");
    error_replace(NULL, "a", "b");
    char text[ERROR_MESSAGE_MAX];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&error, ERROR_INVALID, "%s", text);
    error_replace(&error, "a", "é"); /* longer than fits: cut, and still text */
    assert_true(is_utf8(error.message) && strlen(error.message) >= ERROR_MESSAGE_MAX - 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_returns_the_code),
        cmocka_unit_test(codes_have_names),
        cmocka_unit_test(prefix_goes_before),
        cmocka_unit_test(memory_errors_name_the_size),
        cmocka_unit_test(control_characters_are_replaced),
        cmocka_unit_test(c1_controls_are_replaced),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(long_garbage_stays_visible),
        cmocka_unit_test(cuts_on_character_boundaries),
        cmocka_unit_test(a_prefix_longer_than_the_message_is_cut_too),
        cmocka_unit_test(replaces_a_path_by_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
