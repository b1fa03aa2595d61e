/* From the record of a run to its figures (the definitions of docs/PROFILER: one clock; t0 accepted, t1 first
 * generated token, tn last; p prompt tokens of which c cached, n generated). Pure; unknown is NaN. */
#ifndef LLMIND_PROFILE_METRICS_H
#define LLMIND_PROFILE_METRICS_H

#include <stdint.h>

#include "profile/target.h"

enum metric {
    METRIC_TOKENS_PER_SECOND, /* n / response time: the headline of a prompt */
    METRIC_DECODE_TPS,        /* (n - 1) / (tn - t1) */
    METRIC_PREFILL_TPS,       /* (p - c) / (t1 - start of prefill) */
    METRIC_TTFT_MS,           /* t1 - t0 */
    METRIC_TPOT_MS,           /* (tn - t1) / (n - 1) */
    METRIC_RESPONSE_MS,       /* tn - t0 */
    METRIC_QUEUE_MS,          /* start of prefill - end of tokenizing */
    METRIC_TOKENIZE_MS,
    METRIC_PREFILL_MS,
    METRIC_ITL_P50_MS, /* gaps between tokens */
    METRIC_ITL_P90_MS,
    METRIC_ITL_P99_MS, /* from 100 gaps up */
    METRIC_ITL_MAX_MS,
    METRIC_CPU_CORES, /* CPU time of the process / wall time while decoding */
    METRICS
};

/* "decode_tokens_per_second", "ttft_ms", ...: the names of reports. */
const char *metric_name(enum metric metric);

/* What one run measured, kept raw. */
struct sample {
    enum target_outcome outcome;
    char message[160]; /* why, when it is not OK */
    uint32_t prompt_tokens, cached_tokens, generated_tokens;
    double value[METRICS];
    float *itl_ms; /* every gap, in order */
    uint32_t n_itl;
};

/* Allocates itl_ms (left NULL when memory is short); free with sample_free. */
void sample_from_trace(const struct target_trace *trace, struct sample *out);
void sample_free(struct sample *sample);

/* Nanoseconds from the moment `from` prompt tokens were done (0: from the start of prefill) to the first
 * token; 0 when the target did not report that moment. */
uint64_t trace_prefill_ns(const struct target_trace *trace, uint32_t from);

/* Tokens per second of n sequences together while all of them were decoding: from the latest first token to
 * the earliest last one. *window_ns (may be NULL) is how long that was. NaN and 0 when there was no such
 * time. */
double traces_decode_tps(const struct target_trace *traces, uint32_t n, uint64_t *window_ns);

#endif
