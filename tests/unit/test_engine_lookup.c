/* Prompt lookup: what is guessed, and that answers are the same with it as without, token for token, however
 * they are drawn; only the steps they take are fewer. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <stdlib.h>

#include "engine/lookup.h"

/* ---- the guess ---- */

static struct lookup look(struct arena *arena, uint32_t most, const int32_t *text, uint32_t n)
{
    struct lookup lookup;
    assert_int_equal(lookup_init(&lookup, most, text, n, 64, arena, NULL), 0);
    return lookup;
}

static void check_guess(struct lookup *lookup, uint32_t room, uint32_t n, const int32_t *expected)
{
    lookup_guess(lookup, room);
    assert_int_equal(lookup->n_guess, n);
    if (n)
        assert_memory_equal(lookup->guess, expected, n * sizeof *expected);
}

static void test_guess(void **state)
{
    (void)state;
    const int32_t text[] = {1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 6, 2, 3};
    struct arena arena;
    arena_init(&arena);
    struct lookup lookup = look(&arena, 6, text, 13);
    check_guess(&lookup, 15, 3,
                (int32_t[]){7, 8, 6}); /* what followed the latest 2, 3; half of 6 to begin with */
    check_guess(&lookup, 1, 1, (int32_t[]){7});
    check_guess(&lookup, 0, 0, NULL);
    lookup_add(&lookup, 4); /* 2, 3, 4 came before, and 3, 4 */
    check_guess(&lookup, 15, 3, (int32_t[]){5, 9, 2});
    lookup_add(&lookup, 100);
    check_guess(&lookup, 15, 0, NULL);
    arena_free(&arena);
}

static void test_guess_at_the_edges(void **state)
{
    (void)state;
    const int32_t text[] = {5, 5, 5, 5};
    struct arena arena;
    arena_init(&arena);
    for (uint32_t n = 1; n <= 2; n++) {
        struct lookup none = look(&arena, 4, text, n);
        check_guess(&none, 8, 0, NULL);
    }
    struct lookup lookup = look(&arena, 4, text, 3); /* 5, 5 at the beginning, and one token behind it */
    check_guess(&lookup, 8, 1, text);
    struct lookup off = {0};
    lookup_add(&off, 1);
    check_guess(&off, 8, 0, NULL);
    arena_free(&arena);
}

/* Four equal tokens are better than three, three better than two, and of equally long ones the latest. */
static void test_the_longest_match(void **state)
{
    (void)state;
    const int32_t text[] = {2, 3, 4, 5, 91, 3, 4, 5, 92, 4, 5, 93, 4, 5, 94, 50, 51, 1, 2, 3, 4, 5};
    const uint32_t n = sizeof text / sizeof *text;
    struct arena arena;
    arena_init(&arena);
    struct lookup four = look(&arena, 1, text, n), three = look(&arena, 1, text + 1, n - 1),
                  two = look(&arena, 1, text + 6, n - 6);
    check_guess(&four, 1, 1, (int32_t[]){91});
    check_guess(&three, 1, 1, (int32_t[]){92});
    check_guess(&two, 1, 1, (int32_t[]){94});
    /* more than four do not count */
    const int32_t five[] = {1, 2, 3, 4, 5, 95, 2, 3, 4, 5, 96, 1, 2, 3, 4, 5};
    struct lookup latest = look(&arena, 1, five, sizeof five / sizeof *five);
    check_guess(&latest, 1, 1, (int32_t[]){96});
    arena_free(&arena);
}

/* Rest is measured in steps, whether there would have been something to guess or not; and a try that finds
 * nothing is still to be made. */
static void test_rests(void **state)
{
    (void)state;
    int32_t text[40];
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < 40; i++)
        text[i] = i % 10;
    struct lookup lookup = look(&arena, 8, text, 40);
    do {
        lookup_guess(&lookup, 15);
        lookup_learn(&lookup, 0);
    } while (lookup.n_guess);
    for (int32_t i = 0; i < 20; i++) {
        lookup_add(&lookup, 1000 + i);
        check_guess(&lookup, 15, 0, NULL);
    }
    for (int32_t i = 0; i < 3; i++)
        lookup_add(&lookup, i);
    check_guess(&lookup, 15, 1, (int32_t[]){3});
    check_guess(&lookup, 15, 0, NULL);
    arena_free(&arena);
}

static void test_learns(void **state)
{
    (void)state;
    int32_t text[40];
    struct arena arena;
    arena_init(&arena);
    for (int i = 0; i < 40; i++)
        text[i] = i % 10;
    struct lookup lookup = look(&arena, 8, text, 40);
    check_guess(&lookup, 15, 4, text);
    for (int i = 0; i < 8; i++) {
        lookup_guess(&lookup, 15);
        lookup_learn(&lookup, lookup.n_guess);
    }
    check_guess(&lookup, 15, 8, text); /* all were right */
    uint32_t guessed = 0;
    for (int i = 0; i < 200; i++) {
        lookup_guess(&lookup, 15);
        guessed += i >= 100 ? lookup.n_guess : 0;
        lookup_learn(&lookup, 0);
    }
    assert_in_range(guessed, 5, 15); /* none was: one token now and then */
    arena_free(&arena);
}

/* ---- answers ---- */

enum { N_ANSWER = 120, OTHERS = 3 };

static int32_t prompt[256];
static struct answer answer, plain;

static struct engine *open_engine(const char *folder, uint32_t lookup, uint32_t kv_bits, uint32_t chunk)
{
    struct engine_options options = {.model = folder,
                                     .n_threads = 2,
                                     .max_sequences = OTHERS + 1,
                                     .kv_bits = kv_bits,
                                     .prefill_chunk = chunk,
                                     .prompt_lookup = lookup};
    struct error error;
    struct engine *engine;
    if (engine_open(&options, &engine, &error))
        fail_msg("engine_open: %s", error.message);
    return engine;
}

static void check_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_int_equal(a->finish, b->finish);
    assert_memory_equal(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens);
    assert_memory_equal(a->logprobs, b->logprobs, a->n_tokens * sizeof *a->logprobs);
    assert_string_equal(a->text, b->text);
}

/* A prompt that says everything twice, and so does what comes after it. */
static void fill_prompt(uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        prompt[i] = (int32_t)(3 + (i * i + 7) % 23 % (TINY_VOCAB - 8));
    memcpy(prompt + n / 2, prompt, n / 2 * sizeof *prompt);
}

static struct engine_submit wish(int kind)
{
    static const struct engine_logit_bias bias[] = {{5, 4}, {6, 4}, {7, 4}, {8, 4}};
    struct engine_submit submit = run_greedy(prompt, 100, N_ANSWER);
    submit.logprobs = true;
    if (kind == 1)
        submit.sampling.temperature = 1;
    if (kind == 2) /* a few tokens come again and again, and each counts against itself */
        submit.sampling = (struct engine_sampling){.temperature = 0.7f,
                                                   .top_p = 0.9f,
                                                   .repetition_penalty = 1.1f,
                                                   .frequency_penalty = 0.2f,
                                                   .seed = 99,
                                                   .logit_bias = bias,
                                                   .n_logit_bias = 4};
    if (kind == 3)
        submit.ignore_eos = false;
    return submit;
}

static void check_setting(const char *folder, uint32_t kv_bits, uint32_t chunk)
{
    static const uint32_t lookups[] = {1, 4, ENGINE_MAX_PROMPT_LOOKUP};
    for (int kind = 0; kind < 4; kind++) {
        struct engine_submit submit = wish(kind);
        struct engine *engine = open_engine(folder, 0, kv_bits, chunk);
        run(engine, &submit, &plain);
        assert_int_equal(plain.timings.drafted_tokens, 0);
        engine_close(engine);
        for (size_t i = 0; i < sizeof lookups / sizeof *lookups; i++) {
            engine = open_engine(folder, lookups[i], kv_bits, chunk);
            run(engine, &submit, &answer);
            check_same(&answer, &plain);
            struct engine_request *others[OTHERS];
            for (uint32_t k = 0; k < OTHERS; k++) {
                struct engine_submit other = run_greedy(prompt + k, 40 + k, 60);
                others[k] = run_submit(engine, &other);
            }
            run(engine, &submit, &answer);
            check_same(&answer, &plain);
            for (uint32_t k = 0; k < OTHERS; k++)
                engine_request_release(others[k]);
            engine_close(engine);
        }
    }
}

static void test_answers_are_the_same(void **state)
{
    (void)state;
    char folder[256];
    struct tiny_options options = {.format = TINY_4BIT, .seed = 4};
    tiny_model_write(&options, folder, sizeof folder);
    fill_prompt(100);
    check_setting(folder, 16, 512);
    check_setting(folder, 8, 512);
    check_setting(folder, 16, 1); /* hardly any room for prompts beside the guesses */
    tiny_model_remove(folder);
}

/* A greedy answer of a random model soon goes round in circles: most guesses are right, and steps are saved.
 */
static void test_steps_are_saved(void **state)
{
    (void)state;
    char folder[256];
    struct tiny_options options = {.format = TINY_4BIT, .seed = 4};
    struct engine_stats stats;
    tiny_model_write(&options, folder, sizeof folder);
    fill_prompt(100);
    struct engine *engine = open_engine(folder, 8, 16, 512);
    struct engine_submit submit = run_greedy(prompt, 100, 400);
    run(engine, &submit, &answer);
    engine_stats(engine, &stats);
    assert_true(answer.timings.accepted_tokens > 100);
    assert_true(answer.timings.drafted_tokens >= answer.timings.accepted_tokens);
    assert_int_equal(stats.drafted_tokens, answer.timings.drafted_tokens);
    assert_int_equal(stats.accepted_tokens, answer.timings.accepted_tokens);
    assert_int_equal(stats.generated_tokens, 400);
    assert_int_equal(stats.steps,
                     1 + 399 - answer.timings.accepted_tokens); /* the prompt's step gives the first */
    engine_close(engine);
    tiny_model_remove(folder);
}

/* Pages of an answer that was guessed are as good as others for the prompt that goes on from it. */
static void test_the_next_turn_uses_the_pages(void **state)
{
    (void)state;
    char folder[256];
    struct tiny_options options = {.format = TINY_4BIT, .seed = 4};
    tiny_model_write(&options, folder, sizeof folder);
    fill_prompt(100);
    int32_t next[400];
    for (uint32_t lookup = 0; lookup <= 8; lookup += 8) {
        struct engine *engine = open_engine(folder, lookup, 16, 512);
        struct engine_submit submit = run_greedy(prompt, 100, 200);
        run(engine, &submit, &answer);
        memcpy(next, prompt, 100 * sizeof *next);
        memcpy(next + 100, answer.tokens, 200 * sizeof *next);
        for (int i = 300; i < 320; i++)
            next[i] = i % 20;
        submit = run_greedy(next, 320, 60);
        run(engine, &submit, lookup ? &answer : &plain);
        assert_true((lookup ? &answer : &plain)->timings.cached_tokens >= 256);
        engine_close(engine);
    }
    check_same(&answer, &plain);
    tiny_model_remove(folder);
}

/* Nobody reads for a while: the sequence pauses, with guesses as without. */
static void test_a_late_reader(void **state)
{
    (void)state;
    char folder[256];
    struct tiny_options options = {.format = TINY_4BIT, .seed = 4};
    tiny_model_write(&options, folder, sizeof folder);
    fill_prompt(100);
    struct engine *engine = open_engine(folder, ENGINE_MAX_PROMPT_LOOKUP, 16, 512);
    struct engine_submit submit = run_greedy(prompt, 100, 1000), other = run_greedy(prompt, 50, 1000);
    struct engine_request *late = run_submit(engine, &submit);
    run(engine, &other, &answer); /* meanwhile */
    assert_int_equal(answer.n_tokens, 1000);
    run_collect(late, &answer);
    assert_int_equal(answer.n_tokens, 1000);
    engine_close(engine);
    engine = open_engine(folder, 0, 16, 512);
    run(engine, &submit, &plain);
    check_same(&answer, &plain);
    engine_close(engine);
    tiny_model_remove(folder);
}

static void test_too_many(void **state)
{
    (void)state;
    char folder[256];
    struct tiny_options tiny = {.format = TINY_4BIT, .seed = 4};
    tiny_model_write(&tiny, folder, sizeof folder);
    struct engine_options options = {.model = folder, .prompt_lookup = ENGINE_MAX_PROMPT_LOOKUP + 1};
    struct engine *engine;
    struct error error;
    assert_int_equal(engine_open(&options, &engine, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, "prompt_lookup"));
    tiny_model_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guess),
        cmocka_unit_test(test_guess_at_the_edges),
        cmocka_unit_test(test_the_longest_match),
        cmocka_unit_test(test_rests),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_answers_are_the_same),
        cmocka_unit_test(test_steps_are_saved),
        cmocka_unit_test(test_the_next_turn_uses_the_pages),
        cmocka_unit_test(test_a_late_reader),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
