/* Preparing, holding and driving a plan on the cpu: a driver (driver.h). */
#include "backend/cpu/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/kernels/kv.h"
#include "backend/driver.h"
#include "platform/cpu.h"

struct cpu_backend {
    struct backend_model model; /* first */
    struct cpu_model cpu;
};

static const struct cpu_model *cpu_of(const struct backend_model *model)
{
    return &((const struct cpu_backend *)model)->cpu;
}

/* ---- what the plan may ask of this backend ---- */

/* What keeps a cache from being stored here, of any number of bits; NULL: nothing. */
static const char *cache_problem(const struct plan_cache *cache)
{
    if (cache->kind == CACHE_LATENT)
        return "a latent cache";
    if (cache->kind == CACHE_RECURRENT)
        return "a recurrent state";
    return cache->k_dim == cache->v_dim ? NULL : "keys and values of different sizes";
}

static int check_plan(const struct plan *plan, struct error *error)
{
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        const char *problem = cache_problem(&plan->caches[i]);
        if (problem)
            return error_set(error, ERROR_UNSUPPORTED, "layers.%d: the cpu backend cannot keep %s",
                             (int)plan->caches[i].layer, problem);
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
    if (options->kv_bits != 8 && options->kv_bits != 16 && options->kv_bits != 32)
        return error_set(error, ERROR_INVALID, "kv-bits %u: the cpu backend stores 8, 16 or 32",
                         options->kv_bits);
    if (!options->n_threads)
        options->n_threads = cpu_usable_threads();
    return 0;
}

/* ---- opening ---- */

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
    status = schedule_phases(model, error);
    return status ? status : space_lay_out(model, error);
}

static int scratch_bytes(const struct plan *plan, const struct backend_options *options, uint64_t *bytes,
                         struct error *error)
{
    struct cpu_model model = {0};
    int status = lay_out(&model, plan, options, error);
    *bytes = status ? 0 : model.memory_bytes + model.arena.used_bytes;
    space_free(&model);
    return status;
}

static int phases(const struct plan *plan, const struct backend_options *options, uint32_t *n_phases,
                  struct error *error)
{
    struct cpu_model model = {0};
    int status = lay_out(&model, plan, options, error);
    *n_phases = status ? 0 : model.n_phases;
    space_free(&model);
    return status;
}

static int make_ready(struct cpu_model *model, const struct plan *plan, const struct backend_options *options,
                      struct error *error)
{
    int status = lay_out(model, plan, options, error);
    if (!status)
        status = space_allocate(model, error);
    if (!status)
        status = threads_open(model->options.n_threads, model->n_phases, execute_step, model, &model->threads,
                              error);
    return status;
}

static void close_model(struct backend_model *model)
{
    struct cpu_backend *backend = (struct cpu_backend *)model;
    threads_close(backend->cpu.threads);
    space_free(&backend->cpu);
    free(backend);
}

static int prepare(const struct plan *plan, const struct backend_options *options, struct backend_model **out,
                   struct error *error)
{
    struct cpu_backend *backend = calloc(1, sizeof *backend);
    if (!backend)
        return error_memory(error, "the backend", sizeof *backend);
    const struct cpu_model *cpu = &backend->cpu;
    int status = make_ready(&backend->cpu, plan, options, error);
    if (status) {
        close_model(&backend->model);
        return status;
    }
    backend->model.limits = cpu->options;
    backend->model.info = (struct backend_info){.name = "cpu",
                                                .isa = cpu->kernels.isa,
                                                .n_threads = cpu->options.n_threads,
                                                .kv_bits = cpu->options.kv_bits};
    *out = &backend->model;
    return 0;
}

/* ---- steps ---- */

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

static int step(struct backend_model *model, const struct backend_batch *batch, const float **logits,
                uint64_t *segment_ns, struct error *error)
{
    struct cpu_model *cpu = &((struct cpu_backend *)model)->cpu;
    cpu->batch = batch;
    cpu->segment_ns = segment_ns;
    memcpy(cpu->output_token, batch->outputs, batch->n_outputs * sizeof *batch->outputs);
    uint32_t max_rows = tile_tokens(cpu->plan);
    for (int domain = DOMAIN_TOKENS; domain <= DOMAIN_OUTPUTS; domain++)
        cpu->n_tiles[domain] = cut_tiles(cpu, (enum plan_domain)domain, max_rows, cpu->tiles[domain]);
    if (segment_ns)
        memset(segment_ns, 0, cpu->n_segments * sizeof *segment_ns);
    int status = schedule_pieces(cpu, error);
    if (status)
        return status;
    threads_run(cpu->threads, cpu->pieces);
    *logits = batch->n_outputs && !batch->embeddings_only ? view_row(cpu, cpu->plan->logits, 0) : NULL;
    return 0;
}

static const float *rows(const struct backend_model *model, struct plan_view view, size_t *stride)
{
    *stride = model->plan->slots[view.slot].width;
    return view_row(cpu_of(model), view, 0);
}

static uint8_t *lend_page(struct backend_model *model, uint32_t page)
{
    struct cpu_model *cpu = &((struct cpu_backend *)model)->cpu;
    return cpu->kv + page * cpu->page_bytes;
}

/* ---- figures ---- */

static const struct backend_segment *segments(const struct backend_model *model, uint32_t *n_segments)
{
    *n_segments = cpu_of(model)->n_segments;
    return cpu_of(model)->segments;
}

static struct backend_memory memory(const struct backend_model *model)
{
    const struct cpu_model *cpu = cpu_of(model);
    return (struct backend_memory){.scratch_bytes = cpu->memory_bytes + cpu->arena.used_bytes,
                                   .kv_bytes = cpu->kv_bytes};
}

const struct backend_driver backend_cpu = {
    .version = BACKEND_DRIVER_VERSION,
    .layout = BACKEND_DRIVER_LAYOUT,
    .batch_invariant = true,
    .name = "cpu",
    .prepare = prepare,
    .close = close_model,
    .step = step,
    .rows = rows,
    .segments = segments,
    .memory = memory,
    .scratch_bytes = scratch_bytes,
    .phases = phases,
    .page_layout = KV_PAGE_LAYOUT,
    .page = lend_page,
};
