/* A load run without a target: arrivals are a Poisson process, the sender is not held up by slow answers,
 * times count from when a request was due, and a queue that grows is called saturation. The target here is a
 * queue with one server and a fixed service time, so what must come out is known. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "profile/json_get.h"
#include "profile/load_internal.h"
#include "profile/remote.h"
#include "profile/remote_chunks.h"
#include "profile/stats.h"

/* ---- arrivals ---- */

static void arrivals(void **state)
{
    (void)state;
    size_t n, again, other;
    uint64_t *moments = load_arrivals(7, 100, 500, 100000, &n);
    uint64_t *same = load_arrivals(7, 100, 500, 100000, &again);
    uint64_t *different = load_arrivals(8, 100, 500, 100000, &other);
    assert_non_null(moments);
    assert_int_equal(n, again);
    assert_memory_equal(moments, same, n * sizeof *moments);
    assert_true(other != n || memcmp(moments, different, n * sizeof *moments) != 0);

    /* 50 000 expected, standard deviation 224 */
    assert_true(n > 50000 - 5 * 224 && n < 50000 + 5 * 224);
    double sum = 0, squares = 0;
    size_t above_mean = 0;
    for (size_t i = 1; i < n; i++) {
        assert_true(moments[i] >= moments[i - 1]);
        double gap = (double)(moments[i] - moments[i - 1]) / 1e9;
        sum += gap;
        squares += gap * gap;
        above_mean += gap > 0.01;
    }
    double mean = sum / (double)(n - 1), sd = sqrt(squares / (double)(n - 1) - mean * mean);
    assert_true(fabs(mean - 0.01) < 0.0003);
    assert_true(fabs(sd / mean - 1) < 0.03); /* exponential: deviation and mean are the same */
    assert_true(fabs((double)above_mean / (double)(n - 1) - exp(-1)) < 0.01);
    assert_true(moments[n - 1] < 500000000000u);

    /* arrivals in a window have a variance like their mean: no more even, no more clustered */
    double counts = 0, count_squares = 0;
    for (size_t window = 0, i = 0; window < 500; window++) {
        double count = 0;
        for (; i < n && moments[i] < (window + 1) * 1000000000u; i++)
            count++;
        counts += count;
        count_squares += count * count;
    }
    double m = counts / 500, variance = count_squares / 500 - m * m;
    assert_true(variance / m > 0.75 && variance / m < 1.25);
    free(moments);
    free(same);
    free(different);

    assert_null(load_arrivals(7, 100, 500, 1000, &n)); /* more than may be */
    assert_int_equal(n, 0);
}

/* ---- a queue ---- */

struct queue {
    struct load_target target; /* first */
    struct load_slot *waiting[LOAD_MAX_IN_FLIGHT];
    size_t n, most;
    uint64_t service_ns, free_ns; /* when the server is free again */
    size_t refuse_from;           /* waiting: further ones are refused; 0: none */
    bool fails;
};

static void settle(struct load_slot *slot, uint64_t at_ns, enum target_outcome outcome)
{
    uint64_t *tokens = calloc(2, sizeof *tokens);
    assert_non_null(tokens);
    tokens[0] = at_ns - 1000000;
    tokens[1] = at_ns;
    struct target_trace trace = {.token_ns = tokens, .n_tokens = 2, .capacity = 2, .outcome = outcome};
    trace.timings = (struct engine_timings){.accepted_ns = slot->due_ns,
                                            .first_token_ns = tokens[0],
                                            .last_token_ns = tokens[1],
                                            .prompt_tokens = 3};
    if (outcome != OUTCOME_OK)
        error_set(&trace.error, ERROR_IO, "it broke");
    sample_from_trace(&trace, &slot->sample);
    target_trace_free(&trace);
    slot->end_ns = at_ns;
}

static int start(struct load_target *target, struct load_slot *slot, uint64_t nonce, struct error *error)
{
    struct queue *queue = (struct queue *)(void *)target;
    (void)nonce, (void)error;
    if (queue->refuse_from && queue->n >= queue->refuse_from) {
        slot->refused = true;
        settle(slot, clock_now_ns(), OUTCOME_ERROR);
        return 0;
    }
    uint64_t now_ns = clock_now_ns();
    if (queue->n == 0 && queue->free_ns < now_ns)
        queue->free_ns = now_ns;
    queue->waiting[queue->n++] = slot;
    queue->most = queue->n > queue->most ? queue->n : queue->most;
    return 0;
}

static int wait_for(struct load_target *target, uint64_t until_ns, struct error *error)
{
    struct queue *queue = (struct queue *)(void *)target;
    (void)error;
    uint64_t done_ns = queue->free_ns + queue->service_ns;
    uint64_t wake_ns = queue->n && done_ns < until_ns ? done_ns : until_ns, now_ns = clock_now_ns();
    if (wake_ns > now_ns) {
        struct timespec time = {.tv_nsec = (long)((wake_ns - now_ns) % 1000000000)};
        nanosleep(&time, NULL);
    }
    if (queue->n && clock_now_ns() >= done_ns) {
        settle(queue->waiting[0], done_ns, queue->fails ? OUTCOME_ERROR : OUTCOME_OK);
        queue->free_ns = done_ns;
        memmove(queue->waiting, queue->waiting + 1, --queue->n * sizeof *queue->waiting);
    }
    return 0;
}

static void abandon(struct load_target *target, struct load_slot *slot)
{
    (void)target;
    settle(slot, clock_now_ns(), OUTCOME_TIMEOUT);
}

static struct queue make_queue(double service_s)
{
    return (struct queue){.target = {.start = start, .wait = wait_for, .abandon = abandon, .max_tokens = 2},
                          .service_ns = (uint64_t)(service_s * 1e9)};
}

static const struct load_request limits = {.ttft_limit_ms = 1000, .itl_limit_ms = 100};

/* Twice as much as the queue can serve: nobody waits before sending, so the time in the queue is seen. A
 * sender that waited for answers would find every request as quick as the first. */
static void open_loop(void **state)
{
    (void)state;
    struct queue queue = make_queue(0.01);
    struct load_point point = {.asked = 200, .duration_s = 1, .seed = 3};
    size_t n;
    free(load_arrivals(3, 200, 1, 1000, &n));
    assert_int_equal(load_point_run(&queue.target, &point, NULL, NULL), 0);
    assert_int_equal(point.n, n);
    for (size_t i = 0; i < point.n; i++) {
        assert_int_equal(point.slots[i].sample.outcome, OUTCOME_OK);
        assert_true(point.slots[i].sent_ns >= point.slots[i].due_ns);
        double latency_ms = (double)(point.slots[i].end_ns - point.slots[i].due_ns) / 1e6;
        assert_true(fabs(point.slots[i].sample.value[METRIC_RESPONSE_MS] - latency_ms) < 1e-3);
    }
    /* n arrivals, n * 10 ms of work: the last one leaves n * 10 ms after the start, or later */
    const struct load_slot *last = &point.slots[point.n - 1];
    assert_true((double)(last->end_ns - point.start_ns) / 1e9 >= 0.0099 * (double)n);
    assert_true(last->sample.value[METRIC_TTFT_MS] > 300);
    assert_true(queue.most > 20);
    const char *why = load_saturated(&point, load_tokens_per_s(&point), 0);
    assert_non_null(why);
    assert_true(load_requests_per_s(&point) < 101 && point.window_s == 1);

    json_t *json = load_point_json(&point, &limits, why);
    assert_true(json_get_bool(json, "saturated", false));
    assert_int_equal(json_get_integer(json, "sent", 0, 100000, -1), (long)n);
    assert_int_equal(json_get_integer(json, "ok", 0, 100000, -1), (long)n);
    assert_true(json_get_number(json, "goodput") <= json_get_number(json, "requests_per_s"));
    assert_true(json_get_number(json, "ttft_ms.p99") >= json_get_number(json, "ttft_ms.p50"));
    json_decref(json);
    load_point_free(&point);
}

static void little_load(void **state)
{
    (void)state;
    struct queue queue = make_queue(0.002);
    struct load_point point = {.asked = 50, .duration_s = 1, .seed = 5};
    assert_int_equal(load_point_run(&queue.target, &point, NULL, NULL), 0);
    assert_null(load_saturated(&point, load_tokens_per_s(&point), 0));
    json_t *json = load_point_json(&point, &limits, NULL);
    assert_true(point.n < 100);
    assert_true(json_is_null(json_get(json, "ttft_ms.p99"))); /* of fewer than 100 there is none */
    assert_non_null(json_get_string(json, "ttft_ms.p99_reason"));
    assert_true(json_get_number(json, "ttft_ms.p90") > 0);
    assert_true(json_get_number(json, "late_ms.p50") >= 0);
    json_t *samples = json_array();
    load_samples_json(&point, 4, samples);
    assert_int_equal(json_array_size(samples), point.n);
    assert_int_equal(json_get_integer(samples, "0.point", 0, 9, -1), 4);
    json_decref(samples);
    json_decref(json);
    load_point_free(&point);
}

static void closed_loop(void **state)
{
    (void)state;
    struct queue queue = make_queue(0.005);
    struct load_point point = {.closed = true, .asked = 4, .duration_s = 0.5, .seed = 5};
    assert_int_equal(load_point_run(&queue.target, &point, NULL, NULL), 0);
    assert_int_equal(queue.most, 4); /* never more at once than asked */
    assert_int_equal(point.in_flight_max, 4);
    /* 100 in half a second and those under way at its end; fewer where this thread was not woken in time */
    assert_true(point.n > 12 && point.n <= 105);
    double in_flight = load_in_flight(&point, 0, 0.5);
    assert_true(in_flight > 0.5 && in_flight <= 4.0001);
    double tokens = load_tokens_per_s(&point);
    assert_null(load_saturated(&point, tokens, 0));
    assert_null(load_saturated(&point, tokens, tokens / 1.2));
    assert_non_null(load_saturated(&point, tokens, tokens / 1.02));
    load_point_free(&point);
}

/* What is refused is counted apart, and the load counts as too much. */
static void refusals(void **state)
{
    (void)state;
    struct queue queue = make_queue(0.02);
    queue.refuse_from = 2;
    struct load_point point = {.asked = 150, .duration_s = 1, .seed = 9};
    assert_int_equal(load_point_run(&queue.target, &point, NULL, NULL), 0);
    const char *why = load_saturated(&point, 0, 0);
    assert_non_null(why);
    json_t *json = load_point_json(&point, &limits, why);
    double sent = json_get_number(json, "sent"), refused = json_get_number(json, "refused");
    assert_true(refused > 20);
    assert_true(sent == refused + json_get_number(json, "ok"));
    assert_true(json_get_number(json, "failed") == 0);
    assert_string_equal(json_get_string(json, "failures.0.message"), "it broke");
    assert_true(json_get_number(json, "failures.0.count") == refused);
    json_decref(json);
    load_point_free(&point);
}

/* A target that is gone does not become 50 000 failures. */
static void gone(void **state)
{
    (void)state;
    struct queue queue = make_queue(0.0001);
    queue.fails = true;
    struct error error = {0};
    struct load_point point = {.closed = true, .asked = 2, .duration_s = 60, .seed = 9};
    assert_int_equal(load_point_run(&queue.target, &point, NULL, &error), ERROR_IO);
    assert_non_null(strstr(error.message, "it broke"));
    assert_true(point.n < 200);
    load_point_free(&point);
}

static void cancelled(void **state)
{
    (void)state;
    struct queue queue = make_queue(10);
    atomic_int cancel = 1;
    struct load_point point = {.asked = 50, .duration_s = 60, .seed = 9};
    assert_int_equal(load_point_run(&queue.target, &point, &cancel, NULL), ERROR_CANCELLED);
    assert_true(point.window_s < 30); /* rates are of the time that it had */
    load_point_free(&point);
}

/* An answered request with tokens at these milliseconds after it was due. */
static void put_slot(struct load_point *point, double due_ms, const double *ms, uint32_t n,
                     bool several_at_a_time)
{
    struct load_slot *slot = &point->slots[point->n++];
    uint64_t tokens[16];
    slot->due_ns = slot->sent_ns = point->start_ns + (uint64_t)(due_ms * 1e6);
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = slot->due_ns + (uint64_t)(ms[i] * 1e6);
    struct target_trace trace = {.token_ns = tokens, .n_tokens = n, .outcome = OUTCOME_OK};
    trace.timings = (struct engine_timings){
        .accepted_ns = slot->due_ns, .first_token_ns = tokens[0], .last_token_ns = tokens[n - 1]};
    struct remote_count count = {.tokens = n, .first = 1, .several = several_at_a_time};
    remote_chunks_sample(&trace, &count, &slot->sample);
    slot->end_ns = tokens[n - 1];
    slot->sent = true;
}

/* What comes while the point drains is no rate that was reached under its load: 3 requests of 4 tokens, of
 * which the second is under way at the end and the third has not begun. */
static void window(void **state)
{
    (void)state;
    static const double quick[] = {200, 250, 300, 350}, slow[] = {400, 600, 800, 1600}, late[] = {900, 1000};
    struct load_slot slots[3] = {0};
    struct load_point point = {
        .asked = 3, .duration_s = 1, .window_s = 1, .start_ns = 5000000000, .slots = slots};
    put_slot(&point, 100, quick, 4, false);
    put_slot(&point, 300, slow, 4, false); /* at 700, 900, 1100, 1900 */
    put_slot(&point, 900, late, 2, false);
    assert_true(fabs(load_requests_per_s(&point) - 1) < 1e-9);
    assert_true(fabs(load_tokens_per_s(&point) - 6) < 1e-9);
    json_t *json = load_point_json(&point, &limits, NULL);
    assert_true(json_get_number(json, "ok") == 3); /* all were answered, and say how long it took */
    assert_true(fabs(json_get_number(json, "duration_s") - 1.9) < 1e-9);
    assert_true(fabs(json_get_number(json, "goodput") - 1) < 1e-9);
    assert_true(fabs(json_get_number(json, "output_tokens_per_s") - 6) < 1e-9);
    assert_true(json_get_number(json, "itl_ms.n") == 7);
    json_decref(json);
    point.window_s = 0.5; /* cut off there */
    assert_true(fabs(load_requests_per_s(&point) - 2) < 1e-9);
    assert_true(fabs(load_tokens_per_s(&point) - 8) < 1e-9);
    for (size_t i = 0; i < 3; i++)
        sample_free(&slots[i].sample);
}

static void window_of_bursts(void **state)
{
    (void)state;
    static const double burst[] = {400, 600, 800, 1000, 1200}; /* TPOT 200 ms */
    struct load_slot slots[1] = {0};
    struct load_point point = {
        .asked = 1, .duration_s = 1, .window_s = 1, .start_ns = 5000000000, .slots = slots};
    put_slot(&point, 100, burst, 5, true); /* the last one 300 ms after the end: 1.5 tokens too late */
    assert_true(fabs(load_tokens_per_s(&point) - 3.5) < 1e-6);
    json_t *json = load_point_json(&point, &limits, NULL);
    assert_true(json_is_null(json_get(json, "itl_ms")));
    assert_string_equal(json_get_string(json, "itl_ms_reason"), REMOTE_SEVERAL_REASON);
    assert_true(fabs(json_get_number(json, "tpot_ms.p50") - 200) < 1e-6);
    json_decref(json);
    sample_free(&slots[0].sample);
}

static void nonsense(void **state)
{
    (void)state;
    json_t *out;
    struct error error = {0};
    struct load_request request = {.target_url = "http://127.0.0.1:1", .model_path = "x"};
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_INVALID);
    request.model_path = NULL;
    request.n_rates = 1;
    request.rates[0] = NAN;
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_INVALID);
    request.rates[0] = 1;
    request.duration_s = INFINITY;
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_INVALID);
    request.duration_s = -1;
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_INVALID);
    request.duration_s = 1;
    request.n_concurrency = 1;
    request.concurrency[0] = 100000;
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_INVALID);
    request.n_concurrency = 0;
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_INVALID); /* loopback without permission */
    assert_non_null(strstr(error.message, "permission"));
    request.allow_local = true;
    assert_int_equal(load_run(&request, NULL, &out, &error), ERROR_IO); /* nobody listens on port 1 */
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrivals),    cmocka_unit_test(open_loop), cmocka_unit_test(little_load),
        cmocka_unit_test(closed_loop), cmocka_unit_test(refusals),  cmocka_unit_test(gone),
        cmocka_unit_test(cancelled),   cmocka_unit_test(window),    cmocka_unit_test(window_of_bursts),
        cmocka_unit_test(nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
