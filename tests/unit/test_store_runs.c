/* Profiling runs in the database: what goes in comes out, lists stay quick beside long reports, runs of a
 * series find the one before them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "store/runs.h"
#include "support/folder.h"

static char folder[64];
static struct store *store;

static int set_up(void **state)
{
    (void)state;
    folder_make(folder);
    return store_open(folder, &store, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    store_close(store);
    folder_remove(folder);
    return 0;
}

/* Ids are 32 characters that end in a number. */
static const char *id_of(char out[33], unsigned number)
{
    snprintf(out, 33, "%032x", number);
    return out;
}

static struct store_run unknown(const char *id, const char *status, int64_t created_ms)
{
    return (struct store_run){.id = id,
                              .kind = "profile",
                              .status = status,
                              .created_ms = created_ms,
                              .duration_s = NAN,
                              .tokens_per_second = NAN,
                              .decode_tps = NAN,
                              .prefill_tps = NAN,
                              .ttft_ms = NAN,
                              .memory_bytes = NAN,
                              .decode_log_mean = NAN,
                              .decode_log_sd = NAN};
}

static void insert(unsigned number, const char *status, int64_t created_ms, const char *model,
                   const char *series)
{
    char id[33];
    struct store_run run = unknown(id_of(id, number), status, created_ms);
    run.model = model;
    run.series = series;
    run.decode_log_mean = number;
    run.decode_n = number;
    assert_int_equal(store_run_insert(store, &run, NULL), 0);
}

struct seen {
    unsigned n;
    char order[512]; /* "3 2 1 " */
    char previous[512];
    char status[16], message[64], request[64], report[64];
    double decode_tps, ttft_ms;
    bool has_texts;
};

static int see(void *context, const struct store_run *run, struct error *error)
{
    struct seen *seen = context;
    (void)error;
    size_t at = strlen(seen->order);
    snprintf(seen->order + at, sizeof seen->order - at, "%lu ", strtoul(run->id, NULL, 16));
    at = strlen(seen->previous);
    if (run->previous_id)
        snprintf(seen->previous + at, sizeof seen->previous - at, "%lu<%lu(%.0f,%u) ",
                 strtoul(run->previous_id, NULL, 16), strtoul(run->id, NULL, 16), run->previous_log_mean,
                 run->previous_n);
    seen->n++;
    seen->has_texts = seen->has_texts || run->request || run->report;
    snprintf(seen->status, sizeof seen->status, "%s", run->status);
    snprintf(seen->message, sizeof seen->message, "%s", run->message ? run->message : "-");
    snprintf(seen->request, sizeof seen->request, "%.60s", run->request ? run->request : "-");
    snprintf(seen->report, sizeof seen->report, "%.60s", run->report ? run->report : "-");
    seen->decode_tps = run->decode_tps;
    seen->ttft_ms = run->ttft_ms;
    return 0;
}

static void list(struct store_runs_filter filter, const char *expected)
{
    struct seen seen = {0};
    filter.limit = filter.limit ? filter.limit : 100;
    assert_int_equal(store_runs_list(store, &filter, see, &seen, NULL), 0);
    assert_string_equal(seen.order, expected);
    assert_false(seen.has_texts);
}

static void a_run_comes_back(void **state)
{
    (void)state;
    char id[33];
    struct seen seen = {0};
    struct store_run run = unknown(id_of(id, 1), "running", 5);
    run.request = "{\"quick_mode\":true}";
    assert_int_equal(store_run_insert(store, &run, NULL), 0);
    assert_int_equal(store_run_get(store, id, see, &seen, NULL), 0);
    assert_string_equal(seen.status, "running");
    assert_string_equal(seen.request, "{\"quick_mode\":true}");
    assert_string_equal(seen.report, "-");
    assert_true(isnan(seen.decode_tps));

    run.status = "success";
    run.decode_tps = 41.5;
    run.message = "fine";
    run.report = "{\"schema\":1}";
    run.request = NULL; /* is not changed */
    assert_int_equal(store_run_finish(store, &run, NULL), 0);
    seen = (struct seen){0};
    assert_int_equal(store_run_get(store, id, see, &seen, NULL), 0);
    assert_string_equal(seen.status, "success");
    assert_string_equal(seen.request, "{\"quick_mode\":true}");
    assert_string_equal(seen.report, "{\"schema\":1}");
    assert_string_equal(seen.message, "fine");
    assert_true(seen.decode_tps == 41.5 && isnan(seen.ttft_ms));

    assert_int_not_equal(store_run_insert(store, &run, NULL), 0); /* the id is taken */
    run.status = "splendid";
    assert_int_not_equal(store_run_finish(store, &run, NULL), 0);
    assert_int_equal(store_run_delete(store, id, NULL), 0);
    assert_int_equal(store_run_get(store, id, see, &seen, NULL), ERROR_NOT_FOUND);
    assert_int_equal(store_run_delete(store, id, NULL), ERROR_NOT_FOUND);
    run.status = "success";
    assert_int_equal(store_run_finish(store, &run, NULL), ERROR_NOT_FOUND);
    assert_int_equal(store_run_begin(store, id, "running", NULL), ERROR_NOT_FOUND);
}

static void lists_are_newest_first_and_filtered(void **state)
{
    (void)state;
    char id[33];
    insert(1, "success", 10, "a", NULL);
    insert(2, "failed", 30, "b", NULL);
    insert(3, "success", 20, "b", NULL);
    insert(4, "success", 20, "a", NULL);
    list((struct store_runs_filter){.limit = 0}, "2 4 3 1 ");
    list((struct store_runs_filter){.limit = 2}, "2 4 ");
    list((struct store_runs_filter){.model = "b"}, "2 3 ");
    list((struct store_runs_filter){.model = "B"}, "");
    list((struct store_runs_filter){.status = "success"}, "4 3 1 ");
    list((struct store_runs_filter){.kind = "compare"}, "");
    list((struct store_runs_filter){.has_before = true, .before_ms = 20, .before_id = id_of(id, 4)}, "3 1 ");
    list((struct store_runs_filter){.has_before = true, .before_ms = 20, .before_id = id_of(id, 3)}, "1 ");
}

static void ids_are_found_by_their_beginning(void **state)
{
    (void)state;
    struct seen seen = {0};
    insert(0xAB, "success", 1, NULL, NULL);
    insert(0xAC, "success", 2, NULL, NULL);
    assert_int_equal(store_runs_find(store, "0000000000000000000000000000000", 5, see, &seen, NULL), 0);
    assert_int_equal(seen.n, 0); /* 31 zeros begin none of them */
    assert_int_equal(store_runs_find(store, "000000000000000000000000000000ab", 5, see, &seen, NULL), 0);
    assert_string_equal(seen.order, "171 ");
    seen = (struct seen){0};
    assert_int_equal(store_runs_find(store, "0000", 1, see, &seen, NULL), 0);
    assert_string_equal(seen.order, "172 ");
}

static void a_run_finds_the_one_before_it(void **state)
{
    (void)state;
    struct seen seen = {0};
    insert(1, "success", 10, "m", "x");
    insert(2, "failed", 20, "m", "x"); /* says nothing about speed */
    insert(3, "success", 30, "m", "y");
    insert(4, "success", 40, "m", "x");
    insert(5, "failed", 50, "m", "x");
    char id[33];
    struct store_run imported = unknown(id_of(id, 6), "success", 45);
    imported.series = "x";
    imported.imported = true;
    assert_int_equal(store_run_insert(store, &imported, NULL), 0);
    insert(7, "success", 60, "m", "x");
    struct store_runs_filter filter = {.limit = 100};
    assert_int_equal(store_runs_list(store, &filter, see, &seen, NULL), 0);
    assert_string_equal(seen.previous, "4<7(4,4) 4<6(4,4) 1<4(1,1) ");
    seen = (struct seen){0};
    assert_int_equal(store_run_get(store, id_of(id, 7), see, &seen, NULL), 0);
    assert_string_equal(seen.previous, "4<7(4,4) ");
    seen = (struct seen){0};
    assert_int_equal(store_runs_series(store, "x", 2, see, &seen, NULL), 0);
    assert_string_equal(seen.order, "7 4 ");
}

static void open_rows_are_interrupted(void **state)
{
    (void)state;
    bool open = true;
    struct seen seen = {0};
    char id[33];
    insert(1, "success", 10, NULL, NULL);
    assert_int_equal(store_runs_open(store, &open, NULL), 0);
    assert_false(open);
    insert(2, "running", 20, NULL, NULL);
    insert(3, "waiting", 30, NULL, NULL);
    assert_int_equal(store_run_begin(store, id_of(id, 3), "running", NULL), 0);
    assert_int_equal(store_runs_open(store, &open, NULL), 0);
    assert_true(open);
    assert_int_equal(store_runs_interrupt(store, "killed", NULL), 0);
    assert_int_equal(store_runs_open(store, &open, NULL), 0);
    assert_false(open);
    list((struct store_runs_filter){.status = "interrupted"}, "3 2 ");
    list((struct store_runs_filter){.status = "success"}, "1 ");
    assert_int_equal(store_run_get(store, id_of(id, 2), see, &seen, NULL), 0);
    assert_string_equal(seen.message, "killed");
}

static void too_long_reports_are_refused(void **state)
{
    (void)state;
    char id[33];
    struct error error = {0};
    struct store_run run = unknown(id_of(id, 1), "success", 1);
    char *report = malloc(STORE_RUN_REPORT_BYTES + 2);
    assert_non_null(report);
    memset(report, 'x', STORE_RUN_REPORT_BYTES + 1);
    report[STORE_RUN_REPORT_BYTES + 1] = '\0';
    run.report = report;
    assert_int_equal(store_run_insert(store, &run, &error), ERROR_LIMIT);
    assert_non_null(strstr(error.message, "the report has"));
    report[STORE_RUN_REPORT_BYTES] = '\0';
    assert_int_equal(store_run_insert(store, &run, &error), 0);
    free(report);
}

enum { MANY = 500, REPORT_BYTES = 300000 };

/* The lead's acceptance script has the real bound (50 ms): this one only catches a list that reads reports.
 */
static void many_runs_are_listed_quickly(void **state)
{
    (void)state;
    char id[33], *report = malloc(REPORT_BYTES + 1);
    assert_non_null(report);
    memset(report, 'x', REPORT_BYTES);
    report[REPORT_BYTES] = '\0';
    for (unsigned i = 1; i <= MANY; i++) {
        struct store_run run = unknown(id_of(id, i), "success", i);
        run.series = i % 2 ? "odd" : "even";
        run.report = report;
        assert_int_equal(store_run_insert(store, &run, NULL), 0);
    }
    free(report);
    struct timespec start, end;
    struct seen seen = {0};
    struct store_runs_filter filter = {.limit = MANY};
    clock_gettime(CLOCK_MONOTONIC, &start);
    assert_int_equal(store_runs_list(store, &filter, see, &seen, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ms = (double)(end.tv_sec - start.tv_sec) * 1e3 + (double)(end.tv_nsec - start.tv_nsec) / 1e6;
    assert_int_equal(seen.n, MANY);
    print_message("%d runs with %d bytes of report each are listed in %.1f ms\n", MANY, REPORT_BYTES, ms);
    assert_true(ms < 500);
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {CASE(a_run_comes_back),
                                       CASE(lists_are_newest_first_and_filtered),
                                       CASE(ids_are_found_by_their_beginning),
                                       CASE(a_run_finds_the_one_before_it),
                                       CASE(open_rows_are_interrupted),
                                       CASE(too_long_reports_are_refused),
                                       CASE(many_runs_are_listed_quickly)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
