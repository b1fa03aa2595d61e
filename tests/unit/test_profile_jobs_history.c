/* The history of runs: pages, trends, differences, imports of what strangers wrote, and that all of it is
 * quick with many runs. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/json_get.h"
#include "profile/json_put.h"
#include "support/jobs_fixture.h"

/* Stores a report as a run that was made here, at a time. The report is consumed. */
static void put(json_t *report, int64_t created_ms, char id[JOBS_ID])
{
    struct report_row row;
    char *text = json_dumps(report, JSON_COMPACT);
    assert_non_null(text);
    report_row(report, &row);
    assert_int_equal(jobs_new_id(id, NULL), 0);
    row.run.id = id;
    row.run.created_ms = created_ms;
    row.run.request = "{}";
    row.run.report = text;
    assert_int_equal(store_run_insert(store, &row.run, NULL), 0);
    free(text);
    json_decref(report);
}

/* A run that decoded at nearly this rate. */
static void put_rate(double rate, int64_t created_ms, char id[JOBS_ID])
{
    double decode[] = {rate, 1.004 * rate, 0.996 * rate};
    put(fake_report("m", "Fake CPU", decode, 3), created_ms, id);
}

static json_t *list(struct jobs_filter filter)
{
    json_t *page;
    assert_int_equal(jobs_list(jobs, &filter, &page, NULL), 0);
    return page;
}

static json_t *diff(const char *a, const char *b)
{
    json_t *out;
    assert_int_equal(jobs_diff(jobs, a, b, &out, NULL), 0);
    return out;
}

static const json_t *figure(const json_t *of, const char *name)
{
    return json_get_where(of, "figures", "name", name);
}

static bool warns(const json_t *of, const char *text)
{
    for (size_t i = 0; i < json_get_count(of, "warnings"); i++)
        if (strstr(json_string_value(json_get_item(json_get(of, "warnings"), i)), text))
            return true;
    return false;
}

/* ---- pages ---- */

static void pages_show_every_run_once(void **state)
{
    (void)state;
    enum { N = 23, PAGE = 5 };
    char ids[N][JOBS_ID];
    for (int i = 0; i < N; i++)
        put_rate(100, 1000 + i / 3, ids[i]); /* some at the same moment */
    char seen[N][JOBS_ID];
    size_t n = 0;
    json_t *page = list((struct jobs_filter){.limit = PAGE});
    for (;;) {
        for (size_t i = 0; i < json_get_count(page, "runs"); i++) {
            assert_true(n < N);
            snprintf(seen[n++], JOBS_ID, "%s",
                     json_get_string(json_get_item(json_get(page, "runs"), i), "id"));
        }
        const char *next = json_get_string(page, "next");
        if (!next)
            break;
        json_t *following = list((struct jobs_filter){.limit = PAGE, .before = next});
        json_decref(page);
        page = following;
    }
    json_decref(page);
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(seen[i], seen[k]);
}

static void wrong_filters_are_refused(void **state)
{
    (void)state;
    json_t *page;
    struct error error = {0};
    assert_int_equal(jobs_list(jobs, &(struct jobs_filter){.limit = 501}, &page, &error), ERROR_INVALID);
    assert_int_equal(jobs_list(jobs, &(struct jobs_filter){.status = "done"}, &page, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "status: "));
    assert_int_equal(jobs_list(jobs, &(struct jobs_filter){.before = "x"}, &page, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "before: "));
}

static void ids_are_found_by_their_beginning(void **state)
{
    (void)state;
    char id[JOBS_ID], found[JOBS_ID], prefix[JOBS_ID];
    struct error error = {0};
    put_rate(100, 1, id);
    for (int digits = 4; digits <= 32; digits++) {
        snprintf(prefix, sizeof prefix, "%.*s", digits, id);
        assert_int_equal(jobs_find(jobs, prefix, found, NULL), 0);
        assert_string_equal(found, id);
    }
    prefix[3] = '\0';
    assert_int_equal(jobs_find(jobs, prefix, found, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "too short"));
    assert_int_equal(jobs_find(jobs, "*%_?", found, &error), ERROR_NOT_FOUND);
    assert_int_equal(jobs_find(jobs, "", found, &error), ERROR_INVALID);
    char wrong[] = "0000";
    wrong[0] = id[0] == '0' ? '1' : '0';
    assert_int_equal(jobs_find(jobs, wrong, found, &error), ERROR_NOT_FOUND);
    /* another one that begins so */
    struct store_run twin = {.kind = "profile", .status = "failed", .created_ms = 2, .decode_log_mean = NAN};
    char other[JOBS_ID];
    snprintf(other, sizeof other, "%s", id);
    other[31] = other[31] == 'f' ? 'e' : 'f';
    twin.id = other;
    assert_int_equal(store_run_insert(store, &twin, NULL), 0);
    snprintf(prefix, sizeof prefix, "%.31s", id);
    assert_int_equal(jobs_find(jobs, prefix, found, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "several"));
    assert_int_equal(jobs_find(jobs, id, found, &error), 0);
}

/* ---- trends ---- */

static void expect_trend(const char *id, const char *verdict, bool regression)
{
    json_t *run;
    assert_int_equal(jobs_get(jobs, id, &run, NULL), 0);
    assert_string_equal(json_get_string(run, "trend.verdict"), verdict);
    assert_int_equal(json_get_bool(run, "trend.regression", !regression), regression);
    json_decref(run);
}

static void a_slowdown_is_a_regression(void **state)
{
    (void)state;
    char first[JOBS_ID], same[JOBS_ID], slow[JOBS_ID], other[JOBS_ID];
    put_rate(100, 1, first);
    put_rate(101, 2, same);
    put_rate(90, 3, slow); /* the acceptance's 10 % */
    double decode[] = {50, 51, 49};
    put(fake_report("m", "Another CPU", decode, 3), 4, other);
    expect_trend(same, "no_real_difference", false);
    expect_trend(slow, "lower", true);
    json_t *page = list((struct jobs_filter){.limit = 10});
    assert_true(json_is_null(json_get(page, "runs.0.trend"))); /* the other machine's only run */
    assert_string_equal(json_get_string(page, "runs.1.trend.run_id"), same);
    assert_true(fabs(json_get_number(page, "runs.1.trend.change_pct") + 10.9) < 0.2);
    assert_true(json_get_number(page, "runs.1.trend.ci95.1") < -2);
    assert_true(json_is_null(json_get(page, "runs.3.trend")));
    assert_non_null(json_get_string(page, "runs.3.trend_reason"));
    json_decref(page);
}

/* Sessions that differ by 5 % as a rule make 10 % nothing to speak of; one jump does not make the spread. */
static void restless_sessions_widen_the_interval(void **state)
{
    (void)state;
    static const double restless[] = {100, 109, 99, 110, 101, 92, 103, 95};
    static const double quiet[] = {100, 100.5, 99.8, 100.2, 80, 80.3, 80.1, 80.4};
    char id[JOBS_ID];
    double decode[3];
    for (size_t i = 0; i < 8; i++) {
        put_rate(restless[i], (int64_t)i + 1, id);
        for (int k = 0; k < 3; k++)
            decode[k] = quiet[i] * (1 + 0.004 * (k - 1));
        char quiet_id[JOBS_ID];
        put(fake_report("quiet", "Fake CPU", decode, 3), (int64_t)i + 1, quiet_id);
        if (i == 4)
            expect_trend(quiet_id, "lower", true);
    }
    put_rate(86, 100, id);
    expect_trend(id, "no_real_difference", false);
    for (int k = 0; k < 3; k++)
        decode[k] = 76 * (1 + 0.004 * (k - 1)); /* 5.5 % less, which quiet sessions show */
    put(fake_report("quiet", "Fake CPU", decode, 3), 100, id);
    expect_trend(id, "lower", true);
}

static void what_differs_is_another_series(void **state)
{
    (void)state;
    static const char *const changes[] = {"{\"model\": {\"name\": \"n\"}}", "{\"flags\": {\"threads\": 1}}",
                                          "{\"machine\": {\"cpu\": \"x\"}}", "{\"kind\": \"compare\"}",
                                          "{\"target\": {\"url\": \"u\"}}"};
    double decode[] = {100, 101, 99};
    char base[17];
    struct report_row row;
    json_t *report = fake_report("m", "Fake CPU", decode, 3);
    report_row(report, &row);
    memcpy(base, row.series, sizeof base);
    json_object_set_new(report, "tool", json_pack("{s:s}", "version", "9.9"));
    json_object_set_new(report, "mode", json_string("quick"));
    report_row(report, &row);
    assert_string_equal(row.series, base); /* a new version that is slower must be found out */
    json_t *flags = json_object_get(report, "flags");
    json_put_null(flags, "adapter", "none"); /* as those from before there were adapters, which do not say */
    report_row(report, &row);
    assert_string_equal(row.series, base);
    json_object_set_new(flags, "adapter", json_string("tuned"));
    report_row(report, &row);
    assert_string_not_equal(row.series, base);
    json_object_del(flags, "adapter");
    json_object_del(flags, "adapter_reason");
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        json_t *other = json_deep_copy(report), *change = json_loads(changes[i], 0, NULL);
        json_object_update(other, change);
        report_row(other, &row);
        assert_string_not_equal(row.series, base);
        json_decref(change);
        json_decref(other);
    }
    json_decref(report);
}

/* ---- differences ---- */

static void a_planted_slowdown_is_found(void **state)
{
    (void)state;
    char a[JOBS_ID], b[JOBS_ID], why[300];
    put_rate(100, 1, a);
    put_rate(90, 2, b);
    json_t *of = diff(a, b);
    const json_t *decode = figure(of, "decode_tokens_per_second");
    assert_true(json_get_bool(of, "comparable", false));
    assert_string_equal(json_get_string(decode, "verdict"), "lower");
    assert_string_equal(json_get_string(decode, "better"), "a");
    assert_true(fabs(json_get_number(decode, "change_pct") + 10) < 0.1);
    assert_int_equal(json_get_number(decode, "n_a"), 3);
    const json_t *prefill = figure(of, "prefill_tokens_per_second");
    assert_string_equal(json_get_string(prefill, "verdict"), "no_real_difference");
    assert_true(json_is_null(json_get(prefill, "better")));
    assert_non_null(figure(of, "decode_128_at_0.decode_tokens_per_second"));
    assert_int_equal(json_get_count(of, "flags"), 0);
    assert_int_equal(json_get_count(of, "warnings"), 0);
    assert_true(jobs_diff_is_slower(of, 0.05, why, sizeof why));
    assert_non_null(strstr(why, "decode_tokens_per_second -10.0 % ["));
    assert_false(jobs_diff_is_slower(of, 0.15, why, sizeof why));
    json_decref(of);
    of = diff(b, a); /* faster */
    assert_false(jobs_diff_is_slower(of, 0.05, why, sizeof why));
    assert_string_equal(json_get_string(figure(of, "decode_tokens_per_second"), "better"), "b");
    json_decref(of);
}

static void what_cannot_be_compared_says_so(void **state)
{
    (void)state;
    char a[JOBS_ID], b[JOBS_ID], why[100];
    double fast[] = {100, 101, 99}, slow[] = {50, 51, 49};
    put(fake_report("m", "Fake CPU", fast, 3), 1, a);
    put(fake_report("m", "Another CPU", slow, 3), 2, b);
    json_t *of = diff(a, b);
    assert_false(json_get_bool(of, "comparable", true));
    assert_true(warns(of, "other machine: Fake CPU and Another CPU"));
    assert_false(jobs_diff_is_slower(of, 0.05, why, sizeof why));
    json_decref(of);

    json_t *changed = fake_report("n", "Fake CPU", slow, 3);
    json_object_set_new(json_object_get(changed, "flags"), "threads", json_integer(1));
    json_object_set_new(json_object_get(changed, "flags"), "huge_pages", json_true());
    json_object_set_new(changed, "mode", json_string("quick"));
    json_object_set_new(json_array_get(json_object_get(changed, "tests"), 0), "max_tokens", json_integer(64));
    put(changed, 3, b);
    of = diff(a, b);
    assert_true(json_get_bool(of, "comparable", false)); /* that is what one wants to know of a flag */
    assert_true(warns(of, "other model: m and n") && warns(of, "b is a quick run"));
    assert_int_equal(json_get_count(of, "flags"), 2);
    const json_t *threads = json_get_where(of, "flags", "name", "threads");
    assert_true(json_get_number(threads, "a") == 2 && json_get_number(threads, "b") == 1);
    const json_t *pages = json_get_where(of, "flags", "name", "huge_pages");
    assert_true(json_is_null(json_get(pages, "a")) && json_get_bool(pages, "b", false));
    const json_t *decode = figure(of, "decode_tokens_per_second");
    assert_string_equal(json_get_string(decode, "verdict"), "unknown"); /* by different tests */
    assert_string_equal(json_get_string(decode, "ci95_reason"), "measured by different tests");
    json_decref(of);

    changed = fake_report("m", "Fake CPU", fast, 3);
    json_put_null(json_object_get(changed, "flags"), "adapter", "none");
    put(changed, 3, b);
    of = diff(a, b); /* a is from before there were adapters: so it had none either */
    assert_int_equal(json_get_count(of, "flags"), 0);
    json_decref(of);
    changed = fake_report("m", "Fake CPU", fast, 3);
    json_object_set_new(json_object_get(changed, "flags"), "adapter", json_string("tuned"));
    char tuned[JOBS_ID];
    put(changed, 3, tuned);
    of = diff(b, tuned);
    assert_int_equal(json_get_count(of, "flags"), 1);
    const json_t *adapter = json_get_where(of, "flags", "name", "adapter");
    assert_true(json_is_null(json_get(adapter, "a")) && json_get_is(adapter, "a_reason", "none"));
    assert_true(json_get_is(adapter, "b", "tuned"));
    json_decref(of);

    struct store_run killed = {.kind = "profile", .status = "interrupted", .created_ms = 4};
    assert_int_equal(jobs_new_id(b, NULL), 0);
    killed.id = b;
    assert_int_equal(store_run_insert(store, &killed, NULL), 0);
    of = diff(a, b);
    assert_false(json_get_bool(of, "comparable", true));
    assert_true(warns(of, "b did not end well: interrupted") && warns(of, "b has no report"));
    json_decref(of);
}

/* Only the baseline's samples are many enough to show a small slowdown. */
static json_t *with_baseline(double rate)
{
    double decode[] = {100, 130, 70};
    json_t *report = fake_report("m", "Fake CPU", decode, 3), *samples = json_array();
    for (int i = 0; i < 30; i++)
        json_array_append_new(samples, json_pack("{s:s, s:f}", "outcome", "ok", "tokens_per_second",
                                                 rate * (1 + 0.01 * (i % 3 - 1))));
    json_object_set_new(report, "configurations",
                        json_pack("[{s:s, s:i, s:f, s:{s:f}, s:o}]", "id", "baseline", "max_tokens", 100,
                                  "temperature", 0.7, "tokens_per_second", "median", rate, "samples",
                                  samples));
    return report;
}

static void the_baseline_shows_a_small_slowdown(void **state)
{
    (void)state;
    char a[JOBS_ID], b[JOBS_ID], why[300];
    put(with_baseline(100), 1, a);
    put(with_baseline(90), 2, b);
    json_t *of = diff(a, b);
    const json_t *baseline = figure(of, "baseline.tokens_per_second");
    assert_string_equal(json_get_string(baseline, "verdict"), "lower");
    assert_int_equal(json_get_number(baseline, "n_b"), 30);
    assert_string_equal(json_get_string(figure(of, "decode_tokens_per_second"), "verdict"),
                        "no_real_difference");
    assert_true(jobs_diff_is_slower(of, 0.05, why, sizeof why));
    assert_int_equal(strncmp(why, "baseline.tokens_per_second -10.0 % [", 36), 0);
    json_decref(of);
}

/* Each run of a configuration is judged by a figure of its own: value and interval are of that. */
static json_t *with_configuration(const char *compared, double rate)
{
    double decode[] = {100, 101, 99};
    json_t *report = fake_report("m", "Fake CPU", decode, 3), *samples = json_array();
    for (int i = 0; i < 10; i++) {
        json_t *sample =
            json_pack("{s:s, s:f, s:f}", "outcome", "ok", "tokens_per_second", 50.0, "ttft_ms", 1000.0);
        json_object_set_new(sample, compared, json_real(rate * (1 + 0.01 * (i % 3 - 1))));
        json_array_append_new(samples, sample);
    }
    json_object_set_new(report, "configurations",
                        json_pack("[{s:s, s:s, s:s, s:{s:f}, s:o}]", "id", "concurrency=4", "outcome", "ok",
                                  "compared", compared, "tokens_per_second", "median", 1.0, "samples",
                                  samples));
    return report;
}

static void configurations_are_compared_by_their_own_figure(void **state)
{
    (void)state;
    static const struct {
        const char *compared, *better;
    } cases[] = {{"aggregate_decode_tokens_per_second", "a"},
                 {"decode_tokens_per_second", "a"},
                 {"prefill_tokens_per_second", "a"},
                 {"ttft_ms", "b"}}; /* less is better */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char a[JOBS_ID], b[JOBS_ID], name[80];
        put(with_configuration(cases[i].compared, 200), 1, a);
        put(with_configuration(cases[i].compared, 160), 2, b);
        json_t *of = diff(a, b);
        snprintf(name, sizeof name, "concurrency=4.%s", cases[i].compared);
        const json_t *found = figure(of, name);
        assert_non_null(found);
        assert_null(figure(of, "concurrency=4.tokens_per_second"));
        assert_true(fabs(json_get_number(found, "a") - 200) < 0.1);
        assert_true(fabs(json_get_number(found, "b") - 160) < 0.1);
        assert_true(fabs(json_get_number(found, "change_pct") + 20) < 0.1);
        assert_string_equal(json_get_string(found, "verdict"), "lower");
        assert_string_equal(json_get_string(found, "better"), cases[i].better);
        json_decref(of);
    }
    char a[JOBS_ID], b[JOBS_ID];
    put(with_configuration("ttft_ms", 200), 1, a);
    put(with_configuration("decode_tokens_per_second", 160), 2, b); /* took 1000 ms, of another test */
    json_t *of = diff(a, b);
    const json_t *found = figure(of, "concurrency=4.ttft_ms");
    assert_string_equal(json_get_string(found, "verdict"), "unknown");
    assert_string_equal(json_get_string(found, "ci95_reason"), "the configurations are different");
    json_decref(of);
}

static json_t *with_finding(double rate, const char *id, const char *severity)
{
    double decode[] = {rate, 1.004 * rate, 0.996 * rate};
    json_t *report = fake_report("m", "Fake CPU", decode, 3);
    json_object_set_new(report, "analysis",
                        json_pack("{s:[{s:s, s:s}]}", "bottlenecks", "id", id, "severity", severity));
    return report;
}

/* A run that lost half of its processors to others looks slower, whatever was changed in between. */
static void a_disturbed_run_proves_nothing(void **state)
{
    (void)state;
    static const char *const causes[] = {"busy_host", "steal",    "thermal",
                                         "cpu_quota", "swapping", "oversubscribed"};
    static const char *const words[] = {"other programs", "the hypervisor", "a falling clock",
                                        "its CPU quota",  "swapping",       "surplus threads"};
    char a[JOBS_ID], b[JOBS_ID], why[300], text[80];
    put_rate(100, 1, a);
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        put(with_finding(60, causes[i], "High"), 2, b);
        json_t *of = diff(a, b);
        snprintf(text, sizeof text, "b was disturbed by %s (%s)", words[i], causes[i]);
        assert_true(warns(of, text));
        assert_false(json_get_bool(of, "comparable", true));
        assert_false(jobs_diff_is_slower(of, 0.05, why, sizeof why));
        const json_t *decode = figure(of, "decode_tokens_per_second");
        assert_string_equal(json_get_string(decode, "verdict"), "unknown");
        assert_string_equal(json_get_string(decode, "ci95_reason"), text);
        assert_true(fabs(json_get_number(decode, "change_pct") + 40) < 0.1); /* figures stay */
        json_decref(of);
        of = diff(b, a);
        text[0] = 'a';
        assert_true(warns(of, text));
        json_decref(of);
    }
    put(with_finding(60, "busy_host", "Medium"), 2, b); /* a little is what intervals are for */
    json_t *of = diff(a, b);
    assert_true(json_get_bool(of, "comparable", false));
    assert_true(jobs_diff_is_slower(of, 0.05, why, sizeof why));
    json_decref(of);
    put(with_finding(60, "kv_cache", "High"), 2, b);
    of = diff(a, b);
    assert_true(json_get_bool(of, "comparable", false));
    json_decref(of);
}

static json_t *comparison(double mean)
{
    double decode[] = {100, 101, 99};
    json_t *report = fake_report("m", "Fake CPU", decode, 3);
    json_object_set_new(report, "kind", json_string("compare"));
    json_object_set_new(report, "model", json_null());
    json_object_set_new(report, "summary", json_null());
    json_object_set_new(report, "tests", json_array());
    json_object_set_new(report, "comparison",
                        json_pack("{s:[{s:s, s:s, s:{s:i, s:f, s:f, s:f}}, {s:s, s:s}]}", "models", "model",
                                  "x", "status", "success", "tokens_per_second", "n", 5, "mean", mean,
                                  "median", mean, "sd", 0.01 * mean, "model", "y", "status", "error"));
    return report;
}

static void comparisons_are_compared_by_model(void **state)
{
    (void)state;
    char a[JOBS_ID], b[JOBS_ID];
    put(comparison(100), 1, a);
    put(comparison(120), 2, b);
    json_t *of = diff(a, b);
    assert_string_equal(json_get_string(of, "a.model"), "x, y");
    const json_t *rate = figure(of, "x.tokens_per_second");
    assert_string_equal(json_get_string(rate, "verdict"), "higher");
    assert_true(fabs(json_get_number(rate, "change_pct") - 20) < 0.1);
    assert_null(figure(of, "y.tokens_per_second"));
    assert_false(jobs_diff_guards(of)); /* nothing that --fail-if-slower looks at */
    json_decref(of);
    /* what one of them does not tell is no difference; what both tell and differs in is one */
    for (int told = 1; told <= 2; told++) {
        json_t *other[2] = {comparison(100), comparison(120)};
        for (int k = 2 - told; k < 2; k++)
            json_object_set_new(json_array_get(json_get_array(other[k], "comparison.models"), 0), "adapter",
                                k ? json_string("tuned") : json_null());
        put(other[0], 3, a);
        put(other[1], 4, b);
        of = diff(a, b);
        rate = figure(of, "x.tokens_per_second");
        assert_int_equal(json_get_is(rate, "better", "b"), told == 1);
        json_decref(of);
    }
}

/* ---- imports ---- */

static void a_report_is_imported(void **state)
{
    (void)state;
    char id[JOBS_ID], here[JOBS_ID];
    double decode[] = {100, 101, 99};
    put_rate(100, 1, here);
    json_t *report = fake_report("m", "Fake CPU", decode, 3), *run;
    assert_int_equal(jobs_import(jobs, report, id, NULL), 0);
    assert_int_equal(jobs_get(jobs, id, &run, NULL), 0);
    assert_true(json_get_bool(run, "imported", false));
    assert_string_equal(json_get_string(run, "created"), "2026-01-02T03:04:05Z");
    assert_string_equal(json_get_string(run, "report.run_id"), id);
    assert_null(json_get_string(report, "run_id")); /* the caller's is as it was */
    json_decref(run);
    put_rate(101, jobs_now_ms(), here);
    assert_int_equal(jobs_get(jobs, here, &run, NULL), 0);
    assert_string_not_equal(json_get_text(run, "trend.run_id", ""), id); /* was not made here */
    json_decref(run);
    json_t *imported = list((struct jobs_filter){.imported = &(bool){true}});
    json_t *made_here = list((struct jobs_filter){.imported = &(bool){false}});
    assert_int_equal(json_get_count(imported, "runs"), 1);
    assert_string_equal(json_get_text(imported, "runs.0.id", ""), id);
    assert_int_equal(json_get_count(made_here, "runs"), 2);
    assert_string_equal(json_get_text(made_here, "runs.0.id", ""), here);
    json_decref(imported);
    json_decref(made_here);
    json_t *of = diff(id, here);
    assert_true(warns(of, "a was imported"));
    json_decref(of);
    struct error error = {0};
    json_object_set_new(report, "schema", json_string("llmind.report/2"));
    assert_int_equal(jobs_import(jobs, report, id, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "schema"));
    json_decref(report);
}

/* Long names are cut between characters, so that they stay UTF-8. */
static void long_names_are_cut_between_characters(void **state)
{
    (void)state;
    double decode[] = {100, 101, 99};
    char name[501], id[JOBS_ID];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(name, 'x', shift);
        for (size_t at = shift; at < sizeof name; at++)
            name[at] = "\xE2\x82\xAC"[(at - shift) % 3]; /* euro signs */
        name[(sizeof name - 1 - shift) / 3 * 3 + shift] = '\0';
        json_t *report = fake_report(name, name, decode, 3), *run;
        json_object_set_new(json_array_get(json_object_get(report, "tests"), 0), "id", json_string(name));
        put(report, 1, id);
        assert_int_equal(jobs_get(jobs, id, &run, NULL), 0);
        assert_non_null(json_get_string(run, "model"));
        assert_non_null(strstr(json_get_string(run, "machine"), "\xAC, 2 cores"));
        json_decref(run);
        json_t *of = diff(id, id);
        for (size_t i = 0; i < json_get_count(of, "figures"); i++)
            assert_non_null(json_get_string(json_get_item(json_get(of, "figures"), i), "name"));
        json_decref(of);
    }
}

/* A report that passes the check and is nonsense everywhere else. */
static void nonsense_is_unknown_and_nothing_breaks(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "{\"machine\": {\"cpu\": 7, \"cores_allowed\": \"many\", \"quota_cores\": []}}",
        "{\"summary\": {\"decode_tokens_per_second\": -5, \"grade\": {}}, \"message\": \"\\u001b[2J\"}",
        "{\"tests\": [{\"id\": \"\", \"samples\": [1, null, {\"outcome\": 3}]}, {\"id\": \"x\", \"kind\": "
        "\"decode\", \"headline\": \"decode_tokens_per_second\", \"summary\": {\"decode_tokens_per_second\": "
        "1e308}, \"samples\": [{\"outcome\": \"ok\", \"decode_tokens_per_second\": 1e308}, {\"outcome\": "
        "\"ok\", \"decode_tokens_per_second\": 5e-324}]}]}",
        "{\"kind\": \"compare\", \"comparison\": {\"models\": [null, 3, {\"model\": [], "
        "\"tokens_per_second\": {\"n\": -1, \"mean\": 0, \"sd\": \"\"}}]}}",
        "{\"flags\": {\"threads\": {\"deep\": [[[1]]]}, \"\": 1}, \"created\": \"9999-99-99T99:99:99Z\"}"};
    double decode[] = {100, 101, 99};
    char id[JOBS_ID], other[JOBS_ID], why[10];
    json_t *run;
    put_rate(100, 1, other);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        json_t *report = fake_report("m", "Fake CPU", decode, 3), *part = json_loads(parts[i], 0, NULL);
        struct error error = {0};
        assert_non_null(part);
        json_object_update(report, part);
        int status = jobs_import(jobs, report, id, &error);
        json_decref(part);
        json_decref(report);
        if (status)
            fail_msg("part %zu: %s", i, error.message);
        assert_int_equal(jobs_get(jobs, id, &run, NULL), 0);
        json_decref(run);
        json_decref(list((struct jobs_filter){.limit = 50}));
        for (int k = 0; k < 2; k++) {
            json_t *of = k ? diff(id, other) : diff(other, id);
            char *text = json_dumps(of, 0); /* fails on what is no number */
            assert_non_null(text);
            free(text);
            jobs_diff_is_slower(of, 0.05, why, sizeof why);
            json_decref(of);
        }
    }
}

/* ---- many ---- */

static double since_ms(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e3 + (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

/* As in the store's test, the real bound (50 ms) is the acceptance script's. */
static void many_runs_are_quick(void **state)
{
    (void)state;
    enum { N = 500, SERIES = 40, GAPS = 20000 };
    char id[JOBS_ID], first[JOBS_ID] = "", model[16];
    double decode[] = {100, 101, 99};
    for (int i = 0; i < N; i++) {
        snprintf(model, sizeof model, "m%d", i % SERIES);
        json_t *report = fake_report(model, "Fake CPU", decode, 3), *gaps = json_array();
        for (int k = 0; k < (i < 2 ? GAPS : 10); k++)
            json_array_append_new(gaps, json_real(1.25 + k % 7));
        json_object_set_new(report, "notes", gaps);
        put(report, i + 1, i == 0 ? first : id);
    }
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    json_t *page = list((struct jobs_filter){.limit = N});
    double list_ms = since_ms(&start);
    assert_int_equal(json_get_count(page, "runs"), N);
    assert_non_null(json_get_object(page, "runs.0.trend"));
    const char *second = json_get_string(json_get_item(json_get(page, "runs"), N - 2), "id");
    clock_gettime(CLOCK_MONOTONIC, &start);
    json_t *of = diff(first, second);
    double diff_ms = since_ms(&start);
    json_decref(of);
    json_decref(page);
    print_message("list of %d: %.1f ms, diff of two reports with %d values: %.1f ms\n", N, list_ms, GAPS,
                  diff_ms);
    assert_true(list_ms < 500 && diff_ms < 500);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(pages_show_every_run_once),
                                       CASE(wrong_filters_are_refused),
                                       CASE(ids_are_found_by_their_beginning),
                                       CASE(a_slowdown_is_a_regression),
                                       CASE(restless_sessions_widen_the_interval),
                                       CASE(what_differs_is_another_series),
                                       CASE(a_planted_slowdown_is_found),
                                       CASE(what_cannot_be_compared_says_so),
                                       CASE(the_baseline_shows_a_small_slowdown),
                                       CASE(configurations_are_compared_by_their_own_figure),
                                       CASE(a_disturbed_run_proves_nothing),
                                       CASE(comparisons_are_compared_by_model),
                                       CASE(a_report_is_imported),
                                       CASE(long_names_are_cut_between_characters),
                                       CASE(nonsense_is_unknown_and_nothing_breaks),
                                       CASE(many_runs_are_quick)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
