/* What clients say they take, also where it is said oddly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/negotiate.h"

static void codings(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        /* b, g, i, - (nothing): where there is all, no brotli, identity only */
        const char *chosen;
    } cases[] = {
        {NULL, "iii"},
        {"", "iii"},
        {" ", "iii"},
        {"br", "bii"},
        {"gzip", "ggi"},
        {"x-gzip", "ggi"},
        {"GZip , BR", "bgi"},
        {"gzip, deflate, br, zstd", "bgi"},
        {"deflate, zstd", "iii"},
        {"gzip;q=1.0, br;q=0.5", "ggi"},
        {"gzip;q=0.5, br;q=0.5", "bgi"},
        {"gzip;q=0.001", "ggi"},
        {"gzip;q=0.5, identity;q=0.6", "iii"},
        {"gzip;q=0.5, identity;q=0.5", "ggi"},
        {"identity, *;q=0.5", "iii"},
        {"*", "bgi"},
        {"*;q=0.5, br;q=0", "ggi"},
        {"br;q=0, gzip;q=0", "iii"},
        {"br;q=0.000, gzip;q=0.", "iii"},
        {"gzip, *;q=0", "gg-"},
        {"identity;q=0", "---"},
        {"identity;q=0, gzip", "gg-"},
        {"*;q=0", "---"},
        {"*;q=0, identity", "iii"},
        {"gzip ; Q=0.7 , br\t;\tq=0.2", "ggi"},
        {"gzip, gzip;q=0", "iii"},
        {"gzip;q=0, gzip", "ggi"},
        /* not understood: passed over */
        {"gzip;q=1.5", "iii"},
        {"gzip;q=-1", "iii"},
        {"gzip;q=0.1234, br;q=1.001", "iii"},
        {"gzip;q=, br;q", "iii"},
        {"gzip;level=9", "iii"},
        {"gzip;q=0.5;q=1", "iii"},
        {"gzip;q=1e0", "iii"},
        {"gz ip", "iii"},
        {"gzip br", "iii"},
        {"gzipbr, gz, brr", "iii"},
        {";q=1, ;, =", "iii"},
        {",,,gzip,,", "ggi"},
    };
    static const bool available[][CODINGS] = {{true, true, true}, {false, true, true}, {false, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char chosen[4] = "";
        for (size_t k = 0; k < 3; k++)
            chosen[k] = "bgi-"[negotiate_coding(cases[i].header, available[k])];
        if (strcmp(chosen, cases[i].chosen) != 0)
            fail_msg("'%s': %s, not %s", cases[i].header ? cases[i].header : "(none)", chosen,
                     cases[i].chosen);
    }
}

static void tags(void **state)
{
    (void)state;
    static const char *const named[] = {
        "\"abc-br\"",
        "W/\"abc-br\"",
        "\"x\", \"abc-br\"",
        "\"x\",\"abc-br\",\"y\"",
        " \t\"abc-br\" ",
        "*",
        " * ",
        ",, \"abc-br\"",
        "\"x\", W/\"abc-br\"",
        "\"a,b\",\"abc-br\"",
        "\"x\"\"abc-br\"",
    };
    static const char *const others[] = {
        "",         "\"abc\"",    "abc-br",       "\"abc-br",
        "abc-br\"", "\"ABC-BR\"", "w/\"abc-br\"", "\"abc-br-\"",
        "\"*\"",    "*x",         "x, *",         "x, \"abc-br\"",
        "\"",       "W/",         "\"abc-br x\"", ", ,",
    };
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (!negotiate_has_tag(named[i], "\"abc-br\""))
            fail_msg("%s does not name it", named[i]);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (negotiate_has_tag(others[i], "\"abc-br\""))
            fail_msg("%s names it", others[i]);
    assert_false(negotiate_has_tag(NULL, "\"abc-br\""));
}

static void html(void **state)
{
    (void)state;
    static const char *const takes[] = {"",
                                        "*/*",
                                        "text/html",
                                        "text/*;q=0.1",
                                        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                                        "application/json, Text/HTML"};
    static const char *const refuses[] = {"application/json", "application/*", "text/event-stream",
                                          "image/png"};
    for (size_t i = 0; i < sizeof takes / sizeof *takes; i++)
        assert_true(negotiate_takes_html(takes[i]));
    for (size_t i = 0; i < sizeof refuses / sizeof *refuses; i++)
        assert_false(negotiate_takes_html(refuses[i]));
    assert_true(negotiate_takes_html(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(codings), cmocka_unit_test(tags),
                                       cmocka_unit_test(html)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
