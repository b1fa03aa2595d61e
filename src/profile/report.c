/* The sums behind a report. A figure enters an average only when its run ended well; a ratio to a ceiling is
 * refused when it exceeds the ceiling by more than noise, because then one of the two is wrong. */
#include "profile/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/format.h"

/* The noise allowance: an MBU up to here is shown, although nothing can use more than 100 % of a ceiling,
 * because the probe is the best of a few passes taken beside the run and misses the true ceiling by a few
 * percent. Beyond it the bytes are counted wrongly or the ceiling moved. */
static const double MBU_LIMIT = 1.05;

enum metric report_headline(const struct report_test *test)
{
    switch (test->scenario.kind) {
    case SCENARIO_PREFILL:
        return METRIC_PREFILL_TPS;
    case SCENARIO_DECODE:
        return METRIC_DECODE_TPS;
    default:
        return METRIC_TOKENS_PER_SECOND;
    }
}

const char *report_metric_reason(const struct report_test *test, enum metric metric)
{
    if (test->outcomes[OUTCOME_OK] == 0)
        return "no run of this test ended well";
    if (test->scenario.kind == SCENARIO_PREFILL)
        return "a prefill test generates one token only";
    if (metric == METRIC_ITL_P99_MS)
        return "needs 100 gaps between tokens or more";
    return "not reported by the engine";
}

static double decode_gbps(const struct report_test *test, const struct sample *sample)
{
    double bytes = test->decode_cost.weight_bytes + test->decode_cost.kv_read_bytes;
    double tpot_ms = sample->value[METRIC_TPOT_MS];
    return bytes > 0 && tpot_ms > 0 ? bytes / (tpot_ms * 1e6) : NAN;
}

static void summarize_roofline(struct report_test *test, double *values)
{
    uint32_t n = test->n_samples;
    for (uint32_t i = 0; i < n; i++)
        values[i] = test->samples[i].outcome == OUTCOME_OK ? decode_gbps(test, &test->samples[i]) : NAN;
    stats_compute(values, n, &test->achieved_gbps);
    for (uint32_t i = 0; i < n; i++)
        values[i] /= test->probes[i].gbps;
    stats_compute(values, n, &test->mbu);
    for (uint32_t i = 0; i < n; i++) {
        double ms = test->samples[i].value[METRIC_PREFILL_MS];
        values[i] =
            test->samples[i].outcome == OUTCOME_OK && ms > 0 ? test->prefill_cost.flops / (ms * 1e6) : NAN;
    }
    stats_compute(values, n, &test->prefill_gflops);
    for (uint32_t i = 0; i < n; i++)
        values[i] = test->probes[i].gbps;
    stats_compute(values, n, &test->read_gbps);

    test->mbu_reason[0] = '\0';
    if (test->mbu.n == 0)
        snprintf(test->mbu_reason, sizeof test->mbu_reason, "%s",
                 test->read_gbps.n == 0 ? "the read bandwidth could not be probed"
                                        : report_metric_reason(test, METRIC_TPOT_MS));
    else if (test->probes[0].level == PROBE_MIXED) {
        snprintf(
            test->mbu_reason, sizeof test->mbu_reason,
            "not told: the weights are one to two times as large as the last-level cache, so that part of "
            "them is read from there, and the probe gives the ceiling of neither cache nor memory");
        stats_compute(NULL, 0, &test->mbu);
    } else if (test->mbu.median > MBU_LIMIT) {
        snprintf(
            test->mbu_reason, sizeof test->mbu_reason,
            "refused: %.0f %% of the probed ceiling, and up to %.0f %% is taken for noise; the bytes are "
            "counted wrongly, or the host's bandwidth changed between probe and run",
            100 * test->mbu.median, 100 * MBU_LIMIT);
        stats_compute(NULL, 0, &test->mbu);
    }
}

void report_summarize(struct report_test *test)
{
    memset(test->outcomes, 0, sizeof test->outcomes);
    uint32_t n = test->n_samples;
    double *values = calloc(n ? n : 1, sizeof *values);
    for (uint32_t i = 0; i < n; i++)
        test->outcomes[test->samples[i].outcome]++;
    for (int m = 0; m < METRICS; m++) {
        for (uint32_t i = 0; values && i < n; i++)
            values[i] = test->samples[i].outcome == OUTCOME_OK ? test->samples[i].value[m] : NAN;
        stats_compute(values, values ? n : 0, &test->metric[m]);
        if (m == (int)report_headline(test))
            test->drifts = values && stats_drift(values, n, &test->drift);
    }
    test->grade = stats_grade(test->metric[report_headline(test)].cv);
    if (values)
        summarize_roofline(test, values);
    free(values);
}

void report_free(struct report *report)
{
    for (size_t i = 0; i < report->n_tests; i++) {
        struct report_test *test = &report->tests[i];
        free(test->prompt);
        sample_free(&test->warmup);
        for (uint32_t k = 0; k < test->n_samples; k++)
            sample_free(&test->samples[k]);
        free(test->samples);
        free(test->probes);
    }
    free(report->tests);
    memset(report, 0, sizeof *report);
}

const char *report_failure(const struct report *report)
{
    bool prompt_planned = false, prompt_ok = false, any_ok = false;
    for (size_t i = 0; i < report->n_tests; i++) {
        bool is_prompt = report->tests[i].scenario.kind == SCENARIO_PROMPT;
        bool ok = report->tests[i].outcomes[OUTCOME_OK] > 0;
        prompt_planned = prompt_planned || is_prompt;
        prompt_ok = prompt_ok || (is_prompt && ok);
        any_ok = any_ok || ok;
    }
    if (!any_ok)
        return "no test ended well";
    return prompt_planned && !prompt_ok ? "no prompt ended well" : NULL;
}

const struct report_test *report_find(const struct report *report, enum scenario_kind kind)
{
    for (size_t i = 0; i < report->n_tests; i++) {
        const struct report_test *test = &report->tests[i];
        if (test->scenario.kind == kind && test->scenario.depth == 0 &&
            test->metric[report_headline(test)].n > 0)
            return test;
    }
    return NULL;
}

enum stats_grade report_grade(const struct report *report)
{
    enum stats_grade worst = GRADE_UNKNOWN;
    for (size_t i = 0; i < report->n_tests; i++)
        if (report->tests[i].grade > worst)
            worst = report->tests[i].grade;
    return worst;
}

static void append(char *out, size_t capacity, const char *text)
{
    size_t length = strlen(out);
    snprintf(out + length, capacity - length, "%s%s", length ? "; " : "", text);
}

void report_quality(const struct report *report, char *out, size_t capacity)
{
    char part[160], number[FORMAT_MAX];
    out[0] = '\0';
    if (report->cancelled)
        append(out, capacity, "interrupted: not all tests were run");
    enum stats_grade grade = report_grade(report);
    snprintf(part, sizeof part, "repeatability %s (worst test)", stats_grade_name(grade));
    append(out, capacity, part);
    if (grade == GRADE_UNSTABLE)
        append(out, capacity, "more than 20 % spread: no verdict");
    if (report->quick) {
        snprintf(part, sizeof part, "quick mode, %u repeats: indicative", report->repeats);
        append(out, capacity, part);
    }
    for (size_t i = 0; i < report->n_tests; i++)
        if (report->tests[i].drifts) {
            snprintf(part, sizeof part, "%s drifts by %+.0f %% over its repeats",
                     report->tests[i].scenario.label, 100 * report->tests[i].drift);
            append(out, capacity, part);
        }
    double steal = host_steal(&report->host_before, &report->host_after);
    if (isnan(steal))
        append(out, capacity, "steal unknown: neighbours may have taken CPU time");
    else if (steal >= 0.05) {
        snprintf(part, sizeof part, "%s of the CPU was stolen by neighbours: not comparable with other runs",
                 format_percent(number, steal));
        append(out, capacity, part);
    }
    if (isnan(report->host_before.load_1min))
        append(out, capacity, "load unknown: the machine may have been busy before the run");
    else if (report->host_before.load_1min > 0.5 * report->cpu.cores_allowed) {
        snprintf(part, sizeof part, "the machine was busy before the run (load %.1f)",
                 report->host_before.load_1min);
        append(out, capacity, part);
    }
}
