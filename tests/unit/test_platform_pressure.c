/* Throttling, stalls, swapping and the setup of recorded machines: tests/data/machines has one folder per
 * kind of machine, each with two trees, a second apart. */
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

#include "platform/places.h"
#include "platform/pressure.h"
#include "platform/process_usage.h"
#include "platform/setup.h"
#include "platform/small_file.h"

#define SECOND UINT64_C(1000000000)

static char folder[] = "/tmp/llmind-pressure-XXXXXX", root[64];

/* The machine as it was in its first or second tree, under one name. */
static void point(const char *machine, int second)
{
    char target[1024];
    snprintf(target, sizeof target, "%s/tests/data/machines/%s/%d", LLMIND_SOURCE_DIR, machine, second);
    unlink(root);
    assert_int_equal(symlink(target, root), 0);
}

static void known(const struct sensors_value *value, double expected)
{
    if (!value->known)
        fail_msg("unknown: %s", value->reason);
    if (!(fabs(value->value - expected) <= 1e-9 * fabs(expected) + 1e-12))
        fail_msg("%.12g instead of %.12g", value->value, expected);
}

static void unknown(const struct sensors_value *value, const char *because)
{
    if (value->known)
        fail_msg("known: %g", value->value);
    if (!strstr(value->reason, because))
        fail_msg("'%s' does not say '%s'", value->reason, because);
}

/* Both trees of a machine, one second apart; the levels are the second's. */
static void read_both(const char *machine, struct pressure_rates *first, struct pressure_rates *rates,
                      struct pressure_levels *levels)
{
    struct pressure *pressure;
    point(machine, 0);
    assert_int_equal(pressure_open(root, &pressure, NULL), 0);
    pressure_read_rates(pressure, 5 * SECOND, first);
    point(machine, 1);
    pressure_read_rates(pressure, 6 * SECOND, rates);
    pressure_read_levels(pressure, levels);
    pressure_close(pressure);
}

static void a_desktop_without_limits(void **state)
{
    (void)state;
    struct pressure_rates first, rates;
    struct pressure_levels levels;
    read_both("amd", &first, &rates, &levels);
    unknown(&first.throttled_fraction, "this is the first");
    unknown(&first.swap_in_bytes_per_s, "this is the first");
    known(&rates.throttled_fraction, 0);
    known(&rates.throttled_s_per_s, 0);
    known(&rates.swap_in_bytes_per_s, 0);
    unknown(&levels.quota_cores, "no control group");
    known(&levels.cpu, 0.025);
    known(&levels.memory, 0);
    known(&levels.io, 0.1225);
    known(&levels.memory_available_bytes, 18000000.0 * 1024);
    known(&levels.swap_total_bytes, 0);
    known(&levels.load_1min, 1.52);
}

static void a_container_that_is_throttled(void **state)
{
    (void)state;
    struct pressure_rates first, rates;
    struct pressure_levels levels;
    read_both("container", &first, &rates, &levels);
    known(&rates.throttled_fraction, 30.0 / 40);
    known(&rates.throttled_s_per_s, 2);
    assert_int_equal(rates.periods, 40);
    assert_int_equal(rates.throttled_periods, 30);
    known(&levels.quota_cores, 1.5);
    /* what the limit leaves is less than what the machine has; files that nobody uses count as free */
    known(&levels.memory_available_bytes, (double)((UINT64_C(4) << 30) - (768u << 20)));
    unknown(&levels.cpu, "psi=1");

    struct pressure *pressure;
    assert_int_equal(pressure_open(root, &pressure, NULL), 0);
    pressure_read_rates(pressure, 7 * SECOND, &rates);
    pressure_read_rates(pressure, 8 * SECOND, &rates); /* nothing has moved: no period has ended */
    unknown(&rates.throttled_fraction, "no period of the quota ended");
    known(&rates.throttled_s_per_s, 0);
    pressure_close(pressure);
}

static void version_1_with_the_quota_above(void **state)
{
    (void)state;
    struct pressure_rates first, rates;
    struct pressure_levels levels;
    read_both("cgroup1", &first, &rates, &levels);
    known(&rates.throttled_fraction, 0.1);
    known(&rates.throttled_s_per_s, 0.25); /* nanoseconds there */
    known(&levels.quota_cores, 2);
    known(&rates.swap_in_bytes_per_s, 256.0 * (double)sysconf(_SC_PAGESIZE));
    known(&levels.memory_available_bytes, (double)(UINT64_C(1536) << 20));
    known(&levels.swap_used_bytes, 500000.0 * 1024);
}

static void a_guest_that_swaps(void **state)
{
    (void)state;
    struct pressure_rates first, rates;
    struct pressure_levels levels;
    read_both("guest", &first, &rates, &levels);
    unknown(&rates.throttled_fraction, "nr_periods");
    known(&rates.swap_in_bytes_per_s, 1000.0 * (double)sysconf(_SC_PAGESIZE));
    known(&levels.memory, 0.31);
    known(&levels.memory_available_bytes, 200000.0 * 1024);
    known(&levels.swap_used_bytes, 3000000.0 * 1024);
}

static void write_file(const char *name, const char *text)
{
    char path[256], command[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    assert_int_equal(system(command), 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void lies_are_not_believed(void **state)
{
    (void)state;
    unlink(root);
    write_file("proc/self/cgroup", "0::/\n");
    write_file("proc/self/mountinfo", "29 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    write_file("cg/cpu.stat", "nr_periods 5\nnr_throttled -3\nthrottled_usec 99999999999999999999999\n");
    write_file("cg/cpu.max", "0 0\n");
    write_file("cg/memory.max", "12\n");
    write_file("cg/memory.current", "lots\n");
    write_file("proc/meminfo", "MemAvailable: -5 kB\nSwapTotal: 4 kB\nSwapFree: 9 kB\n");
    write_file("proc/vmstat", "pswpinx 5\n pswpin 7\n");
    write_file("proc/pressure/cpu", "some avg10=nan\n");
    write_file("proc/pressure/memory", "some avg10=1000.0\n");
    write_file("proc/pressure/io", "");
    write_file("proc/loadavg", "-1 x\n");
    struct pressure *pressure;
    struct pressure_rates rates;
    struct pressure_levels levels;
    assert_int_equal(pressure_open(root, &pressure, NULL), 0);
    for (uint64_t second = 1; second < 3; second++) {
        pressure_read_rates(pressure, second * SECOND, &rates);
        assert_false(rates.throttled_fraction.known || rates.throttled_s_per_s.known);
        assert_false(rates.swap_in_bytes_per_s.known);
    }
    pressure_read_levels(pressure, &levels);
    const struct sensors_value *values[] = {&levels.quota_cores,
                                            &levels.cpu,
                                            &levels.memory,
                                            &levels.io,
                                            &levels.memory_available_bytes,
                                            &levels.swap_total_bytes,
                                            &levels.load_1min};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_true(!values[i]->known && values[i]->reason[0]);
    /* counters that go back: the group was made anew */
    write_file("cg/cpu.stat", "nr_periods 50\nnr_throttled 30\nthrottled_usec 9\n");
    pressure_read_rates(pressure, 4 * SECOND, &rates);
    write_file("cg/cpu.stat", "nr_periods 5\nnr_throttled 3\nthrottled_usec 9\n");
    pressure_read_rates(pressure, 5 * SECOND, &rates);
    assert_false(rates.throttled_fraction.known);
    pressure_close(pressure);

    assert_int_equal(pressure_open("/no/such/tree", &pressure, NULL), 0);
    pressure_read_levels(pressure, &levels);
    assert_false(levels.cpu.known || levels.memory_available_bytes.known);
    pressure_close(pressure);
    char long_name[2000];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    assert_int_equal(pressure_open(long_name, &pressure, NULL), ERROR_LIMIT);
    assert_null(pressure);
    pressure_close(NULL);
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

static void this_machine(void **state)
{
    (void)state;
    struct pressure *pressure;
    struct pressure_rates rates;
    struct pressure_levels levels;
    assert_int_equal(pressure_open("", &pressure, NULL), 0);
    pressure_read_rates(pressure, SECOND, &rates);
    pressure_read_rates(pressure, 2 * SECOND, &rates);
    pressure_read_levels(pressure, &levels);
    assert_true(levels.memory_available_bytes.known);
    assert_true(levels.memory_available_bytes.value > 0);
    assert_true(levels.load_1min.known);
    if (rates.throttled_fraction.known)
        assert_true(rates.throttled_fraction.value >= 0 && rates.throttled_fraction.value <= 1);
    pressure_close(pressure);
}

/* A kept file is read from its start each time, and given back. */
static void kept_files(void **state)
{
    (void)state;
    struct small_file file = {0};
    struct process_usage before, after;
    char path[128], text[16];
    unlink(root);
    snprintf(path, sizeof path, "%s/counter", root);
    process_usage_read(getpid(), &before);
    assert_false(small_file_read_kept(&file, path, text, sizeof text));
    assert_string_equal(text, "");
    for (int i = 0; i < 3; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d \n", 10 * i);
        write_file("counter", number);
        assert_true(small_file_read_kept(&file, path, text, sizeof text));
        assert_int_equal(atoi(text), 10 * i);
        assert_int_equal(strlen(text), i ? 2 : 1); /* without white space at its end */
    }
    char three[4];
    write_file("counter", "123456");
    assert_true(small_file_read_kept(&file, path, three, sizeof three));
    assert_string_equal(three, "123");
    small_file_close(&file);
    small_file_close(&file);
    struct small_file directory = {0};
    assert_false(small_file_read_kept(&directory, root, text, sizeof text));
    assert_false(directory.open);
    process_usage_read(getpid(), &after);
    assert_int_equal(after.descriptors, before.descriptors);
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

/* ---- processes of a recorded tree ---- */

static void a_recorded_process(void **state)
{
    (void)state;
    struct process_usage usage;
    point("amd", 1);
    process_usage_sample(root, 4242, &usage);
    assert_true(usage.known && usage.memory.known);
    assert_int_equal(usage.threads, 9);
    assert_true(fabs(usage.cpu_s - 410.0 / (double)sysconf(_SC_CLK_TCK)) < 1e-9);
    assert_int_equal(usage.memory.major_faults, 5);
    assert_int_equal(usage.memory.resident_bytes, 2000008u * UINT64_C(1024));
    assert_int_equal(usage.memory.file_bytes, 1500000u * UINT64_C(1024));
    process_usage_sample(root, 4243, &usage);
    assert_false(usage.known || usage.memory.known);
    process_usage_sample(root, 0, &usage);
    assert_false(usage.known || usage.memory.known);
}

/* ---- setup ---- */

static void setups(void **state)
{
    (void)state;
    struct setup setup;
    point("amd", 0);
    setup_read(root, &setup);
    known(&setup.physical_cores, 2);
    known(&setup.core_cache_bytes, 1 << 20);
    known(&setup.boost, 1);
    assert_string_equal(setup.governor.value, "powersave");
    assert_string_equal(setup.huge_pages.value, "always");
    assert_false(setup.virtual_machine);

    point("container", 0);
    setup_read(root, &setup);
    known(&setup.physical_cores, 1);
    unknown(&setup.core_cache_bytes, "level 2");
    assert_string_equal(setup.governor.value, "");
    assert_non_null(strstr(setup.governor.reason, "cpufreq"));
    assert_string_equal(setup.huge_pages.value, "madvise");
    assert_true(setup.virtual_machine);

    point("guest", 0);
    setup_read(root, &setup);
    unknown(&setup.physical_cores, "share a core");
    unknown(&setup.boost, "no switch");
    assert_string_equal(setup.huge_pages.value, "never");

    setup_read("/no/such/tree", &setup);
    unknown(&setup.physical_cores, "share a core");
    assert_true(setup.huge_pages.reason[0] != '\0');

    setup_read("", &setup);
    assert_true(setup.physical_cores.known ? setup.physical_cores.value >= 1
                                           : setup.physical_cores.reason[0] != '\0');
}

static void setups_that_lie(void **state)
{
    (void)state;
    unlink(root);
    write_file("sys/devices/system/cpu/online", "3-1,0-99999999,-4\n");
    write_file("sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "zero\n");
    write_file("sys/devices/system/cpu/cpu0/cache/index0/level", "2\n");
    write_file("sys/devices/system/cpu/cpu0/cache/index0/size", "99999999999999999999K\n");
    write_file("sys/devices/system/cpu/cpufreq/boost", "maybe\n");
    write_file("sys/kernel/mm/transparent_hugepage/enabled", "always [] never\n");
    struct setup setup;
    setup_read(root, &setup);
    assert_false(setup.physical_cores.known || setup.core_cache_bytes.known || setup.boost.known);
    assert_string_equal(setup.huge_pages.value, "");
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    assert_int_equal(system(command), 0);
}

static void the_cache_folder(void **state)
{
    (void)state;
    char path[128];
    setenv("HOME", "/h/x", 1);
    unsetenv("LLMIND_CACHE_DIR");
    setenv("XDG_CACHE_HOME", "", 1);
    assert_int_equal(places_cache(path, sizeof path, NULL), 0);
    assert_string_equal(path, "/h/x/.cache/llmind");
    setenv("XDG_CACHE_HOME", "/c", 1);
    assert_int_equal(places_cache(path, sizeof path, NULL), 0);
    assert_string_equal(path, "/c/llmind");
    setenv("LLMIND_CACHE_DIR", "/own", 1);
    assert_int_equal(places_cache(path, sizeof path, NULL), 0);
    assert_string_equal(path, "/own");
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(root, sizeof root, "%s/now", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_desktop_without_limits),
        cmocka_unit_test(a_container_that_is_throttled),
        cmocka_unit_test(version_1_with_the_quota_above),
        cmocka_unit_test(a_guest_that_swaps),
        cmocka_unit_test(lies_are_not_believed),
        cmocka_unit_test(this_machine),
        cmocka_unit_test(kept_files),
        cmocka_unit_test(a_recorded_process),
        cmocka_unit_test(setups),
        cmocka_unit_test(setups_that_lie),
        cmocka_unit_test(the_cache_folder),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(root);
    rmdir(folder);
    return failed;
}
