/* A small plan that is right, and every way of getting it wrong that the check knows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "plan/check.h"
#include "plan/plan.h"

enum { HIDDEN = 8, VOCAB = 10, HEADS = 4, KV_HEADS = 2, HEAD_DIM = 4, EXPERTS = 3, FFN = 6 };
enum {
    EMBED,
    NORM,
    Q,
    K,
    V,
    ROPE,
    STORE,
    ATTEND,
    O,
    ADD,
    ROUTER,
    ROUTE,
    MIX,
    ACT,
    SELECT,
    HEAD,
    SCALE,
    N_OPS
};

static uint8_t bytes[1];
static float vector[64];
static const struct plan_rope rope = {.dims = HEAD_DIM, .scale = 1, .inv_freq = vector};

static struct weight matrix(uint32_t n_experts, uint32_t rows, uint32_t cols)
{
    return (struct weight){.type = SCALAR_F32,
                           .bits = 32,
                           .n_experts = n_experts,
                           .rows = rows,
                           .cols = cols,
                           .row_bytes = 4 * (size_t)cols,
                           .data = bytes};
}

/* A copy of the plan that a test may spoil. */
struct bench {
    struct arena arena;
    struct weight embed, q, kv, o, router, gate, down;
    struct plan plan;
    struct plan_op ops[N_OPS];
    struct plan_slot slots[16];
    struct plan_cache caches[4];
    struct error error;
};

static struct plan_op *linear(struct plan_builder *builder, const char *name, const struct weight *weight,
                              struct plan_view in, struct plan_view out)
{
    struct plan_op *op = plan_op(builder, PLAN_LINEAR, name);
    op->in = in;
    op->out = out;
    op->linear.weight = weight;
    return op;
}

static void write_attention(struct plan_builder *builder, struct bench *bench, struct plan_view normed,
                            struct plan_view branch)
{
    struct plan_view qkv = plan_slot(builder, "qkv", 16 + 8 + 8, DOMAIN_TOKENS);
    struct plan_view attended = plan_slot(builder, "attended", 16, DOMAIN_TOKENS);
    struct plan_view q = plan_columns(qkv, 0, 16), k = plan_columns(qkv, 16, 8), v = plan_columns(qkv, 24, 8);
    linear(builder, "q", &bench->q, normed, q);
    linear(builder, "k", &bench->kv, normed, k);
    linear(builder, "v", &bench->kv, normed, v);
    struct plan_op *op = plan_op(builder, PLAN_ROPE, "rope");
    op->out = q;
    op->rope.rope = &rope;
    op->rope.n_heads = HEADS;
    op->rope.head_dim = HEAD_DIM;
    struct plan_cache cache = {
        .kind = CACHE_FULL, .n_kv_heads = KV_HEADS, .k_dim = HEAD_DIM, .v_dim = HEAD_DIM};
    uint32_t number = plan_cache(builder, &cache);
    op = plan_op(builder, PLAN_KV_STORE, "store");
    op->in = k;
    op->in2 = v;
    op->kv_store.cache = number;
    op = plan_op(builder, PLAN_ATTEND, "attend");
    op->in = q;
    op->out = attended;
    op->attend.cache = number;
    op->attend.n_heads = HEADS;
    op->attend.head_dim = HEAD_DIM;
    op->attend.scale = 0.5f;
    linear(builder, "o", &bench->o, attended, branch);
}

static void write_rest(struct plan_builder *builder, struct bench *bench, struct plan_view x,
                       struct plan_view normed, struct plan_view branch)
{
    struct plan_view router = plan_slot(builder, "router", EXPERTS, DOMAIN_TOKENS);
    struct plan_view routes = plan_slot(builder, "routes", 4, DOMAIN_TOKENS);
    struct plan_view wanted = plan_slot(builder, "wanted", HIDDEN, DOMAIN_OUTPUTS);
    struct plan_view logits = plan_slot(builder, "logits", VOCAB, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(builder, PLAN_ADD, "add");
    op->in = op->out = x;
    op->in2 = branch;
    linear(builder, "router", &bench->router, normed, router);
    op = plan_op(builder, PLAN_ROUTE, "route");
    op->in = router;
    op->out = routes;
    op->route.n_experts = EXPERTS;
    op->route.n_active = 2;
    op = plan_op(builder, PLAN_EXPERTS, "experts");
    op->in = normed;
    op->in2 = routes;
    op->out = branch;
    op->experts.gate = op->experts.up = &bench->gate;
    op->experts.down = &bench->down;
    op->experts.n_active = 2;
    op = plan_op(builder, PLAN_ACT_MUL, "act");
    op->in = op->out = x;
    op->in2 = branch;
    op = plan_op(builder, PLAN_SELECT, "select");
    op->in = x;
    op->out = wanted;
    linear(builder, "head", &bench->embed, wanted, logits);
    op = plan_op(builder, PLAN_SCALE, "scale");
    op->in = op->out = logits;
    op->scale.scale = 2;
    op->scale.softcap = 30;
    builder->plan.logits = logits;
}

static void bench_open(struct bench *bench)
{
    struct plan_builder builder;
    *bench = (struct bench){.embed = matrix(1, VOCAB, HIDDEN),
                            .q = matrix(1, 16, HIDDEN),
                            .kv = matrix(1, 8, HIDDEN),
                            .o = matrix(1, HIDDEN, 16),
                            .router = matrix(1, EXPERTS, HIDDEN),
                            .gate = matrix(EXPERTS, FFN, HIDDEN),
                            .down = matrix(EXPERTS, HIDDEN, FFN)};
    arena_init(&bench->arena);
    plan_builder_init(&builder, &bench->arena, &bench->error);
    builder.plan.vocab = VOCAB;
    struct plan_view x = plan_slot(&builder, "x", HIDDEN, DOMAIN_TOKENS);
    struct plan_view normed = plan_slot(&builder, "normed", HIDDEN, DOMAIN_TOKENS);
    struct plan_view branch = plan_slot(&builder, "branch", HIDDEN, DOMAIN_TOKENS);
    struct plan_op *op = plan_op(&builder, PLAN_EMBED, "embed");
    op->out = x;
    op->embed.weight = &bench->embed;
    op = plan_op(&builder, PLAN_NORM, "norm");
    op->in = x;
    op->out = normed;
    op->norm.weight = vector;
    op->norm.n_groups = 1;
    write_attention(&builder, bench, normed, branch);
    write_rest(&builder, bench, x, normed, branch);
    if (plan_finish(&builder))
        fail_msg("%s", bench->error.message);
    assert_int_equal(builder.plan.n_ops, N_OPS);
    bench->plan = builder.plan;
    memcpy(bench->ops, builder.plan.ops, sizeof bench->ops);
    memcpy(bench->slots, builder.plan.slots, builder.plan.n_slots * sizeof *bench->slots);
    memcpy(bench->caches, builder.plan.caches, builder.plan.n_caches * sizeof *bench->caches);
    bench->plan.ops = bench->ops;
    bench->plan.slots = bench->slots;
    bench->plan.caches = bench->caches;
}

/* Checks the plan, which one line has spoiled, and restores it. */
static void refuse(struct bench *bench, int line)
{
    if (plan_check(&bench->plan, &bench->arena, &bench->error) != ERROR_INTERNAL)
        fail_msg("line %d: the plan was accepted", line);
    assert_true(strncmp(bench->error.message, "plan: ", 6) == 0);
    arena_free(&bench->arena);
    bench_open(bench);
}

#define REFUSE(change)                                                                                       \
    do {                                                                                                     \
        change;                                                                                              \
        refuse(&bench, __LINE__);                                                                            \
    } while (0)

static void test_operands(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench);
    REFUSE(bench.ops[NORM].in.slot = 99);
    REFUSE(bench.ops[NORM].in.width = 0);
    REFUSE(bench.ops[NORM].in.first = 1);
    REFUSE(bench.ops[NORM].out.width = UINT32_MAX);
    REFUSE(bench.ops[NORM].in = bench.ops[O].out);        /* nothing has written it */
    REFUSE(bench.ops[Q].out = bench.ops[Q].in);           /* in place */
    REFUSE(bench.ops[ATTEND].out = bench.ops[ATTEND].in); /* in place */
    REFUSE(bench.ops[ADD].in2 = bench.ops[HEAD].in);      /* not written, other domain */
    REFUSE(bench.ops[SELECT].out = bench.ops[SELECT].in);
    REFUSE(bench.slots[bench.ops[SELECT].out.slot].domain = DOMAIN_TOKENS);
    REFUSE(bench.slots[bench.ops[ATTEND].out.slot].domain = DOMAIN_OUTPUTS);
    REFUSE(bench.slots[bench.ops[EMBED].out.slot].domain = DOMAIN_OUTPUTS);
    REFUSE(bench.ops[ADD].in2.width = 4);
    REFUSE(bench.ops[ROPE].out.slot = bench.ops[ATTEND].out.slot);
    REFUSE(bench.ops[ACT].kind = PLAN_OP_KINDS);
    REFUSE((bench.ops[K].in.first = 0, bench.ops[K].out.width = 7));
    arena_free(&bench.arena);
}

static void test_weights(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench);
    REFUSE(bench.ops[Q].linear.weight = NULL);
    REFUSE(bench.ops[Q].linear.weight = &bench.kv);
    REFUSE(bench.q.data = NULL);
    REFUSE(bench.q.cols = 0);
    REFUSE(bench.q.n_experts = 2);
    REFUSE((bench.q.format = WEIGHT_MXFP4, bench.q.group_size = 3));
    REFUSE((bench.q.format = WEIGHT_MXFP4, bench.q.group_size = 8));
    REFUSE((bench.q.format = WEIGHT_AFFINE, bench.q.group_size = 8, bench.q.scales = bytes));
    REFUSE(bench.embed.rows = VOCAB + 1);
    REFUSE(bench.ops[NORM].norm.weight = NULL);
    REFUSE(bench.ops[NORM].norm.n_groups = 3);
    REFUSE(bench.ops[NORM].norm.eps = -1);
    REFUSE(bench.gate.n_experts = 2);
    REFUSE(bench.down.cols = FFN + 1);
    REFUSE(bench.ops[MIX].experts.up = &bench.down);
    REFUSE(bench.ops[MIX].experts.n_active = 4);
    REFUSE(bench.ops[MIX].experts.n_active = 1);
    arena_free(&bench.arena);
}

static void test_parameters(void **state)
{
    (void)state;
    struct bench bench;
    struct plan_rope odd = rope, wide = rope, empty = rope, part = rope;
    odd.dims = 3;
    wide.dims = HEAD_DIM + 2;
    empty.inv_freq = NULL;
    part.dims = HEAD_DIM / 2;
    part.grow_from = 16;
    bench_open(&bench);
    REFUSE(bench.ops[ROPE].rope.rope = NULL);
    REFUSE(bench.ops[ROPE].rope.rope = &odd);
    REFUSE(bench.ops[ROPE].rope.rope = &wide);
    REFUSE(bench.ops[ROPE].rope.rope = &empty);
    REFUSE(bench.ops[ROPE].rope.rope = &part); /* a part of a head grows, and the rest does not */
    REFUSE(bench.ops[ROPE].rope.n_heads = 3);
    REFUSE(bench.ops[STORE].kv_store.cache = 1);
    REFUSE(bench.ops[ATTEND].attend.cache = 1);
    REFUSE(bench.ops[ATTEND].attend.n_heads = 3);
    REFUSE(bench.ops[ATTEND].attend.n_heads = 0);
    REFUSE(bench.ops[ATTEND].attend.head_dim = 8);
    REFUSE(bench.ops[ATTEND].attend.scale = 1.0f / 0.0f);
    REFUSE(bench.caches[0].n_kv_heads = 0);
    REFUSE(bench.caches[0].k_dim = 8);
    REFUSE(bench.caches[0].window = 8);
    REFUSE(bench.caches[0].kind = CACHE_WINDOW);
    REFUSE(bench.caches[0].kind = CACHE_RECURRENT);
    REFUSE(bench.caches[0].kind = CACHE_LATENT);
    REFUSE(bench.ops[ROUTE].route.n_active = 0);
    REFUSE(bench.ops[ROUTE].route.n_active = 4);
    REFUSE(bench.ops[ROUTE].route.n_experts = 4);
    REFUSE(bench.plan.logits.width = VOCAB - 1);
    REFUSE(bench.plan.logits = bench.ops[EMBED].out);
    REFUSE(bench.plan.logits.slot = 77);
    REFUSE(bench.plan.n_ops = HEAD); /* nothing writes the logits */
    REFUSE(bench.ops[SCALE].scale.scale = 0);
    REFUSE(bench.ops[SCALE].scale.scale = 1.0f / 0.0f);
    REFUSE(bench.ops[SCALE].scale.softcap = -1);
    REFUSE(bench.ops[SCALE].out.width = VOCAB - 1);
    REFUSE((bench.ops[ADD].add.scale = 0.5f, bench.ops[ADD].out = bench.ops[NORM].out));
    REFUSE(bench.ops[ADD].add.scale = 1.0f / 0.0f);
    arena_free(&bench.arena);
}

/* A latent cache takes keys only, and gives back their first columns as values. */
static void test_latent(void **state)
{
    (void)state;
    struct bench bench;
    bench_open(&bench);
    bench.caches[0] = (struct plan_cache){.kind = CACHE_LATENT, .n_kv_heads = 1, .k_dim = 8, .v_dim = 4};
    bench.ops[STORE].in2 = (struct plan_view){0};
    bench.ops[ATTEND].attend.n_heads = 2;
    bench.ops[ATTEND].attend.head_dim = 8;
    bench.ops[ATTEND].out.width = 8;
    bench.ops[O].in.width = 8;
    bench.o.cols = 8;
    assert_int_equal(plan_check(&bench.plan, &bench.arena, &bench.error), 0);
    arena_free(&bench.arena);
}

static void test_growth_and_names(void **state)
{
    (void)state;
    struct arena arena;
    struct plan_builder builder;
    struct error error = {0};
    arena_init(&arena);
    plan_builder_init(&builder, &arena, &error);
    builder.layer = 3;
    for (uint32_t i = 0; i < 5000; i++) {
        char name[32];
        snprintf(name, sizeof name, "op%u", i);
        plan_op(&builder, PLAN_ADD, name)->in.width = i;
    }
    assert_int_equal(builder.plan.n_ops, 5000);
    for (uint32_t i = 0; i < 5000; i++)
        assert_int_equal(builder.plan.ops[i].in.width, i);
    assert_string_equal(builder.plan.ops[4999].name, "layers.3.op4999");
    assert_int_equal(builder.plan.ops[0].layer, 3);
    for (uint32_t i = 0; i <= UINT16_MAX; i++)
        plan_slot(&builder, "s", 1, DOMAIN_TOKENS);
    assert_int_equal(plan_finish(&builder), ERROR_INTERNAL);
    assert_non_null(strstr(error.message, "too many slots"));
    struct plan_op *scratch = plan_op(&builder, PLAN_ADD, "late"); /* legal to fill after a failure */
    scratch->in.width = 1;
    assert_int_equal(builder.plan.n_ops, 5000);
    arena_free(&arena);
}

static void test_columns(void **state)
{
    (void)state;
    struct plan_view view = {.slot = 2, .first = 10, .width = 20};
    struct plan_view part = plan_columns(view, 5, 15);
    assert_true(part.slot == 2 && part.first == 15 && part.width == 15);
    assert_int_equal(plan_columns(view, 5, 16).width, UINT32_MAX); /* no slot is that wide */
    assert_int_equal(plan_columns(view, UINT32_MAX, 1).width, UINT32_MAX);
    assert_int_equal(plan_columns(view, 1, UINT32_MAX).width, UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operands),         cmocka_unit_test(test_weights),
        cmocka_unit_test(test_parameters),       cmocka_unit_test(test_latent),
        cmocka_unit_test(test_growth_and_names), cmocka_unit_test(test_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
