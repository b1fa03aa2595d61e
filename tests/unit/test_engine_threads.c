/* Many requests and many threads: cancelling, late readers, waiting for slots and pages, closing under load.
 */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/state.h"

static char folder[256];
static struct engine *engine;
static struct answer first, second;
static int32_t prompt[TINY_CONTEXT];
enum { SLOTS = 8 };

static int set_up(void **state)
{
    (void)state;
    struct tiny_options options = {.format = TINY_BF16, .seed = 3};
    tiny_model_write(&options, folder, sizeof folder);
    for (int i = 0; i < TINY_CONTEXT; i++)
        prompt[i] = i * 31 % 256;
    engine = run_open(folder, 2, 16, SLOTS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    engine_close(engine);
    tiny_model_remove(folder);
    return 0;
}

static uint64_t steps(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    return stats.steps;
}

static void assert_idle(void)
{
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.active_sequences, 0);
    assert_int_equal(stats.queued_requests, 0);
    assert_int_equal(stats.pages_used, stats.pages_cached); /* nobody's */
}

static void read_to_finish(struct engine_request *request, struct engine_event *event)
{
    do
        assert_int_equal(engine_next_event(request, event, RUN_TIMEOUT_MS), 1);
    while (event->kind != EVENT_FINISH);
}

static void expect_cancelled(struct engine_request *request, uint64_t steps_before,
                             struct engine_event *event)
{
    read_to_finish(request, event);
    assert_int_equal(event->finish, FINISH_CANCELLED);
    assert_true(steps() <= steps_before + 1);
    engine_cancel(request); /* too late, and harmless */
    engine_request_release(request);
    assert_idle();
}

/* Holds the engine's thread in the middle of a step until the test lets it go. */
static atomic_bool reached, let_go;
static void hold(void *context, uint32_t position, const float *logits, uint32_t vocab)
{
    (void)context, (void)logits, (void)vocab;
    if (position == 40)
        atomic_store(&reached, true);
    while (position == 40 && !atomic_load(&let_go))
        sched_yield();
}

static void test_cancel_in_prefill(void **state)
{
    (void)state;
    struct engine_event event;
    struct engine_submit submit = run_greedy(prompt, 2000, 1);
    submit.on_logits = hold;
    atomic_store(&reached, false);
    atomic_store(&let_go, false);
    struct engine_request *request = run_submit(engine, &submit);
    while (!atomic_load(&reached))
        sched_yield();
    engine_cancel(request);
    uint64_t before = steps();
    atomic_store(&let_go, true);
    expect_cancelled(request, before, &event);
    assert_int_equal(event.prompt_done, 48); /* the chunk of 16 that was running, and no more */
}

static void test_cancel_in_decode(void **state)
{
    (void)state;
    struct engine_event event;
    struct engine_submit submit = run_greedy(prompt, 20, 2000);
    struct engine_request *request = run_submit(engine, &submit);
    do
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
    while (event.kind != EVENT_TOKEN);
    engine_cancel(request);
    uint64_t before = steps();
    expect_cancelled(request, before, &event);
    /* the ring was never emptied, so it cannot have gone further */
    assert_in_range(event.timings.generated_tokens, 1, 100);
}

static void test_late_reader(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, 50, 300);
    submit.sampling.temperature = 1;
    run(engine, &submit, &first);
    struct engine_request *late = run_submit(engine, &submit); /* nobody reads it yet */
    submit.sampling.seed = 9;
    for (int i = 0; i < 3; i++) {
        run(engine, &submit, &second); /* goes on beside it */
        assert_int_equal(second.n_tokens, 300);
    }
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.active_sequences, 1);
    uint64_t asleep = stats.steps;
    struct engine_event event;
    assert_int_equal(engine_next_event(late, &event, 0), 1);
    assert_int_equal(event.kind, EVENT_PREFILL);
    memset(&second, 0, sizeof second);
    answer_take(&second, &event);
    while (event.kind != EVENT_FINISH) {
        assert_int_equal(engine_next_event(late, &event, RUN_TIMEOUT_MS), 1);
        answer_take(&second, &event);
    }
    engine_request_release(late);
    assert_true(steps() > asleep + 200);
    assert_int_equal(second.n_tokens, 300);
    assert_memory_equal(first.tokens, second.tokens, 300 * sizeof *first.tokens);
    assert_string_equal(first.text, second.text);
}

static void test_release_while_running(void **state)
{
    (void)state;
    struct engine_event event;
    struct engine_submit submit = run_greedy(prompt, 100, 1500);
    for (int i = 0; i < 30; i++) {
        struct engine_request *request = run_submit(engine, &submit);
        for (int j = 0; j < i % 10; j++)
            assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
        engine_request_release(request);
        assert_idle();
    }
    engine_request_release(NULL);
}

/* ---- many at once ---- */

struct client {
    pthread_t thread;
    uint32_t number;
    struct answer alone, beside;
};

static struct engine_submit client_submit(uint32_t number)
{
    struct engine_submit submit = run_greedy(prompt + number, 1 + number * 37 % 300, 30 + number);
    submit.sampling = (struct engine_sampling){.temperature = 0.9f,
                                               .top_k = number % 3 ? 20 : 0,
                                               .top_p = number % 2 ? 0.9f : 1,
                                               .min_p = number % 5 ? 0 : 0.05f,
                                               .repetition_penalty = number % 4 ? 1 : 1.2f,
                                               .presence_penalty = number % 6 ? 0 : 0.5f,
                                               .seed = number};
    return submit;
}

static void *client_main(void *context)
{
    struct client *client = context;
    struct engine_submit submit = client_submit(client->number);
    run(engine, &submit, &client->beside);
    return NULL;
}

static void test_seeded_text_alone_and_beside_others(void **state)
{
    (void)state;
    enum { CLIENTS = 20 }; /* more than there are slots: some wait */
    struct client *clients = calloc(CLIENTS, sizeof *clients);
    assert_non_null(clients);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        clients[i].number = i;
        struct engine_submit submit = client_submit(i);
        run(engine, &submit, &clients[i].alone);
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        assert_int_equal(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
    for (uint32_t i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].beside.finish, FINISH_LENGTH);
        assert_int_equal(clients[i].beside.n_tokens, 30 + i);
        assert_memory_equal(clients[i].alone.tokens, clients[i].beside.tokens, (30 + i) * sizeof(int32_t));
        assert_string_equal(clients[i].alone.text, clients[i].beside.text);
    }
    free(clients);
    assert_idle();
}

/* The newest waits: with too few pages requests run one after another, oldest first, and all end well. */
static void test_waiting_for_pages(void **state)
{
    (void)state;
    assert_idle(); /* the engine's thread sleeps: its page table is ours for a moment */
    struct kvcache *cache = &((struct local_engine *)engine)->kvcache;
    uint32_t rest = kvcache_available(cache) - 3;
    assert_true(kvcache_reserve(cache, NULL, 0, rest));
    struct engine_submit submit = run_greedy(prompt, 100, 29); /* 128 positions: 2 pages of 3 */
    submit.no_cache = true;                                    /* or the second would fit beside the first */
    struct engine_request *requests[5];
    for (int i = 0; i < 5; i++)
        requests[i] = run_submit(engine, &submit);
    uint64_t last_ns = 0;
    for (int i = 0; i < 5; i++) {
        run_collect(requests[i], &first);
        assert_int_equal(first.finish, FINISH_LENGTH);
        assert_int_equal(first.n_tokens, 29);
        assert_true(first.timings.prefill_start_ns > last_ns);
        last_ns = first.timings.last_token_ns;
    }
    assert_idle();
    kvcache_release(cache, NULL, 0, rest);
}

static void test_cancel_while_queued(void **state)
{
    (void)state;
    struct engine_submit submit = run_greedy(prompt, 10, 2000);
    struct engine_request *running[SLOTS], *waiting[3];
    struct engine_event event;
    for (int i = 0; i < SLOTS; i++)
        running[i] = run_submit(engine, &submit); /* never read: each pauses and keeps its slot */
    for (int i = 0; i < 3; i++)
        waiting[i] = run_submit(engine, &submit);
    engine_cancel(waiting[1]);
    read_to_finish(waiting[1], &event);
    assert_int_equal(event.finish, FINISH_CANCELLED);
    assert_int_equal(event.timings.prefill_start_ns, 0);
    assert_int_equal(engine_next_event(waiting[0], &event, 50), 0); /* still waits */
    engine_request_release(running[4]);
    assert_int_equal(engine_next_event(waiting[0], &event, RUN_TIMEOUT_MS), 1);
    assert_int_equal(engine_next_event(waiting[2], &event, 50), 0);
    for (int i = 0; i < 3; i++)
        engine_request_release(waiting[i]);
    for (int i = 0; i < SLOTS; i++)
        if (i != 4)
            engine_request_release(running[i]);
    assert_idle();
}

/* ---- closing ---- */

static void *read_until_finish(void *context)
{
    static struct engine_event events[16];
    static atomic_int next;
    struct engine_event *event = &events[atomic_fetch_add(&next, 1)];
    read_to_finish(context, event);
    return event;
}

static void test_close_while_running(void **state)
{
    (void)state;
    struct engine *closing = run_open(folder, 2, 16, 4);
    struct engine_submit submit = run_greedy(prompt, 10, 2000);
    struct engine_request *requests[8];
    pthread_t readers[8];
    for (int i = 0; i < 8; i++) { /* four run, four wait; two are not read at all */
        requests[i] = run_submit(closing, &submit);
        if (i >= 2)
            assert_int_equal(pthread_create(&readers[i], NULL, read_until_finish, requests[i]), 0);
    }
    engine_close(closing);
    for (int i = 0; i < 8; i++) {
        struct engine_event own, *event = &own;
        if (i >= 2)
            pthread_join(readers[i], (void **)&event);
        else
            read_to_finish(requests[i], event);
        assert_int_equal(event->finish, FINISH_CANCELLED);
        engine_cancel(requests[i]); /* the engine is gone; both must know */
        engine_request_release(requests[i]);
    }
    engine_close(run_open(folder, 1, 16, 1));
    engine_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cancel_in_prefill),
        cmocka_unit_test(test_cancel_in_decode),
        cmocka_unit_test(test_late_reader),
        cmocka_unit_test(test_release_while_running),
        cmocka_unit_test(test_seeded_text_alone_and_beside_others),
        cmocka_unit_test(test_waiting_for_pages),
        cmocka_unit_test(test_cancel_while_queued),
        cmocka_unit_test(test_close_while_running),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
