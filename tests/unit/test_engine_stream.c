/* The event ring: order, back-pressure in both directions, the end that always fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/stream.h"
#include "platform/clock.h"

enum { CAPACITY = 4 };

struct fixture {
    struct arena arena;
    struct stream stream;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    uint32_t wakes; /* guarded by lock */
};

static void wake(void *context)
{
    struct fixture *fixture = context;
    pthread_mutex_lock(&fixture->lock);
    fixture->wakes++;
    pthread_cond_signal(&fixture->woken);
    pthread_mutex_unlock(&fixture->lock);
}

static void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    arena_init(&fixture->arena);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->woken, NULL);
    assert_int_equal(stream_init(&fixture->stream, CAPACITY, wake, fixture, &fixture->arena, NULL), 0);
}

static void fixture_free(struct fixture *fixture)
{
    stream_free(&fixture->stream);
    pthread_cond_destroy(&fixture->woken);
    pthread_mutex_destroy(&fixture->lock);
    arena_free(&fixture->arena);
}

static struct engine_event token(int32_t id)
{
    return (struct engine_event){.kind = EVENT_TOKEN, .token = id};
}

static void test_order_and_room(void **state)
{
    (void)state;
    struct fixture f;
    struct engine_event event;
    fixture_init(&f);
    assert_int_equal(stream_next(&f.stream, &event, 0), 0);
    for (int32_t i = 0; i < 10; i++) { /* wraps around */
        event = token(i);
        assert_true(stream_push(&f.stream, &event, 0));
        assert_int_equal(stream_next(&f.stream, &event, 0), 1);
        assert_int_equal(event.token, i);
    }
    event = token(0);
    for (int i = 0; i < CAPACITY - 1; i++)
        assert_true(stream_push(&f.stream, &event, 1));
    assert_false(stream_push(&f.stream, &event, 1)); /* progress leaves a place free */
    assert_true(stream_has_room(&f.stream, 1));
    assert_true(stream_push(&f.stream, &event, 0));
    assert_false(stream_push(&f.stream, &event, 0));
    fixture_free(&f);
}

static void test_reader_wakes_the_writer_once_there_is_room(void **state)
{
    (void)state;
    struct fixture f;
    struct engine_event event = token(0);
    fixture_init(&f);
    for (int i = 0; i < CAPACITY; i++)
        stream_push(&f.stream, &event, 0);
    stream_next(&f.stream, &event, 0);
    assert_int_equal(f.wakes, 0); /* nobody waited */
    assert_false(stream_has_room(&f.stream, 3));
    stream_next(&f.stream, &event, 0);
    assert_int_equal(f.wakes, 0); /* two places, three wanted */
    stream_next(&f.stream, &event, 0);
    assert_int_equal(f.wakes, 1);
    stream_next(&f.stream, &event, 0);
    assert_int_equal(f.wakes, 1);
    assert_true(stream_has_room(&f.stream, CAPACITY));
    fixture_free(&f);
}

static void test_the_end_always_fits(void **state)
{
    (void)state;
    struct fixture f;
    struct engine_event event = token(0), finish = {.kind = EVENT_FINISH, .finish = FINISH_STOP};
    fixture_init(&f);
    for (int i = 0; i < CAPACITY; i++)
        stream_push(&f.stream, &event, 0);
    assert_false(stream_has_room(&f.stream, 1));
    stream_finish(&f.stream, &finish);
    stream_wait_finished(&f.stream);
    for (int i = 0; i < CAPACITY; i++) {
        assert_int_equal(stream_next(&f.stream, &event, -1), 1);
        assert_int_equal(event.kind, EVENT_TOKEN);
    }
    assert_int_equal(stream_next(&f.stream, &event, -1), 1);
    assert_int_equal(event.kind, EVENT_FINISH);
    assert_int_equal(event.finish, FINISH_STOP);
    assert_int_equal(stream_next(&f.stream, &event, -1), -1);
    assert_int_equal(stream_next(&f.stream, &event, 0), -1);
    stream_wake_writer(&f.stream);
    assert_int_equal(f.wakes, 0); /* the writer may be gone */
    fixture_free(&f);
}

static void test_time_out(void **state)
{
    (void)state;
    struct fixture f;
    struct engine_event event;
    fixture_init(&f);
    uint64_t start = clock_now_ns();
    assert_int_equal(stream_next(&f.stream, &event, 30), 0);
    uint64_t waited_ms = (clock_now_ns() - start) / 1000000;
    assert_in_range(waited_ms, 29, 5000);
    fixture_free(&f);
}

enum { MANY = 20000 };

static void *write_many(void *context)
{
    struct fixture *f = context;
    for (int32_t i = 0; i < MANY; i++) {
        pthread_mutex_lock(&f->lock);
        uint32_t seen = f->wakes;
        pthread_mutex_unlock(&f->lock);
        while (!stream_has_room(&f->stream, 2)) {
            pthread_mutex_lock(&f->lock);
            while (f->wakes == seen)
                pthread_cond_wait(&f->woken, &f->lock);
            seen = f->wakes;
            pthread_mutex_unlock(&f->lock);
        }
        struct engine_event event = token(i);
        stream_push(&f->stream, &event, 0);
    }
    struct engine_event finish = {.kind = EVENT_FINISH, .finish = FINISH_LENGTH};
    stream_finish(&f->stream, &finish);
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    struct fixture f;
    struct engine_event event;
    pthread_t writer;
    fixture_init(&f);
    assert_int_equal(pthread_create(&writer, NULL, write_many, &f), 0);
    for (int32_t i = 0; i < MANY; i++) {
        assert_int_equal(stream_next(&f.stream, &event, i % 2 ? -1 : 10000), 1);
        assert_int_equal(event.token, i);
    }
    assert_int_equal(stream_next(&f.stream, &event, -1), 1);
    assert_int_equal(event.kind, EVENT_FINISH);
    pthread_join(writer, NULL);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_and_room),
        cmocka_unit_test(test_reader_wakes_the_writer_once_there_is_room),
        cmocka_unit_test(test_the_end_always_fits),
        cmocka_unit_test(test_time_out),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
