/* Heads read before the HTTP library sees them: what is plain is split, everything else is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/head.h"

/* Reads a copy on the heap, without a byte behind it, so that a sanitizer sees a step too far. */
static bool read_copy(const char *text, size_t length, char **copy, struct http_head *head)
{
    *copy = malloc(length + !length);
    assert_non_null(*copy);
    memcpy(*copy, text, length);
    return http_head_read(*copy, length, head);
}

static bool reads(const char *text, size_t length)
{
    struct http_head head;
    char *copy;
    bool read = read_copy(text, length, &copy, &head);
    free(copy);
    return read;
}

static void splits(void **state)
{
    (void)state;
    static const char text[] =
        "POST /v1/x?y=1 HTTP/1.1\r\nHost: a:1\r\nX-Empty:\r\nX-Blanks: \t b c \r\n\r\n{}";
    struct http_head head;
    char *copy;
    assert_true(read_copy(text, sizeof text - 1, &copy, &head));
    assert_string_equal(head.method, "POST");
    assert_string_equal(head.target, "/v1/x?y=1");
    assert_string_equal(head.version, "HTTP/1.1");
    assert_int_equal(head.n_headers, 3);
    assert_string_equal(head.headers[0].name, "Host");
    assert_string_equal(head.headers[0].value, "a:1");
    assert_string_equal(head.headers[1].value, "");
    assert_string_equal(head.headers[2].value, "b c");
    assert_int_equal(head.bytes, sizeof text - 1 - 2);
    free(copy);
}

static void every_shorter_one_is_not_whole(void **state)
{
    (void)state;
    static const char text[] = "POST /a HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
    for (size_t length = 0; length < sizeof text - 1; length++)
        assert_false(reads(text, length));
    assert_true(reads(text, sizeof text - 1));
}

static void what_is_not_plain_is_left_alone(void **state)
{
    (void)state;
#define TEXT(text)                                                                                           \
    {                                                                                                        \
        text, sizeof text - 1                                                                                \
    }
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {TEXT("POST /a HTTP/1.1\nHost: a\n\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost: a\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost: a\r\n\n"),
                 TEXT("\r\nPOST /a HTTP/1.1\r\nHost: a\r\n\r\n"),
                 TEXT("POST  /a HTTP/1.1\r\nHost: a\r\n\r\n"),
                 TEXT("POST /a  HTTP/1.1\r\nHost: a\r\n\r\n"),
                 TEXT("POST /a\r\nHost: a\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1 \r\nHost: a\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost : a\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\n: a\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost: a\rb\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost: a\0b\r\n\r\n"),
                 TEXT("POST /a\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
                 TEXT("POST /a HTTP/1.1\r\nHost: a\r\n\0\r\n\r\n")};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (reads(cases[i].text, cases[i].length))
            fail_msg("case %zu was read", i);
}

static void too_many_headers_are_left_alone(void **state)
{
    (void)state;
    char text[4096] = "GET / HTTP/1.1\r\n";
    for (int i = 0; i < HTTP_HEAD_HEADERS; i++)
        strcat(text, "A: b\r\n");
    size_t length = strlen(text);
    memcpy(text + length, "\r\n", 3);
    assert_true(reads(text, length + 2));
    memcpy(text + length, "A: b\r\n\r\n", 9);
    assert_false(reads(text, length + 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits), cmocka_unit_test(every_shorter_one_is_not_whole),
        cmocka_unit_test(what_is_not_plain_is_left_alone), cmocka_unit_test(too_many_headers_are_left_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
