/* Tests as JSON: every raw sample, and what is worked out from them. Unknown is null beside its reason. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "profile/ceilings.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/run_internal.h"

#define MFU_LIMIT 1.05 /* of the measured peak: more than noise explains */

static json_t *sample_json(const struct run_test *test, const struct lab_result *result, bool timed)
{
    const struct sample *sample = &result->sample;
    const char *early = "the run ended before that";
    json_t *o = json_object();
    json_put_string(o, "outcome", target_outcome_name(sample->outcome), "");
    if (sample->message[0])
        json_put_string(o, "message", sample->message, "");
    if (sample->prompt_tokens) {
        json_put_integer(o, "prompt_tokens", sample->prompt_tokens);
        json_put_integer(o, "cached_tokens", sample->cached_tokens);
    } else {
        json_put_null(o, "prompt_tokens", early);
        json_put_null(o, "cached_tokens", early);
    }
    json_put_integer(o, "generated_tokens", sample->generated_tokens);
    for (int m = 0; m < METRICS; m++)
        json_put_number(o, metric_name((enum metric)m), sample->value[m],
                        sample->outcome == OUTCOME_OK ? run_test_reason(test, (enum metric)m)
                                                      : "the run did not end well");
    json_t *gaps = json_array();
    for (uint32_t i = 0; i < sample->n_itl; i++)
        json_array_append_new(gaps, json_put_real((double)sample->itl_ms[i]));
    json_object_set_new(o, "itl_ms", gaps);
    if (timed) {
        json_put_number(o, "read_gbps", result->probe.gbps,
                        test->remote ? RUN_REMOTE_REASON : "it could not be probed");
        json_put_string(o, "read_from", probe_level_name(result->probe.level), "");
    }
    return o;
}

/* The last sample that knows: all have the same shape. */
static double figure(const struct run_test *test, size_t offset)
{
    double value = NAN;
    for (uint32_t i = 0; i < test->n_results; i++) {
        double one;
        memcpy(&one, (const char *)&test->results[i] + offset, sizeof one);
        value = test->results[i].sample.outcome == OUTCOME_OK && one > 0 ? one : value;
    }
    return value;
}

/* Operations a second at most, as the kernels of this run compute. */
static double peak_gflops(const struct run *run)
{
    const char *kind = ceilings_arithmetic(json_get_string(run->lab_info, "model.quantization"),
                                           json_get_bool(run->lab_info, "flags.precise", false));
    return json_get_positive(json_get(run->ceilings, kind), "value");
}

/* As MBU: what cannot be is no figure. */
static void put_mfu(json_t *o, const struct run *run, const struct run_test *test, const char *no_prefill)
{
    char refused[200];
    double mfu = test->prefill_gflops.n ? test->prefill_gflops.median / peak_gflops(run) : NAN;
    const char *reason =
        test->prefill_gflops.n ? "the arithmetic peak of this machine was not measured" : no_prefill;
    if (mfu > MFU_LIMIT) {
        snprintf(
            refused, sizeof refused,
            "refused: %.0f %% of the measured arithmetic peak, and up to %.0f %% is taken for noise; "
            "probably the operations are counted wrongly, or the host's speed changed after the peak was "
            "measured",
            100 * mfu, 100 * MFU_LIMIT);
        reason = refused;
        mfu = NAN;
    }
    json_put_number(o, "mfu", mfu, reason);
}

static json_t *roofline_json(const struct run *run, const struct run_test *test)
{
    bool guesses = test->n_results && test->results[0].guesses;
    const char *none = test->remote ? RUN_REMOTE_REASON
                       : guesses    ? RUN_LOOKUP_REASON
                                    : run_test_reason(test, METRIC_TPOT_MS);
    const char *no_prefill = test->remote ? RUN_REMOTE_REASON : run_test_reason(test, METRIC_PREFILL_TPS);
    json_t *o = json_object();
    json_put_number(o, "weight_bytes_per_token",
                    figure(test, offsetof(struct lab_result, weight_bytes_per_token)), none);
    json_put_number(o, "kv_bytes_per_token", figure(test, offsetof(struct lab_result, kv_bytes_per_token)),
                    none);
    json_put_number(o, "flops_per_token", figure(test, offsetof(struct lab_result, flops_per_token)), none);
    json_put_number(o, "prefill_flops", figure(test, offsetof(struct lab_result, prefill_flops)), no_prefill);
    json_put_stats(o, "achieved_gbps", &test->achieved_gbps, none);
    json_put_stats(o, "read_gbps", &test->read_gbps,
                   test->remote ? RUN_REMOTE_REASON : "the read bandwidth could not be probed");
    json_put_stats(o, "mbu", &test->mbu, test->mbu_reason);
    json_put_stats(o, "prefill_gflops", &test->prefill_gflops, no_prefill);
    put_mfu(o, run, test, no_prefill);
    return o;
}

static json_t *test_json(const struct run *run, const struct run_test *test)
{
    const struct scenario *scenario = &test->scenario;
    json_t *o = json_object(), *outcomes = json_object(), *samples = json_array(), *summary = json_object();
    json_put_string(o, "id", scenario->id, "");
    json_put_string(o, "kind", scenario_kind_name(scenario->kind), "");
    json_put_string(o, "label", scenario->label, "");
    json_put_string(o, "prompt", scenario->prompt, "made of tokens of a fixed passage");
    if (scenario->kind == SCENARIO_DECODE)
        json_put_integer(o, "depth", scenario->depth);
    json_put_integer(o, "max_tokens", scenario->max_tokens);
    for (int i = 0; i < OUTCOMES; i++)
        if (test->outcomes[i])
            json_put_integer(outcomes, target_outcome_name((enum target_outcome)i), test->outcomes[i]);
    json_object_set_new(o, "outcomes", outcomes);
    json_put_string(o, "headline", metric_name(run_test_headline(test)), "");
    json_put_string(o, "grade", stats_grade_name(test->grade), "");
    json_put_bool(o, "drifts", test->drifts);
    json_put_number(o, "drift", test->n_results > 1 ? test->drift : NAN, "needs 2 samples or more");
    for (int m = 0; m < METRICS; m++)
        json_put_stats(summary, metric_name((enum metric)m), &test->metric[m],
                       run_test_reason(test, (enum metric)m));
    json_object_set_new(o, "summary", summary);
    json_object_set_new(o, "roofline", roofline_json(run, test));
    json_object_set_new(o, "warmup", sample_json(test, &test->warmup, false));
    for (uint32_t i = 0; i < test->n_results; i++)
        json_array_append_new(samples, sample_json(test, &test->results[i], true));
    json_object_set_new(o, "samples", samples);
    return o;
}

json_t *run_tests_json(const struct run *run)
{
    json_t *tests = json_array();
    for (size_t i = 0; i < run->n_tests; i++)
        json_array_append_new(tests, test_json(run, &run->tests[i]));
    return tests;
}

static double median(const struct run_test *test, enum metric metric)
{
    return test ? test->metric[metric].median : NAN;
}

json_t *run_summary_json(const struct run *run)
{
    const struct run_test *decode = run_find(run, SCENARIO_DECODE);
    const struct run_test *prefill = run_find(run, SCENARIO_PREFILL);
    const struct run_test *prompt = run_find(run, SCENARIO_PROMPT);
    const char *none = run->request->kind == PROFILE_COMPARE ? "several models: see comparison"
                       : run->request->kind == PROFILE_PROVE ? PROOF_REASON
                                                             : "no test of this kind ended well";
    char quality[768];
    json_t *o = json_object();
    json_put_number(o, "decode_tokens_per_second", median(decode, METRIC_DECODE_TPS), none);
    json_put_number(o, "prefill_tokens_per_second", median(prefill, METRIC_PREFILL_TPS), none);
    json_put_number(o, "tokens_per_second", median(prompt, METRIC_TOKENS_PER_SECOND), none);
    json_put_number(o, "ttft_ms", median(prompt, METRIC_TTFT_MS), none);
    json_put_number(o, "response_ms", median(prompt, METRIC_RESPONSE_MS), none);
    json_put_number(o, "mbu", decode ? decode->mbu.median : NAN, decode ? decode->mbu_reason : none);
    json_put_number(o, "load_ms", json_get_number(run->lab_info, "load_ms"),
                    run->target ? RUN_REMOTE_REASON : "no model was loaded");
    json_put_string(o, "grade", stats_grade_name(run_grade(run)), "");
    json_put_bool(o, "indicative", run->request->quick);
    run_quality(run, quality, sizeof quality);
    json_put_string(o, "quality", quality, "");
    return o;
}
