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
    for (uint32_t i = 0; i < active; i++) {
        uint32_t best = n;
        for (uint32_t e = 0; e < n; e++) {
            bool taken = false;
            for (uint32_t j = 0; j < i; j++)
                taken |= chosen[j] == (float)e;
            if (!taken && (best == n || logits[e] > logits[best]))
                best = e;
        }
        chosen[i] = (float)best;
        weights[i] = expf(logits[best] - highest) / sum;
        active_sum += weights[i];
    }
    if (op->route.normalize)
        for (uint32_t i = 0; i < active; i++)
            weights[i] /= active_sum;
}

/* Counting sort of the pairs by expert, by one thread. */
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
    atomic_store(&space->next[0], 0);
    atomic_store(&space->next[1], 0);
}

static void own_pairs(const struct cpu_model *model, uint32_t pairs, uint32_t thread, uint32_t *begin,
                      uint32_t *end)
{
    uint64_t n = threads_count(model->threads);
    *begin = (uint32_t)((uint64_t)pairs * thread / n);
    *end = (uint32_t)((uint64_t)pairs * (thread + 1) / n);
}

static struct q8_rows codes_for(struct q8_rows codes, const struct weight *weight)
{
    codes.group = weight->group_size;
    codes.code_stride = (weight->cols + KERNEL_CODE_ALIGN - 1) / KERNEL_CODE_ALIGN * KERNEL_CODE_ALIGN;
    codes.group_stride = (weight->cols / codes.group + 15) / 16 * 16;
    return codes;
}

/* The rows [first, ...) of rounded activations. */
static struct q8_rows codes_from(struct q8_rows codes, uint32_t first)
{
    codes.codes += first * codes.code_stride;
    codes.scales += first * codes.group_stride;
    codes.sums += first * codes.group_stride;
    return codes;
}

/* One piece of weight rows of one expert, for all its tokens. */
static void expert_piece(struct cpu_model *model, const struct plan_op *op, const struct weight *weight,
                         uint32_t expert, uint32_t begin, uint32_t end, const float *x, struct q8_rows codes,
                         float *out, void *scratch)
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
}

/* Walks (expert with tokens, piece of rows) pairs; counter hands them out. stage 0: gate and up, stage 1:
 * down. */
static void expert_products(struct cpu_model *model, const struct plan_op *op, uint32_t thread,
                            uint32_t pairs, uint32_t stage)
{
    struct experts_space *space = &model->experts;
    const struct weight *weight = stage ? op->experts.down : op->experts.gate;
    uint32_t n_experts = weight->n_experts;
    uint32_t busy = pairs < n_experts ? pairs : n_experts;
    uint32_t size = piece_rows(model, weight->rows * busy, weight_row_bytes(weight), pairs / busy);
    uint32_t pieces = (weight->rows + size - 1) / size, passed = 0, expert = 0;
    void *scratch = thread_scratch(model, thread);
    for (;;) {
        uint32_t piece = atomic_fetch_add_explicit(&space->next[stage], 1, memory_order_relaxed);
        for (; expert < n_experts; expert++) {
            bool used = space->expert_start[expert + 1] > space->expert_start[expert];
            if (used && piece < passed + pieces)
                break;
            passed += used ? pieces : 0;
        }
        if (expert == n_experts)
            return;
        uint32_t begin = (piece - passed) * size,
                 end = begin + size < weight->rows ? begin + size : weight->rows;
        if (stage) {
            expert_piece(model, op, weight, expert, begin, end, space->gate, space->h_codes, space->out,
                         scratch);
        } else {
            expert_piece(model, op, weight, expert, begin, end, space->x, space->x_codes, space->gate,
                         scratch);
            expert_piece(model, op, op->experts.up, expert, begin, end, space->x, space->x_codes, space->up,
                         scratch);
        }
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

void execute_experts(struct cpu_model *model, const struct plan_op *op, uint32_t thread)
{
    uint32_t rows = step_rows(model, op_domain(model->plan, op)), pairs = rows * op->experts.n_active, begin,
             end;
    if (!rows)
        return;
    if (thread == 0)
        sort_pairs(model, op);
    threads_barrier(model->threads);
    own_pairs(model, pairs, thread, &begin, &end);
    gather_inputs(model, op, begin, end);
    threads_barrier(model->threads);
    expert_products(model, op, thread, pairs, 0);
    threads_barrier(model->threads);
    activate(model, op, begin, end);
    threads_barrier(model->threads);
    expert_products(model, op, thread, pairs, 1);
    threads_barrier(model->threads);
    own_pairs(model, rows, thread, &begin, &end);
    combine(model, op, begin, end);
}
