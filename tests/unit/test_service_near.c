#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "service/near.h"

static void distances(void **state)
{
    (void)state;
    assert_int_equal(near_distance("", ""), 0);
    assert_int_equal(near_distance("abc", ""), 3);
    assert_int_equal(near_distance("kitten", "sitting"), 3);
    assert_int_equal(near_distance("thraeds", "threads"), 1); /* one swap */
    assert_int_equal(near_distance("BENCH", "bench"), 0);
    char long_a[300], long_b[300]; /* longer than is compared: no overrun, equal beginnings are equal */
    memset(long_a, 'a', sizeof long_a);
    memset(long_b, 'a', sizeof long_b);
    long_a[299] = long_b[298] = '\0';
    assert_int_equal(near_distance(long_a, long_b), 0);
}

static void names(void **state)
{
    (void)state;
    static const char *const known[] = {"generate", "profile", "bench", "mlx-community/Qwen3-0.6B-4bit"};
    assert_string_equal(near_name("genrate", known, 4), "generate");
    assert_string_equal(near_name("banch", known, 4), "bench");
    assert_string_equal(near_name("qwen3", known, 4), "mlx-community/Qwen3-0.6B-4bit"); /* contained in it */
    assert_null(near_name("zzzzzz", known, 4));
    assert_null(near_name("", known, 4));
    assert_null(near_name("x", known, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(distances), cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
