/* A report made by hand, summed up and rendered in its three forms. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "profile/report.h"

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-6 * (1 + fabs((double)(b))))

/* A decode test of three repeats at these TPOTs (ms), 100 MB a token, beside a probe of 20 GB/s. */
static void fill_decode(struct report_test *test, const double tpot_ms[3])
{
    memset(test, 0, sizeof *test);
    test->scenario = (struct scenario){.kind = SCENARIO_DECODE, .prompt_tokens = 1, .max_tokens = 129};
    snprintf(test->scenario.id, sizeof test->scenario.id, "decode_128_at_0");
    snprintf(test->scenario.label, sizeof test->scenario.label, "decode 128 @ 0");
    test->samples = calloc(3, sizeof *test->samples);
    test->probes = calloc(3, sizeof *test->probes);
    test->n_samples = 3;
    test->decode_cost = (struct plan_cost){.weight_bytes = 90e6, .kv_read_bytes = 10e6, .flops = 2e8};
    for (int m = 0; m < METRICS; m++)
        test->warmup.value[m] = NAN;
    for (int i = 0; i < 3; i++) {
        struct sample *sample = &test->samples[i];
        for (int m = 0; m < METRICS; m++)
            sample->value[m] = NAN;
        sample->prompt_tokens = 1;
        sample->generated_tokens = 129;
        sample->value[METRIC_TPOT_MS] = tpot_ms[i];
        sample->value[METRIC_DECODE_TPS] = 1000 / tpot_ms[i];
        test->probes[i] =
            (struct probe_result){.gbps = 20, .pass_bytes = 1, .passes = 3, .level = PROBE_MEMORY};
    }
}

static void free_test(struct report_test *test)
{
    free(test->samples);
    free(test->probes);
}

static void mbu_is_bytes_over_time_over_ceiling(void **state)
{
    (void)state;
    struct report_test test;
    fill_decode(&test, (const double[]){10, 10, 8});
    report_summarize(&test);
    /* 100 MB in 10 ms = 10 GB/s = half of 20 GB/s */
    NEAR(test.achieved_gbps.median, 10);
    NEAR(test.mbu.median, 0.5);
    NEAR(test.mbu.max, 0.625);
    assert_string_equal(test.mbu_reason, "");
    assert_int_equal(test.outcomes[OUTCOME_OK], 3);
    assert_int_equal(test.grade, GRADE_FAIR); /* 100 100 125 tok/s: cv 13.3 % */
    free_test(&test);
}

static void impossible_mbu_is_refused(void **state)
{
    (void)state;
    struct report_test test;
    fill_decode(&test, (const double[]){4, 4, 4}); /* 25 GB/s of 20 */
    report_summarize(&test);
    assert_int_equal(test.mbu.n, 0);
    assert_true(isnan(test.mbu.median));
    assert_non_null(
        strstr(test.mbu_reason, "refused: 125 % of the probed ceiling, and up to 105 % is taken for noise"));
    NEAR(test.achieved_gbps.median, 25); /* what was measured is still shown */
    free_test(&test);
}

static void no_mbu_between_cache_and_memory(void **state)
{
    (void)state;
    struct report_test test;
    fill_decode(&test, (const double[]){10, 10, 10});
    for (int i = 0; i < 3; i++)
        test.probes[i].level = PROBE_MIXED;
    report_summarize(&test);
    assert_int_equal(test.mbu.n, 0);
    assert_non_null(strstr(test.mbu_reason, "one to two times as large as the last-level cache"));
    NEAR(test.read_gbps.median, 20); /* what was measured is still shown */
    free_test(&test);
}

static void failed_runs_stay_out_of_averages(void **state)
{
    (void)state;
    struct report_test test;
    fill_decode(&test, (const double[]){10, 10, 1});
    test.samples[2].outcome = OUTCOME_SHORT;
    report_summarize(&test);
    assert_int_equal(test.metric[METRIC_DECODE_TPS].n, 2);
    NEAR(test.metric[METRIC_DECODE_TPS].mean, 100);
    assert_int_equal(test.outcomes[OUTCOME_SHORT], 1);
    test.samples[0].outcome = test.samples[1].outcome = OUTCOME_TIMEOUT;
    report_summarize(&test);
    assert_int_equal(test.metric[METRIC_DECODE_TPS].n, 0);
    assert_int_equal(test.grade, GRADE_UNKNOWN);
    assert_string_equal(report_metric_reason(&test, METRIC_DECODE_TPS), "no run of this test ended well");
    free_test(&test);
}

static void no_probe_no_mbu(void **state)
{
    (void)state;
    struct report_test test;
    fill_decode(&test, (const double[]){10, 10, 10});
    for (int i = 0; i < 3; i++)
        test.probes[i].gbps = NAN;
    report_summarize(&test);
    assert_int_equal(test.mbu.n, 0);
    assert_string_equal(test.mbu_reason, "the read bandwidth could not be probed");
    free_test(&test);
}

static void drift_is_flagged(void **state)
{
    (void)state;
    struct report_test test;
    fill_decode(&test, (const double[]){10, 11, 12});
    report_summarize(&test);
    assert_true(test.drifts);
    NEAR(test.drift, 10.0 / 12 - 1);
    free_test(&test);
}

/* ---- rendering ---- */

static void fill_report(struct report *report)
{
    memset(report, 0, sizeof *report);
    snprintf(report->created, sizeof report->created, "2026-11-23T04:22:00Z");
    report->quick = true;
    report->repeats = 3;
    report->duration_s = 12.5;
    report->budget_s = 50;
    report->info = (struct engine_info){.model_name = "tiny",
                                        .model_path = "/x/snapshots/abc123",
                                        .architecture = "llama",
                                        .quantization = "4-bit affine, group 64",
                                        .backend = "cpu",
                                        .isa = "avx2",
                                        .n_threads = 2,
                                        .context = 2048,
                                        .vocab = 100,
                                        .max_sequences = 8,
                                        .prefill_chunk = 512,
                                        .kv_bits = 16,
                                        .parameters = 25600000,
                                        .weight_bytes = 14600000,
                                        .file_bytes = 14700000,
                                        .load_ms = 12};
    snprintf(report->cpu.name, sizeof report->cpu.name, "Test CPU");
    report->cpu.cores_online = report->cpu.cores_allowed = 2;
    report->host_before.load_1min = 0.1;
    report->host_after.load_1min = NAN;
    report->tests = calloc(1, sizeof *report->tests);
    report->n_tests = 1;
    fill_decode(&report->tests[0], (const double[]){10, 10.2, 9.9});
    report_summarize(&report->tests[0]);
}

static void json_has_null_with_a_reason(void **state)
{
    (void)state;
    struct report report;
    fill_report(&report);
    char *text = report_json(&report);
    assert_non_null(text);
    json_t *o = json_loads(text, 0, NULL), *part;
    assert_non_null(o);
    assert_string_equal(json_string_value(json_object_get(o, "schema")), "llmind.report/1");
    part = json_object_get(o, "model");
    assert_string_equal(json_string_value(json_object_get(part, "revision")), "abc123");
    part = json_object_get(o, "host");
    assert_true(json_is_null(json_object_get(part, "gpu_utilization")));
    assert_string_equal(json_string_value(json_object_get(part, "gpu_utilization_reason")),
                        "no GPU backend is built into this program");
    assert_true(json_is_null(json_object_get(part, "load_after")));
    part = json_object_get(json_object_get(o, "memory"), "measured");
    assert_true(json_is_null(json_object_get(part, "footprint_bytes"))); /* unknown here, so not 0 */
    part = json_array_get(json_object_get(o, "tests"), 0);
    assert_int_equal(json_array_size(json_object_get(part, "samples")), 3);
    part = json_object_get(part, "summary");
    assert_true(json_is_null(json_object_get(part, "itl_p99_ms")));
    assert_int_equal(json_integer_value(json_object_get(json_object_get(part, "tpot_ms"), "n")), 3);
    json_decref(o);
    free(text);
    report_free(&report);
}

static char *render(const struct report *report, int form)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    if (form == 2)
        report_markdown(report, stream);
    else
        report_text(report, stream, form == 1);
    fclose(stream);
    return text;
}

static void text_and_markdown_show_the_same(void **state)
{
    (void)state;
    struct report report;
    fill_report(&report);
    char *plain = render(&report, 0), *color = render(&report, 1), *markdown = render(&report, 2);
    assert_non_null(strstr(plain, "tiny · llama · 4-bit affine, group 64 · 25.6 M parameters · 14.7 MB"));
    assert_non_null(strstr(plain, "decode 128 @ 0"));
    assert_non_null(strstr(plain, "MBU 50.0 %"));
    assert_non_null(strstr(plain, "quick mode, 3 repeats: indicative"));
    assert_null(strchr(plain, '\x1b'));
    assert_non_null(strchr(color, '\x1b'));
    assert_non_null(strstr(markdown, "# LLMind profile: tiny"));
    assert_non_null(strstr(markdown, "| decode 128 @ 0 |"));
    assert_non_null(strstr(markdown, "MBU 50.0 %"));
    assert_null(strstr(plain, "nan"));
    assert_null(strstr(markdown, "nan"));
    free(plain);
    free(color);
    free(markdown);
    report_free(&report);
}

static void failures_and_cuts_are_listed(void **state)
{
    (void)state;
    struct report report;
    fill_report(&report);
    report.tests[0].samples[1].outcome = OUTCOME_TIMEOUT;
    snprintf(report.tests[0].samples[1].message, sizeof report.tests[0].samples[1].message,
             "stopped after 5 ms");
    snprintf(report.plan.cuts[0], sizeof report.plan.cuts[0], "decode at depth 4096 left out");
    report.plan.n_cuts = 1;
    report_summarize(&report.tests[0]);
    char *text = render(&report, 0);
    assert_non_null(strstr(text, "decode 128 @ 0, repeat 2: timeout (stopped after 5 ms)"));
    assert_non_null(strstr(text, "decode at depth 4096 left out"));
    free(text);
    report_free(&report);
}

static void unreadable_gauges_are_not_quiet(void **state)
{
    (void)state;
    struct report report;
    char quality[768];
    fill_report(&report);
    report_quality(&report, quality, sizeof quality);
    assert_non_null(strstr(quality, "steal unknown")); /* no ticks were read */
    assert_null(strstr(quality, "load unknown"));
    report.host_before.load_1min = NAN;
    report.host_before.ticks_known = report.host_after.ticks_known = true;
    report.host_after.ticks_total = 100;
    report_quality(&report, quality, sizeof quality);
    assert_non_null(strstr(quality, "load unknown"));
    assert_null(strstr(quality, "steal"));
    report_free(&report);
}

static void a_little_more_than_the_ceiling_is_called_noise(void **state)
{
    (void)state;
    struct report report;
    fill_report(&report);
    free_test(&report.tests[0]);
    fill_decode(&report.tests[0], (const double[]){4.85, 4.85, 4.85}); /* 103 % */
    report_summarize(&report.tests[0]);
    char *text = render(&report, 0);
    assert_non_null(strstr(text, "MBU 103 % (what is above 100 % is noise of the probe)"));
    free(text);
    report_free(&report);
}

static void prompts_that_failed_show_no_zero(void **state)
{
    (void)state;
    struct report report;
    fill_report(&report);
    assert_null(report_failure(&report)); /* no prompt was planned, and decode ended well */
    struct report_test *test = &report.tests[0];
    test->scenario.kind = SCENARIO_PROMPT;
    snprintf(test->scenario.label, sizeof test->scenario.label, "simple");
    for (int i = 0; i < 3; i++) {
        test->samples[i].outcome = OUTCOME_ERROR;
        test->samples[i].prompt_tokens = test->samples[i].generated_tokens = 0;
    }
    report_summarize(test);
    assert_string_equal(report_failure(&report), "no test ended well");
    char *text = render(&report, 2), *json = report_json(&report);
    assert_non_null(strstr(text, "| simple |  - |   - |     - |            - |             - |"));
    assert_non_null(strstr(text, "| -       |\n"));
    assert_non_null(strstr(json, "\"prompt_tokens\": null"));
    assert_non_null(strstr(json, "\"status\": \"failed\""));
    free(text);
    free(json);
    report_free(&report);
}

static void an_empty_report_can_be_shown(void **state)
{
    (void)state;
    struct report report;
    fill_report(&report);
    report.tests[0].samples[0].outcome = report.tests[0].samples[1].outcome = OUTCOME_ERROR;
    report.tests[0].samples[2].outcome = OUTCOME_OUT_OF_MEMORY;
    report_summarize(&report.tests[0]);
    char *text = render(&report, 0), *json = report_json(&report);
    assert_non_null(strstr(text, "not measured: no decode test ended well"));
    assert_non_null(strstr(json, "\"decode_tokens_per_second\": null"));
    free(text);
    free(json);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mbu_is_bytes_over_time_over_ceiling),
        cmocka_unit_test(impossible_mbu_is_refused),
        cmocka_unit_test(no_mbu_between_cache_and_memory),
        cmocka_unit_test(failed_runs_stay_out_of_averages),
        cmocka_unit_test(no_probe_no_mbu),
        cmocka_unit_test(drift_is_flagged),
        cmocka_unit_test(json_has_null_with_a_reason),
        cmocka_unit_test(text_and_markdown_show_the_same),
        cmocka_unit_test(failures_and_cuts_are_listed),
        cmocka_unit_test(unreadable_gauges_are_not_quiet),
        cmocka_unit_test(a_little_more_than_the_ceiling_is_called_noise),
        cmocka_unit_test(prompts_that_failed_show_no_zero),
        cmocka_unit_test(an_empty_report_can_be_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
