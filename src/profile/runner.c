#include "profile/runner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "platform/clock.h"
#include "profile/prompt.h"

enum {
    CALIBRATION_PROMPT = 64,
    CALIBRATION_TOKENS = 17,
    TIMEOUT_MS = 600 * 1000,
    TIMEOUT_QUICK_MS = 60 * 1000
};

struct runner {
    struct target target;
    const struct runner_options *options;
    struct report *report;
    struct prompt_source source;
    struct probe *probe;
    uint64_t nonce, start_ns;
    double prefill_tps, decode_tps; /* of the calibration run: what ETAs are made of */
    double expected_done_s;
    bool as_messages;
};

/* ---- one run ---- */

/* A request of the scenario's shape with a beginning of its own. Exactly one of *tokens and *text is set;
 * both are malloc'ed. */
static int make_request(struct runner *runner, const struct scenario *scenario,
                        struct target_request *request, int32_t **tokens, char **text, struct error *error)
{
    *request = (struct target_request){.max_tokens = scenario->max_tokens};
    *tokens = NULL;
    *text = NULL;
    runner->nonce++;
    if (scenario->kind == SCENARIO_PROMPT) {
        int status = prompt_text(scenario->prompt, runner->as_messages, runner->nonce, text, error);
        *(runner->as_messages ? &request->messages_json : &request->text) = *text;
        return status;
    }
    *tokens = malloc(scenario->prompt_tokens * sizeof **tokens);
    if (!*tokens)
        return error_memory(error, "a prompt", scenario->prompt_tokens * sizeof **tokens);
    prompt_fill(&runner->source, runner->nonce, *tokens, scenario->prompt_tokens);
    request->tokens = *tokens;
    request->n_tokens = scenario->prompt_tokens;
    return 0;
}

static int run_once(struct runner *runner, const struct scenario *scenario, struct sample *out,
                    struct error *error)
{
    struct target_request request;
    int32_t *tokens;
    char *text;
    struct target_trace trace = {0};
    int status = make_request(runner, scenario, &request, &tokens, &text, error);
    if (!status)
        status = target_run(&runner->target, &request, 1, &trace, error);
    if (!status)
        sample_from_trace(&trace, out);
    target_trace_free(&trace);
    free(tokens);
    free(text);
    return status;
}

/* ---- one test ---- */

static void tell(struct runner *runner, const struct report_test *test, uint32_t run)
{
    if (!runner->options->on_progress)
        return;
    double expected_s = runner->report->plan.expected_s;
    double elapsed_s = (double)(clock_now_ns() - runner->start_ns) / 1e9;
    double done = expected_s > 0 ? runner->expected_done_s / expected_s : NAN;
    struct runner_progress progress = {
        .label = test->scenario.label,
        .run = run,
        .n_runs = runner->report->repeats,
        .test = (size_t)(test - runner->report->tests),
        .n_tests = runner->report->plan.count,
        .fraction = done < 1 ? done : 1,
        /* until a twentieth is done the calibration knows better than the clock */
        .eta_s = done > 0.05 ? elapsed_s * (1 - done) / done : expected_s - runner->expected_done_s};
    runner->options->on_progress(runner->options->progress_context, &progress);
}

/* Bytes and operations of the test by the plan's own account, at the length it really had. */
static void count_costs(struct runner *runner, struct report_test *test)
{
    const struct plan *plan = engine_plan(runner->target.engine);
    uint32_t kv_bits = runner->report->info.kv_bits, prompt = test->warmup.prompt_tokens;
    if (prompt == 0)
        return;
    struct plan_step decode = {.n_tokens = 1,
                               .n_outputs = 1,
                               .n_sequences = 1,
                               .context = prompt + test->scenario.max_tokens / 2,
                               .kv_bits = kv_bits};
    struct plan_step prefill = {
        .n_tokens = prompt, .n_outputs = 1, .n_sequences = 1, .context = 0, .kv_bits = kv_bits};
    test->decode_cost = plan_step_cost(plan, &decode);
    test->prefill_cost = plan_step_cost(plan, &prefill);
}

static int run_test(struct runner *runner, struct report_test *test, struct error *error)
{
    const struct scenario *scenario = &test->scenario;
    uint32_t repeats = runner->report->repeats;
    double seconds = scenario_seconds(scenario, runner->prefill_tps, runner->decode_tps);
    test->samples = calloc(repeats, sizeof *test->samples);
    test->probes = calloc(repeats, sizeof *test->probes);
    test->prompt = scenario->prompt ? strdup(scenario->prompt) : NULL;
    if (!test->samples || !test->probes || (scenario->prompt && !test->prompt))
        return error_memory(error, "the samples of a test", repeats * sizeof *test->samples);
    tell(runner, test, 0);
    int status = run_once(runner, scenario, &test->warmup, error);
    runner->expected_done_s += seconds;
    bool going = test->warmup.outcome != OUTCOME_CANCELLED;
    for (uint32_t i = 0; !status && going && i < repeats; i++) {
        tell(runner, test, i + 1);
        probe_run(runner->probe, &test->probes[i]);
        status = run_once(runner, scenario, &test->samples[i], error);
        if (!status)
            test->n_samples = i + 1;
        going = test->samples[i].outcome == OUTCOME_OK || test->samples[i].outcome == OUTCOME_SHORT;
        runner->expected_done_s += seconds;
    }
    count_costs(runner, test);
    report_summarize(test);
    return status;
}

/* ---- the whole ---- */

/* A short run that brings weights and code into memory and tells how fast the model is, roughly. */
static int calibrate(struct runner *runner, struct error *error)
{
    uint32_t context = runner->report->info.context;
    struct scenario scenario = {
        .kind = SCENARIO_DECODE, .prompt_tokens = CALIBRATION_PROMPT, .max_tokens = CALIBRATION_TOKENS};
    if (context < CALIBRATION_PROMPT + CALIBRATION_TOKENS)
        scenario.prompt_tokens = scenario.max_tokens = context / 2 > 0 ? context / 2 : 1;
    for (int pass = 0; pass < 2; pass++) { /* the first one pays for cold pages */
        struct sample sample = {0};
        int status = run_once(runner, &scenario, &sample, error);
        if (!status && sample.outcome == OUTCOME_CANCELLED)
            status = error_set(error, ERROR_CANCELLED, "interrupted");
        else if (!status && sample.outcome != OUTCOME_OK)
            status = error_set(error, ERROR_INTERNAL, "the first run failed: %s", sample.message);
        runner->prefill_tps = sample.value[METRIC_PREFILL_TPS];
        runner->decode_tps = sample.value[METRIC_DECODE_TPS];
        sample_free(&sample);
        if (status)
            return status;
    }
    return 0;
}

static void describe_machine(struct report *report)
{
    report->cpu = *cpu_info();
    struct utsname name;
    if (uname(&name) == 0)
        snprintf(report->os, sizeof report->os, "%.60s %.60s", name.sysname, name.release);
}

static void account_memory(struct engine *engine, struct report *report)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    report->memory.weight_bytes = stats.weight_bytes;
    report->memory.kv_bytes = stats.kv_bytes;
    report->memory.scratch_bytes = stats.scratch_bytes;
    report->memory.kv_bytes_per_token = plan_kv_bytes_per_token(engine_plan(engine), report->info.kv_bits);
    report->memory.before = report->host_before.process;
    report->memory.after = report->host_after.process;
}

static int run_all(struct runner *runner, struct error *error)
{
    struct report *report = runner->report;
    const struct runner_options *options = runner->options;
    int status = calibrate(runner, error);
    if (status)
        return status;
    struct scenario_request request = {.prompts = options->prompts,
                                       .n_prompts = options->n_prompts,
                                       .context = report->info.context,
                                       .runs = report->repeats + 1,
                                       .budget_s = report->budget_s,
                                       .prefill_tps = runner->prefill_tps,
                                       .decode_tps = runner->decode_tps};
    scenario_plan(&request, &report->plan);
    report->tests = calloc(report->plan.count, sizeof *report->tests);
    if (!report->tests)
        return error_memory(error, "a report", report->plan.count * sizeof *report->tests);
    runner->start_ns = clock_now_ns();
    for (size_t i = 0; i < report->plan.count; i++) {
        report->tests[i].scenario = report->plan.items[i];
        report->n_tests = i + 1;
        status = run_test(runner, &report->tests[i], error);
        if (status)
            return status;
        if (options->cancel && atomic_load(options->cancel))
            return error_set(error, ERROR_CANCELLED, "interrupted; what was measured so far is shown");
    }
    return 0;
}

int runner_run(struct engine *engine, const struct runner_options *options, struct report *report,
               struct error *error)
{
    memset(report, 0, sizeof *report);
    uint64_t begin_ns = clock_now_ns();
    clock_wall_rfc3339(report->created, sizeof report->created);
    report->quick = options->quick;
    report->repeats = options->repeats ? options->repeats
                      : options->quick ? RUNNER_REPEATS_QUICK
                                       : RUNNER_REPEATS;
    report->budget_s = options->quick ? RUNNER_QUICK_BUDGET_S : 0;
    report->info = *engine_info(engine);
    if (options->model_name)
        report->info.model_name = options->model_name;
    describe_machine(report);
    host_read(&report->host_before);

    struct runner runner = {.target = {.engine = engine,
                                       .cancel = options->cancel,
                                       .timeout_ms = options->quick ? TIMEOUT_QUICK_MS : TIMEOUT_MS},
                            .options = options,
                            .report = report,
                            .nonce = begin_ns,
                            .as_messages = report->info.has_chat_template && !options->raw};
    int status = prompt_source_open(&runner.source, engine_tokenizer(engine), report->info.vocab, error);
    if (!status)
        status = probe_open(engine_plan(engine), report->info.n_threads, report->cpu.last_level_cache_bytes,
                            &runner.probe, error);
    if (!status)
        status = run_all(&runner, error);
    probe_close(runner.probe);
    prompt_source_close(&runner.source);
    host_read(&report->host_after);
    account_memory(engine, report);
    report->cancelled = status == ERROR_CANCELLED;
    report->duration_s = (double)(clock_now_ns() - begin_ns) / 1e9;
    return status;
}
