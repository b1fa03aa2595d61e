/* Preparing, holding and driving a plan on the cpu; the functions of backend.h. */
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kv.h"
#include "base/checked.h"
#include "platform/cpu.h"
#include "platform/memory.h"

struct backend_model {
    struct cpu_model cpu;
    struct backend_info info;
};

enum { ALIGN = 64 };

/* ---- what the plan may ask of this backend ---- */

static int check_plan(const struct plan *plan, struct error *error)
{
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        const struct plan_cache *cache = &plan->caches[i];
        if ((cache->kind != CACHE_FULL && cache->kind != CACHE_WINDOW) || cache->k_dim != cache->v_dim)
            return error_set(error, ERROR_UNSUPPORTED,
                             "the cpu backend cannot keep the cache of layer %d yet (latent or recurrent)",
                             (int)cache->layer);
    }
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        if (op->kind == PLAN_ROUTE && op->route.n_experts > ROUTE_MAX_EXPERTS)
            return error_set(error, ERROR_UNSUPPORTED,
                             "%s: %u experts, and the cpu backend routes at most %d", op->name,
                             op->route.n_experts, ROUTE_MAX_EXPERTS);
        if (op->kind == PLAN_EXPERTS && (op->experts.gate->format != op->experts.up->format ||
                                         op->experts.gate->bits != op->experts.up->bits ||
                                         op->experts.gate->group_size != op->experts.up->group_size))
            return error_set(
                error, ERROR_UNSUPPORTED,
                "%s: gate and up experts are quantized differently, which the cpu backend cannot run",
                op->name);
    }
    return 0;
}

static int check_options(struct backend_options *options, struct error *error)
{
    if (options->name && strcmp(options->name, "cpu") != 0)
        return error_set(error, ERROR_INVALID, "unknown backend \"%s\": this build has cpu", options->name);
    if (options->kv_bits != 16 && options->kv_bits != 32)
        return error_set(error, ERROR_INVALID, "kv-bits %u: the cpu backend stores 16 or 32",
                         options->kv_bits);
    if (!options->n_threads)
        options->n_threads = cpu_usable_threads();
    if (options->n_threads > 1024)
        return error_set(error, ERROR_INVALID, "threads %u: at most 1024", options->n_threads);
    if (!options->max_step_tokens || !options->max_step_outputs || !options->max_sequences ||
        !options->n_pages)
        return error_set(error, ERROR_INTERNAL, "a backend limit is zero");
    return 0;
}

/* ---- memory ---- */

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

static int size_memory(struct cpu_model *model, struct error *error)
{
    model->scratch_bytes = widest_scratch(model);
    struct carver carver = {0};
    carve_all(model, &carver);
    model->memory_bytes = carver.used;
    if (carver.overflow)
        return error_set(error, ERROR_LIMIT, "the model's activations do not fit in the address space");
    return 0;
}

static int allocate_memory(struct cpu_model *model, struct error *error)
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

/* "reference, avx2, avx512", for messages. */
static void list_isas(char *out, size_t capacity)
{
    size_t length = 0;
    out[0] = '\0';
    for (const char *const *isa = kernels_available(); *isa && length < capacity; isa++)
        length += (size_t)snprintf(out + length, capacity - length, "%s%s", length ? ", " : "", *isa);
}

/* Everything that is decided before memory is taken. */
static int lay_out(struct cpu_model *model, const struct plan *plan, const struct backend_options *options,
                   struct error *error)
{
    int status;
    arena_init(&model->arena);
    model->plan = plan;
    model->options = *options;
    if ((status = check_options(&model->options, error)) || (status = check_plan(plan, error)))
        return status;
    if (!kernels_init(&model->kernels, options->isa)) {
        char isas[128];
        list_isas(isas, sizeof isas);
        return error_set(error, ERROR_UNSUPPORTED,
                         "no kernels for ISA \"%s\" here: this machine and build have %s", options->isa,
                         isas);
    }
    if ((status = schedule_phases(model, error)) || (status = allocate_tables(model, error)))
        return status;
    collect_ropes(model);
    return size_memory(model, error);
}

int backend_scratch_bytes(const struct plan *plan, const struct backend_options *options, uint64_t *bytes,
                          struct error *error)
{
    struct cpu_model model = {0};
    int status = lay_out(&model, plan, options, error);
    *bytes = status ? 0 : model.memory_bytes + model.arena.used_bytes;
    arena_free(&model.arena);
    return status;
}

static int prepare(struct cpu_model *model, const struct plan *plan, const struct backend_options *options,
                   struct error *error)
{
    int status = lay_out(model, plan, options, error);
    if (!status)
        status = allocate_memory(model, error);
    if (!status)
        status = allocate_cache(model, error);
    if (!status)
        status = threads_open(model->options.n_threads, model->n_phases, execute_step, model, &model->threads,
                              error);
    return status;
}

int backend_prepare(const struct plan *plan, const struct backend_options *options,
                    struct backend_model **out, struct error *error)
{
    *out = NULL;
    struct backend_model *model = calloc(1, sizeof *model);
    if (!model)
        return error_memory(error, "the backend", sizeof *model);
    int status = prepare(&model->cpu, plan, options, error);
    if (status) {
        backend_close(model);
        return status;
    }
    const struct cpu_model *cpu = &model->cpu;
    model->info = (struct backend_info){.name = "cpu",
                                        .isa = cpu->kernels.isa,
                                        .n_threads = cpu->options.n_threads,
                                        .kv_bits = cpu->options.kv_bits};
    *out = model;
    return 0;
}

void backend_close(struct backend_model *model)
{
    if (!model)
        return;
    threads_close(model->cpu.threads);
    memory_unmap(model->cpu.memory, model->cpu.memory_bytes);
    memory_unmap(model->cpu.kv, model->cpu.kv_bytes);
    arena_free(&model->cpu.arena);
    free(model);
}

/* ---- steps ---- */

static int check_batch(const struct cpu_model *model, const struct backend_batch *batch, struct error *error)
{
    const struct backend_options *limits = &model->options;
    if (batch->n_tokens > limits->max_step_tokens || batch->n_outputs > limits->max_step_outputs ||
        batch->n_sequences > limits->max_sequences || batch->n_outputs > batch->n_tokens)
        return error_set(error, ERROR_INTERNAL,
                         "a step of %u tokens, %u outputs, %u sequences breaks its limits", batch->n_tokens,
                         batch->n_outputs, batch->n_sequences);
    for (uint32_t i = 0; i < batch->n_tokens; i++) {
        uint32_t sequence = batch->sequence[i];
        if (sequence >= batch->n_sequences || batch->tokens[i] < 0 ||
            (uint32_t)batch->tokens[i] >= model->plan->vocab ||
            batch->positions[i] / BACKEND_PAGE_TOKENS >= batch->sequences[sequence].n_pages ||
            batch->sequences[sequence].pages[batch->positions[i] / BACKEND_PAGE_TOKENS] >= limits->n_pages)
            return error_set(error, ERROR_INTERNAL, "token %u of a step has no valid id, sequence or page",
                             i);
    }
    for (uint32_t i = 0; i < batch->n_outputs; i++)
        if (batch->outputs[i] >= batch->n_tokens || (i && batch->outputs[i] <= batch->outputs[i - 1]))
            return error_set(error, ERROR_INTERNAL, "output %u of a step is not an ascending token", i);
    return 0;
}

/* Cuts the rows of a domain into tiles: neighbours of one sequence, at most max_rows. */
static uint32_t cut_tiles(const struct cpu_model *model, enum plan_domain domain, uint32_t max_rows,
                          struct tile *tiles)
{
    uint32_t rows = step_rows(model, domain), n = 0, owner = 0;
    for (uint32_t row = 0; row < rows; row++) {
        uint32_t sequence = model->batch->sequence[row_token(model, domain, row)];
        if (row && sequence == owner && tiles[n - 1].n_rows < max_rows) {
            tiles[n - 1].n_rows++;
        } else {
            tiles[n++] = (struct tile){.row = row, .n_rows = 1};
            owner = sequence;
        }
    }
    return n;
}

/* Tokens in one attention tile: as many as fill the kernel's rows with the heads of one key head. */
static uint32_t tile_tokens(const struct plan *plan)
{
    uint32_t per_kv = 1;
    for (uint32_t i = 0; i < plan->n_ops; i++)
        if (plan->ops[i].kind == PLAN_ATTEND) {
            const struct plan_op *op = &plan->ops[i];
            uint32_t heads = op->attend.n_heads / plan->caches[op->attend.cache].n_kv_heads;
            per_kv = heads > per_kv ? heads : per_kv;
        }
    return per_kv >= KERNEL_MAX_ATTEND_ROWS ? 1 : KERNEL_MAX_ATTEND_ROWS / per_kv;
}

int backend_step(struct backend_model *model, const struct backend_batch *batch, const float **logits,
                 uint64_t *segment_ns, struct error *error)
{
    struct cpu_model *cpu = &model->cpu;
    int status = check_batch(cpu, batch, error);
    if (status)
        return status;
    cpu->batch = batch;
    cpu->segment_ns = segment_ns;
    memcpy(cpu->output_token, batch->outputs, batch->n_outputs * sizeof *batch->outputs);
    uint32_t max_rows = tile_tokens(cpu->plan);
    for (int domain = DOMAIN_TOKENS; domain <= DOMAIN_OUTPUTS; domain++)
        cpu->n_tiles[domain] = cut_tiles(cpu, (enum plan_domain)domain, max_rows, cpu->tiles[domain]);
    if (segment_ns)
        memset(segment_ns, 0, cpu->n_segments * sizeof *segment_ns);
    if ((status = schedule_pieces(cpu, error)))
        return status;
    threads_run(cpu->threads, cpu->pieces);
    *logits = batch->n_outputs ? view_row(cpu, cpu->plan->logits, 0) : NULL;
    return 0;
}

/* ---- figures ---- */

const struct backend_segment *backend_segments(const struct backend_model *model, uint32_t *n_segments)
{
    *n_segments = model->cpu.n_segments;
    return model->cpu.segments;
}

struct backend_memory backend_memory(const struct backend_model *model)
{
    return (struct backend_memory){.scratch_bytes = model->cpu.memory_bytes + model->cpu.arena.used_bytes,
                                   .kv_bytes = model->cpu.kv_bytes};
}

struct backend_info backend_info(const struct backend_model *model)
{
    return model->info;
}

uint64_t backend_page_bytes(const struct plan *plan, uint32_t kv_bits)
{
    return plan_kv_bytes_per_token(plan, kv_bits) * BACKEND_PAGE_TOKENS;
}
