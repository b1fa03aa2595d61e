/* Text of strangers, made fit to be shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "profile/clean.h"

static void expect_line(const char *text, size_t max, const char *wanted)
{
    struct buffer out = {0};
    clean_line(&out, text, max);
    assert_false(out.failed);
    assert_string_equal(out.data, wanted);
    assert_true(utf8_is_valid(out.data, out.length));
    buffer_free(&out);
}

static void lines(void **state)
{
    (void)state;
    expect_line("plain", 10, "plain");
    expect_line("  a \t\r\n b  ", 10, "a b");
    expect_line("\x1b[31mred\x07\x7f", 20, "[31mred");
    expect_line("\xC2\x9B"
                "2J",
                9, "2J"); /* C1: a terminal would clear its screen */
    expect_line("a\u202Eb\u200Fc\u2066d\uFEFFe\U000E0041f", 20, "abcdef");
    expect_line("a\u2028b\u00A0c", 20, "a b c");
    expect_line("bad\xFF\xC0\x80!", 20,
                "bad?"
                "?"
                "?!");
    expect_line("e\u0301\u0301\u0301\u0301\u0301!", 20, "e\u0301\u0301!"); /* marks are not stacked */
    expect_line("", 5, "");
    expect_line("abcdef", 6, "abcdef");
    expect_line("abcdef", 5, "abcd…");
    expect_line("日本語日本語", 3, "日本…");
    expect_line("abc", 0, "");
    expect_line("ab cd", 3, "ab…");
}

static void copies(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_string_equal(clean_copy(&arena, NULL, 5), "");
    assert_string_equal(clean_copy(&arena, "a\nb", 5), "a b");
    arena_free(&arena);
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(clean_width("±…é"), 3);
    assert_int_equal(clean_width("日本"), 4);
    assert_int_equal(clean_width("e\u0301"), 1);
    struct buffer out = {0};
    clean_cut(&out, "日本語", 5);
    assert_string_equal(out.data, "日本…");
    buffer_clear(&out);
    clean_cut(&out, "日本語", 6);
    assert_string_equal(out.data, "日本語");
    buffer_clear(&out);
    clean_cut(&out, "ab", 1);
    assert_string_equal(out.data, "…");
    buffer_free(&out);
}

static void wrapping(void **state)
{
    (void)state;
    struct buffer out = {0};
    clean_wrap(&out, "one two three four", 4, 2, 12);
    assert_string_equal(out.data, "one two\n  three four\n");
    buffer_clear(&out);
    clean_wrap(&out, "aaaaaaaaaaaaaaaaaaaaaaaaa b", 0, 2, 12); /* longer than a line: broken */
    assert_string_equal(out.data, "aaaaaaaaaaaa\n  aaaaaaaaaa\n  aaa b\n");
    buffer_clear(&out);
    clean_wrap(&out, "", 0, 2, 12);
    assert_string_equal(out.data, "\n");
    buffer_free(&out);
}

/* No line is ever too wide, whatever words there are. */
static void wrapping_keeps_its_width(void **state)
{
    (void)state;
    static const char *const words[] = {"日本語日本語日本語日本語", "a", "bcdefghijklmnopq", "±", "e\u0301"};
    unsigned seed = 7;
    for (int round = 0; round < 200; round++) {
        struct buffer text = {0}, out = {0};
        for (int i = 0; i < 30; i++) {
            seed = seed * 1103515245u + 12345u;
            buffer_format(&text, "%s%s", words[seed / 65536u % 5], seed & 0x40000u ? " " : "");
        }
        size_t width = 10 + seed / 65536u % 30;
        clean_wrap(&out, text.data, 0, 2, width);
        for (char *at = out.data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
            *end = '\0';
            assert_true(clean_width(at) <= width);
        }
        buffer_free(&text);
        buffer_free(&out);
    }
}

static void expect_markdown(const char *text, const char *wanted)
{
    struct buffer out = {0};
    clean_markdown(&out, text);
    assert_string_equal(out.data, wanted);
    buffer_free(&out);
}

static void markdown(void **state)
{
    (void)state;
    expect_markdown("a|b", "a\\|b");
    expect_markdown("[x](javascript:alert(1))", "[x\\](javascript:alert(1))");
    expect_markdown("+31 % [+27, +35]", "+31 % [+27, +35]");
    expect_markdown("<b>*x*</b> `y`", "\\<b\\>\\*x\\*\\</b\\> \\`y\\`");
    expect_markdown("kv_bits _x_", "kv_bits \\_x\\_");
    expect_markdown("# head", "\\# head");
    expect_markdown("- item", "\\- item");
    expect_markdown("&lt; a & b", "\\&lt; a & b");
    expect_markdown("\\", "\\\\");
}

static void xml(void **state)
{
    (void)state;
    struct buffer out = {0};
    clean_xml(&out, "<a href=\"x\">&'</a>");
    assert_string_equal(out.data, "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),    cmocka_unit_test(copies),   cmocka_unit_test(widths),
        cmocka_unit_test(wrapping), cmocka_unit_test(markdown), cmocka_unit_test(wrapping_keeps_its_width),
        cmocka_unit_test(xml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
