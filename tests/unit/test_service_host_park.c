/* A host that a profiling run parks: who waits, in which order they get in, what counts as served, and what
 * happens when a run's neighbour is a load, a stop or a client that leaves. Real workers on a tiny model. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "engine/budget.h"
#include "service/host.h"

enum { LONG_MS = 120000, SHORT_MS = 30 };

static char root[64], folder[256];
static const char *name;
static struct model_host *host;
static struct answer answer;

static int set_up_all(void **state)
{
    (void)state;
    setenv("LLMIND_PROGRAM_FOR_TESTS", LLMIND_BUILD_DIR "/llmind", 0);
    strcpy(root, "/tmp/llmind-park-XXXXXX");
    assert_non_null(mkdtemp(root));
    setenv("TMPDIR", root, 1);
    setenv("LLMIND_MODEL_PATH", root, 1);
    setenv("LLMIND_DATA_DIR", "/nowhere", 1);
    setenv("HF_HUB_CACHE", "/nowhere", 1);
    struct tiny_options options = {.format = TINY_BF16, .seed = 1};
    tiny_model_write(&options, folder, sizeof folder);
    name = strrchr(folder, '/') + 1;
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    rmdir(root);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    struct host_options options = {.engine = {.n_threads = 1, .max_sequences = 4}, .default_model = name};
    struct error error = {0};
    if (host_open(&options, &host, &error))
        fail_msg("host_open: %s", error.message);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    host_restore(host); /* of a test that failed while it was parked */
    host_close(host);
    return 0;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void use(const struct host_lease *lease)
{
    static const int32_t prompt[] = {1, 2, 3};
    struct engine_submit submit = run_greedy(prompt, 3, 5);
    run(lease->engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_LENGTH);
}

static void park(uint32_t wait_ms)
{
    struct error error = {0};
    if (host_park(host, wait_ms, NULL, &error))
        fail_msg("host_park: %s", error.message);
}

static enum host_phase phase(void)
{
    struct host_state state;
    host_state(host, &state);
    return state.phase;
}

static uint32_t waiting(void)
{
    struct host_state state;
    host_state(host, &state);
    return state.waiting;
}

/* Loads the model: nothing is then left to be loaded by those who wait. */
static void load(void)
{
    struct host_lease lease;
    struct error error = {0};
    if (host_acquire(host, NULL, LONG_MS, &lease, &error))
        fail_msg("host_acquire: %s", error.message);
    host_release(host, &lease);
}

/* Somebody who wants a lease. */
struct visitor {
    pthread_t thread;
    uint32_t wait_ms;
    bool generates;
    atomic_bool in; /* has been served */
    int status;
};

static void *visit(void *context)
{
    struct visitor *visitor = context;
    struct host_lease lease;
    struct error error = {0};
    visitor->status = host_acquire(host, NULL, visitor->wait_ms, &lease, &error);
    if (!visitor->status && visitor->generates)
        use(&lease);
    atomic_store(&visitor->in, true);
    if (!visitor->status)
        host_release(host, &lease);
    return NULL;
}

static void begin_visit(struct visitor *visitor)
{
    atomic_init(&visitor->in, false);
    assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

static void wait_for_waiting(uint32_t n)
{
    for (int i = 0; i < 10000 && waiting() != n; i++)
        pause_ms(1);
    assert_int_equal(waiting(), n);
}

static void test_waiting_and_order(void **state)
{
    (void)state;
    load();
    park(LONG_MS);
    park(LONG_MS); /* it is: nothing */
    assert_int_equal(phase(), HOST_PARKED);
    assert_int_equal(waiting(), 0);
    struct visitor first = {.wait_ms = SHORT_MS, .generates = true};
    begin_visit(&first);
    wait_for_waiting(1);
    pause_ms(3 * SHORT_MS); /* its time stands still */
    assert_false(atomic_load(&first.in));
    assert_false(host_unpark(host));
    park(LONG_MS); /* behind the one who waited, until it is done */
    assert_true(atomic_load(&first.in));
    pthread_join(first.thread, NULL);
    assert_int_equal(first.status, 0);
    assert_false(host_unpark(host)); /* what it generated was before */
    assert_false(host_unpark(host)); /* it is not parked: nothing */
    assert_int_equal(phase(), HOST_READY);
}

static void test_served_meanwhile(void **state)
{
    (void)state;
    struct host_lease lease;
    struct error error = {0};
    assert_int_equal(host_acquire(host, NULL, LONG_MS, &lease, &error), 0);
    park(LONG_MS); /* a lease that generates nothing keeps nobody up */
    assert_false(host_unpark(host));
    park(LONG_MS);
    use(&lease);
    pause_ms(250); /* the worker's figures are that old at most */
    assert_true(host_unpark(host));
    host_release(host, &lease);
}

struct talk {
    struct host_lease lease;
    pthread_t thread;
};

static void *talk_on(void *context)
{
    struct talk *talk = context;
    static const int32_t prompt[] = {1, 2, 3};
    struct engine_submit submit = run_greedy(prompt, 3, 60);
    for (int i = 0; i < 40; i++)
        run(talk->lease.engine, &submit, &answer);
    return NULL;
}

static void test_running_answer(void **state)
{
    (void)state;
    struct talk talk;
    struct error error = {0};
    atomic_int cancel = 1;
    assert_int_equal(host_acquire(host, NULL, LONG_MS, &talk.lease, &error), 0);
    assert_int_equal(host_park(host, LONG_MS, &cancel, &error), ERROR_CANCELLED);
    assert_int_equal(phase(), HOST_READY);
    pthread_create(&talk.thread, NULL, talk_on, &talk);
    pause_ms(20);
    park(1); /* closes all the same */
    assert_int_equal(phase(), HOST_PARKED);
    pthread_join(talk.thread, NULL);
    pause_ms(250);
    assert_true(host_unpark(host));
    host_release(host, &talk.lease);
}

static void test_places(void **state)
{
    (void)state;
    struct host_place *place, *left;
    struct host_lease lease;
    struct error error = {0};
    load();
    assert_false(host_queue(host, &place));
    assert_null(place);
    host_place_free(host, place);
    park(LONG_MS);
    assert_true(host_queue(host, &left) && host_queue(host, &place));
    struct visitor behind = {.wait_ms = LONG_MS};
    begin_visit(&behind);
    wait_for_waiting(3);
    assert_false(host_place_wait(host, left, 5));
    host_unpark(host);
    assert_true(host_place_wait(host, left, LONG_MS));
    assert_false(host_place_wait(host, place, 5));
    host_place_free(host, left); /* its client has left */
    assert_true(host_place_wait(host, place, LONG_MS));
    pause_ms(20);
    assert_false(atomic_load(&behind.in));
    assert_int_equal(host_acquire_at(host, place, NULL, LONG_MS, &lease, &error), 0);
    host_release(host, &lease);
    assert_int_equal(host_acquire_at(host, place, NULL, LONG_MS, &lease, &error), 0); /* used up: as any */
    host_release(host, &lease);
    host_place_free(host, place);
    pthread_join(behind.thread, NULL);
    assert_int_equal(behind.status, 0);
}

static void test_model_that_is_not_there(void **state)
{
    (void)state;
    struct host_place *place;
    struct host_lease lease;
    struct error error = {0};
    char found[64], path[256];
    load();
    park(LONG_MS);
    assert_true(host_queue(host, &place));
    host_unpark(host);
    assert_true(host_place_wait(host, place, LONG_MS));
    assert_int_equal(host_acquire_at(host, place, "nothing", LONG_MS, &lease, &error), ERROR_NOT_FOUND);
    host_place_free(host, place);
    load(); /* nobody is left in the queue */
    assert_int_equal(host_find(host, NULL, found, sizeof found, path, sizeof path, &error), 0);
    assert_string_equal(found, name);
    assert_string_equal(path, folder);
    assert_int_equal(host_find(host, "nothing", found, sizeof found, path, sizeof path, &error),
                     ERROR_NOT_FOUND);
    assert_int_equal(host_find(host, NULL, found, 2, path, sizeof path, &error), ERROR_LIMIT);
}

static void test_load_meanwhile(void **state)
{
    (void)state;
    struct visitor visitor = {.wait_ms = LONG_MS};
    begin_visit(&visitor);
    while (phase() != HOST_LOADING && !atomic_load(&visitor.in))
        pause_ms(1);
    park(0); /* not before it is loaded */
    struct host_state now;
    host_state(host, &now);
    pthread_join(visitor.thread, NULL);
    assert_int_equal(now.phase, HOST_PARKED);
    assert_true(now.has_info);
    host_unpark(host);
}

static void test_stop(void **state)
{
    (void)state;
    struct host_place *place;
    struct error error = {0};
    load();
    park(LONG_MS);
    struct visitor visitor = {.wait_ms = LONG_MS};
    begin_visit(&visitor);
    wait_for_waiting(1);
    assert_true(host_queue(host, &place));
    host_stop(host);
    pthread_join(visitor.thread, NULL);
    assert_int_equal(visitor.status, ERROR_CANCELLED);
    assert_true(host_place_wait(host, place, LONG_MS)); /* to be told */
    struct host_lease lease;
    assert_int_equal(host_acquire_at(host, place, NULL, LONG_MS, &lease, &error), ERROR_CANCELLED);
    host_place_free(host, place);
    host_unpark(host);
    assert_int_equal(host_park(host, LONG_MS, NULL, &error), ERROR_CANCELLED);
    host_restore(host);
}

static void test_room(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(host_make_room(host, 1, false, &error), 0);
    assert_int_equal(host_make_room(host, UINT64_MAX, true, &error), ERROR_LIMIT);
    load();
    assert_int_equal(host_make_room(host, UINT64_MAX, true, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, name));
    assert_int_equal(phase(), HOST_READY);
    /* A little more than there is, of memory that others use, too: until it is right. */
    int status = ERROR_LIMIT;
    for (int i = 0; i < 200 && phase() != HOST_PARKED; i++)
        status = host_make_room(host, budget_available_bytes() + (1 << 18), true, &error);
    assert_int_equal(status, 0);
    struct host_state now;
    host_state(host, &now);
    assert_int_equal(now.phase, HOST_PARKED);
    assert_false(now.has_info);
    struct visitor visitor = {.wait_ms = LONG_MS};
    begin_visit(&visitor);
    wait_for_waiting(1);
    park(LONG_MS);
    host_unpark(host); /* there is no room for others yet */
    pause_ms(30);
    assert_false(atomic_load(&visitor.in));
    host_restore(host);
    pthread_join(visitor.thread, NULL);
    assert_int_equal(visitor.status, 0);
    host_state(host, &now);
    assert_int_equal(now.phase, HOST_READY);
    assert_string_equal(now.model, name);
    assert_int_equal(now.loads, 2);
    host_restore(host); /* nothing to be done */
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_waiting_and_order),
        TEST(test_served_meanwhile),
        TEST(test_running_answer),
        TEST(test_places),
        TEST(test_model_that_is_not_there),
        TEST(test_load_meanwhile),
        TEST(test_stop),
        TEST(test_room),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
