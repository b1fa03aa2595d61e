/* The tables of what was expected: before the run, and with other weights, contexts and numbers of sequences.
 */
#include <math.h>
#include <stdio.h>

#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/render_view.h"

static void head(struct table *table, const char *const *names)
{
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", names[i]);
}

static void error_cell(struct table *table, double percent)
{
    if (isnan(percent))
        table_cell(table, "-");
    else
        table_cell(table, "%+.1f %%", fmax(-1e6, fmin(1e6, percent)));
}

static void add_test(struct view *view, struct table *table, const json_t *item)
{
    char a[FORMAT_MAX], b[FORMAT_MAX];
    const json_t *interval = json_get_array(item, "interval");
    table_cell(table, "%s", view_text(view, item, "test", "-", VIEW_NAME));
    if (json_get_count(interval, "") == 2)
        table_cell(table, "%s (%s to %s) tok/s", format_number(a, json_get_positive(item, "predicted")),
                   format_number(b, json_get_positive(interval, "0")),
                   format_number((char[FORMAT_MAX]){0}, json_get_positive(interval, "1")));
    else
        table_cell(table, "%s tok/s", format_number(a, json_get_positive(item, "predicted")));
    table_cell(table, "%s tok/s", format_number(b, json_get_positive(item, "measured")));
    error_cell(table, json_get_number(item, "error_pct"));
}

static void fill_predicted(struct view *view, const json_t *report)
{
    static const char *const names[] = {"figure", "predicted", "measured", "error"};
    struct table *table = &view->tables[VIEW_PREDICTED];
    const json_t *predicted = json_get_object(report, "predicted"),
                 *tests = json_get_array(predicted, "tests");
    char a[FORMAT_MAX], b[FORMAT_MAX];
    table_init(table, "lrrr");
    if (!predicted)
        return;
    head(table, names);
    for (size_t i = 0; i < json_get_count(tests, "") && i < VIEW_MAX_ROWS; i++)
        add_test(view, table, json_get_item(tests, i));
    const json_t *memory = json_get_object(predicted, "memory_bytes");
    table_cell(table, "memory, peak");
    table_cell(table, "%s", format_bytes(a, json_get_positive(memory, "predicted")));
    table_cell(table, "%s", format_bytes(b, json_get_positive(memory, "measured")));
    error_cell(table, json_get_number(memory, "error_pct"));
}

static void add_what_if(struct table *table, const char *what, const json_t *item, const char *note)
{
    char a[FORMAT_MAX], b[FORMAT_MAX], c[FORMAT_MAX];
    table_cell(table, "%s", what);
    table_cell(table, "%s", format_bytes(a, json_get_positive(item, "total_bytes")));
    table_cell(table, "%s", format_number(b, json_get_positive(item, "decode_tokens_per_second")));
    table_cell(table, "%s", format_number(c, json_get_positive(item, "decode_tokens_per_second_all")));
    table_cell(table, "%s", note);
}

static void fill_what_if(struct view *view, const json_t *report)
{
    static const char *const names[] = {"with", "memory", "tok/s each", "tok/s together", ""};
    struct table *table = &view->tables[VIEW_WHAT_IF];
    const json_t *what_if = json_get_object(report, "analysis.what_if");
    table_init(table, "lrrrl");
    if (!what_if)
        return;
    head(table, names);
    const json_t *bits = json_get_array(what_if, "bits"), *contexts = json_get_array(what_if, "contexts"),
                 *concurrency = json_get_array(what_if, "concurrency");
    for (size_t i = 0; i < json_get_count(bits, "") && i < 16; i++) {
        const json_t *item = json_get_item(bits, i);
        add_what_if(table, view_format(view, "weights: %s", view_text(view, item, "label", "-", VIEW_NAME)),
                    item, json_get_bool(item, "current", false) ? "this run" : "");
    }
    for (size_t i = 0; i < json_get_count(contexts, "") && i < 16; i++) {
        const json_t *item = json_get_item(contexts, i);
        add_what_if(
            table,
            view_format(view, "context of %ld tokens", json_get_integer(item, "context", 0, 1L << 40, 0)),
            item, "");
    }
    for (size_t i = 0; i < json_get_count(concurrency, "") && i < 16; i++) {
        const json_t *item = json_get_item(concurrency, i);
        add_what_if(table,
                    view_format(view, "%ld at once", json_get_integer(item, "concurrency", 0, 1L << 20, 0)),
                    item, "");
    }
}

void view_fill_predicted(struct view *view, const json_t *report)
{
    fill_predicted(view, report);
    fill_what_if(view, report);
}
