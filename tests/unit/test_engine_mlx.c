/* The engine on the mlx backend: sequences beside each other, pages that are no neighbours, and what is left
 * behind when a model was loaded and unloaded many times. LLMIND_CYCLES=N: so often, and the built-in model,
 * whose copy of the weights would be seen (MLX on a processor takes seconds for it). Skipped where the build
 * has no such backend. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/process_usage.h"

enum { N_PROMPT = 150, N_ANSWER = 40, SIDES = 4, CYCLES = 30, SETTLED = 4 };

static char folder[256];
static int32_t prompt[1024];
static struct answer answer;

/* Precise: rounding to 16 bits would let the batch decide between near answers. */
static struct engine *open_mlx(const char *model, uint32_t prefill_chunk)
{
    struct engine_options options = {.model = model,
                                     .backend = "mlx",
                                     .isa = "cpu",
                                     .precise = true,
                                     .max_sequences = SIDES,
                                     .prefill_chunk = prefill_chunk};
    struct engine *engine = NULL;
    struct error error = {0};
    if (engine_open(&options, &engine, &error))
        fail_msg("engine_open: %s", error.message);
    return engine;
}

static int write_model(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_4BIT, .seed = 4};
    tiny_model_write(&options, folder, sizeof folder);
    for (size_t i = 0; i < sizeof prompt / sizeof *prompt; i++)
        prompt[i] = (int32_t)((i * i + 7 * i) % TINY_BYTES);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    return 0;
}

static void need_backend(void)
{
    if (access(LLMIND_BUILD_DIR "/tests/libllmind_mlx.so", R_OK) != 0 &&
        access(LLMIND_BUILD_DIR "/tests/libllmind_mlx.dylib", R_OK) != 0) {
        print_message("skipped: this build has no mlx backend\n");
        skip();
    }
}

/* Four of unlike lengths at once, which take turns with their pages, say what each says alone. */
static void test_beside_others(void **state)
{
    (void)state;
    need_backend();
    struct engine *engine = open_mlx(folder, 64);
    int32_t alone[SIDES][N_ANSWER];
    struct engine_request *requests[SIDES];
    for (uint32_t i = 0; i < SIDES; i++) {
        struct engine_submit submit = run_greedy(prompt + 50 * i, N_PROMPT - 30 * i, N_ANSWER);
        run(engine, &submit, &answer);
        assert_int_equal(answer.finish, FINISH_LENGTH);
        memcpy(alone[i], answer.tokens, sizeof alone[i]);
    }
    for (uint32_t i = 0; i < SIDES; i++) {
        struct engine_submit submit = run_greedy(prompt + 50 * i, N_PROMPT - 30 * i, N_ANSWER);
        requests[i] = run_submit(engine, &submit);
    }
    for (uint32_t i = 0; i < SIDES; i++) {
        run_collect(requests[i], &answer);
        assert_int_equal(answer.n_tokens, N_ANSWER);
        assert_memory_equal(answer.tokens, alone[i], sizeof alone[i]);
    }
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_true(stats.allocator_active_bytes >= engine_info(engine)->weight_bytes);
    assert_true(stats.allocator_peak_bytes >= stats.allocator_active_bytes);
    engine_close(engine);
}

/* What the middle of a prompt leaves in the pages, where nobody wants logits, is all there: in the last
 * layer, too. */
static void test_chunks(void **state)
{
    (void)state;
    need_backend();
    int32_t whole[N_ANSWER];
    for (uint32_t chunk = 512; chunk >= 8; chunk /= 8) {
        struct engine *engine = open_mlx(folder, chunk);
        struct engine_submit submit = run_greedy(prompt, N_PROMPT, N_ANSWER);
        run(engine, &submit, &answer);
        assert_int_equal(answer.n_tokens, N_ANSWER);
        if (chunk == 512)
            memcpy(whole, answer.tokens, sizeof whole);
        else
            assert_memory_equal(answer.tokens, whole, sizeof whole);
        engine_close(engine);
    }
}

/* Guesses are only right where a step's results do not depend on what else is in it. */
static void test_no_guessing(void **state)
{
    (void)state;
    need_backend();
    struct engine_options options = {.model = folder, .backend = "mlx", .prompt_lookup = 4};
    struct engine *engine = NULL;
    struct error error = {0};
    assert_int_equal(engine_open(&options, &engine, &error), ERROR_UNSUPPORTED);
    assert_null(engine);
    assert_non_null(strstr(error.message, "prompt lookup"));
}

/* Its keys and values lie in arrays that grow, and no file could hold a page of them. */
static void test_no_prompt_caches(void **state)
{
    (void)state;
    need_backend();
    struct engine_options options = {.model = folder, .backend = "mlx", .prompt_cache = "/nowhere/cache"};
    struct engine *engine = NULL;
    struct engine_saved_prompt saved;
    struct error error = {0};
    assert_int_equal(engine_open(&options, &engine, &error), ERROR_UNSUPPORTED);
    assert_null(engine);
    assert_non_null(strstr(error.message, "the mlx backend"));
    engine = open_mlx(folder, 64);
    assert_int_equal(engine_save_prompt_cache(engine, NULL, "/nowhere/cache", &saved, &error),
                     ERROR_UNSUPPORTED);
    engine_close(engine);
}

static void test_cycles(void **state)
{
    (void)state;
    need_backend();
    const char *asked = getenv("LLMIND_CYCLES");
    const char *model = asked ? LLMIND_SOURCE_DIR "/models/builtin" : folder;
    int cycles = asked ? atoi(asked) : CYCLES;
    assert_true(cycles > SETTLED + 1);
    struct process_usage usage = {0}, first = {0};
    for (int i = 0; i < cycles; i++) {
        struct engine *engine = open_mlx(model, 64);
        struct engine_submit submit = run_greedy(prompt, 8, 2);
        run(engine, &submit, &answer);
        engine_close(engine);
        process_usage_read(getpid(), &usage);
        if (i == SETTLED)
            first = usage;
    }
    int64_t grown = (int64_t)usage.memory.anonymous_bytes - (int64_t)first.memory.anonymous_bytes;
    print_message("cycles: %d, grown by %lld bytes since the %dth, threads %u then and %u now\n", cycles,
                  (long long)grown, SETTLED + 1, first.threads, usage.threads);
    assert_true(usage.memory.known && grown < 8 << 20); /* a copy of the built-in model's weights is 12 MB */
    assert_true(usage.known && usage.threads <= first.threads);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_beside_others), cmocka_unit_test(test_chunks),
                                       cmocka_unit_test(test_no_guessing),
                                       cmocka_unit_test(test_no_prompt_caches),
                                       cmocka_unit_test(test_cycles)};
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
