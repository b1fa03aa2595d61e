/* From operations to phases: which neighbours run without a barrier between them, and how each matrix product
 * wants its input rounded. Decided once, when a plan is prepared. */
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
    case PLAN_EXPERTS:
        return PHASE_EXPERTS;
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

static bool starts_with_rows(const struct phase *phase)
{
    return phase->kind == PHASE_ROWS || (phase->kind == PHASE_LINEAR && phase->n_inputs > 0);
}

int schedule_phases(struct cpu_model *model, struct error *error)
{
    const struct plan *plan = model->plan;
    model->phases = arena_alloc(&model->arena, plan->n_ops, sizeof *model->phases);
    model->segments = arena_alloc(&model->arena, plan->n_ops, sizeof *model->segments);
    model->op_input = arena_alloc(&model->arena, plan->n_ops, 1);
    model->next = arena_alloc(&model->arena, plan->n_ops, sizeof *model->next);
    if (!model->phases || !model->segments || !model->op_input || !model->next)
        return error_memory(error, "the schedule", plan->n_ops * sizeof *model->phases);

    struct phase *phase = NULL;
    for (uint32_t i = 0; i < plan->n_ops; i++) {
        const struct plan_op *op = &plan->ops[i];
        enum phase_kind kind = op_phase(op);
        enum plan_domain domain = op_domain(plan, op);
        bool joins = phase && phase->kind == kind && phase->domain == domain;
        if (joins && kind == PHASE_ROWS)
            phase->n_ops++;
        else if (joins && kind == PHASE_LINEAR && join_linear(model, phase, i))
            continue;
        else {
            phase = &model->phases[model->n_phases++];
            *phase = (struct phase){.kind = kind, .domain = domain, .first_op = i};
            if (kind != PHASE_LINEAR)
                phase->n_ops = 1;
            else if (!join_linear(model, phase, i))
                return error_set(error, ERROR_UNSUPPORTED, "operation %s writes over its own input",
                                 op->name);
        }
    }
    for (uint32_t i = 0; i < model->n_phases; i++) {
        struct phase *current = &model->phases[i];
        const struct phase *previous = i ? current - 1 : NULL;
        bool rows_go_on = previous && previous->kind == PHASE_ROWS && previous->domain == current->domain;
        current->barrier_before = previous && !(rows_go_on && starts_with_rows(current));
        model->segments[i] = (struct backend_segment){current->first_op, current->n_ops};
    }
    return 0;
}
