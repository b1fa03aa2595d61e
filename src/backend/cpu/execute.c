/* One step, as every thread of the pool runs it. */
#include <string.h>

#include "backend/cpu/cpu.h"
#include "backend/cpu/kernels/kv.h"
#include "platform/clock.h"

uint32_t step_rows(const struct cpu_model *model, enum plan_domain domain)
{
    return domain == DOMAIN_TOKENS ? model->batch->n_tokens : model->batch->n_outputs;
}

uint32_t row_token(const struct cpu_model *model, enum plan_domain domain, uint32_t row)
{
    return domain == DOMAIN_TOKENS ? row : model->output_token[row];
}

float *view_row(const struct cpu_model *model, struct plan_view view, uint32_t row)
{
    return model->slots[view.slot] + (size_t)row * model->plan->slots[view.slot].width + view.first;
}

/* The rows of one piece of a phase that works on rows alone. */
static void piece_of_rows(const struct cpu_model *model, enum plan_domain domain, uint32_t piece,
                          uint32_t *begin, uint32_t *end)
{
    uint32_t rows = step_rows(model, domain), share = share_rows(model, rows);
    *begin = piece * share;
    *end = *begin + share < rows ? *begin + share : rows;
}

/* ---- rotary tables ---- */

static void fill_rope_tables(struct cpu_model *model, uint32_t piece)
{
    uint32_t begin, end;
    piece_of_rows(model, DOMAIN_TOKENS, piece, &begin, &end);
    for (uint32_t i = 0; i < model->n_ropes; i++) {
        const struct rope_table *table = &model->ropes[i];
        for (uint32_t row = begin; row < end; row++)
            plan_rope_angles(table->rope, model->batch->positions[row],
                             table->cos_sin + (size_t)row * table->rope->dims);
    }
}

static const float *rope_row(const struct cpu_model *model, const struct plan_rope *rope, uint32_t token)
{
    const struct rope_table *table = model->ropes;
    while (table->rope != rope)
        table++;
    return table->cos_sin + (size_t)token * rope->dims;
}

/* ---- operations on one row ---- */

static void norm_row(const struct cpu_model *model, const struct plan_op *op, uint32_t row)
{
    const float *in = view_row(model, op->in, row);
    float *out = view_row(model, op->out, row);
    uint32_t n = op->in.width / op->norm.n_groups;
    for (uint32_t g = 0; g < op->norm.n_groups; g++)
        model->kernels.rms_norm(in + (size_t)g * n, op->norm.weight, op->norm.eps, n, out + (size_t)g * n);
}

static void embed_row(const struct cpu_model *model, const struct plan_op *op, uint32_t row)
{
    float *out = view_row(model, op->out, row);
    model->kernels.unpack_row(op->embed.weight, 0, (uint32_t)model->batch->tokens[row], out);
    if (op->embed.scale != 1.0f)
        for (uint32_t i = 0; i < op->out.width; i++)
            out[i] *= op->embed.scale;
}

static void add_row(const struct cpu_model *model, const struct plan_op *op, uint32_t row)
{
    const float *in2 = view_row(model, op->in2, row);
    float *out = view_row(model, op->out, row), scale = plan_add_scale(op);
    if (scale != 1)
        model->kernels.add_scaled(out, in2, scale, op->out.width);
    else
        model->kernels.add(view_row(model, op->in, row), in2, op->out.width, out);
}

static void kv_store_row(const struct cpu_model *model, const struct plan_op *op, uint32_t row)
{
    const struct backend_batch *batch = model->batch;
    uint32_t index = op->kv_store.cache, kv_bits = model->options.kv_bits;
    const struct plan_cache *cache = &model->plan->caches[index];
    uint32_t token = row_token(model, op_domain(model->plan, op), row), position = batch->positions[token];
    uint32_t page = batch->sequences[batch->sequence[token]].pages[position / BACKEND_PAGE_TOKENS];
    uint8_t *bytes = model->kv + page * model->page_bytes + model->cache_offset[index];
    const float *keys = view_row(model, op->in, row), *values = view_row(model, op->in2, row);
    for (uint32_t head = 0; head < cache->n_kv_heads; head++)
        model->kernels.kv_store(keys + (size_t)head * cache->k_dim, values + (size_t)head * cache->v_dim,
                                cache->k_dim, kv_bits, position,
                                bytes + kv_key_offset(head, cache->k_dim, kv_bits),
                                bytes + kv_value_offset(head, cache->k_dim, kv_bits));
}

static void execute_row(const struct cpu_model *model, const struct plan_op *op, enum plan_domain domain,
                        uint32_t row)
{
    const struct kernels *kernels = &model->kernels;
    switch (op->kind) {
    case PLAN_EMBED:
        embed_row(model, op, row);
        break;
    case PLAN_NORM:
        norm_row(model, op, row);
        break;
    case PLAN_ROPE:
        kernels->rope(view_row(model, op->out, row), op->rope.n_heads, op->rope.head_dim, op->rope.rope->dims,
                      op->rope.rope->interleaved,
                      rope_row(model, op->rope.rope, row_token(model, domain, row)));
        break;
    case PLAN_KV_STORE:
        kv_store_row(model, op, row);
        break;
    case PLAN_ACT_MUL:
        kernels->act_mul(op->act_mul.activation, view_row(model, op->in, row), view_row(model, op->in2, row),
                         op->out.width, view_row(model, op->out, row));
        break;
    case PLAN_ADD:
        add_row(model, op, row);
        break;
    case PLAN_ROUTE:
        execute_route(op, view_row(model, op->in, row), view_row(model, op->out, row));
        break;
    case PLAN_SELECT:
        memcpy(view_row(model, op->out, row), view_row(model, op->in, model->output_token[row]),
               op->out.width * sizeof(float));
        break;
    default: /* LINEAR, ATTEND, SCALE and EXPERTS have phases of their own */
        break;
    }
}

/* ---- matrix products ---- */

static struct q8_rows phase_codes(const struct cpu_model *model, const struct phase *phase, uint32_t input,
                                  uint32_t cols)
{
    return shape_codes(model->inputs[input], cols, phase->inputs[input].group);
}

static void round_inputs(struct cpu_model *model, const struct phase *phase, uint32_t begin, uint32_t end)
{
    struct plan_view in = model->plan->ops[phase->first_op].in;
    for (uint32_t i = 0; i < phase->n_inputs; i++) {
        struct q8_rows codes = phase_codes(model, phase, i, in.width);
        for (uint32_t row = begin; row < end; row++)
            model->kernels.quantize_row(view_row(model, in, row), in.width, phase->inputs[i].order, &codes,
                                        row);
    }
}

/* Operation by operation over the piece's rows: each operation's weights and code stay warm. */
static void execute_rows(struct cpu_model *model, const struct phase *phase, uint32_t piece)
{
    uint32_t begin, end;
    piece_of_rows(model, phase->domain, piece, &begin, &end);
    for (uint32_t i = 0; i < phase->n_ops; i++)
        for (uint32_t row = begin; row < end; row++)
            execute_row(model, &model->plan->ops[phase->first_op + i], phase->domain, row);
    if (phase->rounds)
        round_inputs(model, &model->phases[phase->rounds], begin, end);
}

static void add_bias(const struct cpu_model *model, const struct plan_op *op, uint32_t rows, uint32_t begin,
                     uint32_t end)
{
    for (uint32_t row = 0; row < rows; row++) {
        float *out = view_row(model, op->out, row);
        for (uint32_t r = begin; r < end; r++)
            out[r] += op->linear.bias[r];
    }
}

static void linear_piece(struct cpu_model *model, const struct phase *phase, uint32_t index, uint32_t begin,
                         uint32_t end, uint32_t rows, void *scratch)
{
    const struct plan_op *op = &model->plan->ops[index];
    const struct weight *weight = op->linear.weight;
    float *out = view_row(model, op->out, 0);
    size_t out_stride = model->plan->slots[op->out.slot].width;
    uint32_t input = model->op_input[index];
    if (input == INPUT_F32) {
        model->kernels.linear_f32(weight, 0, begin, end, view_row(model, op->in, 0),
                                  model->plan->slots[op->in.slot].width, rows, out, out_stride, scratch);
    } else {
        struct q8_rows codes = phase_codes(model, phase, input, op->in.width);
        model->kernels.linear_int8(weight, 0, begin, end, &codes, rows, out, out_stride, scratch);
    }
    if (op->linear.bias)
        add_bias(model, op, rows, begin, end);
}

/* A piece never crosses from one matrix to the next. */
static void execute_linear(struct cpu_model *model, const struct phase *phase, uint32_t piece, void *scratch)
{
    const struct plan_op *ops = model->plan->ops + phase->first_op;
    uint32_t size = linear_piece_rows(model, phase), op = 0, all = ops[0].linear.weight->rows;
    while (piece * size >= all) { /* pieces is small: at most a few thousand */
        piece -= (all + size - 1) / size;
        all = ops[++op].linear.weight->rows;
    }
    uint32_t begin = piece * size, end = begin + size < all ? begin + size : all;
    linear_piece(model, phase, phase->first_op + op, begin, end, step_rows(model, phase->domain), scratch);
}

/* ---- attention ---- */

static void attend_head(const struct cpu_model *model, const struct plan_op *op, struct tile tile,
                        uint32_t kv_head, void *scratch)
{
    const struct backend_batch *batch = model->batch;
    const struct plan_cache *cache = &model->plan->caches[op->attend.cache];
    enum plan_domain domain = op_domain(model->plan, op);
    uint32_t per_kv = op->attend.n_heads / cache->n_kv_heads, dim = op->attend.head_dim;
    uint32_t kv_bits = model->options.kv_bits, queries = tile.n_rows * per_kv;
    struct attend_tile work = {
        .head_dim = dim,
        .scale = op->attend.scale,
        .softcap = op->attend.softcap,
        .kv_bits = kv_bits,
        .cache = model->kv + model->cache_offset[op->attend.cache],
        .pages = batch->sequences[batch->sequence[row_token(model, domain, tile.row)]].pages,
        .page_bytes = model->page_bytes,
        .key_offset = kv_key_offset(kv_head, dim, kv_bits),
        .value_offset = kv_value_offset(kv_head, dim, kv_bits),
    };
    for (uint32_t query = 0; query < queries; query++) {
        uint32_t row = tile.row + query / per_kv, head = kv_head * per_kv + query % per_kv, n = work.n_rows++;
        uint32_t position = batch->positions[row_token(model, domain, row)];
        work.q[n] = view_row(model, op->in, row) + (size_t)head * dim;
        work.out[n] = view_row(model, op->out, row) + (size_t)head * dim;
        work.first[n] = cache->window && position >= cache->window ? position - cache->window + 1 : 0;
        work.last[n] = position;
        work.sink[n] = op->attend.sinks ? op->attend.sinks + head : NULL;
        if (work.n_rows == KERNEL_MAX_ATTEND_ROWS || query + 1 == queries) {
            model->kernels.attend(&work, scratch);
            work.n_rows = 0;
        }
    }
}

/* Later tiles of a prompt see more keys, so they are handed out first. */
static void execute_attend(struct cpu_model *model, const struct phase *phase, uint32_t piece, void *scratch)
{
    const struct plan_op *op = &model->plan->ops[phase->first_op];
    uint32_t heads = model->plan->caches[op->attend.cache].n_kv_heads;
    const struct tile *last = model->tiles[phase->domain] + model->n_tiles[phase->domain] - 1;
    attend_head(model, op, *(last - piece / heads), piece % heads, scratch);
}

/* ---- scaling ---- */

/* One row's share of columns. */
static void execute_scale(const struct cpu_model *model, const struct phase *phase, uint32_t piece)
{
    const struct plan_op *op = &model->plan->ops[phase->first_op];
    uint32_t width = op->out.width, share = share_columns(model, step_rows(model, phase->domain), width);
    uint32_t shares = (width + share - 1) / share, row = piece / shares, first = piece % shares * share;
    uint32_t n = width - first < share ? width - first : share;
    model->kernels.scale(view_row(model, op->in, row) + first, op->scale.scale, op->scale.softcap, n,
                         view_row(model, op->out, row) + first);
}

/* ---- the step ---- */

static void execute_piece(struct cpu_model *model, const struct phase *phase, uint32_t piece, void *scratch)
{
    switch (phase->kind) {
    case PHASE_ROPES:
        fill_rope_tables(model, piece);
        break;
    case PHASE_ROWS:
        execute_rows(model, phase, piece);
        break;
    case PHASE_LINEAR:
        execute_linear(model, phase, piece, scratch);
        break;
    case PHASE_ATTEND:
        execute_attend(model, phase, piece, scratch);
        break;
    case PHASE_SCALE:
        execute_scale(model, phase, piece);
        break;
    default:
        execute_experts(model, phase, piece, scratch);
        break;
    }
}

/* The time from one phase's end to the next one's, as thread 0 sees it, is the phase's. */
static uint64_t trace_phase(struct cpu_model *model, const struct phase *phase, uint64_t begin)
{
    uint64_t now = clock_now_ns();
    model->segment_ns[phase->segment] += now - begin;
    return now;
}

void execute_step(void *context, uint32_t thread, uint32_t round)
{
    struct cpu_model *model = context;
    void *scratch = model->scratch + thread * model->scratch_bytes;
    bool traced = thread == 0 && model->segment_ns;
    uint64_t begin = traced ? clock_now_ns() : 0;
    for (uint32_t i = 0; i < model->n_phases; i++) {
        enum stage_state state;
        uint32_t piece;
        while ((state = stages_claim(model->threads, i, round, &piece)) == STAGE_CLAIMED) {
            execute_piece(model, &model->phases[i], piece, scratch);
            stages_finish(model->threads, i);
        }
        if (state == ROUND_OVER)
            return;
        if (traced)
            begin = trace_phase(model, &model->phases[i], begin);
    }
}
