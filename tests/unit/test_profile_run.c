/* Whole runs of a tiny model (this program is its own lab), what a run makes of trouble, and the sums behind
 * a test's figures. */
#include "support/tiny_model.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "platform/clock.h"
#include "profile/json_get.h"
#include "profile/perfetto.h"
#include "profile/run_internal.h"

#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-6 * (1 + fabs((double)(b))))

static char folder[256], cache[300];
static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_BF16, .seed = 6};
    tiny_model_write(&options, folder, sizeof folder);
    snprintf(cache, sizeof cache, "%s/cache", folder); /* of the ceilings: nobody else's */
    setenv("LLMIND_CACHE_DIR", cache, 1);
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    char path[340];
    (void)state;
    snprintf(path, sizeof path, "%s/ceilings.json", cache);
    remove(path);
    remove(cache);
    tiny_model_remove(folder);
    arena_free(&arena);
    return 0;
}

/* ---- runs ---- */

struct watched {
    uint32_t n_phases, n_samples, n_warmups, n_notes;
    double last_progress;
    bool fell; /* progress went back */
    char last_note[400];
    /* what to do at the first timed sample of the test called `at` */
    const char *at;
    void (*act)(struct watched *watched);
    atomic_int cancel;
};

static void on_event(void *context, const json_t *event)
{
    struct watched *watched = context;
    double progress = json_get_number(event, "progress");
    if (progress < watched->last_progress - 1e-9)
        watched->fell = true;
    if (progress >= 0)
        watched->last_progress = progress;
    bool sample = json_get_is(event, "type", "sample"), warmup = json_get_bool(event, "warmup", false);
    watched->n_phases += json_get_is(event, "type", "phase");
    watched->n_warmups += sample && warmup;
    watched->n_samples += sample && !warmup;
    if (json_get_is(event, "type", "note")) {
        watched->n_notes++;
        snprintf(watched->last_note, sizeof watched->last_note, "%s", json_get_text(event, "text", ""));
    }
    if (sample && !warmup && watched->act && json_get_is(event, "test", watched->at)) {
        void (*act)(struct watched *) = watched->act;
        watched->act = NULL;
        act(watched);
    }
}

static struct profile_request request_of(const char *text)
{
    struct profile_request request;
    struct error error = {0};
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    if (profile_request_read(json, &arena, &request, &error))
        fail_msg("%s", error.message);
    json_decref(json);
    for (size_t i = 0; i < request.n_models; i++)
        request.models[i].path = folder;
    return request;
}

static const char short_run[] = "{\"model_name\": \"tiny\", \"repeats\": 2, \"max_tokens\": 8,"
                                " \"test_prompts\": [\"Hi.\"], \"configurations\": [], \"trace\": false,"
                                " \"knobs\": {\"threads\": 1, \"context\": 200}}";

static json_t *run_it(const struct profile_request *request, struct watched *watched, const struct gate *gate,
                      int expected)
{
    struct run_hooks hooks = {
        .on_event = on_event, .context = watched, .cancel = &watched->cancel, .gate = gate};
    json_t *report = NULL;
    struct error error = {0};
    int status = run_profile(request, &hooks, &report, &error);
    if (status != expected)
        fail_msg("%d instead of %d: %s", status, expected, error.message);
    assert_non_null(report);
    return report;
}

/* Members that are null have a reason. */
static void assert_reasons(const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)value, key, member) {
        char name[128];
        snprintf(name, sizeof name, "%s_reason", key);
        if (json_is_null(member) && !json_string_value(json_object_get(value, name)) &&
            !json_object_get(value, "reason"))
            fail_msg("%s is null without a reason", key);
        assert_reasons(member);
    }
    json_array_foreach(value, i, member)
        assert_reasons(member);
}

static void a_whole_run(void **state)
{
    (void)state;
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    request.trace = true;
    json_t *report = run_it(&request, &watched, NULL, 0);
    assert_true(json_get_is(report, "schema", "llmind.report/1") && json_get_is(report, "kind", "profile"));
    assert_true(json_get_is(report, "status", "success") && json_get_is(report, "mode", "full"));
    assert_true(json_get_is(report, "model.name", "tiny"));
    assert_int_equal(json_get_number(report, "flags.threads"), 1);
    assert_int_equal(json_get_number(report, "flags.context"), 200);
    const json_t *tests = json_get_array(report, "tests");
    assert_int_equal(json_get_count(report, "tests"), 3); /* the prompt, prefill, decode at depth 0 */
    for (size_t i = 0; i < 3; i++) {
        const json_t *test = json_get_item(tests, i);
        assert_int_equal(json_get_number(test, "outcomes.ok"), 2);
        assert_int_equal(json_get_count(test, "samples"), 2);
        assert_true(json_get_number(test, "samples.0.read_gbps") > 0);
        assert_null(json_get(test, "warmup.read_gbps"));
        assert_int_equal(json_get_number(test, "samples.0.generated_tokens"),
                         json_get_number(test, "max_tokens"));
    }
    assert_int_equal(json_get_number(report, "tests.0.max_tokens"), 8);
    assert_true(json_get_number(report, "memory.measured.footprint_peak_bytes") > 0);
    assert_true(json_get_number(report, "ceilings.memory_read.value") > 0);
    assert_true(json_get_count(report, "sensors.series") > 0);
    assert_int_equal(json_get_count(report, "traces"), 1); /* no deeper test fits this context */
    assert_true(json_get_number(report, "traces.0.covered_fraction") > 0.5);
    assert_non_null(json_get_object(report, "analysis"));
    assert_int_equal(watched.n_warmups, 3);
    assert_int_equal(watched.n_samples, 6);
    assert_false(watched.fell);
    NEAR(watched.last_progress, 1);

    json_t *trace = NULL;
    assert_int_equal(perfetto_trace(report, &trace, NULL), 0);
    assert_int_equal(json_get_count(trace, "traceEvents"), 1 + json_get_count(report, "traces.0.segments"));
    double at = json_get_number(trace, "traceEvents.1.ts") + json_get_number(trace, "traceEvents.1.dur");
    NEAR(json_get_number(trace, "traceEvents.2.ts"), at);
    json_decref(trace);
    json_object_set_new(report, "traces", json_array());
    assert_int_equal(perfetto_trace(report, &trace, NULL), ERROR_NOT_FOUND);
    json_decref(report);
}

static void null_has_its_reason(void **state)
{
    (void)state;
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    json_t *report = run_it(&request, &watched, NULL, 0);
    static const char *const ours[] = {"model", "machine", "flags",   "protocol",
                                       "host",  "memory",  "summary", "tests"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        assert_reasons(json_get(report, ours[i]));
    assert_true(json_is_null(json_get(report, "comparison")) && json_get_string(report, "comparison_reason"));
    assert_true(json_is_null(json_get(report, "target")) && json_get_string(report, "target_reason"));
    json_decref(report);
}

static void what_cannot_be_opened_is_a_failed_report(void **state)
{
    (void)state;
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    request.models[0].path = "/nowhere/model"; /* deleted meanwhile */
    json_t *report = run_it(&request, &watched, NULL, ERROR_NOT_FOUND);
    assert_true(json_get_is(report, "status", "failed"));
    assert_non_null(strstr(json_get_text(report, "message", ""), "tiny")); /* its name, and not its folder */
    assert_null(strstr(json_get_text(report, "message", ""), "/nowhere"));
    assert_int_equal(json_get_count(report, "tests"), 0);
    assert_true(json_get_is(report, "model.name", "tiny"));
    assert_true(json_is_null(json_get(report, "flags")) && json_is_null(json_get(report, "memory")));
    json_decref(report);

    request.models[0].path = NULL;
    request.models[0].problem = "there is none called 'tiny'";
    report = run_it(&request, &watched, NULL, ERROR_NOT_FOUND);
    assert_true(json_get_is(report, "message", "there is none called 'tiny'"));
    json_decref(report);
}

static void a_prompt_too_long_spoils_nothing_else(void **state)
{
    (void)state;
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    static char text[3000];
    memset(text, 'x', sizeof text - 1);
    request.prompts[1] = text;
    request.n_prompts = 2;
    json_t *report = run_it(&request, &watched, NULL, 0);
    assert_true(json_get_is(report, "status", "success"));
    assert_int_equal(json_get_number(report, "tests.1.outcomes.error"), 1); /* not tried again */
    json_decref(report);

    request.prompts[0] = text; /* no prompt was measured at all */
    report = run_it(&request, &watched, NULL, 0);
    assert_true(json_get_is(report, "status", "failed"));
    assert_true(json_get_is(report, "message", "no prompt ended well"));
    assert_true(json_get_number(report, "summary.decode_tokens_per_second") > 0);
    json_decref(report);
}

/* ---- trouble on the way ---- */

static void cancel_it(struct watched *watched)
{
    atomic_store(&watched->cancel, 1);
}

static void cancelled_in_the_middle(void **state)
{
    (void)state;
    struct watched watched = {.at = "prompt_1", .act = cancel_it};
    struct profile_request request = request_of(short_run);
    json_t *report = run_it(&request, &watched, NULL, ERROR_CANCELLED);
    assert_true(json_get_is(report, "status", "cancelled"));
    assert_int_equal(json_get_count(report, "tests"), 1);
    assert_true(json_get_count(report, "tests.0.samples") >= 1);
    assert_true(json_get_number(report, "tests.0.summary.ttft_ms.median") > 0);
    json_decref(report);
}

/* The labs of this process. */
static void kill_labs(struct watched *watched)
{
    DIR *proc = opendir("/proc");
    (void)watched;
    if (!proc)
        return;
    for (struct dirent *entry; (entry = readdir(proc));) {
        char path[64], name[64];
        int pid = atoi(entry->d_name), parent;
        snprintf(path, sizeof path, "/proc/%d/stat", pid);
        FILE *file = pid > 0 ? fopen(path, "r") : NULL;
        if (!file)
            continue;
        if (fscanf(file, "%*d (%63[^)]) %*c %d", name, &parent) == 2 && parent == getpid() &&
            strcmp(name, "llmind-lab") == 0)
            kill(pid, SIGKILL);
        fclose(file);
    }
    closedir(proc);
}

static void another_lab_goes_on(void **state)
{
    (void)state;
    struct watched watched = {.at = "prompt_1", .act = kill_labs};
    struct profile_request request = request_of(short_run);
    json_t *report = run_it(&request, &watched, NULL, 0);
#ifdef __linux__
    assert_int_equal(watched.n_notes, 1);
    assert_non_null(strstr(watched.last_note, "killed by signal 9"));
    assert_int_equal(json_get_count(report, "notes"), 1);
    assert_int_equal(json_get_number(report, "tests.0.outcomes.error"), 1);
    assert_int_equal(json_get_number(report, "tests.0.outcomes.ok"), 1);
    assert_int_equal(json_get_number(report, "tests.2.outcomes.ok"), 2);
    assert_true(json_get_is(report, "status", "success"));
#endif
    json_decref(report);
}

/* ---- the gate ---- */

struct fake_gate {
    int closed, opened, restored;
    int overlaps; /* how many of the first openings after that of the ceilings tell of served work */
    uint64_t room;
};

static int gate_close(void *context, uint32_t wait_ms, const atomic_int *cancel, struct error *error)
{
    struct fake_gate *fake = context;
    (void)cancel;
    (void)error;
    assert_true(wait_ms > 0);
    assert_int_equal(fake->closed, fake->opened); /* never twice */
    fake->closed++;
    return 0;
}

static bool gate_open(void *context)
{
    struct fake_gate *fake = context;
    fake->opened++;
    return fake->opened > 1 && fake->opened <= 1 + fake->overlaps;
}

static int gate_make_room(void *context, uint64_t bytes, bool unload_current, struct error *error)
{
    struct fake_gate *fake = context;
    fake->room = bytes;
    return unload_current ? 0 : error_set(error, ERROR_LIMIT, "no room for %llu", (unsigned long long)bytes);
}

static void gate_restore(void *context)
{
    struct fake_gate *fake = context;
    fake->restored++;
}

static struct gate gate_of(struct fake_gate *fake)
{
    return (struct gate){.close = gate_close,
                         .open = gate_open,
                         .make_room = gate_make_room,
                         .restore = gate_restore,
                         .context = fake};
}

static void an_overlapped_repeat_is_done_again(void **state)
{
    (void)state;
    struct fake_gate fake = {.overlaps = 2};
    struct gate gate = gate_of(&fake);
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    request.unload_current = true;
    json_t *report = run_it(&request, &watched, &gate, 0);
    assert_int_equal(fake.closed, 1 + 6 + 2); /* the ceilings; repeats, not warm-ups; two of them again */
    assert_int_equal(fake.opened, fake.closed);
    assert_int_equal(watched.n_notes, 2);
    assert_non_null(strstr(watched.last_note, "repeat 1; it is done again"));
    assert_int_equal(json_get_count(report, "notes"), 2);
    assert_int_equal(json_get_number(report, "tests.0.outcomes.ok"), 2);
    assert_true(fake.room > 10000 && fake.restored == 1);
    json_decref(report);
}

static void who_is_always_overlapped_does_not_count(void **state)
{
    (void)state;
    struct fake_gate fake = {.overlaps = 4};
    struct gate gate = gate_of(&fake);
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    request.unload_current = true;
    json_t *report = run_it(&request, &watched, &gate, 0);
    assert_int_equal(json_get_number(report, "tests.0.outcomes.error"), 1);
    assert_non_null(strstr(json_get_text(report, "tests.0.samples.0.message", ""), "other requests"));
    assert_int_equal(json_get_number(report, "tests.1.outcomes.ok"), 2);
    json_decref(report);
}

static void no_room_no_run(void **state)
{
    (void)state;
    struct fake_gate fake = {.overlaps = 0};
    struct gate gate = gate_of(&fake);
    struct watched watched = {.n_notes = 0};
    struct profile_request request = request_of(short_run);
    json_t *report = run_it(&request, &watched, &gate, ERROR_LIMIT);
    assert_int_equal(fake.closed, 0);
    assert_int_equal(fake.restored, 1);
    assert_true(json_get_is(report, "status", "failed"));
    json_decref(report);
}

/* ---- the sums ---- */

/* A decode test of three repeats at these TPOTs (ms), 100 MB a token, beside a probe of 20 GB/s. */
static void fill_decode(struct run_test *test, struct lab_result results[3], const double tpot_ms[3])
{
    memset(test, 0, sizeof *test);
    memset(results, 0, 3 * sizeof *results);
    test->scenario = (struct scenario){.kind = SCENARIO_DECODE, .prompt_tokens = 1, .max_tokens = 129};
    test->results = results;
    test->n_results = 3;
    for (int i = 0; i < 3; i++) {
        struct lab_result *result = &results[i];
        for (int m = 0; m < METRICS; m++)
            result->sample.value[m] = NAN;
        result->sample.value[METRIC_TPOT_MS] = tpot_ms[i];
        result->sample.value[METRIC_DECODE_TPS] = 1000 / tpot_ms[i];
        result->weight_bytes_per_token = 90e6;
        result->kv_bytes_per_token = 10e6;
        result->probe = (struct probe_result){.gbps = 20, .passes = 3, .level = PROBE_MEMORY};
    }
}

static void mbu_is_bytes_over_time_over_ceiling(void **state)
{
    (void)state;
    struct run_test test;
    struct lab_result results[3];
    fill_decode(&test, results, (const double[]){10, 10, 8});
    run_test_summarize(&test);
    /* 100 MB in 10 ms = 10 GB/s = half of 20 GB/s */
    NEAR(test.achieved_gbps.median, 10);
    NEAR(test.mbu.median, 0.5);
    NEAR(test.mbu.max, 0.625);
    assert_string_equal(test.mbu_reason, "");
    assert_int_equal(test.outcomes[OUTCOME_OK], 3);
    assert_int_equal(test.grade, GRADE_FAIR); /* 100 100 125 tok/s: cv 13.3 % */
}

static void impossible_mbu_is_refused(void **state)
{
    (void)state;
    struct run_test test;
    struct lab_result results[3];
    fill_decode(&test, results, (const double[]){4, 4, 4}); /* 25 GB/s of 20 */
    run_test_summarize(&test);
    assert_int_equal(test.mbu.n, 0);
    assert_true(isnan(test.mbu.median));
    assert_non_null(
        strstr(test.mbu_reason, "refused: 125 % of the probed ceiling, and up to 105 % is taken for noise"));
    NEAR(test.achieved_gbps.median, 25); /* what was measured is still shown */
}

static void no_mbu_between_cache_and_memory(void **state)
{
    (void)state;
    struct run_test test;
    struct lab_result results[3];
    fill_decode(&test, results, (const double[]){10, 10, 10});
    for (int i = 0; i < 3; i++)
        results[i].probe.level = PROBE_MIXED;
    run_test_summarize(&test);
    assert_int_equal(test.mbu.n, 0);
    assert_non_null(strstr(test.mbu_reason, "one to two times as large as the last-level cache"));
    NEAR(test.read_gbps.median, 20);
    for (int i = 0; i < 3; i++)
        results[i].probe.gbps = NAN;
    run_test_summarize(&test);
    assert_string_equal(test.mbu_reason, "the read bandwidth could not be probed");
}

static void failed_runs_stay_out_of_averages(void **state)
{
    (void)state;
    struct run_test test;
    struct lab_result results[3];
    fill_decode(&test, results, (const double[]){10, 10, 1});
    results[2].sample.outcome = OUTCOME_SHORT;
    run_test_summarize(&test);
    assert_int_equal(test.metric[METRIC_DECODE_TPS].n, 2);
    NEAR(test.metric[METRIC_DECODE_TPS].mean, 100);
    assert_int_equal(test.outcomes[OUTCOME_SHORT], 1);
    results[0].sample.outcome = results[1].sample.outcome = OUTCOME_TIMEOUT;
    run_test_summarize(&test);
    assert_int_equal(test.metric[METRIC_DECODE_TPS].n, 0);
    assert_int_equal(test.grade, GRADE_UNKNOWN);
    assert_string_equal(run_test_reason(&test, METRIC_DECODE_TPS), "no run of this test ended well");
}

static void drift_is_flagged(void **state)
{
    (void)state;
    struct run_test test;
    struct lab_result results[3];
    fill_decode(&test, results, (const double[]){10, 11, 12});
    run_test_summarize(&test);
    assert_true(test.drifts);
    NEAR(test.drift, 10.0 / 12 - 1);
}

/* ---- a budget ---- */

/* A target on a clock of its own: each run takes `slower` times what was expected of it. */
static double slower;
static uint32_t runs_of[3];

static int fake_measure(struct run *run, const struct scenario *scenario, bool timed, struct lab_result *out,
                        struct error *error)
{
    (void)timed;
    (void)error;
    *out = (struct lab_result){.probe = {.gbps = NAN}};
    for (int m = 0; m < METRICS; m++)
        out->sample.value[m] = NAN;
    double seconds = slower * scenario_seconds(scenario, run->prefill_tps, run->decode_tps);
    run->begin_ns -= (uint64_t)(seconds * 1e9);
    runs_of[scenario->kind]++;
    return 0;
}

/* Plans for a budget of 50 s, at these speeds, and runs the tests; *run: then its tests and cuts. */
static void run_fake(struct run *run, const struct profile_request *request, double plan_s)
{
    static const struct run_hooks no_hooks = {0};
    struct error error = {0};
    *run = (struct run){.request = request,
                        .hooks = &no_hooks,
                        .repeats = 3,
                        .budget_s = 50,
                        .begin_ns = clock_now_ns(),
                        .prefill_tps = 400,
                        .decode_tps = 80,
                        .cuts = json_array(),
                        .notes = json_array()};
    struct scenario_request wish = {.context = 8192,
                                    .runs = 4,
                                    .budget_s = plan_s,
                                    .prefill_tps = run->prefill_tps,
                                    .decode_tps = run->decode_tps};
    scenario_plan(&wish, &run->plan);
    memset(runs_of, 0, sizeof runs_of);
    assert_int_equal(run_each_test(run, fake_measure, NULL, &error), 0);
}

static void free_fake(struct run *run)
{
    for (size_t i = 0; i < run->n_tests; i++)
        free(run->tests[i].results);
    free(run->tests);
    json_decref(run->cuts);
    json_decref(run->notes);
}

static bool was_cut(const struct run *run, const char *text)
{
    for (size_t i = 0; i < json_array_size(run->cuts); i++)
        if (strstr(json_string_value(json_array_get(run->cuts, i)), text))
            return true;
    return false;
}

static void as_fast_as_expected_is_not_cut(void **state)
{
    (void)state;
    struct profile_request request = {.quick = true};
    struct run run;
    slower = 1;
    run_fake(&run, &request, 49);
    assert_int_equal(run.n_tests, run.plan.count);
    assert_int_equal(json_array_size(run.cuts), 0);
    for (size_t i = 0; i < run.n_tests; i++)
        assert_int_equal(run.tests[i].n_results, 3);
    free_fake(&run);
}

static void when_the_time_is_up(void **state)
{
    (void)state;
    struct profile_request request = {.quick = true};
    struct run run;
    slower = 3; /* the calibration was wrong */
    run_fake(&run, &request, 49);
    assert_true(run_elapsed_s(&run) <= 50.5);
    assert_true(run_elapsed_s(&run) > 30); /* and the time is used */
    assert_true(json_array_size(run.cuts) >= 2);
    assert_int_equal(run.tests[0].n_results, 3);
    assert_true(was_cut(&run, "left out: the time was up"));
    /* each kind has a repeat, and a test that is there has one */
    for (int kind = 0; kind < 3; kind++)
        assert_true(runs_of[kind] >= 2);
    for (size_t i = 0; i < run.n_tests; i++)
        assert_true(run.tests[i].n_results >= 1 && run.tests[i].outcomes[OUTCOME_OK] >= 1);
    assert_true(run.n_tests < run.plan.count);
    assert_true(was_cut(&run, "complex left out: the time was up"));
    NEAR(run.done_s, run.plan.expected_s); /* progress ends at its end */
    free_fake(&run);

    slower = 30; /* hopeless: the first prompt all the same, once */
    run_fake(&run, &request, 49);
    assert_int_equal(run.n_tests, 1);
    assert_int_equal(run.tests[0].n_results, 1);
    assert_int_equal(runs_of[SCENARIO_PROMPT], 2);
    assert_true(was_cut(&run, "simple, repeats 2 to 3 left out: the time was up"));
    assert_true(was_cut(&run, "decode 128 @ 0 left out: the time was up"));
    assert_int_equal(json_array_size(run.cuts), run.plan.count);
    free_fake(&run);
}

static void a_run_without_a_budget_is_not_cut(void **state)
{
    (void)state;
    struct profile_request request = {.quick = false};
    struct run run;
    static const struct run_hooks no_hooks = {0};
    run = (struct run){.request = &request,
                       .hooks = &no_hooks,
                       .repeats = 2,
                       .begin_ns = clock_now_ns(),
                       .prefill_tps = 1,
                       .decode_tps = 1,
                       .cuts = json_array(),
                       .notes = json_array()};
    struct scenario_request wish = {.context = 8192, .runs = 3};
    struct error error = {0};
    scenario_plan(&wish, &run.plan);
    slower = 5;
    assert_int_equal(run_each_test(&run, fake_measure, NULL, &error), 0);
    assert_int_equal(run.n_tests, run.plan.count);
    assert_int_equal(json_array_size(run.cuts), 0);
    free_fake(&run);
}

static void configurations_without_time_are_left_out(void **state)
{
    (void)state;
    struct profile_request request = {.quick = true, .all_configurations = true};
    struct run run = {.request = &request, .budget_s = 50, .prefill_tps = 400, .decode_tps = 80, .slower = 1};
    run.cuts = json_array();
    run.begin_ns = clock_now_ns() - 40000000000U; /* 10 s are left, and the least takes 1.6 */
    run_cut_configurations(&run);
    assert_true(run_wants_configurations(&run));
    assert_int_equal(json_array_size(run.cuts), 0);
    run.slower = 10;
    run_cut_configurations(&run);
    assert_false(run_wants_configurations(&run));
    assert_true(was_cut(&run, "configurations left out: the time was up"));
    run.no_configurations = false;
    run.budget_s = 0; /* a full run */
    run_cut_configurations(&run);
    assert_true(run_wants_configurations(&run));
    json_decref(run.cuts);
}

/* ---- figures that cannot be ---- */

static void impossible_mfu_is_refused(void **state)
{
    (void)state;
    struct profile_request request = {.quick = true};
    struct run run = {.request = &request, .repeats = 3, .n_tests = 1};
    struct run_test test;
    struct lab_result results[3];
    fill_decode(&test, results, (const double[]){10, 10, 10});
    run.tests = &test;
    run.ceilings = json_pack("{s:{s:f}}", "f32", "value", 100.0);
    run.lab_info = json_pack("{s:{s:s}}", "model", "quantization", "bf16");
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 3; i++) {
            results[i].prefill_flops = (k ? 110 : 104) * 1e9; /* in a second */
            results[i].sample.value[METRIC_PREFILL_MS] = 1000;
        }
        run_test_summarize(&test);
        json_t *tests = run_tests_json(&run);
        const json_t *roofline = json_get(json_array_get(tests, 0), "roofline");
        if (k == 0) {
            NEAR(json_get_number(roofline, "mfu"), 1.04); /* noise */
        } else {
            assert_true(json_is_null(json_get(roofline, "mfu")));
            assert_non_null(
                strstr(json_get_text(roofline, "mfu_reason", ""), "refused: 110 % of the measured"));
            NEAR(json_get_number(roofline, "prefill_gflops.median"), 110); /* still shown */
        }
        json_decref(tests);
    }
    json_decref(run.ceilings);
    json_decref(run.lab_info);
}

static void a_nominal_frequency_is_not_this_runs(void **state)
{
    (void)state;
    static const char *const qualities[] = {"measured", "nominal"};
    struct profile_request request = {.quick = true};
    for (int i = 0; i < 2; i++) {
        struct run run = {.request = &request, .repeats = 2, .begin_ns = clock_now_ns()};
        run.sensors = json_pack("{s:[{s:s, s:s, s:f}]}", "series", "id", "cpu_mhz", "quality", qualities[i],
                                "mean", 2400.0);
        json_t *report = run_report(&run, 0, NULL);
        if (i == 0) {
            NEAR(json_get_number(report, "host.frequency_mhz"), 2400);
        } else {
            assert_true(json_is_null(json_get(report, "host.frequency_mhz")));
            assert_non_null(strstr(json_get_text(report, "host.frequency_mhz_reason", ""), "nominal"));
        }
        json_decref(report);
        json_decref(run.sensors);
    }
}

static void unreadable_gauges_are_not_quiet(void **state)
{
    (void)state;
    struct profile_request request = {.quick = true};
    struct run run = {.request = &request, .repeats = 2};
    char quality[768];
    run.host_before.load_1min = 0.01;
    run_quality(&run, quality, sizeof quality);
    assert_non_null(strstr(quality, "(steal) is unknown")); /* no ticks were read */
    assert_null(strstr(quality, "load average unknown"));
    assert_non_null(strstr(quality, "quick mode, 2 repeats: indicative"));
    run.host_before.load_1min = NAN;
    run.host_before.ticks_known = run.host_after.ticks_known = true;
    run.host_after.ticks_total = 100;
    run_quality(&run, quality, sizeof quality);
    assert_non_null(strstr(quality, "load average unknown"));
    assert_null(strstr(quality, "steal"));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "lab") == 0)
        return lab_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_run),
        cmocka_unit_test(null_has_its_reason),
        cmocka_unit_test(what_cannot_be_opened_is_a_failed_report),
        cmocka_unit_test(a_prompt_too_long_spoils_nothing_else),
        cmocka_unit_test(cancelled_in_the_middle),
        cmocka_unit_test(another_lab_goes_on),
        cmocka_unit_test(an_overlapped_repeat_is_done_again),
        cmocka_unit_test(who_is_always_overlapped_does_not_count),
        cmocka_unit_test(no_room_no_run),
        cmocka_unit_test(mbu_is_bytes_over_time_over_ceiling),
        cmocka_unit_test(impossible_mbu_is_refused),
        cmocka_unit_test(no_mbu_between_cache_and_memory),
        cmocka_unit_test(failed_runs_stay_out_of_averages),
        cmocka_unit_test(drift_is_flagged),
        cmocka_unit_test(unreadable_gauges_are_not_quiet),
        cmocka_unit_test(as_fast_as_expected_is_not_cut),
        cmocka_unit_test(when_the_time_is_up),
        cmocka_unit_test(a_run_without_a_budget_is_not_cut),
        cmocka_unit_test(configurations_without_time_are_left_out),
        cmocka_unit_test(impossible_mfu_is_refused),
        cmocka_unit_test(a_nominal_frequency_is_not_this_runs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
