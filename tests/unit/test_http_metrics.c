/* The text format of Prometheus: every line of the form it has to have, every figure where it belongs. The
 * official parser reads the real thing in tests/api/test_live.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/metrics.h"

static struct host_state host;
static struct live_snapshot live;
static struct process_usage server, worker;
static struct buffer out;

static void fill(void)
{
    static struct live_route routes[] = {{"/api/chats/{id}", 404, 2}, {"/health", 200, 7}};
    host = (struct host_state){.phase = HOST_READY,
                               .has_info = true,
                               .waiting = 2,
                               .failures = 3,
                               .stats = {.active_sequences = 5,
                                         .queued_requests = 4,
                                         .pages_total = 100,
                                         .pages_used = 60,
                                         .pages_cached = 25}};
    snprintf(host.model, sizeof host.model, "%s", "a \"b\" \\ c");
    live = (struct live_snapshot){.generated_tokens = 123456789012345, .routes = routes, .n_routes = 2};
    struct live_histogram histogram = {.total = 6, .sum_ms = 1500};
    for (int i = 0; i < LIVE_BUCKETS; i++)
        histogram.upper_ms[i] = i + 1;
    histogram.upper_ms[LIVE_BUCKETS - 1] = INFINITY;
    histogram.count[0] = 1;
    histogram.count[1] = 2;
    histogram.count[LIVE_BUCKETS - 1] = 3;
    live.ttft = live.itl = live.request = histogram;
    server = (struct process_usage){.known = true, .cpu_s = 1.5, .threads = 9};
    worker = (struct process_usage){0};
}

static void write_all(void)
{
    buffer_clear(&out);
    metrics_write(&out, &(struct metrics){12.5, &host, &live, &server, &worker});
    assert_false(out.failed);
}

static void has(const char *line)
{
    char with_ends[256];
    snprintf(with_ends, sizeof with_ends, "\n%s\n", line);
    if (!strstr(out.data, with_ends))
        fail_msg("no line '%s' in\n%s", line, out.data);
}

static void figures_are_where_they_belong(void **state)
{
    (void)state;
    fill();
    write_all();
    has("llmind_http_requests_total{route=\"/api/chats/{id}\",code=\"404\"} 2");
    has("llmind_http_requests_total{route=\"/health\",code=\"200\"} 7");
    has("llmind_queue_depth 6"); /* for the engine and for a model */
    has("llmind_active_sequences 5");
    has("llmind_kv_pages{state=\"used\"} 35");
    has("llmind_kv_pages{state=\"cached\"} 25");
    has("llmind_kv_pages{state=\"free\"} 40");
    has("llmind_worker_restarts_total 3");
    has("llmind_generated_tokens_total 123456789012345");
    has("llmind_ttft_seconds_bucket{le=\"0.001\"} 1");
    has("llmind_ttft_seconds_bucket{le=\"0.002\"} 3"); /* cumulative */
    has("llmind_ttft_seconds_bucket{le=\"0.019\"} 3");
    has("llmind_ttft_seconds_bucket{le=\"+Inf\"} 6");
    has("llmind_ttft_seconds_sum 1.5");
    has("llmind_ttft_seconds_count 6");
    has("process_cpu_seconds_total{process=\"server\"} 1.5");
    assert_null(strstr(out.data, "process=\"worker\"")); /* not known: no sample, not 0 */
    assert_non_null(strstr(out.data, "model=\"a \\\"b\\\" \\\\ c\""));
}

static void without_a_model(void **state)
{
    (void)state;
    fill();
    host.has_info = false;
    host.phase = HOST_EMPTY;
    write_all();
    has("llmind_active_sequences 0");
    has("llmind_queue_depth 2");
    assert_null(strstr(out.data, "llmind_kv_pages{"));
    assert_null(strstr(out.data, "llmind_model_info{"));
    host.has_info = true;
    host.stats.pages_cached = 70; /* figures of two moments may disagree: never below zero */
    host.stats.pages_used = 120;
    write_all();
    has("llmind_kv_pages{state=\"used\"} 50");
    has("llmind_kv_pages{state=\"free\"} 0");
}

/* HELP and TYPE come once, before the samples of their name, and samples have a number. */
static void every_line_is_well_formed(void **state)
{
    (void)state;
    fill();
    write_all();
    char name[128] = "", *save = NULL;
    for (char *line = strtok_r(out.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            assert_true(strlen(line) > 7 + strlen(name) + 1);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_memory_equal(line + 7, name, strlen(name));
        } else {
            assert_memory_equal(line, name, strlen(name));
            const char *number = strrchr(line, ' ') + 1;
            char *end;
            (void)strtod(number, &end);
            if (end == number || *end)
                fail_msg("'%s'", line);
        }
    }
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_where_they_belong),
        cmocka_unit_test(without_a_model),
        cmocka_unit_test(every_line_is_well_formed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
