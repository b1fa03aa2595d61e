/* The order of runs, and what surrounds each of them. */
#include "profile/sweep.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "profile/json_put.h"
#include "profile/stats.h"

enum { TIMEOUT_QUICK_MS = 60 * 1000 };

/* ---- real labs ---- */

static int real_open(void *context, const struct lab_options *options, struct lab **out, struct error *error)
{
    (void)context;
    return lab_open(options, out, error);
}

static void real_close(void *context, struct lab *lab)
{
    (void)context;
    lab_close(lab);
}

static int real_run(void *context, struct lab *lab, const struct lab_run *run, struct lab_result *out,
                    struct error *error)
{
    (void)context;
    return lab_do(lab, run, out, error);
}

static const struct engine_info *real_info(void *context, const struct lab *lab)
{
    (void)context;
    return lab_engine_info(lab);
}

static double real_now_s(void *context)
{
    (void)context;
    return (double)clock_now_ns() / 1e9;
}

const struct sweep_labs sweep_labs_real = {
    .open = real_open, .close = real_close, .run = real_run, .info = real_info, .now_s = real_now_s};

/* ---- figures ---- */

const char *sweep_figure_name(enum sweep_figure figure)
{
    static const enum metric metrics[] = {METRIC_TOKENS_PER_SECOND, METRIC_DECODE_TPS, METRIC_PREFILL_TPS,
                                          METRIC_TTFT_MS, METRIC_RESPONSE_MS};
    return figure == SWEEP_AGGREGATE_TPS ? "aggregate_decode_tokens_per_second"
                                         : metric_name(metrics[figure]);
}

bool sweep_lower_is_better(enum sweep_figure figure)
{
    return figure == SWEEP_TTFT_MS || figure == SWEEP_RESPONSE_MS;
}

static void take_figures(const struct lab_result *result, const struct lab_run *run, struct sweep_sample *out)
{
    const struct sample *sample = &result->sample;
    const double *value = sample->value;
    double decode = value[METRIC_DECODE_TPS];
    *out = (struct sweep_sample){
        .outcome = sample->outcome,
        .value = {[SWEEP_TOKENS_PER_SECOND] = value[METRIC_TOKENS_PER_SECOND],
                  [SWEEP_DECODE_TPS] = decode,
                  [SWEEP_PREFILL_TPS] = value[METRIC_PREFILL_TPS],
                  [SWEEP_TTFT_MS] = value[METRIC_TTFT_MS],
                  [SWEEP_RESPONSE_MS] = value[METRIC_RESPONSE_MS],
                  [SWEEP_AGGREGATE_TPS] = run->n_sequences > 1 ? result->aggregate_decode_tps : decode},
        .cached_tokens = sample->cached_tokens,
        .generated_tokens = sample->generated_tokens,
        .footprint_peak_bytes = result->memory.known ? (double)result->memory.footprint_peak_bytes : NAN};
    memcpy(out->message, sample->message, sizeof out->message);
    out->message[sizeof out->message - 1] = 0;
}

/* ---- events ---- */

static void tell(const struct sweep *sweep, json_t *event)
{
    if (event && sweep->hooks && sweep->hooks->on_event)
        sweep->hooks->on_event(sweep->hooks->context, event);
    json_decref(event);
}

void sweep_note(const struct sweep *sweep, const char *format, ...)
{
    char text[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    tell(sweep, json_pack("{s:s, s:s}", "type", "note", "text", text));
}

/* done: of what is measured now, 0 .. 1 */
static void tell_phase(const struct sweep *sweep, const char *step, double done)
{
    double progress = sweep->progress_from + done * (sweep->progress_to - sweep->progress_from);
    double eta_s = (1 - done) * sweep->expected_s + sweep->later_s;
    json_t *event = json_pack("{s:s, s:s, s:s}", "type", "phase", "phase", sweep->phase, "step", step);
    json_object_set_new(event, "progress", json_put_real(progress));
    json_object_set_new(event, "eta_s", json_put_real(eta_s));
    tell(sweep, event);
}

static void tell_sample(const struct sweep *sweep, const struct sweep_sample *sample, uint32_t number)
{
    json_t *event =
        json_pack("{s:s, s:n, s:n, s:n, s:i, s:b, s:s}", "type", "sample", "test", "configuration", "model",
                  "run", (int)number, "warmup", number == 0, "outcome", target_outcome_name(sample->outcome));
    json_object_set_new(event, sweep->item, json_string(sweep->name));
    for (int i = 0; i < SWEEP_FIGURES; i++)
        json_object_set_new(event, sweep_figure_name((enum sweep_figure)i), json_put_real(sample->value[i]));
    tell(sweep, event);
}

bool sweep_cancelled(const struct sweep *sweep)
{
    return sweep->hooks && sweep->hooks->cancel && atomic_load(sweep->hooks->cancel) != 0;
}

/* ---- one run ---- */

static int run_in_lab(struct sweep *sweep, struct lab *lab, const struct lab_run *run,
                      struct sweep_sample *out, struct error *error)
{
    struct lab_run timed = *run;
    struct lab_result result;
    memset(&result, 0, sizeof result);
    if (!timed.timeout_ms && sweep->quick)
        timed.timeout_ms = TIMEOUT_QUICK_MS;
    int status = sweep->labs->run(sweep->labs->context, lab, &timed, &result, error);
    if (!status) {
        take_figures(&result, run, out);
        if (out->outcome == OUTCOME_CANCELLED)
            status = error_set(error, ERROR_CANCELLED, "interrupted");
    }
    sample_free(&result.sample);
    if (status == ERROR_IO)
        sweep->dead = lab;
    return status;
}

int sweep_run(struct sweep *sweep, struct lab *lab, const struct lab_run *run, uint32_t number,
              struct sweep_sample *out, struct error *error)
{
    const struct gate *gate = sweep->hooks && number > 0 ? sweep->hooks->gate : NULL;
    int status = 0;
    *out = (struct sweep_sample){.outcome = OUTCOME_ERROR};
    for (int i = 0; i < SWEEP_FIGURES; i++)
        out->value[i] = NAN;
    for (int attempt = 1; attempt <= SWEEP_ATTEMPTS; attempt++) {
        if (sweep_cancelled(sweep))
            return error_set(error, ERROR_CANCELLED, "interrupted");
        if (gate)
            status = gate->close(gate->context, GATE_WAIT_MS, sweep->hooks->cancel, error);
        if (status)
            return status;
        status = run_in_lab(sweep, lab, run, out, error);
        bool overlapped = gate && gate->open(gate->context);
        if (status)
            return status;
        if (!overlapped) {
            tell_sample(sweep, out, number);
            return 0;
        }
        sweep_note(sweep, "%s: a request was served during the run; it %s", sweep->name,
                   attempt < SWEEP_ATTEMPTS ? "is done again" : "does not count");
    }
    out->outcome = OUTCOME_ERROR;
    snprintf(out->message, sizeof out->message, "other requests were served during each of %d attempts",
             SWEEP_ATTEMPTS);
    return 0;
}

/* ---- blocks ---- */

/* Remembers why there will be no more; true when the run ended well. */
static bool ended_well(const struct sweep_sample *sample, bool of_a, struct sweep_result *out)
{
    if (sample->outcome == OUTCOME_OK)
        return true;
    out->outcome = sample->outcome;
    out->of_a = of_a;
    snprintf(out->message, sizeof out->message, "%s",
             sample->message[0] ? sample->message : target_outcome_name(sample->outcome));
    return false;
}

/* "threads=2, block 3 of 5" */
static void name_block(const struct sweep *sweep, uint32_t number, uint32_t blocks, char *out,
                       size_t capacity)
{
    uint32_t all = sweep->in_pieces ? sweep->all_blocks : blocks;
    int n = snprintf(out, capacity, "%.80s, block %u", sweep->name, sweep->first_block + number + 1);
    if (all && n > 0 && (size_t)n < capacity)
        snprintf(out + n, capacity - (size_t)n, " of %u", all);
}

static int warm_up(struct sweep *sweep, struct sweep_side *side, bool of_a, struct sweep_result *out,
                   struct error *error)
{
    struct sweep_sample sample;
    if (side->warmed)
        return 0;
    int status = sweep_run(sweep, side->lab, &side->run, 0, &sample, error);
    if (!status)
        side->warmed = ended_well(&sample, of_a, out);
    return status;
}

/* A B B A. The two pairs are the neighbours: first and second, fourth and third. */
static int one_block(struct sweep *sweep, struct sweep_side *a, struct sweep_side *b, uint32_t number,
                     struct sweep_result *out, struct error *error)
{
    uint32_t block = sweep->first_block + number;
    struct sweep_sample samples[4];
    struct sweep_side *const order[4] = {a, b, b, a};
    for (uint32_t i = 0; i < 4; i++) {
        order[i]->run.seed = block * 2 + i / 2; /* both sides of a pair draw the same numbers */
        int status =
            sweep_run(sweep, order[i]->lab, &order[i]->run, block * 2 + i / 2 + 1, &samples[i], error);
        if (status || !ended_well(&samples[i], order[i] == a, out))
            return status;
        if (i == 1 || i == 3)
            out->pairs[out->n++] = (struct sweep_pair){
                .block = block, .a = samples[i == 1 ? 0 : 3], .b = samples[i == 1 ? 1 : 2]};
    }
    return 0;
}

int sweep_blocks(struct sweep *sweep, struct sweep_side *a, struct sweep_side *b, uint32_t blocks,
                 struct sweep_result *out, struct error *error)
{
    char step[128];
    *out = (struct sweep_result){.outcome = OUTCOME_OK};
    out->pairs = calloc(blocks ? (size_t)blocks * 2 : 1, sizeof *out->pairs);
    if (!out->pairs)
        return error_memory(error, "the samples of a comparison", 2 * (size_t)blocks * sizeof *out->pairs);
    snprintf(step, sizeof step, "%.80s, warm-up", sweep->name);
    tell_phase(sweep, step, 0);
    int status = warm_up(sweep, a, true, out, error);
    if (!status && out->outcome == OUTCOME_OK)
        status = warm_up(sweep, b, false, out, error);
    for (uint32_t i = 0; !status && out->outcome == OUTCOME_OK && i < blocks; i++) {
        name_block(sweep, i, blocks, step, sizeof step);
        tell_phase(sweep, step, (i + 0.5) / (blocks + 0.5)); /* the warm-ups: half a block */
        status = one_block(sweep, a, b, i, out, error);
    }
    return status;
}

void sweep_result_free(struct sweep_result *result)
{
    free(result->pairs);
    *result = (struct sweep_result){.n = 0};
}

/* ---- verdict ---- */

static double scatter(const double *values, size_t n)
{
    struct stats stats;
    stats_compute(values, n, &stats);
    return stats.cv;
}

/* The geometric means of each block's pairs, in place: how two processes happen to lie in memory is the same
 * for all that they do, so pairs that share them are one piece of evidence and not two. Returns how many. */
static size_t one_pair_a_block(const struct sweep_result *result, double *a, double *b)
{
    size_t n = 0;
    for (size_t i = 0, next; i < result->n; i = next) {
        double sum_a = 0, sum_b = 0;
        for (next = i; next < result->n && result->pairs[next].block == result->pairs[i].block; next++) {
            sum_a += log(a[next]);
            sum_b += log(b[next]);
        }
        double count = (double)(next - i);
        a[n] = exp(sum_a / count);
        b[n++] = exp(sum_b / count);
    }
    return n;
}

void sweep_compare(const struct sweep_result *result, enum sweep_figure figure, struct pairs *out,
                   const char **why)
{
    const char *reason = NULL;
    size_t n = result->n;
    double *a = malloc((n ? n : 1) * 2 * sizeof *a), *b = a ? a + n : NULL;
    if (!a)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        a[i] = result->pairs[i].a.value[figure];
        b[i] = result->pairs[i].b.value[figure];
    }
    bool scatters = scatter(a, n) > SWEEP_UNSTABLE || scatter(b, n) > SWEEP_UNSTABLE;
    if (result->fresh_blocks && n > 0)
        n = one_pair_a_block(result, a, b);
    pairs_compare(a, b, n, out);
    if (result->outcome != OUTCOME_OK)
        reason = "a run did not end well";
    else if (out->verdict == PAIRS_UNKNOWN)
        reason = "needs 3 pairs or more";
    else if (scatters)
        reason = "the figures scatter by more than 20 %: no verdict";
    if (reason)
        out->verdict = PAIRS_UNKNOWN;
    if (why)
        *why = reason;
    free(a);
}
