/* What a point showed. Rates are of what came while requests were due. Percentiles are over requests, those
 * of the gaps over all gaps of all answers; a p99 only where there are values enough to have one. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "profile/json_put.h"
#include "profile/load_internal.h"
#include "profile/remote.h"
#include "profile/stats.h"

enum { P99_FROM = 100, MAX_FAILURE_KINDS = 8 };

bool load_answered(const struct load_slot *slot)
{
    return slot->sample.outcome == OUTCOME_OK || slot->sample.outcome == OUTCOME_SHORT;
}

/* From the start to the last answer, and at least as long as requests were due. */
static double whole_s(const struct load_point *point)
{
    uint64_t end_ns = point->start_ns + (uint64_t)(point->window_s * 1e9);
    for (size_t i = 0; i < point->n; i++)
        if (load_answered(&point->slots[i]) && point->slots[i].end_ns > end_ns)
            end_ns = point->slots[i].end_ns;
    return (double)(end_ns - point->start_ns) / 1e9;
}

/* ---- within the window: what comes while everything drains says nothing about the load ---- */

static double per_second(const struct load_point *point, double n)
{
    return point->window_s > 0 ? n / point->window_s : 0;
}

/* Milliseconds of the window that were left when slot's request was due. */
static double left_ms(const struct load_point *point, const struct load_slot *slot)
{
    return point->window_s * 1e3 + ((double)point->start_ns - (double)slot->due_ns) / 1e6;
}

static bool completed(const struct load_point *point, const struct load_slot *slot)
{
    return load_answered(slot) && (double)(slot->end_ns - slot->due_ns) / 1e6 <= left_ms(point, slot);
}

/* Of a slot's tokens those that came within the window. Of tokens that came several at a time the gaps are
 * not known: they count evenly, backwards from the last one. */
static double tokens_within(const struct load_point *point, const struct load_slot *slot)
{
    const struct sample *sample = &slot->sample;
    double left = left_ms(point, slot), at = sample->value[METRIC_TTFT_MS], n = sample->generated_tokens;
    if (!load_answered(slot) || !(at <= left))
        return 0;
    if (sample->value[METRIC_RESPONSE_MS] <= left)
        return n;
    if (sample->n_itl == 0) {
        double late = (sample->value[METRIC_RESPONSE_MS] - left) / sample->value[METRIC_TPOT_MS];
        return isfinite(late) ? fmax(n - late, 0) : n;
    }
    uint32_t here = 1;
    while (here <= sample->n_itl && (at += (double)sample->itl_ms[here - 1]) <= left)
        here++;
    return here;
}

double load_requests_per_s(const struct load_point *point)
{
    double n = 0;
    for (size_t i = 0; i < point->n; i++)
        n += completed(point, &point->slots[i]);
    return per_second(point, n);
}

double load_tokens_per_s(const struct load_point *point)
{
    double tokens = 0;
    for (size_t i = 0; i < point->n; i++)
        tokens += tokens_within(point, &point->slots[i]);
    return per_second(point, tokens);
}

double load_in_flight(const struct load_point *point, double from_s, double to_s)
{
    double area_s = 0;
    for (size_t i = 0; i < point->n; i++) {
        const struct load_slot *slot = &point->slots[i];
        double begin_s = ((double)slot->due_ns - (double)point->start_ns) / 1e9;
        double end_s = ((double)slot->end_ns - (double)point->start_ns) / 1e9;
        double overlap_s = fmin(end_s, to_s) - fmax(begin_s, from_s);
        area_s += slot->sent && overlap_s > 0 ? overlap_s : 0;
    }
    return area_s / (to_s - from_s);
}

/* ---- saturation ---- */

/* In a stable queue what is under way does not grow. From the second quarter of the point to the last one,
 * half its duration later, it may by chance: by about the square root of what is under way (two of them are
 * allowed), and by a tenth of what came meanwhile. */
static bool queue_grows(const struct load_point *point)
{
    double quarter_s = point->duration_s / 4;
    double before = load_in_flight(point, quarter_s, 2 * quarter_s);
    double after = load_in_flight(point, 3 * quarter_s, 4 * quarter_s);
    return after - before > 0.1 * (double)point->n / 2 + 2 * sqrt(before + 1);
}

const char *load_saturated(const struct load_point *point, double tokens_per_s, double best_before)
{
    size_t lost = 0;
    for (size_t i = 0; i < point->n; i++)
        lost += !load_answered(&point->slots[i]);
    if (point->n && lost * 100 >= point->n)
        return "1 % of the requests or more were refused or failed";
    if (point->closed)
        return best_before > 0 && tokens_per_s < 1.05 * best_before
                   ? "more at once gave less than 5 % more tokens per second"
                   : NULL;
    return queue_grows(point) ? "more came than was answered: the number under way kept growing" : NULL;
}

/* ---- JSON ---- */

static void put_percentiles(json_t *object, const char *name, double *values, size_t n, const char *reason)
{
    size_t known = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) {
            sum += values[i];
            values[known++] = values[i];
        }
    if (known == 0) {
        json_put_null(object, name, reason);
        return;
    }
    stats_sort(values, known);
    json_t *o = json_put_object(object, name);
    json_put_integer(o, "n", known);
    json_put_number(o, "mean", sum / (double)known, "");
    json_put_number(o, "p50", stats_percentile(values, known, 50), "");
    json_put_number(o, "p90", stats_percentile(values, known, 90), "");
    json_put_number(o, "p99", known >= P99_FROM ? stats_percentile(values, known, 99) : NAN,
                    "needs 100 values or more");
    json_put_number(o, "max", values[known - 1], "");
}

static void put_metric(json_t *object, const char *name, const struct load_point *point, enum metric metric,
                       double *values)
{
    size_t n = 0;
    for (size_t i = 0; i < point->n; i++)
        if (load_answered(&point->slots[i]))
            values[n++] = point->slots[i].sample.value[metric];
    put_percentiles(object, name, values, n, "no answer had one");
}

static void put_lateness(json_t *object, const struct load_point *point, double *values)
{
    size_t n = 0;
    for (size_t i = 0; i < point->n; i++)
        if (point->slots[i].sent)
            values[n++] = (double)(point->slots[i].sent_ns - point->slots[i].due_ns) / 1e6;
    put_percentiles(object, "late_ms", values, n, "nothing was sent");
}

/* Tokens that were counted, and came several at a time. */
static bool no_gaps(const struct sample *sample)
{
    return sample->generated_tokens > 1 && sample->n_itl == 0;
}

static bool several(const struct load_point *point)
{
    for (size_t i = 0; i < point->n; i++)
        if (load_answered(&point->slots[i]) && no_gaps(&point->slots[i].sample))
            return true;
    return false;
}

static void put_gaps(json_t *object, const struct load_point *point)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < point->n; i++)
        n += load_answered(&point->slots[i]) ? point->slots[i].sample.n_itl : 0;
    double *values = n ? calloc(n, sizeof *values) : NULL;
    for (size_t i = 0; values && i < point->n; i++)
        for (uint32_t k = 0; load_answered(&point->slots[i]) && k < point->slots[i].sample.n_itl; k++)
            values[at++] = (double)point->slots[i].sample.itl_ms[k];
    put_percentiles(object, "itl_ms", values, at,
                    several(point) ? REMOTE_SEVERAL_REASON : "no answer had two tokens that were counted");
    free(values);
}

static bool within_limits(const struct load_slot *slot, const struct load_request *request)
{
    double ttft = slot->sample.value[METRIC_TTFT_MS], gap = slot->sample.value[METRIC_TPOT_MS];
    return load_answered(slot) && ttft <= request->ttft_limit_ms &&
           (isnan(gap) || gap <= request->itl_limit_ms);
}

static void put_failures(json_t *object, const struct load_point *point)
{
    const char *messages[MAX_FAILURE_KINDS];
    size_t counts[MAX_FAILURE_KINDS] = {0}, kinds = 0, others = 0;
    for (size_t i = 0; i < point->n; i++) {
        const char *message = point->slots[i].sample.message;
        if (load_answered(&point->slots[i]))
            continue;
        size_t k = 0;
        while (k < kinds && strcmp(messages[k], message) != 0)
            k++;
        if (k == MAX_FAILURE_KINDS) {
            others++;
            continue;
        }
        messages[k] = message;
        counts[k]++;
        kinds += k == kinds;
    }
    json_t *list = json_put_array(object, "failures");
    for (size_t k = 0; k < kinds; k++)
        json_array_append_new(
            list, json_pack("{s:s, s:I}", "message", messages[k], "count", (json_int_t)counts[k]));
    if (others)
        json_array_append_new(
            list, json_pack("{s:s, s:I}", "message", "other failures", "count", (json_int_t)others));
}

static void put_counts(json_t *object, const struct load_point *point, const struct load_request *request)
{
    size_t sent = 0, ok = 0, short_ones = 0, refused = 0, good = 0;
    for (size_t i = 0; i < point->n; i++) {
        const struct load_slot *slot = &point->slots[i];
        sent += slot->sent;
        ok += load_answered(slot);
        short_ones += slot->sample.outcome == OUTCOME_SHORT;
        refused += slot->refused && !load_answered(slot);
        good += completed(point, slot) && within_limits(slot, request);
    }
    json_put_integer(object, "sent", sent);
    json_put_integer(object, "ok", ok);
    json_put_integer(object, "short", short_ones);
    json_put_integer(object, "failed", point->n - ok - refused);
    json_put_integer(object, "refused", refused);
    json_put_number(object, "duration_s", whole_s(point), "");
    json_put_number(object, "offered_per_s", per_second(point, (double)point->n), "");
    json_put_number(object, "requests_per_s", load_requests_per_s(point), "");
    json_put_number(object, "output_tokens_per_s", load_tokens_per_s(point), "");
    json_put_number(object, "goodput", per_second(point, (double)good), "");
}

json_t *load_point_json(const struct load_point *point, const struct load_request *request,
                        const char *saturated)
{
    json_t *object = json_object();
    double *values = calloc(point->n ? point->n : 1, sizeof *values);
    if (!object || !values) {
        json_decref(object);
        free(values);
        return NULL;
    }
    json_put_string(object, "kind", point->closed ? "concurrency" : "rate", "");
    json_put_number(object, "asked", point->asked, "");
    put_counts(object, point, request);
    json_t *flight = json_put_object(object, "in_flight");
    json_put_number(flight, "mean", load_in_flight(point, 0, point->duration_s), "");
    json_put_integer(flight, "max", point->in_flight_max);
    put_metric(object, "ttft_ms", point, METRIC_TTFT_MS, values);
    put_gaps(object, point);
    put_metric(object, "tpot_ms", point, METRIC_TPOT_MS, values);
    put_metric(object, "latency_ms", point, METRIC_RESPONSE_MS, values);
    put_lateness(object, point, values);
    json_put_bool(object, "saturated", saturated != NULL);
    if (saturated)
        json_put_string(object, "why", saturated, "");
    put_failures(object, point);
    free(values);
    return object;
}

void load_samples_json(const struct load_point *point, size_t index, json_t *samples)
{
    for (size_t i = 0; i < point->n; i++) {
        const struct load_slot *slot = &point->slots[i];
        const double *value = slot->sample.value;
        json_t *o = json_object();
        json_put_integer(o, "point", index);
        json_put_number(o, "due_s", (double)(slot->due_ns - point->start_ns) / 1e9, "");
        json_put_number(o, "late_ms", (double)(slot->sent_ns - slot->due_ns) / 1e6, "");
        json_put_string(o, "outcome", target_outcome_name(slot->sample.outcome), "");
        if (slot->sample.message[0])
            json_put_string(o, "message", slot->sample.message, "");
        json_put_number(o, "ttft_ms", value[METRIC_TTFT_MS], "no token came");
        json_put_number(o, "tpot_ms", value[METRIC_TPOT_MS],
                        no_gaps(&slot->sample) ? "all tokens came at once"
                                               : "fewer than two tokens that were counted");
        json_put_number(o, "latency_ms", value[METRIC_RESPONSE_MS], "no token came");
        json_put_integer(o, "prompt_tokens", slot->sample.prompt_tokens);
        json_put_integer(o, "tokens", slot->sample.generated_tokens);
        json_array_append_new(samples, o);
    }
}
