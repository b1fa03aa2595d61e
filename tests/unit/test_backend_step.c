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
#include "support/hand_plan.h"

/* Sanitizers make kernels ten to fifty times slower; the races and overflows they look for need no long
 * prompts. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LENGTH = 72, SETTINGS = 2, PAGES = 64 };
#else
enum { LENGTH = 100, SETTINGS = 3, PAGES = 64 };
#endif

/* Where to begin among them. What runs in which thread is no matter of the instruction set: with the thread
 * sanitizer, for which this is ten minutes' work, the last and best stands for all. */
static const char *const *first_isa(void)
{
    const char *const *isa = kernels_available();
#if defined(__SANITIZE_THREAD__)
    while (isa[1])
        isa++;
#endif
    return isa;
}

struct run {
    const char *isa;
    uint32_t threads, chunk, company; /* company: other sequences decoding or prefilling beside it */
    bool precise;
    uint32_t kv_bits;
};

static int32_t token_at(uint32_t sequence, uint32_t position)
{
    return (int32_t)((position * 31 + sequence * 17 + position * position) % HAND_VOCAB);
}

/* Feeds LENGTH tokens of sequence 0 in chunks, asking for all logits, with others beside it. */
static void run_plan(const struct plan *plan, const struct run *run, float *logits)
{
    struct error error;
    struct backend_model *model;
    uint32_t sequences = 1 + run->company;
    struct backend_options options = {.isa = run->isa,
                                      .n_threads = run->threads,
                                      .kv_bits = run->kv_bits,
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
        struct backend_batch batch = {n, n, sequences, tokens, positions, owner, outputs, owners, false};
        const float *result;
        if (backend_step(model, &batch, &result, NULL, &error))
            fail_msg("%s", error.message);
        memcpy(logits + (size_t)done * HAND_VOCAB, result + (size_t)mine * HAND_VOCAB,
               (size_t)take * HAND_VOCAB * sizeof *logits);
        done += take;
    }
    backend_close(model);
}

static float reference[LENGTH * HAND_VOCAB], other[LENGTH * HAND_VOCAB];

static double relative_difference(const float *a, const float *b)
{
    double difference = 0, norm2 = 0;
    for (size_t i = 0; i < LENGTH * HAND_VOCAB; i++) {
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
        for (size_t i = p * HAND_VOCAB; i < (p + 1) * HAND_VOCAB; i++) {
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
    run_plan(plan, &(struct run){"reference", 1, LENGTH, 0, true, 32}, reference);
    for (const char *const *isa = first_isa(); *isa; isa++) {
        run_plan(plan, &(struct run){*isa, 2, LENGTH, 0, true, 32}, other);
        double precise = relative_difference(other, reference);
        run_plan(plan, &(struct run){*isa, 2, LENGTH, 0, false, 16}, other);
        double rounded = median_difference(other, reference);
        run_plan(plan, &(struct run){*isa, 2, LENGTH, 0, true, 8}, other);
        double cached = median_difference(other, reference);
        print_message("%s: precise %.2e, int8 %.2e, 8-bit cache %.2e from the f32 reference\n", *isa, precise,
                      rounded, cached);
        assert_true(precise < 1e-5); /* other orders of summation */
        assert_true(rounded < 2e-2); /* int8 activations and f16 keys */
        assert_true(cached < 1e-2 && cached > 1e-5);
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
    const uint32_t chunks[] = {1, 7, 64};
    for (const char *const *isa = first_isa(); *isa; isa++)
        for (uint32_t setting = 0; setting < SETTINGS; setting++) {
            bool precise = setting == 2;
            uint32_t kv_bits = setting == 0 ? 16 : setting == 1 ? 8 : 32;
            run_plan(plan, &(struct run){*isa, 1, LENGTH, 0, precise, kv_bits}, reference);
            for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
                check_same(plan, &(struct run){*isa, 1 + (uint32_t)c % 2, chunks[c], 0, precise, kv_bits});
            check_same(plan, &(struct run){*isa, 2, 7, 7, precise, kv_bits});
            check_same(plan, &(struct run){*isa, 3, LENGTH, 7, precise, kv_bits});
            check_same(plan, &(struct run){*isa, 2, 1, 7, precise, kv_bits});
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
    int32_t token = HAND_VOCAB;
    struct backend_batch batch = {1, 1, 1, &token, positions, sequence, outputs, &owner, false};
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

/* What a page takes is known before anything is allocated, and is what is allocated; and 8-bit pages are
 * about half of 16-bit ones: of a key of 32 numbers 34 bytes and not 64. */
static void test_page_bytes(void **state)
{
    const struct plan *plan = *state;
    const uint64_t positions = BACKEND_PAGE_TOKENS * 2 * HAND_KV_HEADS * 2; /* layers, heads, key and value */
    const struct {
        uint32_t kv_bits;
        uint64_t vector_bytes;
    } cases[] = {{8, 34}, {16, 64}, {32, 128}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error;
        struct backend_model *model;
        struct backend_options options = {.n_threads = 1,
                                          .kv_bits = cases[i].kv_bits,
                                          .max_step_tokens = 4,
                                          .max_step_outputs = 2,
                                          .max_sequences = 1,
                                          .n_pages = 3};
        uint64_t bytes = backend_page_bytes(plan, cases[i].kv_bits);
        assert_int_equal(bytes, positions * cases[i].vector_bytes);
        assert_int_equal(backend_prepare(plan, &options, &model, &error), 0);
        assert_int_equal(backend_memory(model).kv_bytes, 3 * bytes);
        assert_int_equal(backend_info(model).kv_bits, cases[i].kv_bits);
        backend_close(model);
    }
}

/* A cache that is no keys and values of one size is refused with its layer's name, of any number of bits. */
static void test_other_caches(void **state)
{
    struct plan plan = *(const struct plan *)*state;
    struct plan_cache caches[2] = {plan.caches[0], plan.caches[1]};
    const struct {
        enum plan_cache_kind kind;
        uint32_t v_dim;
        const char *said;
    } cases[] = {{CACHE_LATENT, HAND_DIM, "layers.1: the cpu backend cannot keep a latent cache"},
                 {CACHE_RECURRENT, HAND_DIM, "layers.1: the cpu backend cannot keep a recurrent state"},
                 {CACHE_WINDOW, HAND_DIM / 2, "keys and values of different sizes"}};
    plan.caches = caches;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error error;
        struct backend_model *model;
        struct backend_options options = {.n_threads = 1,
                                          .kv_bits = 8,
                                          .max_step_tokens = 4,
                                          .max_step_outputs = 2,
                                          .max_sequences = 1,
                                          .n_pages = 1};
        caches[1].kind = cases[i].kind;
        caches[1].v_dim = cases[i].v_dim;
        assert_int_equal(backend_prepare(&plan, &options, &model, &error), ERROR_UNSUPPORTED);
        assert_non_null(strstr(error.message, cases[i].said));
        assert_null(model);
    }
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
    struct backend_batch batch = {1, 1, 1, &token, positions, sequence, outputs, &owner, false};
    const float *logits;
    assert_int_equal(backend_step(model, &batch, &logits, ns, &error), 0);
    for (uint32_t i = 0; i < n_segments; i++)
        assert_true(ns[i] > 0);
    free(ns);
    backend_close(model);
}

/* Where only embeddings are wanted nothing behind them is computed, and they are the same bits. */
static void test_embeddings_only(void **state)
{
    struct plan plan = *(const struct plan *)*state;
    plan.embedding = plan.ops[plan.n_ops - 1].in; /* of the head */
    struct error error;
    struct backend_model *model;
    struct backend_options options = {.n_threads = 2,
                                      .kv_bits = 16,
                                      .max_step_tokens = 4,
                                      .max_step_outputs = 4,
                                      .max_sequences = 1,
                                      .n_pages = 2};
    assert_int_equal(backend_prepare(&plan, &options, &model, &error), 0);
    uint32_t pages[] = {0, 1}, positions[] = {0}, sequence[] = {0}, outputs[] = {0};
    struct backend_sequence owner = {pages, 2};
    int32_t token = 3;
    struct backend_batch batch = {1, 1, 1, &token, positions, sequence, outputs, &owner, false};
    float before[HAND_VOCAB], embedding[HAND_HIDDEN];
    const float *logits;
    size_t stride;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), 0);
    memcpy(before, logits, sizeof before);
    token = 5;
    batch.embeddings_only = true;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), 0);
    assert_null(logits);
    assert_memory_equal(backend_rows(model, plan.logits, &stride), before, sizeof before);
    memcpy(embedding, backend_rows(model, plan.embedding, &stride), sizeof embedding);
    batch.embeddings_only = false;
    assert_int_equal(backend_step(model, &batch, &logits, NULL, &error), 0);
    assert_memory_equal(backend_rows(model, plan.embedding, &stride), embedding, sizeof embedding);
    assert_memory_not_equal(logits, before, sizeof before);
    backend_close(model);
}

static struct arena arena;
static struct hand_builder builder;

static int set_up(void **state)
{
    arena_init(&arena);
    *state = (void *)hand_plan(&arena, &builder);
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
        cmocka_unit_test(test_isas_agree),      cmocka_unit_test(test_batch_invariance),
        cmocka_unit_test(test_limits),          cmocka_unit_test(test_page_bytes),
        cmocka_unit_test(test_other_caches),    cmocka_unit_test(test_trace),
        cmocka_unit_test(test_embeddings_only),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
