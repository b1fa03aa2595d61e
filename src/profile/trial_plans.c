/* The plans of trials. Each begins with an embedding, because something must write the first slot, and ends
 * with logits of a tiny vocabulary, because a plan has some; neither takes time that shows. */
#include <math.h>

#include "profile/trial.h"

enum { VOCAB = 64, TINY = 64 };

struct writer {
    struct plan_builder builder;
    struct plan_view x; /* of all tokens */
};

static struct weight *add_weight(struct writer *writer, struct trial_format format, uint32_t rows,
                                 uint32_t cols)
{
    struct weight *weight = arena_alloc(writer->builder.arena, 1, sizeof *weight);
    if (!weight) {
        writer->builder.status = error_memory(writer->builder.error, "a trial", sizeof *weight);
        return NULL;
    }
    bool affine = format.format == WEIGHT_AFFINE, dense = format.format == WEIGHT_DENSE;
    *weight = (struct weight){.name = "trial",
                              .format = format.format,
                              .type = affine || dense ? SCALAR_BF16 : SCALAR_U8,
                              .bits = format.bits,
                              .group_size = dense ? 0 : format.group_size,
                              .n_experts = 1,
                              .rows = rows,
                              .cols = cols,
                              .row_bytes = (size_t)cols * format.bits / 8};
    return weight;
}

static void add_product(struct writer *writer, struct trial_format format, struct plan_view in,
                        struct plan_view out)
{
    bool coded =
        format.format == WEIGHT_AFFINE || format.format == WEIGHT_MXFP4 || format.format == WEIGHT_NVFP4;
    struct plan_op *op = plan_op(&writer->builder, PLAN_LINEAR, "product");
    op->in = in;
    op->out = out;
    op->linear.weight = add_weight(writer, format, out.width, in.width);
    op->precision = coded ? PRECISION_INT8 : PRECISION_F32;
}

static void add_norm(struct writer *writer, struct plan_view view)
{
    struct plan_op *op = plan_op(&writer->builder, PLAN_NORM, "norm");
    float *ones = arena_alloc(writer->builder.arena, view.width, sizeof *ones);
    for (uint32_t i = 0; ones && i < view.width; i++)
        ones[i] = 1;
    op->in = op->out = view;
    op->norm.weight = ones;
    op->norm.eps = 1e-5f;
    op->norm.n_groups = 1;
}

static const struct trial_format dense = {WEIGHT_DENSE, 16, 0};

static void begin(struct writer *writer, uint32_t width, struct arena *arena, struct error *error)
{
    plan_builder_init(&writer->builder, arena, error);
    struct plan *plan = &writer->builder.plan;
    plan->family = "trial";
    plan->n_layers = 1;
    plan->hidden = width;
    plan->vocab = VOCAB;
    plan->max_context = 1 << 20;
    plan->shapes_only = true;
    /* a backend wants memory for a cache, used or not */
    plan_cache(&writer->builder,
               &(struct plan_cache){.kind = CACHE_FULL, .n_kv_heads = 1, .k_dim = TINY, .v_dim = TINY});
    writer->x = plan_slot(&writer->builder, "x", width, DOMAIN_TOKENS);
    struct plan_op *embed = plan_op(&writer->builder, PLAN_EMBED, "embed");
    embed->out = writer->x;
    embed->embed.weight = add_weight(writer, dense, VOCAB, width);
    embed->embed.scale = 1;
}

static int finish(struct writer *writer, struct plan_view outputs, struct plan *out)
{
    struct plan_builder *builder = &writer->builder;
    struct plan_view few = plan_columns(outputs, 0, outputs.width < TINY ? outputs.width : TINY);
    struct plan_view logits = plan_slot(builder, "logits", VOCAB, DOMAIN_OUTPUTS);
    add_product(writer, dense, few, logits);
    builder->plan.logits = logits;
    int status = plan_finish(builder);
    *out = builder->plan;
    return status;
}

/* The wanted rows of a view, whole. */
static struct plan_view add_select(struct writer *writer, struct plan_view view)
{
    struct plan_view rows = plan_slot(&writer->builder, "rows", view.width, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(&writer->builder, PLAN_SELECT, "select");
    op->in = view;
    op->out = rows;
    return rows;
}

int trial_products(const struct trial_products *shape, struct arena *arena, struct plan *out,
                   struct error *error)
{
    struct writer writer;
    begin(&writer, shape->hidden, arena, error);
    struct plan_view wide = plan_slot(&writer.builder, "wide", shape->ffn, DOMAIN_TOKENS);
    for (uint32_t i = 0; i < shape->layers; i++) {
        add_norm(&writer, writer.x);
        add_product(&writer, shape->format, writer.x, wide);
        add_norm(&writer, wide);
        add_product(&writer, shape->format, wide, writer.x);
    }
    return finish(&writer, add_select(&writer, plan_columns(writer.x, 0, TINY)), out);
}

int trial_attention(const struct trial_attention *shape, struct arena *arena, struct plan *out,
                    struct error *error)
{
    struct writer writer;
    uint32_t q = shape->heads * shape->head_dim, kv = shape->kv_heads * shape->head_dim;
    begin(&writer, q + 2 * kv, arena, error);
    struct plan_view queries = add_select(&writer, plan_columns(writer.x, 0, q));
    struct plan_view attended = plan_slot(&writer.builder, "attended", q, DOMAIN_OUTPUTS);
    for (uint32_t i = 0; i < shape->layers; i++) {
        struct plan_cache cache = {.kind = CACHE_FULL,
                                   .layer = (int32_t)i,
                                   .n_kv_heads = shape->kv_heads,
                                   .k_dim = shape->head_dim,
                                   .v_dim = shape->head_dim};
        uint32_t index = plan_cache(&writer.builder, &cache);
        struct plan_op *store = plan_op(&writer.builder, PLAN_KV_STORE, "store");
        store->in = plan_columns(writer.x, q, kv);
        store->in2 = plan_columns(writer.x, q + kv, kv);
        store->kv_store.cache = index;
        struct plan_op *attend = plan_op(&writer.builder, PLAN_ATTEND, "attend");
        attend->in = queries;
        attend->out = attended;
        attend->attend.cache = index;
        attend->attend.n_heads = shape->heads;
        attend->attend.head_dim = shape->head_dim;
        attend->attend.scale = (float)(1 / sqrt(shape->head_dim));
    }
    return finish(&writer, attended, out);
}

static void add_row_op(struct writer *writer, const struct trial_rows *shape, const struct plan_rope *rope,
                       struct plan_view other)
{
    if (shape->kind == PLAN_NORM) {
        add_norm(writer, writer->x);
        return;
    }
    struct plan_op *op = plan_op(&writer->builder, shape->kind, "rows");
    op->out = writer->x;
    if (shape->kind == PLAN_ROPE) {
        op->rope.rope = rope;
        op->rope.head_dim = rope->dims;
        op->rope.n_heads = shape->width / rope->dims;
        return;
    }
    op->in = writer->x;
    op->in2 = other;
    if (shape->kind == PLAN_ACT_MUL)
        op->act_mul.activation = ACTIVATION_SILU;
}

int trial_rows(const struct trial_rows *shape, struct arena *arena, struct plan *out, struct error *error)
{
    enum { ROPE_DIMS = 64 };
    struct writer writer;
    begin(&writer, shape->width + TINY, arena, error);
    struct plan_view all = writer.x, spare = plan_columns(all, shape->width, TINY);
    struct plan_view other = plan_slot(&writer.builder, "other", shape->width, DOMAIN_TOKENS);
    struct plan_rope *rope = arena_alloc(arena, 1, sizeof *rope);
    float *inv_freq = arena_alloc(arena, ROPE_DIMS / 2, sizeof *inv_freq);
    if (!rope || !inv_freq)
        return error_memory(error, "a trial", sizeof *rope);
    for (uint32_t i = 0; i < ROPE_DIMS / 2; i++)
        inv_freq[i] = (float)pow(10000, -2.0 * i / ROPE_DIMS);
    *rope = (struct plan_rope){.dims = ROPE_DIMS, .scale = 1, .inv_freq = inv_freq};
    writer.x = plan_columns(all, 0, shape->width);
    struct plan_op *copy = plan_op(&writer.builder, PLAN_ADD, "other");
    copy->in = copy->in2 = writer.x;
    copy->out = other;
    struct plan_view tiny = plan_slot(&writer.builder, "tiny", TINY, DOMAIN_TOKENS);
    for (uint32_t i = 0; i < shape->count; i++) {
        add_row_op(&writer, shape, rope, other);
        if (shape->apart)
            add_product(&writer, dense, spare, tiny);
    }
    return finish(&writer, add_select(&writer, plan_columns(all, 0, TINY)), out);
}
