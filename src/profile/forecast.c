#include "profile/forecast.h"

#include <math.h>

struct pricing {
    const struct forecast_machine *machine;
    const struct calibration *calibration;
    const struct plan *plan;
    const struct plan_step *step;
    double ns_per_byte;
    double slower; /* than CALIBRATION_GOPS this machine computes now */
    struct forecast *out;
    bool possible;
};

static double overlap(double a, double b, double p)
{
    return pow(pow(a, p) + pow(b, p), 1 / p);
}

static struct trial_format format_of(const struct weight *weight)
{
    bool dense = weight->format == WEIGHT_DENSE;
    return (struct trial_format){weight->format, weight->bits, dense ? 0 : weight->group_size};
}

/* `share` of the numbers of a weight times `rows` rows, of which `bytes` are read. */
static void price_product(struct pricing *pricing, const struct weight *weight, double share, double rows,
                          double bytes)
{
    bool exact;
    const struct calibration_product *product =
        calibration_product(pricing->calibration, format_of(weight), &exact);
    if (!product) {
        pricing->possible = false;
        return;
    }
    pricing->out->exact = pricing->out->exact && exact;
    double numbers = share * (double)weight_elements(weight);
    double computing = numbers * calibration_product_ns(product, rows) * pricing->slower;
    pricing->out->products_ms += overlap(computing, bytes * pricing->ns_per_byte, product->p) / 1e6;
}

static void price_experts(struct pricing *pricing, const struct plan_op *op, double rows)
{
    double n = op->experts.gate->n_experts, active = op->experts.n_active;
    double distinct = n * (1 - pow(1 - active / n, rows));
    double each = rows * active / distinct;
    const struct weight *const weights[] = {op->experts.gate, op->experts.up, op->experts.down};
    for (int i = 0; i < 3; i++)
        price_product(pricing, weights[i], distinct / n, each,
                      (double)weight_bytes(weights[i]) * distinct / n);
}

static void price_shared(struct pricing *pricing, enum plan_op_kind kind, double rows, double width,
                         double threads)
{
    const struct calibration *calibration = pricing->calibration;
    double ns = rows > 8 ? calibration->rows_ns[kind] : calibration->row_ns[kind];
    pricing->out->rows_ms += rows * width * ns * pricing->slower / fmax(threads, 1) / 1e6;
}

/* Rows are shared out among the threads; a single one has one thread. */
static void price_rows(struct pricing *pricing, enum plan_op_kind kind, double rows, double width)
{
    price_shared(pricing, kind, rows, width, fmin(rows, pricing->calibration->n_threads));
}

/* The columns are shared out, so that a single row has all threads. A number that passes a soft cap takes an
 * exponential and a quotient, as an activation does. */
static void price_scale(struct pricing *pricing, const struct plan_op *op, double rows)
{
    enum plan_op_kind like = op->scale.softcap > 0 ? PLAN_ACT_MUL : PLAN_ADD;
    price_shared(pricing, like, rows, op->out.width, pricing->calibration->n_threads);
}

static void price_attention(struct pricing *pricing, const struct plan_op *op, double rows)
{
    const struct plan_cache *cache = &pricing->plan->caches[op->attend.cache];
    const struct plan_step *step = pricing->step;
    uint32_t per_kv = op->attend.n_heads / cache->n_kv_heads;
    const struct calibration_attention *entry =
        calibration_attention(pricing->calibration, op->attend.head_dim, per_kv, step->kv_bits);
    if (!entry) {
        pricing->possible = false;
        return;
    }
    double threads = pricing->calibration->n_threads, sequences = fmax(step->n_sequences, 1);
    struct plan_cost cost = plan_op_cost(pricing->plan, op, step);
    /* neighbouring shapes are priced by their arithmetic */
    double scale = (double)op->attend.head_dim / entry->head_dim;
    double met = cost.flops / (2.0 * (cache->k_dim + cache->v_dim) * op->attend.n_heads); /* keys, all rows */
    double ns;
    if (rows <= sequences) {
        double pieces = sequences * cache->n_kv_heads, turns = ceil(pieces / threads) * threads / pieces;
        ns = met * cache->n_kv_heads * entry->decode_ns * scale * turns *
             fmax(1, (double)per_kv / entry->heads_per_kv);
    } else {
        ns = met * op->attend.n_heads * entry->prefill_ns * scale;
    }
    double reading = cost.kv_read_bytes * pricing->ns_per_byte;
    pricing->out->attention_ms += overlap(ns * pricing->slower, reading, entry->p) / 1e6;
}

static void price(struct pricing *pricing, const struct plan_op *op)
{
    const struct plan *plan = pricing->plan;
    struct plan_view at = op->kind == PLAN_KV_STORE ? op->in : op->out;
    bool few = plan->slots[at.slot].domain == DOMAIN_OUTPUTS;
    double rows = few ? pricing->step->n_outputs : pricing->step->n_tokens;
    if (rows <= 0)
        return;
    switch (op->kind) {
    case PLAN_LINEAR:
        price_product(pricing, op->linear.weight, 1, rows, (double)weight_bytes(op->linear.weight));
        break;
    case PLAN_EXPERTS:
        price_experts(pricing, op, rows);
        break;
    case PLAN_ATTEND:
        price_attention(pricing, op, rows);
        break;
    case PLAN_NORM:
    case PLAN_ROPE:
    case PLAN_ACT_MUL:
    case PLAN_ADD:
        price_rows(pricing, op->kind, rows, op->out.width);
        break;
    case PLAN_KV_STORE:
        price_rows(pricing, op->kind, rows, (double)op->in.width + op->in2.width);
        break;
    case PLAN_SCALE:
        price_scale(pricing, op, rows);
        break;
    default: /* an embedding, a choice of rows or of experts: about a norm, an addition of the row */
        price_rows(pricing, op->kind == PLAN_SELECT ? PLAN_ADD : PLAN_NORM, rows, op->out.width);
        break;
    }
}

bool forecast_step(const struct forecast_machine *machine, const struct plan *plan, uint32_t n_phases,
                   const struct plan_step *step, double working_bytes, struct forecast *out)
{
    *out = (struct forecast){.exact = true};
    const struct calibration *calibration = machine->calibration;
    if (!calibration)
        return false;
    const struct pace *pace = machine->pace ? machine->pace : &calibration->pace;
    struct plan_cost cost = plan_step_cost(plan, step);
    double gops = machine->which < 0 ? pace->gops_low : machine->which > 0 ? pace->gops_high : pace->gops;
    out->bytes = cost.weight_bytes + cost.kv_read_bytes;
    out->gbps = pace_gbps(pace, working_bytes > 0 ? working_bytes : out->bytes, machine->which);
    struct pricing pricing = {.machine = machine,
                              .calibration = calibration,
                              .plan = plan,
                              .step = step,
                              .ns_per_byte = 1 / out->gbps,
                              .slower = CALIBRATION_GOPS / gops,
                              .out = out,
                              .possible = true};
    for (uint32_t i = 0; i < plan->n_ops; i++)
        price(&pricing, &plan->ops[i]);
    out->stages_ms = n_phases * calibration->stage_us * pricing.slower / 1e3;
    out->sampling_ms = step->n_outputs * (double)plan->vocab * calibration->sample_ns * pricing.slower / 1e6;
    out->total_ms = out->products_ms + out->attention_ms + out->rows_ms + out->stages_ms + out->sampling_ms;
    return pricing.possible && isfinite(out->total_ms) && out->total_ms > 0;
}

bool forecast_prefill(const struct forecast_machine *machine, const struct plan *plan, uint32_t n_phases,
                      uint32_t prompt, uint32_t chunk, uint32_t kv_bits, struct forecast *out)
{
    *out = (struct forecast){.exact = true};
    for (uint32_t done = 0, n; done < prompt; done += n) {
        struct forecast part;
        n = prompt - done < chunk ? prompt - done : chunk;
        struct plan_step step = {.n_tokens = n,
                                 .n_outputs = done + n == prompt,
                                 .n_sequences = 1,
                                 .context = done,
                                 .kv_bits = kv_bits};
        if (!forecast_step(machine, plan, n_phases, &step, 0, &part))
            return false;
        out->products_ms += part.products_ms;
        out->attention_ms += part.attention_ms;
        out->rows_ms += part.rows_ms;
        out->stages_ms += part.stages_ms;
        out->sampling_ms += part.sampling_ms;
        out->total_ms += part.total_ms;
        out->bytes += part.bytes;
        out->gbps = part.gbps;
        out->exact = out->exact && part.exact;
    }
    return out->total_ms > 0;
}
