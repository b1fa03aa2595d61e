/* Figures from records made by hand: a request of 100 prompt tokens (20 cached) and 5 generated ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "profile/host.h"
#include "profile/metrics.h"

#define MS(x) ((uint64_t)((x)*1000000))
#define NEAR(a, b) assert_true(fabs((double)(a) - (b)) < 1e-6 * (1 + fabs((double)(b))))

static struct target_trace make_trace(uint64_t *token_ns)
{
    static const int at[] = {50, 60, 70, 90, 110};
    for (int i = 0; i < 5; i++)
        token_ns[i] = MS(1000 + at[i]);
    return (struct target_trace){.token_ns = token_ns,
                                 .n_tokens = 5,
                                 .capacity = 5,
                                 .timings = {.accepted_ns = MS(1000),
                                             .tokenized_ns = MS(1002),
                                             .prefill_start_ns = MS(1010),
                                             .first_token_ns = MS(1050),
                                             .last_token_ns = MS(1110),
                                             .prompt_tokens = 100,
                                             .cached_tokens = 20,
                                             .generated_tokens = 5},
                                 .decode_cpu_ns = MS(90),
                                 .decode_wall_ns = MS(60)};
}

static void definitions(void **state)
{
    (void)state;
    uint64_t token_ns[5];
    struct target_trace trace = make_trace(token_ns);
    struct sample sample;
    sample_from_trace(&trace, &sample);
    NEAR(sample.value[METRIC_TTFT_MS], 50);
    NEAR(sample.value[METRIC_TOKENIZE_MS], 2);
    NEAR(sample.value[METRIC_QUEUE_MS], 8);
    NEAR(sample.value[METRIC_PREFILL_MS], 40);
    NEAR(sample.value[METRIC_PREFILL_TPS], 80 / 0.040); /* cached tokens were not prefilled */
    NEAR(sample.value[METRIC_DECODE_TPS], 4 / 0.060);
    NEAR(sample.value[METRIC_TPOT_MS], 15);
    NEAR(sample.value[METRIC_RESPONSE_MS], 110);
    NEAR(sample.value[METRIC_TOKENS_PER_SECOND], 5 / 0.110);
    NEAR(sample.value[METRIC_CPU_CORES], 1.5);
    assert_int_equal(sample.n_itl, 4); /* gaps 10 10 20 20 */
    NEAR(sample.value[METRIC_ITL_P50_MS], 15);
    NEAR(sample.value[METRIC_ITL_MAX_MS], 20);
    assert_true(isnan(sample.value[METRIC_ITL_P99_MS])); /* needs 100 gaps */
    NEAR((double)sample.itl_ms[3], 20);
    sample_free(&sample);
}

static void p99_from_100_gaps(void **state)
{
    (void)state;
    uint64_t token_ns[101];
    for (uint64_t i = 0; i < 101; i++)
        token_ns[i] = MS(1000 + i);
    struct target_trace trace = {.token_ns = token_ns, .n_tokens = 101};
    trace.timings = (struct engine_timings){
        .accepted_ns = MS(990), .first_token_ns = token_ns[0], .last_token_ns = token_ns[100]};
    struct sample sample;
    sample_from_trace(&trace, &sample);
    NEAR(sample.value[METRIC_ITL_P99_MS], 1);
    sample_free(&sample);
    trace.n_tokens = 100; /* 99 gaps */
    sample_from_trace(&trace, &sample);
    assert_true(isnan(sample.value[METRIC_ITL_P99_MS]));
    sample_free(&sample);
}

static void nothing_is_invented(void **state)
{
    (void)state;
    struct target_trace trace = {.outcome = OUTCOME_TIMEOUT};
    struct sample sample;
    sample_from_trace(&trace, &sample);
    for (int i = 0; i < METRICS; i++)
        assert_true(isnan(sample.value[i]));
    uint64_t token_ns[5];
    trace = make_trace(token_ns); /* one token: there is no decoding to time */
    trace.n_tokens = 1;
    sample_from_trace(&trace, &sample);
    assert_true(isnan(sample.value[METRIC_DECODE_TPS]) && isnan(sample.value[METRIC_TPOT_MS]));
    assert_null(sample.itl_ms);
    sample_free(&sample);
}

static void prefill_at_a_depth(void **state)
{
    (void)state;
    uint64_t token_ns[5];
    struct target_trace trace = make_trace(token_ns);
    struct target_progress progress[] = {{40, MS(1020)}, {80, MS(1035)}};
    trace.progress = progress;
    trace.n_progress = 2;
    assert_int_equal(trace_prefill_ns(&trace, 0), MS(40));
    assert_int_equal(trace_prefill_ns(&trace, 80), MS(15));
    assert_int_equal(trace_prefill_ns(&trace, 64), 0); /* no chunk ended there */
}

static void batch_window(void **state)
{
    (void)state;
    /* a: 0 10 20 30 40    b: 15 25 35 45 ms. Both decode from 15 to 40: a gives 20 30 40, b gives 25 35. */
    uint64_t a[] = {MS(100), MS(110), MS(120), MS(130), MS(140)}, b[] = {MS(115), MS(125), MS(135), MS(145)};
    struct target_trace traces[] = {{.token_ns = a, .n_tokens = 5}, {.token_ns = b, .n_tokens = 4}};
    uint64_t window_ns;
    NEAR(traces_decode_tps(traces, 2, &window_ns), 5 / 0.025);
    assert_int_equal(window_ns, MS(25)); /* what was measured, not 2 * 4 tokens at that rate */
    NEAR(traces_decode_tps(traces, 1, &window_ns), 4 / 0.040);
    assert_int_equal(window_ns, MS(40));
    /* never at the same time */
    uint64_t late[] = {MS(200), MS(210)};
    traces[1] = (struct target_trace){.token_ns = late, .n_tokens = 2};
    assert_true(isnan(traces_decode_tps(traces, 2, &window_ns)));
    assert_int_equal(window_ns, 0);
    assert_true(isnan(traces_decode_tps(traces, 2, NULL)));
}

static void steal_from_two_readings(void **state)
{
    (void)state;
    struct host_reading before = {0}, after = {0};
    before.ticks_known = host_parse_stat("cpu  100 0 50 800 0 0 0 50 0 0\ncpu0 1 2\n", &before);
    after.ticks_known = host_parse_stat("cpu  150 0 60 820 0 0 0 70 0 0\n", &after);
    assert_int_equal(before.ticks_total, 1000);
    assert_int_equal(after.ticks_steal, 70);
    NEAR(host_steal(&before, &after), 0.2);
    assert_true(isnan(host_steal(&before, &before)));
    assert_false(host_parse_stat("cpu  1 2 three", &before));
    assert_false(host_parse_stat("", &before));
    before.ticks_known = false;
    assert_true(isnan(host_steal(&before, &after)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(definitions),         cmocka_unit_test(p99_from_100_gaps),
        cmocka_unit_test(nothing_is_invented), cmocka_unit_test(prefill_at_a_depth),
        cmocka_unit_test(batch_window),        cmocka_unit_test(steal_from_two_readings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
