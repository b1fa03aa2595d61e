#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "service/chat.h"

static void expect_json(const struct chat *chat, const char *expected)
{
    char *json;
    assert_int_equal(chat_messages_json(chat, &json, NULL), 0);
    assert_string_equal(json, expected);
    free(json);
}

static void turns_become_messages(void **state)
{
    (void)state;
    struct chat *chat;
    assert_int_equal(chat_open("Be brief.", &chat, NULL), 0);
    assert_int_equal(chat_add(chat, "user", "Hi \"you\"", 8, NULL), 0);
    assert_int_equal(chat_add(chat, "assistant", "Hello", 5, NULL), 0);
    expect_json(chat, "[{\"role\":\"system\",\"content\":\"Be brief.\"},"
                      "{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"},"
                      "{\"role\":\"assistant\",\"content\":\"Hello\"}]");
    chat_drop_last(chat);
    assert_int_equal(chat_turns(chat), 1);
    assert_int_equal(chat_set_system(chat, "", NULL), 0);
    expect_json(chat, "[{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"}]");
    chat_reset(chat);
    chat_drop_last(chat); /* nothing to drop */
    expect_json(chat, "[]");
    chat_close(chat);
    chat_close(NULL);
}

static void bad_bytes_are_replaced(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *expected;
    } cases[] = {
        {"a\xFF"
         "b",
         3,
         "a\xEF\xBF\xBD"
         "b"},
        {"\xC0\xAF", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* overlong */
        {"\xED\xA0\x80", 3, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, /* surrogate */
        {"\xE2\x82", 2, "\xEF\xBF\xBD\xEF\xBF\xBD"},                 /* cut */
        {"\xF4\x90\x80\x80", 4, "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"x\0y", 3, "x\xEF\xBF\xBDy"},
        {"\xE2\x82\xAC \xF0\x9F\x98\x80", 8, "\xE2\x82\xAC \xF0\x9F\x98\x80"}, /* valid: kept */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *clean = chat_clean_utf8(cases[i].text, cases[i].length);
        assert_string_equal(clean, cases[i].expected);
        free(clean);
    }
    struct chat *chat;
    assert_int_equal(chat_open(NULL, &chat, NULL), 0);
    assert_int_equal(chat_add(chat, "user", "a\xFF", 2, NULL), 0);
    expect_json(chat, "[{\"role\":\"user\",\"content\":\"a\xEF\xBF\xBD\"}]");
    chat_close(chat);
}

static void saved_once(void **state)
{
    (void)state;
    char path[] = "/tmp/llmind-chat-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    struct chat *chat;
    struct error error = {0};
    assert_int_equal(chat_open(NULL, &chat, NULL), 0);
    assert_int_equal(chat_add(chat, "user", "Hi", 2, NULL), 0);
    assert_int_equal(chat_save_markdown(chat, path, "tiny", &error), ERROR_INVALID); /* exists */
    assert_non_null(strstr(error.message, "exists already"));
    unlink(path);
    assert_int_equal(chat_save_markdown(chat, path, "tiny", &error), 0);
    char text[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_string_equal(text, "# Chat with tiny\n\n**You**\n\nHi\n");
    unlink(path);
    assert_int_equal(chat_save_markdown(chat, "/nowhere/at/all.md", "tiny", &error), ERROR_IO);
    chat_close(chat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(turns_become_messages),
                                       cmocka_unit_test(bad_bytes_are_replaced),
                                       cmocka_unit_test(saved_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
