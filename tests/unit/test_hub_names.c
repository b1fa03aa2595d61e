/* Names of repositories, revisions, files and addresses: what is taken, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hub/address.h"
#include "hub/hub.h"
#include "hub/names.h"

static void test_repositories(void **state)
{
    (void)state;
    static const char *const good[] = {"gpt2", "mlx-community/Qwen3-0.6B-4bit", "a/b", "A_b/c.d", "_x/_y"};
    static const char *const bad[] = {"",      "a/",     "/a",    "a/b/c",   "../a",  "a/..",
                                      "a--b",  "a/b--c", ".a/b",  "a/.b",    "-a/b",  "a/b-",
                                      "a b",   "a\\b",   "a/b\n", "a/b.git", "a%2fb", "\xc3\xa9",
                                      "a/b?c", "a:b",    "a..b",  "a/b/",    "//"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(hub_check_repository(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error error = {0};
        if (hub_check_repository(bad[i], &error) != ERROR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(error.message, "no id"));
    }
    char part[98];
    memset(part, 'x', sizeof part);
    part[96] = '\0';
    assert_int_equal(hub_check_repository(part, NULL), 0);
    part[96] = 'x';
    part[97] = '\0';
    assert_int_equal(hub_check_repository(part, NULL), ERROR_INVALID);
}

static void test_revisions(void **state)
{
    (void)state;
    static const char *const good[] = {"main", "v1.0", "refs/pr/1",
                                       "0123456789abcdef0123456789abcdef01234567"};
    static const char *const bad[] = {"",   "..",   "a/..", "../a", ".a",  "a/.b", "/a",
                                      "a/", "a//b", "a b",  "-a",   "a\n", "a%2f"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(hub_check_revision(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hub_check_revision(bad[i], NULL) != ERROR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
}

static void test_files(void **state)
{
    (void)state;
    static const char *const good[] = {"config.json",   "a/b/c.txt", ".gitattributes",
                                       "mit Blank.txt", "\xc3\xa9",  "..a"};
    static const char *const bad[] = {"",      ".",    "..",   "../a",      "a/..",   "a/../b",
                                      "/a",    "a/",   "a//b", "./a",       "a\\b",   "a\n",
                                      "a\x1b", "\x7f", "\xff", "\xc3/\xa9", "a/./b/c"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(hub_check_file(good[i], NULL), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (hub_check_file(bad[i], NULL) != ERROR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
    assert_true(hub_file_is_plain("config.json"));
    assert_false(hub_file_is_plain("a/config.json"));
    assert_false(hub_file_is_plain(".config.json"));
}

static void test_folder_names(void **state)
{
    (void)state;
    char folder[256], id[256];
    static const char *const ids[] = {"gpt2", "org/name", "a-b/c-d"};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        hub_folder_name(ids[i], folder, sizeof folder);
        assert_true(hub_folder_repository(folder, id, sizeof id));
        assert_string_equal(id, ids[i]);
    }
    assert_false(hub_folder_repository("datasets--a--b", id, sizeof id));
    assert_false(hub_folder_repository("models--a--b--c", id, sizeof id));
    assert_false(hub_folder_repository("models--..", id, sizeof id));
    assert_false(hub_folder_repository("models--", id, sizeof id));
}

static void test_encoding(void **state)
{
    (void)state;
    struct buffer text = {0};
    hub_append_encoded(&text, "a b/\xc3\xa9%?#", false);
    assert_string_equal(text.data, "a%20b%2F%C3%A9%25%3F%23");
    buffer_free(&text);
}

static void expect_redirect(const char *from, const char *location, bool secure, const char *expected)
{
    char *to = NULL;
    int status = hub_redirect(from, location, secure, &to, NULL);
    if (expected) {
        assert_int_equal(status, 0);
        assert_string_equal(to, expected);
    } else if (status == 0)
        fail_msg("%s was followed", location);
    free(to);
}

static void test_redirects(void **state)
{
    (void)state;
    static const char from[] = "https://hub.example/o/n/resolve/c/f?x=1";
    expect_redirect(from, "https://cdn.example/a?b=c", true, "https://cdn.example/a?b=c");
    expect_redirect(from, "/api/cache/f", true, "https://hub.example/api/cache/f");
    expect_redirect(from, "g", true, "https://hub.example/o/n/resolve/c/g");
    expect_redirect(from, "//cdn.example/x", true, "https://cdn.example/x");
    expect_redirect(from, "https://cdn.example/a#part", true, "https://cdn.example/a");
    expect_redirect(from, "http://cdn.example/a", true, NULL);
    expect_redirect("http://hub.example/f", "http://cdn.example/a", false, "http://cdn.example/a");
    static const char *const bad[] = {
        "",         "file:///etc/passwd",  "ftp://a/b",           "https://u:p@a/b", "https://u@a/b",
        "https://", "https://a b/",        "https://a/b\r\nX: y", "javascript:x",    "data:text/plain,x",
        "scp://a/", "https://a:99999999/b"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_redirect(from, bad[i], true, NULL);
}

static void test_origins(void **state)
{
    (void)state;
    struct hub_origin a, b;
    assert_int_equal(hub_origin_read("https://hub.example", true, &a, NULL), 0);
    static const char *const same[] = {"https://hub.example:443/x?y", "https://hub.example/"};
    static const char *const other[] = {"http://hub.example/", "https://hub.example:444/",
                                        "https://hub.example.evil/", "https://evil/hub.example",
                                        "https://xhub.example"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(hub_origin_read(same[i], false, &b, NULL), 0);
        assert_true(hub_origin_equal(&a, &b));
    }
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        assert_int_equal(hub_origin_read(other[i], false, &b, NULL), 0);
        assert_false(hub_origin_equal(&a, &b));
    }
    assert_int_equal(hub_origin_read("https://hub.example/?x", true, &a, NULL), ERROR_INVALID);
    assert_int_equal(hub_origin_read("https://hub.example/#x", true, &a, NULL), ERROR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repositories), cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_files),        cmocka_unit_test(test_folder_names),
        cmocka_unit_test(test_encoding),     cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
