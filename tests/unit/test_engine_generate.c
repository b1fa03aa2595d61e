/* Whole requests on a tiny random model: prompts, lengths, ends, texts, log probabilities, refusals. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include "engine/state.h"
#include "text/tokenizer.h"

static char folder[256];
static struct engine *engine;
static struct answer first, second; /* large: not on the stack */
static const int32_t prompt[] = {72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100};
enum { N_PROMPT = sizeof prompt / sizeof *prompt };

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_4BIT, .seed = 1};
    tiny_model_write(&options, folder, sizeof folder);
    engine = run_open(folder, 2, 32, 8);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    engine_close(engine);
    tiny_model_remove(folder);
    return 0;
}

/* Leaves only printable ASCII in the answer. */
static struct engine_logit_bias ascii_bias[TINY_VOCAB];
static void only_ascii(struct engine_submit *submit)
{
    uint32_t n = 0;
    for (int32_t id = 0; id < TINY_VOCAB; id++)
        if (id < ' ' || id > '~')
            ascii_bias[n++] = (struct engine_logit_bias){id, -1000};
    submit->sampling.logit_bias = ascii_bias;
    submit->sampling.n_logit_bias = n;
}

static void test_exact_length_and_timings(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 50);
    run(engine, &submit, &first);
    assert_int_equal(first.finish, FINISH_LENGTH);
    assert_int_equal(first.n_tokens, 50);
    assert_int_equal(first.prompt_done, N_PROMPT);
    const struct engine_timings *t = &first.timings;
    assert_int_equal(t->prompt_tokens, N_PROMPT);
    assert_int_equal(t->cached_tokens, 0);
    assert_true(t->accepted_ns <= t->tokenized_ns && t->tokenized_ns <= t->prefill_start_ns &&
                t->prefill_start_ns < t->first_token_ns && t->first_token_ns < t->last_token_ns);
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.active_sequences + stats.queued_requests + stats.pages_used, 0);
    assert_int_equal(stats.generated_tokens, 50);
    assert_int_equal(stats.prefill_tokens, N_PROMPT);
    assert_int_equal(stats.finished_requests, 1);
    assert_int_equal(stats.steps, 50);
    assert_true(stats.pages_total >= 32 && stats.kv_bytes > 0 && stats.weight_bytes > 0);
    run(engine, &submit, &second);
    assert_memory_equal(first.tokens, second.tokens, 50 * sizeof *first.tokens);
    assert_string_equal(first.text, second.text);
}

static void test_three_kinds_of_prompt(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 10), text = submit;
    text.tokens = NULL;
    text.text = "Hello world";
    run(engine, &text, &second);
    struct token_list list = {0};
    assert_int_equal(tokenizer_encode(engine_tokenizer(engine), "Hello world", 11, true, &list, NULL), 0);
    submit.tokens = list.ids;
    submit.n_tokens = (uint32_t)list.count;
    run(engine, &submit, &first);
    token_list_free(&list);
    assert_memory_equal(first.tokens, second.tokens, 10 * sizeof *first.tokens);

    struct engine_submit chat = text;
    chat.text = NULL;
    chat.messages_json = "[{\"role\":\"user\",\"content\":\"the <|end|>\"}]";
    chat.add_generation_prompt = true;
    run(engine, &chat, &first);
    assert_int_equal(first.finish, FINISH_LENGTH);
    /* <|user|> the ␠ < | e n d | > <|end|> <|assistant|>: what a user types is never a control token, "the"
     * is one token */
    assert_int_equal(first.timings.prompt_tokens, 1 + 1 + 1 + 7 + 1 + 1);
}

static void test_eos_and_ignore_eos(void **state)
{
    (void)state;
    const struct engine_logit_bias bias = {TINY_END, 1000};
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 5);
    submit.ignore_eos = false;
    submit.sampling.logit_bias = &bias;
    submit.sampling.n_logit_bias = 1;
    run(engine, &submit, &first);
    assert_int_equal(first.finish, FINISH_STOP);
    assert_int_equal(first.n_tokens, 1);
    assert_int_equal(first.tokens[0], TINY_END);
    assert_string_equal(first.text, "");
    submit.show_special = true;
    run(engine, &submit, &first);
    assert_string_equal(first.text, "");
    submit.ignore_eos = true;
    run(engine, &submit, &first);
    assert_int_equal(first.finish, FINISH_LENGTH);
    assert_int_equal(first.n_tokens, 5);
    assert_string_equal(first.text, "<|end|><|end|><|end|><|end|><|end|>");
    submit.show_special = false;
    run(engine, &submit, &first);
    assert_string_equal(first.text, "");
}

static void test_stop_strings(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 60);
    only_ascii(&submit);
    submit.sampling.temperature = 1.2f;
    submit.sampling.seed = 5;
    run(engine, &submit, &first);
    assert_int_equal(first.text_length, 60);
    for (size_t length = 1; length <= 12; length++) {
        char stop[16] = {0};
        memcpy(stop, first.text + 30, length);
        const char *stops[] = {"never occurs", stop};
        submit.stops = stops;
        submit.n_stops = 2;
        run(engine, &submit, &second);
        size_t expected = (size_t)(strstr(first.text, stop) - first.text);
        assert_int_equal(second.finish, FINISH_STOP);
        assert_int_equal(second.text_length, expected);
        assert_memory_equal(second.text, first.text, expected);
        assert_int_equal(second.n_tokens, expected + length);
    }
    /* the start of a stop string at the very end is let out */
    char stop[16] = {0};
    memcpy(stop, first.text + 50, 10);
    strcat(stop, "\n");
    const char *stops[] = {stop};
    submit.stops = stops;
    submit.n_stops = 1;
    run(engine, &submit, &second);
    assert_int_equal(second.finish, FINISH_LENGTH);
    assert_string_equal(second.text, first.text);
}

/* Random bytes make every kind of broken character; the text must be what a detokenizer says, in whole ones.
 */
static void test_text_is_utf8(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 400);
    submit.sampling.temperature = 3;
    submit.sampling.seed = 11;
    struct engine_request *request = run_submit(engine, &submit);
    struct engine_event event;
    struct detokenizer detokenizer;
    char expected[RUN_TEXT];
    size_t length = 0;
    detokenizer_init(&detokenizer, engine_tokenizer(engine), false, true);
    memset(&first, 0, sizeof first);
    do {
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
        answer_take(&first, &event);
        if (event.text_length) {
            assert_true(((unsigned char)event.text[0] & 0xC0) != 0x80);
            assert_true((unsigned char)event.text[event.text_length - 1] < 0xC0);
        }
        if (event.kind == EVENT_TOKEN)
            length +=
                detokenizer_push(&detokenizer, event.token, expected + length, sizeof expected - length);
    } while (event.kind != EVENT_FINISH);
    length += detokenizer_finish(&detokenizer, expected + length, sizeof expected - length);
    engine_request_release(request);
    assert_int_equal(first.text_length, length);
    assert_memory_equal(first.text, expected, length);
}

static void test_logprobs(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 20);
    submit.logprobs = true;
    submit.top_logprobs = ENGINE_MAX_LOGPROBS;
    run(engine, &submit, &first);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(first.top[i][0].token, first.tokens[i]); /* greedy */
        assert_true(first.logprobs[i] == first.top[i][0].logprob && first.logprobs[i] <= 0);
        double sum = 0;
        for (int k = 0; k < ENGINE_MAX_LOGPROBS; k++) {
            sum += exp((double)first.top[i][k].logprob);
            assert_true(!k || first.top[i][k].logprob <= first.top[i][k - 1].logprob);
        }
        assert_true(sum > 0.1 && sum < 1.0001);
    }
}

/* Scores: one call per position, in order, and the last row is what generation starts from. */
struct scores {
    uint32_t n;
    float last[TINY_VOCAB];
};

static void take_score(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    struct scores *scores = context;
    assert_int_equal(position, scores->n++);
    assert_int_equal(vocab, TINY_VOCAB);
    memcpy(scores->last, logits, sizeof scores->last);
}

static void test_scoring(void **state)
{
    (void)state;
    int32_t tokens[TINY_CONTEXT];
    for (int i = 0; i < TINY_CONTEXT; i++)
        tokens[i] = i * 7 % 256;
    struct scores scores = {0};
    struct engine_submit submit = run_greedy(tokens, 333, 0);
    submit.on_logits = take_score;
    submit.on_logits_context = &scores;
    run(engine, &submit, &first);
    assert_int_equal(scores.n, 333);
    assert_int_equal(first.n_tokens, 0);
    assert_int_equal(first.finish, FINISH_LENGTH);
    scores.n = 0;
    submit.max_tokens = 3;
    run(engine, &submit, &first);
    assert_int_equal(scores.n, 333);
    assert_int_equal(first.n_tokens, 3);
    for (int i = 0; i < TINY_VOCAB; i++)
        assert_true(scores.last[i] <= scores.last[first.tokens[0]]);
    scores.n = 0;
    submit.max_tokens = 0; /* a whole context can be scored */
    submit.n_tokens = TINY_CONTEXT;
    run(engine, &submit, &first);
    assert_int_equal(scores.n, TINY_CONTEXT);
}

static void test_context_limit(void **state)
{
    (void)state;
    static int32_t tokens[TINY_CONTEXT + 1];
    struct engine_request *request;
    struct error error;
    struct engine_submit submit = run_greedy(tokens, TINY_CONTEXT - 3, 0);
    assert_int_equal(engine_info(engine)->context, TINY_CONTEXT);
    run(engine, &submit, &first); /* up to the context */
    assert_int_equal(first.n_tokens, 3);
    assert_int_equal(first.finish, FINISH_LENGTH);
    submit.max_tokens = 4;
    assert_int_equal(engine_submit(engine, &submit, &request, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, "2045"));
    assert_non_null(strstr(error.message, "2048"));
    submit = run_greedy(tokens, TINY_CONTEXT, 0);
    assert_int_equal(engine_submit(engine, &submit, &request, &error), ERROR_LIMIT);
    submit = run_greedy(tokens, TINY_CONTEXT + 1, 1);
    assert_int_equal(engine_submit(engine, &submit, &request, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, "2049"));
    assert_null(request);
}

static void refused(struct engine_submit submit, int code, const char *what)
{
    struct engine_request *request;
    struct error error = {0};
    assert_int_equal(engine_submit(engine, &submit, &request, &error), code);
    assert_null(request);
    if (!strstr(error.message, what))
        fail_msg("\"%s\" does not name %s", error.message, what);
}

static void test_refusals_name_the_field(void **state)
{
    (void)state;
    const struct engine_submit good = run_greedy(prompt, N_PROMPT, 5);
    struct engine_submit bad = good;
    bad.tokens = NULL;
    refused(bad, ERROR_INVALID, "no prompt");
    bad.text = "";
    refused(bad, ERROR_INVALID, "empty");
    bad = good;
    bad.n_tokens = 0;
    refused(bad, ERROR_INVALID, "empty");
    bad = good;
    bad.text = "x";
    refused(bad, ERROR_INVALID, "more than one");
    bad = good;
    bad.tools_json = "[]";
    refused(bad, ERROR_INVALID, "tools");
    const int32_t outside[] = {1, TINY_VOCAB}, negative[] = {-1};
    bad = run_greedy(outside, 2, 5);
    refused(bad, ERROR_INVALID, "token 1 of the prompt");
    bad = run_greedy(negative, 1, 5);
    refused(bad, ERROR_INVALID, "token 0 of the prompt");
    bad = good;
    bad.top_logprobs = 3;
    refused(bad, ERROR_INVALID, "logprobs");
    bad.logprobs = true;
    bad.top_logprobs = ENGINE_MAX_LOGPROBS + 1;
    refused(bad, ERROR_INVALID, "top_logprobs");
    bad = good;
    bad.sampling.top_p = 7;
    refused(bad, ERROR_INVALID, "top_p");
    bad = good;
    const char *stops[] = {""};
    bad.stops = stops;
    bad.n_stops = 1;
    refused(bad, ERROR_INVALID, "stops[0]");
    bad = good;
    bad.tokens = NULL;
    bad.messages_json = "not json";
    refused(bad, ERROR_INVALID, "");
}

static void test_messages_without_a_template(void **state)
{
    (void)state;
    char other[256], path[300];
    struct tiny_options options = {.format = TINY_BF16, .seed = 2};
    tiny_model_write(&options, other, sizeof other);
    snprintf(path, sizeof path, "%s/tokenizer_config.json", other);
    unlink(path);
    struct engine *shared = engine;
    engine = run_open(other, 1, 0, 1);
    assert_false(engine_info(engine)->has_chat_template);
    struct engine_submit submit = run_greedy(NULL, 0, 5);
    submit.messages_json = "[{\"role\":\"user\",\"content\":\"x\"}]";
    refused(submit, ERROR_UNSUPPORTED, "chat template");
    engine_close(engine);
    engine = shared;
    tiny_model_remove(other);
}

static void test_bad_weights_end_with_an_error(void **state)
{
    (void)state;
    char other[256];
    struct tiny_options options = {.format = TINY_F32, .seed = 2, .nan_logits = 1};
    tiny_model_write(&options, other, sizeof other);
    struct engine *broken = run_open(other, 1, 0, 2);
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 5);
    run(broken, &submit, &first);
    assert_int_equal(first.finish, FINISH_ERROR);
    assert_int_equal(first.n_tokens, 0);
    assert_non_null(strstr(first.error.message, "not finite"));
    run(broken, &submit, &first); /* and the engine goes on */
    assert_int_equal(first.finish, FINISH_ERROR);
    engine_close(broken);
    tiny_model_remove(other);
}

/* A token with more text than an event holds comes in several events, cut between characters. */
static void test_very_long_tokens(void **state)
{
    (void)state;
    enum { CHARACTERS = 600, BYTES = 1 + 3 * (CHARACTERS - 1), TOKENS = 4 };
    char other[256];
    const struct engine_logit_bias bias = {TINY_LONG, 1000};
    struct tiny_options options = {.format = TINY_BF16, .seed = 2, .long_token = CHARACTERS};
    tiny_model_write(&options, other, sizeof other);
    struct engine *long_tokens = run_open(other, 1, 0, 2);
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, TOKENS);
    submit.sampling.logit_bias = &bias;
    submit.sampling.n_logit_bias = 1;
    struct engine_request *request = run_submit(long_tokens, &submit);
    struct engine_event event;
    uint32_t n_events = 0;
    memset(&first, 0, sizeof first);
    do {
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
        answer_take(&first, &event);
        n_events += event.kind == EVENT_TOKEN;
        if (event.text_length)
            assert_true(((unsigned char)event.text[0] & 0xC0) != 0x80);
    } while (event.kind != EVENT_FINISH);
    engine_request_release(request);
    assert_int_equal(first.n_tokens, TOKENS);
    assert_int_equal(n_events, 4 * TOKENS); /* 511 + 510 + 510 + 267 bytes */
    assert_int_equal(first.text_length, TOKENS * BYTES);
    for (size_t i = 0; i < first.text_length; i++) {
        size_t place = i % BYTES;
        assert_int_equal(first.text[i], place == 0 ? 'x' : "\xE4\xB8\xAD"[(place - 1) % 3]);
    }
    const char *stops[] = {"\xE4\xB8\xAD\x78"}; /* between two tokens */
    submit.stops = stops;
    submit.n_stops = 1;
    run(long_tokens, &submit, &first);
    assert_int_equal(first.finish, FINISH_STOP);
    assert_int_equal(first.n_tokens, 2);
    assert_int_equal(first.text_length, BYTES - 3);
    engine_close(long_tokens);
    tiny_model_remove(other);
}

static void test_options_are_checked(void **state)
{
    (void)state;
    const struct {
        struct engine_options options;
        int code;
        const char *what;
    } cases[] = {
        {{.model = NULL}, ERROR_INVALID, "model"},
        {{.model = "/nonexistent/model"}, ERROR_NOT_FOUND, "nonexistent"},
        {{.model = folder, .context = TINY_CONTEXT + 1}, ERROR_LIMIT, "2048"},
        {{.model = folder, .max_sequences = 100000}, ERROR_LIMIT, "max_sequences"},
        {{.model = folder, .prefill_chunk = 10000000}, ERROR_LIMIT, "prefill_chunk"},
        {{.model = folder, .kv_bits = 7}, ERROR_INVALID, "kv_bits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct engine *none;
        struct error error = {0};
        assert_int_equal(engine_open(&cases[i].options, &none, &error), cases[i].code);
        assert_null(none);
        assert_non_null(strstr(error.message, cases[i].what));
    }
    struct engine_sampling sampling = engine_sampling_default(engine);
    assert_float_equal(sampling.temperature, 0.8f, 0);
    assert_int_equal(sampling.top_k, 40);
    assert_float_equal(sampling.top_p, 0.95f, 0);
    assert_float_equal(sampling.repetition_penalty, 1, 0);
}

static void test_trace(void **state)
{
    (void)state;
    struct engine_trace trace;
    struct error error = {0};
    if (engine_trace(engine, 3, 200, &trace, &error))
        fail_msg("engine_trace: %s", error.message);
    assert_true(trace.n_segments > 0 && trace.plain_step_ns > 0);
    uint64_t sum = 0;
    uint32_t next_op = 0;
    for (uint32_t i = 0; i < trace.n_segments; i++) {
        assert_int_equal(trace.segments[i].first_op, next_op);
        next_op += trace.segments[i].n_ops;
        assert_true(strlen(trace.segments[i].name) > 0);
        sum += trace.segments[i].ns;
    }
    assert_int_equal(next_op, engine_plan(engine)->n_ops);
    assert_true(sum > 0 && sum <= trace.traced_step_ns);
    engine_trace_free(&trace);

    assert_int_equal(engine_trace(engine, 0, 0, &trace, &error), ERROR_INVALID);
    assert_int_equal(engine_trace(engine, 9, 0, &trace, &error), ERROR_INVALID);
    assert_int_equal(engine_trace(engine, 1, TINY_CONTEXT, &trace, &error), ERROR_LIMIT);
    struct engine_submit submit = run_greedy(prompt, N_PROMPT, 2000);
    struct engine_request *request = run_submit(engine, &submit);
    assert_int_equal(engine_trace(engine, 1, 0, &trace, &error), ERROR_BUSY);
    engine_request_release(request);
    assert_int_equal(engine_trace(engine, 8, 0, &trace, &error), 0);
    engine_trace_free(&trace);
    run(engine, &submit, &first); /* pages came back: a whole context fits again */
    assert_int_equal(first.n_tokens, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_length_and_timings),
        cmocka_unit_test(test_three_kinds_of_prompt),
        cmocka_unit_test(test_eos_and_ignore_eos),
        cmocka_unit_test(test_stop_strings),
        cmocka_unit_test(test_text_is_utf8),
        cmocka_unit_test(test_logprobs),
        cmocka_unit_test(test_scoring),
        cmocka_unit_test(test_context_limit),
        cmocka_unit_test(test_refusals_name_the_field),
        cmocka_unit_test(test_messages_without_a_template),
        cmocka_unit_test(test_bad_weights_end_with_an_error),
        cmocka_unit_test(test_very_long_tokens),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_trace),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
