/* The tables of measurements: prompts, prefill and decode, configurations, compared models, operations. */
#include <math.h>
#include <string.h>

#include "profile/compared.h"
#include "profile/format.h"
#include "profile/json_get.h"
#include "profile/pairs.h"
#include "profile/render_view.h"

const char *view_spread(char out[VIEW_CELL], const json_t *stats)
{
    char mean[FORMAT_MAX], sd[FORMAT_MAX];
    double spread = json_get_positive(stats, "sd");
    format_number(mean, json_get_number(stats, "mean"));
    if (isnan(spread))
        snprintf(out, VIEW_CELL, "%s", mean);
    else
        snprintf(out, VIEW_CELL, "%s ± %s", mean, format_number(sd, spread));
    return out;
}

/* ---- cells ---- */

static void headings(struct table *table, const char *const *names)
{
    for (size_t i = 0; i < table->n_columns; i++)
        table_cell(table, "%s", names[i]);
}

static void text_cell(struct table *table, struct view *view, const json_t *json, const char *path)
{
    table_cell(table, "%s", view_text(view, json, path, "-", VIEW_NAME));
}

static void number_cell(struct table *table, double value)
{
    char number[FORMAT_MAX];
    table_cell(table, "%s", format_number(number, value));
}

static void spread_cell(struct table *table, const json_t *json, const char *path)
{
    char cell[VIEW_CELL];
    table_cell(table, "%s", view_spread(cell, json_get(json, path)));
}

static void percent_cell(struct table *table, double fraction)
{
    char number[FORMAT_MAX];
    table_cell(table, "%s", format_percent(number, fraction));
}

/* A number of tokens of the first run; "-" when it did not come far enough to tell. */
static void count_cell(struct table *table, const json_t *test, const char *member)
{
    const json_t *sample = json_get(test, json_get_count(test, "samples") ? "samples.0" : "warmup");
    double count = json_get_positive(sample, member);
    if (count > 0 && count < 1e9)
        table_cell(table, "%.0f", count);
    else
        table_cell(table, "-");
}

/* "3 excellent": how many runs ended well, and what they are worth; "-" when none did. */
static void runs_cell(struct table *table, struct view *view, const json_t *test)
{
    long ok = json_get_integer(test, "outcomes.ok", 0, 1000000, 0);
    if (ok > 0)
        table_cell(table, "%ld %s", ok, view_text(view, test, "grade", "unknown", 12));
    else
        table_cell(table, "-");
}

/* "+3.1 % [+1.6, +4.6]", "+117 % [+113, +122]" */
static void change_cell(struct table *table, const json_t *json)
{
    double change = json_get_number(json, "change_pct"), low = json_get_number(json, "ci95.0"),
           high = json_get_number(json, "ci95.1");
    int digits = fabs(change) < 9.95 ? 1 : 0;
    if (isnan(change))
        table_cell(table, "-");
    else if (fabs(change) >= 1e6 || fabs(low) >= 1e6 || fabs(high) >= 1e6)
        table_cell(table, "%+.2g %%", change);
    else if (isnan(low) || isnan(high))
        table_cell(table, "%+.*f %%", digits, change);
    else
        table_cell(table, "%+.*f %% [%+.*f, %+.*f]", digits, change, digits, low, digits, high);
}

static const char *verdict_words(const json_t *json)
{
    int verdict = compared_verdict(json);
    struct pairs pairs = {.low = json_get_number(json, "ci95.0") / 100,
                          .high = json_get_number(json, "ci95.1") / 100};
    return verdict > 0                                           ? "better"
           : verdict < 0                                         ? "worse"
           : !json_get_is(json, "verdict", "no_real_difference") ? "not known"
           : pairs_clear(&pairs)                                 ? "no real difference"
                                                                 : "unclear";
}

/* Whether row i of n is shown; the others are counted. */
static bool shown(struct view *view, enum view_table which)
{
    if (table_rows(&view->tables[which]) < VIEW_MAX_ROWS)
        return true;
    view->cut_rows[which]++;
    return false;
}

/* ---- tables ---- */

static void prompt_row(struct view *view, struct table *table, const json_t *test)
{
    char p50[FORMAT_MAX], p99[FORMAT_MAX];
    text_cell(table, view, test, "label");
    count_cell(table, test, "prompt_tokens");
    count_cell(table, test, "generated_tokens");
    spread_cell(table, test, "summary.tokens_per_second");
    spread_cell(table, test, "summary.decode_tokens_per_second");
    number_cell(table, json_get_figure(test, "summary.prefill_tokens_per_second"));
    spread_cell(table, test, "summary.ttft_ms");
    double middle = json_get_figure(test, "summary.itl_p50_ms");
    format_number(p50, middle);
    format_number(p99, json_get_figure(test, "summary.itl_p99_ms"));
    if (isnan(middle))
        table_cell(table, "-");
    else
        table_cell(table, "%s / %s", p50, p99);
    runs_cell(table, view, test);
}

static void speed_row(struct view *view, struct table *table, const json_t *test)
{
    bool decode = json_get_is(test, "kind", "decode");
    const char *headline = decode ? "summary.decode_tokens_per_second" : "summary.prefill_tokens_per_second";
    const json_t *stats = json_get(test, headline);
    text_cell(table, view, test, "label");
    spread_cell(table, stats, "");
    percent_cell(table, json_get_positive(stats, "cv"));
    number_cell(table, decode ? json_get_figure(test, "roofline.achieved_gbps") : NAN);
    number_cell(table, decode ? json_get_figure(test, "roofline.read_gbps") : NAN);
    percent_cell(table, decode ? json_get_figure(test, "roofline.mbu") : NAN);
    number_cell(table, decode ? NAN : json_get_figure(test, "roofline.prefill_gflops"));
    percent_cell(table, decode ? NAN : json_get_figure(test, "roofline.mfu"));
    runs_cell(table, view, test);
}

static void fill_tests(struct view *view, const json_t *report)
{
    static const char *const prompts[] = {"prompt",  "in",      "out",         "tok/s", "decode tok/s",
                                          "prefill", "TTFT ms", "ITL p50/p99", "runs"};
    static const char *const speeds[] = {"test", "tok/s",   "CV",  "reads GB/s", "of GB/s",
                                         "MBU",  "GFLOP/s", "MFU", "runs"};
    table_init(&view->tables[VIEW_PROMPTS], "LrrrrrrrL");
    table_init(&view->tables[VIEW_SPEED], "LrrrrrrrL");
    headings(&view->tables[VIEW_PROMPTS], prompts);
    headings(&view->tables[VIEW_SPEED], speeds);
    const json_t *tests = json_get_array(report, "tests");
    for (size_t i = 0, n = json_get_count(tests, ""); i < n; i++) {
        const json_t *test = json_get_item(tests, i);
        if (json_get_is(test, "kind", "prompt")) {
            if (shown(view, VIEW_PROMPTS))
                prompt_row(view, &view->tables[VIEW_PROMPTS], test);
        } else if (shown(view, VIEW_SPEED)) {
            speed_row(view, &view->tables[VIEW_SPEED], test);
        }
    }
}

static void configuration_row(struct view *view, struct table *table, const json_t *report,
                              const json_t *item)
{
    double temperature = json_get_positive(item, "temperature");
    long tokens = json_get_integer(item, "max_tokens", 1, 1000000, 0);
    bool baseline = json_get_is(item, "id", "baseline");
    text_cell(table, view, item, "label");
    if (isnan(temperature) || temperature > 100)
        table_cell(table, "0/%ld", tokens); /* greedy */
    else
        table_cell(table, "%.2g/%ld", temperature, tokens);
    table_cell(table, "%s", compared_name(item));
    number_cell(table, baseline ? NAN : json_get_figure(compared_baseline(report, item), ""));
    number_cell(table, json_get_figure(compared_value(item), ""));
    change_cell(table, item);
    if (!json_get_is(item, "outcome", "ok"))
        text_cell(table, view, item, "outcome");
    else if (baseline)
        table_cell(table, "the measure");
    else
        table_cell(table, "%s%s", verdict_words(item), json_get_bool(item, "best", false) ? " ★ best" : "");
}

static void fill_configurations(struct view *view, const json_t *report)
{
    static const char *const names[] = {"configuration", "temp/tok",         "figure", "baseline",
                                        "here",          "change [95 % CI]", "verdict"};
    struct table *table = &view->tables[VIEW_CONFIGURATIONS];
    table_init(table, "LrlrrrL");
    headings(table, names);
    const json_t *items = json_get_array(report, "configurations");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++)
        if (shown(view, VIEW_CONFIGURATIONS))
            configuration_row(view, table, report, json_get_item(items, i));
}

static void comparison_row(struct view *view, struct table *table, const json_t *model)
{
    char bytes[FORMAT_MAX];
    long rank = json_get_integer(model, "rank", 1, 1000, 0);
    if (rank)
        table_cell(table, "%ld", rank);
    else
        table_cell(table, "-");
    const char *adapter = view_text(view, model, "adapter", "", VIEW_NAME);
    table_cell(table, "%s%s%s", view_text(view, model, "model", "-", VIEW_NAME), *adapter ? " with " : "",
               adapter);
    const char *quantization = view_text(view, model, "quantization", "-", VIEW_NAME);
    table_cell(table, "%.*s", (int)strcspn(quantization, ","), quantization); /* without its group size */
    spread_cell(table, model, "tokens_per_second");
    number_cell(table, json_get_figure(model, "decode_tokens_per_second"));
    number_cell(table, json_get_figure(model, "prefill_tokens_per_second"));
    number_cell(table, json_get_figure(model, "ttft_ms"));
    table_cell(table, "%s", format_bytes(bytes, json_get_positive(model, "memory_bytes")));
    if (json_get_is(model, "status", "error"))
        table_cell(table, "failed");
    else if (isnan(json_get_number(model, "change_pct")))
        table_cell(table, "the measure");
    else
        change_cell(table, model);
}

static void fill_comparison(struct view *view, const json_t *report)
{
    static const char *const names[] = {"#",       "model",   "quantization", "tok/s",   "decode",
                                        "prefill", "TTFT ms", "memory",       "vs first"};
    struct table *table = &view->tables[VIEW_COMPARISON];
    table_init(table, "rLLrrrrrr");
    headings(table, names);
    const json_t *models = json_get_array(report, "comparison.models");
    for (size_t i = 0, n = json_get_count(models, ""); i < n; i++)
        if (shown(view, VIEW_COMPARISON))
            comparison_row(view, table, json_get_item(models, i));
}

static void fill_operations(struct view *view, const json_t *report)
{
    static const char *const names[] = {"operation", "share",    "time",          "GB/s",
                                        "GFLOP/s",   "bound by", "of its ceiling"};
    struct table *table = &view->tables[VIEW_OPERATIONS];
    char number[FORMAT_MAX];
    table_init(table, "LrrrrLr");
    headings(table, names);
    const json_t *items = json_get_array(report, "analysis.roofline.operations");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (!shown(view, VIEW_OPERATIONS))
            continue;
        text_cell(table, view, item, "name");
        percent_cell(table, json_get_positive(item, "share"));
        table_cell(table, "%s", format_ms(number, json_get_positive(item, "time_ms")));
        number_cell(table, json_get_positive(item, "gbps"));
        number_cell(table, json_get_positive(item, "gflops"));
        text_cell(table, view, item, "bound");
        percent_cell(table, json_get_positive(item, "efficiency"));
    }
}

static void sensor_cell(struct table *table, double value, const char *unit)
{
    char number[FORMAT_MAX];
    if (strcmp(unit, "bytes") == 0)
        table_cell(table, "%s", format_bytes(number, value));
    else if (strcmp(unit, "fraction") == 0 || strcmp(unit, "share") == 0)
        table_cell(table, "%s", format_percent(number, value));
    else
        number_cell(table, value);
}

static void fill_sensors(struct view *view, const json_t *report)
{
    static const char *const names[] = {"sensor", "min", "mean", "max", "unit", "source", "quality"};
    struct table *table = &view->tables[VIEW_SENSORS];
    table_init(table, "LrrrlLL");
    headings(table, names);
    const json_t *items = json_get_array(report, "sensors.series");
    for (size_t i = 0, n = json_get_count(items, ""); i < n; i++) {
        const json_t *item = json_get_item(items, i);
        if (!shown(view, VIEW_SENSORS))
            continue;
        const char *unit = view_text(view, item, "unit", "-", 12);
        bool in_cells =
            strcmp(unit, "bytes") == 0 || strcmp(unit, "fraction") == 0 || strcmp(unit, "share") == 0;
        text_cell(table, view, item, "label");
        sensor_cell(table, json_get_number(item, "min"), unit);
        sensor_cell(table, json_get_number(item, "mean"), unit);
        sensor_cell(table, json_get_number(item, "max"), unit);
        table_cell(table, "%s", in_cells ? "" : unit);
        text_cell(table, view, item, "source");
        if (json_get_array(item, "values"))
            text_cell(table, view, item, "quality");
        else
            text_cell(table, view, item, "reason");
    }
}

void view_fill_tables(struct view *view, const json_t *report)
{
    fill_tests(view, report);
    fill_configurations(view, report);
    fill_comparison(view, report);
    fill_operations(view, report);
    fill_sensors(view, report);
}
