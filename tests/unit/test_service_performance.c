/* Samples of the machine: whole, shared, and honest about what is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "service/performance.h"

static struct model_host *host;
static struct live *live;
static struct performance *performance;

static int open_all(void **state)
{
    (void)state;
    struct error error;
    const struct host_options options = {0}; /* no model: samples have to come out without one too */
    if (host_open(&options, &host, &error) || live_open(&live, &error) ||
        performance_open(host, live, &performance, &error)) {
        printf("%s\n", error.message);
        return -1;
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    performance_close(performance);
    live_close(live);
    host_close(host);
    performance_close(NULL);
    return 0;
}

static json_t *read_sample(void)
{
    struct buffer text = {0};
    json_error_t problem;
    assert_int_equal(performance_read(performance, &text, NULL), 0);
    assert_null(memchr(text.data, '\n', text.length)); /* it travels in one line of an event */
    json_t *sample = json_loadb(text.data, text.length, JSON_REJECT_DUPLICATES, &problem);
    if (!sample)
        fail_msg("%s", problem.text);
    buffer_free(&text);
    return sample;
}

/* Every null has a sibling that says why. */
static void nulls_have_reasons(const json_t *value)
{
    const char *name;
    json_t *member;
    size_t i;
    json_object_foreach((json_t *)value, name, member) {
        char sibling[128];
        snprintf(sibling, sizeof sibling, "%s_reason", name);
        const char *reason = json_string_value(json_object_get(value, sibling));
        if (json_is_null(member) && (!reason || !reason[0]))
            fail_msg("%s is null and nobody says why", name);
        nulls_have_reasons(member);
    }
    json_array_foreach((json_t *)value, i, member)
        nulls_have_reasons(member);
}

static void a_sample_is_whole(void **state)
{
    (void)state;
    json_t *sample = read_sample();
    static const char *const names[] = {"time",
                                        "uptime_s",
                                        "tokens_per_second",
                                        "tokens",
                                        "phase",
                                        "model",
                                        "active_sequences",
                                        "queued_requests",
                                        "kv",
                                        "cpu",
                                        "memory",
                                        "gpus",
                                        "answers"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!json_object_get(sample, names[i]))
            fail_msg("%s is missing", names[i]);
    nulls_have_reasons(sample);
    assert_true(json_is_null(json_object_get(sample, "model")));
#if defined(__linux__)
    json_t *cpu = json_object_get(sample, "cpu"), *memory = json_object_get(sample, "memory");
    double busy = json_number_value(json_object_get(cpu, "busy"));
    assert_true(json_is_real(json_object_get(cpu, "busy")) && busy >= 0 && busy <= 1); /* the first one too */
    assert_true(json_array_size(json_object_get(cpu, "cores")) >= 1);
    assert_true(json_integer_value(json_object_get(json_object_get(memory, "server"), "resident_bytes")) > 0);
    assert_true(json_is_null(json_object_get(memory, "worker")));
#endif
    json_decref(sample);

    json_t *machine = performance_system(performance);
    assert_non_null(machine);
    nulls_have_reasons(machine);
    assert_true(json_string_length(json_object_get(json_object_get(machine, "cpu"), "name")) > 0);
    json_decref(machine);
}

/* By the name it was loaded with; no model without one pretends to have one. */
static void the_adapter_is_told(void **state)
{
    (void)state;
    static struct host_state loaded = {.phase = HOST_READY, .model = "m", .has_info = true};
    static const char *const adapters[] = {"tuned", NULL};
    for (size_t i = 0; i < 2; i++) {
        struct figures figures = {0};
        json_t *root = json_object();
        loaded.info.adapter = adapters[i];
        performance_put_model(&figures, root, &loaded);
        const json_t *model = json_object_get(root, "model");
        const char *told = json_string_value(json_object_get(model, "adapter"));
        assert_false(figures.failed);
        if (adapters[i])
            assert_string_equal(told, adapters[i]);
        else
            assert_true(json_is_null(json_object_get(model, "adapter")));
        nulls_have_reasons(root);
        json_decref(root);
    }
}

static json_int_t sequence(void)
{
    json_t *sample = read_sample();
    json_int_t number = json_integer_value(json_object_get(sample, "sequence"));
    json_decref(sample);
    return number;
}

static void *read_many(void *context)
{
    json_int_t *last = context;
    for (int i = 0; i < 200; i++)
        *last = sequence();
    return NULL;
}

/* However many ask, samples are at least PERFORMANCE_MIN_MS apart. */
static void everybody_shares_samples(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    json_int_t last[THREADS], first = sequence();
    uint64_t start = clock_now_ns();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_many, &last[i]), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    uint64_t passed_ms = (clock_now_ns() - start) / 1000000;
    for (int i = 0; i < THREADS; i++)
        assert_true(last[i] - first <= (json_int_t)(passed_ms / PERFORMANCE_MIN_MS) + 1);
    nanosleep(&(struct timespec){.tv_nsec = (PERFORMANCE_MIN_MS + 20) * 1000000L}, NULL);
    assert_true(sequence() > last[0]); /* and an old one is not served again */
}

/* Asked twice, the next tick is at the same moment, or a whole number of ticks later. A thread that is put
 * aside between two looks at the clock sees otherwise, so not every time. */
static void streams_share_their_ticks(void **state)
{
    (void)state;
    uint64_t tick = PERFORMANCE_TICK_MS * UINT64_C(1000000);
    int agreed = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t due = clock_now_ns() + performance_until_tick_ns(performance);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        uint64_t later = clock_now_ns() + performance_until_tick_ns(performance);
        uint64_t apart = (later > due ? later - due : due - later) % tick;
        agreed += apart < tick / 10 || apart > tick - tick / 10;
        assert_true(performance_until_tick_ns(performance) <= tick);
    }
    assert_true(agreed > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sample_is_whole),
        cmocka_unit_test(the_adapter_is_told),
        cmocka_unit_test(everybody_shares_samples),
        cmocka_unit_test(streams_share_their_ticks),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
