/* Samples into statistics, verdicts and JSON. */
#include "profile/configuration_report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/json_put.h"
#include "profile/stats.h"

/* ---- statistics ---- */

/* Figure i of sample k, wherever the samples lie. */
struct source {
    size_t n;
    const struct sweep_pair *pairs; /* then `of_b` says which */
    bool of_b;
    const struct baseline_sample *samples;
};

static const struct sweep_sample *sample_of(const struct source *source, size_t i)
{
    if (source->samples)
        return &source->samples[i].sample;
    return source->of_b ? &source->pairs[i].b : &source->pairs[i].a;
}

static struct stats figure_stats(const struct source *source, enum sweep_figure figure, double scale)
{
    struct stats stats;
    double *values = malloc((source->n ? source->n : 1) * sizeof *values);
    for (size_t i = 0; values && i < source->n; i++)
        values[i] = sample_of(source, i)->value[figure] * scale;
    stats_compute(values, values ? source->n : 0, &stats);
    free(values);
    return stats;
}

/* ---- the best ---- */

size_t configuration_best(const struct configuration *items, const struct pairs *judged, size_t n)
{
    for (int tier = 0; tier < 2; tier++) {
        enum sweep_figure wanted = tier == 0 ? SWEEP_DECODE_TPS : SWEEP_PREFILL_TPS;
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (items[i].compared == wanted && judged[i].verdict == PAIRS_HIGHER &&
                (best == 0 || judged[i].low > judged[best].low))
                best = i;
        if (best)
            return best;
    }
    return 0;
}

/* ---- JSON ---- */

static const char not_measured[] = "no run of it ended well";

static void put_request(json_t *o, const struct configuration *item)
{
    json_put_string(o, "id", item->id, "");
    json_put_string(o, "label", item->label, "");
    json_t *knobs = json_put_object(o, "knobs");
    char name[sizeof item->id];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(item->id, "="), item->id);
    if (item->text)
        json_put_string(knobs, name, item->text, "");
    else if (item->number)
        json_put_integer(knobs, name, item->number);
    else if (item->kind == CONFIGURATION_PREFIX_CACHE)
        json_put_bool(knobs, name, true);
    json_put_number(o, "temperature", item->b.temperature, "greedy");
    json_put_integer(o, "max_tokens", item->b.scenario.max_tokens);
    json_put_string(o, "test", scenario_kind_name(item->b.scenario.kind), "");
    const struct scenario *scenario = &item->b.scenario;
    if (scenario->kind == SCENARIO_PROMPT)
        json_put_null(o, "prompt_tokens", "a text: its length in tokens is the tokenizer's");
    else
        json_put_integer(o, "prompt_tokens", scenario->prompt_tokens);
}

static void put_figures(json_t *o, const struct configuration *item, const struct source *source)
{
    /* with several at once the headline is what all of them get together */
    bool together = item->compared == SWEEP_AGGREGATE_TPS;
    struct stats s = figure_stats(source, together ? SWEEP_AGGREGATE_TPS : SWEEP_TOKENS_PER_SECOND, 1);
    json_put_stats(o, "tokens_per_second", &s, not_measured);
    bool no_steps = item->b.scenario.kind == SCENARIO_PREFILL && source->n > 0;
    s = figure_stats(source, SWEEP_DECODE_TPS, 1);
    json_put_stats(o, "decode_tokens_per_second", &s, no_steps ? "its test decodes nothing" : not_measured);
    s = figure_stats(source, SWEEP_PREFILL_TPS, 1);
    json_put_stats(o, "prefill_tokens_per_second", &s, not_measured);
    s = figure_stats(source, SWEEP_TTFT_MS, 1);
    json_put_stats(o, "ttft_ms", &s, not_measured);
    s = figure_stats(source, SWEEP_RESPONSE_MS, 1e-3);
    json_put_stats(o, "total_time_s", &s, not_measured);
    double peak = NAN;
    for (size_t i = 0; i < source->n; i++)
        peak = fmax(peak, sample_of(source, i)->footprint_peak_bytes); /* of a NaN and a number: the number */
    bool shared = item->kind != CONFIGURATION_BASELINE && !item->own_lab && source->n > 0;
    if (shared) /* the peak is of that process's whole life, whatever ran in it */
        json_put_null(o, "memory_bytes", "shares the baseline's process");
    else
        json_put_number(o, "memory_bytes", peak, source->n ? "this system does not tell" : not_measured);
}

static void put_outcome(json_t *o, enum target_outcome outcome, bool of_baseline, const char *message)
{
    char text[200];
    snprintf(text, sizeof text, "%s%s", of_baseline ? "the baseline beside it: " : "", message);
    json_put_string(o, "outcome", target_outcome_name(outcome), "");
    if (message[0])
        json_put_string(o, "message", text, "");
}

static void put_sample(json_t *o, const char *prefix, const struct sweep_sample *sample)
{
    char name[96];
    for (int i = 0; i < SWEEP_FIGURES; i++) {
        snprintf(name, sizeof name, "%s%s", prefix, sweep_figure_name((enum sweep_figure)i));
        json_put_number(o, name, sample->value[i], "not part of this test");
    }
    snprintf(name, sizeof name, "%scached_tokens", prefix);
    json_put_integer(o, name, sample->cached_tokens);
    snprintf(name, sizeof name, "%sgenerated_tokens", prefix);
    json_put_integer(o, name, sample->generated_tokens);
}

static json_t *new_sample(json_t *samples, uint32_t block)
{
    json_t *o = json_object();
    json_put_integer(o, "block", block);
    json_put_string(o, "order", "ABBA", "");
    json_put_string(o, "outcome", target_outcome_name(OUTCOME_OK), "");
    json_array_append_new(samples, o);
    return o;
}

static void put_verdict(json_t *o, const struct configuration *item, const struct sweep_result *result,
                        bool indicative)
{
    struct pairs pairs;
    const char *why, *none = "too few pairs";
    sweep_compare(result, item->compared, &pairs, &why);
    struct source of_a = {.n = result->n, .pairs = result->pairs};
    struct stats stats = figure_stats(&of_a, item->compared, 1);
    json_put_string(o, "compared", sweep_figure_name(item->compared), "");
    json_put_string(o, "better", sweep_lower_is_better(item->compared) ? "lower" : "higher", "");
    json_put_stats(o, "compared_baseline", &stats, not_measured);
    json_put_number(o, "change_pct", pairs.change * 100, not_measured);
    json_put_interval(o, "ci95", pairs.low * 100, pairs.high * 100, none);
    json_put_string(o, "verdict", pairs_verdict_name(pairs.verdict), "");
    if (why)
        json_put_string(o, "verdict_reason", why, "");
    json_put_bool(o, "significant", pairs.verdict == PAIRS_HIGHER || pairs.verdict == PAIRS_LOWER);
    json_put_bool(o, "indicative", indicative);
    json_put_bool(o, "best", false);
    json_put_integer(o, "pairs", pairs.n);
}

json_t *configuration_entry(const struct configuration *item, const struct sweep_result *result,
                            bool indicative)
{
    json_t *o = json_object();
    struct source of_b = {.n = result->n, .pairs = result->pairs, .of_b = true};
    put_request(o, item);
    put_outcome(o, result->outcome, result->of_a, result->message);
    put_figures(o, item, &of_b);
    put_verdict(o, item, result, indicative);
    json_t *samples = json_put_array(o, "samples");
    for (size_t i = 0; i < result->n; i++) {
        json_t *sample = new_sample(samples, result->pairs[i].block);
        put_sample(sample, "", &result->pairs[i].b);
        put_sample(sample, "baseline_", &result->pairs[i].a);
    }
    return o;
}

json_t *configuration_baseline_entry(const struct configuration *item, const struct baseline_sample *samples,
                                     size_t n, enum target_outcome outcome, const char *message,
                                     bool indicative)
{
    static const char itself[] = "this is what the others are measured against";
    json_t *o = json_object();
    struct source source = {.n = n, .samples = samples};
    put_request(o, item);
    put_outcome(o, outcome, false, message);
    put_figures(o, item, &source);
    json_put_string(o, "compared", sweep_figure_name(item->compared), "");
    json_put_null(o, "change_pct", itself);
    json_put_null(o, "ci95", itself);
    json_put_string(o, "verdict", pairs_verdict_name(PAIRS_UNKNOWN), "");
    json_put_string(o, "verdict_reason", itself, "");
    json_put_bool(o, "significant", false);
    json_put_bool(o, "indicative", indicative);
    json_put_bool(o, "best", false);
    json_put_integer(o, "pairs", 0);
    json_t *list = json_put_array(o, "samples");
    for (size_t i = 0; i < n; i++) {
        json_t *sample = new_sample(list, samples[i].block);
        json_put_string(sample, "beside", samples[i].beside, "measured alone");
        put_sample(sample, "", &samples[i].sample);
    }
    return o;
}
