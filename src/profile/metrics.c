#include "profile/metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/stats.h"

enum { ITL_P99_FROM = 100 };

const char *metric_name(enum metric metric)
{
    static const char *const names[METRICS] = {"tokens_per_second",
                                               "decode_tokens_per_second",
                                               "prefill_tokens_per_second",
                                               "ttft_ms",
                                               "tpot_ms",
                                               "response_ms",
                                               "queue_ms",
                                               "tokenize_ms",
                                               "prefill_ms",
                                               "itl_p50_ms",
                                               "itl_p90_ms",
                                               "itl_p99_ms",
                                               "itl_max_ms",
                                               "decode_cpu_cores"};
    return names[metric];
}

/* to - from, NaN when one is missing or they stand the wrong way round. */
static double span_ms(uint64_t from, uint64_t to)
{
    return from && to && to >= from ? (double)(to - from) / 1e6 : NAN;
}

static double per_second(double tokens, double ms)
{
    return tokens > 0 && ms > 0 ? tokens / ms * 1000 : NAN;
}

static void gaps(const struct target_trace *trace, struct sample *out)
{
    uint32_t n = trace->n_tokens > 1 ? trace->n_tokens - 1 : 0;
    double *sorted = n ? malloc(n * sizeof *sorted) : NULL;
    out->itl_ms = n ? malloc(n * sizeof *out->itl_ms) : NULL;
    if (sorted && out->itl_ms) {
        out->n_itl = n;
        for (uint32_t i = 0; i < n; i++) {
            sorted[i] = (double)(trace->token_ns[i + 1] - trace->token_ns[i]) / 1e6;
            out->itl_ms[i] = (float)sorted[i];
        }
        stats_sort(sorted, n);
        out->value[METRIC_ITL_P50_MS] = stats_percentile(sorted, n, 50);
        out->value[METRIC_ITL_P90_MS] = stats_percentile(sorted, n, 90);
        out->value[METRIC_ITL_MAX_MS] = sorted[n - 1];
        if (n >= ITL_P99_FROM)
            out->value[METRIC_ITL_P99_MS] = stats_percentile(sorted, n, 99);
    }
    free(sorted);
}

void sample_from_trace(const struct target_trace *trace, struct sample *out)
{
    memset(out, 0, sizeof *out);
    for (int i = 0; i < METRICS; i++)
        out->value[i] = NAN;
    out->outcome = trace->outcome;
    snprintf(out->message, sizeof out->message, "%.*s", (int)sizeof out->message - 1, trace->error.message);
    const struct engine_timings *t = &trace->timings;
    uint32_t n = trace->n_tokens;
    out->prompt_tokens = t->prompt_tokens;
    out->cached_tokens = t->cached_tokens;
    out->generated_tokens = n;
    double *value = out->value;
    value[METRIC_TOKENIZE_MS] = span_ms(t->accepted_ns, t->tokenized_ns);
    value[METRIC_QUEUE_MS] = span_ms(t->tokenized_ns, t->prefill_start_ns);
    if (n == 0)
        return;
    double decode_ms = span_ms(t->first_token_ns, t->last_token_ns);
    value[METRIC_PREFILL_MS] = span_ms(t->prefill_start_ns, t->first_token_ns);
    value[METRIC_PREFILL_TPS] =
        per_second((double)t->prompt_tokens - t->cached_tokens, value[METRIC_PREFILL_MS]);
    value[METRIC_TTFT_MS] = span_ms(t->accepted_ns, t->first_token_ns);
    value[METRIC_RESPONSE_MS] = span_ms(t->accepted_ns, t->last_token_ns);
    value[METRIC_TOKENS_PER_SECOND] = per_second(n, value[METRIC_RESPONSE_MS]);
    if (n > 1) {
        value[METRIC_DECODE_TPS] = per_second((double)n - 1, decode_ms);
        value[METRIC_TPOT_MS] = decode_ms / ((double)n - 1);
        if (trace->decode_wall_ns)
            value[METRIC_CPU_CORES] = (double)trace->decode_cpu_ns / (double)trace->decode_wall_ns;
    }
    gaps(trace, out);
}

void sample_free(struct sample *sample)
{
    free(sample->itl_ms);
    sample->itl_ms = NULL;
    sample->n_itl = 0;
}

uint64_t trace_prefill_ns(const struct target_trace *trace, uint32_t from)
{
    uint64_t start = from == 0 ? trace->timings.prefill_start_ns : 0;
    for (uint32_t i = 0; from > 0 && i < trace->n_progress; i++)
        if (trace->progress[i].prompt_done == from)
            start = trace->progress[i].ns;
    uint64_t end = trace->timings.first_token_ns;
    return start && end > start ? end - start : 0;
}

double traces_decode_tps(const struct target_trace *traces, uint32_t n, uint64_t *window_ns)
{
    uint64_t start = 0, end = UINT64_MAX;
    if (window_ns)
        *window_ns = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (traces[i].n_tokens < 2)
            return NAN;
        uint64_t first = traces[i].token_ns[0], last = traces[i].token_ns[traces[i].n_tokens - 1];
        start = first > start ? first : start;
        end = last < end ? last : end;
    }
    if (n == 0 || end <= start)
        return NAN;
    if (window_ns)
        *window_ns = end - start;
    uint64_t tokens = 0; /* that came after start, up to end */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < traces[i].n_tokens; k++)
            tokens += traces[i].token_ns[k] > start && traces[i].token_ns[k] <= end;
    return (double)tokens / (double)(end - start) * 1e9;
}
