/* The monitor over recorded machines (tests/data/machines: two trees each, a second apart), and over this
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "profile/monitor.h"
#include "profile/monitor_rows.h"
#include "profile/monitor_series.h"

#define SECOND UINT64_C(1000000000)

static char folder[] = "/tmp/llmind-monitor-XXXXXX", root[64], other[64];

/* The machine's first or second tree under one name, changed at once for whoever reads meanwhile. */
static void point(const char *machine, int second)
{
    char target[1024];
    snprintf(target, sizeof target, "%s/tests/data/machines/%s/%d", LLMIND_SOURCE_DIR, machine, second);
    unlink(other);
    assert_int_equal(symlink(target, other), 0);
    assert_int_equal(rename(other, root), 0);
}

static void sleep_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static const struct series *find(const struct sampler *sampler, const char *id)
{
    for (size_t i = 0; i < sampler->n_series; i++)
        if (strcmp(sampler->series[i].id, id) == 0)
            return &sampler->series[i];
    fail_msg("no series %s", id);
    return NULL;
}

static void value(const struct sampler *sampler, const char *id, double expected)
{
    const struct series *series = find(sampler, id);
    if (!(fabs(series->value - expected) <= 1e-9 * fabs(expected) + 1e-12))
        fail_msg("%s is %.12g instead of %.12g (%s)", id, series->value, expected, series->reason);
}

static void unknown(const struct sampler *sampler, const char *id, const char *because)
{
    const struct series *series = find(sampler, id);
    if (!isnan(series->value) || !strstr(series->reason, because))
        fail_msg("%s is %g, because '%s', which does not say '%s'", id, series->value, series->reason,
                 because);
}

/* One row, a second after the machine's first tree. */
static struct sampler *sample(const char *machine, pid_t pid)
{
    struct sampler *sampler;
    point(machine, 0);
    assert_int_equal(sampler_open(root, 5 * SECOND, &sampler, NULL), 0);
    sampler_read(sampler, 5 * SECOND + SECOND / 2, pid); /* nothing has moved; all levels are read */
    for (int i = 1; i < SERIES_SLOW; i++)
        sampler_read(sampler, 5 * SECOND + SECOND / 2, pid);
    point(machine, 1);
    sampler_read(sampler, 6 * SECOND + SECOND / 2, pid);
    return sampler;
}

static void a_desktop_with_everything(void **state)
{
    (void)state;
    struct sampler *sampler = sample("amd", 4242);
    value(sampler, "cpu_busy", 0.5);
    value(sampler, "steal", 0);
    value(sampler, "cpu_core_0", 0.9);
    value(sampler, "cpu_core_1", 1);
    value(sampler, "cpu_core_2", 0);
    value(sampler, "cpu_core_3", 0.1);
    value(sampler, "cgroup_cores", 1.9);
    value(sampler, "cpu_power_w", 55); /* the counter went round */
    value(sampler, "cpu_temperature_c", 71.5);
    assert_string_equal(find(sampler, "cpu_temperature_c")->source, "k10temp: Tctl");
    value(sampler, "cpu_mhz", 5050); /* of the core that is busy; the mean of all is 4950 */
    assert_string_equal(find(sampler, "cpu_mhz")->quality, "measured");
    value(sampler, "throttled_fraction", 0);
    value(sampler, "process_cores", 190.0 / (double)sysconf(_SC_CLK_TCK));
    value(sampler, "major_faults_per_s", 2);
    value(sampler, "minor_faults_per_s", 700);
    value(sampler, "footprint_bytes", 2000008.0 * 1024);
    value(sampler, "anonymous_bytes", 500008.0 * 1024);
    value(sampler, "file_resident_bytes", 1500000.0 * 1024);
    value(sampler, "pressure_io", 0.1225);
    value(sampler, "load_1min", 1.52);
    unknown(sampler, "gpu", "recorded tree");
    sampler_close(sampler);
}

static void a_throttled_container(void **state)
{
    (void)state;
    struct sampler *sampler = sample("container", 0);
    value(sampler, "throttled_fraction", 0.75);
    value(sampler, "throttled_s_per_s", 2);
    value(sampler, "cgroup_cores", 1.5);
    assert_int_equal(sampler->periods, 40);
    value(sampler, "cpu_mhz", 2449.998);
    assert_string_equal(find(sampler, "cpu_mhz")->quality, "nominal");
    unknown(sampler, "process_cores", "no process was watched");
    unknown(sampler, "pressure_cpu", "psi=1");
    unknown(sampler, "cpu_power_w", "no energy counter");
    sampler_close(sampler);
}

static void a_guest_whose_time_is_stolen(void **state)
{
    (void)state;
    struct sampler *sampler = sample("guest", 77);
    value(sampler, "steal", 0.2);
    value(sampler, "cpu_busy", 0.5);
    value(sampler, "swap_in_bytes_per_s", 1000.0 * (double)sysconf(_SC_PAGESIZE));
    value(sampler, "swap_used_bytes", 3000000.0 * 1024);
    unknown(sampler, "cpu_temperature_c", "no temperature sensor");
    unknown(sampler, "throttled_fraction", "nr_periods");
    unknown(sampler, "process_cores", "could not be read");
    sampler_close(sampler);
}

/* A process that is watched anew has no rates yet; one that has ended has no figures at all. */
static void processes_come_and_go(void **state)
{
    (void)state;
    struct sampler *sampler;
    point("amd", 0);
    assert_int_equal(sampler_open(root, SECOND, &sampler, NULL), 0);
    sampler_read(sampler, 2 * SECOND, 4242);
    unknown(sampler, "process_cores", "this is the first");
    value(sampler, "footprint_bytes", 2000000.0 * 1024);
    sampler_read(sampler, 3 * SECOND, 4242);
    value(sampler, "process_cores", 0);
    sampler_read(sampler, 4 * SECOND, 4243);
    unknown(sampler, "process_cores", "has ended");
    unknown(sampler, "footprint_bytes", "has ended");
    sampler_read(sampler, 5 * SECOND, 4242);
    unknown(sampler, "process_cores", "this is the first");
    sampler_close(sampler);
    sampler_close(NULL);
}

/* ---- rows ---- */

static void full_rows_are_merged(void **state)
{
    (void)state;
    struct monitor_rows rows = {.width = 2, .max_rows = 8};
    bool halved;
    int halvings = 0;
    for (int i = 0; i < 8; i++) {
        double row[2] = {i, i % 2 ? (double)NAN : i};
        assert_true(monitor_rows_add(&rows, i, row, &halved));
        assert_false(halved);
    }
    assert_true(monitor_rows_add(&rows, 8, (double[]){100, NAN}, &halved));
    assert_true(halved);
    assert_int_equal(rows.n, 5);
    static const float expected[] = {0.5f, 2.5f, 4.5f, 6.5f, 100};
    for (size_t i = 0; i < 5; i++)
        assert_true(rows.values[2 * i] == expected[i]);
    assert_true(rows.values[3] == 2); /* the other one of the pair was unknown */
    assert_true(isnan(rows.values[2 * 4 + 1]));
    assert_true(rows.t_s[0] == 1 && rows.t_s[3] == 7 && rows.t_s[4] == 8);
    for (int i = 9; i < 1000; i++) {
        assert_true(monitor_rows_add(&rows, i, (double[]){i, 1}, &halved));
        assert_true(rows.n <= 8);
        halvings += halved;
    }
    assert_true(halvings > 100);
    for (size_t i = 1; i < rows.n; i++)
        assert_true(rows.t_s[i] > rows.t_s[i - 1]);
    monitor_rows_free(&rows);
}

/* ---- the thread ---- */

static const json_t *series_of(const json_t *sensors, const char *id)
{
    size_t i;
    const json_t *series;
    json_array_foreach(json_object_get(sensors, "series"), i, series)
        if (strcmp(json_string_value(json_object_get(series, "id")), id) == 0)
            return series;
    fail_msg("no series %s", id);
    return NULL;
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    assert_true(json_is_number(number));
    return json_number_value(number);
}

/* Every series is whole: as many values as times, or null and a reason. */
static void check_sensors(const json_t *sensors)
{
    size_t i, n = json_array_size(json_object_get(sensors, "t_s")), k;
    const json_t *series, *number;
    double last = 0;
    json_array_foreach(json_object_get(sensors, "t_s"), k, number) {
        assert_true(json_number_value(number) > last);
        last = json_number_value(number);
    }
    json_array_foreach(json_object_get(sensors, "series"), i, series) {
        static const char *const texts[] = {"id", "label", "unit", "source", "quality"};
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
            assert_true(json_is_string(json_object_get(series, texts[t])));
        assert_true(number_of(series, "hz") > 0);
        const json_t *values = json_object_get(series, "values");
        if (json_is_null(values)) {
            assert_true(json_string_length(json_object_get(series, "reason")) > 10);
            assert_string_equal(json_string_value(json_object_get(series, "quality")), "unknown");
            assert_true(json_is_null(json_object_get(series, "mean")));
            continue;
        }
        assert_int_equal(json_array_size(values), n);
        double low = number_of(series, "min"), mean = number_of(series, "mean"),
               high = number_of(series, "max");
        assert_true(low <= mean * (1 + 1e-6) + 1e-6 && mean <= high * (1 + 1e-6) + 1e-6);
    }
}

static void a_recorded_run(void **state)
{
    (void)state;
    struct monitor *monitor;
    json_t *sensors;
    point("container", 0);
    assert_int_equal(monitor_open(root, &monitor, NULL), 0);
    monitor_phase(monitor, "quiet");
    sleep_ms(250);
    monitor_phase(monitor, "busy, l\xc3\xa4uft");
    point("container", 1);
    sleep_ms(250);
    monitor_phase(monitor, NULL);
    monitor_phase(monitor, NULL);
    monitor_phase(monitor, "to the end");
    assert_int_equal(monitor_close(monitor, &sensors, NULL), 0);
    check_sensors(sensors);
    assert_true(number_of(sensors, "hz") == MONITOR_HZ);
    assert_true(json_array_size(json_object_get(sensors, "t_s")) >= 2);

    const json_t *throttled = series_of(sensors, "throttled_fraction");
    assert_true(fabs(number_of(throttled, "mean") - 0.75) < 1e-9);
    assert_true(fabs(number_of(series_of(sensors, "cpu_busy"), "max") - 0.6) < 1e-4);
    assert_true(json_is_null(json_object_get(series_of(sensors, "pressure_cpu"), "values")));

    const json_t *phases = json_object_get(sensors, "phases");
    assert_int_equal(json_array_size(phases), 3);
    const json_t *quiet = json_array_get(phases, 0), *busy = json_array_get(phases, 1),
                 *rest = json_array_get(phases, 2);
    assert_string_equal(json_string_value(json_object_get(quiet, "name")), "quiet");
    assert_string_equal(json_string_value(json_object_get(busy, "name")), "busy, l\xc3\xa4uft");
    assert_true(number_of(quiet, "end_s") - number_of(quiet, "start_s") >= 0.25);
    assert_true(number_of(quiet, "end_s") == number_of(busy, "start_s"));
    assert_true(number_of(rest, "end_s") >= number_of(rest, "start_s"));
    json_decref(sensors);
}

static void *tell_phases(void *context)
{
    for (int i = 0; i < 2000; i++) {
        monitor_phase(context, i % 3 ? "x" : NULL);
        monitor_watch(context, i % 2 ? getpid() : 0);
    }
    return NULL;
}

static void phases_from_every_thread(void **state)
{
    (void)state;
    struct monitor *monitor;
    json_t *sensors;
    pthread_t threads[4];
    assert_int_equal(monitor_open("/no/such/tree", &monitor, NULL), 0);
    char long_name[1000];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    memcpy(long_name + MONITOR_MAX_PHASE_NAME - 1, "\xc3\xa4", 2); /* would be cut in two */
    monitor_phase(monitor, long_name);
    monitor_phase(monitor, "bad \xff bytes");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, tell_phases, monitor), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(monitor_close(monitor, &sensors, NULL), 0);
    const json_t *phases = json_object_get(sensors, "phases");
    assert_int_equal(json_array_size(phases), MONITOR_MAX_PHASES);
    assert_int_equal(json_string_length(json_object_get(json_array_get(phases, 0), "name")),
                     MONITOR_MAX_PHASE_NAME - 1);
    assert_string_equal(json_string_value(json_object_get(json_array_get(phases, 1), "name")), "bad ");
    size_t i;
    const json_t *series;
    json_array_foreach(json_object_get(sensors, "series"), i, series)
        assert_true(json_is_null(json_object_get(series, "values")));
    json_decref(sensors);
}

/* What it costs is measured by its own clock; here only that it is little, on a machine that may be busy. */
static void this_machine(void **state)
{
    (void)state;
    struct monitor *monitor;
    json_t *sensors;
    assert_int_equal(monitor_open("", &monitor, NULL), 0);
    monitor_watch(monitor, getpid());
    uint64_t start = clock_now_ns();
    volatile unsigned sink = 0;
    while (clock_now_ns() - start < SECOND * 7 / 10)
        sink += 1;
    assert_int_equal(monitor_close(monitor, &sensors, NULL), 0);
    check_sensors(sensors);
    assert_true(fabs(number_of(sensors, "start_s") - (double)start / 1e9) < 0.5);
    double cost = number_of(sensors, "cpu_cost_fraction");
    print_message("the monitor costs %.3f %% of a core\n", 100 * cost);
    assert_true(cost > 0 && cost < 0.05);
#if defined(__linux__)
    assert_true(number_of(series_of(sensors, "process_cores"), "max") > 0.01);
    assert_true(number_of(series_of(sensors, "process_cores"), "max") < 3);
    assert_true(number_of(series_of(sensors, "footprint_bytes"), "min") > 1 << 16);
    assert_true(number_of(series_of(sensors, "memory_available_bytes"), "min") > 0);
#endif
    json_decref(sensors);
}

static void opened_and_closed(void **state)
{
    (void)state;
    struct monitor *monitor;
    json_t *sensors;
    struct process_usage before, after;
    process_usage_read(getpid(), &before);
    assert_int_equal(monitor_open("", &monitor, NULL), 0);
    assert_int_equal(monitor_close(monitor, &sensors, NULL), 0); /* at once: perhaps without any row */
    assert_true(json_is_array(json_object_get(sensors, "series")));
    json_decref(sensors);
    assert_int_equal(monitor_open("", &monitor, NULL), 0);
    assert_int_equal(monitor_close(monitor, NULL, NULL), 0);
    assert_int_equal(monitor_close(NULL, &sensors, NULL), 0);
    assert_null(sensors);
    process_usage_read(getpid(), &after);
    assert_int_equal(after.descriptors, before.descriptors);
    char long_name[2000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(monitor_open(long_name, &monitor, NULL), ERROR_LIMIT);
    assert_null(monitor);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(root, sizeof root, "%s/now", folder);
    snprintf(other, sizeof other, "%s/next", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_desktop_with_everything),
        cmocka_unit_test(a_throttled_container),
        cmocka_unit_test(a_guest_whose_time_is_stolen),
        cmocka_unit_test(processes_come_and_go),
        cmocka_unit_test(full_rows_are_merged),
        cmocka_unit_test(a_recorded_run),
        cmocka_unit_test(phases_from_every_thread),
        cmocka_unit_test(this_machine),
        cmocka_unit_test(opened_and_closed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(root);
    rmdir(folder);
    return failed;
}
