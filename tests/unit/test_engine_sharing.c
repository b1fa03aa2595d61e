/* Prompts that begin alike, on a whole engine: how much is taken over, and that answers are the same bits
 * with and without it. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/random.h"
#include "engine/state.h"

static char folder[256];
static struct engine *engine;
static struct answer first, second;
static int32_t prompt[TINY_CONTEXT];
enum { SLOTS = 8, CHUNK = 100, PAGE = BACKEND_PAGE_TOKENS };

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_4BIT, .seed = 8};
    tiny_model_write(&options, folder, sizeof folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    return 0;
}

/* Every test has its own text, and an engine that knows nothing yet. */
static int open_engine(void **state)
{
    static uint64_t text;
    (void)state;
    text++;
    for (uint32_t i = 0; i < TINY_CONTEXT; i++)
        prompt[i] = (int32_t)(random_u64(text, i) % 256);
    engine = run_open(folder, 2, CHUNK, SLOTS);
    return 0;
}

static int close_engine(void **state)
{
    (void)state;
    engine_close(engine);
    return 0;
}

static struct engine_stats stats_now(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats;
}

static void assert_nobody(void)
{
    struct engine_stats stats = stats_now();
    assert_int_equal(stats.active_sequences + stats.queued_requests, 0);
    assert_int_equal(stats.pages_used, stats.pages_cached);
    assert_true(stats.pages_used <= stats.pages_total);
}

static struct engine_submit watched(uint32_t n_prompt, uint32_t n)
{
    struct engine_submit submit = run_greedy(prompt, n_prompt, n);
    submit.logprobs = true;
    submit.top_logprobs = ENGINE_MAX_LOGPROBS;
    return submit;
}

static void assert_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens);
    assert_memory_equal(a->logprobs, b->logprobs, a->n_tokens * sizeof *a->logprobs);
    assert_memory_equal(a->top, b->top, a->n_tokens * sizeof *a->top);
    assert_string_equal(a->text, b->text);
}

static void test_same_bits_with_and_without(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {1, 63, 64, 65, 127, 128, 129, 300, 640, 1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        uint32_t known = i ? (lengths[i - 1] + 19) / PAGE * PAGE : 0; /* what the one before has left */
        uint32_t whole = (lengths[i] - 1) / PAGE * PAGE;              /* what could be used of it */
        struct engine_submit submit = watched(lengths[i], 20);
        submit.no_cache = true;
        run(engine, &submit, &first);
        assert_int_equal(first.timings.cached_tokens, 0);
        submit.no_cache = false;
        run(engine, &submit, &second);
        assert_in_range(second.timings.cached_tokens, 0, known);
        assert_same(&first, &second);
        run(engine, &submit, &second);
        assert_int_equal(second.timings.cached_tokens, whole);
        assert_int_equal(second.prompt_done, lengths[i]);
        assert_same(&first, &second);
    }
    assert_nobody();
    engine_close(engine);
    struct engine_options options = {
        .model = folder, .n_threads = 1, .max_sequences = 2, .no_prefix_sharing = true};
    assert_int_equal(engine_open(&options, &engine, NULL), 0);
    struct engine_submit submit = watched(1000, 20);
    for (int i = 0; i < 2; i++) {
        run(engine, &submit, &second);
        assert_int_equal(second.timings.cached_tokens, 0);
        assert_same(&first, &second);
    }
    assert_int_equal(stats_now().pages_used, 0);
    assert_int_equal(stats_now().cached_tokens, 0);
}

static void test_figures(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, 200, 10);
    run(engine, &submit, &first);
    struct engine_stats stats = stats_now();
    assert_int_equal(stats.prefill_tokens, 200);
    assert_int_equal(stats.pages_cached, 3);
    assert_int_equal(stats.pages_used, 3);
    assert_true(stats.kv_used_bytes > 0 && stats.kv_used_bytes * stats.pages_total == stats.kv_bytes * 3);
    struct engine_request *request = run_submit(engine, &submit);
    struct engine_event event;
    assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
    assert_int_equal(event.kind, EVENT_PREFILL);
    assert_int_equal(event.prompt_done, 200); /* 192 known and 8 computed, in one step */
    assert_int_equal(event.prompt_tokens, 200);
    engine_request_release(request);
    stats = stats_now();
    assert_int_equal(stats.prefill_tokens, 208);
    assert_int_equal(stats.cached_tokens, 192);
    prompt[100]++; /* another text from the second page on */
    run(engine, &submit, &first);
    assert_int_equal(first.timings.cached_tokens, 64);
    assert_int_equal(stats_now().pages_cached, 5);
}

/* The next turn of a conversation: what was said, the answer, and something new. */
static void test_answers_are_kept(void **state)
{
    (void)state;
    struct engine_submit submit = watched(150, 200);
    submit.sampling.temperature = 1;
    run(engine, &submit, &first);
    memcpy(prompt + 150, first.tokens, 200 * sizeof *prompt);
    submit = watched(400, 20);
    run(engine, &submit, &second);
    assert_int_equal(second.timings.cached_tokens, 320); /* of 349 positions that were stored */
    submit.no_cache = true;
    run(engine, &submit, &first);
    assert_same(&first, &second);
    prompt[200]++; /* not what was answered */
    submit.no_cache = false;
    run(engine, &submit, &second);
    assert_int_equal(second.timings.cached_tokens, 192);
    submit.no_cache = true;
    run(engine, &submit, &first);
    assert_same(&first, &second);
}

static void count_logits(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    (void)logits, (void)vocab;
    assert_int_equal(position, (*(uint32_t *)context)++);
}

static void test_scored_and_timed_prompts_stay_outside(void **state)
{
    (void)state;
    uint32_t n = 0;
    struct engine_submit submit = run_greedy(prompt, 300, 5);
    submit.no_cache = true;
    run(engine, &submit, &first);
    submit.no_cache = false;
    submit.on_logits = count_logits;
    submit.on_logits_context = &n;
    run(engine, &submit, &first);
    assert_int_equal(stats_now().pages_used, 0); /* they leave nothing */
    submit.on_logits = NULL;
    run(engine, &submit, &first);
    assert_int_equal(first.timings.cached_tokens, 0);
    assert_int_equal(stats_now().pages_cached, 4);
    submit.on_logits = count_logits;
    n = 0;
    run(engine, &submit, &first); /* and use nothing */
    assert_int_equal(n, 300);
    submit.on_logits = NULL;
    submit.no_cache = true;
    run(engine, &submit, &first);
    assert_int_equal(first.timings.cached_tokens, 0);
    assert_int_equal(stats_now().pages_cached, 4);
}

static void test_shares_with_one_that_still_runs(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, 300, 1500);
    struct engine_request *running = run_submit(engine, &submit); /* not read: it pauses after some tokens */
    struct engine_event event;
    do
        assert_int_equal(engine_next_event(running, &event, RUN_TIMEOUT_MS), 1);
    while (event.kind != EVENT_TOKEN);
    submit.max_tokens = 30;
    run(engine, &submit, &first);
    assert_int_equal(first.timings.cached_tokens, 256);
    struct engine_stats stats = stats_now();
    assert_int_equal(stats.active_sequences, 1);
    engine_request_release(running); /* its pages may be used by others now, or are kept */
    submit.no_cache = true;
    run(engine, &submit, &second);
    assert_same(&first, &second);
    assert_nobody();
}

/* ---- at the same time ---- */

static atomic_bool held, let_go;
static void hold(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    (void)context, (void)position, (void)logits, (void)vocab;
    atomic_store(&held, true);
    while (!atomic_load(&let_go))
        sched_yield();
}

/* Holds the engine's thread, so that what is submitted meanwhile is admitted in one turn. */
static struct engine_request *hold_engine(void)
{
    struct engine_submit submit = run_greedy(prompt, 1, 0);
    submit.on_logits = hold;
    atomic_store(&held, false);
    atomic_store(&let_go, false);
    struct engine_request *holder = run_submit(engine, &submit);
    while (!atomic_load(&held))
        sched_yield();
    return holder;
}

static void test_a_crowd_computes_its_prompt_once(void **state)
{
    (void)state;
    struct engine_request *holder = hold_engine(), *requests[SLOTS];
    struct engine_submit submit = watched(600, 10);
    for (int i = 0; i < SLOTS; i++)
        requests[i] = run_submit(engine, &submit);
    atomic_store(&let_go, true);
    engine_request_release(holder);
    for (int i = 0; i < SLOTS; i++) {
        run_collect(requests[i], i ? &second : &first);
        assert_int_equal((i ? &second : &first)->timings.cached_tokens, i ? 576 : 0);
        if (i)
            assert_same(&first, &second);
    }
    assert_int_equal(stats_now().prefill_tokens, 1 + 600 + (SLOTS - 1) * (600 - 576));
    submit.no_cache = true;
    run(engine, &submit, &second);
    assert_same(&first, &second);
}

/* The one that computes for all goes away in the middle of its prompt. */
static void test_the_first_of_a_crowd_leaves(void **state)
{
    (void)state;
    struct engine_request *holder = hold_engine(), *requests[4];
    struct engine_submit submit = watched(1900, 10);
    struct engine_event event;
    for (int i = 0; i < 4; i++)
        requests[i] = run_submit(engine, &submit);
    atomic_store(&let_go, true);
    assert_int_equal(engine_next_event(requests[0], &event, RUN_TIMEOUT_MS), 1);
    assert_true(event.prompt_done < 1900);
    engine_request_release(requests[0]);
    engine_request_release(holder);
    for (int i = 1; i < 4; i++)
        run_collect(requests[i], i > 1 ? &second : &first);
    assert_true(second.timings.cached_tokens == 1856);
    assert_same(&first, &second);
    submit.no_cache = true;
    run(engine, &submit, &second);
    assert_same(&first, &second);
    assert_nobody();
}

/* ---- when room is short ---- */

static void test_old_texts_make_room(void **state)
{
    (void)state;
    engine_close(engine);
    engine = run_open(folder, 2, 512, 1); /* one context: 32 pages */
    assert_int_equal(stats_now().pages_total, TINY_CONTEXT / PAGE);
    struct engine_submit submit = watched(700, 40); /* 11 full pages each */
    submit.no_cache = true;
    run(engine, &submit, &first);
    submit.no_cache = false;
    for (uint32_t text = 0; text < 12; text++) { /* six texts in turn: none is there any more */
        prompt[0] = (int32_t)(text % 6);
        run(engine, &submit, &second);
        assert_int_equal(second.timings.cached_tokens, 0);
        assert_true(stats_now().pages_cached <= 32);
        run(engine, &submit, &second);
        assert_int_equal(second.timings.cached_tokens, 640);
    }
    assert_in_range(stats_now().pages_cached, 22, 32);
    struct engine_submit whole = run_greedy(prompt, 2000, 48); /* every page there is */
    run(engine, &whole, &second);
    assert_int_equal(second.n_tokens, 48);
    assert_int_equal(second.timings.cached_tokens, 640);
    prompt[0] = (int32_t)(random_u64(0, 0) % 200) + 7;
    struct engine_trace trace;
    assert_int_equal(engine_trace(engine, 1, TINY_CONTEXT - 1, &trace, NULL), 0); /* so does a trace */
    engine_trace_free(&trace);
    assert_int_equal(stats_now().pages_total, 32);
    run(engine, &submit, &first);
    submit.no_cache = true;
    run(engine, &submit, &second);
    assert_same(&first, &second);
    assert_nobody();
}

/* ---- a storm ---- */

enum { CLIENTS = 8, TURNS = 8, TEXTS = 4 };
struct client {
    pthread_t thread;
    uint32_t number;
    struct answer answer;
};
static struct answer *expected; /* [TEXTS] */
static int32_t texts[TEXTS][TINY_CONTEXT];

static struct engine_submit storm_submit(uint32_t text)
{
    struct engine_submit submit = run_greedy(texts[text], 200 + 150 * text, 60);
    submit.sampling.temperature = 1;
    submit.sampling.seed = text;
    return submit;
}

static void *client_main(void *context)
{
    struct client *client = context;
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        uint64_t dice = random_u64(client->number, turn);
        uint32_t text = (uint32_t)(dice % TEXTS);
        struct engine_submit submit = storm_submit(text);
        submit.no_cache = dice >> 8 & 1 && dice >> 9 & 1;
        struct engine_request *request = run_submit(engine, &submit);
        if (dice >> 10 & 1) { /* leaves after a while */
            struct engine_event event;
            for (uint64_t i = 0; i < (dice >> 11) % 10; i++)
                engine_next_event(request, &event, 1);
            engine_request_release(request);
            continue;
        }
        run_collect(request, &client->answer);
        assert_int_equal(client->answer.n_tokens, 60);
        assert_memory_equal(client->answer.tokens, expected[text].tokens, 60 * sizeof(int32_t));
    }
    return NULL;
}

static void test_storm(void **state)
{
    (void)state;
    engine_close(engine);
    engine = run_open(folder, 2, 64, 2);
    struct client *clients = calloc(CLIENTS, sizeof *clients);
    expected = calloc(TEXTS, sizeof *expected);
    assert_true(clients && expected);
    for (uint32_t text = 0; text < TEXTS; text++) {
        memcpy(texts[text], prompt, sizeof prompt);
        texts[text][100 * text]++; /* alike at first */
        struct engine_submit submit = storm_submit(text);
        submit.no_cache = true;
        run(engine, &submit, &expected[text]);
    }
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        assert_int_equal(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        pthread_join(clients[i].thread, NULL);
    assert_nobody();
    assert_true(stats_now().cached_tokens > 0);
    assert_int_equal(kvcache_available(&((struct local_engine *)engine)->kvcache), stats_now().pages_total);
    free(expected);
    free(clients);
}

int main(void)
{
#define WITH_ENGINE(test) cmocka_unit_test_setup_teardown(test, open_engine, close_engine)
    const struct CMUnitTest tests[] = {
        WITH_ENGINE(test_same_bits_with_and_without),
        WITH_ENGINE(test_figures),
        WITH_ENGINE(test_answers_are_kept),
        WITH_ENGINE(test_scored_and_timed_prompts_stay_outside),
        WITH_ENGINE(test_shares_with_one_that_still_runs),
        WITH_ENGINE(test_a_crowd_computes_its_prompt_once),
        WITH_ENGINE(test_the_first_of_a_crowd_leaves),
        WITH_ENGINE(test_old_texts_make_room),
        WITH_ENGINE(test_storm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
