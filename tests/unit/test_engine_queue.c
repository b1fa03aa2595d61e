/* The way in and the way out: the queue and its limit, being told of events, checking before opening,
 * figures, and many threads that come and go while an engine closes. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/budget.h"
#include "engine/random.h"
#include "engine/state.h"
#include "platform/clock.h"

static char folder[256];
static struct answer first, second;
static int32_t prompt[TINY_CONTEXT];

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_BF16, .seed = 5};
    tiny_model_write(&options, folder, sizeof folder);
    for (int i = 0; i < TINY_CONTEXT; i++)
        prompt[i] = i * 13 % 256;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    return 0;
}

static struct engine *open_with(uint32_t max_sequences, uint32_t queue_limit)
{
    struct engine_options options = {
        .model = folder, .n_threads = 1, .max_sequences = max_sequences, .queue_limit = queue_limit};
    struct engine *engine = NULL;
    struct error error = {0};
    if (engine_open(&options, &engine, &error))
        fail_msg("engine_open: %s", error.message);
    return engine;
}

static struct engine_stats stats_of(struct engine *engine)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats;
}

/* ---- the limit ---- */

static void test_queue_limit(void **state)
{
    (void)state;
    struct engine *engine = open_with(2, 3);
    struct engine_submit submit = run_greedy(prompt, 10, 2000);
    struct engine_request *requests[5], *none;
    struct error error = {0};
    for (int i = 0; i < 5; i++) /* two run (or soon will), three wait: never read, so they stay */
        requests[i] = run_submit(engine, &submit);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(engine_submit(engine, &submit, &none, &error), ERROR_BUSY);
        assert_null(none);
    }
    assert_non_null(strstr(error.message, "5 requests"));
    assert_non_null(strstr(error.message, "at most 3"));
    assert_non_null(strstr(error.message, "try again"));
    assert_int_equal(stats_of(engine).rejected_requests, 3);
    /* before any work: an invalid request is not even looked at, a huge text not tokenized */
    struct engine_submit wrong = {0};
    assert_int_equal(engine_submit(engine, &wrong, &none, &error), ERROR_BUSY);
    engine_request_release(requests[4]);
    assert_int_equal(engine_submit(engine, &wrong, &none, &error), ERROR_INVALID);
    requests[4] = run_submit(engine, &submit); /* a refused one keeps no place */
    assert_int_equal(engine_submit(engine, &submit, &none, &error), ERROR_BUSY);
    engine_request_release(requests[0]);
    requests[0] = run_submit(engine, &submit);
    assert_int_equal(engine_submit(engine, &submit, &none, &error), ERROR_BUSY);
    for (int i = 0; i < 5; i++)
        engine_request_release(requests[i]);
    run(engine, &submit, &first);
    assert_int_equal(first.n_tokens, 2000);
    assert_int_equal(stats_of(engine).rejected_requests, 6);
    assert_int_equal(stats_of(engine).queued_requests, 0);
    engine_close(engine);
}

/* Free slots help nobody while the oldest waits for pages: then the limit alone counts. */
static void test_queue_limit_without_pages(void **state)
{
    (void)state;
    struct engine *engine = open_with(8, 2);
    struct local_engine *local = (struct local_engine *)engine;
    uint32_t rest = kvcache_available(&local->kvcache) - 1;
    assert_true(kvcache_reserve(&local->kvcache, NULL, 0, rest)); /* its thread sleeps: ours for a moment */
    struct engine_submit submit = run_greedy(prompt, 10, 55);
    struct engine_request *requests[3], *none;
    struct error error;
    struct engine_event event;
    requests[0] = run_submit(engine, &submit); /* takes the one page, pauses because it is not read */
    assert_int_equal(engine_next_event(requests[0], &event, RUN_TIMEOUT_MS), 1);
    requests[1] = run_submit(engine, &submit);
    for (bool waits = false; !waits; sched_yield()) {
        pthread_mutex_lock(&local->lock);
        waits = local->short_of_pages;
        pthread_mutex_unlock(&local->lock);
    }
    requests[2] = run_submit(engine, &submit);
    assert_int_equal(engine_submit(engine, &submit, &none, &error), ERROR_BUSY);
    for (int i = 0; i < 3; i++) {
        run_collect(requests[i], &first);
        assert_int_equal(first.n_tokens, 55);
    }
    run(engine, &submit, &first);
    engine_close(engine);
}

/* ---- being told ---- */

struct told {
    atomic_uint n;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* A typical hook: it takes a lock that the reader holds while it calls engine_next_event. */
static void tell(void *context)
{
    struct told *told = context;
    pthread_mutex_lock(&told->lock);
    atomic_fetch_add(&told->n, 1);
    pthread_cond_signal(&told->changed);
    pthread_mutex_unlock(&told->lock);
}

static void test_on_event(void **state)
{
    (void)state;
    struct engine *engine = open_with(2, 0);
    struct engine_submit submit = run_greedy(prompt, 300, 200);
    for (int i = 0; i < 3; i++) {
        struct told *told = calloc(1, sizeof *told); /* freed right after release: sanitizers watch */
        assert_non_null(told);
        pthread_mutex_init(&told->lock, NULL);
        pthread_cond_init(&told->changed, NULL);
        submit.on_event = tell;
        submit.on_event_context = told;
        struct engine_request *request = run_submit(engine, &submit);
        struct engine_event event = {0};
        uint32_t n_events = 0;
        pthread_mutex_lock(&told->lock);
        while (event.kind != EVENT_FINISH && !(i == 2 && n_events == 20)) {
            int got = engine_next_event(request, &event, 0);
            assert_true(got >= 0);
            n_events += (uint32_t)got;
            if (!got) /* no time-out: a wake-up that is lost would hang here */
                pthread_cond_wait(&told->changed, &told->lock);
        }
        pthread_mutex_unlock(&told->lock);
        engine_request_release(request); /* the third one while it runs */
        if (i < 2)
            assert_int_equal(atomic_load(&told->n), n_events);
        else
            assert_true(atomic_load(&told->n) > n_events);
        pthread_cond_destroy(&told->changed);
        pthread_mutex_destroy(&told->lock);
        free(told);
    }
    engine_close(engine);
}

static atomic_bool in_hook, leave_hook;
static void slow_hook(void *context)
{
    struct engine_event *seen = context;
    if (seen->kind == EVENT_FINISH) /* written by the test before it cancels */
        return;
    atomic_store(&in_hook, true);
    while (!atomic_load(&leave_hook))
        sched_yield();
}

static void *release_main(void *request)
{
    engine_request_release(request);
    return NULL;
}

/* Release waits for a hook that is being called. */
static void test_release_waits_for_the_hook(void **state)
{
    (void)state;
    struct engine *engine = open_with(1, 0);
    struct engine_submit submit = run_greedy(prompt, 5, 50);
    struct engine_event context = {.kind = EVENT_TOKEN};
    submit.on_event = slow_hook;
    submit.on_event_context = &context;
    struct engine_request *request = run_submit(engine, &submit);
    while (!atomic_load(&in_hook))
        sched_yield();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, release_main, request), 0);
    atomic_store(&leave_hook, true);
    pthread_join(thread, NULL);
    assert_int_equal(stats_of(engine).active_sequences, 0);
    engine_close(engine);
}

/* ---- checking before opening ---- */

static void test_check(void **state)
{
    (void)state;
    const struct engine_options good = {.model = folder};
    const struct {
        struct engine_options options;
        int code;
        const char *what;
    } cases[] = {
        {{.model = NULL}, ERROR_INVALID, "model"},
        {{.model = "/nonexistent/model"}, ERROR_NOT_FOUND, "nonexistent"},
        {{.model = folder, .context = TINY_CONTEXT + 1}, ERROR_LIMIT, "2048"},
        {{.model = folder, .max_sequences = 100000}, ERROR_LIMIT, "max_sequences"},
        {{.model = folder, .kv_bits = 7}, ERROR_INVALID, "kv_bits"},
        {{.model = folder, .backend = "abacus"}, ERROR_INVALID, "abacus"},
        {{.model = folder, .isa = "z80"}, 0, "z80"},
    };
    struct error error = {0};
    if (engine_check(&good, &error))
        fail_msg("engine_check: %s", error.message);
    assert_int_equal(engine_check(&good, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct engine *none;
        struct error opened = {0};
        int status = engine_check(&cases[i].options, &error);
        assert_true(cases[i].code ? status == cases[i].code : status != 0);
        assert_non_null(strstr(error.message, cases[i].what));
        assert_int_equal(engine_open(&cases[i].options, &none, &opened), status); /* the same */
        assert_string_equal(error.message, opened.message);
    }
    char path[300]; /* the tokenizer is not needed to say whether the model fits */
    snprintf(path, sizeof path, "%s/tokenizer.json", folder);
    char aside[310];
    snprintf(aside, sizeof aside, "%s.aside", path);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(engine_check(&good, &error), 0);
    assert_int_equal(rename(aside, path), 0);
}

static void test_what_will_be_given_back_counts(void **state)
{
    (void)state;
    assert_true(budget_with(100, 20) == 120);
    assert_true(budget_with(UINT64_MAX, 20) == UINT64_MAX);
    assert_true(budget_with(100, UINT64_MAX) == UINT64_MAX);
    uint32_t n;
    struct budget_input input = {.weight_file_bytes = 100, .page_bytes = 10, .context = 64};
    input.max_sequences = 1;
    input.available_bytes = budget_with(80, 0);
    assert_int_equal(budget_pages(&input, &n, NULL), ERROR_LIMIT);
    input.available_bytes = budget_with(80, 30);
    assert_int_equal(budget_pages(&input, &n, NULL), 0);
    assert_int_equal(n, 1);
}

/* ---- figures ---- */

static void test_time_spent_in_steps(void **state)
{
    (void)state;
    struct engine *engine = open_with(1, 0);
    struct engine_submit submit = run_greedy(prompt, 100, 100);
    uint64_t start = clock_now_ns();
    run(engine, &submit, &first);
    uint64_t took = clock_now_ns() - start;
    struct engine_stats stats = stats_of(engine);
    assert_true(stats.step_ns > 0 && stats.step_ns <= took);
    assert_int_equal(stats.steps, 100);
    assert_int_equal(stats_of(engine).step_ns, stats.step_ns); /* nothing runs: nothing is added */
    engine_close(engine);
}

static atomic_bool held, let_go;
static void hold(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    (void)context, (void)position, (void)logits, (void)vocab;
    atomic_store(&held, true);
    while (!atomic_load(&let_go))
        sched_yield();
}

/* Requests that are alike go forward together, and come in the order in which they were submitted. */
static void test_fair_order(void **state)
{
    (void)state;
    enum { ALL = 24, SLOTS = 4, TOKENS = 25 }; /* fits the ring: nobody pauses */
    struct engine *engine = open_with(SLOTS, 0);
    struct engine_request *requests[ALL];
    struct engine_submit holding = run_greedy(prompt, 1, 0);
    holding.on_logits = hold;
    struct engine_request *holder = run_submit(engine, &holding); /* all come before the first is admitted */
    while (!atomic_load(&held))
        sched_yield();
    for (int i = 0; i < ALL; i++) {
        struct engine_submit submit = run_greedy(prompt + i, 20, TOKENS);
        requests[i] = run_submit(engine, &submit);
    }
    atomic_store(&let_go, true);
    uint64_t last_start = 0, end[ALL];
    for (int i = 0; i < ALL; i++) {
        run_collect(requests[i], &first);
        assert_int_equal(first.n_tokens, TOKENS);
        assert_true(first.timings.prefill_start_ns >= last_start);
        last_start = first.timings.prefill_start_ns;
        end[i] = first.timings.last_token_ns;
        if (i >= SLOTS) /* not before somebody had gone */
            assert_true(last_start > end[i - SLOTS]);
    }
    /* 24 requests of 25 tokens on 4 slots: one token for each in every step */
    assert_int_equal(stats_of(engine).steps, 1 + ALL / SLOTS * TOKENS);
    engine_request_release(holder);
    engine_close(engine);
}

/* ---- a storm ---- */

struct visitor {
    pthread_t thread;
    struct engine *engine;
    uint64_t number;
    uint32_t n_busy, n_finished;
};

static void *visit(void *context)
{
    struct visitor *visitor = context;
    struct engine_event event = {0};
    for (uint64_t turn = 0; turn < 40; turn++) {
        uint64_t dice = random_u64(visitor->number, turn);
        struct engine_submit submit =
            run_greedy(prompt, 1 + (uint32_t)(dice % 300), 1 + (uint32_t)((dice >> 32) % 30));
        struct engine_request *request;
        int status = engine_submit(visitor->engine, &submit, &request, NULL);
        if (status) {
            assert_int_equal(status, ERROR_BUSY);
            visitor->n_busy++;
            continue;
        }
        for (uint64_t i = 0; i < (dice >> 16) % 8; i++)
            engine_next_event(request, &event, 1);
        if (dice >> 20 & 1)
            engine_cancel(request);
        if (dice >> 21 & 1) {
            while (engine_next_event(request, &event, RUN_TIMEOUT_MS) == 1)
                ;
            assert_int_equal(event.kind, EVENT_FINISH);
            visitor->n_finished++;
        }
        engine_request_release(request);
    }
    return NULL;
}

static void test_storm(void **state)
{
    (void)state;
    enum { VISITORS = 16 };
    struct engine *engine = open_with(3, 5);
    struct visitor visitors[VISITORS] = {0};
    for (uint64_t i = 0; i < VISITORS; i++) {
        visitors[i].engine = engine;
        visitors[i].number = i;
        assert_int_equal(pthread_create(&visitors[i].thread, NULL, visit, &visitors[i]), 0);
    }
    uint64_t n_busy = 0, n_in = 0;
    for (int i = 0; i < VISITORS; i++) {
        pthread_join(visitors[i].thread, NULL);
        n_busy += visitors[i].n_busy;
        n_in += 40 - visitors[i].n_busy;
    }
    struct engine_stats stats = stats_of(engine);
    assert_int_equal(stats.rejected_requests, n_busy);
    assert_int_equal(stats.finished_requests + stats.cancelled_requests, n_in);
    assert_int_equal(stats.active_sequences + stats.queued_requests, 0);
    assert_int_equal(stats.pages_used, stats.pages_cached);
    struct engine_submit submit = run_greedy(prompt, 20, 5);
    run(engine, &submit, &second); /* nobody has kept a place in the queue */
    assert_int_equal(second.n_tokens, 5);
    engine_close(engine);
}

static atomic_uint n_told;
static void count_told(void *context)
{
    (void)context;
    atomic_fetch_add(&n_told, 1);
}

/* Closing ends what queues as well; each of them is told once. */
static void test_close_while_requests_wait(void **state)
{
    (void)state;
    enum { ALL = 200 };
    struct engine *engine = open_with(1, 0);
    struct engine_request *requests[ALL];
    struct engine_submit submit = run_greedy(prompt, 10, 2000);
    submit.on_event = count_told;
    atomic_store(&n_told, 0);
    for (int i = 0; i < ALL; i++)
        requests[i] = run_submit(engine, &submit);
    for (int i = 10; i < ALL; i += 3)
        engine_cancel(requests[i]);
    engine_close(engine);
    assert_true(atomic_load(&n_told) >= ALL);
    for (int i = 0; i < ALL; i++) {
        struct engine_event event;
        do
            assert_int_equal(engine_next_event(requests[i], &event, 0), 1);
        while (event.kind != EVENT_FINISH);
        assert_int_equal(event.finish, FINISH_CANCELLED);
        engine_request_release(requests[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_queue_limit_without_pages),
        cmocka_unit_test(test_on_event),
        cmocka_unit_test(test_release_waits_for_the_hook),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_what_will_be_given_back_counts),
        cmocka_unit_test(test_time_spent_in_steps),
        cmocka_unit_test(test_fair_order),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_close_while_requests_wait),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
