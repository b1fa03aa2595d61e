/* The last look at a plan: after it, backends index slots, weights and caches without asking again.
 *
 * The checks are about the plan's own consistency. Whether a weight's bytes are really in the file was
 * settled when the model was read (model/quantization.c).
 */
#include "plan/check.h"

#include <math.h>

struct checker {
    const struct plan *plan;
    const struct plan_op *op;
    unsigned char *slot_written, *cache_written;
    struct error *error;
};

static int fail(const struct checker *checker, const char *what)
{
    return error_set(checker->error, ERROR_INTERNAL, "plan: %s: %s", checker->op->name, what);
}

static bool overlap(struct plan_view a, struct plan_view b)
{
    return a.slot == b.slot && a.first < (uint64_t)b.first + b.width && b.first < (uint64_t)a.first + a.width;
}

static bool same(struct plan_view a, struct plan_view b)
{
    return a.slot == b.slot && a.first == b.first && a.width == b.width;
}

static enum plan_domain domain(const struct checker *checker, struct plan_view view)
{
    return checker->plan->slots[view.slot].domain;
}

static int check_view(const struct checker *checker, struct plan_view view, const char *what)
{
    if (view.width == 0 || view.slot >= checker->plan->n_slots ||
        (uint64_t)view.first + view.width > checker->plan->slots[view.slot].width)
        return fail(checker, what);
    return 0;
}

static int check_read(const struct checker *checker, struct plan_view view, const char *what)
{
    int status = check_view(checker, view, what);
    if (status == 0 && !checker->slot_written[view.slot])
        status = fail(checker, "reads a slot that nothing has written");
    return status;
}

static bool has_in(enum plan_op_kind kind)
{
    return kind != PLAN_EMBED && kind != PLAN_ROPE;
}

static bool has_in2(enum plan_op_kind kind)
{
    return kind == PLAN_KV_STORE || kind == PLAN_ACT_MUL || kind == PLAN_ADD || kind == PLAN_EXPERTS;
}

static bool may_be_in_place(enum plan_op_kind kind)
{
    return kind == PLAN_NORM || kind == PLAN_ACT_MUL || kind == PLAN_ADD || kind == PLAN_SCALE;
}

/* The latent cache is the exception: its values are columns of its keys, so nothing comes in on in2. */
static bool lacks_values(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    return op->kind == PLAN_KV_STORE && op->kv_store.cache < checker->plan->n_caches &&
           checker->plan->caches[op->kv_store.cache].kind == CACHE_LATENT;
}

static int check_operands(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    bool in = has_in(op->kind), in2 = has_in2(op->kind) && !lacks_values(checker);
    bool out = op->kind != PLAN_KV_STORE;
    int status = 0;
    if (in)
        status = check_read(checker, op->in, "`in` lies outside its slot");
    if (status == 0 && in2)
        status = check_read(checker, op->in2, "`in2` lies outside its slot");
    if (status == 0 && out)
        status = op->kind == PLAN_ROPE ? check_read(checker, op->out, "`out` lies outside its slot")
                                       : check_view(checker, op->out, "`out` lies outside its slot");
    if (status)
        return status;
    bool in_place = may_be_in_place(op->kind);
    if (in && out && overlap(op->in, op->out) && !(in_place && same(op->in, op->out)))
        return fail(checker, "`out` overlaps `in`");
    if (in2 && out && overlap(op->in2, op->out) && !(in_place && same(op->in2, op->out)))
        return fail(checker, "`out` overlaps `in2`");
    if (op->kind == PLAN_SELECT)
        return domain(checker, op->in) == DOMAIN_TOKENS && domain(checker, op->out) == DOMAIN_OUTPUTS
                   ? 0
                   : fail(checker, "select goes from tokens to outputs");
    if ((in && out && domain(checker, op->in) != domain(checker, op->out)) ||
        (in && in2 && domain(checker, op->in) != domain(checker, op->in2)))
        return fail(checker, "operands have rows for different tokens");
    return 0;
}

static int check_weight(const struct checker *checker, const struct weight *weight)
{
    bool data = checker->plan->shapes_only || (weight && weight->data);
    if (!weight || !data || weight->rows == 0 || weight->cols == 0 || weight->n_experts == 0)
        return fail(checker, "has no weight");
    if (weight->format != WEIGHT_DENSE && (weight->group_size == 0 || weight->cols % weight->group_size ||
                                           (!weight->scales && !checker->plan->shapes_only)))
        return fail(checker, "the weight's groups do not fill its rows");
    if (weight->format == WEIGHT_AFFINE && !weight->biases && !checker->plan->shapes_only)
        return fail(checker, "an affine weight has no biases");
    return 0;
}

static int check_matrix(const struct checker *checker, const struct weight *weight, uint32_t rows,
                        uint32_t cols, uint32_t n_experts)
{
    int status = check_weight(checker, weight);
    if (status)
        return status;
    if (weight->rows != rows || weight->cols != cols || weight->n_experts != n_experts)
        return fail(checker, "the weight's shape does not fit the operands");
    return 0;
}

static int check_norm(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    if (op->in.width != op->out.width || op->norm.n_groups == 0 || op->in.width % op->norm.n_groups)
        return fail(checker, "widths of a norm");
    if (!op->norm.weight || !isfinite(op->norm.eps) || op->norm.eps < 0)
        return fail(checker, "weight or epsilon of a norm");
    return 0;
}

static int check_rope(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    const struct plan_rope *rope = op->rope.rope;
    if (!rope || !rope->inv_freq || rope->dims == 0 || rope->dims % 2 || rope->dims > op->rope.head_dim)
        return fail(checker, "rotated dimensions");
    if ((uint64_t)op->rope.n_heads * op->rope.head_dim != op->out.width)
        return fail(checker, "heads do not fill the view");
    if (rope->dynamic_from && rope->dims <= 2)
        return fail(checker, "dynamic scaling needs more than 2 dimensions");
    if (rope->grow_from && (rope->dims != op->rope.head_dim || !isfinite(rope->grow_beta)))
        return fail(checker, "a rotation that grows turns whole heads");
    return 0;
}

static int check_kv_store(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    if (op->kv_store.cache >= checker->plan->n_caches)
        return fail(checker, "no such cache");
    const struct plan_cache *cache = &checker->plan->caches[op->kv_store.cache];
    if (cache->kind == CACHE_RECURRENT || domain(checker, op->in) != DOMAIN_TOKENS)
        return fail(checker, "this cache takes no keys");
    if ((uint64_t)cache->n_kv_heads * cache->k_dim != op->in.width)
        return fail(checker, "width of the keys");
    if (cache->kind == CACHE_LATENT ? op->in2.width != 0
                                    : (uint64_t)cache->n_kv_heads * cache->v_dim != op->in2.width)
        return fail(checker, "width of the values");
    if ((cache->kind == CACHE_WINDOW) != (cache->window > 0))
        return fail(checker, "window of the cache");
    checker->cache_written[op->kv_store.cache] = 1;
    return 0;
}

static int check_attend(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    uint32_t n_heads = op->attend.n_heads;
    if (op->attend.cache >= checker->plan->n_caches || !checker->cache_written[op->attend.cache])
        return fail(checker, "attends to a cache that nothing has written");
    const struct plan_cache *cache = &checker->plan->caches[op->attend.cache];
    if (n_heads == 0 || cache->n_kv_heads == 0 || n_heads % cache->n_kv_heads)
        return fail(checker, "heads are no multiple of key heads");
    if (op->attend.head_dim != cache->k_dim || (uint64_t)n_heads * cache->k_dim != op->in.width ||
        (uint64_t)n_heads * cache->v_dim != op->out.width)
        return fail(checker, "widths of queries and cache");
    if (!isfinite(op->attend.scale) || !isfinite(op->attend.softcap))
        return fail(checker, "scale of the scores");
    return 0;
}

static int check_experts(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    const struct weight *gate = op->experts.gate;
    int status = check_weight(checker, gate);
    if (status == 0)
        status = check_matrix(checker, gate, gate->rows, op->in.width, gate->n_experts);
    if (status == 0)
        status = check_matrix(checker, op->experts.up, gate->rows, op->in.width, gate->n_experts);
    if (status == 0)
        status = check_matrix(checker, op->experts.down, op->out.width, gate->rows, gate->n_experts);
    if (status == 0 && (op->experts.n_active == 0 || op->experts.n_active > gate->n_experts ||
                        op->in2.width != 2 * (uint64_t)op->experts.n_active))
        status = fail(checker, "number of active experts");
    return status;
}

static int check_embed(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    if (domain(checker, op->out) != DOMAIN_TOKENS)
        return fail(checker, "embeds into a slot that is not of all tokens");
    return check_matrix(checker, op->embed.weight, checker->plan->vocab, op->out.width, 1);
}

static int check_route(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    if (op->route.n_experts != op->in.width || op->route.n_active == 0 ||
        op->route.n_active > op->route.n_experts || op->out.width != 2 * (uint64_t)op->route.n_active)
        return fail(checker, "widths of a route");
    return 0;
}

static int check_scale(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    if (op->in.width != op->out.width || (op->kind == PLAN_ADD && op->in2.width != op->out.width))
        return fail(checker, "operands differ in width");
    if (op->kind == PLAN_ADD)
        return isfinite(op->add.scale) && (plan_add_scale(op) == 1 || same(op->in, op->out))
                   ? 0
                   : fail(checker, "a scaled sum is not in place");
    if (!isfinite(op->scale.scale) || op->scale.scale == 0 || !isfinite(op->scale.softcap) ||
        op->scale.softcap < 0)
        return fail(checker, "scale or softcap");
    return 0;
}

static int check_kind(const struct checker *checker)
{
    const struct plan_op *op = checker->op;
    switch (op->kind) {
    case PLAN_EMBED:
        return check_embed(checker);
    case PLAN_NORM:
        return check_norm(checker);
    case PLAN_LINEAR:
        return check_matrix(checker, op->linear.weight, op->out.width, op->in.width, 1);
    case PLAN_ROPE:
        return check_rope(checker);
    case PLAN_KV_STORE:
        return check_kv_store(checker);
    case PLAN_ATTEND:
        return check_attend(checker);
    case PLAN_ADD:
    case PLAN_SCALE:
        return check_scale(checker);
    case PLAN_ACT_MUL:
        return op->in.width == op->in2.width && op->in.width == op->out.width
                   ? 0
                   : fail(checker, "operands differ in width");
    case PLAN_ROUTE:
        return check_route(checker);
    case PLAN_EXPERTS:
        return check_experts(checker);
    case PLAN_SELECT:
        return op->in.width == op->out.width ? 0 : fail(checker, "operands differ in width");
    case PLAN_OP_KINDS:
        break;
    }
    return fail(checker, "unknown kind of operation");
}

static int check_logits(const struct checker *checker)
{
    const struct plan *plan = checker->plan;
    if (plan->logits.slot >= plan->n_slots || !checker->slot_written[plan->logits.slot] ||
        plan->logits.width != plan->vocab ||
        (uint64_t)plan->logits.first + plan->logits.width > plan->slots[plan->logits.slot].width ||
        domain(checker, plan->logits) != DOMAIN_OUTPUTS)
        return error_set(checker->error, ERROR_INTERNAL, "plan: no logits of the vocabulary's width");
    if (plan->embedding.width == 0)
        return 0;
    if (plan->embedding.slot >= plan->n_slots || !checker->slot_written[plan->embedding.slot] ||
        (uint64_t)plan->embedding.first + plan->embedding.width > plan->slots[plan->embedding.slot].width ||
        domain(checker, plan->embedding) != DOMAIN_OUTPUTS)
        return error_set(checker->error, ERROR_INTERNAL, "plan: nothing is at `embedding`");
    return 0;
}

int plan_check(const struct plan *plan, struct arena *arena, struct error *error)
{
    struct checker checker = {.plan = plan, .error = error};
    checker.slot_written = arena_alloc(arena, plan->n_slots, 1);
    checker.cache_written = arena_alloc(arena, plan->n_caches, 1);
    if (!checker.slot_written || !checker.cache_written)
        return error_memory(error, "checking the plan", (unsigned long long)plan->n_slots + plan->n_caches);
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        checker.op = &plan->ops[i];
        int status = check_operands(&checker);
        if (status == 0)
            status = check_kind(&checker);
        if (status)
            return status;
        if (checker.op->kind != PLAN_KV_STORE)
            checker.slot_written[checker.op->out.slot] = 1;
    }
    return check_logits(&checker);
}
