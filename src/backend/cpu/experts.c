/* Routed experts: each token is multiplied by the few experts its router chose.
 *
 * The (token, expert) pairs of a step are sorted by expert, so that an expert's weights are read once for all
 * its tokens. A pair's result depends on nothing but its token and expert, and a token's pairs are summed in
 * the router's order: batch-invariant like everything else.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

/* Softmax over all experts, then the n_active largest (ties: the lower number first), largest first. */
void execute_route(const struct plan_op *op, const float *logits, float *out)
{
    uint32_t n = op->route.n_experts, active = op->route.n_active;
    float *weights = out, *chosen = out + active;
    float highest = -INFINITY, sum = 0, active_sum = 0;
    for (uint32_t e = 0; e < n; e++)
        highest = fmaxf(highest, logits[e]);
    for (uint32_t e = 0; e < n; e++)
        sum += expf(logits[e] - highest);
    uint64_t taken[ROUTE_MAX_EXPERTS / 64] = {0};
    for (uint32_t i = 0; i < active; i++) {
        uint32_t best = n;
        for (uint32_t e = 0; e < n; e++)
            if (!(taken[e / 64] >> e % 64 & 1) && (best == n || logits[e] > logits[best]))
                best = e;
        taken[best / 64] |= UINT64_C(1) << best % 64;
        chosen[i] = (float)best;
        weights[i] = expf(logits[best] - highest) / sum;
        active_sum += weights[i];
    }
    if (op->route.normalize)
        for (uint32_t i = 0; i < active; i++)
            weights[i] /= active_sum;
}

/* Counting sort of the pairs by expert; one piece. */
static void sort_pairs(struct cpu_model *model, const struct plan_op *op)
{
    struct experts_space *space = &model->experts;
    uint32_t rows = step_rows(model, op_domain(model->plan, op)), active = op->experts.n_active;
    uint32_t n_experts = op->experts.gate->n_experts;
    memset(space->expert_start, 0, (n_experts + 1) * sizeof *space->expert_start);
    for (uint32_t row = 0; row < rows; row++) {
        const float *chosen = view_row(model, op->in2, row) + active;
        for (uint32_t i = 0; i < active; i++)
            space->expert_start[(uint32_t)chosen[i] + 1]++;
    }
    for (uint32_t e = 0; e < n_experts; e++)
        space->expert_start[e + 1] += space->expert_start[e];
    for (uint32_t row = 0; row < rows; row++) {
        const float *chosen = view_row(model, op->in2, row) + active;
        for (uint32_t i = 0; i < active; i++) {
            uint32_t at = space->expert_start[(uint32_t)chosen[i]]++;
            space->pair_token[at] = row;
            space->pair_of[row * active + i] = at;
        }
    }
    for (uint32_t e = n_experts; e > 0; e--) /* the starts moved on to the ends: shift them back */
        space->expert_start[e] = space->expert_start[e - 1];
    space->expert_start[0] = 0;
    space->n_busy = 0;
    for (uint32_t e = 0; e < n_experts; e++)
        if (space->expert_start[e + 1] > space->expert_start[e])
            space->busy[space->n_busy++] = e;
}

/* Plain numbers have no groups, and are not multiplied with codes. */
static struct q8_rows codes_for(struct q8_rows buffer, const struct weight *weight)
{
    return weight->group_size ? shape_codes(buffer, weight->cols, weight->group_size) : buffer;
}

/* The rows [first, ...) of rounded activations. */
static struct q8_rows codes_from(struct q8_rows codes, uint32_t first)
{
    codes.codes += first * codes.code_stride;
    codes.scales += first * codes.group_stride;
    codes.sums += first * codes.group_stride;
    return codes;
}

/* One piece of weight rows of one expert, for all its tokens. bias: [n_experts * rows] or NULL. */
static void expert_piece(struct cpu_model *model, const struct plan_op *op, const struct weight *weight,
                         const float *bias, uint32_t expert, uint32_t begin, uint32_t end, const float *x,
                         struct q8_rows codes, float *out, void *scratch)
{
    uint32_t first = model->experts.expert_start[expert];
    uint32_t n = model->experts.expert_start[expert + 1] - first;
    float *rows = out + (size_t)first * weight->rows;
    if (op_is_int8(model, op, weight)) {
        struct q8_rows mine = codes_from(codes_for(codes, weight), first);
        model->kernels.linear_int8(weight, expert, begin, end, &mine, n, rows, weight->rows, scratch);
    } else {
        model->kernels.linear_f32(weight, expert, begin, end, x + (size_t)first * weight->cols, weight->cols,
                                  n, rows, weight->rows, scratch);
    }
    if (bias)
        for (uint32_t pair = 0; pair < n; pair++)
            for (uint32_t r = begin; r < end; r++)
                rows[(size_t)pair * weight->rows + r] += bias[(size_t)expert * weight->rows + r];
}

/* How an expert's matrix is cut. Which experts have tokens is known only after sorting, so the pieces are
 * counted for as many as there may be; those beyond n_busy are empty. */
struct cut {
    uint32_t rows, pieces, most_busy;
};

static struct cut cut_expert(const struct cpu_model *model, const struct weight *weight, uint32_t pairs)
{
    struct cut cut = {.most_busy = pairs < weight->n_experts ? pairs : weight->n_experts};
    cut.rows = piece_rows(model, (uint64_t)weight->rows * cut.most_busy, weight_row_bytes(weight),
                          pairs / cut.most_busy);
    cut.pieces = (weight->rows + cut.rows - 1) / cut.rows;
    return cut;
}

static uint32_t step_pairs(const struct cpu_model *model, const struct plan_op *op)
{
    return step_rows(model, op_domain(model->plan, op)) * op->experts.n_active;
}

static void expert_products(struct cpu_model *model, const struct plan_op *op, bool down, uint32_t piece,
                            void *scratch)
{
    struct experts_space *space = &model->experts;
    const struct weight *weight = down ? op->experts.down : op->experts.gate;
    struct cut cut = cut_expert(model, weight, step_pairs(model, op));
    if (piece / cut.pieces >= space->n_busy)
        return;
    uint32_t expert = space->busy[piece / cut.pieces], begin = piece % cut.pieces * cut.rows;
    uint32_t end = begin + cut.rows < weight->rows ? begin + cut.rows : weight->rows;
    if (down) {
        expert_piece(model, op, weight, op->experts.down_bias, expert, begin, end, space->gate,
                     space->h_codes, space->out, scratch);
    } else {
        expert_piece(model, op, weight, op->experts.gate_bias, expert, begin, end, space->x, space->x_codes,
                     space->gate, scratch);
        expert_piece(model, op, op->experts.up, op->experts.up_bias, expert, begin, end, space->x,
                     space->x_codes, space->up, scratch);
    }
}

static void gather_inputs(struct cpu_model *model, const struct plan_op *op, uint32_t begin, uint32_t end)
{
    struct experts_space *space = &model->experts;
    const struct weight *gate = op->experts.gate;
    struct q8_rows codes = codes_for(space->x_codes, gate);
    bool int8 = op_is_int8(model, op, gate), f32 = !int8 || !op_is_int8(model, op, op->experts.up);
    for (uint32_t pair = begin; pair < end; pair++) {
        const float *x = view_row(model, op->in, space->pair_token[pair]);
        if (int8)
            model->kernels.quantize_row(x, gate->cols, kernels_code_order(gate), &codes, pair);
        if (f32)
            memcpy(space->x + (size_t)pair * gate->cols, x, gate->cols * sizeof *x);
    }
}

static void activate(struct cpu_model *model, const struct plan_op *op, uint32_t begin, uint32_t end)
{
    struct experts_space *space = &model->experts;
    const struct weight *down = op->experts.down;
    struct q8_rows codes = codes_for(space->h_codes, down);
    bool int8 = op_is_int8(model, op, down);
    for (uint32_t pair = begin; pair < end; pair++) {
        float *h = space->gate + (size_t)pair * down->cols;
        model->kernels.act_mul(op->experts.activation, h, space->up + (size_t)pair * down->cols, down->cols,
                               h);
        if (int8)
            model->kernels.quantize_row(h, down->cols, kernels_code_order(down), &codes, pair);
    }
}

static void combine(struct cpu_model *model, const struct plan_op *op, uint32_t begin, uint32_t end)
{
    struct experts_space *space = &model->experts;
    uint32_t active = op->experts.n_active, width = op->out.width;
    for (uint32_t row = begin; row < end; row++) {
        float *out = view_row(model, op->out, row);
        const float *weights = view_row(model, op->in2, row);
        memset(out, 0, width * sizeof *out);
        for (uint32_t i = 0; i < active; i++)
            model->kernels.add_scaled(out, space->out + (size_t)space->pair_of[row * active + i] * width,
                                      weights[i], width);
    }
}

uint64_t experts_pieces(const struct cpu_model *model, const struct phase *phase)
{
    const struct plan_op *op = &model->plan->ops[phase->first_op];
    uint32_t pairs = step_pairs(model, op), rows = step_rows(model, phase->domain);
    struct cut cut;
    switch (phase->kind) {
    case PHASE_EXPERTS_SORT:
        return 1;
    case PHASE_EXPERTS_UP:
    case PHASE_EXPERTS_DOWN:
        cut = cut_expert(model, phase->kind == PHASE_EXPERTS_UP ? op->experts.gate : op->experts.down, pairs);
        return (uint64_t)cut.most_busy * cut.pieces;
    case PHASE_EXPERTS_COMBINE:
        return (rows + share_rows(model, rows) - 1) / share_rows(model, rows);
    default:
        return (pairs + share_rows(model, pairs) - 1) / share_rows(model, pairs);
    }
}

void execute_experts(struct cpu_model *model, const struct phase *phase, uint32_t piece, void *scratch)
{
    const struct plan_op *op = &model->plan->ops[phase->first_op];
    bool by_row = phase->kind == PHASE_EXPERTS_COMBINE;
    uint32_t all = by_row ? step_rows(model, phase->domain) : step_pairs(model, op);
    uint32_t share = share_rows(model, all), begin = piece * share,
             end = begin + share < all ? begin + share : all;
    switch (phase->kind) {
    case PHASE_EXPERTS_SORT:
        sort_pairs(model, op);
        break;
    case PHASE_EXPERTS_GATHER:
        gather_inputs(model, op, begin, end);
        break;
    case PHASE_EXPERTS_ACTIVATE:
        activate(model, op, begin, end);
        break;
    case PHASE_EXPERTS_COMBINE:
        combine(model, op, begin, end);
        break;
    default:
        expert_products(model, op, phase->kind == PHASE_EXPERTS_DOWN, piece, scratch);
        break;
    }
}
