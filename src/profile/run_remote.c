/* Tests of a server, as its clients see them: the same prompts, the same protocol, the same sums as for a
 * model of this machine; what only an engine can tell is null with its reason.
 *
 * Prefill and decode tests have prompts of about as many tokens as they are named after: a calibration says
 * how long a token of this server is, and the usage figures say afterwards how many there were.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/remote_internal.h"
#include "profile/run_internal.h"
#include "profile/run_remote.h"

/* Planned for a server that does not say how long its contexts are: its deepest test may be refused, and then
 * says so. */
enum { UNKNOWN_CONTEXT = 8192 };

static void nothing_known(struct lab_result *out)
{
    *out = (struct lab_result){.probe = {.gbps = NAN}};
    out->aggregate_decode_tps = out->weight_bytes_per_token = out->kv_bytes_per_token = NAN;
    out->flops_per_token = out->prefill_flops = NAN;
}

/* A failure of a server that still answers is the sample's own; else the server is gone. */
static int measure(struct run *run, const struct scenario *scenario, bool timed, struct lab_result *out,
                   struct error *error)
{
    (void)timed;
    uint64_t start_ns = clock_now_ns();
    struct remote_run wish = {.scenario = *scenario,
                              .prompt = scenario->prompt,
                              .max_tokens = scenario->max_tokens,
                              .temperature = NAN,
                              .timeout_ms = run->request->quick ? RUN_TIMEOUT_QUICK_MS : RUN_TIMEOUT_MS,
                              .raw = run->request->raw,
                              .nonce = start_ns};
    nothing_known(out);
    int status = remote_do(run->remote, &wish, &out->sample, error);
    const double *value = out->sample.value;
    out->start_s = (double)start_ns / 1e9;
    out->first_token_s = out->start_s + (isnan(value[METRIC_TTFT_MS]) ? 0 : value[METRIC_TTFT_MS] / 1000);
    out->end_s = (double)clock_now_ns() / 1e9;
    enum target_outcome outcome = out->sample.outcome;
    if (!status && (outcome == OUTCOME_ERROR || outcome == OUTCOME_TIMEOUT))
        status = remote_alive(run->remote, error);
    if (status)
        sample_free(&out->sample);
    return status;
}

static int revive(struct run *run, struct error *error)
{
    return remote_alive(run->remote, error);
}

static void plan(struct run *run)
{
    const struct profile_request *request = run->request;
    uint32_t context = remote_context(run->remote);
    struct scenario_request wish = {.prompts = request->prompts,
                                    .n_prompts = request->n_prompts,
                                    .answer_tokens = request->max_tokens,
                                    .context = context ? context : UNKNOWN_CONTEXT,
                                    .runs = run->repeats + 1,
                                    .budget_s =
                                        run->budget_s > 0 ? fmax(run->budget_s - run_elapsed_s(run), 1) : 0,
                                    .prefill_tps = run->prefill_tps,
                                    .decode_tps = run->decode_tps};
    scenario_plan(&wish, &run->plan);
    for (size_t i = 0; i < run->plan.n_cuts; i++)
        json_array_append_new(run->cuts, json_string(run->plan.cuts[i]));
    run->tests_s = run->plan.expected_s;
    run->total_s = run->done_s + run->tests_s;
}

/* What the reader of the report must know about how the figures came about. */
static void explain(struct run *run)
{
    uint32_t spread = 0, all = 0;
    for (size_t i = 0; i < run->n_tests; i++)
        for (uint32_t k = 0; k < run->tests[i].n_results; k++) {
            const struct sample *sample = &run->tests[i].results[k].sample;
            all++;
            spread += sample->outcome == OUTCOME_OK && sample->message[0] != '\0';
        }
    run_note(run, "measured over HTTP: prefill tokens per second are prompt tokens / TTFT, network and queue "
                  "included; prompts of prefill and decode tests are only about as long as their names say");
    if (spread)
        run_note(run,
                 "in %u of %u runs the server did not send one token at a time, or did not count them; "
                 "the samples say so, and have no gaps between tokens where these were not seen",
                 spread, all);
}

static int measure_all(struct run *run, struct error *error)
{
    run_tell_phase(run, "loading", "calibration");
    int status = remote_calibrate(run->remote, run->request->raw, &run->prefill_tps, &run->decode_tps, error);
    if (status)
        return status;
    run->done_s = run_elapsed_s(run);
    plan(run);
    status = run_each_test(run, measure, revive, error);
    explain(run);
    return status;
}

/* The report's "target" as long as it was not reached. An address that is not one may have a password in it
 * and is not repeated. */
static json_t *asked_target(const struct profile_request *request)
{
    struct net_url url;
    char text[640];
    bool good = net_url_parse(request->target_url, &url, NULL) == 0;
    if (good)
        net_url_text(&url, text, sizeof text);
    json_t *target = json_object();
    json_put_string(target, "url", good ? text : "(not an address)", "");
    json_put_string(target, "model", request->target_model, "the target was not reached");
    json_put_null(target, "server", "the target was not reached");
    return target;
}

int run_remote(struct run *run, struct error *error)
{
    const struct profile_request *request = run->request;
    /* The gate keeps our own server quiet; the target is another one, or that very one, which would then
     * never answer. */
    const struct run_hooks *hooks = run->hooks;
    struct run_hooks open_hooks = *hooks;
    open_hooks.gate = NULL;
    struct remote_options options = {.url = request->target_url,
                                     .model = request->target_model,
                                     .api_key =
                                         request->target_key_env ? getenv(request->target_key_env) : NULL,
                                     .allow_local = request->target_allow_local,
                                     .cancel = hooks->cancel};
    if (request->target_key_env && (!options.api_key || !options.api_key[0]))
        return error_set(error, ERROR_INVALID,
                         "target: the environment variable %s, which should hold its "
                         "API key, is not set",
                         request->target_key_env);
    run->target = asked_target(request);
    run_tell_phase(run, "loading", json_string_value(json_object_get(run->target, "url")));
    int status = remote_open(&options, &run->remote, error);
    if (status)
        return status;
    json_decref(run->target);
    run->target = remote_info(run->remote);
    run->hooks = &open_hooks;
    status = run->target ? measure_all(run, error) : error_memory(error, "a report", 0);
    run->hooks = hooks;
    json_decref(run->target);
    run->target = remote_info(run->remote); /* by now it is known how tokens were counted */
    remote_close(run->remote);
    run->remote = NULL;
    return status;
}

/* ---- the report ---- */

static bool refuses(const json_t *fields, const char *name)
{
    size_t n = json_array_size(fields);
    for (size_t i = 0; i < n; i++)
        if (strcmp(json_string_value(json_array_get(fields, i)), name) == 0)
            return true;
    return false;
}

static const char NO_CACHED[] = "the server does not report cached tokens";

/* Of the runs that count, NULL: all are known to be cold. */
static const char *why_not_cold(const struct run *run)
{
    uint32_t all = 0;
    for (size_t i = 0; i < run->n_tests; i++)
        for (uint32_t k = 0; k < run->tests[i].n_results; k++) {
            const struct sample *sample = &run->tests[i].results[k].sample;
            if (sample->outcome == OUTCOME_OK && sample->cached_tokens == REMOTE_CACHED_UNKNOWN)
                return NO_CACHED;
            all += sample->outcome == OUTCOME_OK;
        }
    return all ? NULL : "no run ended well";
}

void run_remote_protocol(const struct run *run, json_t *protocol)
{
    const json_t *refused = json_object_get(run->target, "refused_fields");
    const char *unsent = "the target was not reached", *warm = refused ? why_not_cold(run) : unsent;
    if (refused) {
        json_put_bool(protocol, "greedy", !refuses(refused, "temperature"));
        json_put_bool(protocol, "ignore_eos", !refuses(refused, "ignore_eos"));
    } else {
        json_put_null(protocol, "greedy", unsent);
        json_put_null(protocol, "ignore_eos", unsent);
    }
    if (warm)
        json_put_null(protocol, "cold_prompts", warm);
}

/* Tokens were counted, and came several at a time. */
static bool no_gaps(const struct sample *sample)
{
    return sample->outcome == OUTCOME_OK && sample->generated_tokens > 1 && sample->n_itl == 0;
}

static void explain_gaps(json_t *figures)
{
    static const enum metric metrics[] = {METRIC_ITL_P50_MS, METRIC_ITL_P90_MS, METRIC_ITL_P99_MS,
                                          METRIC_ITL_MAX_MS, METRIC_TPOT_MS,    METRIC_DECODE_TPS};
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++)
        if (json_is_null(json_object_get(figures, metric_name(metrics[i]))))
            json_put_null(figures, metric_name(metrics[i]), REMOTE_SEVERAL_REASON);
}

static void correct_sample(const struct sample *sample, json_t *o)
{
    if (sample->cached_tokens == REMOTE_CACHED_UNKNOWN &&
        (sample->prompt_tokens || sample->outcome == OUTCOME_OK))
        json_put_null(o, "cached_tokens", NO_CACHED);
    if (sample->outcome == OUTCOME_OK && sample->prompt_tokens == 0)
        json_put_null(o, "prompt_tokens", "the server's stream has no usage figures");
    if (no_gaps(sample))
        explain_gaps(o);
}

void run_remote_tests(const struct run *run, json_t *tests)
{
    for (size_t i = 0; i < run->n_tests; i++) {
        const struct run_test *test = &run->tests[i];
        json_t *o = json_array_get(tests, i), *samples = json_object_get(o, "samples");
        uint32_t several = 0;
        correct_sample(&test->warmup.sample, json_object_get(o, "warmup"));
        for (uint32_t k = 0; k < test->n_results; k++) {
            correct_sample(&test->results[k].sample, json_array_get(samples, k));
            several += no_gaps(&test->results[k].sample);
        }
        if (several && several == test->outcomes[OUTCOME_OK])
            explain_gaps(json_object_get(o, "summary"));
    }
}
