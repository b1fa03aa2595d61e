/* The timed tests, by the protocol: a warm-up of the same shape, kept apart, then the repeats. While a repeat
 * is timed the gate is closed; one that overlapped with served work all the same is done again. Whoever
 * measures (a lab, a remote server) is a function. When the time of a budget is up, what is left is left out
 * and told.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/run_internal.h"

enum { MAX_REDOS = 3 };

static void phase(struct run *run, const char *name)
{
    if (run->monitor)
        monitor_phase(run->monitor, name);
}

/* ---- one measurement ---- */

static void lost(struct lab_result *out, const struct error *why)
{
    *out = (struct lab_result){.sample = {.outcome = OUTCOME_ERROR}, .probe = {.gbps = NAN}};
    for (int m = 0; m < METRICS; m++)
        out->sample.value[m] = NAN;
    out->aggregate_decode_tps = out->weight_bytes_per_token = out->kv_bytes_per_token = NAN;
    out->flops_per_token = out->prefill_flops = NAN;
    snprintf(out->sample.message, sizeof out->sample.message, "%.*s", (int)sizeof out->sample.message - 1,
             why->message);
}

/* What measures, and how it is made whole again. */
struct measurer {
    run_measure measure;
    int (*revive)(struct run *run, struct error *error);
};

/* When what is measured is gone, that is this sample's outcome, and the next one gets another. */
static int measure(struct run *run, const struct measurer *by, const struct scenario *scenario, bool timed,
                   struct lab_result *out, struct error *error)
{
    struct error problem = {0};
    int status = by->measure(run, scenario, timed, out, &problem);
    if (status == ERROR_IO) {
        lost(out, &problem);
        run_note(run, "%s: %s", scenario->label, problem.message);
        return by->revive ? by->revive(run, error) : 0;
    }
    if (status && error)
        *error = problem;
    return status;
}

/* A repeat with nobody else served. The wait for those who are being served is not part of its phase. */
static int measure_alone(struct run *run, const struct measurer *by, const struct run_test *test,
                         uint32_t number, struct lab_result *out, struct error *error)
{
    char name[80];
    snprintf(name, sizeof name, "%s, run %u", test->scenario.id, number);
    const struct gate *gate = run->hooks->gate;
    for (int redo = 0;; redo++) {
        int status = gate ? gate->close(gate->context, GATE_WAIT_MS, run->hooks->cancel, error) : 0;
        if (status)
            return status;
        phase(run, name);
        status = measure(run, by, &test->scenario, true, out, error);
        phase(run, NULL);
        bool overlapped = gate && gate->open(gate->context);
        if (status || !overlapped)
            return status;
        if (redo == MAX_REDOS) {
            run_note(run,
                     "%s, repeat %u: others were served during each of %d tries; the last one is kept and "
                     "does not count",
                     test->scenario.label, number, MAX_REDOS + 1);
            out->sample.outcome = OUTCOME_ERROR;
            snprintf(out->sample.message, sizeof out->sample.message,
                     "other requests were served during every try");
            return 0;
        }
        run_note(run, "%s: somebody else was served during repeat %u; it is done again", test->scenario.label,
                 number);
        sample_free(&out->sample);
    }
}

/* ---- one test ---- */

static int warm_up(struct run *run, const struct measurer *by, struct run_test *test, struct error *error)
{
    char name[80];
    run_tell_step(run, "%s, warm-up", test->scenario.label);
    snprintf(name, sizeof name, "%s, warm-up", test->scenario.id);
    phase(run, name);
    int status = measure(run, by, &test->scenario, false, &test->warmup, error);
    phase(run, NULL);
    if (!status)
        run_tell_sample(run, test, 0, &test->warmup.sample);
    return status;
}

static int repeat(struct run *run, const struct measurer *by, struct run_test *test, uint32_t number,
                  struct error *error)
{
    struct lab_result *out = &test->results[number - 1];
    run_tell_step(run, "%s, run %u of %u", test->scenario.label, number, run->repeats);
    int status = measure_alone(run, by, test, number, out, error);
    if (status)
        return status;
    test->n_results = number;
    run_tell_sample(run, test, number, &out->sample);
    return 0;
}

/* ---- the clock, in a run with a budget ---- */

/* How wrong the estimates were so far. */
struct pace {
    double real_s, expected_s;
};

static double expected_s(const struct run *run, const struct pace *pace, const struct scenario *scenario)
{
    double slower = pace->expected_s > 0 ? fmax(1, pace->real_s / pace->expected_s) : 1;
    return slower * scenario_seconds(scenario, run->prefill_tps, run->decode_tps);
}

static bool kind_was_run(const struct run *run, enum scenario_kind kind)
{
    for (size_t i = 0; i < run->n_tests; i++)
        if (run->tests[i].scenario.kind == kind)
            return true;
    return false;
}

/* What the first tests of kinds to come take, those behind item i of the plan: a warm-up and a repeat each.
 */
static double reserved_s(const struct run *run, const struct pace *pace, size_t i)
{
    bool seen[] = {[SCENARIO_PROMPT] = false, [SCENARIO_PREFILL] = false, [SCENARIO_DECODE] = false};
    double seconds = 0;
    seen[run->plan.items[i].kind] = true;
    for (size_t k = i + 1; k < run->plan.count; k++) {
        const struct scenario *next = &run->plan.items[k];
        if (!seen[next->kind] && !kind_was_run(run, next->kind))
            seconds += 2 * expected_s(run, pace, next);
        seen[next->kind] = true;
    }
    return seconds;
}

/* Whether what takes so long, from now on, ends too late. The first test of a kind may use all of the budget;
 * the others leave room for those, and for what comes behind the tests. */
static bool too_late(const struct run *run, double seconds, bool first_of_kind, double reserve_s)
{
    if (!(run->budget_s > 0))
        return false;
    double now_s = run_elapsed_s(run);
    if (first_of_kind)
        return now_s + seconds > run->budget_s;
    bool ends_earlier = run->tests_until_s > 0 && run->tests_until_s < run->budget_s;
    return now_s + seconds > (ends_earlier ? run->tests_until_s : run->budget_s) ||
           now_s + seconds + reserve_s > run->budget_s;
}

static void cut_test(struct run *run, const struct scenario *scenario)
{
    json_array_append_new(run->cuts, json_sprintf("%s left out: the time was up", scenario->label));
}

static void cut_repeats(struct run *run, const struct scenario *scenario, uint32_t from)
{
    json_t *text = from == run->repeats
                       ? json_sprintf("%s, repeat %u left out: the time was up", scenario->label, from)
                       : json_sprintf("%s, repeats %u to %u left out: the time was up", scenario->label, from,
                                      run->repeats);
    json_array_append_new(run->cuts, text);
}

/* ---- all tests ---- */

static int run_test(struct run *run, const struct measurer *by, struct run_test *test, struct pace *pace,
                    double reserve_s, struct error *error)
{
    double seconds = scenario_seconds(&test->scenario, run->prefill_tps, run->decode_tps);
    double done_s = run->done_s + seconds * (run->repeats + 1), begin_s = run_elapsed_s(run);
    test->results = calloc(run->repeats, sizeof *test->results);
    if (!test->results)
        return error_memory(error, "the samples of a test", run->repeats * sizeof *test->results);
    int status = warm_up(run, by, test, error);
    double real_s = run_elapsed_s(run) - begin_s;
    pace->real_s += real_s;
    pace->expected_s += seconds;
    run->slower = pace->expected_s > 0 ? fmax(1, pace->real_s / pace->expected_s) : 1;
    run->done_s += seconds;
    bool going = true;
    for (uint32_t i = 1; !status && going && i <= run->repeats; i++) {
        if (i > 1 && too_late(run, real_s, false, reserve_s)) {
            cut_repeats(run, &test->scenario, i);
            break;
        }
        status = repeat(run, by, test, i, error);
        enum target_outcome outcome = test->results[i - 1].sample.outcome;
        going = outcome == OUTCOME_OK || outcome == OUTCOME_SHORT; /* others fail the same way again */
        run->done_s += seconds;
    }
    run->done_s = done_s;
    run_test_summarize(test);
    return status;
}

int run_each_test(struct run *run, run_measure measure_one,
                  int (*revive)(struct run *run, struct error *error), struct error *error)
{
    struct measurer by = {measure_one, revive};
    struct pace pace = {0};
    run->tests = calloc(run->plan.count ? run->plan.count : 1, sizeof *run->tests);
    if (!run->tests)
        return error_memory(error, "a report", run->plan.count * sizeof *run->tests);
    run->phase = "tests";
    for (size_t i = 0; i < run->plan.count; i++) {
        if (run_cancelled(run))
            return error_set(error, ERROR_CANCELLED, "cancelled");
        const struct scenario *scenario = &run->plan.items[i];
        bool first = !kind_was_run(run, scenario->kind);
        if (run->n_tests > 0 && too_late(run, 2 * expected_s(run, &pace, scenario), first,
                                         first ? 0 : reserved_s(run, &pace, i))) {
            cut_test(run, scenario);
            run->done_s += scenario_seconds(scenario, run->prefill_tps, run->decode_tps) * (run->repeats + 1);
            continue;
        }
        struct run_test *test = &run->tests[run->n_tests];
        test->scenario = *scenario;
        test->remote = run->target != NULL;
        double reserve_s = reserved_s(run, &pace, i);
        run->n_tests++;
        int status = run_test(run, &by, test, &pace, reserve_s, error);
        if (status)
            return status;
    }
    return 0;
}
