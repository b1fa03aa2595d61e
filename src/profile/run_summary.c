/* The sums behind a report. A figure enters an average only when its run ended well; a ratio to a ceiling is
 * refused when it exceeds the ceiling by more than noise, because then one of the two is wrong. Pure.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/cpu.h"
#include "profile/format.h"
#include "profile/run_internal.h"

/* The noise allowance: an MBU up to here is shown, although nothing can use more than 100 % of a ceiling,
 * because the probe is the best of a few passes taken beside the run and misses the true ceiling by a few
 * percent. Beyond it the bytes are counted wrongly or the ceiling moved. */
static const double MBU_LIMIT = 1.05;

enum metric run_test_headline(const struct run_test *test)
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

const char *run_test_reason(const struct run_test *test, enum metric metric)
{
    if (test->outcomes[OUTCOME_OK] == 0)
        return "no run of this test ended well";
    if (test->scenario.kind == SCENARIO_PREFILL)
        return "a prefill test generates one token only";
    if (metric == METRIC_ITL_P99_MS)
        return "needs 100 gaps between tokens or more";
    return test->remote ? RUN_REMOTE_REASON : "not reported by the engine";
}

/* NaN when the run did not end well. */
static double decode_gbps(const struct lab_result *result)
{
    double bytes = result->weight_bytes_per_token + result->kv_bytes_per_token;
    double tpot_ms = result->sample.value[METRIC_TPOT_MS];
    bool good = result->sample.outcome == OUTCOME_OK && bytes > 0 && tpot_ms > 0;
    return good ? bytes / (tpot_ms * 1e6) : NAN;
}

static double prefill_gflops(const struct lab_result *result)
{
    double ms = result->sample.value[METRIC_PREFILL_MS];
    return result->sample.outcome == OUTCOME_OK && ms > 0 ? result->prefill_flops / (ms * 1e6) : NAN;
}

/* Says why there is no MBU, or takes away one that cannot be true. */
static void refuse_mbu(struct run_test *test)
{
    test->mbu_reason[0] = '\0';
    if (test->mbu.n == 0)
        snprintf(test->mbu_reason, sizeof test->mbu_reason, "%s",
                 test->remote                                  ? RUN_REMOTE_REASON
                 : test->n_results && test->results[0].guesses ? RUN_LOOKUP_REASON
                 : test->read_gbps.n == 0                      ? "the read bandwidth could not be probed"
                                                               : run_test_reason(test, METRIC_TPOT_MS));
    else if (test->results[0].probe.level == PROBE_MIXED) {
        snprintf(
            test->mbu_reason, sizeof test->mbu_reason,
            "not told: the weights are one to two times as large as the last-level cache, so that part of "
            "them may be read from there, and the probe gives the ceiling of neither cache nor memory");
        stats_compute(NULL, 0, &test->mbu);
    } else if (test->mbu.median > MBU_LIMIT) {
        snprintf(test->mbu_reason, sizeof test->mbu_reason,
                 "refused: %.0f %% of the probed ceiling, and up to %.0f %% is taken for noise; probably the "
                 "bytes are counted wrongly, or the host's bandwidth changed between probe and run",
                 100 * test->mbu.median, 100 * MBU_LIMIT);
        stats_compute(NULL, 0, &test->mbu);
    }
}

static void summarize_roofline(struct run_test *test, double *values)
{
    uint32_t n = test->n_results;
    const struct lab_result *results = test->results;
    for (uint32_t i = 0; i < n; i++)
        values[i] = decode_gbps(&results[i]);
    stats_compute(values, n, &test->achieved_gbps);
    for (uint32_t i = 0; i < n; i++)
        values[i] /= results[i].probe.gbps;
    stats_compute(values, n, &test->mbu);
    for (uint32_t i = 0; i < n; i++)
        values[i] = prefill_gflops(&results[i]);
    stats_compute(values, n, &test->prefill_gflops);
    for (uint32_t i = 0; i < n; i++)
        values[i] = results[i].probe.gbps;
    stats_compute(values, n, &test->read_gbps);
    refuse_mbu(test);
}

void run_test_summarize(struct run_test *test)
{
    memset(test->outcomes, 0, sizeof test->outcomes);
    uint32_t n = test->n_results;
    double *values = calloc(n ? n : 1, sizeof *values);
    for (uint32_t i = 0; i < n; i++)
        test->outcomes[test->results[i].sample.outcome]++;
    for (int m = 0; m < METRICS; m++) {
        for (uint32_t i = 0; values && i < n; i++)
            values[i] =
                test->results[i].sample.outcome == OUTCOME_OK ? test->results[i].sample.value[m] : NAN;
        stats_compute(values, values ? n : 0, &test->metric[m]);
        if (m == (int)run_test_headline(test))
            test->drifts = values && stats_drift(values, n, &test->drift);
    }
    test->grade = stats_grade(test->metric[run_test_headline(test)].cv);
    if (values)
        summarize_roofline(test, values);
    free(values);
}

const char *run_failure(const struct run *run)
{
    bool prompt_planned = false, prompt_ok = false, any_ok = false;
    for (size_t i = 0; i < run->n_tests; i++) {
        bool is_prompt = run->tests[i].scenario.kind == SCENARIO_PROMPT;
        bool ok = run->tests[i].outcomes[OUTCOME_OK] > 0;
        prompt_planned = prompt_planned || is_prompt;
        prompt_ok = prompt_ok || (is_prompt && ok);
        any_ok = any_ok || ok;
    }
    if (!any_ok)
        return "no test ended well";
    return prompt_planned && !prompt_ok ? "no prompt ended well" : NULL;
}

const struct run_test *run_find(const struct run *run, enum scenario_kind kind)
{
    for (size_t i = 0; i < run->n_tests; i++) {
        const struct run_test *test = &run->tests[i];
        if (test->scenario.kind == kind && test->scenario.depth == 0 &&
            test->metric[run_test_headline(test)].n > 0)
            return test;
    }
    return NULL;
}

enum stats_grade run_grade(const struct run *run)
{
    enum stats_grade worst = GRADE_UNKNOWN;
    for (size_t i = 0; i < run->n_tests; i++)
        if (run->tests[i].grade > worst)
            worst = run->tests[i].grade;
    return worst;
}

static void append(char *out, size_t capacity, const char *text)
{
    size_t length = strlen(out);
    snprintf(out + length, capacity - length, "%s%s", length ? "; " : "", text);
}

void run_quality(const struct run *run, char *out, size_t capacity)
{
    char part[160], number[FORMAT_MAX];
    out[0] = '\0';
    enum stats_grade grade = run_grade(run);
    if (run->request->kind == PROFILE_PROVE)
        snprintf(part, sizeof part, "%u blocks of A B B A, each in processes of its own", run->repeats);
    else
        snprintf(part, sizeof part, "repeatability %s (worst test)", stats_grade_name(grade));
    append(out, capacity, part);
    if (grade == GRADE_UNSTABLE)
        append(out, capacity, "a spread of more than 20 %: no verdict");
    if (run->request->quick) {
        snprintf(part, sizeof part, "quick mode, %u repeat%s: indicative", run->repeats,
                 run->repeats == 1 ? "" : "s");
        append(out, capacity, part);
    }
    for (size_t i = 0; i < run->n_tests; i++)
        if (run->tests[i].drifts) {
            snprintf(part, sizeof part, "%s drifts by %+.0f %% over its repeats",
                     run->tests[i].scenario.label, 100 * run->tests[i].drift);
            append(out, capacity, part);
        }
    double steal = host_steal(&run->host_before, &run->host_after);
    if (isnan(steal))
        append(out, capacity,
               "CPU time withheld by the hypervisor (steal) is unknown: there may have been some");
    else if (steal >= 0.05) {
        snprintf(part, sizeof part,
                 "the hypervisor withheld %s of the CPU time (steal): not comparable with other runs",
                 format_percent(number, steal));
        append(out, capacity, part);
    }
    if (isnan(run->host_before.load_1min))
        append(out, capacity, "load average unknown: the machine may have been busy before the run");
    else if (run->host_before.load_1min > 0.5 * cpu_info()->cores_allowed) {
        snprintf(part, sizeof part, "the machine was busy before the run (load average %.1f on %u core%s)",
                 run->host_before.load_1min, cpu_info()->cores_allowed,
                 cpu_info()->cores_allowed == 1 ? "" : "s");
        append(out, capacity, part);
    }
}
