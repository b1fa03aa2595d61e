/* From operations to phases: which neighbours run as one, and how each matrix product wants its input
 * rounded, decided once, when a plan is prepared; and from phases to pieces, for every step. */
#include "backend/cpu/cpu.h"

enum plan_domain op_domain(const struct plan *plan, const struct plan_op *op)
{
    uint16_t slot = op->kind == PLAN_KV_STORE ? op->in.slot : op->out.slot;
    return plan->slots[slot].domain;
}

bool op_is_int8(const struct cpu_model *model, const struct plan_op *op, const struct weight *weight)
{
    return op->precision == PRECISION_INT8 && !model->options.precise && kernels_is_coded(weight);
}

static enum phase_kind op_phase(const struct plan_op *op)
{
    switch (op->kind) {
    case PLAN_LINEAR:
        return PHASE_LINEAR;
    case PLAN_ATTEND:
        return PHASE_ATTEND;
    case PLAN_SCALE:
        return PHASE_SCALE;
    case PLAN_EXPERTS:
        return PHASE_EXPERTS_SORT;
    default:
        return PHASE_ROWS;
    }
}

static bool same_view(struct plan_view a, struct plan_view b)
{
    return a.slot == b.slot && a.first == b.first && a.width == b.width;
}

static bool views_overlap(struct plan_view a, struct plan_view b)
{
    return a.slot == b.slot && a.first < b.first + b.width && b.first < a.first + a.width;
}

/* The index of a rounding among the phase's inputs, added when it is new; -1 when there is no room. */
static int phase_input(struct phase *phase, struct rounding rounding)
{
    for (uint32_t i = 0; i < phase->n_inputs; i++)
        if (phase->inputs[i].group == rounding.group && phase->inputs[i].order == rounding.order)
            return (int)i;
    if (phase->n_inputs == PHASE_MAX_INPUTS)
        return -1;
    phase->inputs[phase->n_inputs] = rounding;
    return (int)phase->n_inputs++;
}

/* Adds the linear op to the phase when it may run beside the others in it. */
static bool join_linear(struct cpu_model *model, struct phase *phase, uint32_t index)
{
    const struct plan_op *op = &model->plan->ops[index], *first = &model->plan->ops[phase->first_op];
    if (phase->n_ops && !same_view(first->in, op->in))
        return false;
    if (views_overlap(op->in, op->out))
        return false;
    int input = INPUT_F32;
    if (op_is_int8(model, op, op->linear.weight)) {
        struct rounding rounding = {op->linear.weight->group_size, kernels_code_order(op->linear.weight)};
        input = phase_input(phase, rounding);
        if (input < 0)
            return false;
    }
    model->op_input[index] = (uint8_t)input;
    phase->n_ops++;
    return true;
}

static struct phase *add_phase(struct cpu_model *model, enum phase_kind kind, enum plan_domain domain,
                               uint32_t first_op)
{
    struct phase *phase = &model->phases[model->n_phases++];
    *phase = (struct phase){
        .kind = kind, .domain = domain, .first_op = first_op, .segment = model->n_segments - 1};
    return phase;
}

static void begin_segment(struct cpu_model *model, uint32_t first_op)
{
    model->segments[model->n_segments++] = (struct backend_segment){.first_op = first_op};
}

/* The input of a new LINEAR phase is rounded by the ROWS phase that made it, or, where there is none, by one
 * that does nothing else. */
static int add_linear(struct cpu_model *model, struct phase *before, enum plan_domain domain, uint32_t index,
                      struct phase **out, struct error *error)
{
    const struct plan_op *op = &model->plan->ops[index];
    begin_segment(model, index);
    if (op_is_int8(model, op, op->linear.weight)) {
        if (!before || before->kind != PHASE_ROWS || before->domain != domain)
            before = add_phase(model, PHASE_ROWS, domain, index);
        before->rounds = model->n_phases;
    }
    *out = add_phase(model, PHASE_LINEAR, domain, index);
    if (!join_linear(model, *out, index))
        return error_set(error, ERROR_UNSUPPORTED, "operation %s writes over its own input", op->name);
    return 0;
}

/* A linear op that joins a phase of f32 products and wants its input rounded would need a ROWS phase before
 * it. */
static bool can_join(const struct cpu_model *model, const struct phase *phase, uint32_t index)
{
    const struct plan_op *op = &model->plan->ops[index];
    return phase->n_inputs || !op_is_int8(model, op, op->linear.weight);
}

static int schedule_op(struct cpu_model *model, struct phase **phase, uint32_t index, struct error *error)
{
    const struct plan_op *op = &model->plan->ops[index];
    enum phase_kind kind = op_phase(op);
    enum plan_domain domain = op_domain(model->plan, op);
    bool joins = (*phase)->kind == kind && (*phase)->domain == domain;
    if (joins && kind == PHASE_LINEAR && can_join(model, *phase, index) && join_linear(model, *phase, index))
        return 0;
    if (joins && kind == PHASE_ROWS) {
        (*phase)->n_ops++;
        return 0;
    }
    if (kind == PHASE_LINEAR)
        return add_linear(model, *phase, domain, index, phase, error);
    begin_segment(model, index);
    if (kind == PHASE_EXPERTS_SORT)
        for (enum phase_kind part = PHASE_EXPERTS_SORT; part < PHASE_EXPERTS_COMBINE; part++)
            add_phase(model, part, domain, index);
    *phase = add_phase(model, kind == PHASE_EXPERTS_SORT ? PHASE_EXPERTS_COMBINE : kind, domain, index);
    (*phase)->n_ops = 1;
    return 0;
}

int schedule_phases(struct cpu_model *model, struct error *error)
{
    const struct plan *plan = model->plan;
    size_t most = (size_t)plan->n_ops * 6 + 1;
    model->phases = arena_alloc(&model->arena, most, sizeof *model->phases);
    model->pieces = arena_alloc(&model->arena, most, sizeof *model->pieces);
    model->segments = arena_alloc(&model->arena, plan->n_ops, sizeof *model->segments);
    model->op_input = arena_alloc(&model->arena, plan->n_ops, 1);
    if (!model->phases || !model->pieces || !model->segments || !model->op_input)
        return error_memory(error, "the schedule", most * sizeof *model->phases);
    model->n_segments = 1; /* the tables of the ropes belong to the first segment */
    struct phase *phase = add_phase(model, PHASE_ROPES, DOMAIN_TOKENS, 0);
    model->n_segments = 0;
    int status = 0;
    for (uint32_t i = 0; i < plan->n_ops && !status; i++) {
        status = schedule_op(model, &phase, i, error);
        model->segments[model->n_segments - 1].n_ops++;
    }
    return status;
}

/* ---- pieces of a step ---- */

uint32_t piece_rows(const struct cpu_model *model, uint64_t total, uint64_t row_bytes, uint32_t n_tokens)
{
    enum { STEP = 16, MANY_TOKENS_ROWS = 64, PIECE_BYTES = 128 * 1024, PIECES_PER_THREAD = 8 };
    uint64_t rows = n_tokens >= STEP ? MANY_TOKENS_ROWS : PIECE_BYTES / (row_bytes + 1);
    uint64_t fair = total / (threads_count(model->threads) * (uint64_t)PIECES_PER_THREAD);
    if (rows > fair)
        rows = fair;
    return rows ? (uint32_t)((rows + STEP - 1) / STEP * STEP) : (uint32_t)STEP;
}

uint32_t share_rows(const struct cpu_model *model, uint32_t rows)
{
    enum { PIECES_PER_THREAD = 4 };
    uint32_t pieces = threads_count(model->threads) * PIECES_PER_THREAD;
    return (rows + pieces - 1) / pieces;
}

uint32_t share_columns(const struct cpu_model *model, uint32_t rows, uint32_t width)
{
    enum { PIECES_PER_THREAD = 4, LEAST = 1024 };
    uint64_t pieces = threads_count(model->threads) * (uint64_t)PIECES_PER_THREAD;
    uint64_t share = (uint64_t)rows * width / pieces;
    share = share < LEAST ? LEAST : (share + 15) / 16 * 16; /* 16 floats: whole cache lines and vectors */
    return share < width ? (uint32_t)share : width;
}

uint32_t linear_piece_rows(const struct cpu_model *model, const struct phase *phase)
{
    const struct plan_op *ops = model->plan->ops + phase->first_op;
    uint64_t total = 0;
    for (uint32_t i = 0; i < phase->n_ops; i++)
        total += ops[i].linear.weight->rows;
    return piece_rows(model, total, weight_row_bytes(ops[0].linear.weight), step_rows(model, phase->domain));
}

static uint64_t linear_pieces(const struct cpu_model *model, const struct phase *phase)
{
    const struct plan_op *ops = model->plan->ops + phase->first_op;
    uint32_t size = linear_piece_rows(model, phase);
    uint64_t pieces = 0;
    for (uint32_t i = 0; i < phase->n_ops; i++)
        pieces += (ops[i].linear.weight->rows + size - 1) / size;
    return pieces;
}

static uint64_t scale_pieces(const struct cpu_model *model, const struct phase *phase, uint32_t rows)
{
    uint32_t width = model->plan->ops[phase->first_op].out.width, share = share_columns(model, rows, width);
    return (uint64_t)rows * ((width + share - 1) / share);
}

static uint64_t phase_pieces(const struct cpu_model *model, const struct phase *phase)
{
    uint32_t rows = step_rows(model, phase->domain);
    if (!rows)
        return 0;
    switch (phase->kind) {
    case PHASE_ROPES:
    case PHASE_ROWS:
        return (rows + share_rows(model, rows) - 1) / share_rows(model, rows);
    case PHASE_LINEAR:
        return linear_pieces(model, phase);
    case PHASE_ATTEND:
        return (uint64_t)model->n_tiles[phase->domain] *
               model->plan->caches[model->plan->ops[phase->first_op].attend.cache].n_kv_heads;
    case PHASE_SCALE:
        return scale_pieces(model, phase, rows);
    default:
        return experts_pieces(model, phase);
    }
}

/* The operations of this step, of which the last are left out where nobody wants logits: those behind the one
 * that writes the embedding, unless they leave something in a cache. */
static uint32_t step_ops(const struct cpu_model *model)
{
    const struct plan *plan = model->plan;
    uint32_t n = plan->n_ops;
    while (model->batch->embeddings_only && n && plan->ops[n - 1].kind != PLAN_KV_STORE &&
           !views_overlap(plan->ops[n - 1].out, plan->embedding))
        n--;
    return n;
}

int schedule_pieces(struct cpu_model *model, struct error *error)
{
    uint32_t n_ops = step_ops(model);
    for (uint32_t i = 0; i < model->n_phases; i++) {
        bool left_out = model->phases[i].first_op >= n_ops;
        uint64_t pieces = left_out ? 0 : phase_pieces(model, &model->phases[i]);
        if (pieces > STAGE_MAX_PIECES)
            return error_set(error, ERROR_LIMIT,
                             "%s is too large for one step of %u tokens: use a smaller prefill chunk",
                             model->plan->ops[model->phases[i].first_op].name, model->batch->n_tokens);
        model->pieces[i] = (uint32_t)pieces;
    }
    return 0;
}
