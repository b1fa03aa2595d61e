/* What the doctor says of machines that are not at hand: a good one first, then one that differs in each way
 * alone, which must change the one row and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/doctor_checks.h"

static struct sensors_value number(double value)
{
    return (struct sensors_value){.known = true, .value = value};
}

static struct sensors_value nothing(const char *reason)
{
    struct sensors_value value = {0};
    snprintf(value.reason, sizeof value.reason, "%s", reason);
    return value;
}

/* A workstation of eight cores where nothing is to be said. */
static struct doctor_facts healthy(void)
{
    struct doctor_facts facts = {
        .isa = "avx512",
        .x86 = true,
        .threads = 8,
        .cores_allowed = 8,
        .rest_busy = number(0.01),
        .busy_steal = number(0),
        .mhz = number(5000),
        .mhz_source = "cpufreq",
        .temperature_c = number(61),
        .temperature_source = "k10temp: Tctl",
        .power_w = number(88),
        .no_gpu = "no NVIDIA GPU: the driver's library is not installed",
        .port = 8000,
        .data = {.path = "/h/x/.local/share/llmind", .writable = true, .free_bytes = 5e10},
    };
    facts.setup.physical_cores = number(8);
    facts.setup.boost = number(1);
    snprintf(facts.setup.governor.value, SETUP_WORD, "performance");
    snprintf(facts.setup.huge_pages.value, SETUP_WORD, "madvise");
    facts.load.throttled_fraction = number(0);
    facts.load.swap_in_bytes_per_s = number(0);
    facts.levels.quota_cores = nothing("no control group has a quota");
    facts.levels.cpu = facts.levels.memory = facts.levels.io = number(0);
    facts.levels.memory_available_bytes = number(2.4e10);
    facts.levels.swap_total_bytes = facts.levels.swap_used_bytes = number(0);
    facts.levels.load_1min = number(0.1);
    return facts;
}

/* Checks one row; returns how many rows of all are neither ok nor, where they were so before, unknown. */
static size_t check(const struct doctor_facts *facts, const char *id, enum doctor_state state,
                    const char *says)
{
    struct doctor_row rows[DOCTOR_MAX_ROWS];
    size_t n = doctor_check(facts, rows), complaints = 0;
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        const struct doctor_row *row = &rows[i];
        assert_true(row->observed[0] && row->expected[0] && row->title[0]);
        if (row->state >= DOCTOR_WARN)
            assert_true(row->fix[0] != '\0');
        complaints += row->state != DOCTOR_OK;
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(row->id, rows[k].id);
        if (strcmp(row->id, id) != 0)
            continue;
        found = true;
        if (row->state != state)
            fail_msg("%s is %s: %s", id, doctor_state_name(row->state), row->observed);
        if (!strstr(row->observed, says) && !strstr(row->fix, says))
            fail_msg("%s says '%s' and '%s', not '%s'", id, row->observed, row->fix, says);
    }
    assert_true(found);
    return complaints;
}

static void nothing_to_say(void **state)
{
    (void)state;
    struct doctor_facts facts = healthy();
    assert_int_equal(check(&facts, "isa", DOCTOR_OK, "avx512"), 0);
    assert_int_equal(check(&facts, "port", DOCTOR_OK, "8000 is free"), 0);
    assert_int_equal(check(&facts, "power", DOCTOR_OK, "88.0 W"), 0);
    assert_int_equal(check(&facts, "temperature", DOCTOR_OK, "k10temp"), 0);
    facts.api_key = "long enough";
    assert_int_equal(check(&facts, "api_key", DOCTOR_OK, "11 bytes"), 0);
    snprintf(facts.gpus, sizeof facts.gpus, "1, the first: NVIDIA H100 (watched only)");
    assert_int_equal(check(&facts, "gpu", DOCTOR_OK, "H100"), 0);
}

static void threads_and_quota(void **state)
{
    (void)state;
    struct doctor_facts facts = healthy();
    facts.isa = "reference";
    assert_int_equal(check(&facts, "isa", DOCTOR_WARN, "AVX2"), 1);

    facts = healthy();
    facts.levels.quota_cores = number(8);
    assert_int_equal(check(&facts, "quota", DOCTOR_OK, "8 cores for 8 threads"), 0);
    facts.levels.quota_cores = number(7.5);
    assert_int_equal(check(&facts, "quota", DOCTOR_WARN, "--threads 7"), 1);
    facts.levels.quota_cores = number(2);
    assert_int_equal(check(&facts, "quota", DOCTOR_PROBLEM, "--threads 2"), 1);
    facts.levels.quota_cores = number(0.25);
    assert_int_equal(check(&facts, "quota", DOCTOR_PROBLEM, "--threads 1"), 1);

    facts = healthy();
    facts.setup.physical_cores = number(4);
    assert_int_equal(check(&facts, "threads", DOCTOR_WARN, "--threads 4"), 1);
    facts.threads = 9;
    assert_int_equal(check(&facts, "threads", DOCTOR_PROBLEM, "--threads 8"), 1);
    facts = healthy();
    facts.setup.physical_cores = nothing("the system does not tell which CPUs share a core");
    assert_int_equal(check(&facts, "threads", DOCTOR_UNKNOWN, "does not tell"), 1);
}

static void time_that_is_taken(void **state)
{
    (void)state;
    struct doctor_facts facts = healthy();
    facts.load.periods = 100;
    facts.load.throttled_fraction = number(0.005);
    assert_int_equal(check(&facts, "throttling", DOCTOR_OK, "0.5"), 0);
    facts.load.throttled_fraction = number(0.05);
    assert_int_equal(check(&facts, "throttling", DOCTOR_WARN, "quota"), 1);
    facts.load.throttled_fraction = number(0.75);
    assert_int_equal(check(&facts, "throttling", DOCTOR_PROBLEM, "quota"), 1);
    facts.load.throttled_fraction = nothing("no cpu.stat");
    assert_int_equal(check(&facts, "throttling", DOCTOR_UNKNOWN, "no cpu.stat"), 1);

    facts = healthy();
    facts.busy_steal = number(0.049);
    assert_int_equal(check(&facts, "steal", DOCTOR_OK, "4.9"), 0);
    facts.busy_steal = number(0.05);
    assert_int_equal(check(&facts, "steal", DOCTOR_WARN, "virtual machines"), 1);
    facts.busy_steal = number(0.5);
    assert_int_equal(check(&facts, "steal", DOCTOR_PROBLEM, "virtual machines"), 1);

    facts = healthy();
    facts.rest_busy = number(0.6);
    assert_int_equal(check(&facts, "quiet", DOCTOR_WARN, "top"), 1);
}

static void how_fast_it_runs(void **state)
{
    (void)state;
    struct doctor_facts facts = healthy();
    snprintf(facts.setup.governor.value, SETUP_WORD, "powersave");
    assert_int_equal(check(&facts, "governor", DOCTOR_WARN, "cpupower"), 1);
    facts = healthy();
    facts.setup.boost = number(0);
    assert_int_equal(check(&facts, "governor", DOCTOR_WARN, "boost"), 1);
    facts = healthy();
    facts.setup.governor = (struct setup_word){.reason = "no cpufreq"};
    facts.mhz = number(2596);
    facts.mhz_source = "cpuinfo";
    assert_int_equal(check(&facts, "governor", DOCTOR_UNKNOWN, "2596 MHz (nominal)"), 1);

    facts = healthy();
    facts.temperature_c = number(91);
    assert_int_equal(check(&facts, "temperature", DOCTOR_WARN, "fans"), 1);
    facts.temperature_c = nothing("no temperature sensor");
    assert_int_equal(check(&facts, "temperature", DOCTOR_UNKNOWN, "modprobe"), 1);
    facts.setup.virtual_machine = true;
    assert_int_equal(check(&facts, "temperature", DOCTOR_UNKNOWN, "no temperature sensor"), 1);

    facts = healthy();
    facts.power_w = nothing("no energy counter");
    assert_int_equal(check(&facts, "power", DOCTOR_UNKNOWN, "no energy counter"), 1);
    facts.power_w = nothing("the processor counts its energy, but this user may not read it");
    assert_int_equal(check(&facts, "power", DOCTOR_WARN, "chmod a+r"), 1);
}

static void memory(void **state)
{
    (void)state;
    struct doctor_facts facts = healthy();
    snprintf(facts.setup.huge_pages.value, SETUP_WORD, "never");
    assert_int_equal(check(&facts, "huge_pages", DOCTOR_WARN, "transparent_hugepage/enabled"), 1);
    facts = healthy();
    facts.levels.memory_available_bytes = number(1.5e9);
    assert_int_equal(check(&facts, "memory", DOCTOR_WARN, "1.50 GB"), 1);
    facts.levels.memory_available_bytes = number(1e8);
    assert_int_equal(check(&facts, "memory", DOCTOR_PROBLEM, "100 MB"), 1);
    facts = healthy();
    facts.levels.swap_total_bytes = number(8e9);
    facts.levels.swap_used_bytes = number(3e9);
    assert_int_equal(check(&facts, "swap", DOCTOR_OK, "3.00 GB of 8.00 GB"), 0);
    facts.load.swap_in_bytes_per_s = number(8192);
    assert_int_equal(check(&facts, "swap", DOCTOR_WARN, "memory is short, or was"), 1);
    facts.load.swap_in_bytes_per_s = number(5e7);
    assert_int_equal(check(&facts, "swap", DOCTOR_PROBLEM, "memory is short, or was"), 1);
    facts = healthy();
    facts.levels.memory = number(0.31);
    assert_int_equal(check(&facts, "pressure", DOCTOR_PROBLEM, "31.0"), 1);
    facts.levels.memory = nothing("boot with psi=1");
    assert_int_equal(check(&facts, "pressure", DOCTOR_UNKNOWN, "psi=1"), 1);
}

static void places_and_keys(void **state)
{
    (void)state;
    struct doctor_facts facts = healthy();
    facts.port_error = EADDRINUSE;
    assert_int_equal(check(&facts, "port", DOCTOR_WARN, "--port"), 1);
    facts.port_error = EACCES;
    facts.port = 80;
    assert_int_equal(check(&facts, "port", DOCTOR_PROBLEM, "80: "), 1);
    facts = healthy();
    facts.data.writable = false;
    snprintf(facts.data.problem, sizeof facts.data.problem, "/data: Read-only file system");
    assert_int_equal(check(&facts, "data", DOCTOR_PROBLEM, "Read-only"), 1);
    facts = healthy();
    facts.data.free_bytes = 1e6;
    assert_int_equal(check(&facts, "data", DOCTOR_PROBLEM, "nearly full"), 1);
    facts.data.free_bytes = NAN;
    assert_int_equal(check(&facts, "data", DOCTOR_OK, "free"), 0);
    facts = healthy();
    facts.api_key = "short";
    assert_int_equal(check(&facts, "api_key", DOCTOR_PROBLEM, "too short"), 1);
    facts.api_key = "";
    assert_int_equal(check(&facts, "api_key", DOCTOR_OK, "this machine alone"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_say),
        cmocka_unit_test(threads_and_quota),
        cmocka_unit_test(time_that_is_taken),
        cmocka_unit_test(how_fast_it_runs),
        cmocka_unit_test(memory),
        cmocka_unit_test(places_and_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
