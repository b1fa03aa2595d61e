/* Prompt caches: what comes out of a file is, bit for bit, what computing it gives; and what cannot be kept.
 * What is refused when it is read: test_engine_prompt_cache_hostile.c. */
#include "support/prompt_cache_run.h"
#include "support/tiny_adapter.h"

enum { N_LONGER = 700 /* begins as the prompt does */, ANSWER = 20 };

static struct answer computed, computed_longer;

static struct engine_submit watched(uint32_t n_prompt)
{
    struct engine_submit submit = run_greedy(prompt, n_prompt, ANSWER);
    submit.logprobs = true;
    submit.top_logprobs = ENGINE_MAX_LOGPROBS;
    return submit;
}

static void assert_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->n_tokens, ANSWER);
    assert_int_equal(b->n_tokens, ANSWER);
    assert_memory_equal(a->tokens, b->tokens, ANSWER * sizeof *a->tokens);
    assert_memory_equal(a->logprobs, b->logprobs, ANSWER * sizeof *a->logprobs);
    assert_memory_equal(a->top, b->top, ANSWER * sizeof *a->top);
    assert_string_equal(a->text, b->text);
}

/* ---- the same bits ---- */

/* Answers to the prompt and to a longer one, computed whole; leaves the file. */
static void compute(const struct engine_options *options)
{
    struct engine *engine = open_engine(options);
    struct engine_submit submit = watched(N_PROMPT);
    submit.no_cache = true;
    run(engine, &submit, &computed);
    submit = watched(N_LONGER);
    submit.no_cache = true;
    run(engine, &submit, &computed_longer);
    save(engine, N_PROMPT, path);
    engine_close(engine);
}

static void check_same_bits(const char *folder, uint32_t kv_bits)
{
    struct engine_options options = options_of(folder, kv_bits, NULL);
    compute(&options);
    options.prompt_cache = path;
    struct engine *engine = open_engine(&options);
    struct engine_stats stats = stats_of(engine);
    assert_int_equal(stats.pages_cached, KEPT / PAGE);
    assert_int_equal(stats.pages_used, KEPT / PAGE);
    assert_true(stats.kv_used_bytes > 0);
    struct engine_submit submit = watched(N_PROMPT);
    run(engine, &submit, &answer);
    assert_int_equal(answer.timings.cached_tokens, KEPT);
    assert_same(&answer, &computed);
    stats = stats_of(engine);
    assert_int_equal(stats.prefill_tokens, N_PROMPT - KEPT);
    assert_int_equal(stats.cached_tokens, KEPT);
    submit = watched(N_LONGER);
    run(engine, &submit, &answer);
    assert_int_equal(answer.timings.cached_tokens, KEPT);
    assert_same(&answer, &computed_longer);
    engine_close(engine);
}

static void test_same_bits_f16(void **state)
{
    (void)state;
    check_same_bits(model, 16);
}

static void test_same_bits_8(void **state)
{
    (void)state;
    check_same_bits(model, 8);
}

static void test_same_bits_f32(void **state)
{
    (void)state;
    check_same_bits(model, 32);
}

/* Pages keep what has left a window, too, so there is nothing special about it. */
static void test_same_bits_with_windows(void **state)
{
    (void)state;
    struct engine_options options = options_of(windowed, 16, NULL);
    struct engine *engine = open_engine(&options);
    assert_int_equal(engine_plan(engine)->caches[0].window, 40);
    engine_close(engine);
    check_same_bits(windowed, 16);
    check_same_bits(windowed, 8);
}

static void assert_same_files(void)
{
    size_t n, m;
    uint8_t *a = read_file(path, &n), *b = read_file(second_path, &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n);
    free(a);
    free(b);
}

/* A file is a function of what it holds: other chunks and threads, and the way through a file, leave no trace
 * in it. */
static void test_files_are_equal(void **state)
{
    (void)state;
    static const uint32_t bits[] = {16, 8};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        struct engine_options options = options_of(model, bits[i], NULL);
        save_with(&options, path);
        options.n_threads = 1;
        options.prefill_chunk = 7;
        save_with(&options, second_path);
        assert_same_files();
        options.prompt_cache = path;
        struct engine *engine = open_engine(&options);
        struct engine_submit submit = only_prompt(N_PROMPT);
        struct engine_saved_prompt saved;
        assert_int_equal(engine_save_prompt_cache(engine, &submit, second_path, &saved, NULL), 0);
        assert_int_equal(stats_of(engine).prefill_tokens, 0); /* nothing was computed */
        engine_close(engine);
        assert_same_files();
    }
}

static void test_adapters(void **state)
{
    (void)state;
    char adapter[256];
    tiny_adapter_write(3, adapter, sizeof adapter);
    struct engine_options options = options_of(model, 16, NULL);
    options.adapter = adapter;
    save_with(&options, path);
    options.prompt_cache = path;
    struct engine *engine = open_engine(&options);
    struct engine_submit submit = watched(N_PROMPT);
    run(engine, &submit, &answer);
    assert_int_equal(answer.timings.cached_tokens, KEPT);
    engine_close(engine);
    struct error error = {0};
    options.adapter = NULL;
    assert_int_equal(engine_open(&options, &engine, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, tiny_adapter_name(adapter)));
    assert_non_null(strstr(error.message, "an adapter changes"));
    tiny_adapter_remove(adapter);
}

/* Text and messages are encoded as a request's. */
static void test_texts(void **state)
{
    (void)state;
    static char text[2 * N_PROMPT + 1], messages[sizeof text + 64];
    for (size_t i = 0; i + 1 < sizeof text; i++)
        text[i] = (char)('a' + random_u64(7, i) % 26);
    snprintf(messages, sizeof messages, "[{\"role\":\"user\",\"content\":\"%s\"}]", text);
    struct engine_options options = options_of(model, 16, NULL);
    for (int as_messages = 0; as_messages < 2; as_messages++) {
        struct engine_submit submit = only_prompt(1);
        struct engine_saved_prompt saved;
        submit.tokens = NULL;
        submit.n_tokens = 0;
        submit.text = as_messages ? NULL : text;
        submit.messages_json = as_messages ? messages : NULL;
        options.prompt_cache = NULL;
        struct engine *engine = open_engine(&options);
        run(engine, &submit, &answer);
        assert_int_equal(engine_save_prompt_cache(engine, &submit, path, &saved, NULL), 0);
        assert_int_equal(saved.n_prompt, answer.timings.prompt_tokens);
        assert_int_equal(saved.n_tokens, saved.n_prompt / PAGE * PAGE);
        engine_close(engine);
        options.prompt_cache = path;
        engine = open_engine(&options);
        run(engine, &submit, &answer);
        assert_in_range(answer.timings.cached_tokens, saved.n_tokens - PAGE, saved.n_tokens);
        engine_close(engine);
    }
}

/* Loaded pages are nobody's: they go when their room is needed, and are computed again. */
static void test_pages_make_room(void **state)
{
    (void)state;
    struct engine_options options = options_of(model, 16, NULL);
    compute(&options);
    options.prompt_cache = path;
    options.max_sequences = 1; /* one context: 32 pages */
    struct engine *engine = open_engine(&options);
    struct engine_submit submit = run_greedy(prompt + 1, TINY_CONTEXT - 10, 8);
    run(engine, &submit, &answer);
    assert_int_equal(answer.timings.cached_tokens, 0);
    submit = watched(N_PROMPT);
    run(engine, &submit, &answer);
    assert_true(answer.timings.cached_tokens < KEPT);
    assert_same(&answer, &computed);
    struct engine_stats stats = stats_of(engine);
    assert_int_equal(stats.pages_used, stats.pages_cached);
    assert_int_equal(kvcache_available(&((struct local_engine *)engine)->kvcache), stats.pages_total);
    engine_close(engine);
}

/* ---- what cannot be kept ---- */

static void expect_not_saved(struct engine *engine, uint32_t n, const char *to, int status, const char *said)
{
    struct engine_submit submit = only_prompt(n);
    struct engine_saved_prompt saved;
    struct error error = {0};
    assert_int_equal(engine_save_prompt_cache(engine, &submit, to, &saved, &error), status);
    assert_int_equal(saved.n_tokens, 0);
    if (!strstr(error.message, said))
        fail_msg("not said: \"%s\", but: %s", said, error.message);
}

static void test_what_cannot_be_saved(void **state)
{
    (void)state;
    char elsewhere[160];
    struct engine_options options = options_of(model, 16, NULL);
    struct engine *engine = open_engine(&options);
    struct engine_submit submit = only_prompt(N_PROMPT);
    struct engine_saved_prompt saved;
    struct error error = {0};
    snprintf(elsewhere, sizeof elsewhere, "%s/none/cache", files);
    expect_not_saved(engine, N_PROMPT, path, ERROR_NOT_FOUND, "only 0 of the prompt's first 256 tokens");
    expect_not_saved(engine, PAGE - 1, path, ERROR_INVALID, "whole pages of 64");
    run(engine, &submit, &answer);
    expect_not_saved(engine, N_PROMPT, elsewhere, ERROR_NOT_FOUND, "no such folder");
    expect_not_saved(engine, N_PROMPT, files, ERROR_INVALID, "not a regular file");
    expect_not_saved(engine, N_LONGER, path, ERROR_NOT_FOUND, "only 256 of the prompt's first 640 tokens");
    expect_not_saved(engine, 0, path, ERROR_INVALID, "empty");
    struct engine_submit long_one = run_greedy(prompt, 10, 1500);
    struct engine_request *running =
        run_submit(engine, &long_one); /* not read: it pauses after some tokens */
    expect_not_saved(engine, N_PROMPT, path, ERROR_BUSY, "requests are running");
    engine_request_release(running);
    assert_int_equal(engine_save_prompt_cache(engine, NULL, path, &saved, &error), 0); /* it could */
    submit.max_tokens = 5;
    struct engine_request *request;
    assert_int_equal(engine_submit(engine, &submit, &request, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "prompt_only"));
    assert_int_equal(count_files(), 0); /* nothing is left of what failed */
    save(engine, N_PROMPT, path);
    save(engine, 2 * PAGE, path); /* over the other one */
    assert_int_equal(count_files(), 1);
    engine_close(engine);
    options.no_prefix_sharing = true;
    engine = open_engine(&options);
    assert_int_equal(engine_save_prompt_cache(engine, NULL, path, &saved, &error), ERROR_UNSUPPORTED);
    engine_close(engine);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_same_bits_f16),
        IN_FOLDER(test_same_bits_8),
        IN_FOLDER(test_same_bits_f32),
        IN_FOLDER(test_same_bits_with_windows),
        IN_FOLDER(test_files_are_equal),
        IN_FOLDER(test_adapters),
        IN_FOLDER(test_texts),
        IN_FOLDER(test_pages_make_room),
        IN_FOLDER(test_what_cannot_be_saved),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
