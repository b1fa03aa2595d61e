/* Ceilings: what is measured has the right shape and is never absurd (how fast a busy machine is cannot be
 * said here), and what was measured is found again only when it may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/cpu/peak.h"
#include "platform/clock.h"
#include "profile/ceilings.h"
#include "profile/ceilings_cache.h"
#include "profile/team.h"

static char folder[] = "/tmp/llmind-ceilings-XXXXXX", file[128];

static void write_file(const char *text)
{
    char command[256];
    snprintf(command, sizeof command, "mkdir -p '%s/a/b'", folder);
    assert_int_equal(system(command), 0);
    FILE *out = fopen(file, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static double number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    assert_true(json_is_number(number));
    return json_number_value(number);
}

static void check_ceiling(const json_t *ceilings, const char *name, const char *unit)
{
    const json_t *ceiling = json_object_get(ceilings, name), *samples = json_object_get(ceiling, "samples");
    assert_true(json_is_object(ceiling));
    assert_string_equal(json_string_value(json_object_get(ceiling, "unit")), unit);
    assert_true(json_string_length(json_object_get(ceiling, "method")) > 20);
    if (json_is_null(json_object_get(ceiling, "value"))) {
        assert_true(json_string_length(json_object_get(ceiling, "reason")) > 10);
        assert_true(json_is_string(json_object_get(ceiling, "value_reason")));
        return;
    }
    double value = number_of(ceiling, "value"), best = 0;
    assert_true(value > 0.05 && value < 1e6);
    assert_true(number_of(ceiling, "one_thread") > 0);
    assert_true(number_of(ceiling, "cv") >= 0);
    assert_true(json_array_size(samples) >= 3);
    for (size_t i = 0; i < json_array_size(samples); i++)
        best = fmax(best, json_number_value(json_array_get(samples, i)));
    assert_true(value == best);
}

static void measured_on_this_machine(void **state)
{
    (void)state;
    struct ceilings_options options = {.n_threads = 2, .again = true};
    json_t *ceilings, *second;
    assert_int_equal(ceilings_measure(&options, &ceilings, NULL), 0);
    check_ceiling(ceilings, "memory_read", "GB/s");
    check_ceiling(ceilings, "cache_read", "GB/s");
    check_ceiling(ceilings, "int8", "Gop/s");
    check_ceiling(ceilings, "f32", "Gop/s");
    assert_int_equal((int)number_of(ceilings, "n_threads"), 2);
    assert_int_equal(json_string_length(json_object_get(ceilings, "measured")), 20);

    /* found again, unless it was too much disturbed to be kept */
    options.again = false;
    bool kept = access(file, F_OK) == 0;
    assert_int_equal(ceilings_measure(&options, &second, NULL), 0);
    if (kept)
        assert_true(json_equal(ceilings, second));
    json_decref(ceilings);
    json_decref(second);
}

static void one_thread_and_plain_c(void **state)
{
    (void)state;
    struct ceilings_options options = {.n_threads = 1, .isa = "reference", .again = true};
    json_t *ceilings;
    assert_int_equal(ceilings_measure(&options, &ceilings, NULL), 0);
    assert_string_equal(json_string_value(json_object_get(ceilings, "isa")), "reference");
    const json_t *int8 = json_object_get(ceilings, "int8");
    assert_true(number_of(int8, "value") == number_of(int8, "one_thread"));
    assert_non_null(strstr(json_string_value(json_object_get(int8, "method")), "1 thread;"));
    json_decref(ceilings);
}

static void refused_and_cancelled(void **state)
{
    (void)state;
    struct error error = {0};
    json_t *ceilings;
    struct ceilings_options options = {.isa = "abacus"};
    assert_int_equal(ceilings_measure(&options, &ceilings, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "abacus"));
    assert_null(ceilings);
    atomic_int cancel = 1;
    options = (struct ceilings_options){.again = true, .cancel = &cancel};
    assert_int_equal(ceilings_measure(&options, &ceilings, &error), ERROR_CANCELLED);
    assert_null(ceilings);
}

/* ---- the loops ---- */

/* Twice the rounds take twice the time: nothing was left out. */
static void rounds_are_computed(void **state)
{
    (void)state;
    static const char *const names[] = {"reference", "avx2", "avx512"};
    struct peak peak;
    for (size_t i = 0; i < 3; i++) {
        if (!peak_find(names[i], &peak))
            continue;
        assert_string_equal(peak.isa, names[i]);
        const struct peak_loop *loops[] = {&peak.int8, &peak.f32};
        for (size_t k = 0; k < 2; k++) {
            uint64_t ns[2] = {UINT64_MAX, UINT64_MAX};
            for (int pass = 0; pass < 6; pass++)
                for (uint32_t n = 0; n < 2; n++) {
                    uint64_t start = clock_thread_cpu_ns();
                    loops[k]->run(n ? 400000 : 50000);
                    uint64_t spent = clock_thread_cpu_ns() - start;
                    ns[n] = spent < ns[n] ? spent : ns[n];
                }
            double ratio = (double)ns[1] / (double)ns[0];
            if (!(ratio > 3 && ratio < 20)) /* 8 in a quiet place */
                fail_msg("%s %s: eight times the rounds take %.2f times as long", names[i],
                         loops[k]->instructions, ratio);
        }
    }
    assert_false(peak_find("abacus", &peak));
    assert_true(peak_find(NULL, &peak));
}

/* ---- the cache ---- */

#define C "{\"value\": 1, \"unit\": \"GB/s\", \"cv\": 0.1, \"samples\": [1], \"method\": \"m\"}"
#define WHOLE                                                                                                \
    "{\"measured\": \"2026-11-23T10:00:00Z\", \"isa\": \"x\", \"n_threads\": 2, \"memory_read\": " C         \
    ", \"cache_read\": " C ", \"int8\": " C ", \"f32\": " C "}"

static void only_fresh_and_whole_results_count(void **state)
{
    (void)state;
    json_t *whole = json_loads(WHOLE, 0, NULL), *found;
    assert_non_null(whole);
    unlink(file);
    assert_null(ceilings_recall("k", 1000000));
    ceilings_remember("k", 1000000, whole);
    ceilings_remember("other", 1000000, whole);
    found = ceilings_recall("k", 1000000 + 3600);
    assert_true(json_equal(found, whole));
    json_decref(found);
    assert_null(ceilings_recall("k", 1000000 + 25 * 3600)); /* a day is over */
    assert_null(ceilings_recall("k", 1000000 - 1));         /* from the future */
    assert_null(ceilings_recall("K", 1000000));
    json_decref(whole);

    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "{\"entries\": {}}",
        "{\"entries\": [1, null, {}]}",
        "{\"entries\": [{\"key\": \"k\", \"at\": 1000000, \"ceilings\": {}}]}",
        "{\"entries\": [{\"key\": \"k\", \"at\": \"1000000\", \"ceilings\": " WHOLE "}]}",
        "{\"entries\": [{\"key\": \"k\", \"at\": 1000000, \"ceilings\": {\"measured\": \"x\", \"isa\": "
        "\"x\", "
        "\"memory_read\": 3, \"cache_read\": " C ", \"int8\": " C ", \"f32\": " C "}}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(bad[i]);
        if (ceilings_recall("k", 1000000))
            fail_msg("believed: %s", bad[i]);
    }
    write_file("{\"entries\": [{\"key\": \"k\", \"at\": 1000000, \"ceilings\": " WHOLE "}]}");
    found = ceilings_recall("k", 1000000);
    assert_non_null(found);
    json_decref(found);
}

static void many_keys_stay_few(void **state)
{
    (void)state;
    json_t *whole = json_loads(WHOLE, 0, NULL);
    char key[16];
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "key%d", i);
        ceilings_remember(key, 1000000 + i, whole);
    }
    json_t *root = json_load_file(file, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "entries")), 16);
    json_decref(root);
    assert_null(ceilings_recall("key0", 1000040));
    json_t *found = ceilings_recall("key39", 1000040);
    assert_non_null(found);
    json_decref(found);
    json_decref(whole);

    setenv("LLMIND_CACHE_DIR", "/proc/no/such/place", 1); /* cannot be written: no error */
    whole = json_loads(WHOLE, 0, NULL);
    ceilings_remember("k", 1, whole);
    assert_null(ceilings_recall("k", 1));
    json_decref(whole);
}

/* ---- teams ---- */

static void count_member(void *context, uint32_t index, uint32_t n)
{
    atomic_uint *seen = context;
    atomic_fetch_add(&seen[index], n == 5 ? 1 : 1000);
}

static void every_member_works_in_every_round(void **state)
{
    (void)state;
    atomic_uint seen[5] = {0};
    struct team *team;
    assert_int_equal(team_open(5, &team, NULL), 0);
    for (int i = 0; i < 200; i++)
        assert_true(team_time(team, count_member, seen) > 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(atomic_load(&seen[i]), 200);
    assert_int_equal(team_size(team), 5);
    team_close(team);
    team_close(NULL);
    assert_int_equal(team_open(1, &team, NULL), 0);
    team_close(team);
}

/* As the cpu backend multiplies (kernels_is_coded). */
static void arithmetic(void **state)
{
    (void)state;
    static const char *const integers[] = {"4-bit affine, group 64", "mxfp4", "nvfp4", "mixed: mxfp4; bf16",
                                           "mixed: bf16; 8-bit affine, group 64"};
    static const char *const floats[] = {"mxfp8", "bf16", "f32", "mixed: bf16; f32"};
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        assert_string_equal(ceilings_arithmetic(integers[i], false), "int8");
        assert_string_equal(ceilings_arithmetic(integers[i], true), "f32");
    }
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        assert_string_equal(ceilings_arithmetic(floats[i], false), "f32");
    assert_string_equal(ceilings_arithmetic(NULL, false), "int8");
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    char place[64], command[128];
    snprintf(place, sizeof place, "%s/a/b", folder); /* folders that have to be made */
    snprintf(file, sizeof file, "%s/ceilings.json", place);
    setenv("LLMIND_CACHE_DIR", place, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(measured_on_this_machine),
        cmocka_unit_test(one_thread_and_plain_c),
        cmocka_unit_test(refused_and_cancelled),
        cmocka_unit_test(rounds_are_computed),
        cmocka_unit_test(only_fresh_and_whole_results_count),
        cmocka_unit_test(many_keys_stay_few),
        cmocka_unit_test(every_member_works_in_every_round),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command) ? 1 : failed;
}
