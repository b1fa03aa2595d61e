/* Tests of a model of this machine: in a lab, which is opened, calibrated, and opened again when it dies.
 *
 * The calibration is a short run that brings weights and code into memory and tells roughly how fast the
 * model is: what fits into the time of quick mode, and every ETA, is made of that.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "profile/run_internal.h"

enum { CALIBRATION_PROMPT = 64, CALIBRATION_TOKENS = 17, MAX_REVIVALS = 2 };

/* The first pass of the calibration took so much of a budget: the second is a quarter of it. */
static const double SLOW_CALIBRATION = 0.08;

/* Of the time of quick mode: what the tests get when configurations come behind them, and what traces and the
 * analysis need at the end. */
static const double TESTS_SHARE = 0.5, TRACE_S = 4;

/* Steps of a trace, traced and plain (engine/trace.c); and tokens of the least that configurations are: their
 * speed is looked up, and their baseline measured with a warm-up (configuration.c). */
enum { TRACE_STEPS = 12, LEAST_PROMPTS = 2 * 32 + 5 * 40, LEAST_STEPS = 2 * 9 + 5 * 12 };

/* For progress alone: what the configurations will take, in variants, runs of each (about 120 tokens), and
 * seconds to open and warm up a lab. */
enum { VARIANTS = 14, RUNS_QUICK = 10, RUNS = 24, RUN_TOKENS = 120 };
static const double OPEN_S = 0.4;

/* ---- the lab ---- */

int run_make_room(struct run *run, const char *path, struct error *error)
{
    const struct gate *gate = run->hooks->gate;
    struct model_summary summary;
    if (!gate || !gate->make_room || model_summarize(path, &summary, NULL))
        return 0; /* a model that cannot be read is refused by the lab, which says why */
    uint64_t bytes = summary.file_bytes;
    model_summary_free(&summary);
    return gate->make_room(gate->context, bytes, run->request->unload_current, error);
}

static int open_lab(struct run *run, struct error *error)
{
    struct lab_options options = {.engine = profile_request_engine(run->request, 0),
                                  .model_name = run->request->models[0].name,
                                  .raw = run->request->raw,
                                  .cancel = run->hooks->cancel};
    int status = lab_open(&options, &run->lab, error);
    if (status)
        return status;
    if (!run->lab_info)
        run->lab_info = json_deep_copy(lab_info(run->lab));
    if (run->monitor)
        monitor_watch(run->monitor, lab_pid(run->lab));
    return run->lab_info ? 0 : error_memory(error, "a report", 0);
}

int run_revive(struct run *run, struct error *error)
{
    lab_close(run->lab);
    run->lab = NULL;
    if (run->monitor)
        monitor_watch(run->monitor, 0);
    if (run->n_revivals++ == MAX_REVIVALS)
        return error_set(error, ERROR_IO, "the process that measures ended %d times; the notes say how",
                         MAX_REVIVALS + 1);
    return open_lab(run, error);
}

void run_account_memory(struct run *run, const struct lab_result *result)
{
    if (!result->memory.known)
        return;
    if (!run->memory.known)
        run->swap_first_bytes = result->memory.swap_bytes;
    uint64_t major_faults = run->memory.major_faults + result->memory.major_faults;
    run->memory = result->memory;
    run->memory.major_faults = major_faults;
}

static int measure(struct run *run, const struct scenario *scenario, bool timed, struct lab_result *out,
                   struct error *error)
{
    struct lab_run wish = {.scenario = *scenario,
                           .temperature = NAN,
                           .probe = timed,
                           .timeout_ms = run->request->quick ? RUN_TIMEOUT_QUICK_MS : RUN_TIMEOUT_MS};
    int status = lab_do(run->lab, &wish, out, error);
    if (!status)
        run_account_memory(run, out);
    return status;
}

/* ---- calibration and plan ---- */

static int calibrate(struct run *run, struct error *error)
{
    uint32_t context = lab_engine_info(run->lab)->context;
    struct scenario scenario = {
        .kind = SCENARIO_DECODE, .prompt_tokens = CALIBRATION_PROMPT, .max_tokens = CALIBRATION_TOKENS};
    if (context < CALIBRATION_PROMPT + CALIBRATION_TOKENS)
        scenario.prompt_tokens = scenario.max_tokens = context / 2 > 0 ? context / 2 : 1;
    for (int pass = 0; pass < 2; pass++) { /* the first one pays for cold pages */
        struct lab_result result;
        double begin_s = run_elapsed_s(run);
        int status = measure(run, &scenario, false, &result, error);
        if (status)
            return status;
        if (run->budget_s > 0 && run_elapsed_s(run) - begin_s > SLOW_CALIBRATION * run->budget_s) {
            scenario.prompt_tokens = (scenario.prompt_tokens + 3) / 4;
            scenario.max_tokens = (scenario.max_tokens + 3) / 4;
        }
        if (result.sample.outcome != OUTCOME_OK)
            status = error_set(error, ERROR_INTERNAL, "the first run failed: %s", result.sample.message);
        run->prefill_tps = result.sample.value[METRIC_PREFILL_TPS];
        run->decode_tps = result.sample.value[METRIC_DECODE_TPS];
        sample_free(&result.sample);
        if (status)
            return status;
    }
    return 0;
}

bool run_wants_configurations(const struct run *run)
{
    return !run->no_configurations &&
           (run->request->all_configurations || run->request->n_configurations > 0);
}

uint32_t run_deepest(const struct run *run)
{
    uint32_t depth = 0;
    size_t n = run->tests ? run->n_tests : run->plan.count;
    for (size_t i = 0; i < n; i++) {
        const struct scenario *item = run->tests ? &run->tests[i].scenario : &run->plan.items[i];
        if (item->kind == SCENARIO_DECODE && item->depth > depth)
            depth = item->depth;
    }
    return depth;
}

static double guess_configurations_s(const struct run *run, double rest_s)
{
    const struct profile_request *request = run->request;
    if (!run_wants_configurations(run))
        return 0;
    double variants = request->all_configurations ? VARIANTS : (double)request->n_configurations;
    double one_s = run->decode_tps > 0 ? RUN_TOKENS / run->decode_tps : 0;
    double all_s = variants * (OPEN_S + (request->quick ? RUNS_QUICK : RUNS) * one_s);
    return run->budget_s > 0 ? fmax(fmin(all_s, rest_s), 1) : all_s;
}

/* One trace, once the cache is filled. */
static double traced_steps_s(const struct run *run)
{
    double slower = fmax(1, run->slower);
    return run->decode_tps > 0 ? slower * TRACE_STEPS / run->decode_tps : 0;
}

/* Of a run with a budget: what is left of it for tests and configurations. */
static double left_s(const struct run *run)
{
    double trace_s = run->request->trace ? fmax(TRACE_S, traced_steps_s(run)) : 0;
    return run->budget_s - run_elapsed_s(run) - trace_s;
}

void run_cut_configurations(struct run *run)
{
    bool known = run->prefill_tps > 0 && run->decode_tps > 0;
    double least_s =
        known ? fmax(1, run->slower) * (LEAST_PROMPTS / run->prefill_tps + LEAST_STEPS / run->decode_tps) : 0;
    if (!run_wants_configurations(run) || !(run->budget_s > 0) || least_s <= left_s(run))
        return;
    run->no_configurations = true;
    run->total_s -= run->configurations_s;
    run->configurations_s = 0;
    json_array_append_new(run->cuts, json_string("configurations left out: the time was up"));
}

static double tests_share(const struct run *run)
{
    return run_wants_configurations(run) ? TESTS_SHARE : 1;
}

static void plan(struct run *run)
{
    struct scenario_request wish = {.prompts = run->request->prompts,
                                    .n_prompts = run->request->n_prompts,
                                    .answer_tokens = run->request->max_tokens,
                                    .context = lab_engine_info(run->lab)->context,
                                    .runs = run->repeats + 1,
                                    .budget_s = run->budget_s > 0 ? left_s(run) * tests_share(run) : 0,
                                    .prefill_tps = run->prefill_tps,
                                    .decode_tps = run->decode_tps};
    if (run->budget_s > 0 && wish.budget_s < 1)
        wish.budget_s = 1;
    scenario_plan(&wish, &run->plan);
    for (size_t i = 0; i < run->plan.n_cuts; i++)
        json_array_append_new(run->cuts, json_string(run->plan.cuts[i]));
    double depth_s = run->prefill_tps > 0 ? run_deepest(run) / run->prefill_tps : 0;
    run->tests_s = run->plan.expected_s;
    run->trace_s = run->request->trace ? 1 + depth_s : 0;
    run->configurations_s = guess_configurations_s(run, left_s(run) - run->tests_s);
    run->total_s = run->done_s + run->tests_s + run->configurations_s + run->trace_s;
}

int run_tests_in_lab(struct run *run, struct error *error)
{
    run_tell_phase(run, "loading", run->request->models[0].name);
    int status = run_make_room(run, run->request->models[0].path, error);
    if (!status)
        status = open_lab(run, error);
    if (!status)
        status = calibrate(run, error);
    if (status)
        return status;
    run->done_s = run_elapsed_s(run);
    plan(run);
    if ((status = run_measure_ceilings(run, error)) != 0)
        return status;
    if (run->budget_s > 0)
        run->tests_until_s = run_elapsed_s(run) + fmax(left_s(run), 0) * tests_share(run);
    status = run_each_test(run, measure, run_revive, error);
    if (!status)
        run_cut_configurations(run);
    return status;
}

/* ---- traces ---- */

/* The cache is filled first. */
static bool trace_is_too_late(struct run *run, uint32_t depth)
{
    double fill_s = run->prefill_tps > 0 ? depth / run->prefill_tps : 0;
    if (!(run->budget_s > 0) || run_elapsed_s(run) + fill_s + traced_steps_s(run) <= run->budget_s)
        return false;
    json_array_append_new(run->cuts, json_sprintf("trace at depth %u left out: the time was up", depth));
    return true;
}

/* One traced step at depth 0, and one at the deepest test's. A trace that cannot be made is told and left
 * out.
 */
int run_trace(struct run *run, struct error *error)
{
    uint32_t deepest = run_deepest(run), depths[2] = {0, deepest};
    for (int i = 0; i < (deepest ? 2 : 1); i++) {
        json_t *trace;
        struct error problem = {0};
        char step[64];
        if (trace_is_too_late(run, depths[i]))
            break;
        snprintf(step, sizeof step, "one decode step at depth %u", depths[i]);
        run_tell_phase(run, "trace", step);
        if (run->monitor)
            monitor_phase(run->monitor, "trace");
        int status = lab_trace(run->lab, 1, depths[i], &trace, &problem);
        if (run->monitor)
            monitor_phase(run->monitor, NULL);
        if (status == ERROR_CANCELLED || status == ERROR_MEMORY)
            return error_set(error, status, "%s", problem.message);
        if (status) {
            run_note(run, "the step at depth %u could not be traced: %s", depths[i], problem.message);
            if (status == ERROR_IO)
                return run_revive(run, error);
            continue;
        }
        json_array_append_new(run->traces, trace);
        run->done_s += run->trace_s / (deepest ? 2 : 1);
    }
    return 0;
}
