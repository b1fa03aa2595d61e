/* Runs as jobs, with a run function that measures nothing: one at a time, in this process and between two,
 * events, cancelling, batches, and what is left after a kill or on a full disk. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "profile/json_get.h"
#include "support/jobs_fixture.h"

static int start(const char *models, char id[JOBS_ID], struct error *error)
{
    char text[200];
    snprintf(text, sizeof text, "{\"models\": [%s], \"configurations\": []}", models);
    json_t *request = json_loads(text, 0, NULL);
    assert_non_null(request);
    int status = jobs_start(jobs, request, 0, id, error);
    json_decref(request);
    return status;
}

static void start_and_end(const char *models, char id[JOBS_ID])
{
    assert_int_equal(start(models, id, NULL), 0);
    assert_int_equal(jobs_wait(jobs, id, 0, NULL), 1);
}

static void expect_status(const char *id, const char *status, bool has_report)
{
    json_t *run = get(id);
    assert_string_equal(json_get_string(run, "status"), status);
    assert_int_equal(json_get_object(run, "report") != NULL, has_report);
    json_decref(run);
}

/* "success broken ..." of the newest runs; NULL: whatever it is. */
static void expect_list(const char *member, const char *expected)
{
    json_t *page;
    char text[512] = "";
    struct jobs_filter filter = {.limit = 100};
    assert_int_equal(jobs_list(jobs, &filter, &page, NULL), 0);
    for (size_t i = 0; i < json_get_count(page, "runs"); i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s ",
                 json_get_text(json_get_item(json_get(page, "runs"), i), member, "-"));
    }
    if (expected)
        assert_string_equal(text, expected);
    json_decref(page);
}

/* Until the run has told something. */
static void wait_for_first_event(const char *id)
{
    json_t *events;
    bool over;
    assert_int_equal(jobs_events(jobs, id, 1, 60000, &events, &over, NULL), 0);
    assert_true(json_array_size(events) > 0);
    json_decref(events);
}

/* ---- one run ---- */

static void a_run_is_stored(void **state)
{
    (void)state;
    char id[JOBS_ID];
    start_and_end("\"m\"", id);
    json_t *run = get(id);
    assert_string_equal(json_get_string(run, "status"), "success");
    assert_string_equal(json_get_string(run, "model"), "m");
    assert_string_equal(json_get_string(run, "quantization"), "4-bit");
    assert_string_equal(json_get_string(run, "machine"), "Fake CPU, 2 cores");
    assert_string_equal(json_get_string(run, "report.run_id"), id);
    assert_string_equal(json_get_string(run, "request.model_name"), "m");
    assert_true(json_get_number(run, "decode_tokens_per_second") == 100);
    assert_true(isnan(json_get_number(run, "ttft_ms")));
    assert_non_null(json_get_string(run, "ttft_ms_reason"));
    assert_true(json_get_bool(run, "saved", false));
    assert_false(json_get_bool(run, "imported", true));
    assert_true(json_is_null(json_get(run, "trend")));
    json_decref(run);
    json_t *running = jobs_running(jobs);
    assert_true(json_is_null(running));
    json_decref(running);
}

static void a_wrong_request_leaves_no_row(void **state)
{
    (void)state;
    char id[JOBS_ID];
    struct error error = {0};
    json_t *request = json_loads("{\"model_nam\": \"m\"}", 0, NULL);
    assert_int_equal(jobs_start(jobs, request, 0, id, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "model_nam"));
    json_decref(request);
    assert_int_equal(start("\"nowhere\"", id, &error), ERROR_NOT_FOUND);
    assert_string_equal(error.message, "there is no model nowhere");
    expect_list("status", "");
    assert_int_equal(start("", id, NULL), 0); /* none named: the built-in one */
    assert_int_equal(jobs_wait(jobs, id, 0, NULL), 1);
    expect_list("model", "builtin ");
}

static void unknown_ids_are_not_found(void **state)
{
    (void)state;
    static const char *const ids[] = {"",
                                      "x",
                                      "0123456789ABCDEF0123456789ABCDEF",
                                      "' OR 1=1 --",
                                      "00000000000000000000000000000000",
                                      "../../etc/passwd"};
    json_t *out;
    bool over;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(jobs_get(jobs, ids[i], &out, NULL), ERROR_NOT_FOUND);
        assert_int_equal(jobs_wait(jobs, ids[i], 10, NULL), ERROR_NOT_FOUND);
        assert_int_equal(jobs_cancel(jobs, ids[i], NULL), ERROR_NOT_FOUND);
        assert_int_equal(jobs_delete(jobs, ids[i], NULL), ERROR_NOT_FOUND);
        assert_int_equal(jobs_batch(jobs, ids[i], &out, NULL), ERROR_NOT_FOUND);
        assert_int_equal(jobs_events(jobs, ids[i], 0, 0, &out, &over, NULL), ERROR_NOT_FOUND);
        assert_int_equal(jobs_diff(jobs, ids[i], ids[i], &out, NULL), ERROR_NOT_FOUND);
    }
}

static void one_at_a_time_with_its_id(void **state)
{
    (void)state;
    char id[JOBS_ID], other[JOBS_ID];
    struct error error = {0};
    assert_int_equal(start("\"slow\"", id, NULL), 0);
    assert_int_equal(start("\"m\"", other, &error), ERROR_BUSY);
    assert_string_equal(other, id);
    wait_for_first_event(id);
    json_t *running = jobs_running(jobs);
    assert_string_equal(json_get_string(running, "run_id"), id);
    assert_string_equal(json_get_string(running, "model"), "slow");
    assert_string_equal(json_get_string(running, "step"), "first");
    assert_true(json_get_number(running, "progress") == 0.1);
    json_decref(running);
    expect_status(id, "running", false);
    assert_int_equal(jobs_delete(jobs, id, NULL), ERROR_BUSY);
    assert_int_equal(jobs_wait(jobs, id, 20, NULL), 0);
    assert_int_equal(jobs_cancel(jobs, id, NULL), 0);
    assert_int_equal(jobs_wait(jobs, id, 0, NULL), 1);
    expect_status(id, "cancelled", true); /* with what was measured so far */
    start_and_end("\"m\"", other);        /* at once: who ends is no reason to refuse */
    assert_int_equal(jobs_cancel(jobs, other, NULL), 0);
    expect_status(other, "success", true);
    assert_int_equal(jobs_delete(jobs, other, NULL), 0);
    expect_list("status", "cancelled ");
}

static void *cancel_soon(void *id)
{
    struct timespec wait = {.tv_nsec = 50000000};
    nanosleep(&wait, NULL);
    jobs_cancel(jobs, id, NULL);
    return NULL;
}

static void a_start_may_wait_for_the_other(void **state)
{
    (void)state;
    char id[JOBS_ID], other[JOBS_ID];
    pthread_t thread;
    json_t *request = json_pack("{s:s}", "model_name", "m");
    assert_int_equal(start("\"slow\"", id, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, id), 0);
    assert_int_equal(jobs_start(jobs, request, 60000, other, NULL), 0);
    pthread_join(thread, NULL);
    json_decref(request);
    assert_int_equal(jobs_wait(jobs, other, 0, NULL), 1);
    expect_list("status", "success cancelled ");
}

enum { STARTERS = 8, STARTS = 25 };
static atomic_int begun;

static void *start_often(void *unused)
{
    json_t *request = json_pack("{s:s}", "model_name", "m");
    char id[JOBS_ID];
    for (int i = 0; i < STARTS; i++) {
        int status = jobs_start(jobs, request, 0, id, NULL);
        if (status == 0) {
            atomic_fetch_add(&begun, 1);
            jobs_wait(jobs, id, 0, NULL);
        }
        json_decref(jobs_running(jobs));
    }
    json_decref(request);
    return unused;
}

static void many_threads_start_one_at_a_time(void **state)
{
    (void)state;
    pthread_t threads[STARTERS];
    atomic_store(&fake_most, 0);
    atomic_store(&begun, 0);
    for (int i = 0; i < STARTERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, start_often, NULL), 0);
    for (int i = 0; i < STARTERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&fake_most), 1);
    json_t *page;
    struct jobs_filter filter = {.limit = 500};
    assert_int_equal(jobs_list(jobs, &filter, &page, NULL), 0);
    assert_int_equal(json_get_count(page, "runs"), atomic_load(&begun));
    json_decref(page);
}

/* ---- events ---- */

/* "1:begin 2:phase ..." from a number on; returns the last number. */
static uint64_t read_events(const char *id, uint64_t after, char *out, size_t capacity, bool *over)
{
    json_t *events;
    out[0] = '\0';
    assert_int_equal(jobs_events(jobs, id, after, 1000, &events, over, NULL), 0);
    for (size_t i = 0; i < json_array_size(events); i++) {
        const json_t *event = json_array_get(events, i);
        size_t at = strlen(out);
        uint64_t number = (uint64_t)json_get_number(event, "number");
        assert_true(number > after);
        assert_non_null(json_get_string(event, "time"));
        snprintf(out + at, capacity - at, "%d:%s ", (int)number, json_get_string(event, "type"));
        after = number;
    }
    json_decref(events);
    return after;
}

static void events_are_replayed(void **state)
{
    (void)state;
    char id[JOBS_ID], older[JOBS_ID], text[300];
    bool over;
    start_and_end("\"m\"", older);
    read_events(older, 0, text, sizeof text, &over);
    assert_string_equal(text, "1:begin 2:phase 3:phase 4:end ");
    assert_true(over);
    read_events(older, 2, text, sizeof text, &over);
    assert_string_equal(text, "3:phase 4:end ");
    read_events(older, 4, text, sizeof text, &over);
    assert_string_equal(text, "");
    assert_true(over);
    for (int i = 0; i <= JOBS_KEEP_EVENTS_OF; i++)
        start_and_end("\"m\"", id);
    json_t *running = NULL;
    do { /* the thread forgets the oldest run after the last one's end */
        json_decref(running);
        read_events(older, 0, text, sizeof text, &over);
        running = jobs_running(jobs);
    } while (strcmp(text, "1:begin 2:phase 3:phase 4:end ") == 0);
    json_decref(running);
    assert_string_equal(text, "1:end ");
    read_events(older, 17, text, sizeof text, &over); /* who was cut off there is told the end, too */
    assert_string_equal(text, "18:end ");
    assert_true(over);
    read_events(id, 0, text, sizeof text, &over);
    assert_string_equal(text, "1:begin 2:phase 3:phase 4:end ");
}

static void a_long_run_drops_old_progress_only(void **state)
{
    (void)state;
    char id[JOBS_ID], text[20000];
    bool over = false, noted = false, began = false, ended = false;
    uint64_t number = 0;
    size_t n = 0;
    start_and_end("\"chatty\"", id);
    while (!over) {
        json_t *events;
        assert_int_equal(jobs_events(jobs, id, number, 0, &events, &over, NULL), 0);
        assert_true(json_array_size(events) <= JOBS_EVENTS_AT_ONCE);
        for (size_t i = 0; i < json_array_size(events); i++, n++) {
            const json_t *event = json_array_get(events, i);
            number = (uint64_t)json_get_number(event, "number");
            began = began || json_get_is(event, "type", "begin");
            noted = noted || json_get_is(event, "type", "note");
            ended = ended || json_get_is(event, "type", "end");
        }
        json_decref(events);
    }
    assert_true(began && noted && ended);
    assert_true(n <= JOBS_MAX_EVENTS);
    assert_int_equal(number, 9005); /* begin, first, 9000 and a note, last, end */
    read_events(id, number - 1, text, sizeof text, &over);
    assert_string_equal(text, "9005:end ");
}

/* ---- batches ---- */

static void a_batch_goes_on_after_a_broken_model(void **state)
{
    (void)state;
    char id[JOBS_ID];
    json_t *ids;
    assert_int_equal(start("\"m1\", \"broken\", \"nowhere\", \"m2\"", id, NULL), 0);
    assert_int_equal(jobs_batch(jobs, id, &ids, NULL), 0);
    assert_int_equal(json_array_size(ids), 4);
    assert_string_equal(json_string_value(json_array_get(ids, 0)), id);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(jobs_wait(jobs, json_string_value(json_array_get(ids, i)), 0, NULL), 1);
    expect_list("model", "m2 nowhere broken m1 ");
    json_t *run = get(json_string_value(json_array_get(ids, 1)));
    assert_string_equal(json_get_string(run, "status"), "failed");
    assert_string_equal(json_get_string(run, "message"), "there is no model broken");
    assert_string_equal(json_get_string(run, "request.model_name"), "broken");
    json_decref(run);
    expect_status(json_string_value(json_array_get(ids, 3)), "success", true);
    json_decref(ids);
}

static void one_of_a_batch_can_be_cancelled(void **state)
{
    (void)state;
    char id[JOBS_ID], text[200];
    json_t *ids;
    bool over;
    assert_int_equal(start("\"slow\", \"slow\", \"m\"", id, NULL), 0);
    assert_int_equal(jobs_batch(jobs, id, &ids, NULL), 0);
    wait_for_first_event(id);
    expect_list("status", "waiting waiting running ");
    const char *second = json_string_value(json_array_get(ids, 1));
    assert_int_equal(jobs_delete(jobs, second, NULL), ERROR_BUSY);
    assert_int_equal(jobs_cancel(jobs, second, NULL), 0); /* before it began */
    expect_status(second, "cancelled", false);
    read_events(second, 0, text, sizeof text, &over);
    assert_string_equal(text, "1:end ");
    assert_int_equal(jobs_cancel(jobs, id, NULL), 0);
    assert_int_equal(jobs_wait(jobs, json_string_value(json_array_get(ids, 2)), 0, NULL), 1);
    expect_list("status", "success cancelled cancelled ");
    json_decref(ids);
}

static void closing_ends_the_batch(void **state)
{
    (void)state;
    char id[JOBS_ID];
    assert_int_equal(start("\"slow\", \"slow\"", id, NULL), 0);
    jobs_close(jobs);
    assert_int_equal(open_jobs(), 0);
    expect_list("status", "cancelled cancelled ");
}

static void stopping_cancels_and_begins_nothing_more(void **state)
{
    (void)state;
    char id[JOBS_ID], other[JOBS_ID];
    struct error error = {0};
    assert_int_equal(start("\"slow\", \"slow\"", id, NULL), 0);
    wait_for_first_event(id);
    assert_false(jobs_idle(jobs, 1));
    jobs_stop(jobs);
    assert_int_equal(start("\"m\"", other, &error), ERROR_CANCELLED);
    assert_non_null(strstr(error.message, "stopping"));
    assert_string_equal(other, "");
    assert_true(jobs_idle(jobs, 1));
    assert_int_equal(jobs_wait(jobs, id, 0, NULL), 1);
    jobs_close(jobs);
    assert_int_equal(open_jobs(), 0);
    expect_list("status", "cancelled cancelled ");
}

/* ---- another process ---- */

/* A process that runs something slow; it says the id once the run has begun. */
static pid_t run_elsewhere(char id[JOBS_ID])
{
    int ends[2];
    jobs_close(jobs);
    store_close(store);
    jobs = NULL;
    store = NULL;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char mine[JOBS_ID] = "";
        bool began = store_open(folder, &store, NULL) == 0 && open_jobs() == 0 &&
                     start("\"slow\", \"m\"", mine, NULL) == 0;
        if (began)
            wait_for_first_event(mine);
        if (!began || write(ends[1], mine, JOBS_ID) != JOBS_ID)
            _exit(1);
        for (;;)
            pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], id, JOBS_ID), JOBS_ID);
    close(ends[0]);
    assert_int_equal(store_open(folder, &store, NULL), 0);
    assert_int_equal(open_jobs(), 0);
    return child;
}

static void another_process_is_named_and_its_end_noticed(void **state)
{
    (void)state;
    char id[JOBS_ID], other[JOBS_ID];
    struct error error = {0};
    pid_t child = run_elsewhere(id);
    expect_list("status", "waiting running ");
    assert_int_equal(start("\"m\"", other, &error), ERROR_BUSY);
    assert_string_equal(other, id);
    assert_non_null(strstr(error.message, id));
    assert_int_equal(jobs_cancel(jobs, id, &error), ERROR_UNSUPPORTED);
    assert_int_equal(jobs_delete(jobs, id, &error), ERROR_BUSY);
    assert_int_equal(jobs_wait(jobs, id, 20, NULL), 0);

    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    expect_list("status", "interrupted interrupted ");
    json_t *run = get(id);
    assert_non_null(strstr(json_get_text(run, "message", ""), "killed"));
    json_decref(run);
    char text[100];
    bool over;
    read_events(id, 0, text, sizeof text, &over);
    assert_string_equal(text, "1:end ");
    start_and_end("\"m\"", other);
    expect_list("status", "success interrupted interrupted ");
    assert_int_equal(jobs_delete(jobs, id, NULL), 0);
}

static void the_next_start_interrupts_what_was_killed(void **state)
{
    (void)state;
    char id[JOBS_ID], other[JOBS_ID];
    pid_t child = run_elsewhere(id);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    start_and_end("\"m\"", other); /* nobody has looked before */
    expect_list("status", "success interrupted interrupted ");
}

enum { PROCESSES = 4, RUNS_EACH = 8 };

/* A process of its own: starts runs until so many went well; others are in the way all the time. */
static int run_among_others(void)
{
    int n = 0;
    if (store_open(folder, &store, NULL) || open_jobs())
        return 1;
    json_t *request = json_pack("{s:s}", "model_name", "alone");
    for (int tries = 0; n < RUNS_EACH && tries < 1000; tries++) {
        char id[JOBS_ID];
        json_t *run = NULL;
        int status = jobs_start(jobs, request, tries % 2 ? 1000 : 0, id, NULL);
        if (status == 0 && (jobs_wait(jobs, id, 0, NULL) != 1 || jobs_get(jobs, id, &run, NULL)))
            return 2;
        if (status && status != ERROR_BUSY)
            return 3;
        if (run && !json_get_is(run, "status", "success"))
            return 4; /* not alone, or interrupted by somebody who looked */
        n += run != NULL;
        json_decref(run);
        expect_list("machine", NULL); /* looks */
    }
    json_decref(request);
    jobs_close(jobs);
    store_close(store);
    return n == RUNS_EACH ? 0 : 5;
}

static void processes_take_turns(void **state)
{
    (void)state;
    pid_t children[PROCESSES];
    snprintf(fake_file, sizeof fake_file, "%s/alone", folder);
    jobs_close(jobs);
    store_close(store);
    jobs = NULL;
    store = NULL;
    fflush(NULL);
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(run_among_others());
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    assert_int_equal(store_open(folder, &store, NULL), 0);
    assert_int_equal(open_jobs(), 0);
    json_t *page;
    struct jobs_filter filter = {.limit = 500, .status = "success"};
    assert_int_equal(jobs_list(jobs, &filter, &page, NULL), 0);
    assert_int_equal(json_get_count(page, "runs"), PROCESSES * RUNS_EACH);
    json_decref(page);
}

/* ---- what cannot be saved ---- */

static struct rlimit allowed;

/* No file may have more than its first byte written: what a full disk does, without one. */
static void fill_disk(void)
{
    fflush(NULL);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &allowed), 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = allowed.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void empty_disk(void)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &allowed), 0);
}

static void a_full_disk_loses_nothing_while_the_program_lives(void **state)
{
    (void)state;
    char before[JOBS_ID], during[JOBS_ID], third[JOBS_ID], text[200];
    bool over;
    assert_int_equal(start("\"slow\"", before, NULL), 0); /* its row is there, its end is not taken */
    wait_for_first_event(before);
    fill_disk();
    assert_int_equal(jobs_cancel(jobs, before, NULL), 0);
    int waited = jobs_wait(jobs, before, 0, NULL);
    char id[JOBS_ID];
    int started = start("\"m\"", id, NULL);
    int ended = jobs_wait(jobs, id, 0, NULL);
    memcpy(during, id, JOBS_ID);
    json_t *page = NULL, *run = NULL, *events = NULL;
    struct jobs_filter filter = {.limit = 10};
    int listed = jobs_list(jobs, &filter, &page, NULL);
    int got = jobs_get(jobs, during, &run, NULL);
    int told = jobs_events(jobs, during, 3, 0, &events, &over, NULL);
    empty_disk();
    assert_int_equal(waited, 1);
    assert_int_equal(started, 0);
    assert_int_equal(ended, 1);
    assert_int_equal(listed, 0);
    assert_int_equal(json_get_count(page, "runs"), 2);
    assert_string_equal(json_get_string(page, "runs.0.status"), "success");
    assert_string_equal(json_get_string(page, "runs.1.status"), "cancelled");
    assert_false(json_get_bool(page, "runs.0.saved", true));
    assert_non_null(strstr(json_get_text(page, "runs.0.saved_reason", ""), "llmind.db"));
    assert_non_null(strstr(json_get_text(page, "runs.1.saved_reason", ""), "llmind.db"));
    assert_int_equal(got, 0);
    assert_true(json_get_number(run, "report.summary.decode_tokens_per_second") == 100);
    assert_int_equal(told, 0);
    assert_false(json_get_bool(events, "0.saved", true));
    json_decref(page);
    json_decref(run);
    json_decref(events);

    run = get(during); /* there is room again: who looks sees it saved */
    assert_true(json_get_bool(run, "saved", false));
    json_decref(run);
    start_and_end("\"m\"", third);
    jobs_close(jobs);
    assert_int_equal(open_jobs(), 0);
    expect_list("status", "success success cancelled ");
    run = get(during);
    assert_true(json_get_bool(run, "saved", false));
    assert_true(json_get_number(run, "report.summary.decode_tokens_per_second") == 100);
    json_decref(run);
    read_events(before, 0, text, sizeof text, &over);
    assert_string_equal(text, "1:end ");
}

static void without_a_database_runs_are_in_memory(void **state)
{
    (void)state;
    char id[JOBS_ID], second[JOBS_ID], found[JOBS_ID], prefix[9];
    start_and_end("\"m\"", id);
    start_and_end("\"m\"", second);
    expect_list("status", "success success ");
    json_t *run = get(second);
    assert_false(json_get_bool(run, "saved", true));
    assert_string_equal(json_get_string(run, "saved_reason"), "there is no database");
    assert_string_equal(json_get_string(run, "trend.run_id"), id);
    assert_string_equal(json_get_string(run, "trend.verdict"), "no_real_difference");
    json_decref(run);
    snprintf(prefix, sizeof prefix, "%.8s", second);
    assert_int_equal(jobs_find(jobs, prefix, found, NULL), 0);
    assert_string_equal(found, second);
    assert_int_equal(jobs_delete(jobs, second, NULL), 0);
    expect_list("status", "success ");
    assert_int_equal(start("\"slow\"", id, NULL), 0);
    assert_int_equal(start("\"m\"", second, NULL), ERROR_BUSY);
    expect_list("status", "running success ");
}

static void memory_for_what_is_not_saved_ends(void **state)
{
    (void)state;
    char id[JOBS_ID];
    struct error error = {0};
    int status = 0, n = 0;
    for (; !status && n <= JOBS_KEPT; n++)
        if (!(status = start("\"m\"", id, &error)))
            jobs_wait(jobs, id, 0, NULL);
    assert_int_equal(status, ERROR_LIMIT);
    assert_int_equal(n, JOBS_KEPT + 1);
    assert_non_null(strstr(error.message, "has reached its limit"));
}

static void a_row_without_a_report_needs_no_room(void **state)
{
    (void)state;
    struct error error = {0};
    const struct job job = {.id = "0123456789abcdef0123456789abcdef", .model = "m", .request_text = "{}"};
    struct store_run run = job_row(&job, "running");
    pthread_mutex_lock(&jobs->saving);
    jobs->kept_bytes += JOBS_KEPT_BYTES; /* as if others had filled it */
    int status = kept_put(jobs, &run, false, "no disk", &error);
    jobs->kept_bytes -= JOBS_KEPT_BYTES;
    const struct kept *entry = kept_find(jobs, job.id);
    bool whole = entry && !entry->run.message && strcmp(entry->run.status, "running") == 0;
    pthread_mutex_unlock(&jobs->saving);
    assert_int_equal(status, 0);
    assert_true(whole); /* nothing was left out of it */
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define WITHOUT(function) cmocka_unit_test_setup_teardown(function, set_up_without, tear_down)
    const struct CMUnitTest tests[] = {CASE(a_run_is_stored),
                                       CASE(a_wrong_request_leaves_no_row),
                                       CASE(unknown_ids_are_not_found),
                                       WITHOUT(unknown_ids_are_not_found),
                                       CASE(one_at_a_time_with_its_id),
                                       WITHOUT(one_at_a_time_with_its_id),
                                       CASE(a_start_may_wait_for_the_other),
                                       CASE(many_threads_start_one_at_a_time),
                                       CASE(events_are_replayed),
                                       CASE(a_long_run_drops_old_progress_only),
                                       CASE(a_batch_goes_on_after_a_broken_model),
                                       CASE(one_of_a_batch_can_be_cancelled),
                                       WITHOUT(one_of_a_batch_can_be_cancelled),
                                       CASE(closing_ends_the_batch),
                                       CASE(stopping_cancels_and_begins_nothing_more),
                                       CASE(another_process_is_named_and_its_end_noticed),
                                       CASE(the_next_start_interrupts_what_was_killed),
                                       CASE(processes_take_turns),
                                       CASE(a_full_disk_loses_nothing_while_the_program_lives),
                                       WITHOUT(without_a_database_runs_are_in_memory),
                                       WITHOUT(memory_for_what_is_not_saved_ends),
                                       WITHOUT(a_row_without_a_report_needs_no_room)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
