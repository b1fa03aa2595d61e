/* Batch invariance: the logits of a sequence are bit-equal alone and beside seven others, in prefill chunks
 * of 1, 7, 64 and 512, with one thread and two; for prompt positions and for the answer; with an 8-bit cache
 * too. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <stdlib.h>

enum { N_PROMPT = 150, N_ANSWER = 24, OTHERS = 7 };

/* All that is compared, for one setting. */
struct record {
    float prompt[N_PROMPT][TINY_VOCAB];
    uint32_t n_positions;
    int32_t tokens[N_ANSWER];
    float logprobs[N_ANSWER];
    struct engine_logprob top[N_ANSWER][ENGINE_MAX_LOGPROBS];
};

static int32_t prompt[1024];
static struct answer answer;

static void take(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    struct record *record = context;
    assert_int_equal(vocab, TINY_VOCAB);
    memcpy(record->prompt[position], logits, sizeof record->prompt[position]);
    record->n_positions++;
}

/* Twice: scored, position by position, and not, so that prompts of both kinds are compared. */
static void run_setting(const char *folder, uint32_t kv_bits, uint32_t chunk, uint32_t threads, bool beside,
                        struct record *record)
{
    struct engine_options options = {.model = folder,
                                     .n_threads = threads,
                                     .prefill_chunk = chunk,
                                     .max_sequences = OTHERS + 1,
                                     .kv_bits = kv_bits};
    struct error error;
    struct engine *engine;
    if (engine_open(&options, &engine, &error))
        fail_msg("engine_open: %s", error.message);
    struct engine_request *others[OTHERS];
    for (int scored = 1; scored >= 0; scored--) {
        for (uint32_t i = 0; beside && i < OTHERS; i++) {
            struct engine_submit other = run_greedy(prompt + 10 * i, 5 + 20 * i, 200);
            other.sampling.temperature = 1;
            others[i] = run_submit(engine, &other);
        }
        struct engine_submit submit = run_greedy(prompt, N_PROMPT, N_ANSWER);
        submit.logprobs = true;
        submit.top_logprobs = ENGINE_MAX_LOGPROBS;
        submit.on_logits = scored ? take : NULL;
        submit.on_logits_context = record;
        run(engine, &submit, &answer);
        assert_int_equal(answer.n_tokens, N_ANSWER);
        if (scored) {
            assert_int_equal(record->n_positions, N_PROMPT);
            memcpy(record->tokens, answer.tokens, sizeof record->tokens);
            memcpy(record->logprobs, answer.logprobs, sizeof record->logprobs);
            memcpy(record->top, answer.top, sizeof record->top);
        }
        assert_memory_equal(record->tokens, answer.tokens, sizeof record->tokens);
        assert_memory_equal(record->logprobs, answer.logprobs, sizeof record->logprobs);
        assert_memory_equal(record->top, answer.top, sizeof record->top);
        for (uint32_t i = 0; beside && i < OTHERS; i++)
            engine_request_release(others[i]);
    }
    engine_close(engine);
}

static void fill_prompt(void)
{
    for (int i = 0; i < 1024; i++)
        prompt[i] = (i * i + 3 * i) % 256;
}

static void check_format(enum tiny_format format, uint32_t kv_bits)
{
    static const uint32_t chunks[] = {512, 64, 7, 1};
    char folder[256];
    struct tiny_options options = {.format = format, .seed = 4};
    struct record *expected = calloc(1, sizeof *expected), *got = calloc(1, sizeof *got);
    assert_non_null(expected);
    assert_non_null(got);
    fill_prompt();
    tiny_model_write(&options, folder, sizeof folder);
    run_setting(folder, kv_bits, 512, 1, false, expected);
    for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
        for (uint32_t threads = 1; threads <= 2; threads++)
            for (int beside = 0; beside < 2; beside++) {
                memset(got, 0, sizeof *got);
                run_setting(folder, kv_bits, chunks[c], threads, beside, got);
                if (memcmp(expected, got, sizeof *got))
                    fail_msg("other logits with chunks of %u, %u threads%s", chunks[c], threads,
                             beside ? ", beside others" : "");
            }
    tiny_model_remove(folder);
    free(got);
    free(expected);
}

static void embed(struct engine *engine, float *vector)
{
    struct engine_submit submit = {.tokens = prompt,
                                   .n_tokens = N_PROMPT,
                                   .embedding = true,
                                   .no_cache = true,
                                   .sampling = {.top_p = 1, .repetition_penalty = 1}};
    struct engine_request *request = run_submit(engine, &submit);
    struct engine_event event;
    uint32_t n = 0;
    do {
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
        if (event.kind == EVENT_EMBEDDING) {
            assert_true(n + event.text_length / sizeof *vector <= TINY_HIDDEN);
            memcpy(vector + n, event.text, event.text_length);
            n += event.text_length / (uint32_t)sizeof *vector;
        }
    } while (event.kind != EVENT_FINISH);
    assert_int_equal(event.finish, FINISH_LENGTH);
    assert_int_equal(n, TINY_HIDDEN);
    engine_request_release(request);
}

/* An embedding that has its steps for itself (without logits) and one beside answers, and the answers. */
static void test_embeddings(void **state)
{
    (void)state;
    float alone[TINY_HIDDEN], beside[TINY_HIDDEN];
    static struct answer expected;
    char folder[256];
    struct tiny_options options = {.format = TINY_4BIT, .seed = 4};
    struct engine_request *others[OTHERS];
    fill_prompt();
    tiny_model_write(&options, folder, sizeof folder);
    struct engine *engine = run_open(folder, 2, 64, OTHERS + 1);
    struct engine_submit submit = run_greedy(prompt, 30, 200);
    run(engine, &submit, &expected);
    embed(engine, alone);
    for (uint32_t i = 0; i < OTHERS; i++)
        others[i] = run_submit(engine, &submit);
    embed(engine, beside);
    assert_memory_equal(alone, beside, sizeof alone);
    for (uint32_t i = 0; i < OTHERS; i++) {
        run_collect(others[i], &answer);
        assert_int_equal(answer.n_tokens, expected.n_tokens);
        assert_memory_equal(answer.tokens, expected.tokens, sizeof answer.tokens);
    }
    engine_close(engine);
    tiny_model_remove(folder);
}

static void test_4bit(void **state)
{
    (void)state;
    check_format(TINY_4BIT, 16);
}

static void test_bf16(void **state)
{
    (void)state;
    check_format(TINY_BF16, 16);
}

static void test_8bit_cache(void **state)
{
    (void)state;
    check_format(TINY_4BIT, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_4bit), cmocka_unit_test(test_bf16),
                                       cmocka_unit_test(test_8bit_cache), cmocka_unit_test(test_embeddings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
