#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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
    assert_string_equal(format_of(out, 1, "thread"), "1 thread");
    assert_string_equal(format_of(out, 2, "thread"), "2 threads");
    assert_string_equal(format_of(out, 1.5, "core"), "1.5 cores");
    assert_string_equal(format_of(out, -1e300, "physical core"), "-1e+300 physical cores");
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

static void wide_tables_are_cut(void **state)
{
    (void)state;
    struct table table;
    struct buffer out = {0};
    table_init(&table, "LrL");
    static const char *const cells[] = {"name", "t/s", "note", "a name that is far too long", "12", "short"};
    for (size_t i = 0; i < 6; i++)
        table_cell(&table, "%s", cells[i]);
    assert_int_equal(table_rows(&table), 1);
    assert_string_equal(table_at(&table, 1, 1), "12");
    assert_string_equal(table_at(&table, 7, 0), "");
    table_write(&table, &out, TABLE_TEXT, 2, 30);
    assert_string_equal(out.data, "  name              t/s  note\n"
                                  "  a name that is…    12  short\n");
    buffer_clear(&out);
    table_write(&table, &out, TABLE_TEXT, 2, 12); /* too narrow for its columns: lines are cut */
    for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n"))
        assert_true(table_width(line) <= 12);
    buffer_free(&out);
    table_free(&table);
}

static void cells_stay_cells(void **state)
{
    (void)state;
    struct table table;
    struct buffer out = {0};
    table_init(&table, "ll");
    static const char *const cells[] = {"a", "b", "x|y\n| z", "[t](u) \x1b[2J"};
    for (size_t i = 0; i < 4; i++)
        table_cell(&table, "%s", cells[i]);
    table_write(&table, &out, TABLE_MARKDOWN, 0, 0);
    assert_string_equal(out.data, "| a         | b           |\n"
                                  "| --------- | ----------- |\n"
                                  "| x\\|y \\| z | [t\\](u) [2J |\n");
    buffer_free(&out);
    table_free(&table);
}

static void absurd_numbers_stay_short(void **state)
{
    (void)state;
    char out[FORMAT_MAX];
    assert_string_equal(format_number(out, 1e308), "1e+308");
    assert_string_equal(format_bytes(out, 1e308), "1e+296 TB");
    assert_string_equal(format_ms(out, 1e300), "1e+297 s");
    assert_string_equal(format_percent(out, -1e300), "-1e+302 %");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(wide_tables_are_cut),
        cmocka_unit_test(cells_stay_cells),
        cmocka_unit_test(absurd_numbers_stay_short),
        cmocka_unit_test(width_counts_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
