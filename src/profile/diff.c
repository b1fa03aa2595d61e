/* Two stored runs side by side.
 *
 * Their samples were not taken in turn, so every verdict is widened by how much sessions of this series
 * differ (pairs_compare_unpaired). A figure that the two runs measured by different tests gets no verdict,
 * and what else keeps them from answering the same question is said in a warning. Reports may be anybody's.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/compared.h"
#include "profile/jobs_internal.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/stats.h"

enum { DIFF_TESTS = 64, DIFF_MODELS = 32, DIFF_NAME = 128, DIFF_WARNING = 512 };

/* What a figure's name says of it. */
struct quantity {
    const char *name, *unit;
    bool is_cost;     /* less is better */
    const char *kind; /* of the test whose samples it has; NULL: it has none */
    const char *path; /* in the report */
};

static const struct quantity quantities[] = {
    {"tokens_per_second", "tok/s", false, "prompt", "summary.tokens_per_second"},
    {"decode_tokens_per_second", "tok/s", false, "decode", "summary.decode_tokens_per_second"},
    {"prefill_tokens_per_second", "tok/s", false, "prefill", "summary.prefill_tokens_per_second"},
    {"ttft_ms", "ms", true, "prompt", "summary.ttft_ms"},
    {"response_ms", "ms", true, "prompt", "summary.response_ms"},
    {"mbu", "fraction", false, NULL, "summary.mbu"},
    {"load_ms", "ms", true, NULL, "summary.load_ms"},
    {"memory_bytes", "bytes", true, NULL, "memory.measured.footprint_peak_bytes"}};

enum { QUANTITIES = sizeof quantities / sizeof *quantities };

static const struct quantity *quantity_of(const char *name)
{
    for (size_t i = 0; name && i < QUANTITIES; i++)
        if (strcmp(quantities[i].name, name) == 0)
            return &quantities[i];
    return NULL;
}

struct diff {
    const json_t *report[2]; /* NULL: there is none */
    const struct found_run *found[2];
    double session_sd;
    json_t *figures, *warnings;
    bool comparable;
    char disturbed[64]; /* why there is no verdict at all; empty: there may be */
    size_t n_both;      /* figures that both have */
};

/* ---- figures ---- */

/* One side of a figure: its value, and its samples in logs. */
struct side {
    double value;
    struct pairs_side logs;
};

static const struct pairs_side no_samples = {.n = 0, .mean = NAN, .sd = NAN};

static struct side side_of_test(const json_t *test, const char *figure, double value)
{
    double samples[REPORT_SAMPLES];
    struct side side = {.value = value};
    pairs_side_compute(samples, report_samples(test, figure, samples, REPORT_SAMPLES), &side.logs);
    return side;
}

/* From mean and standard deviation: those of the logs are nearly log(mean) and sd / mean. */
static struct side side_of_stats(const json_t *model, const char *figure)
{
    const json_t *stats = json_get(model, figure);
    double n = json_get_positive(stats, "n"), mean = json_get_positive(stats, "mean"),
           sd = json_get_positive(stats, "sd");
    struct side side = {.value = json_get_figure(model, figure), .logs = no_samples};
    if (n >= 2 && n < 1e6 && mean > 0 && sd >= 0)
        side.logs = (struct pairs_side){(size_t)n, log(mean), sd / mean};
    return side;
}

static void put_change(json_t *figure, const struct pairs *pairs, const struct quantity *quantity,
                       const char *why)
{
    bool really = pairs->verdict == PAIRS_HIGHER || pairs->verdict == PAIRS_LOWER;
    bool b_is_better = (pairs->verdict == PAIRS_LOWER) == quantity->is_cost;
    double change = fabs(pairs->change) < 1e-9 ? 0 : 100 * pairs->change; /* digits that were cut are none */
    json_put_number(figure, "change_pct", change, "not known of both");
    json_put_interval(figure, "ci95", 100 * pairs->low, 100 * pairs->high, why);
    json_put_string(figure, "verdict", pairs_verdict_name(pairs->verdict), "");
    json_put_string(figure, "better",
                    !really       ? NULL
                    : b_is_better ? "b"
                                  : "a",
                    "no real difference is shown");
}

/* "OWNER.FIGURE" */
static const char *figure_name(const char *owner, const struct quantity *quantity, char *out, size_t capacity)
{
    if (!owner)
        return quantity->name;
    snprintf(out, DIFF_NAME, "%s", owner);
    jobs_trim(out);
    size_t used = strlen(out);
    snprintf(out + used, capacity - used, ".%s", quantity->name);
    return out;
}

/* owner: the test, configuration or model it belongs to; NULL: the summary. why: no verdict is possible, for
 * this reason; NULL: it is. */
static void add_figure(struct diff *diff, const char *owner, const struct quantity *quantity,
                       const struct side *a, const struct side *b, const char *why)
{
    struct pairs pairs = {.change = NAN, .low = NAN, .high = NAN, .verdict = PAIRS_UNKNOWN};
    char name[DIFF_NAME + 64];
    if (isnan(a->value) && isnan(b->value))
        return;
    if (!why && diff->disturbed[0])
        why = diff->disturbed;
    if (!why)
        pairs_compare_sides(&a->logs, &b->logs, diff->session_sd, &pairs);
    if (!isfinite(pairs.change) && a->value > 0 && b->value > 0)
        pairs.change = b->value / a->value - 1;
    diff->n_both += isfinite(pairs.change);
    json_t *figure = json_object();
    json_put_string(figure, "name", figure_name(owner, quantity, name, sizeof name), "");
    json_put_string(figure, "unit", quantity->unit, "");
    json_put_number(figure, "a", a->value, "a does not have it");
    json_put_number(figure, "b", b->value, "b does not have it");
    put_change(figure, &pairs, quantity, why ? why : "needs 2 samples of each run");
    json_put_integer(figure, "n_a", a->logs.n);
    json_put_integer(figure, "n_b", b->logs.n);
    json_array_append_new(diff->figures, figure);
}

static bool same(const json_t *a, const json_t *b, const char *path)
{
    const json_t *x = json_get(a, path), *y = json_get(b, path);
    bool none_x = !x || json_is_null(x), none_y = !y || json_is_null(y);
    return none_x || none_y ? none_x == none_y : json_equal(x, y);
}

static void add_summary(struct diff *diff)
{
    for (size_t i = 0; i < QUANTITIES; i++) {
        const struct quantity *quantity = &quantities[i];
        const json_t *tests[2] = {NULL, NULL};
        struct side sides[2];
        for (int k = 0; k < 2; k++) {
            if (quantity->kind)
                tests[k] = report_test(diff->report[k], quantity->kind);
            sides[k] =
                side_of_test(tests[k], quantity->name, json_get_positive(diff->report[k], quantity->path));
        }
        const char *why = NULL;
        if (!quantity->kind)
            why = "measured once";
        else if (!same(tests[0], tests[1], "id") || !same(tests[0], tests[1], "max_tokens") ||
                 !same(tests[0], tests[1], "prompt"))
            why = "measured by different tests";
        add_figure(diff, NULL, quantity, &sides[0], &sides[1], why);
    }
}

/* Every test that both have, by its headline. */
static void add_tests(struct diff *diff)
{
    const json_t *tests = json_get_array(diff->report[0], "tests");
    size_t n = json_get_count(tests, "");
    for (size_t i = 0; i < n && i < DIFF_TESTS; i++) {
        const json_t *a = json_get_item(tests, i);
        const json_t *b = json_get_where(diff->report[1], "tests", "id", json_get_text(a, "id", ""));
        const struct quantity *quantity = quantity_of(json_get_string(a, "headline"));
        if (!b || !quantity || !quantity->kind)
            continue;
        char path[96];
        snprintf(path, sizeof path, "summary.%s", quantity->name);
        struct side of_a = side_of_test(a, quantity->name, json_get_figure(a, path));
        struct side of_b = side_of_test(b, quantity->name, json_get_figure(b, path));
        bool alike = same(a, b, "max_tokens") && same(a, b, "depth") && same(a, b, "prompt");
        add_figure(diff, json_get_text(a, "id", ""), quantity, &of_a, &of_b,
                   alike ? NULL : "the tests are of different shapes");
    }
}

/* What a configuration is judged by: its samples have it under this name. Reports that do not say are judged
 * by the rate of the whole answer. */
static const struct quantity *compared_quantity(const json_t *entry)
{
    static const struct quantity together = {.name = "aggregate_decode_tokens_per_second", .unit = "tok/s"};
    const char *name = json_get_text(entry, "compared", "tokens_per_second");
    return strcmp(name, together.name) == 0 ? &together : quantity_of(name);
}

/* Value and interval from the same samples; without any the value that the entry itself states. */
static struct side side_of_configuration(const json_t *entry, const char *figure)
{
    double samples[REPORT_SAMPLES];
    size_t n = report_samples(entry, figure, samples, REPORT_SAMPLES);
    struct stats stats;
    stats_compute(samples, n, &stats);
    bool own = json_get_is(entry, "compared", figure);
    double stated = own ? json_get_figure(compared_value(entry), "") : json_get_figure(entry, figure);
    return side_of_test(entry, figure, n ? stats.median : stated);
}

/* Every configuration that both have, by what it is judged by; the baseline, which was measured beside each
 * of the others and so has the most samples of all, by whole answers and by what it decodes. */
static void add_configurations(struct diff *diff)
{
    static const char *const of_baseline[] = {"tokens_per_second", "decode_tokens_per_second"};
    const json_t *list = json_get_array(diff->report[0], "configurations");
    size_t n = json_get_count(list, "");
    for (size_t i = 0; i < n && i < DIFF_TESTS; i++) {
        const json_t *a = json_get_item(list, i);
        const char *id = json_get_text(a, "id", "");
        const json_t *b = json_get_where(diff->report[1], "configurations", "id", id);
        bool alike = same(a, b, "max_tokens") && same(a, b, "temperature") && same(a, b, "knobs") &&
                     same(a, b, "compared");
        bool is_baseline = strcmp(id, "baseline") == 0;
        for (size_t k = 0; b && k < (is_baseline ? 2 : 1); k++) {
            const struct quantity *quantity =
                is_baseline ? quantity_of(of_baseline[k]) : compared_quantity(a);
            if (!quantity)
                continue;
            struct side of_a = side_of_configuration(a, quantity->name);
            struct side of_b = side_of_configuration(b, quantity->name);
            add_figure(diff, id, quantity, &of_a, &of_b, alike ? NULL : "the configurations are different");
        }
    }
}

/* Reports of before such a thing was told say nothing against it. */
static bool same_where_told(const json_t *a, const json_t *b, const char *path)
{
    return !json_get(a, path) || !json_get(b, path) || same(a, b, path);
}

/* Every model that both comparisons have. */
static void add_models(struct diff *diff)
{
    static const char *const names[] = {"tokens_per_second", "decode_tokens_per_second",
                                        "prefill_tokens_per_second", "ttft_ms"};
    const json_t *models = json_get_array(diff->report[0], "comparison.models");
    size_t n = json_get_count(models, "");
    for (size_t i = 0; i < n && i < DIFF_MODELS; i++) {
        const json_t *a = json_get_item(models, i);
        const json_t *b =
            json_get_where(diff->report[1], "comparison.models", "model", json_get_text(a, "model", ""));
        bool alike = same_where_told(a, b, "backend") && same_where_told(a, b, "isa") &&
                     same_where_told(a, b, "adapter");
        for (size_t k = 0; b && k < sizeof names / sizeof *names; k++) {
            struct side of_a = side_of_stats(a, names[k]), of_b = side_of_stats(b, names[k]);
            add_figure(diff, json_get_text(a, "model", ""), quantity_of(names[k]), &of_a, &of_b,
                       alike ? NULL : "run on another backend or instruction set, or with another adapter");
        }
    }
}

/* ---- what differs ---- */

static void warn(struct diff *diff, const char *what, const char *a, const char *b)
{
    const char *const sides[2] = {a, b};
    char text[DIFF_WARNING], side[2][200];
    for (int k = 0; k < 2; k++) {
        snprintf(side[k], sizeof side[k], "%s", sides[k] ? sides[k] : "not known");
        jobs_trim(side[k]);
    }
    snprintf(text, sizeof text, "%s: %s and %s", what, side[0], side[1]);
    json_array_append_new(diff->warnings, json_string(text));
}

static void warn_about_text(struct diff *diff, const char *what, const char *path, bool breaks)
{
    const json_t *a = diff->report[0], *b = diff->report[1];
    if (same(a, b, path))
        return;
    warn(diff, what, json_get_string(a, path), json_get_string(b, path));
    diff->comparable = diff->comparable && !breaks;
}

static void warn_about_number(struct diff *diff, const char *what, const char *path, bool breaks)
{
    char text[2][32] = {"", ""};
    if (same(diff->report[0], diff->report[1], path))
        return;
    for (int k = 0; k < 2; k++) {
        double value = json_get_number(diff->report[k], path);
        if (isnan(value))
            snprintf(text[k], sizeof text[k], "none");
        else
            snprintf(text[k], sizeof text[k], "%.10g", value);
    }
    warn(diff, what, text[0], text[1]);
    diff->comparable = diff->comparable && !breaks;
}

static void warn_about_one(struct diff *diff, int k)
{
    const char *name = k == 0 ? "a" : "b";
    const struct store_run *run = &diff->found[k]->run;
    char text[DIFF_WARNING];
    if (!run_is_success(run)) {
        snprintf(text, sizeof text, "%s did not end well: %s", name, run->status);
        json_array_append_new(diff->warnings, json_string(text));
    }
    if (!diff->report[k]) {
        snprintf(text, sizeof text, "%s has no report", name);
        json_array_append_new(diff->warnings, json_string(text));
        diff->comparable = false;
    }
    if (run->imported) {
        snprintf(text, sizeof text, "%s was imported: what it says was not measured here", name);
        json_array_append_new(diff->warnings, json_string(text));
    }
    if (run->grade && strcmp(run->grade, "unstable") == 0) {
        snprintf(text, sizeof text, "%s is unstable: its repeats differ by more than 20 %%", name);
        json_array_append_new(diff->warnings, json_string(text));
    }
    if (run->mode && strcmp(run->mode, "quick") == 0) {
        snprintf(text, sizeof text, "%s is a quick run: indicative only", name);
        json_array_append_new(diff->warnings, json_string(text));
    }
}

/* What takes processors, clock or memory away so much that two runs show who else was there, not what they
 * were made to compare. */
static void warn_about_disturbance(struct diff *diff, int k)
{
    static const struct {
        const char *id, *words;
    } causes[] = {{"busy_host", "other programs"}, {"steal", "the hypervisor"},
                  {"thermal", "a falling clock"},  {"cpu_quota", "its CPU quota"},
                  {"swapping", "swapping"},        {"oversubscribed", "surplus threads"}};
    char text[sizeof diff->disturbed];
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        const json_t *found = json_get_where(diff->report[k], "analysis.bottlenecks", "id", causes[i].id);
        if (!json_get_is(found, "severity", "High"))
            continue;
        snprintf(text, sizeof text, "%s was disturbed by %s (%s)", k == 0 ? "a" : "b", causes[i].words,
                 causes[i].id);
        json_array_append_new(diff->warnings, json_string(text));
        if (!diff->disturbed[0])
            snprintf(diff->disturbed, sizeof diff->disturbed, "%s", text);
        diff->comparable = false;
    }
}

static void add_warnings(struct diff *diff)
{
    for (int k = 0; k < 2; k++) {
        warn_about_one(diff, k);
        warn_about_disturbance(diff, k);
    }
    if (!diff->report[0] || !diff->report[1])
        return;
    warn_about_text(diff, "other kinds of run", "kind", true);
    warn_about_text(diff, "other machine", "machine.cpu", true);
    warn_about_number(diff, "other number of cores", "machine.cores_allowed", true);
    warn_about_number(diff, "other CPU quota (cores)", "machine.quota_cores", true);
    warn_about_text(diff, "other GPU", "machine.gpu", true);
    warn_about_text(diff, "other server", "target.url", true);
    warn_about_text(diff, "other model", "model.name", false);
    warn_about_text(diff, "other quantization", "model.quantization", false);
    warn_about_text(diff, "other revision of the model", "model.revision", false);
    warn_about_number(diff, "other size of the model's files (bytes)", "model.file_bytes", false);
    warn_about_text(diff, "other version of LLMind", "tool.version", false);
    warn_about_text(diff, "other commit of LLMind", "tool.commit", false);
    warn_about_text(diff, "other operating system", "machine.os", false);
}

/* Whether a flag is none but says why another one is null. */
static bool is_reason(const char *name)
{
    const char *end = strrchr(name, '_');
    return end && strcmp(end, "_reason") == 0;
}

static void put_flag(json_t *row, const char *side, const json_t *flags, const char *name)
{
    json_t *value = json_object_get(flags, name);
    if (value && !json_is_null(value))
        json_object_set(row, side, value);
    else
        json_put_null(row, side, json_get_reason(flags, name, "this run does not say"));
}

static json_t *flags_that_differ(const json_t *a, const json_t *b)
{
    json_t *list = json_array();
    const json_t *flags[2] = {json_get_object(a, "flags"), json_get_object(b, "flags")};
    const char *name;
    json_t *value;
    for (int k = 0; k < 2; k++)
        json_object_foreach((json_t *)(uintptr_t)flags[k], name, value) {
            json_t *other = json_object_get(flags[!k], name);
            if ((k == 1 && other) || (other ? json_equal(value, other) : json_is_null(value)) ||
                is_reason(name))
                continue; /* seen from a, or equal; null is as good as not there */
            json_t *row = json_object();
            json_put_string(row, "name", name, "");
            put_flag(row, "a", flags[0], name);
            put_flag(row, "b", flags[1], name);
            json_array_append_new(list, row);
        }
    return list;
}

/* ---- the whole ---- */

static json_t *diff_json(struct diff *diff)
{
    json_t *o = json_object(), *rows[2];
    for (int k = 0; k < 2; k++) {
        const struct found_run *found = diff->found[k];
        rows[k] = run_json(&found->run, found->session_sd, found->unsaved ? found->why : NULL);
    }
    json_object_set_new(o, "a", rows[0]);
    json_object_set_new(o, "b", rows[1]);
    add_warnings(diff);
    add_summary(diff);
    add_tests(diff);
    add_configurations(diff);
    add_models(diff);
    json_put_bool(o, "comparable", diff->comparable && diff->n_both > 0);
    json_object_set(o, "warnings", diff->warnings);
    json_object_set(o, "figures", diff->figures);
    json_object_set_new(o, "flags", flags_that_differ(diff->report[0], diff->report[1]));
    return o;
}

int jobs_diff(struct jobs *jobs, const char *a, const char *b, json_t **out, struct error *error)
{
    struct found_run found[2] = {{.unsaved = false}, {.unsaved = false}};
    json_t *reports[2] = {NULL, NULL};
    *out = NULL;
    int status = history_find(jobs, a, &found[0], error);
    if (status)
        error_prefix(error, "a");
    if (!status && (status = history_find(jobs, b, &found[1], error)))
        error_prefix(error, "b");
    if (!status) {
        for (int k = 0; k < 2; k++)
            reports[k] = history_parse(found[k].run.report);
        struct diff diff = {.report = {reports[0], reports[1]},
                            .found = {&found[0], &found[1]},
                            .session_sd = fmax(found[0].session_sd, found[1].session_sd),
                            .figures = json_array(),
                            .warnings = json_array(),
                            .comparable = true};
        *out = diff_json(&diff);
        json_decref(diff.figures);
        json_decref(diff.warnings);
        if (!*out)
            status = error_memory(error, "a comparison", 0);
    }
    for (int k = 0; k < 2; k++) {
        json_decref(reports[k]);
        found_run_free(&found[k]);
    }
    return status;
}

/* The figures that can prove b slower: those of the summary that have samples, and the baseline's. */
static const struct quantity *proof(const char *name)
{
    static const char baseline[] = "baseline.";
    if (name && strncmp(name, baseline, sizeof baseline - 1) == 0)
        return quantity_of(name + sizeof baseline - 1);
    const struct quantity *quantity = quantity_of(name);
    return quantity && quantity->kind ? quantity : NULL;
}

bool jobs_diff_guards(const json_t *diff)
{
    const json_t *figures = json_get_array(diff, "figures");
    bool any = false;
    for (size_t i = 0, n = json_get_count(figures, ""); i < n; i++) {
        const json_t *figure = json_get_item(figures, i);
        any =
            any || (proof(json_get_string(figure, "name")) && !isnan(json_get_number(figure, "change_pct")));
    }
    return any && json_get_bool(diff, "comparable", false);
}

bool jobs_diff_is_slower(const json_t *diff, double fraction, char *why, size_t capacity)
{
    const json_t *figures = json_get_array(diff, "figures");
    size_t n = json_get_count(figures, ""), used = 0;
    if (capacity)
        why[0] = '\0';
    bool slower = false;
    for (size_t i = 0; json_get_bool(diff, "comparable", false) && i < n; i++) {
        const json_t *figure = json_get_item(figures, i);
        const char *name = json_get_string(figure, "name");
        double change = json_get_number(figure, "change_pct");
        if (!proof(name) || !json_get_is(figure, "better", "a") || !(fabs(change) >= 100 * fraction))
            continue;
        if (used < capacity) {
            int length =
                snprintf(why + used, capacity - used, "%s%s %+.1f %% [%+.1f, %+.1f]", slower ? ", " : "",
                         name, change, json_get_number(figure, "ci95.0"), json_get_number(figure, "ci95.1"));
            used += length > 0 ? (size_t)length : 0;
        }
        slower = true;
    }
    return slower;
}
