/* Memory and speed of a plan, as figures. */
#include "profile/estimate.h"

#include <math.h>
#include <stdio.h>

#include "engine/engine.h"

#define TIGHT_SHARE 0.85 /* of what is available: more than that is tight */

/* Measured with random-weight models of 1,000 to 152,000 tokens of vocabulary (docs/estimates.md): what the
 * process has beside weights, KV pages and touched scratch. */
#define PROGRAM_BYTES 22e6
#define VOCABULARY_BYTES 210.0 /* of one entry: the tokenizer's tables, pieces, merges */

uint64_t estimate_program_bytes(uint32_t vocab)
{
    return (uint64_t)(PROGRAM_BYTES + VOCABULARY_BYTES * vocab);
}

const char *estimate_fit_name(enum estimate_fit fit)
{
    static const char *const names[] = {"fits", "tight", "does_not_fit", "unknown"};
    return names[fit];
}

/* ---- memory ---- */

/* An untied embedding table is read a row for each token; a tied one is read whole by the output head. */
static uint64_t embedding_apart(const struct plan *plan)
{
    const struct weight *table = NULL;
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].kind == PLAN_EMBED)
            table = plan->ops[i].embed.weight;
    for (uint32_t i = 0; table && i < plan->n_ops; i++)
        if (plan->ops[i].kind == PLAN_LINEAR && plan->ops[i].linear.weight == table)
            return 0;
    return table ? weight_bytes(table) : 0;
}

static uint64_t pages_for(uint64_t tokens, const struct engine_sizes *sizes)
{
    return (tokens + sizes->page_tokens - 1) / sizes->page_tokens;
}

static void find_limits(const struct engine_sizes *sizes, uint64_t available, struct estimate *out)
{
    uint64_t fixed = out->weight_bytes + out->scratch_bytes + out->program_bytes;
    out->fit = available == UINT64_MAX                                      ? ESTIMATE_FIT_UNKNOWN
               : out->total_bytes > available                               ? ESTIMATE_DOES_NOT_FIT
               : (double)out->total_bytes > TIGHT_SHARE * (double)available ? ESTIMATE_TIGHT
                                                                            : ESTIMATE_FITS;
    out->max_context = out->max_concurrency = 0;
    if (available == UINT64_MAX || fixed >= available)
        return;
    uint64_t most = out->model_context ? out->model_context : UINT32_MAX;
    uint64_t pages = sizes->page_bytes ? (available - fixed) / sizes->page_bytes : UINT32_MAX;
    uint64_t tokens = pages / out->concurrency * sizes->page_tokens;
    out->max_context = (uint32_t)(tokens < most ? tokens : most);
    uint64_t sequences = pages / pages_for(out->context, sizes);
    out->max_concurrency =
        (uint32_t)(sequences < sizes->max_sequences_limit ? sequences : sizes->max_sequences_limit);
}

static void size_up(const struct model *model, const struct engine_sizes *sizes, uint64_t available,
                    struct estimate *out)
{
    const struct plan *plan = model_plan(model);
    out->weight_bytes = model_info(model)->file_bytes;
    out->embedding_bytes = embedding_apart(plan);
    out->kv_bytes_per_token = plan_kv_bytes_per_token(plan, out->kv_bits);
    out->kv_bytes = pages_for(out->context, sizes) * out->concurrency * sizes->page_bytes;
    out->scratch_bytes = sizes->scratch_bytes - sizes->seldom_bytes;
    out->program_bytes = estimate_program_bytes(plan->vocab);
    out->total_bytes = out->weight_bytes + out->kv_bytes + out->scratch_bytes + out->program_bytes;
    find_limits(sizes, available, out);
}

/* Rows of an embedding table come with their neighbours: the kernel maps 16 pages around one that is touched
 * (fault_around_bytes), so after n random rows this share of the table is there. */
static double embedding_share(double table_bytes, double rows)
{
    const double around = 65536;
    return table_bytes > 0 ? 1 - exp(-rows * around / table_bytes) : 0;
}

double estimate_resident_bytes(const struct estimate *estimate, double longest, double rows)
{
    double table = (double)estimate->embedding_bytes;
    double pages = ceil(longest / estimate->page_tokens) * estimate->page_tokens;
    return (double)estimate->weight_bytes - table * (1 - embedding_share(table, rows)) +
           pages * (double)estimate->kv_bytes_per_token + (double)estimate->scratch_bytes +
           (double)estimate->program_bytes;
}

/* ---- speed ---- */

void estimate_factors(const struct calibration *calibration, bool prefill, double *low, double *mid,
                      double *high)
{
    /* Two standard deviations of the check's residuals, which are few, so never less than 8 %. What it was
     * off on the whole is corrected, unless it is so much that something disturbed it. */
    double spread = prefill ? calibration->prefill_spread : calibration->decode_spread;
    double bias = prefill ? calibration->prefill_bias : calibration->decode_bias;
    double width = fmax(2 * spread, 0.08);
    *mid = exp(-fmax(-0.2, fmin(0.2, bias)));
    *low = *mid * exp(-width);
    *high = *mid * exp(width);
}

static const struct estimate_interval unknown = {NAN, NAN, NAN};

/* rate(which) at three paces, times the calibration's own interval. */
static struct estimate_interval widen(const double rates[3], const struct calibration *calibration,
                                      bool prefill)
{
    double low, mid, high;
    estimate_factors(calibration, prefill, &low, &mid, &high);
    return (struct estimate_interval){fmin(rates[0], rates[1]) * low, rates[1] * mid,
                                      fmax(rates[2], rates[1]) * high};
}

static struct plan_step decode_step(const struct estimate *estimate, uint32_t depth)
{
    return (struct plan_step){.n_tokens = estimate->concurrency,
                              .n_outputs = estimate->concurrency,
                              .n_sequences = estimate->concurrency,
                              .context = depth,
                              .kv_bits = estimate->kv_bits};
}

static struct estimate_interval forecast_decode(const struct plan *plan,
                                                const struct estimate_machine *machine, uint32_t depth,
                                                struct estimate *out, struct forecast *parts)
{
    double rates[3];
    struct plan_step step = decode_step(out, depth);
    for (int which = -1; which <= 1; which++) {
        struct forecast forecast;
        struct forecast_machine at = {&machine->calibration, &machine->pace, which};
        if (!forecast_step(&at, plan, out->n_phases, &step, 0, &forecast))
            return unknown;
        rates[which + 1] = 1e3 / forecast.total_ms;
        if (which == 0)
            *parts = forecast;
    }
    return widen(rates, &machine->calibration, false);
}

static struct estimate_interval forecast_prompt(const struct plan *plan,
                                                const struct estimate_machine *machine, struct estimate *out)
{
    double rates[3];
    for (int which = -1; which <= 1; which++) {
        struct forecast forecast;
        struct forecast_machine at = {&machine->calibration, &machine->pace, which};
        if (!forecast_prefill(&at, plan, out->n_phases, out->prompt, out->prefill_chunk, out->kv_bits,
                              &forecast))
            return unknown;
        rates[which + 1] = 1e3 * out->prompt / forecast.total_ms;
        if (which == 0)
            out->prompt_step = forecast;
    }
    return widen(rates, &machine->calibration, true);
}

static struct estimate_interval scaled(struct estimate_interval interval, double factor)
{
    return (struct estimate_interval){interval.low * factor, interval.mid * factor, interval.high * factor};
}

/* By bytes and bandwidth alone: see the header. */
static void guess_speed(const struct plan *plan, const struct estimate_machine *machine, struct estimate *out)
{
    out->prefill = out->ttft_ms = out->decode = out->decode_all = out->decode_deepest = unknown;
    snprintf(out->reason, sizeof out->reason, "%.230s",
             machine->calibration_reason[0] ? machine->calibration_reason : machine->pace_reason);
    if (!machine->paced)
        return;
    double at[2];
    for (int deep = 0; deep < 2; deep++) {
        struct plan_step step = decode_step(out, deep ? out->context - 1 : out->prompt);
        struct plan_cost cost = plan_step_cost(plan, &step);
        at[deep] = cost.weight_bytes + cost.kv_read_bytes;
    }
    double low = pace_gbps(&machine->pace, at[0], -1), high = pace_gbps(&machine->pace, at[0], 1);
    out->read_gbps = pace_gbps(&machine->pace, at[0], 0);
    struct estimate_interval rate = {ESTIMATE_LOW * low * 1e9, ESTIMATE_MID * out->read_gbps * 1e9,
                                     ESTIMATE_HIGH * high * 1e9};
    out->decode = scaled(rate, 1 / at[0]);
    out->decode_deepest = scaled(rate, 1 / at[1]);
    out->decode_all = scaled(out->decode, out->concurrency);
}

static void price_speed(const struct plan *plan, const struct estimate_machine *machine, struct estimate *out)
{
    struct forecast deepest;
    struct plan_step step = decode_step(out, out->prompt);
    struct plan_cost cost = plan_step_cost(plan, &step);
    out->streamed_bytes = cost.weight_bytes;
    out->kv_read_bytes = cost.kv_read_bytes;
    if (!machine->calibrated) {
        guess_speed(plan, machine, out);
        return;
    }
    out->calibrated = true;
    out->decode = forecast_decode(plan, machine, out->prompt, out, &out->step);
    out->decode_all = scaled(out->decode, out->concurrency);
    out->decode_deepest = forecast_decode(plan, machine, out->context - 1, out, &deepest);
    out->prefill = forecast_prompt(plan, machine, out);
    out->ttft_ms = (struct estimate_interval){1e3 * out->prompt / out->prefill.high,
                                              1e3 * out->prompt / out->prefill.mid,
                                              1e3 * out->prompt / out->prefill.low};
    out->read_gbps = out->step.gbps;
    if (isnan(out->decode.mid))
        snprintf(out->reason, sizeof out->reason,
                 "the calibration (what operations cost on this machine) has no entry for a weight format of "
                 "this model; run: llmind system --calibrate");
    else if (!out->step.exact)
        snprintf(out->reason, sizeof out->reason,
                 "a quantization group size of this model was not calibrated; the cost of the nearest one "
                 "was taken (llmind system "
                 "--calibrate --thorough measures all)");
}

int estimate_model(const struct model *model, const struct estimate_options *options,
                   const struct estimate_machine *machine, struct estimate *out, struct error *error)
{
    const struct plan *plan = model_plan(model);
    uint32_t concurrency = options->concurrency ? options->concurrency : 1;
    struct engine_options engine = {.isa = options->isa,
                                    .n_threads = machine->n_threads,
                                    .context = options->context,
                                    .max_sequences = concurrency > 8 ? concurrency : 0,
                                    .prefill_chunk = options->prefill_chunk,
                                    .kv_bits = options->kv_bits};
    struct engine_sizes sizes;
    *out = (struct estimate){0};
    int status = engine_sizes(plan, model_info(model)->context, &engine, &sizes, error);
    if (status)
        return status;
    out->context = sizes.context;
    out->concurrency = concurrency;
    out->kv_bits = sizes.kv_bits;
    out->prefill_chunk = sizes.prefill_chunk;
    out->prompt = sizes.context > ESTIMATE_PROMPT ? ESTIMATE_PROMPT : (sizes.context + 1) / 2;
    out->n_phases = sizes.n_phases;
    out->page_tokens = sizes.page_tokens;
    out->model_context = model_info(model)->context;
    out->shapes_only = plan->shapes_only;
    size_up(model, &sizes, machine->available_bytes, out);
    price_speed(plan, machine, out);
    return 0;
}
