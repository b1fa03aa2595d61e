/* Rank, change and verdict of each model. The rank is by tokens per second of the prompt, which is what a
 * user sees; two ranks are not a proof that their order is real: the verdict is. */
#include "profile/comparison_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/json_put.h"

void compared_model_init(struct compared_model *model, const char *name)
{
    *model =
        (struct compared_model){.name = name, .message = "not measured", .load_ms = NAN, .weight_bytes = NAN};
    model->against_first = (struct pairs){.change = NAN, .low = NAN, .high = NAN};
}

void compared_model_free(struct compared_model *model)
{
    free(model->samples);
    model->samples = NULL;
    model->n_samples = 0;
}

int compared_model_add(struct compared_model *model, const char *test, uint32_t number,
                       const struct sweep_sample *sample, struct error *error)
{
    size_t bytes = (model->n_samples + 1) * sizeof *model->samples;
    struct compared_sample *grown = realloc(model->samples, bytes);
    if (!grown)
        return error_memory(error, "the samples of a model", bytes);
    model->samples = grown;
    grown[model->n_samples++] = (struct compared_sample){test, number, *sample};
    return 0;
}

/* The figure of every sample of a test; malloc'ed, *n of them; NULL: none, or memory. */
static double *values_of(const struct compared_model *model, const char *test, enum sweep_figure figure,
                         size_t *n)
{
    *n = 0;
    double *values = model->n_samples ? malloc(model->n_samples * sizeof *values) : NULL;
    for (size_t i = 0; values && i < model->n_samples; i++)
        if (strcmp(model->samples[i].test, test) == 0)
            values[(*n)++] = model->samples[i].sample.value[figure];
    return values;
}

void compared_model_stats(const struct compared_model *model, const char *test, enum sweep_figure figure,
                          struct stats *out)
{
    size_t n;
    double *values = values_of(model, test, figure, &n);
    stats_compute(values, n, out);
    free(values);
}

/* ---- against the first ---- */

static void compare_sessions(struct compared_model *model, const struct compared_model *first)
{
    size_t n_a, n_b;
    double *a = values_of(first, "prompt", SWEEP_TOKENS_PER_SECOND, &n_a);
    double *b = values_of(model, "prompt", SWEEP_TOKENS_PER_SECOND, &n_b);
    struct stats of_a, of_b;
    stats_compute(a, n_a, &of_a);
    stats_compute(b, n_b, &of_b);
    pairs_compare_unpaired(a, n_a, b, n_b, PAIRS_SESSION_SD, &model->against_first);
    if (of_a.cv > SWEEP_UNSTABLE || of_b.cv > SWEEP_UNSTABLE) {
        model->against_first.verdict = PAIRS_UNKNOWN;
        model->no_verdict = "the figures scatter by more than 20 %: no verdict";
    }
    free(a);
    free(b);
}

static double speed(const struct compared_model *model)
{
    struct stats stats;
    compared_model_stats(model, "prompt", SWEEP_TOKENS_PER_SECOND, &stats);
    return model->working ? stats.median : NAN;
}

/* From 1; 0: there is nothing to rank it by. */
static size_t rank_of(const struct compared_model *models, size_t n, size_t i)
{
    double own = speed(&models[i]);
    size_t rank = 1;
    for (size_t k = 0; k < n; k++)
        if (speed(&models[k]) > own)
            rank++;
    return isnan(own) ? 0 : rank;
}

/* ---- JSON ---- */

static void put_stats(json_t *o, const struct compared_model *model, const char *test,
                      enum sweep_figure figure)
{
    struct stats stats;
    compared_model_stats(model, test, figure, &stats);
    json_put_stats(o, sweep_figure_name(figure), &stats, model->message);
}

static double peak_bytes(const struct compared_model *model)
{
    double peak = NAN;
    for (size_t i = 0; i < model->n_samples; i++)
        peak = fmax(peak, model->samples[i].sample.footprint_peak_bytes);
    return peak;
}

static void put_verdict(json_t *o, const struct compared_model *model, bool is_first, bool has_first)
{
    const struct pairs *pairs = &model->against_first;
    const char *why = !model->working ? model->message
                      : is_first      ? "this is the model that the others are compared with"
                      : !has_first    ? "no other model works"
                                      : "too few runs";
    json_put_number(o, "change_pct", pairs->change * 100, why);
    json_put_interval(o, "ci95", pairs->low * 100, pairs->high * 100, why);
    json_put_string(o, "verdict", pairs_verdict_name(pairs->verdict), "");
    if (model->no_verdict)
        json_put_string(o, "verdict_reason", model->no_verdict, "");
    json_put_bool(o, "significant", pairs->verdict == PAIRS_HIGHER || pairs->verdict == PAIRS_LOWER);
    json_put_integer(o, "pairs", pairs->n);
    json_put_bool(o, "interleaved", model->interleaved);
}

static void put_samples(json_t *o, const struct compared_model *model)
{
    json_t *list = json_put_array(o, "samples");
    for (size_t i = 0; i < model->n_samples; i++) {
        const struct compared_sample *sample = &model->samples[i];
        json_t *entry = json_object();
        json_put_string(entry, "test", sample->test, "");
        json_put_integer(entry, "number", sample->number);
        for (int k = 0; k < SWEEP_AGGREGATE_TPS; k++)
            json_put_number(entry, sweep_figure_name((enum sweep_figure)k), sample->sample.value[k],
                            "not part of this test");
        json_array_append_new(list, entry);
    }
}

static json_t *model_entry(const struct compared_model *models, size_t n, size_t reference, size_t i)
{
    const struct compared_model *model = &models[i];
    json_t *o = json_object();
    json_put_string(o, "model", model->name, "");
    json_put_string(o, "status", model->working ? "success" : "error", "");
    if (!model->working)
        json_put_string(o, "message", model->message, "");
    put_stats(o, model, "prompt", SWEEP_TOKENS_PER_SECOND);
    put_stats(o, model, "decode", SWEEP_DECODE_TPS);
    put_stats(o, model, "prefill", SWEEP_PREFILL_TPS);
    put_stats(o, model, "prompt", SWEEP_TTFT_MS);
    const char *unknown = model->working ? "this system does not tell" : model->message;
    json_put_number(o, "memory_bytes", peak_bytes(model), unknown);
    json_put_number(o, "load_ms", model->load_ms, unknown);
    json_put_number(o, "weight_bytes", model->weight_bytes, unknown);
    bool opened = model->working || model->backend[0];
    json_put_string(o, "quantization", model->quantization[0] ? model->quantization : NULL,
                    opened ? "not quantized, or not known" : model->message);
    const char *not_opened = model->working ? "not reported by the engine" : model->message;
    json_put_string(o, "backend", model->backend[0] ? model->backend : NULL, not_opened);
    json_put_string(o, "isa", model->isa[0] ? model->isa : NULL, not_opened);
    json_put_string(o, "adapter", model->adapter[0] ? model->adapter : NULL,
                    opened ? "it was run without one" : model->message);
    size_t rank = rank_of(models, n, i);
    if (rank)
        json_put_integer(o, "rank", rank);
    else
        json_put_null(o, "rank", model->message);
    put_verdict(o, model, i == reference, reference < n);
    put_samples(o, model);
    return o;
}

json_t *comparison_report(struct compared_model *models, size_t n, size_t reference,
                          const struct lab_run *prompt, bool indicative)
{
    json_t *o = json_object();
    json_put_string(o, "test_prompt", prompt->scenario.prompt, "");
    json_put_integer(o, "max_tokens", prompt->scenario.max_tokens);
    json_put_string(o, "compared", sweep_figure_name(SWEEP_TOKENS_PER_SECOND), "");
    json_put_string(o, "reference", reference < n ? models[reference].name : NULL, "no model works");
    json_put_bool(o, "indicative", indicative);
    json_t *list = json_put_array(o, "models");
    for (size_t i = 0; i < n; i++) {
        if (models[i].working && i != reference && reference < n && !models[i].interleaved)
            compare_sessions(&models[i], &models[reference]);
        json_array_append_new(list, model_entry(models, n, reference, i));
    }
    if (o && json_array_size(json_object_get(o, "models")) == n)
        return o;
    json_decref(o);
    return NULL;
}
