/* A two-layer plan written by hand, for tests of a backend: one layer dense, one with routed experts and a
 * window; weights of many formats, the same ones every time. Functions are static inline, as in
 * tiny_model.h. */
#ifndef LLMIND_TESTS_HAND_PLAN_H
#define LLMIND_TESTS_HAND_PLAN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/float16.h"
#include "plan/plan.h"

enum {
    HAND_HIDDEN = 192,
    HAND_FFN = 192,
    HAND_HEADS = 6,
    HAND_KV_HEADS = 2,
    HAND_DIM = 32,
    HAND_VOCAB = 97,
    HAND_EXPERTS = 5,
    HAND_ACTIVE = 2
};

static uint64_t hand_random;

static inline uint32_t hand_random_u32(void)
{
    hand_random = hand_random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(hand_random >> 33);
}

static inline float hand_random_float(float scale)
{
    return scale * ((float)hand_random_u32() / 1073741824.0f - 1.0f);
}

/* A weight of random codes; affine zero-mean, so that activations stay sane. */
static inline const struct weight *hand_random_weight(struct arena *arena, uint32_t experts, uint32_t rows,
                                                      uint32_t cols, uint32_t bits, uint32_t group)
{
    struct weight *weight = arena_alloc(arena, 1, sizeof *weight);
    *weight = (struct weight){.name = "w",
                              .format = WEIGHT_AFFINE,
                              .type = SCALAR_BF16,
                              .bits = bits,
                              .group_size = group,
                              .n_experts = experts,
                              .rows = rows,
                              .cols = cols,
                              .row_bytes = (size_t)cols * bits / 8};
    if (!group) {
        weight->format = WEIGHT_DENSE;
        weight->type = SCALAR_BF16;
    }
    size_t all = (size_t)experts * rows, groups = group ? all * (cols / group) : 0;
    uint8_t *data = arena_alloc(arena, all, weight->row_bytes);
    for (size_t i = 0; i < all * weight->row_bytes; i++)
        data[i] = (uint8_t)hand_random_u32();
    if (!group)
        for (size_t i = 0; i < all * cols; i++) {
            uint16_t half = float_to_bf16(hand_random_float(2.0f / sqrtf((float)cols)));
            memcpy(data + 2 * i, &half, 2);
        }
    uint16_t *scales = arena_alloc(arena, groups + 1, 2), *biases = arena_alloc(arena, groups + 1, 2);
    float levels = (float)((1u << bits) - 1u);
    for (size_t i = 0; i < groups; i++) {
        float scale = (1.0f + hand_random_float(0.3f)) * 3.4f / (levels * sqrtf((float)cols));
        scales[i] = float_to_bf16(scale);
        biases[i] = float_to_bf16(-scale * levels / 2);
    }
    weight->data = data;
    weight->scales = (const uint8_t *)scales;
    weight->biases = (const uint8_t *)biases;
    return weight;
}

static inline const float *hand_random_vector(struct arena *arena, uint32_t n, float around, float scale)
{
    float *vector = arena_alloc(arena, n, sizeof *vector);
    for (uint32_t i = 0; i < n; i++)
        vector[i] = around + hand_random_float(scale);
    return vector;
}

struct hand_builder {
    struct plan_builder plan;
    struct arena *arena;
    const struct plan_rope *rope;
};

static inline void hand_norm(struct hand_builder *b, struct plan_view in, struct plan_view out,
                             uint32_t groups)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_NORM, "norm");
    op->in = in;
    op->out = out;
    op->norm.weight = hand_random_vector(b->arena, in.width / groups, 1, 0.2f);
    op->norm.eps = 1e-5f;
    op->norm.n_groups = groups;
}

static inline void hand_linear(struct hand_builder *b, struct plan_view in, struct plan_view out,
                               uint32_t bits, uint32_t group, bool bias)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_LINEAR, "linear");
    op->in = in;
    op->out = out;
    op->precision = PRECISION_INT8;
    op->linear.weight = hand_random_weight(b->arena, 1, out.width, in.width, bits, group);
    op->linear.bias = bias ? hand_random_vector(b->arena, out.width, 0, 0.1f) : NULL;
}

static inline void hand_two_inputs(struct hand_builder *b, enum plan_op_kind kind, struct plan_view in,
                                   struct plan_view in2, struct plan_view out)
{
    struct plan_op *op = plan_op(&b->plan, kind, "binary");
    op->in = in;
    op->in2 = in2;
    op->out = out;
}

static inline void hand_rope(struct hand_builder *b, struct plan_view view, uint32_t heads)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_ROPE, "rope");
    op->out = view;
    op->rope.rope = b->rope;
    op->rope.n_heads = heads;
    op->rope.head_dim = HAND_DIM;
}

static inline void hand_select_rows(struct hand_builder *b, struct plan_view in, struct plan_view out)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_SELECT, "select");
    op->in = in;
    op->out = out;
}

struct hand_slots {
    struct plan_view x, h, qkv, attended, gate, up, router, route;
};

static inline struct hand_slots hand_slots(struct hand_builder *b, enum plan_domain domain)
{
    return (struct hand_slots){
        .x = plan_slot(&b->plan, "x", HAND_HIDDEN, domain),
        .h = plan_slot(&b->plan, "h", HAND_HIDDEN, domain),
        .qkv = plan_slot(&b->plan, "qkv", (HAND_HEADS + 2 * HAND_KV_HEADS) * HAND_DIM, domain),
        .attended = plan_slot(&b->plan, "attended", HAND_HEADS * HAND_DIM, domain),
        .gate = plan_slot(&b->plan, "gate", HAND_FFN, domain),
        .up = plan_slot(&b->plan, "up", HAND_FFN, domain),
        .router = plan_slot(&b->plan, "router", HAND_EXPERTS, domain),
        .route = plan_slot(&b->plan, "route", 2 * HAND_ACTIVE, domain)};
}

static inline void hand_mlp(struct hand_builder *b, const struct hand_slots *s)
{
    hand_norm(b, s->x, s->h, 1);
    hand_linear(b, s->h, s->gate, 5, 64, false);
    hand_linear(b, s->h, s->up, 4, 64, false);
    hand_two_inputs(b, PLAN_ACT_MUL, s->gate, s->up, s->gate);
    hand_linear(b, s->gate, s->h, 4, 32, false);
    hand_two_inputs(b, PLAN_ADD, s->x, s->h, s->x);
}

static inline void hand_experts(struct hand_builder *b, const struct hand_slots *s)
{
    hand_norm(b, s->x, s->h, 1);
    hand_linear(b, s->h, s->router, 16, 0, false);
    struct plan_op *op = plan_op(&b->plan, PLAN_ROUTE, "route");
    op->in = s->router;
    op->out = s->route;
    op->route.n_experts = HAND_EXPERTS;
    op->route.n_active = HAND_ACTIVE;
    op->route.normalize = true;
    op = plan_op(&b->plan, PLAN_EXPERTS, "experts");
    op->in = s->h;
    op->in2 = s->route;
    op->out = s->attended;
    op->precision = PRECISION_INT8;
    op->experts.gate = hand_random_weight(b->arena, HAND_EXPERTS, HAND_FFN, HAND_HIDDEN, 4, 64);
    op->experts.up = hand_random_weight(b->arena, HAND_EXPERTS, HAND_FFN, HAND_HIDDEN, 4, 64);
    op->experts.down = hand_random_weight(b->arena, HAND_EXPERTS, HAND_HIDDEN, HAND_FFN, 6, 64);
    op->experts.n_active = HAND_ACTIVE;
    hand_two_inputs(b, PLAN_ADD, s->x, s->attended, s->x);
}

/* The attention half of a layer; the query side lives in `out`, which is `in` or the selected rows. */
static inline void hand_attention(struct hand_builder *b, const struct hand_slots *in,
                                  const struct hand_slots *out, uint32_t window)
{
    struct plan_cache cache = {.kind = window ? CACHE_WINDOW : CACHE_FULL,
                               .layer = b->plan.layer,
                               .n_kv_heads = HAND_KV_HEADS,
                               .k_dim = HAND_DIM,
                               .v_dim = HAND_DIM,
                               .window = window};
    uint32_t index = plan_cache(&b->plan, &cache), q_width = HAND_HEADS * HAND_DIM,
             kv_width = HAND_KV_HEADS * HAND_DIM;
    struct plan_view k = plan_columns(in->qkv, q_width, kv_width),
                     v = plan_columns(in->qkv, q_width + kv_width, kv_width);
    hand_norm(b, in->x, in->h, 1);
    hand_linear(b, in->h, k, 8, 64, true);
    hand_linear(b, in->h, v, 4, 64, false);
    hand_norm(b, k, k, HAND_KV_HEADS);
    hand_rope(b, k, HAND_KV_HEADS);
    struct plan_op *op = plan_op(&b->plan, PLAN_KV_STORE, "kv_store");
    op->in = k;
    op->in2 = v;
    op->kv_store.cache = index;
    if (in != out) {
        hand_select_rows(b, in->x, out->x);
        hand_select_rows(b, in->h, out->h);
    }
    struct plan_view q = plan_columns(out->qkv, 0, q_width);
    hand_linear(b, out->h, q, 3, 32, true);
    hand_rope(b, q, HAND_HEADS);
    op = plan_op(&b->plan, PLAN_ATTEND, "attend");
    op->in = q;
    op->out = out->attended;
    op->attend.cache = index;
    op->attend.n_heads = HAND_HEADS;
    op->attend.head_dim = HAND_DIM;
    op->attend.scale = 1.0f / sqrtf(HAND_DIM);
    hand_linear(b, out->attended, out->h, 4, 64, false);
    hand_two_inputs(b, PLAN_ADD, out->x, out->h, out->x);
}

/* Everything lies in the arena; the plan is in the builder, which has to live as long. */
static inline const struct plan *hand_plan(struct arena *arena, struct hand_builder *b)
{
    hand_random = 42;
    struct error error;
    b->arena = arena;
    plan_builder_init(&b->plan, arena, &error);
    b->plan.plan.family = "test";
    b->plan.plan.n_layers = 2;
    b->plan.plan.hidden = HAND_HIDDEN;
    b->plan.plan.vocab = HAND_VOCAB;
    b->plan.plan.max_context = 1024;
    float *inv_freq = arena_alloc(arena, HAND_DIM / 2, sizeof *inv_freq);
    for (int i = 0; i < HAND_DIM / 2; i++)
        inv_freq[i] = powf(10000.0f, -2.0f * (float)i / HAND_DIM);
    struct plan_rope *table = arena_alloc(arena, 1, sizeof *table);
    *table = (struct plan_rope){.dims = HAND_DIM, .scale = 1, .inv_freq = inv_freq};
    b->rope = table;
    struct hand_slots tokens = hand_slots(b, DOMAIN_TOKENS), outputs = hand_slots(b, DOMAIN_OUTPUTS);
    struct plan_view logits = plan_slot(&b->plan, "logits", HAND_VOCAB, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(&b->plan, PLAN_EMBED, "embed");
    op->out = tokens.x;
    op->embed.weight = hand_random_weight(arena, 1, HAND_VOCAB, HAND_HIDDEN, 4, 64);
    op->embed.scale = 8;
    b->plan.layer = 0;
    hand_attention(b, &tokens, &tokens, 0);
    hand_mlp(b, &tokens);
    b->plan.layer = 1;
    hand_attention(b, &tokens, &outputs, 40);
    hand_experts(b, &outputs);
    b->plan.layer = -1;
    hand_norm(b, outputs.x, outputs.h, 1);
    hand_linear(b, outputs.h, logits, 6, 64, false);
    b->plan.plan.logits = logits;
    int status = plan_finish(&b->plan);
    if (status)
        fail_msg("%s", error.message);
    return &b->plan.plan;
}

#endif
