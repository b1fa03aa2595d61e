/* Structs have padding and pointers, so fields go in one by one. A field that is added to plan.h is added
 * here; the compiler asks about a new kind of operation. */
#define XXH_STATIC_LINKING_ONLY /* the state is ours to place */
#include <xxhash.h>

#include "plan/fingerprint.h"

#include "base/float16.h"

static void add_u32(XXH64_state_t *hash, uint32_t value)
{
    XXH64_update(hash, &value, sizeof value);
}

static void add_u64(XXH64_state_t *hash, uint64_t value)
{
    XXH64_update(hash, &value, sizeof value);
}

static void add_float(XXH64_state_t *hash, float value)
{
    add_u32(hash, float_to_bits(value));
}

/* n bytes, or that there are none. */
static void add_bytes(XXH64_state_t *hash, const void *bytes, uint64_t n)
{
    add_u64(hash, bytes ? n : UINT64_MAX);
    if (bytes)
        XXH64_update(hash, bytes, (size_t)n);
}

static void add_floats(XXH64_state_t *hash, const float *numbers, uint64_t n)
{
    add_bytes(hash, numbers, n * sizeof *numbers);
}

static void add_view(XXH64_state_t *hash, struct plan_view view)
{
    add_u32(hash, view.slot);
    add_u32(hash, view.first);
    add_u32(hash, view.width);
}

static void add_weight(XXH64_state_t *hash, const struct weight *weight)
{
    add_u32(hash, (uint32_t)weight->format);
    add_u32(hash, (uint32_t)weight->type);
    add_u32(hash, weight->bits);
    add_u32(hash, weight->group_size);
    add_u32(hash, weight->n_experts);
    add_u32(hash, weight->rows);
    add_u32(hash, weight->cols);
    uint64_t rows = (uint64_t)weight->n_experts * weight->rows;
    uint64_t groups = weight->group_size ? rows * (weight->cols / weight->group_size) : 0;
    uint64_t scale_bytes = weight->format == WEIGHT_AFFINE ? scalar_size(weight->type) : 1;
    add_bytes(hash, weight->data, rows * weight->row_bytes);
    if (weight->format != WEIGHT_DENSE)
        add_bytes(hash, weight->scales, groups * scale_bytes);
    if (weight->format == WEIGHT_AFFINE)
        add_bytes(hash, weight->biases, groups * scale_bytes);
    add_floats(hash, weight->tensor_scales, weight->n_experts);
}

static void add_rope(XXH64_state_t *hash, const struct plan_rope *rope)
{
    add_u32(hash, rope->dims);
    add_u32(hash, rope->interleaved);
    add_float(hash, rope->scale);
    add_floats(hash, rope->inv_freq, rope->dims / 2);
    add_u32(hash, rope->dynamic_from);
    add_float(hash, rope->base);
    add_float(hash, rope->factor);
    add_u32(hash, rope->grow_from);
    add_float(hash, rope->grow_beta);
}

static void add_experts_bias(XXH64_state_t *hash, const struct weight *weight, const float *bias)
{
    add_floats(hash, bias, (uint64_t)weight->n_experts * weight->rows);
}

static void add_experts(XXH64_state_t *hash, const struct plan_op *op)
{
    add_weight(hash, op->experts.gate);
    add_weight(hash, op->experts.up);
    add_weight(hash, op->experts.down);
    add_experts_bias(hash, op->experts.gate, op->experts.gate_bias);
    add_experts_bias(hash, op->experts.up, op->experts.up_bias);
    add_experts_bias(hash, op->experts.down, op->experts.down_bias);
    add_u32(hash, (uint32_t)op->experts.activation);
    add_u32(hash, op->experts.n_active);
}

static void add_attend(XXH64_state_t *hash, const struct plan_op *op)
{
    add_u32(hash, op->attend.cache);
    add_u32(hash, op->attend.n_heads);
    add_u32(hash, op->attend.head_dim);
    add_float(hash, op->attend.scale);
    add_float(hash, op->attend.softcap);
    add_floats(hash, op->attend.sinks, op->attend.n_heads);
}

/* What only this kind of operation has. */
static void add_parameters(XXH64_state_t *hash, const struct plan_op *op)
{
    switch (op->kind) {
    case PLAN_EMBED:
        add_weight(hash, op->embed.weight);
        add_float(hash, op->embed.scale);
        break;
    case PLAN_NORM:
        add_floats(hash, op->norm.weight, op->in.width / op->norm.n_groups);
        add_float(hash, op->norm.eps);
        add_u32(hash, op->norm.n_groups);
        break;
    case PLAN_LINEAR:
        add_weight(hash, op->linear.weight);
        add_floats(hash, op->linear.bias, op->linear.weight->rows);
        break;
    case PLAN_ROPE:
        add_rope(hash, op->rope.rope);
        add_u32(hash, op->rope.n_heads);
        add_u32(hash, op->rope.head_dim);
        break;
    case PLAN_KV_STORE:
        add_u32(hash, op->kv_store.cache);
        break;
    case PLAN_ATTEND:
        add_attend(hash, op);
        break;
    case PLAN_ACT_MUL:
        add_u32(hash, (uint32_t)op->act_mul.activation);
        break;
    case PLAN_ADD:
        add_float(hash, plan_add_scale(op));
        break;
    case PLAN_SCALE:
        add_float(hash, op->scale.scale);
        add_float(hash, op->scale.softcap);
        break;
    case PLAN_ROUTE:
        add_u32(hash, op->route.n_experts);
        add_u32(hash, op->route.n_active);
        add_u32(hash, op->route.normalize);
        break;
    case PLAN_EXPERTS:
        add_experts(hash, op);
        break;
    case PLAN_SELECT:
    case PLAN_OP_KINDS:
        break;
    }
}

static void add_op(XXH64_state_t *hash, const struct plan_op *op)
{
    add_u32(hash, (uint32_t)op->kind);
    add_u32(hash, (uint32_t)op->layer);
    add_u32(hash, (uint32_t)op->precision);
    add_view(hash, op->in);
    add_view(hash, op->in2);
    add_view(hash, op->out);
    add_parameters(hash, op);
}

static void add_cache(XXH64_state_t *hash, const struct plan_cache *cache)
{
    add_u32(hash, (uint32_t)cache->kind);
    add_u32(hash, (uint32_t)cache->layer);
    add_u32(hash, cache->n_kv_heads);
    add_u32(hash, cache->k_dim);
    add_u32(hash, cache->v_dim);
    add_u32(hash, cache->window);
    add_u64(hash, cache->state_floats);
}

uint64_t plan_fingerprint(const struct plan *plan)
{
    XXH64_state_t hash;
    XXH64_reset(&hash, 0);
    add_u32(&hash, plan->n_layers);
    add_u32(&hash, plan->hidden);
    add_u32(&hash, plan->vocab);
    add_u32(&hash, plan->n_slots);
    for (uint32_t i = 0; i < plan->n_slots; i++) {
        add_u32(&hash, plan->slots[i].width);
        add_u32(&hash, (uint32_t)plan->slots[i].domain);
    }
    add_u32(&hash, plan->n_caches);
    for (uint32_t i = 0; i < plan->n_caches; i++)
        add_cache(&hash, &plan->caches[i]);
    add_u32(&hash, plan->n_ops);
    for (uint32_t i = 0; i < plan->n_ops; i++)
        add_op(&hash, &plan->ops[i]);
    add_view(&hash, plan->logits);
    add_view(&hash, plan->embedding);
    return XXH64_digest(&hash);
}
