/* The diagnoses, each on a healthy report into which its sign was put, and on nothing else. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/analysis_fixture.h"

/* ---- one sign, one finding ---- */

struct diagnosis {
    const char *id;
    bool keeps_limit; /* the bound of the healthy report stays beside it */
    struct sign signs[6];
};

static const struct diagnosis diagnoses[] = {
    {"swapping", true, {{SERIES "7.values", "5e7"}}},
    {"not_resident", true, {{SERIES "6.values", "80"}}},
    {"gpu_working_set", true, {{"machine.gpu_working_set_bytes", "4.8e9"}}},
    {"cpu_quota", true, {{SERIES "3.values", "0.6"}, {"machine.quota_cores", "4.0"}}},
    {"cpu_quota", true, {{SERIES "3.values", "null"}, {"machine.quota_cores", "4.0"}}},
    {"oversubscribed", true, {{"flags.threads", "32"}}},
    {"smt", true, {{"machine.cores_physical", "4"}, {"configurations.2.id", "\"threads=5\""}}},
    {"steal", true, {{SERIES "2.values", "0.12"}}},
    {"busy_host",
     true,
     {{SERIES "0.values", "0.9"}, {"flags.threads", "12"}, {"machine.cores_physical", "16"}}},
    {"thermal", true, {{SERIES "5.values", "95"}}},
    {"numa_remote", true, {{SERIES "1.id", "\"numa_remote_fraction\""}, {SERIES "1.values", "0.5"}}},
    {"itl_tail", true, {{DECODE "summary.itl_p99_ms.median", "400"}}},
    {"speculative_loss",
     true,
     {{"configurations.2.id", "\"draft\""}, {"configurations.2.knobs", "{\"draft_model\": \"x\"}"}}},
    {"byte_accounting", false, {{DECODE "roofline.mbu.median", "1.3"}}},
    {"memory_bandwidth", false, {{"summary.grade", "\"good\""}}}, /* the healthy report itself */
    {"cache_bandwidth", false, {{DECODE "samples.0.read_from", "\"cache\""}}},
    {"bandwidth_headroom", false, {{DECODE "roofline.mbu.median", "0.6"}}},
    {"overhead", false, {{DECODE "roofline.mbu.median", "0.2"}, {"traces.0.segments.20.ms", "500"}}},
    {"decode_compute",
     false,
     {{DECODE "roofline.mbu.median", "0.4"},
      {"traces.0.segments.20.flops", "1e12"},
      {"traces.0.segments.20.ms", "300"}}},
    {"kv_cache",
     true,
     {{DEEP "summary.tpot_ms.median", "61"},
      {DEEP "summary.tpot_ms.min", "60"},
      {DEEP "roofline.kv_bytes_per_token", "9e8"}}},
    {"attention_kernel", true, {{DEEP "summary.tpot_ms.median", "80"}, {DEEP "summary.tpot_ms.min", "79"}}},
    {"prefill_compute", true, {{"tests.2.roofline.mfu", "0.7"}}},
    {"threads_saturated",
     true,
     {{"configurations.2.verdict", "\"no_real_difference\""},
      {"configurations.2.change_pct", "0.3"},
      {"configurations.2.ci95", "[-1.1, 1.7]"}}},
    {"batch_saturated", true, {{"configurations.4.change_pct", "8.0"}}},
    {"memory_tight", true, {{"machine.memory_limit_bytes", "6e9"}}},
    {"footprint", true, {{"memory.measured.footprint_peak_bytes", "12e9"}}},
    {"cold_cache", true, {{"host.weights_resident_before", "0.2"}}},
};

static json_t *sick_report(const struct diagnosis *diagnosis)
{
    json_t *report = load("healthy");
    for (const struct sign *sign = diagnosis->signs; sign->path; sign++)
        put_sign(report, sign);
    if (strcmp(diagnosis->signs[0].value, "null") == 0) /* a series nobody could read has no mean either */
        put(report, SERIES "3.mean", "null");
    return report;
}

static void each_sign_is_found_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof diagnoses / sizeof *diagnoses; i++) {
        const struct diagnosis *d = &diagnoses[i];
        json_t *report = sick_report(d);
        const json_t *analysis = analyse(report);
        const json_t *list = json_get_array(analysis, "bottlenecks");
        const json_t *found = bottleneck(analysis, d->id);
        if (!found)
            fail_msg("%s (case %zu) is not found", d->id, i);
        for (size_t k = 0; k < json_get_count(list, ""); k++) {
            const char *id = json_get_text(json_get_item(list, k), "id", "");
            if (strcmp(id, d->id) != 0 && !(d->keeps_limit && strcmp(id, "memory_bandwidth") == 0))
                fail_msg("%s (case %zu): %s is accused, too", d->id, i, id);
            assert_int_equal(json_get_bool(json_get_item(list, k), "principal", false), k == 0);
        }
        assert_true(json_object_size(json_get_object(found, "evidence")) >= 1);
        assert_true(strlen(json_get_text(found, "explanation", "")) > 40);
        assert_true(strlen(json_get_text(found, "title", "")) > 10);
        json_decref(report);
    }
}

/* The same report, one figure after another taken away: rules that lose their figures say nothing. */
static void rules_without_figures_are_silent(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    static const char *const gone[] = {"sensors",  "machine", "memory",   "flags",
                                       "ceilings", "host",    "protocol", "model",
                                       "tests",    "traces",  "summary",  "configurations"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        put(report, gone[i], "null");
        const json_t *analysis = analyse(report);
        const json_t *list = json_get_array(analysis, "bottlenecks");
        for (size_t k = 0; k < json_get_count(list, ""); k++)
            assert_string_equal(json_get_text(json_get_item(list, k), "id", ""), "memory_bandwidth");
    }
    assert_int_equal(json_get_count(json_get(report, "analysis"), "bottlenecks"), 0);
    assert_int_equal(json_get_count(json_get(report, "analysis"), "recommendations"), 0);
    json_decref(report);
}

static void healthy_run_has_no_fault(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    const json_t *analysis = analyse(report);
    assert_int_equal(json_get_count(analysis, "bottlenecks"), 1);
    const json_t *found = bottleneck(analysis, "memory_bandwidth");
    assert_true(json_get_is(found, "kind", "limit"));
    assert_true(fabs(json_get_number(found, "evidence.mbu") - 0.835) < 0.001);
    assert_true(says(json_get_array(analysis, "strengths"), "Nothing was found wrong"));
    assert_true(says(json_get_array(analysis, "strengths"), "Stable"));
    assert_true(says(json_get_array(analysis, "strengths"), "Memory to spare"));
    assert_int_equal(json_get_count(analysis, "quality.flags"), 0);
    assert_true(json_get_is(analysis, "quality.grade", "excellent"));
    json_decref(report);
}

static void consequences_are_not_accused(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put_sign(report,
             &(struct sign){SERIES "3.values", "0.4"}); /* throttled: late tokens and waiting follow */
    put(report, DECODE "summary.itl_p99_ms.median", "900");
    put(report, DECODE "roofline.mbu.median", "0.2");
    put(report, "traces.0.segments.20.ms", "500");
    const json_t *analysis = analyse(report);
    assert_int_equal(json_get_count(analysis, "bottlenecks"), 1);
    assert_true(json_get_is(analysis, "bottlenecks.0.id", "cpu_quota"));
    json_decref(report);
    report = load("healthy"); /* slower in depth, but the repeats overlap */
    put(report, DEEP "summary.tpot_ms.median", "80");
    put(report, DECODE "summary.tpot_ms.max", "60");
    analysis = analyse(report);
    assert_null(bottleneck(analysis, "attention_kernel"));
    assert_null(bottleneck(analysis, "kv_cache"));
    json_decref(report);
}

static void sensors_count_only_while_the_baseline_is_timed(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put_from(report, SERIES "2.values", 41, 0.9);               /* stolen from 4.1 s on ... */
    put(report, "sensors.phases.2.name", "\"configurations\""); /* ... while knobs were compared ... */
    assert_null(bottleneck(analyse(report), "steal"));
    put(report, "sensors.phases.2.name", "\"decode_128_at_2048, run 1\""); /* ... or a test was timed */
    assert_non_null(bottleneck(analyse(report), "steal"));
    put(report, "sensors.phases.2.start_s", "5.95"); /* between phases */
    assert_null(bottleneck(analyse(report), "steal"));
    json_decref(report);
}

static void a_falling_clock_is_found(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put_from(report, SERIES "4.values", 35, 2700);
    const json_t *found = bottleneck(analyse(report), "thermal");
    assert_true(fabs(json_get_number(found, "evidence.frequency_change") + 0.25) < 1e-9);
    assert_true(json_get_is(found, "severity", "High"));
    put(report, SERIES "4.quality", "\"nominal\""); /* a guest's figure says nothing */
    assert_null(bottleneck(analyse(report), "thermal"));
    json_decref(report);
}

static void a_neighbour_on_a_free_core_is_none(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put_from(report, SERIES "0.values", 0, 0.75); /* 12 cores busy, 8 of them ours, 16 there */
    assert_int_equal(json_get_count(analyse(report), "bottlenecks"), 1);
    put_from(report, SERIES "0.values", 0, 0.999);
    put_from(report, SERIES "1.values", 0, 6.0); /* 10 are theirs, and we got 6 of our 8 */
    assert_non_null(bottleneck(analyse(report), "busy_host"));
    json_decref(report);
}

static void weights_that_do_not_stay_are_no_cold_start(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "host.weights_resident_before", "0.2");
    put_from(report, SERIES "6.values", 0, 30);
    const json_t *analysis = analyse(report);
    assert_non_null(bottleneck(analysis, "not_resident"));
    assert_null(bottleneck(analysis, "cold_cache"));
    json_decref(report);
}

static void unstable_repeats_carry_no_verdict(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, DECODE "grade", "\"unstable\"");
    put(report, "configurations.4.change_pct", "8.0");
    const json_t *analysis = analyse(report);
    assert_null(bottleneck(analysis, "memory_bandwidth"));
    assert_non_null(bottleneck(analysis, "batch_saturated")); /* pairs have an interval of their own */
    assert_false(says(json_get_array(analysis, "strengths"), "Depth costs little"));
    put_sign(report, &(struct sign){SERIES "2.values", "0.12"});
    assert_non_null(bottleneck(analyse(report), "steal")); /* what disturbs is named all the same */
    json_decref(report);
}

/* Each sign of a limit beside a neighbour that took the processors: a limit of that run, not of the machine.
 */
static void a_disturbed_run_has_no_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof diagnoses / sizeof *diagnoses; i++) {
        json_t *report = sick_report(&diagnoses[i]);
        bool fault = !json_get_is(bottleneck(analyse(report), diagnoses[i].id), "kind", "limit");
        put_sign(report, &(struct sign){SERIES "2.values", "0.12"});
        const json_t *analysis = analyse(report), *list = json_get_array(analysis, "bottlenecks");
        assert_non_null(bottleneck(analysis, "steal"));
        for (size_t k = 0; !fault && k < json_get_count(list, ""); k++) {
            const char *id = json_get_text(json_get_item(list, k), "id", "");
            if (strcmp(id, "steal") != 0 && strcmp(id, "memory_bandwidth") != 0 &&
                strcmp(id, "cache_bandwidth") != 0)
                fail_msg("%s (case %zu) is told of a disturbed run", id, i);
        }
        json_decref(report);
    }
}

static void a_cause_needs_a_witness(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "configurations.4.change_pct", "8.0");
    const json_t *found = bottleneck(analyse(report), "batch_saturated");
    assert_non_null(strstr(json_get_text(found, "explanation", ""), "was not shown"));
    put(report, "traces.0.segments.20.flops", "1e12"); /* a step that is mostly arithmetic */
    put(report, "traces.0.segments.20.ms", "300");
    found = bottleneck(analyse(report), "batch_saturated");
    assert_non_null(strstr(json_get_text(found, "explanation", ""), "arithmetic of a step is probably"));
    assert_true(json_get_number(found, "evidence.compute_share_of_step") > 0.5);
    json_decref(report);
}

/* From -15 % to +15 % follows neither that fewer threads do as well nor that two on a core do no harm. */
static void what_is_unclear_proves_nothing(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "machine.cores_physical", "4");
    put(report, "configurations.2.verdict", "\"no_real_difference\"");
    put(report, "configurations.2.change_pct", "0.3");
    put(report, "configurations.2.ci95", "[-1.1, 1.7]");
    assert_null(bottleneck(analyse(report), "smt")); /* measured: no harm */
    put(report, "configurations.2.ci95", "[-15.0, 15.6]");
    const json_t *analysis = analyse(report);
    assert_non_null(bottleneck(analysis, "smt"));
    assert_null(bottleneck(analysis, "threads_saturated"));
    json_decref(report);
}

/* A GPU at its power limit for less than a third of the time is only busy. */
static void power_counts_by_the_time_at_the_limit(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "flags.backend", "\"mlx\"");
    put(report, "flags.isa", "\"gpu\"");
    put(report, SERIES "4.id", "\"gpu_0_power_w\"");
    put(report, SERIES "5.id", "\"gpu_0_power_limit_w\"");
    put_sign(report, &(struct sign){SERIES "5.values", "700"});
    json_t *values = (json_t *)(uintptr_t)json_get(report, SERIES "4.values");
    for (int tenths = 1; tenths <= 6; tenths++) {
        for (size_t i = 0; i < json_array_size(values); i++)
            json_array_set_new(values, i, json_real((int)(i % 10) < tenths ? 690 : 400));
        const json_t *found = bottleneck(analyse(report), "thermal");
        assert_int_equal(found != NULL, tenths >= 4);
        if (found) {
            assert_non_null(strstr(json_get_text(found, "explanation", ""), "power limit (700 W)"));
            assert_true(json_get_number(found, "evidence.time_share_at_power_limit") > 0.3);
        }
    }
    put(report, "flags.backend", "\"cpu\""); /* then the GPU is busy with something else */
    assert_null(bottleneck(analyse(report), "thermal"));
    json_decref(report);
}

/* Half of what perfect sharing would give is what shared weights and caches of one's own explain. */
static void batching_is_a_witness_for_bandwidth(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put(report, "configurations.4.change_pct", "100.0"); /* four of them, twice as fast */
    const json_t *found = bottleneck(analyse(report), "memory_bandwidth");
    assert_true(json_get_number(found, "evidence.exponent") == 0.5);
    assert_non_null(strstr(json_get_text(found, "explanation", ""), "Several answers at once"));
    put(report, "configurations.4.change_pct", "290.0");
    found = bottleneck(analyse(report), "memory_bandwidth");
    assert_true(found && !strstr(json_get_text(found, "explanation", ""), "Several answers at once"));
    json_decref(report);
}

static void a_surplus_of_memory_has_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *anonymous, *files, *name;
    } cases[] = {{"7e9", "4.6e9", "of the process's own"},
                 {"1.2e9", "9e9", "files that are mapped"},
                 {"1.2e9", "4.6e9", "for a moment only"},
                 {"null", "4.6e9", "could not be read"}};
    json_t *report = load("healthy");
    put(report, "memory.measured.footprint_peak_bytes", "12e9");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(report, "memory.measured.anonymous_bytes", cases[i].anonymous);
        put(report, "memory.measured.file_resident_bytes", cases[i].files);
        const json_t *found = bottleneck(analyse(report), "footprint");
        if (!strstr(json_get_text(found, "explanation", ""), cases[i].name))
            fail_msg("%s: %s", cases[i].name, json_get_text(found, "explanation", ""));
    }
    json_decref(report);
}

/* Words follow the figures: an 8-bit cache is half of 16 bits, a quarter of 32, and no advice for one of 8.
 */
static void words_follow_the_figures(void **state)
{
    (void)state;
    static const struct {
        const char *kv_bits, *found, *advice;
    } cases[] = {{"16", "about half of them", "about half of its bytes"},
                 {"32", "about a quarter of them", "about a quarter of its bytes"},
                 {"8", NULL, NULL}};
    json_t *report = load("healthy");
    put(report, DEEP "summary.tpot_ms.median", "61");
    put(report, DEEP "summary.tpot_ms.min", "60");
    put(report, DEEP "roofline.kv_bytes_per_token", "9e8");
    put(report, "configurations.3.id", "\"another\""); /* or kv_bits=8 was tried */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(report, "flags.kv_bits", cases[i].kv_bits);
        const json_t *analysis = analyse(report), *found = bottleneck(analysis, "kv_cache");
        const json_t *advice = json_get_where(analysis, "recommendations", "id", "kv_bits=8");
        const char *said = json_get_text(found, "explanation", "");
        assert_non_null(strstr(said, cases[i].found ? cases[i].found : "what those bytes explain."));
        assert_int_equal(strstr(said, "8-bit") != NULL, cases[i].found != NULL);
        assert_int_equal(advice != NULL, cases[i].advice != NULL);
        if (cases[i].advice)
            assert_non_null(strstr(json_get_text(advice, "text", ""), cases[i].advice));
    }
    put(report, "machine.cores_allowed", "1");
    put(report, "flags.threads", "2");
    const json_t *analysis = analyse(report);
    assert_non_null(strstr(json_get_text(bottleneck(analysis, "oversubscribed"), "explanation", ""),
                           "2 compute threads share 1 core."));
    const json_t *advice = json_get_where(analysis, "recommendations", "id", "threads=1");
    assert_string_equal(json_get_text(advice, "text", ""), "Use 1 thread instead of 2.");
    json_decref(report);
}

/* Of a server that was measured from outside, machine and sensors are the client's. */
static void a_remote_server_is_not_accused_of_the_clients_troubles(void **state)
{
    (void)state;
    json_t *report = load("healthy");
    put_sign(report, &(struct sign){SERIES "2.values", "0.5"});
    put(report, "host.steal_fraction", "0.5");
    put(report, "target", "{\"url\": \"http://127.0.0.1:1/v1\", \"model\": null, \"server\": null}");
    put(report, "flags", "null");
    assert_int_equal(json_get_count(analyse(report), "bottlenecks"), 0);
    assert_false(says(json_get(report, "analysis.strengths"), "found wrong")); /* nobody looked */
    put(report, DECODE "summary.itl_p99_ms.median", "900");
    const json_t *analysis = analyse(report);
    assert_int_equal(json_get_count(analysis, "bottlenecks"), 1);
    assert_true(json_get_is(analysis, "bottlenecks.0.id", "itl_tail"));
    json_decref(report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sign_is_found_and_nothing_else),
        cmocka_unit_test(rules_without_figures_are_silent),
        cmocka_unit_test(healthy_run_has_no_fault),
        cmocka_unit_test(consequences_are_not_accused),
        cmocka_unit_test(sensors_count_only_while_the_baseline_is_timed),
        cmocka_unit_test(a_falling_clock_is_found),
        cmocka_unit_test(a_neighbour_on_a_free_core_is_none),
        cmocka_unit_test(weights_that_do_not_stay_are_no_cold_start),
        cmocka_unit_test(unstable_repeats_carry_no_verdict),
        cmocka_unit_test(a_disturbed_run_has_no_limit),
        cmocka_unit_test(a_cause_needs_a_witness),
        cmocka_unit_test(what_is_unclear_proves_nothing),
        cmocka_unit_test(power_counts_by_the_time_at_the_limit),
        cmocka_unit_test(batching_is_a_witness_for_bandwidth),
        cmocka_unit_test(a_surplus_of_memory_has_a_name),
        cmocka_unit_test(words_follow_the_figures),
        cmocka_unit_test(a_remote_server_is_not_accused_of_the_clients_troubles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
