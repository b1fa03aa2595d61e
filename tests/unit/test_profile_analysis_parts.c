/* What an analysis says beside its diagnoses (summary, advice, quality, roofline, two-term line), and reports
 * that nobody should write. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "profile/roofline.h"
#include "profile/two_term.h"
#include "support/analysis_fixture.h"

static void summary_is_the_seeds_four_cards(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    const json_t *summary = json_get_object(analyse(report), "performance_summary");
    assert_true(fabs(json_get_number(summary, "avg_tokens_per_second") - 17.5) < 1e-9);
    assert_true(fabs(json_get_number(summary, "memory_gb") - 5.9) < 1e-9);
    assert_true(json_is_null(json_get(summary, "gpu_utilization")));
    assert_string_equal(json_get_text(summary, "gpu_utilization_reason", ""), "no GPU on this machine");
    double expected = (128 / 18.0 + 128 / 17.0) / 2;
    assert_true(fabs(json_get_number(summary, "avg_response_time_s") - expected) < 1e-6);
    assert_true(fabs(json_get_number(summary, "mfu") - 0.3) < 1e-9);
    assert_true(fabs(json_get_number(summary, "ttft_ms") - 150) < 1e-9);
    json_decref(report);
}

static void cached_weights_are_compared_with_the_cache(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    /* no probe said where it read from: 4.5 GB of weights and a cache of 8 GB do */
    put(report, "machine.last_level_cache_bytes", "8000000000");
    put(report, DECODE "samples", "[]");
    put(report, DECODE "roofline.read_gbps", "null");
    put(report, DECODE "roofline.mbu", "null");
    const json_t *analysis = analyse(report);
    double mbu = json_get_number(analysis, "performance_summary.mbu");
    assert_true(fabs(mbu - 83.5 / 600) < 0.001); /* ceilings.cache_read, not 101 GB/s of memory */
    assert_true(says(json_get_array(analysis, "strengths"), "stay in the last-level cache"));
    put(report, "machine.last_level_cache_bytes", "3000000000"); /* one to two times: no ceiling */
    analysis = analyse(report);
    assert_true(isnan(json_get_number(analysis, "performance_summary.mbu")));
    assert_non_null(
        strstr(json_get_text(analysis, "performance_summary.mbu_reason", ""), "one to two times"));
    json_decref(report);
}

static void impossible_utilisation_is_refused(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, DECODE "roofline.mbu.median", "1.06");
    const json_t *analysis = analyse(report);
    assert_true(isnan(json_get_number(analysis, "performance_summary.mbu")));
    assert_non_null(strstr(json_get_text(analysis, "performance_summary.mbu_reason", ""), "refused: 106 %"));
    assert_true(says(json_get_array(analysis, "quality.flags"), "refused"));
    put(report, DECODE "roofline.mbu.median", "1.04"); /* noise of the probe */
    analysis = analyse(report);
    assert_true(fabs(json_get_number(analysis, "performance_summary.mbu") - 1.04) < 1e-9);
    json_decref(report);
}

/* The figure of the tables: each repeat against the probe beside it. Without it, the medians of both. */
static void utilisation_is_that_of_the_test(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, DECODE "roofline.mbu.median", "0.79");
    put(report, DECODE "roofline.achieved_gbps.median", "85");
    const json_t *analysis = analyse(report);
    assert_true(fabs(json_get_number(analysis, "performance_summary.mbu") - 0.79) < 1e-9);
    put(report, DECODE "roofline.mbu", "null");
    analysis = analyse(report);
    assert_true(fabs(json_get_number(analysis, "performance_summary.mbu") - 0.85) < 1e-9);
    json_decref(report);
}

static void measured_gains_are_advised_with_their_figure(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "configurations.2.id", "\"threads=4\"");
    put(report, "configurations.2.change_pct", "31.0");
    put(report, "configurations.2.ci95", "[27.0, 35.0]");
    put(report, "configurations.2.verdict", "\"higher\"");
    const json_t *analysis = analyse(report);
    const json_t *found = advice(analysis, "threads=4");
    assert_non_null(found);
    assert_true(fabs(json_get_number(found, "expected_pct") - 31) < 1e-9);
    assert_true(json_get_bool(found, "provable", false));
    assert_true(json_get_is(found, "setting.key", "threads"));
    assert_int_equal(json_get_integer(found, "setting.value", 0, 100, -1), 4);
    assert_true(json_get_is(found, "because", "threads_saturated"));
    assert_non_null(strstr(json_get_text(found, "text", ""), "+27.0, +35.0"));
    /* four at once were measured as well; the engine has them without a setting */
    found = advice(analysis, "concurrency=4");
    assert_true(fabs(json_get_number(found, "expected_pct") - 118) < 1e-9);
    assert_true(json_is_null(json_get(found, "setting")));
    /* the largest first, and no advice from temperature or length */
    assert_true(json_get_is(analysis, "recommendations.0.id", "concurrency=4"));
    assert_null(advice(analysis, "high_temperature"));
    json_decref(report);
}

static void a_gain_says_of_what(void **state)
{
    (void)state;
    static const char *const gains[][2] = {
        {"threads=4", "faster at writing (measured: +31.0 %"},
        {"prefill_chunk=4", "faster at reading prompts (measured: +31.0 %"},
        {"kv_bits=16", "faster at writing, deep in the context (measured: +31.0 %"},
        {"concurrency=2", "more tokens per second in all, each answer slower (measured: +31.0 %"}};
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        json_t *report = load("healthy");
        char id[40];
        snprintf(id, sizeof id, "\"%s\"", gains[i][0]);
        put(report, "configurations.4.verdict", "\"lower\"");
        put(report, "configurations.2.id", id);
        put(report, "configurations.2.change_pct", "31.0");
        put(report, "configurations.2.verdict", "\"higher\"");
        const char *text = json_get_text(advice(analyse(report), gains[i][0]), "text", "");
        if (!strstr(text, gains[i][1]))
            fail_msg("%s: %s", gains[i][0], text);
        json_decref(report);
    }
}

/* Fewer threads win while neighbours hold the cores: nothing to set before it was measured again. */
static void gains_of_a_disturbed_run_are_no_setting(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "configurations.2.change_pct", "31.0");
    put(report, "configurations.2.verdict", "\"higher\"");
    const json_t *found = advice(analyse(report), "threads=4");
    assert_true(json_get_is(found, "setting.key", "threads"));
    assert_null(analysis_doubt(report));
    put_sign(report, &(struct sign){SERIES "2.values", "0.12"});
    found = advice(analyse(report), "threads=4");
    assert_true(json_is_null(json_get(found, "setting")));
    assert_non_null(strstr(json_get_text(found, "setting_reason", ""), "quiet machine"));
    assert_non_null(strstr(json_get_text(found, "text", ""),
                           "; measured while others took the processors: measure again on a quiet machine."));
    assert_non_null(strstr(analysis_doubt(report), "others took the processors"));
    put_sign(report, &(struct sign){SERIES "2.values", "0"});
    put_sign(report,
             &(struct sign){SERIES "3.values", "0.5"}); /* a quota stays: what helps against it, helps */
    put(report, "machine.quota_cores", "4.0");
    found = advice(analyse(report), "threads=4");
    assert_true(json_get_is(found, "because", "cpu_quota"));
    assert_true(json_get_is(found, "setting.key", "threads"));
    json_decref(report);
}

static void what_failed_its_proof_is_not_advised(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, DEEP "summary.tpot_ms.median", "61");
    put(report, DEEP "summary.tpot_ms.min", "60");
    put(report, DEEP "roofline.kv_bytes_per_token", "9e8");
    const json_t *analysis = analyse(report);
    assert_non_null(bottleneck(analysis, "kv_cache"));
    assert_null(advice(analysis, "kv_bits=8")); /* this run tried it: no real difference */
    put(report, "configurations.3.ci95", "[-12.0, 14.0]");
    assert_non_null(advice(analyse(report), "kv_bits=8")); /* unclear: it did not fail */
    put(report, "configurations.3.id", "\"kv_bits=32\"");
    analysis = analyse(report);
    const json_t *found = advice(analysis, "kv_bits=8");
    assert_non_null(found);
    assert_true(json_get_bool(found, "provable", false));
    assert_true(json_is_null(json_get(found, "expected_pct"))); /* nobody measured it */
    assert_true(json_get_is(found, "setting.key", "kv_bits"));
    put(report, "flags.kv_bits", "8"); /* it is 8 already */
    assert_null(advice(analyse(report), "kv_bits=8"));
    json_decref(report);
}

static void one_value_of_a_knob_is_advised(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    json_t *more = json_deep_copy(json_get(report, "configurations.4"));
    json_object_set_new(more, "id", json_string("concurrency=2"));
    json_object_set_new(more, "change_pct", json_real(70));
    json_array_append_new((json_t *)(uintptr_t)json_get(report, "configurations"), more);
    const json_t *analysis = analyse(report);
    assert_non_null(advice(analysis, "concurrency=4"));
    assert_null(advice(analysis, "concurrency=2"));
    json_decref(report);
}

static void quota_advises_threads_that_fit(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put_sign(report, &(struct sign){SERIES "3.values", "0.5"});
    put(report, "machine.quota_cores", "2.5");
    const json_t *analysis = analyse(report);
    assert_true(json_get_is(analysis, "bottlenecks.0.id", "cpu_quota"));
    assert_true(json_get_is(analysis, "bottlenecks.0.severity", "High"));
    const json_t *found = advice(analysis, "threads=2");
    assert_true(json_get_is(found, "because", "cpu_quota"));
    assert_int_equal(json_get_integer(found, "setting.value", 0, 100, -1), 2);
    json_decref(report);
}

static void flags_say_what_figures_are_worth(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "mode", "\"quick\"");
    put(report, DECODE "drifts", "true");
    put(report, DECODE "drift", "-0.12");
    put(report, "tests.0.grade", "\"unstable\"");
    put(report, "tests.0.outcomes.timeout", "2");
    put(report, "host.load_before", "15");
    put(report, "host.steal_fraction", "0.02");
    const json_t *flags = json_get_array(analyse(report), "quality.flags");
    static const char *const expected[] = {"indicative", "drifts, every repeat lower",
                                           "unstable",   "2 repeats took too long",
                                           "busy",       "hypervisor"};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!says(flags, expected[i]))
            fail_msg("no flag says '%s'", expected[i]);
    put(report, "tests.0.outcomes.timeout", "0");
    put(report, "tests.0.outcomes.error", "1");
    put(report, "protocol.cuts",
        "[\"prefill shortened to 256 tokens\", \"prefill shortened to 128 tokens\", "
        "\"decode at depth 4096 left out\", \"decode at depth 1024 left out\"]");
    flags = json_get_array(analyse(report), "quality.flags");
    assert_true(says(flags, "1 repeat failed and counts in no figure"));
    assert_true(says(flags, "3 parts were shortened or left out"));
    put(report, "protocol.cuts", "[\"prefill shortened to 256 tokens\"]");
    assert_true(says(json_get_array(analyse(report), "quality.flags"), "1 part was shortened"));
    json_decref(report);
}

static void layers_are_one_line_of_the_roofline(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    const json_t *roofline = json_get_object(analyse(report), "roofline");
    const json_t *op = json_get_where(roofline, "operations", "name", "layers.*.mlp.down_proj");
    assert_int_equal(json_get_integer(op, "calls", 0, 1000, -1), 4);
    assert_true(fabs(json_get_number(op, "time_ms") - 12.8) < 1e-9);
    assert_true(fabs(json_get_number(op, "gbps") - 81.25) < 1e-6);
    assert_true(json_get_is(op, "bound", "memory"));
    assert_true(fabs(json_get_number(op, "efficiency") - 81.25 / 101) <
                1e-6); /* of the best that was measured */
    op = json_get_where(roofline, "operations", "name", "layers.*.attn_norm");
    assert_true(json_get_is(op, "bound", "overhead")); /* 10 us, no bytes */
    assert_true(json_get_is(roofline, "operations.0.name", "layers.*.mlp.gate_up_proj")); /* the longest */
    double sum = 0;
    for (size_t i = 0; i < json_get_count(roofline, "operations"); i++)
        sum += json_get_number(json_get_item(json_get(roofline, "operations"), i), "share");
    assert_true(fabs(sum - 1) < 1e-9);
    put(report, "traces.0.segments.20.ms", "0.00002"); /* 290 MB in 20 ns */
    op = json_get_where(json_get(analyse(report), "roofline"), "operations", "name", "logits");
    assert_true(json_is_null(json_get(op, "bound")));
    assert_non_null(strstr(json_get_text(op, "efficiency_reason", ""), "refused"));
    put(report, "traces", "[]");
    const json_t *analysis = analyse(report);
    assert_true(json_is_null(json_get(analysis, "roofline")));
    assert_string_equal(json_get_text(analysis, "roofline_reason", ""), "no step was traced");
    json_decref(report);
}

static void names_are_grouped_by_layer(void **state)
{
    (void)state;
    char out[ROOFLINE_NAME], small[10];
    roofline_group("layers.31.mlp.down_proj", out, sizeof out);
    assert_string_equal(out, "layers.*.mlp.down_proj");
    roofline_group("layers.3.fc1", out, sizeof out);
    assert_string_equal(out, "layers.*.fc1");
    roofline_group("logits", out, sizeof out);
    assert_string_equal(out, "logits");
    roofline_group("layers.3.mlp.add \xe2\x80\xa6 4.input_layernorm", out, sizeof out);
    assert_string_equal(out, "layers.*.mlp.add \xe2\x80\xa6 *.input_layernorm");
    roofline_group("", out, sizeof out);
    assert_string_equal(out, "");
    roofline_group("...", out, sizeof out);
    assert_string_equal(out, "...");
    roofline_group("abcdefgh\xc3\xa9\xc3\xa9", small, sizeof small); /* cut before, not inside, a character */
    assert_string_equal(small, "abcdefgh");
}

static void line_through_depths(void **state)
{
    (void)state;
    /* 2 ms + bytes / 50 GB/s */
    struct two_term_point points[] = {
        {"a", 0, 1e9, 22, NAN, 0}, {"b", 1024, 1.2e9, 26, 0.1, 3}, {"c", 4096, 2e9, 42, 0.1, 3}};
    struct two_term line;
    two_term_fit(points, 3, 60, &line);
    assert_string_equal(line.reason, "");
    assert_true(fabs(line.bandwidth_gbps - 50) < 1e-6);
    assert_true(fabs(line.fixed_ms - 2) < 1e-6);
    assert_true(isnan(line.fixed_error_ms)); /* nobody knows how sure 22 is */
    points[0].error_ms = 6;                  /* repeats that say 22 +- 12 */
    points[0].repeats = 3;
    two_term_fit(points, 3, 60, &line);
    assert_non_null(strstr(line.reason, "spread too much"));
    points[0].error_ms = 0;
    two_term_fit(points, 3, 60, &line);
    /* weights 1/3 - x (x_i - x) / sum of squares, x = 1.4 and the sum 0.56 (GB); t of 2 + 2 + 2 degrees */
    double b = 1 / 3.0 + 1.4 * 0.2 / 0.56, c = 1 / 3.0 - 1.4 * 0.6 / 0.56;
    assert_true(fabs(line.fixed_error_ms - 2.4469 * 0.1 * sqrt(b * b + c * c)) < 1e-4);
    for (size_t i = 0; i < 3; i++)
        points[i].repeats = 2; /* t of 3 degrees: the same spread tells less */
    two_term_fit(points, 3, 60, &line);
    assert_true(fabs(line.fixed_error_ms - 3.1824 * 0.1 * sqrt(b * b + c * c)) < 1e-4);
    struct two_term_point unsure[] = {{"a", 0, 1e9, 22, 1, 2}, {"b", 9, 2e9, 42, 1, 2}};
    two_term_fit(unsure, 2, 60, &line); /* +- 4.4 by the normal distribution, +- 9.6 by t: not yet half */
    assert_true(fabs(line.fixed_error_ms - 4.3027 * sqrt(5)) < 1e-3);
    unsure[0].error_ms = 1.3;
    unsure[1].error_ms = 1.3; /* +- 5.7 by the normal distribution, +- 12.5 by t */
    two_term_fit(unsure, 2, 60, &line);
    assert_non_null(strstr(line.reason, "spread too much"));
    assert_true(isnan(line.fixed_error_ms));
    two_term_fit(points, 1, 60, &line);
    assert_true(isnan(line.fixed_ms));
    assert_non_null(strstr(line.reason, "two depths"));
    two_term_fit(points, 3, 40, &line); /* 50 GB/s of 40 */
    assert_non_null(strstr(line.reason, "flatter than"));
    points[1].bytes = points[2].bytes = 1.01e9;
    two_term_fit(points, 3, 60, &line);
    assert_non_null(strstr(line.reason, "too near"));
    struct two_term_point falling[] = {{"a", 0, 1e9, 22, 0, 3}, {"b", 9, 2e9, 20, 0, 3}};
    two_term_fit(falling, 2, 60, &line);
    assert_non_null(strstr(line.reason, "did not become slower"));
    struct two_term_point steep[] = {{"a", 0, 1e9, 10, 0, 3}, {"b", 9, 2e9, 40, 0, 3}};
    two_term_fit(steep, 2, NAN, &line);
    assert_non_null(strstr(line.reason, "faster with depth than bytes explain"));
}

static void the_line_says_how_sure_it_is(void **state)
{
    (void)state;
    json_t *report = json_loads("{\"tests\": ["
                                "{\"id\": \"a\", \"kind\": \"decode\", \"depth\": 0, \"roofline\":"
                                " {\"weight_bytes_per_token\": 9e8, \"kv_bytes_per_token\": 1e8},"
                                " \"summary\": {\"tpot_ms\": {\"median\": 22, \"sd\": 0.2, \"n\": 4}}},"
                                "{\"id\": \"b\", \"kind\": \"decode\", \"depth\": 9, \"roofline\":"
                                " {\"weight_bytes_per_token\": 9e8, \"kv_bytes_per_token\": 11e8},"
                                " \"summary\": {\"tpot_ms\": {\"median\": 42, \"sd\": 0.2, \"n\": 4}}}]}",
                                0, NULL);
    char reason[TWO_TERM_REASON];
    assert_non_null(report);
    json_t *line = two_term_read(report, 60, reason);
    /* 2 +- t of 6 degrees * 0.1 * sqrt(2^2 + 1^2) */
    assert_true(fabs(json_get_number(line, "fixed_ms_ci95.0") - (2 - 2.4469 * 0.1 * sqrt(5))) < 1e-4);
    assert_true(fabs(json_get_number(line, "fixed_ms_ci95.1") - (2 + 2.4469 * 0.1 * sqrt(5))) < 1e-4);
    json_decref(line);
    put(report, "tests.0.summary.tpot_ms.n", "1");
    line = two_term_read(report, 60, reason);
    assert_true(json_is_null(json_get(line, "fixed_ms_ci95")));
    assert_non_null(json_get_string(line, "fixed_ms_ci95_reason"));
    json_decref(line);
    json_decref(report);
}

static void every_fixture_is_analysed(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_REPORT_FIXTURES; i++) {
        json_t *report = load(REPORT_FIXTURES[i]);
        const json_t *analysis = analyse(report);
        assert_true(json_get_count(analysis, "bottlenecks") < 40);
        char *text = json_dumps(analysis, 0);
        assert_non_null(text);
        free(text);
        json_decref(report);
    }
}

/* Every value of the healthy report in turn is replaced by something else, down to its leaves. */
static void abuse(json_t *root, json_t *at, int depth, size_t *count)
{
    static const char *const values[] = {"null", "1e308", "-1e308", "\"text\"", "[]", "{}", "true", "-1"};
    json_t *kept, *value;
    size_t length = json_is_array(at) ? json_array_size(at) : 0;
    for (size_t i = 0; i < length && i < 6; i++) {
        kept = json_incref(json_array_get(at, i));
        json_array_set_new(at, i, json_loads(values[*count % 8], JSON_DECODE_ANY, NULL));
        ++*count;
        analyse(root);
        json_array_set_new(at, i, kept);
        if (depth < 4)
            abuse(root, json_array_get(at, i), depth + 1, count);
    }
    const char *key;
    void *next;
    if (!json_is_object(at))
        return;
    json_object_foreach_safe(at, next, key, value)
    {
        if (strcmp(key, "analysis") == 0)
            continue;
        kept = json_incref(value);
        json_object_set_new(at, key, json_loads(values[*count % 8], JSON_DECODE_ANY, NULL));
        ++*count;
        analyse(root);
        json_object_set_new(at, key, kept);
        if (depth < 4)
            abuse(root, json_object_get(at, key), depth + 1, count);
    }
}

static void any_value_may_be_anything(void **state)
{
    (void)state;
    size_t count = 0;
    json_t *report = load("healthy");
    abuse(report, report, 0, &count);
    assert_true(count > 500);
    json_decref(report);
    struct error error = {0};
    json_t *list = json_array();
    assert_int_equal(analysis_add(list, &error), ERROR_INVALID);
    json_decref(list);
    report = json_object();
    assert_int_equal(json_get_count(analyse(report), "bottlenecks"), 0);
    json_decref(report);
}

static void endless_lists_end(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    json_t *segments = json_array(), *phases = json_array(), *variants = json_array();
    for (int i = 0; i < 30000; i++) {
        char name[64];
        snprintf(name, sizeof name, "op_%d_%d", i, i * 7);
        json_array_append_new(segments,
                              json_pack("{s:s, s:f, s:f}", "name", name, "ms", 0.1, "flops", 1e300));
        json_array_append_new(
            phases, json_pack("{s:s, s:f, s:f}", "name", "decode", "start_s", 0.0, "end_s", (double)-i));
        json_array_append_new(variants,
                              json_pack("{s:s, s:s, s:s, s:f, s:b}", "id", "threads=1e999", "outcome", "ok",
                                        "verdict", "higher", "change_pct", 1e300, "significant", 1));
    }
    json_object_set_new((json_t *)(uintptr_t)json_get(report, "traces.0"), "segments", segments);
    json_object_set_new((json_t *)(uintptr_t)json_get(report, "sensors"), "phases", phases);
    json_object_set_new(report, "configurations", variants);
    const json_t *analysis = analyse(report);
    assert_int_equal(json_get_count(analysis, "roofline.operations"), ROOFLINE_MAX_OPERATIONS);
    assert_non_null(json_get_where(analysis, "roofline.operations", "name", "(others)"));
    assert_true(json_get_count(analysis, "recommendations") < 30);
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summary_is_the_seeds_four_cards),
        cmocka_unit_test(cached_weights_are_compared_with_the_cache),
        cmocka_unit_test(impossible_utilisation_is_refused),
        cmocka_unit_test(measured_gains_are_advised_with_their_figure),
        cmocka_unit_test(utilisation_is_that_of_the_test),
        cmocka_unit_test(a_gain_says_of_what),
        cmocka_unit_test(gains_of_a_disturbed_run_are_no_setting),
        cmocka_unit_test(what_failed_its_proof_is_not_advised),
        cmocka_unit_test(one_value_of_a_knob_is_advised),
        cmocka_unit_test(quota_advises_threads_that_fit),
        cmocka_unit_test(flags_say_what_figures_are_worth),
        cmocka_unit_test(layers_are_one_line_of_the_roofline),
        cmocka_unit_test(names_are_grouped_by_layer),
        cmocka_unit_test(line_through_depths),
        cmocka_unit_test(the_line_says_how_sure_it_is),
        cmocka_unit_test(every_fixture_is_analysed),
        cmocka_unit_test(any_value_may_be_anything),
        cmocka_unit_test(endless_lists_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
