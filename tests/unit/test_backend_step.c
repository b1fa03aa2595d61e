/* The cpu backend executes a hand-written two-layer plan (one layer dense, one with routed experts and a
 * window): every ISA agrees with the reference, and on one ISA logits are bit-equal whatever the chunking,
 * the company and the number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "base/float16.h"

/* Sanitizers make kernels ten to fifty times slower; the races and overflows they look for need no long
 * prompts. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LENGTH = 72, PRECISIONS = 1 };
#else
enum { LENGTH = 100, PRECISIONS = 2 };
#endif

enum {
    HIDDEN = 192,
    FFN = 192,
    HEADS = 6,
    KV_HEADS = 2,
    DIM = 32,
    VOCAB = 97,
    EXPERTS = 5,
    ACTIVE = 2,
    PAGES = 64
};

static uint64_t random_state;

static uint32_t random_u32(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 33);
}

static float random_float(float scale)
{
    return scale * ((float)random_u32() / 1073741824.0f - 1.0f);
}

/* A weight of random codes; affine zero-mean, so that activations stay sane. */
static const struct weight *random_weight(struct arena *arena, uint32_t experts, uint32_t rows, uint32_t cols,
                                          uint32_t bits, uint32_t group)
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
        data[i] = (uint8_t)random_u32();
    if (!group)
        for (size_t i = 0; i < all * cols; i++) {
            uint16_t half = float_to_bf16(random_float(2.0f / sqrtf((float)cols)));
            memcpy(data + 2 * i, &half, 2);
        }
    uint16_t *scales = arena_alloc(arena, groups + 1, 2), *biases = arena_alloc(arena, groups + 1, 2);
    float levels = (float)((1u << bits) - 1u);
    for (size_t i = 0; i < groups; i++) {
        float scale = (1.0f + random_float(0.3f)) * 3.4f / (levels * sqrtf((float)cols));
        scales[i] = float_to_bf16(scale);
        biases[i] = float_to_bf16(-scale * levels / 2);
    }
    weight->data = data;
    weight->scales = (const uint8_t *)scales;
    weight->biases = (const uint8_t *)biases;
    return weight;
}

static const float *random_vector(struct arena *arena, uint32_t n, float around, float scale)
{
    float *vector = arena_alloc(arena, n, sizeof *vector);
    for (uint32_t i = 0; i < n; i++)
        vector[i] = around + random_float(scale);
    return vector;
}

struct builder {
    struct plan_builder plan;
    struct arena *arena;
    const struct plan_rope *rope;
};

static void norm(struct builder *b, struct plan_view in, struct plan_view out, uint32_t groups)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_NORM, "norm");
    op->in = in;
    op->out = out;
    op->norm.weight = random_vector(b->arena, in.width / groups, 1, 0.2f);
    op->norm.eps = 1e-5f;
    op->norm.n_groups = groups;
}

static void linear(struct builder *b, struct plan_view in, struct plan_view out, uint32_t bits,
                   uint32_t group, bool bias)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_LINEAR, "linear");
    op->in = in;
    op->out = out;
    op->precision = PRECISION_INT8;
    op->linear.weight = random_weight(b->arena, 1, out.width, in.width, bits, group);
    op->linear.bias = bias ? random_vector(b->arena, out.width, 0, 0.1f) : NULL;
}

static void two_inputs(struct builder *b, enum plan_op_kind kind, struct plan_view in, struct plan_view in2,
                       struct plan_view out)
{
    struct plan_op *op = plan_op(&b->plan, kind, "binary");
    op->in = in;
    op->in2 = in2;
    op->out = out;
}

static void rope(struct builder *b, struct plan_view view, uint32_t heads)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_ROPE, "rope");
    op->out = view;
    op->rope.rope = b->rope;
    op->rope.n_heads = heads;
    op->rope.head_dim = DIM;
}

static void select_rows(struct builder *b, struct plan_view in, struct plan_view out)
{
    struct plan_op *op = plan_op(&b->plan, PLAN_SELECT, "select");
    op->in = in;
    op->out = out;
}

struct slots {
    struct plan_view x, h, qkv, attended, gate, up, router, route;
};

static struct slots make_slots(struct builder *b, enum plan_domain domain)
{
    return (struct slots){.x = plan_slot(&b->plan, "x", HIDDEN, domain),
                          .h = plan_slot(&b->plan, "h", HIDDEN, domain),
                          .qkv = plan_slot(&b->plan, "qkv", (HEADS + 2 * KV_HEADS) * DIM, domain),
                          .attended = plan_slot(&b->plan, "attended", HEADS * DIM, domain),
                          .gate = plan_slot(&b->plan, "gate", FFN, domain),
                          .up = plan_slot(&b->plan, "up", FFN, domain),
                          .router = plan_slot(&b->plan, "router", EXPERTS, domain),
                          .route = plan_slot(&b->plan, "route", 2 * ACTIVE, domain)};
}

static void mlp(struct builder *b, const struct slots *s)
{
    norm(b, s->x, s->h, 1);
    linear(b, s->h, s->gate, 5, 64, false);
    linear(b, s->h, s->up, 4, 64, false);
    two_inputs(b, PLAN_ACT_MUL, s->gate, s->up, s->gate);
    linear(b, s->gate, s->h, 4, 32, false);
    two_inputs(b, PLAN_ADD, s->x, s->h, s->x);
}

static void experts(struct builder *b, const struct slots *s)
{
    norm(b, s->x, s->h, 1);
    linear(b, s->h, s->router, 16, 0, false);
    struct plan_op *op = plan_op(&b->plan, PLAN_ROUTE, "route");
    op->in = s->router;
    op->out = s->route;
    op->route.n_experts = EXPERTS;
    op->route.n_active = ACTIVE;
    op->route.normalize = true;
    op = plan_op(&b->plan, PLAN_EXPERTS, "experts");
    op->in = s->h;
    op->in2 = s->route;
    op->out = s->attended;
    op->precision = PRECISION_INT8;
    op->experts.gate = random_weight(b->arena, EXPERTS, FFN, HIDDEN, 4, 64);
    op->experts.up = random_weight(b->arena, EXPERTS, FFN, HIDDEN, 4, 64);
    op->experts.down = random_weight(b->arena, EXPERTS, HIDDEN, FFN, 6, 64);
    op->experts.n_active = ACTIVE;
    two_inputs(b, PLAN_ADD, s->x, s->attended, s->x);
}

/* The attention half of a layer; the query side lives in `out`, which is `in` or the selected rows. */
static void attention(struct builder *b, const struct slots *in, const struct slots *out, uint32_t window)
{
    struct plan_cache cache = {.kind = window ? CACHE_WINDOW : CACHE_FULL,
                               .layer = b->plan.layer,
                               .n_kv_heads = KV_HEADS,
                               .k_dim = DIM,
                               .v_dim = DIM,
                               .window = window};
    uint32_t index = plan_cache(&b->plan, &cache), q_width = HEADS * DIM, kv_width = KV_HEADS * DIM;
    struct plan_view k = plan_columns(in->qkv, q_width, kv_width),
                     v = plan_columns(in->qkv, q_width + kv_width, kv_width);
    norm(b, in->x, in->h, 1);
    linear(b, in->h, k, 8, 64, true);
    linear(b, in->h, v, 4, 64, false);
    norm(b, k, k, KV_HEADS);
    rope(b, k, KV_HEADS);
    struct plan_op *op = plan_op(&b->plan, PLAN_KV_STORE, "kv_store");
    op->in = k;
    op->in2 = v;
    op->kv_store.cache = index;
    if (in != out) {
        select_rows(b, in->x, out->x);
        select_rows(b, in->h, out->h);
    }
    struct plan_view q = plan_columns(out->qkv, 0, q_width);
    linear(b, out->h, q, 3, 32, true);
    rope(b, q, HEADS);
    op = plan_op(&b->plan, PLAN_ATTEND, "attend");
    op->in = q;
    op->out = out->attended;
    op->attend.cache = index;
    op->attend.n_heads = HEADS;
    op->attend.head_dim = DIM;
    op->attend.scale = 1.0f / sqrtf(DIM);
    linear(b, out->attended, out->h, 4, 64, false);
    two_inputs(b, PLAN_ADD, out->x, out->h, out->x);
}

static const struct plan *make_plan(struct arena *arena, struct builder *b)
{
    random_state = 42;
    struct error error;
    b->arena = arena;
    plan_builder_init(&b->plan, arena, &error);
    b->plan.plan.family = "test";
    b->plan.plan.n_layers = 2;
    b->plan.plan.hidden = HIDDEN;
    b->plan.plan.vocab = VOCAB;
    b->plan.plan.max_context = 1024;
    float *inv_freq = arena_alloc(arena, DIM / 2, sizeof *inv_freq);
    for (int i = 0; i < DIM / 2; i++)
        inv_freq[i] = powf(10000.0f, -2.0f * (float)i / DIM);
    struct plan_rope *table = arena_alloc(arena, 1, sizeof *table);
    *table = (struct plan_rope){.dims = DIM, .scale = 1, .inv_freq = inv_freq};
    b->rope = table;
    struct slots tokens = make_slots(b, DOMAIN_TOKENS), outputs = make_slots(b, DOMAIN_OUTPUTS);
    struct plan_view logits = plan_slot(&b->plan, "logits", VOCAB, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(&b->plan, PLAN_EMBED, "embed");
    op->out = tokens.x;
    op->embed.weight = random_weight(arena, 1, VOCAB, HIDDEN, 4, 64);
    op->embed.scale = 8;
    b->plan.layer = 0;
    attention(b, &tokens, &tokens, 0);
    mlp(b, &tokens);
    b->plan.layer = 1;
    attention(b, &tokens, &outputs, 40);
    experts(b, &outputs);
    b->plan.layer = -1;
    norm(b, outputs.x, outputs.h, 1);
    linear(b, outputs.h, logits, 6, 64, false);
    b->plan.plan.logits = logits;
    int status = plan_finish(&b->plan);
    if (status)
        fail_msg("%s", error.message);
    return &b->plan.plan;
}

struct run {
    const char *isa;
    uint32_t threads, chunk, company; /* company: other sequences decoding or prefilling beside it */
    bool precise;
};

static int32_t token_at(uint32_t sequence, uint32_t position)
{
    return (int32_t)((position * 31 + sequence * 17 + position * position) % VOCAB);
}

/* Feeds LENGTH tokens of sequence 0 in chunks, asking for all logits, with others beside it. */
static void run_plan(const struct plan *plan, const struct run *run, float *logits)
{
    struct error error;
    struct backend_model *model;
    uint32_t sequences = 1 + run->company;
    struct backend_options options = {.isa = run->isa,
                                      .n_threads = run->threads,
                                      .kv_bits = run->precise ? 32 : 16,
                                      .precise = run->precise,
                                      .max_step_tokens = run->chunk + run->company * 3,
                                      .max_step_outputs = run->chunk + run->company * 3,
                                      .max_sequences = sequences,
                                      .n_pages = PAGES};
    if (backend_prepare(plan, &options, &model, &error))
        fail_msg("%s", error.message);
    uint32_t pages[8][8];
    struct backend_sequence owners[8];
    for (uint32_t s = 0; s < sequences; s++) {
        for (uint32_t p = 0; p < 8; p++)
            pages[s][p] = p * 8 + (s * 3 + 5) % 8; /* scattered */
        owners[s] = (struct backend_sequence){pages[s], 8};
    }
    static int32_t tokens[LENGTH + 32];
    static uint32_t positions[LENGTH + 32], owner[LENGTH + 32], outputs[LENGTH + 32];
    for (uint32_t done = 0, other = 0; done < LENGTH; other += 3) {
        uint32_t n = 0, take = LENGTH - done < run->chunk ? LENGTH - done : run->chunk, mine = 0;
        for (uint32_t s = 0; s < sequences; s++) { /* sequence 0 sits in the middle of its company */
            uint32_t id = s == sequences / 2 ? 0 : (s < sequences / 2 ? s + 1 : s);
            uint32_t count = id ? 3 : take, first = id ? other % 300 : done;
            if (!id)
                mine = n;
            for (uint32_t i = 0; i < count; i++, n++) {
                tokens[n] = token_at(id, first + i);
                positions[n] = first + i;
                owner[n] = id;
                outputs[n] = n;
            }
        }
        struct backend_batch batch = {n, n, sequences, tokens, positions, owner, outputs, owners};
        const float *result;
        if (backend_step(model, &batch, &result, NULL, &error))
            fail_msg("%s", error.message);
        memcpy(logits + (size_t)done * VOCAB, result + (size_t)mine * VOCAB,
               (size_t)take * VOCAB * sizeof *logits);
        done += take;
    }
    backend_close(model);
}

static float reference[LENGTH * VOCAB], other[LENGTH * VOCAB];

static double relative_difference(const float *a, const float *b)
{
    double difference = 0, norm2 = 0;
    for (size_t i = 0; i < LENGTH * VOCAB; i++) {
        difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
        norm2 += (double)b[i] * b[i];
        assert_true(isfinite(a[i]));
    }
    return sqrt(difference / norm2);
}

/* The middle one of the positions' relative differences: a router that changes its mind at one position is no
 * error. */
static double median_difference(const float *a, const float *b)
{
    double differences[LENGTH];
    for (size_t p = 0; p < LENGTH; p++) {
        double difference = 0, norm2 = 0;
        for (size_t i = p * VOCAB; i < (p + 1) * VOCAB; i++) {
            difference += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
            norm2 += (double)b[i] * b[i];
        }
        size_t at = p;
        for (double d = sqrt(difference / norm2); at-- > 0 && differences[at] > d;)
            differences[at + 1] = differences[at];
        differences[at + 1] = sqrt(difference / norm2);
    }
    return differences[LENGTH / 2];
}

static void test_isas_agree(void **state)
{
    const struct plan *plan = *state;
    run_plan(plan, &(struct run){"reference", 1, LENGTH, 0, true}, reference);
    for (const char *const *isa = kernels_available(); *isa; isa++) {
        run_plan(plan, &(struct run){*isa, 2, LENGTH, 0, true}, other);
        double precise = relative_difference(other, reference);
        run_plan(plan, &(struct run){*isa, 2, LENGTH, 0, false}, other);
        double rounded = median_difference(other, reference);
        print_message("%s: precise %.2e, int8 %.2e from the f32 reference\n", *isa, precise, rounded);
        assert_true(precise < 1e-5); /* other orders of summation */
        assert_true(rounded < 2e-2); /* int8 activations and f16 keys */
    }
}

static void check_same(const struct plan *plan, const struct run *run)
{
    run_plan(plan, run, other);
    if (memcmp(other, reference, sizeof reference) != 0)
        fail_msg("%s, %u threads, chunks of %u, %u beside: logits differ by %.2e", run->isa, run->threads,
                 run->chunk, run->company, relative_difference(other, reference));
}

static void test_batch_invariance(void **state)
{
    const struct plan *plan = *state;
    const uint32_t chunks[] = {1, 2, 7, 64};
    for (const char *const *isa = kernels_available(); *isa; isa++)
        for (int precise = 0; precise < PRECISIONS; precise++) {
            run_plan(plan, &(struct run){*isa, 1, LENGTH, 0, precise}, reference);
            for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
                check_same(plan, &(struct run){*isa, 1 + (uint32_t)c % 2, chunks[c], 0, precise});
            check_same(plan, &(struct run){*isa, 2, 7, 7, precise});
            check_same(plan, &(struct run){*isa, 3, LENGTH, 7, precise});
            check_same(plan, &(struct run){*isa, 2, 1, 7, precise});
        }
}

static void test_limits(void **state)
{
    const struct plan *plan = *state;
    struct error error;
    struct backend_model *model;
    struct backend_options options = {.n_threads = 1,
                                      .kv_bits = 16,
                                      .max_step_tokens = 4,
                                      .max_step_outputs = 2,
                                      .max_sequences = 1,
                                      .n_pages = 2};
    options.isa = "sse9";
    assert_int_equal(backend_prepare(plan, &options, &model, &error), ERROR_UNSUPPORTED);
    options.isa = NULL;
    options.kv_bits = 5;
    assert_int_equal(backend_prepare(plan, &options, &model, &error), ERROR_INVALID);
    options.kv_bits = 16;
    assert_int_equal(backend_prepare(plan, &options, &model, &error), 0);
    uint32_t pages[] = {0, 1}, positions[] = {0}, sequence[] = {0}, outputs[] = {0};
    struct backend_sequence owner = {pages, 2};
    int32_t token = VOCAB;
    struct backend_batch batch = {1, 1, 1, &token, positions, sequence, outputs, &owner};
    const float *logits;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), ERROR_INTERNAL);
    token = 1;
    positions[0] = 2 * BACKEND_PAGE_TOKENS;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), ERROR_INTERNAL);
    positions[0] = 0;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), 0);
    batch.n_outputs = 0;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), 0);
    assert_null(logits);
    backend_close(model);
}

static void test_trace(void **state)
{
    const struct plan *plan = *state;
    struct error error;
    struct backend_model *model;
    struct backend_options options = {.n_threads = 2,
                                      .kv_bits = 16,
                                      .max_step_tokens = 4,
                                      .max_step_outputs = 4,
                                      .max_sequences = 1,
                                      .n_pages = 2};
    assert_int_equal(backend_prepare(plan, &options, &model, &error), 0);
    uint32_t n_segments, pages[] = {0, 1}, positions[] = {0}, sequence[] = {0}, outputs[] = {0}, ops = 0;
    const struct backend_segment *segments = backend_segments(model, &n_segments);
    for (uint32_t i = 0; i < n_segments; ops += segments[i++].n_ops)
        assert_int_equal(segments[i].first_op, ops);
    assert_int_equal(ops, plan->n_ops);
    uint64_t *ns = calloc(n_segments, sizeof *ns);
    struct backend_sequence owner = {pages, 2};
    int32_t token = 3;
    struct backend_batch batch = {1, 1, 1, &token, positions, sequence, outputs, &owner};
    const float *logits;
    assert_int_equal(backend_step(model, &batch, &logits, ns, &error), 0);
    for (uint32_t i = 0; i < n_segments; i++)
        assert_true(ns[i] > 0);
    free(ns);
    backend_close(model);
}

static struct arena arena;
static struct builder builder;

static int set_up(void **state)
{
    arena_init(&arena);
    *state = (void *)make_plan(&arena, &builder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isas_agree),
        cmocka_unit_test(test_batch_invariance),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_trace),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
