#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "profile/format.h"
#include "profile/table.h"

static void numbers(void **state)
{
    (void)state;
    char out[FORMAT_MAX];
    assert_string_equal(format_number(out, 1480.4), "1480");
    assert_string_equal(format_number(out, 41.234), "41.2");
    assert_string_equal(format_number(out, 9.999), "10.0");
    assert_string_equal(format_number(out, 99.96), "100");
    assert_string_equal(format_number(out, 0.954), "0.95");
    assert_string_equal(format_number(out, NAN), "-");
    assert_string_equal(format_bytes(out, 14600000), "14.6 MB");
    assert_string_equal(format_bytes(out, 512), "512 B");
    assert_string_equal(format_bytes(out, 999999), "1.00 MB"); /* not "1000 kB" */
    assert_string_equal(format_bytes(out, NAN), "-");
    assert_string_equal(format_count(out, 1235814400.0), "1.24 B");
    assert_string_equal(format_count(out, 12), "12");
    assert_string_equal(format_ms(out, 95), "95.0 ms");
    assert_string_equal(format_ms(out, 1240), "1.24 s");
    assert_string_equal(format_percent(out, 0.412), "41.2 %");
}

static char *render(const struct table *table, enum table_style style, int indent)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    table_print(table, stream, style, indent);
    fclose(stream);
    return text;
}

static void columns_line_up(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, "lr");
    static const char *const cells[] = {"test", "t/s", "pp512", "1480 ± 2.1", "a", "9"};
    for (size_t i = 0; i < 6; i++)
        table_cell(&table, "%s", cells[i]);
    char *text = render(&table, TABLE_TEXT, 2);
    assert_string_equal(text, "  test          t/s\n"
                              "  pp512  1480 ± 2.1\n"
                              "  a               9\n");
    free(text);
    text = render(&table, TABLE_MARKDOWN, 2);
    assert_string_equal(text, "| test  |        t/s |\n"
                              "| ----- | ---------: |\n"
                              "| pp512 | 1480 ± 2.1 |\n"
                              "| a     |          9 |\n");
    free(text);
    table_free(&table);
}

static void width_counts_characters(void **state)
{
    (void)state;
    assert_int_equal(table_width("± 2"), 3);
    assert_int_equal(table_width(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(width_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
