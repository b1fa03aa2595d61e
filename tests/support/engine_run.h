/* For tests that drive a whole engine: open one on a tiny model, submit, collect an answer. */
#ifndef LLMIND_TESTS_ENGINE_RUN_H
#define LLMIND_TESTS_ENGINE_RUN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/engine.h"

enum { RUN_TOKENS = 2048, RUN_TEXT = 8192, RUN_TIMEOUT_MS = 120000 };

/* Everything a request told its reader. */
struct answer {
    int32_t tokens[RUN_TOKENS];
    float logprobs[RUN_TOKENS];
    struct engine_logprob top[RUN_TOKENS][ENGINE_MAX_LOGPROBS];
    uint32_t n_tokens, n_prefill_events, prompt_done;
    char text[RUN_TEXT];
    size_t text_length;
    enum engine_finish finish;
    struct error error;
    struct engine_timings timings;
};

static inline struct engine *run_open(const char *folder, uint32_t n_threads, uint32_t prefill_chunk,
                                      uint32_t max_sequences)
{
    struct engine_options options = {.model = folder,
                                     .n_threads = n_threads,
                                     .prefill_chunk = prefill_chunk,
                                     .max_sequences = max_sequences};
    struct engine *engine = NULL;
    struct error error = {0};
    if (engine_open(&options, &engine, &error))
        fail_msg("engine_open: %s", error.message);
    return engine;
}

/* Greedy, exactly n tokens. */
static inline struct engine_submit run_greedy(const int32_t *prompt, uint32_t n_prompt, uint32_t n)
{
    return (struct engine_submit){.tokens = prompt,
                                  .n_tokens = n_prompt,
                                  .max_tokens = n,
                                  .ignore_eos = true,
                                  .sampling = {.top_p = 1, .repetition_penalty = 1}};
}

static inline struct engine_request *run_submit(struct engine *engine, const struct engine_submit *submit)
{
    struct engine_request *request = NULL;
    struct error error = {0};
    if (engine_submit(engine, submit, &request, &error))
        fail_msg("engine_submit: %s", error.message);
    return request;
}

static inline void answer_take(struct answer *answer, const struct engine_event *event)
{
    if (event->kind == EVENT_PREFILL) {
        assert_int_equal(answer->n_tokens, 0);
        assert_true(event->prompt_done > answer->prompt_done && event->prompt_done <= event->prompt_tokens);
        answer->prompt_done = event->prompt_done;
        answer->n_prefill_events++;
        return;
    }
    assert_true(answer->text_length + event->text_length < RUN_TEXT);
    memcpy(answer->text + answer->text_length, event->text, event->text_length);
    answer->text_length += event->text_length;
    answer->text[answer->text_length] = '\0';
    if (event->kind == EVENT_FINISH) {
        answer->finish = event->finish;
        answer->error = event->error;
        answer->timings = event->timings;
    } else if (!event->more_text) {
        assert_true(answer->n_tokens < RUN_TOKENS);
        answer->tokens[answer->n_tokens] = event->token;
        answer->logprobs[answer->n_tokens] = event->logprob;
        memcpy(answer->top[answer->n_tokens], event->top, sizeof event->top);
        answer->n_tokens++;
    }
}

/* Reads a request to its end, checks what is always true of one, and releases it. */
static inline void run_collect(struct engine_request *request, struct answer *answer)
{
    struct engine_event event;
    memset(answer, 0, sizeof *answer);
    do {
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
        answer_take(answer, &event);
    } while (event.kind != EVENT_FINISH);
    assert_int_equal(engine_next_event(request, &event, 0), -1);
    assert_int_equal(answer->timings.generated_tokens, answer->n_tokens);
    engine_request_release(request);
}

static inline void run(struct engine *engine, const struct engine_submit *submit, struct answer *answer)
{
    run_collect(run_submit(engine, submit), answer);
}

#endif
