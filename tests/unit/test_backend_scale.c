/* PLAN_SCALE over rows as wide as a vocabulary, whose columns the threads share: whoever computes which of
 * them, a row has the bits of one call of the kernel over the whole of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#include "backend/backend.h"
#include "backend/cpu/kernels/kernels.h"
#include "support/hand_plan.h"

/* A prime vocabulary, so that no cut is even; few rows are cut, many are not. */
enum { HIDDEN = 32, VOCAB = 5003, MOST_ROWS = 18, MOST_THREADS = 4 };

struct scaling {
    float scale, softcap; /* scale 0: the plan has no SCALE */
};

/* A row of the embedding times another matrix; the same numbers every time. */
static const struct plan *write_plan(struct arena *arena, struct hand_builder *b, struct scaling scaling)
{
    struct error error;
    hand_random = 7;
    b->arena = arena;
    plan_builder_init(&b->plan, arena, &error);
    b->plan.plan.family = "test";
    b->plan.plan.n_layers = 1;
    b->plan.plan.hidden = HIDDEN;
    b->plan.plan.vocab = VOCAB;
    b->plan.plan.max_context = BACKEND_PAGE_TOKENS;
    /* a backend wants memory for a cache, used or not */
    plan_cache(&b->plan, &(struct plan_cache){.kind = CACHE_FULL, .n_kv_heads = 1, .k_dim = 32, .v_dim = 32});
    struct plan_view x = plan_slot(&b->plan, "x", HIDDEN, DOMAIN_TOKENS);
    struct plan_view wanted = plan_slot(&b->plan, "wanted", HIDDEN, DOMAIN_OUTPUTS);
    struct plan_view logits = plan_slot(&b->plan, "logits", VOCAB, DOMAIN_OUTPUTS);
    struct plan_op *op = plan_op(&b->plan, PLAN_EMBED, "embed");
    op->out = x;
    op->embed.weight = hand_random_weight(arena, 1, VOCAB, HIDDEN, 16, 0);
    op->embed.scale = 8;
    hand_select_rows(b, x, wanted);
    hand_linear(b, wanted, logits, 16, 0, false);
    if (scaling.scale != 0) {
        op = plan_op(&b->plan, PLAN_SCALE, "scale");
        op->in = op->out = logits;
        op->scale.scale = scaling.scale;
        op->scale.softcap = scaling.softcap;
    }
    b->plan.plan.logits = logits;
    if (plan_finish(&b->plan))
        fail_msg("%s", error.message);
    return &b->plan.plan;
}

static void run_plan(const struct plan *plan, const char *isa, uint32_t threads, uint32_t rows, float *out)
{
    struct error error;
    struct backend_model *model;
    struct backend_options options = {.isa = isa,
                                      .n_threads = threads,
                                      .kv_bits = 16,
                                      .max_step_tokens = MOST_ROWS,
                                      .max_step_outputs = MOST_ROWS,
                                      .max_sequences = 1,
                                      .n_pages = 1};
    if (backend_prepare(plan, &options, &model, &error))
        fail_msg("%s", error.message);
    int32_t tokens[MOST_ROWS];
    uint32_t numbers[MOST_ROWS], sequence[MOST_ROWS] = {0}, page = 0;
    for (uint32_t i = 0; i < rows; i++) {
        tokens[i] = (int32_t)(i * 131 % VOCAB);
        numbers[i] = i;
    }
    struct backend_sequence owner = {&page, 1};
    struct backend_batch batch = {.n_tokens = rows,
                                  .n_outputs = rows,
                                  .n_sequences = 1,
                                  .tokens = tokens,
                                  .positions = numbers,
                                  .sequence = sequence,
                                  .outputs = numbers,
                                  .sequences = &owner};
    const float *logits;
    if (backend_step(model, &batch, &logits, NULL, &error))
        fail_msg("%s", error.message);
    memcpy(out, logits, (size_t)rows * VOCAB * sizeof *out);
    backend_close(model);
}

static float raw[MOST_ROWS * VOCAB], expected[MOST_ROWS * VOCAB], got[MOST_ROWS * VOCAB];

static void check_scaling(struct scaling scaling)
{
    static const uint32_t batches[] = {1, 3, MOST_ROWS};
    struct arena arena;
    struct hand_builder plain_builder, scaled_builder;
    arena_init(&arena);
    const struct plan *plain = write_plan(&arena, &plain_builder, (struct scaling){0});
    const struct plan *scaled = write_plan(&arena, &scaled_builder, scaling);
    for (const char *const *isa = kernels_available(); *isa; isa++)
        for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
            struct kernels kernels;
            uint32_t rows = batches[b];
            assert_true(kernels_init(&kernels, *isa));
            run_plan(plain, *isa, 1, rows, raw);
            for (size_t row = 0; row < rows; row++)
                kernels.scale(raw + row * VOCAB, scaling.scale, scaling.softcap, VOCAB,
                              expected + row * VOCAB);
            for (uint32_t threads = 1; threads <= MOST_THREADS; threads++) {
                run_plan(scaled, *isa, threads, rows, got);
                if (memcmp(got, expected, (size_t)rows * VOCAB * sizeof *got) != 0)
                    fail_msg("%s, %u threads, %u rows: other bits", *isa, threads, rows);
            }
        }
    arena_free(&arena);
}

static void test_softcap(void **state)
{
    (void)state;
    check_scaling((struct scaling){20, 30}); /* around the cap */
}

static void test_scale_alone(void **state)
{
    (void)state;
    check_scaling((struct scaling){-1.5f, 0});
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_softcap), cmocka_unit_test(test_scale_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
