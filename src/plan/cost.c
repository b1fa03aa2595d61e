/* What a step costs, from the plan alone: bytes that have to move and arithmetic that has to be done, however
 * well or badly a backend does it. The profiler divides these by measured time, the estimator by measured
 * ceilings; so they count what is needed once and not what caches or a clumsy kernel make of it.
 *
 * Small operations are counted by constants per element, all of the order of their true arithmetic. They are
 * below one percent of any real model's step.
 */
#include "plan/plan.h"

#include <math.h>

enum {
    NORM_FLOPS = 4,    /* square, sum, scale, weight */
    ROPE_FLOPS = 3,    /* a rotation is 4 products and 2 sums for 2 numbers */
    ACT_MUL_FLOPS = 4, /* exponential, sum, quotient, product */
    ROUTE_FLOPS = 3    /* softmax */
};

uint64_t plan_kv_vector_bytes(uint32_t numbers, uint32_t kv_bits)
{
    uint64_t groups = ((uint64_t)numbers + PLAN_KV_GROUP - 1) / PLAN_KV_GROUP;
    return (uint64_t)numbers * kv_bits / 8 + (kv_bits == 8 ? groups * sizeof(uint16_t) : 0);
}

/* Bytes of one position in a cache. */
static uint64_t position_bytes(const struct plan_cache *cache, uint32_t kv_bits)
{
    uint64_t key = plan_kv_vector_bytes(cache->k_dim, kv_bits);
    switch (cache->kind) {
    case CACHE_FULL:
    case CACHE_WINDOW:
        return cache->n_kv_heads * (key + plan_kv_vector_bytes(cache->v_dim, kv_bits));
    case CACHE_LATENT: /* its values are part of its keys */
        return cache->n_kv_heads * key;
    case CACHE_RECURRENT:
        break;
    }
    return 0;
}

/* Rows of the step that an operation on this slot computes. */
static double rows_of(const struct plan *plan, struct plan_view view, const struct plan_step *step)
{
    return plan->slots[view.slot].domain == DOMAIN_OUTPUTS ? step->n_outputs : step->n_tokens;
}

/* Keys met by the last `rows` queries of a sequence that is `total` long after the step: the query at
 * position p meets min(p + 1, window) of them. rows and total may be fractions of unequal sequences. */
static double keys_met(double rows, double total, double window)
{
    double first = total - rows + 1; /* keys the first of these queries could meet */
    if (window == 0 || total <= window)
        return rows * (first + total) / 2;
    if (first >= window)
        return rows * window;
    double growing = window - first + 1;
    return growing * (first + window) / 2 + (rows - growing) * window;
}

static void add_attend(const struct plan *plan, const struct plan_op *op, const struct plan_step *step,
                       struct plan_cost *cost)
{
    const struct plan_cache *cache = &plan->caches[op->attend.cache];
    double sequences = step->n_sequences ? step->n_sequences : 1;
    double rows = rows_of(plan, op->in, step) / sequences;
    if (rows <= 0)
        return;
    double total = step->context + step->n_tokens / sequences;
    double read = total;
    if (cache->window && rows + cache->window - 1 < total)
        read = rows + cache->window - 1;
    cost->kv_read_bytes = sequences * read * (double)position_bytes(cache, step->kv_bits);
    cost->flops = sequences * keys_met(rows, total, cache->window) * 2 *
                  ((double)cache->k_dim + cache->v_dim) * op->attend.n_heads;
}

static void add_linear(const struct weight *weight, const float *bias, double rows, struct plan_cost *cost)
{
    if (rows <= 0)
        return;
    cost->weight_bytes = (double)weight_bytes(weight);
    cost->flops = 2 * rows * (double)weight_elements(weight);
    if (bias) {
        cost->weight_bytes += (double)weight->rows * sizeof(float);
        cost->flops += rows * weight->rows;
    }
}

static uint64_t experts_bias_bytes(const struct plan_op *op)
{
    uint64_t numbers = (op->experts.gate_bias ? op->experts.gate->rows : 0) +
                       (op->experts.up_bias ? op->experts.up->rows : 0) +
                       (op->experts.down_bias ? op->experts.down->rows : 0);
    return numbers * op->experts.gate->n_experts * sizeof(float);
}

static void add_experts(const struct plan_op *op, double rows, struct plan_cost *cost)
{
    const struct weight *gate = op->experts.gate, *up = op->experts.up, *down = op->experts.down;
    double n_experts = gate->n_experts, active = op->experts.n_active;
    double distinct = n_experts * (1 - pow(1 - active / n_experts, rows));
    double bytes = (double)weight_bytes(gate) + (double)weight_bytes(up) + (double)weight_bytes(down);
    double numbers =
        (double)weight_elements(gate) + (double)weight_elements(up) + (double)weight_elements(down);
    cost->weight_bytes = (bytes + (double)experts_bias_bytes(op)) * (distinct / n_experts);
    cost->flops = rows * active *
                  (2 * numbers / n_experts + ACT_MUL_FLOPS * (double)gate->rows + 2 * (double)down->rows);
}

static uint64_t norm_bytes(const struct plan_op *op)
{
    uint32_t weights = op->in.width / op->norm.n_groups;
    return (uint64_t)weights * sizeof(float);
}

struct plan_cost plan_op_cost(const struct plan *plan, const struct plan_op *op, const struct plan_step *step)
{
    struct plan_cost cost = {0};
    double rows = rows_of(plan, op->kind == PLAN_KV_STORE ? op->in : op->out, step);
    switch (op->kind) {
    case PLAN_EMBED:
        cost.weight_bytes = rows * (double)weight_row_bytes(op->embed.weight);
        cost.flops = op->embed.scale == 1.0f ? 0 : rows * op->out.width;
        break;
    case PLAN_NORM:
        cost.weight_bytes = rows > 0 ? (double)norm_bytes(op) : 0;
        cost.flops = rows * op->in.width * NORM_FLOPS;
        break;
    case PLAN_LINEAR:
        add_linear(op->linear.weight, op->linear.bias, rows, &cost);
        break;
    case PLAN_ROPE:
        cost.flops = rows * op->rope.n_heads * op->rope.rope->dims * ROPE_FLOPS;
        break;
    case PLAN_KV_STORE:
        cost.kv_write_bytes = rows * (double)position_bytes(&plan->caches[op->kv_store.cache], step->kv_bits);
        break;
    case PLAN_ATTEND:
        add_attend(plan, op, step, &cost);
        break;
    case PLAN_ACT_MUL:
        cost.flops = rows * op->out.width * ACT_MUL_FLOPS;
        break;
    case PLAN_ADD:
        cost.flops = rows * op->out.width * (plan_add_scale(op) == 1 ? 1 : 2);
        break;
    case PLAN_SCALE:
        cost.flops = rows * op->out.width * (op->scale.softcap > 0 ? ACT_MUL_FLOPS : 1);
        break;
    case PLAN_ROUTE:
        cost.flops = rows * op->route.n_experts * ROUTE_FLOPS;
        break;
    case PLAN_EXPERTS:
        add_experts(op, rows, &cost);
        break;
    case PLAN_SELECT:
    case PLAN_OP_KINDS:
        break;
    }
    return cost;
}

struct plan_cost plan_step_cost(const struct plan *plan, const struct plan_step *step)
{
    struct plan_cost sum = {0};
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        struct plan_cost cost = plan_op_cost(plan, &plan->ops[i], step);
        sum.weight_bytes += cost.weight_bytes;
        sum.kv_read_bytes += cost.kv_read_bytes;
        sum.kv_write_bytes += cost.kv_write_bytes;
        sum.flops += cost.flops;
    }
    return sum;
}

uint64_t plan_kv_bytes_per_token(const struct plan *plan, uint32_t kv_bits)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->n_caches; i++)
        bytes += position_bytes(&plan->caches[i], kv_bits);
    return bytes;
}

/* The matrices an operation names; returns how many. */
static uint32_t weights_of(const struct plan_op *op, const struct weight *weights[3])
{
    switch (op->kind) {
    case PLAN_EMBED:
        weights[0] = op->embed.weight;
        return 1;
    case PLAN_LINEAR:
        weights[0] = op->linear.weight;
        return 1;
    case PLAN_EXPERTS:
        weights[0] = op->experts.gate;
        weights[1] = op->experts.up;
        weights[2] = op->experts.down;
        return 3;
    default:
        return 0;
    }
}

static bool named_before(const struct plan *plan, uint32_t n_ops, const struct weight *weight)
{
    for (uint32_t i = 0; i < n_ops; i++) {
        const struct weight *weights[3];
        uint32_t n = weights_of(&plan->ops[i], weights);
        for (uint32_t k = 0; k < n; k++)
            if (weights[k] == weight || (weight->data && weights[k]->data == weight->data))
                return true;
    }
    return false;
}

uint64_t plan_weight_bytes(const struct plan *plan)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        const struct weight *weights[3];
        uint32_t n = weights_of(op, weights);
        for (uint32_t k = 0; k < n; k++)
            if (!named_before(plan, i, weights[k]))
                bytes += weight_bytes(weights[k]);
        if (op->kind == PLAN_LINEAR && op->linear.bias)
            bytes += (uint64_t)op->linear.weight->rows * sizeof(float);
        if (op->kind == PLAN_EXPERTS)
            bytes += experts_bias_bytes(op);
        if (op->kind == PLAN_NORM)
            bytes += norm_bytes(op);
    }
    return bytes;
}
