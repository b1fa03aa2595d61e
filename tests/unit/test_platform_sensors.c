/* Sensors of recorded trees: tests/data/sensors holds one folder per kind of machine, that of the Intel
 * machine two, a second apart. Then this machine, of which only what is true everywhere can be said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/process_usage.h"
#include "platform/sensors.h"

#define SECOND UINT64_C(1000000000)

static void near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-6))
        fail_msg("%.9g instead of %.9g", value, expected);
}

static void known(const struct sensors_value *value, double expected)
{
    if (!value->known)
        fail_msg("unknown: %s", value->reason);
    near(value->value, expected);
}

static void unknown(const struct sensors_value *value, const char *because)
{
    if (value->known)
        fail_msg("known: %g", value->value);
    if (!strstr(value->reason, because))
        fail_msg("'%s' does not say '%s'", value->reason, because);
}

static struct sensors_cpu *open_tree(const char *tree)
{
    char root[1024];
    struct sensors_cpu *sensors;
    snprintf(root, sizeof root, "%s/tests/data/sensors/%s", LLMIND_SOURCE_DIR, tree);
    assert_int_equal(sensors_cpu_open(root, &sensors, NULL), 0);
    return sensors;
}

/* Readings of one tree after another under one name: a link that is turned over between them. */
static void point(const char *link_path, const char *tree)
{
    char target[1024];
    snprintf(target, sizeof target, "%s/tests/data/sensors/%s", LLMIND_SOURCE_DIR, tree);
    unlink(link_path);
    assert_int_equal(symlink(target, link_path), 0);
}

static void a_server_of_two_sockets(void **state)
{
    (void)state;
    char folder[] = "/tmp/llmind-sensors-XXXXXX", root[64];
    assert_non_null(mkdtemp(folder));
    snprintf(root, sizeof root, "%s/now", folder);
    point(root, "intel/0");
    struct sensors_cpu *sensors;
    struct sensors_cpu_reading reading;
    assert_int_equal(sensors_cpu_open(root, &sensors, NULL), 0);

    sensors_cpu_read(sensors, 10 * SECOND, &reading);
    unknown(&reading.busy, "this is the first");
    unknown(&reading.cgroup_cores, "this is the first");
    unknown(&reading.power_w, "this is the first");
    known(&reading.temperature_c, 67.5); /* the hotter package; its core is not asked */
    assert_string_equal(reading.mhz_source, "cpufreq");
    known(&reading.mhz, 2500);
    assert_int_equal(reading.n_cores, 2);

    point(root, "intel/1");
    sensors_cpu_read(sensors, 11 * SECOND, &reading);
    known(&reading.busy, 140.0 / 200);
    known(&reading.steal, 10.0 / 200);
    known(&reading.cgroup_cores, 1.25);
    known(&reading.power_w, 65 + 35); /* the second counter went round */
    assert_int_equal(reading.n_cores, 3);
    near(reading.cores[0].busy, 1);
    near(reading.cores[1].busy, 40.0 / 100);
    assert_true(isnan(reading.cores[2].busy)); /* was just switched on */
    near(reading.cores[0].mhz, 3500);
    near(reading.cores[1].mhz, 1500);
    assert_true(isnan(reading.cores[2].mhz));

    sensors_cpu_read(sensors, 12 * SECOND, &reading); /* nothing has moved */
    unknown(&reading.busy, "no time has passed");
    known(&reading.cgroup_cores, 0);
    known(&reading.power_w, 0);
    sensors_cpu_close(sensors);
    unlink(root);
    rmdir(folder);
}

static void a_desktop_that_hides_its_energy(void **state)
{
    (void)state;
    struct sensors_cpu *sensors = open_tree("amd");
    struct sensors_cpu_reading reading;
    sensors_cpu_read(sensors, SECOND, &reading);
    known(&reading.temperature_c, 60.25);
    assert_string_equal(reading.temperature_source, "k10temp: Tdie");
    unknown(&reading.power_w, "may not read it (/sys/class/powercap/intel-rapl:0/energy_uj");
    known(&reading.mhz, 3600.5); /* of the core that runs, not of the one that is off */
    assert_string_equal(reading.mhz_source, "cpuinfo");
    unknown(&reading.cgroup_cores, "control group");
    sensors_cpu_close(sensors);
}

static void a_board_with_thermal_zones(void **state)
{
    (void)state;
    struct sensors_cpu *sensors = open_tree("arm");
    struct sensors_cpu_reading reading;
    sensors_cpu_read(sensors, SECOND, &reading);
    known(&reading.temperature_c, 51);
    assert_memory_equal(reading.temperature_source, "thermal zone: cpu-", 18);
    known(&reading.mhz, 1608);
    assert_int_equal(reading.n_cores, 2);
    assert_int_equal(reading.cores[1].id, 4);
    near(reading.cores[1].mhz, 1800);
    sensors_cpu_close(sensors);

    sensors = open_tree("soc");
    sensors_cpu_read(sensors, SECOND, &reading);
    known(&reading.temperature_c, -12.5);
    unknown(&reading.busy, "/proc/stat");
    unknown(&reading.mhz, "no frequency");
    assert_int_equal(reading.n_cores, 0);
    sensors_cpu_close(sensors);
}

static void a_virtual_machine_knows_little(void **state)
{
    (void)state;
    struct sensors_cpu *sensors = open_tree("vm");
    struct sensors_cpu_reading reading;
    sensors_cpu_read(sensors, SECOND, &reading);
    unknown(&reading.temperature_c, "no temperature sensor");
    assert_string_equal(reading.temperature_source, "");
    unknown(&reading.power_w, "no energy counter");
    unknown(&reading.mhz, "no frequency");
    assert_null(reading.mhz_source);
    sensors_cpu_read(sensors, 2 * SECOND, &reading);
    known(&reading.cgroup_cores, 0); /* version 1 */
    sensors_cpu_close(sensors);
}

static void lies_are_not_believed(void **state)
{
    (void)state;
    static const char *const trees[] = {"garbage", "no-such-tree"};
    for (size_t i = 0; i < 2; i++) {
        struct sensors_cpu *sensors = open_tree(trees[i]);
        struct sensors_cpu_reading reading;
        for (uint64_t second = 1; second < 3; second++) {
            sensors_cpu_read(sensors, second * SECOND, &reading);
            unknown(&reading.busy, "/proc/stat");
            unknown(&reading.mhz, "no frequency");
            unknown(&reading.temperature_c, "no temperature sensor");
            assert_false(reading.power_w.known);
            assert_false(reading.cgroup_cores.known);
            for (uint32_t core = 0; core < reading.n_cores; core++)
                assert_true(isnan(reading.cores[core].busy) && isnan(reading.cores[core].mhz));
        }
        sensors_cpu_close(sensors);
    }
    char long_name[2000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    struct sensors_cpu *sensors;
    assert_int_equal(sensors_cpu_open(long_name, &sensors, NULL), ERROR_LIMIT);
    assert_null(sensors);
    sensors_cpu_close(NULL);
}

/* Busy while this test computes, and never more than all of it. */
static void this_machine(void **state)
{
    (void)state;
    struct sensors_cpu *sensors;
    struct sensors_cpu_reading reading;
    assert_int_equal(sensors_cpu_open("", &sensors, NULL), 0);
    uint64_t start = clock_now_ns();
    sensors_cpu_read(sensors, start, &reading);
    volatile unsigned sink = 0;
    while (clock_now_ns() - start < SECOND / 5)
        sink += 1;
    sensors_cpu_read(sensors, clock_now_ns(), &reading);
#if defined(__linux__)
    assert_true(reading.busy.known);
    assert_true(reading.busy.value > 0 && reading.busy.value <= 1);
    assert_true(reading.n_cores >= 1);
#endif
    if (reading.temperature_c.known)
        assert_true(reading.temperature_c.value > -60 && reading.temperature_c.value < 151);
    else
        assert_true(reading.temperature_c.reason[0] != '\0');
    sensors_cpu_close(sensors);
}

static void gpus_or_a_reason(void **state)
{
    (void)state;
    struct sensors_gpus *gpus;
    const char *reason;
    assert_int_equal(sensors_gpus_open("libno-such-driver.so.1", &gpus, NULL), 0);
    assert_int_equal(sensors_gpus_count(gpus, &reason), 0);
    assert_non_null(strstr(reason, "libno-such-driver.so.1 is not installed"));
    sensors_gpus_close(gpus);

    assert_int_equal(sensors_gpus_open("libm.so.6", &gpus, NULL), 0); /* a library, not that one */
    assert_int_equal(sensors_gpus_count(gpus, &reason), 0);
    assert_true(reason[0] != '\0');
    sensors_gpus_close(gpus);
    sensors_gpus_close(NULL);

    assert_int_equal(sensors_gpus_open(NULL, &gpus, NULL), 0);
    uint32_t n = sensors_gpus_count(gpus, &reason);
    assert_true(n > 0 || reason[0] != '\0');
    for (uint32_t i = 0; i < n; i++) {
        struct sensors_gpu_reading reading;
        sensors_gpus_read(gpus, i, &reading);
        assert_true(reading.name[0] != '\0');
        const struct sensors_value *values[] = {&reading.busy,          &reading.memory_total_bytes,
                                                &reading.temperature_c, &reading.power_w,
                                                &reading.power_limit_w, &reading.graphics_mhz};
        printf("GPU %u: %s\n", (unsigned)i, reading.name);
        for (size_t j = 0; j < sizeof values / sizeof *values; j++) {
            printf("  %g %s\n", values[j]->value, values[j]->reason);
            assert_true(values[j]->known || values[j]->reason[0] != '\0');
        }
        assert_true(!reading.busy.known || (reading.busy.value >= 0 && reading.busy.value <= 1));
    }
    sensors_gpus_close(gpus);
}

static void processes(void **state)
{
    (void)state;
    struct process_usage figures = {0};
    /* a name that looks like the rest of the line */
    assert_true(process_usage_parse_stat(
        "42 (a) R 1 (b)) S 1 42 42 0 -1 4194560 500 0 7 0 250 50 0 0 20 0 9 0 1 2", 100, &figures));
    near(figures.cpu_s, 3);
    assert_int_equal(figures.threads, 9);
    assert_int_equal(figures.memory.minor_faults, 500);
    assert_int_equal(figures.memory.major_faults, 7);
    static const char *const bad[] = {"", "42", "42 (a)", "42 (a) S 1 2 3",
                                      "42 (a) S 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 0 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(process_usage_parse_stat(bad[i], 100, &(struct process_usage){0}));

    process_usage_read(getpid(), &figures);
#if defined(__linux__)
    assert_true(figures.known && figures.memory.known && figures.descriptors_known);
    assert_true(figures.cpu_s > 0 && figures.threads >= 1);
    assert_true(figures.memory.resident_bytes > 1 << 16);
    uint32_t before = figures.descriptors;
    int files[2];
    assert_int_equal(pipe(files), 0);
    process_usage_read(getpid(), &figures);
    assert_int_equal(figures.descriptors, before + 2);
    close(files[0]);
    close(files[1]);
#endif
    process_usage_read(0, &figures);
    assert_false(figures.known || figures.memory.known || figures.descriptors_known);
    process_usage_read(0x7FFFFFFF, &figures);
    assert_false(figures.known || figures.memory.known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_of_two_sockets),    cmocka_unit_test(a_desktop_that_hides_its_energy),
        cmocka_unit_test(a_board_with_thermal_zones), cmocka_unit_test(a_virtual_machine_knows_little),
        cmocka_unit_test(lies_are_not_believed),      cmocka_unit_test(this_machine),
        cmocka_unit_test(gpus_or_a_reason),           cmocka_unit_test(processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
