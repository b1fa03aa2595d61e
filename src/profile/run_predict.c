#include "profile/run_predict.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/shape.h"
#include "profile/estimate.h"
#include "profile/json_get.h"
#include "profile/json_put.h"
#include "profile/what_if.h"

struct run_prediction {
    struct model *model;
    struct estimate_machine machine;
    struct estimate estimate;
    struct what_if what_if;
};

static uint64_t step_bytes(const struct model *model)
{
    struct plan_step step = {.n_tokens = 1, .n_outputs = 1, .n_sequences = 1, .kv_bits = 16};
    return (uint64_t)plan_step_cost(model_plan(model), &step).weight_bytes;
}

static int predict(struct run *run, struct run_prediction *out, struct error *error)
{
    const struct profile_model *model = &run->request->models[0];
    const struct engine_info *info = lab_engine_info(run->lab);
    struct estimate_options options = {.context = info->context,
                                       .kv_bits = info->kv_bits,
                                       .prefill_chunk = info->prefill_chunk,
                                       .isa = info->isa};
    json_t *config = NULL;
    if (info->backend && strcmp(info->backend, "cpu") != 0)
        return error_set(error, ERROR_UNSUPPORTED,
                         "predictions rest on what was measured of the cpu backend, and this is %s",
                         info->backend);
    int status = model_open_adapted(model->path, model->adapter, &out->model, error);
    if (status && model->adapter)
        error_replace(error, model->adapter, "the adapter");
    if (!status)
        status = model_shape_read(model->path, &config, error);
    if (!status) {
        estimate_machine_read(info->isa, info->n_threads, ESTIMATE_PACE_NOW, step_bytes(out->model),
                              &out->machine);
        status = estimate_model(out->model, &options, &out->machine, &out->estimate, error);
    }
    if (!status)
        status = what_if_forecast(out->model, config, &out->machine, info->isa, &out->what_if, error);
    json_decref(config);
    return status;
}

void run_predict(struct run *run)
{
    struct error error = {0};
    struct run_prediction *prediction = calloc(1, sizeof *prediction);
    if (prediction && predict(run, prediction, &error) == 0) {
        run->prediction = prediction;
        return;
    }
    snprintf(run->prediction_reason, sizeof run->prediction_reason, "%.200s",
             prediction ? error.message : "there was not enough memory");
    run_prediction_free(prediction);
}

void run_prediction_free(struct run_prediction *prediction)
{
    if (!prediction)
        return;
    model_close(prediction->model);
    free(prediction);
}

/* ---- tests ---- */

/* Tokens a second that a test of these lengths was expected to have; NaN: no expectation. */
static double expect(const struct run_prediction *prediction, const struct run_test *test,
                     struct estimate_interval *interval)
{
    const struct sample *sample = &test->results[0].sample;
    struct forecast_machine at = {&prediction->machine.calibration, &prediction->machine.pace, 0};
    const struct plan *plan = model_plan(prediction->model);
    const struct estimate *estimate = &prediction->estimate;
    bool decode = test->scenario.kind == SCENARIO_DECODE;
    double low, mid, high;
    struct forecast forecast;
    struct plan_step step = {.n_tokens = 1,
                             .n_outputs = 1,
                             .n_sequences = 1,
                             .context = sample->prompt_tokens + test->scenario.max_tokens / 2,
                             .kv_bits = estimate->kv_bits};
    *interval = (struct estimate_interval){NAN, NAN, NAN};
    if (!prediction->machine.calibrated || sample->prompt_tokens == 0)
        return NAN;
    bool known = decode ? forecast_step(&at, plan, estimate->n_phases, &step, 0, &forecast)
                        : forecast_prefill(&at, plan, estimate->n_phases, sample->prompt_tokens,
                                           estimate->prefill_chunk, estimate->kv_bits, &forecast);
    if (!known)
        return NAN;
    double rate = 1e3 * (decode ? 1 : sample->prompt_tokens) / forecast.total_ms;
    estimate_factors(&prediction->machine.calibration, !decode, &low, &mid, &high);
    *interval = (struct estimate_interval){rate * low, rate * mid, rate * high};
    return rate * mid;
}

static void put_pair(json_t *o, double predicted, double measured, const char *why_predicted,
                     const char *why_measured)
{
    json_put_number(o, "predicted", predicted, why_predicted);
    json_put_number(o, "measured", measured, why_measured);
    json_put_number(o, "error_pct", 100 * (predicted / measured - 1),
                    isnan(predicted) ? why_predicted : why_measured);
}

static const char *why_not(const struct run_prediction *prediction)
{
    return prediction->machine.calibrated
               ? (prediction->estimate.reason[0] ? prediction->estimate.reason : "not known for this test")
               : prediction->machine.calibration_reason;
}

/* One test; NULL: it has no figure of its own to compare. */
static json_t *test_json(const struct run_prediction *prediction, const struct run_test *test)
{
    bool decode = test->scenario.kind == SCENARIO_DECODE, prefill = test->scenario.kind == SCENARIO_PREFILL;
    enum metric metric = decode ? METRIC_DECODE_TPS : METRIC_PREFILL_TPS;
    struct estimate_interval interval;
    if ((!decode && !prefill) || test->n_results == 0)
        return NULL;
    json_t *o = json_object();
    double predicted = expect(prediction, test, &interval);
    json_put_string(o, "test", test->scenario.id, "");
    json_put_string(o, "figure", metric_name(metric), "");
    put_pair(o, predicted, test->metric[metric].median, why_not(prediction), run_test_reason(test, metric));
    json_put_interval(o, "interval", interval.low, interval.high, why_not(prediction));
    return o;
}

static json_t *find_test(const json_t *tests, const char *figure)
{
    size_t i;
    json_t *item;
    json_array_foreach(tests, i, item)
        if (json_get_is(item, "figure", figure))
            return item;
    return NULL;
}

/* ---- memory ---- */

/* What the process of the tests was expected to have at its largest. */
static double expect_footprint(const struct run *run)
{
    double longest = 0, rows = 0;
    for (size_t i = 0; i < run->n_tests; i++) {
        const struct run_test *test = &run->tests[i];
        double tokens =
            test->n_results ? test->results[0].sample.prompt_tokens + test->scenario.max_tokens : 0;
        longest = fmax(longest, tokens);
        rows += tokens * (test->n_results + 1.0);
    }
    return estimate_resident_bytes(&run->prediction->estimate, longest, rows);
}

static json_t *memory_json(const struct run *run)
{
    json_t *o = json_object();
    put_pair(o, run->n_tests ? expect_footprint(run) : NAN,
             run->memory.known ? (double)run->memory.footprint_peak_bytes : NAN, "no test was run",
             "this system does not tell");
    return o;
}

json_t *run_predicted_json(const struct run *run, const char **reason)
{
    const struct run_prediction *prediction = run->prediction;
    *reason = run->prediction_reason[0] ? run->prediction_reason : "the run ended before that";
    if (!prediction)
        return NULL;
    json_t *o = json_object(), *tests = json_array();
    for (size_t i = 0; i < run->n_tests; i++) {
        json_t *test = test_json(prediction, &run->tests[i]);
        if (test)
            json_array_append_new(tests, test);
    }
    static const char *const figures[] = {"decode_tokens_per_second", "prefill_tokens_per_second"};
    for (int i = 0; i < 2; i++) {
        json_t *test = find_test(tests, figures[i]);
        if (test)
            json_object_set(o, figures[i], test);
        else
            json_put_null(o, figures[i], "no test of this kind was run");
    }
    json_object_set_new(o, "memory_bytes", memory_json(run));
    json_object_set_new(o, "tests", tests);
    json_object_set_new(o, "machine", estimate_machine_json(&prediction->machine));
    json_object_set_new(o, "what_if", what_if_json(&prediction->what_if, 0, prediction->estimate.kv_bits));
    return o;
}
