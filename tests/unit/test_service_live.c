/* Live figures: what is counted comes out again, from many threads at once too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "service/live.h"

static struct live *open_live(void)
{
    struct live *live;
    assert_int_equal(live_open(&live, NULL), 0);
    return live;
}

static struct live_snapshot snapshot(struct live *live)
{
    struct live_snapshot out;
    assert_int_equal(live_read(live, &out, NULL), 0);
    return out;
}

static uint64_t count_of(const struct live_snapshot *from, const char *route, int status)
{
    for (size_t i = 0; i < from->n_routes; i++)
        if (strcmp(from->routes[i].route, route) == 0 && from->routes[i].status == status)
            return from->routes[i].count;
    return 0;
}

static void begins_empty(void **state)
{
    (void)state;
    struct live *live = open_live();
    struct live_snapshot now = snapshot(live);
    assert_int_equal(now.n_routes, 0);
    assert_int_equal(now.generated_tokens, 0);
    assert_int_equal(now.ttft.total + now.itl.total + now.request.total, 0);
    assert_true(now.tokens_per_second == 0);
    for (const struct live_histogram *each = &now.ttft; each <= &now.request; each++) {
        for (size_t i = 1; i < LIVE_BUCKETS; i++)
            assert_true(each->upper_ms[i] > each->upper_ms[i - 1]);
        assert_true(isinf(each->upper_ms[LIVE_BUCKETS - 1]));
    }
    assert_true(now.ttft.upper_ms[0] == 1 && now.ttft.upper_ms[LIVE_BUCKETS - 2] == 60000);
    assert_true(now.itl.upper_ms[0] == 0.1 && now.itl.upper_ms[LIVE_BUCKETS - 2] == 5000);
    live_snapshot_free(&now);
    live_close(live);
    live_close(NULL);
}

static void routes_and_statuses(void **state)
{
    (void)state;
    struct live *live = open_live();
    char same[] = "/api/chats"; /* the same pattern at two addresses (GET and POST) is one route */
    live_count_request(live, "/api/chats", 200, 3);
    live_count_request(live, same, 200, 3);
    live_count_request(live, same, 404, 0.5);
    live_count_request(live, "/health", 200, 1e9);
    live_count_request(live, "none", 400, NAN);
    live_count_request(live, "none", 400, -1);
    struct live_snapshot now = snapshot(live);
    assert_int_equal(now.n_routes, 4);
    assert_int_equal(count_of(&now, "/api/chats", 200), 2);
    assert_int_equal(count_of(&now, "/api/chats", 404), 1);
    assert_int_equal(count_of(&now, "/health", 200), 1);
    assert_int_equal(count_of(&now, "none", 400), 2);
    assert_int_equal(now.request.total, 6);
    assert_int_equal(now.request.count[0], 3); /* up to 1 ms; what is no time counts as 0 */
    assert_int_equal(now.request.count[LIVE_BUCKETS - 1], 1);
    live_snapshot_free(&now);
    live_close(live);
}

/* More routes and statuses than there can be: nothing is lost, nothing grows. */
static void too_many_routes(void **state)
{
    (void)state;
    enum { ROUTES = 300 };
    static char names[ROUTES][24];
    struct live *live = open_live();
    for (int i = 0; i < ROUTES; i++) {
        snprintf(names[i], sizeof names[i], "/route/%d", i);
        live_count_request(live, names[i], 200, 1);
    }
    for (int status = 100; status < 600; status++)
        live_count_request(live, names[0], status, 1);
    live_count_request(live, names[0], 0, 1);
    live_count_request(live, names[0], -5, 1);
    struct live_snapshot now = snapshot(live);
    uint64_t sum = 0;
    for (size_t i = 0; i < now.n_routes; i++)
        sum += now.routes[i].count;
    assert_int_equal(sum, ROUTES + 502);
    assert_true(now.n_routes < ROUTES);
    assert_true(count_of(&now, "other", 0) > 0);
    live_snapshot_free(&now);
    live_close(live);
}

static void answers_and_times(void **state)
{
    (void)state;
    struct live *live = open_live();
    struct engine_timings timings = {.accepted_ns = 1000000000,
                                     .first_token_ns = 1004000000,
                                     .prompt_tokens = 100,
                                     .cached_tokens = 40,
                                     .generated_tokens = 3};
    live_count_answer(live, FINISH_STOP, &timings);
    live_count_token(live, -1);
    live_count_token(live, 0.15);
    live_count_token(live, 7000);
    timings.first_token_ns = 0; /* cancelled before its first token: no TTFT */
    live_count_answer(live, FINISH_CANCELLED, &timings);
    live_count_disconnect(live);
    struct live_snapshot now = snapshot(live);
    assert_int_equal(now.prompt_tokens, 200);
    assert_int_equal(now.cached_tokens, 80);
    assert_int_equal(now.generated_tokens, 3);
    assert_int_equal(now.disconnects, 1);
    assert_int_equal(now.answers[FINISH_STOP], 1);
    assert_int_equal(now.answers[FINISH_CANCELLED], 1);
    assert_int_equal(now.answers[FINISH_ERROR], 0);
    assert_int_equal(now.ttft.total, 1);
    assert_int_equal(now.ttft.count[2], 1); /* 4 ms: in (2, 5] */
    assert_true(fabs(now.ttft.sum_ms - 4) < 1e-9);
    assert_int_equal(now.itl.total, 2);
    assert_int_equal(now.itl.count[1], 1); /* (0.1, 0.2] */
    assert_int_equal(now.itl.count[LIVE_BUCKETS - 1], 1);
    live_snapshot_free(&now);
    live_close(live);
}

/* A prompt without an answer, as an embedding is. */
static void prompts_alone(void **state)
{
    (void)state;
    struct live *live = open_live();
    struct engine_timings timings = {
        .accepted_ns = 1, .first_token_ns = 2, .prompt_tokens = 100, .cached_tokens = 40};
    live_count_prompt(live, &timings);
    struct live_snapshot now = snapshot(live);
    assert_int_equal(now.prompt_tokens, 100);
    assert_int_equal(now.cached_tokens, 40);
    assert_int_equal(now.ttft.total, 0);
    for (int finish = 0; finish <= FINISH_ERROR; finish++)
        assert_int_equal(now.answers[finish], 0);
    live_snapshot_free(&now);
    live_close(live);
}

enum { THREADS = 8, PER_THREAD = 5000 };

static void *count_many(void *context)
{
    struct live *live = context;
    static const char *const routes[] = {"/a", "/b", "/c", "/d", "/e"};
    struct engine_timings timings = {.accepted_ns = 1, .first_token_ns = 2, .prompt_tokens = 2};
    for (int i = 0; i < PER_THREAD; i++) {
        live_count_request(live, routes[i % 5], 200 + i % 3, 1);
        live_count_token(live, 1);
        live_count_answer(live, FINISH_LENGTH, &timings);
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    struct live *live = open_live();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count_many, live), 0);
    for (int i = 0; i < 20; i++) { /* while they count */
        struct live_snapshot now = snapshot(live);
        assert_true(now.n_routes <= 15);
        live_snapshot_free(&now);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct live_snapshot now = snapshot(live);
    uint64_t sum = 0;
    for (size_t i = 0; i < now.n_routes; i++)
        sum += now.routes[i].count;
    assert_int_equal(now.n_routes, 15); /* each pair once, however many threads saw it first */
    assert_int_equal(sum, THREADS * PER_THREAD);
    assert_int_equal(now.generated_tokens, THREADS * PER_THREAD);
    assert_int_equal(now.itl.total, THREADS * PER_THREAD);
    assert_int_equal(now.prompt_tokens, 2 * THREADS * PER_THREAD);
    assert_int_equal(now.answers[FINISH_LENGTH], THREADS * PER_THREAD);
    live_snapshot_free(&now);
    live_close(live);
}

/* 100 tokens are 20 a second over a window of 5 s: as soon as their tenth of a second is over, and not for
 * ever. */
static void tokens_per_second(void **state)
{
    (void)state;
    struct live *live = open_live();
    uint64_t start = clock_now_ns();
    for (int i = 0; i < 100; i++)
        live_count_token(live, 1);
    double rate = 0;
    while (rate < 19.9 && clock_now_ns() - start < UINT64_C(3000000000)) {
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        struct live_snapshot now = snapshot(live);
        rate = now.tokens_per_second;
        live_snapshot_free(&now);
        assert_true(rate <= 20.0001);
    }
    assert_true(fabs(rate - 20) < 1e-6);
    while (rate > 0 && clock_now_ns() - start < UINT64_C(20000000000)) {
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
        struct live_snapshot now = snapshot(live);
        rate = now.tokens_per_second;
        live_snapshot_free(&now);
    }
    assert_true(rate == 0);
    assert_true(clock_now_ns() - start >= UINT64_C(5000000000));
    live_close(live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_empty),      cmocka_unit_test(routes_and_statuses),
        cmocka_unit_test(too_many_routes),   cmocka_unit_test(answers_and_times),
        cmocka_unit_test(prompts_alone),     cmocka_unit_test(many_threads),
        cmocka_unit_test(tokens_per_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
