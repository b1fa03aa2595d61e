/* Where everything a plan needs while it runs lies in memory.
 *
 * All activations, rounded inputs and per-thread scratch are one mapping, the KV pages another; both are
 * taken when a plan is made ready, and a step allocates nothing. The mapping is walked twice by the same
 * code: once to count its bytes, once to hand them out, so that the two cannot disagree.
 */
#include "backend/cpu/cpu.h"

#include "backend/cpu/kernels/kv.h"
#include "base/checked.h"
#include "platform/memory.h"

enum { ALIGN = 64 };

/* A running total of bytes that are then carved out of one mapping: first pass sizes (base NULL), second pass
 * places. */
struct carver {
    uint8_t *base;
    size_t used;
    bool overflow;
};

static void *carve(struct carver *carver, size_t count, size_t size)
{
    size_t bytes, after;
    void *here = carver->base ? carver->base + carver->used : NULL;
    if (!checked_mul(count, size, &bytes) || !checked_add(bytes, ALIGN - 1, &bytes) ||
        !checked_add(carver->used, bytes - bytes % ALIGN, &after)) {
        carver->overflow = true;
        return NULL;
    }
    carver->used = after;
    return here;
}

static size_t domain_rows(const struct cpu_model *model, enum plan_domain domain)
{
    return domain == DOMAIN_TOKENS ? model->options.max_step_tokens : model->options.max_step_outputs;
}

static void widen(size_t *maximum, size_t value)
{
    if (value > *maximum)
        *maximum = value;
}

/* Room for the rounded inputs of the widest linear phase, per input form. */
static void carve_inputs(struct cpu_model *model, struct carver *carver)
{
    size_t codes = 0, groups = 0;
    uint32_t n_inputs = 0;
    for (uint32_t i = 0; i < model->n_phases; i++) {
        const struct phase *phase = &model->phases[i];
        size_t cols = model->plan->ops[phase->first_op].in.width, rows = domain_rows(model, phase->domain);
        if (phase->n_inputs > n_inputs)
            n_inputs = phase->n_inputs;
        for (uint32_t j = 0; j < phase->n_inputs; j++) {
            widen(&codes, rows * padded_codes(cols));
            widen(&groups, rows * padded_groups(cols, phase->inputs[j].group));
        }
    }
    for (uint32_t j = 0; j < n_inputs; j++) {
        model->inputs[j].codes = carve(carver, codes, 1);
        model->inputs[j].scales = carve(carver, groups, sizeof(float));
        model->inputs[j].sums = carve(carver, groups, sizeof(float));
    }
}

static void carve_codes(struct carver *carver, struct q8_rows *rows, size_t pairs, size_t max_codes,
                        size_t max_groups)
{
    rows->codes = carve(carver, pairs, max_codes);
    rows->scales = carve(carver, pairs * sizeof(float), max_groups);
    rows->sums = carve(carver, pairs * sizeof(float), max_groups);
}

/* Room for the widest EXPERTS operation of the plan. */
static void carve_experts(struct cpu_model *model, struct carver *carver)
{
    size_t pairs = 0, x = 0, h = 0, out = 0, experts = 0, x_codes = 0, h_codes = 0, x_groups = 0,
           h_groups = 0;
    for (uint32_t i = 0; i < model->plan->n_ops; i++) {
        const struct plan_op *op = &model->plan->ops[i];
        if (op->kind != PLAN_EXPERTS)
            continue;
        const struct weight *gate = op->experts.gate, *down = op->experts.down;
        widen(&pairs, domain_rows(model, op_domain(model->plan, op)) * op->experts.n_active);
        widen(&experts, gate->n_experts);
        widen(&h, gate->rows);
        widen(&out, down->rows);
        if (op_is_int8(model, op, gate)) {
            widen(&x_codes, padded_codes(gate->cols));
            widen(&x_groups, padded_groups(gate->cols, gate->group_size));
        } else {
            widen(&x, gate->cols);
        }
        if (op_is_int8(model, op, down)) {
            widen(&h_codes, padded_codes(down->cols));
            widen(&h_groups, padded_groups(down->cols, down->group_size));
        }
    }
    if (!pairs)
        return;
    struct experts_space *space = &model->experts;
    space->pair_token = carve(carver, pairs, sizeof(uint32_t));
    space->pair_of = carve(carver, pairs, sizeof(uint32_t));
    space->expert_start = carve(carver, experts + 1, sizeof(uint32_t));
    space->busy = carve(carver, experts, sizeof(uint32_t));
    space->x = carve(carver, pairs * sizeof(float), x);
    space->gate = carve(carver, pairs * sizeof(float), h);
    space->up = carve(carver, pairs * sizeof(float), h);
    space->out = carve(carver, pairs * sizeof(float), out);
    carve_codes(carver, &space->x_codes, pairs, x_codes, x_groups);
    carve_codes(carver, &space->h_codes, pairs, h_codes, h_groups);
}

static size_t widest_scratch(const struct cpu_model *model)
{
    size_t bytes = ALIGN;
    for (uint32_t i = 0; i < model->plan->n_ops; i++) {
        const struct plan_op *op = &model->plan->ops[i];
        if (op->kind == PLAN_LINEAR)
            widen(&bytes, model->kernels.linear_scratch_bytes(op->linear.weight->cols));
        if (op->kind == PLAN_ATTEND)
            widen(&bytes, model->kernels.attend_scratch_bytes(op->attend.head_dim));
        if (op->kind == PLAN_EXPERTS) {
            widen(&bytes, model->kernels.linear_scratch_bytes(op->experts.gate->cols));
            widen(&bytes, model->kernels.linear_scratch_bytes(op->experts.down->cols));
        }
    }
    return (bytes + 4095) / 4096 * 4096;
}

static void carve_all(struct cpu_model *model, struct carver *carver)
{
    for (uint32_t i = 0; i < model->plan->n_slots; i++) {
        const struct plan_slot *slot = &model->plan->slots[i];
        model->slots[i] = carve(carver, domain_rows(model, slot->domain) * sizeof(float), slot->width);
    }
    carve_inputs(model, carver);
    carve_experts(model, carver);
    for (uint32_t i = 0; i < model->n_ropes; i++)
        model->ropes[i].cos_sin =
            carve(carver, model->options.max_step_tokens * sizeof(float), model->ropes[i].rope->dims);
    model->scratch = carve(carver, model->options.n_threads, model->scratch_bytes);
}

static int size_activations(struct cpu_model *model, struct error *error)
{
    model->scratch_bytes = widest_scratch(model);
    struct carver carver = {0};
    carve_all(model, &carver);
    model->memory_bytes = carver.used;
    if (carver.overflow)
        return error_set(error, ERROR_LIMIT, "the model's activations do not fit in the address space");
    return 0;
}

static int allocate_activations(struct cpu_model *model, struct error *error)
{
    model->memory = memory_map(model->memory_bytes);
    if (!model->memory)
        return error_memory(error, "activations", model->memory_bytes);
    struct carver carver = {.base = model->memory};
    carve_all(model, &carver);
    return 0;
}

/* A page holds its positions for all layers, one after another: what a few sequences use lies together, so
 * that huge pages of the system are filled and not merely touched. */
static int allocate_cache(struct cpu_model *model, struct error *error)
{
    const struct plan *plan = model->plan;
    size_t page = 0;
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        const struct plan_cache *cache = &plan->caches[i];
        model->cache_offset[i] = page;
        page += cache->n_kv_heads * kv_head_bytes(cache->k_dim, model->options.kv_bits);
    }
    model->page_bytes = page;
    if (!checked_mul(page, model->options.n_pages, &model->kv_bytes))
        return error_set(error, ERROR_LIMIT, "the KV cache does not fit in the address space");
    model->kv = memory_map(model->kv_bytes);
    if (!model->kv)
        return error_memory(error, "the KV cache", model->kv_bytes);
    return 0;
}

/* Every distinct rotary embedding of the plan. */
static void collect_ropes(struct cpu_model *model)
{
    for (uint32_t i = 0; i < model->plan->n_ops; i++) {
        const struct plan_op *op = &model->plan->ops[i];
        if (op->kind != PLAN_ROPE)
            continue;
        uint32_t at = 0;
        while (at < model->n_ropes && model->ropes[at].rope != op->rope.rope)
            at++;
        if (at == model->n_ropes)
            model->ropes[model->n_ropes++].rope = op->rope.rope;
    }
}

static int allocate_tables(struct cpu_model *model, struct error *error)
{
    const struct plan *plan = model->plan;
    struct arena *arena = &model->arena;
    size_t tokens = model->options.max_step_tokens, outputs = model->options.max_step_outputs;
    model->slots = arena_alloc(arena, plan->n_slots, sizeof *model->slots);
    model->ropes = arena_alloc(arena, plan->n_ops, sizeof *model->ropes);
    model->cache_offset = arena_alloc(arena, plan->n_caches + 1, sizeof *model->cache_offset);
    model->output_token = arena_alloc(arena, outputs, sizeof *model->output_token);
    model->tiles[DOMAIN_TOKENS] = arena_alloc(arena, tokens, sizeof(struct tile));
    model->tiles[DOMAIN_OUTPUTS] = arena_alloc(arena, outputs, sizeof(struct tile));
    if (!model->slots || !model->ropes || !model->cache_offset || !model->output_token ||
        !model->tiles[DOMAIN_TOKENS] || !model->tiles[DOMAIN_OUTPUTS])
        return error_memory(error, "the step's tables", tokens * sizeof(struct tile));
    return 0;
}

int space_lay_out(struct cpu_model *model, struct error *error)
{
    int status = allocate_tables(model, error);
    if (status)
        return status;
    collect_ropes(model);
    return size_activations(model, error);
}

int space_allocate(struct cpu_model *model, struct error *error)
{
    int status = allocate_activations(model, error);
    return status ? status : allocate_cache(model, error);
}

void space_free(struct cpu_model *model)
{
    memory_unmap(model->memory, model->memory_bytes);
    memory_unmap(model->kv, model->kv_bytes);
    arena_free(&model->arena);
}
