/* An engine in a worker process against one in this process: the same door, the same texts; and what only a
 * process can do: die. */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/memory.h"
#include "worker/client.h"

enum { STREAMS = 8 };

static char folder[256];
static int32_t prompt[TINY_CONTEXT];
static struct answer first, second, answers[STREAMS];

static struct engine_options options_of(const char *model)
{
    return (struct engine_options){
        .model = model, .n_threads = 2, .prefill_chunk = 16, .max_sequences = STREAMS};
}

static struct engine *open_worker(void)
{
    struct engine_options options = options_of(folder);
    struct engine *engine = NULL;
    struct error error = {0};
    if (worker_open(&options, &engine, &error))
        fail_msg("worker_open: %s", error.message);
    return engine;
}

static int set_up(void **state)
{
    (void)state;
    setenv("LLMIND_PROGRAM_FOR_TESTS", LLMIND_BUILD_DIR "/llmind", 0);
    struct tiny_options options = {.format = TINY_BF16, .seed = 3};
    tiny_model_write(&options, folder, sizeof folder);
    for (int i = 0; i < TINY_CONTEXT; i++)
        prompt[i] = i * 31 % 256;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tiny_model_remove(folder);
    return 0;
}

static size_t count_entries(const char *path)
{
    DIR *directory = opendir(path);
    size_t n = 0;
    assert_non_null(directory);
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static void assert_same(const struct answer *a, const struct answer *b, uint32_t n_top)
{
    assert_int_equal(a->n_tokens, b->n_tokens);
    assert_memory_equal(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens);
    assert_memory_equal(a->logprobs, b->logprobs, a->n_tokens * sizeof *a->logprobs);
    for (uint32_t i = 0; i < a->n_tokens; i++)
        for (uint32_t k = 0; k < n_top; k++) {
            assert_int_equal(a->top[i][k].token, b->top[i][k].token);
            assert_memory_equal(&a->top[i][k].logprob, &b->top[i][k].logprob, sizeof(float));
        }
    assert_int_equal(a->text_length, b->text_length);
    assert_memory_equal(a->text, b->text, a->text_length);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->timings.prompt_tokens, b->timings.prompt_tokens);
}

/* ---- the same door ---- */

static void test_same_as_local(void **state)
{
    (void)state;
    static const struct engine_logit_bias bias[] = {{5, 3.0f}, {65, -2.0f}};
    static const char *const stops[] = {"qqq", "zzzz"};
    struct engine *local = run_open(folder, 2, 16, STREAMS), *remote = open_worker();
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct engine_submit submit = run_greedy(prompt, 40, 120);
        submit.sampling = engine_sampling_default(remote);
        struct engine_sampling same = engine_sampling_default(local);
        assert_memory_equal(&submit.sampling.temperature, &same.temperature, sizeof same.temperature);
        assert_int_equal(submit.sampling.top_k, same.top_k);
        submit.sampling.seed = seed;
        submit.sampling.repetition_penalty = 1.1f;
        submit.sampling.logit_bias = bias;
        submit.sampling.n_logit_bias = 2;
        submit.stops = stops;
        submit.n_stops = 2;
        submit.logprobs = true;
        submit.top_logprobs = 3;
        submit.ignore_eos = seed % 2;
        if (seed > 3) {
            submit.tokens = NULL;
            submit.messages_json = "[{\"role\":\"user\",\"content\":\"the land and the ell\"}]";
            submit.add_generation_prompt = true;
        }
        run(local, &submit, &first);
        run(remote, &submit, &second);
        assert_same(&first, &second, 3);
        assert_true(second.timings.accepted_ns <= second.timings.tokenized_ns);
    }
    const struct engine_info *a = engine_info(local), *b = engine_info(remote);
    assert_string_equal(a->model_name, b->model_name);
    assert_string_equal(a->architecture, b->architecture);
    assert_string_equal(a->isa, b->isa);
    assert_int_equal(a->vocab, b->vocab);
    assert_int_equal(a->file_bytes, b->file_bytes);
    assert_null(engine_plan(remote));
    assert_null(engine_tokenizer(remote));
    engine_close(local);
    engine_close(remote);
}

static void test_token_texts(void **state)
{
    (void)state;
    struct engine *local = run_open(folder, 1, 16, 1), *remote = open_worker();
    char a[64], b[64];
    size_t n_a, n_b;
    struct error error;
    for (int round = 0; round < 2; round++) /* the second time from the parent's own memory */
        for (int32_t token = -1; token <= TINY_VOCAB; token++) {
            assert_int_equal(engine_token_text(local, token, a, sizeof a, &n_a, &error), 0);
            assert_int_equal(engine_token_text(remote, token, b, sizeof b, &n_b, &error), 0);
            assert_int_equal(n_a, n_b);
            assert_memory_equal(a, b, n_a);
        }
    assert_int_equal(engine_token_text(remote, TINY_END, b, 2, &n_b, &error), ERROR_LIMIT);
    engine_close(local);
    engine_close(remote);
}

static void test_refusals(void **state)
{
    (void)state;
    struct engine *remote = open_worker();
    struct engine_request *request;
    struct error error, local_error;
    struct engine *local = run_open(folder, 1, 16, 1);
    struct engine_submit submit = run_greedy(prompt, 4, 4);
    submit.sampling.temperature = -1;
    int expected = engine_submit(local, &submit, &request, &local_error);
    assert_int_equal(engine_submit(remote, &submit, &request, &error), expected);
    assert_string_equal(error.message, local_error.message);
    assert_null(request);
    submit = run_greedy(prompt, 4, 4);
    submit.on_event = (void (*)(void *))free;
    assert_int_equal(engine_submit(remote, &submit, &request, &error), ERROR_UNSUPPORTED);
    struct engine_saved_prompt saved;
    assert_int_equal(engine_save_prompt_cache(remote, &submit, "/nowhere/at/all", &saved, &error),
                     ERROR_UNSUPPORTED);
    struct engine_options options = options_of("/nowhere/at/all");
    struct engine *none;
    assert_true(worker_open(&options, &none, &error) < 0);
    assert_null(none);
    assert_non_null(strstr(error.message, "/nowhere/at/all"));
    assert_true(worker_check(&options, &error) < 0);
    options = options_of(folder);
    assert_int_equal(worker_check(&options, &error), 0);
    options.context = 1u << 30;
    assert_int_equal(worker_check(&options, &error), ERROR_LIMIT);
    engine_close(local);
    engine_close(remote);
}

static void read_to_finish(struct engine_request *request, struct engine_event *event)
{
    do
        assert_int_equal(engine_next_event(request, event, RUN_TIMEOUT_MS), 1);
    while (event->kind != EVENT_FINISH);
}

static void test_cancel(void **state)
{
    (void)state;
    struct engine *engine = open_worker();
    struct engine_event event;
    struct engine_stats stats;
    struct engine_submit submit = run_greedy(prompt, 20, 2000);
    struct engine_request *request = run_submit(engine, &submit);
    do
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
    while (event.kind != EVENT_TOKEN);
    engine_cancel(request);
    read_to_finish(request, &event);
    assert_int_equal(event.finish, FINISH_CANCELLED);
    assert_in_range(event.timings.generated_tokens, 1, 1999);
    engine_cancel(request);
    engine_request_release(request);
    engine_stats(engine, &stats);
    assert_int_equal(stats.active_sequences, 0);
    assert_int_equal(stats.cancelled_requests, 1);
    /* released without a look at it */
    for (int i = 0; i < 20; i++)
        engine_request_release(run_submit(engine, &submit));
    engine_stats(engine, &stats);
    assert_int_equal(stats.active_sequences, 0);
    assert_int_equal(stats.cancelled_requests, 21);
    engine_close(engine);
}

/* One reader takes nothing at all; the others go on to their ends, and nothing is lost for the late one. */
static void test_slow_reader(void **state)
{
    (void)state;
    struct engine *engine = open_worker();
    struct engine_submit submit = run_greedy(prompt, 30, 600);
    run(engine, &submit, &first);
    struct engine_request *late = run_submit(engine, &submit), *others[STREAMS - 1];
    for (int i = 0; i < STREAMS - 1; i++)
        others[i] = run_submit(engine, &submit);
    for (int i = 0; i < STREAMS - 1; i++) {
        run_collect(others[i], &second);
        assert_same(&first, &second, 0);
    }
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_int_equal(stats.active_sequences, 1); /* paused: its 600 tokens cannot have gone anywhere */
    run_collect(late, &second);
    assert_same(&first, &second, 0);
    engine_close(engine);
}

static void test_queue_limit(void **state)
{
    (void)state;
    struct engine_options options = options_of(folder);
    struct engine *engine;
    struct engine_request *running, *queued, *refused;
    struct engine_event event;
    struct engine_stats stats;
    struct error error;
    options.max_sequences = options.queue_limit = 1;
    assert_int_equal(worker_open(&options, &engine, &error), 0);
    struct engine_submit submit = run_greedy(prompt, 30, 1500);
    running = run_submit(engine, &submit);
    do /* it has left the queue */
        assert_int_equal(engine_next_event(running, &event, RUN_TIMEOUT_MS), 1);
    while (event.kind != EVENT_TOKEN);
    queued = run_submit(engine, &submit);
    for (int i = 0; i < 5; i++)
        assert_int_equal(engine_submit(engine, &submit, &refused, &error), ERROR_BUSY);
    engine_request_release(queued);
    engine_request_release(running);
    engine_stats(engine, &stats);
    assert_int_equal(stats.rejected_requests, 5);
    submit = run_greedy(prompt, 3, 3);
    run(engine, &submit, &first);
    engine_close(engine);
}

static void test_close_with_requests(void **state)
{
    (void)state;
    struct engine *engine = open_worker();
    struct engine_event event;
    struct engine_submit submit = run_greedy(prompt, 30, 2000);
    struct engine_request *request = run_submit(engine, &submit);
    engine_close(engine);
    read_to_finish(request, &event);
    assert_int_equal(event.finish, FINISH_CANCELLED);
    assert_int_equal(engine_next_event(request, &event, -1), -1);
    engine_request_release(request);
}

static void test_trace(void **state)
{
    (void)state;
    struct engine *engine = open_worker();
    struct engine_trace trace;
    struct error error = {0};
    if (engine_trace(engine, 2, 8, &trace, &error))
        fail_msg("engine_trace: %s", error.message);
    assert_true(trace.n_segments > 4);
    for (uint32_t i = 0; i < trace.n_segments; i++)
        assert_true(trace.segments[i].name[0]);
    engine_trace_free(&trace);
    assert_true(engine_trace(engine, 0, 8, &trace, &error) < 0);
    engine_close(engine);
}

/* ---- death ---- */

static void *collect(void *context)
{
    void **arguments = context;
    run_collect(arguments[0], arguments[1]);
    return NULL;
}

/* STREAMS requests, and then a reader for each: before that, they cannot have sent more than EARLY_EVENTS. */
enum { EARLY_EVENTS = STREAMS * 64 };
struct streams {
    pthread_t threads[STREAMS];
    void *arguments[STREAMS][2];
};

static void begin_streams(struct engine *engine, struct streams *streams)
{
    struct engine_submit submit = run_greedy(prompt, 20, 2000);
    for (int i = 0; i < STREAMS; i++) {
        streams->arguments[i][0] = run_submit(engine, &submit);
        streams->arguments[i][1] = &answers[i];
    }
    for (int i = 0; i < STREAMS; i++)
        assert_int_equal(pthread_create(&streams->threads[i], NULL, collect, streams->arguments[i]), 0);
}

static void end_streams(struct streams *streams, const char *reason)
{
    for (int i = 0; i < STREAMS; i++) {
        pthread_join(streams->threads[i], NULL);
        assert_int_equal(answers[i].finish, FINISH_ERROR);
        if (!strstr(answers[i].error.message, reason))
            fail_msg("no '%s' in: %s", reason, answers[i].error.message);
    }
}

static void expect_dead(struct engine *engine, const char *reason)
{
    struct error error;
    struct engine_request *request;
    struct engine_submit submit = run_greedy(prompt, 2, 2);
    assert_int_equal(engine_alive(engine, &error), ERROR_IO);
    assert_non_null(strstr(error.message, reason));
    assert_int_equal(engine_submit(engine, &submit, &request, &error), ERROR_IO);
    assert_non_null(strstr(error.message, reason));
    assert_int_equal(worker_pid(engine), 0);
    engine_close(engine);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child, no zombie */
    assert_int_equal(errno, ECHILD);
}

static void test_killed(void **state)
{
    (void)state;
    struct streams streams;
    struct engine_stats stats;
    struct engine *engine = open_worker();
    begin_streams(engine, &streams);
    do {
        pause_ms(1);
        engine_stats(engine, &stats);
    } while (stats.generated_tokens < STREAMS);
    kill(worker_pid(engine), SIGKILL);
    end_streams(&streams, "signal 9");
    expect_dead(engine, "signal 9");
    engine = open_worker();
    struct engine_submit submit = run_greedy(prompt, 20, 20);
    run(engine, &submit, &first);
    assert_int_equal(first.finish, FINISH_LENGTH);
    engine_close(engine);
}

/* A sanitizer turns a crash into an exit with a report: then the last line is another. */
static void crash(const char *how, const char *reason)
{
    struct streams streams;
    assert_true(atoi(how) > EARLY_EVENTS);
    setenv("LLMIND_TEST_WORKER_CRASH_AFTER", how, 1);
    struct engine *engine = open_worker();
    unsetenv("LLMIND_TEST_WORKER_CRASH_AFTER");
    begin_streams(engine, &streams);
    end_streams(&streams, reason);
    expect_dead(engine, reason);
}

static void test_crashes(void **state)
{
    (void)state;
    crash("600:exit", "exited with code 1: ended by LLMIND_TEST_WORKER_CRASH_AFTER");
    crash("600:kill", "signal 9");
    crash("600:segv", "the worker process");
    crash("600:abort", "the worker process");
    setenv("LLMIND_TEST_WORKER_CRASH_AFTER", "0:kill", 1);
    struct engine_options options = options_of(folder);
    struct engine *engine;
    struct error error;
    assert_int_equal(worker_open(&options, &engine, &error), ERROR_IO);
    assert_non_null(strstr(error.message, "signal 9"));
    unsetenv("LLMIND_TEST_WORKER_CRASH_AFTER");
}

static void test_no_program(void **state)
{
    (void)state;
    struct engine_options options = options_of(folder);
    struct engine *engine;
    struct error error;
    char *real = strdup(getenv("LLMIND_PROGRAM_FOR_TESTS"));
    setenv("LLMIND_PROGRAM_FOR_TESTS", "/nowhere/llmind", 1);
    assert_int_equal(worker_open(&options, &engine, &error), ERROR_IO);
    assert_non_null(strstr(error.message, "/nowhere/llmind"));
    setenv("LLMIND_PROGRAM_FOR_TESTS", "/bin/true", 1); /* starts, and is no worker */
    assert_int_equal(worker_open(&options, &engine, &error), ERROR_IO);
    assert_non_null(strstr(error.message, "exited with code 0"));
    setenv("LLMIND_PROGRAM_FOR_TESTS", "/bin/echo", 1);
    assert_int_equal(worker_open(&options, &engine, &error), ERROR_IO);
    setenv("LLMIND_PROGRAM_FOR_TESTS", real, 1);
    free(real);
}

/* The test's own child opens a worker, tells its number and dies: the worker must go, too. */
static void parent_dies(const char *crash_after)
{
    int ends[2];
    pid_t orphan = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t parent = fork();
    assert_true(parent >= 0);
    if (parent == 0) {
        struct engine_options options = options_of(folder);
        struct engine *engine = NULL;
        struct error error;
        if (crash_after ? worker_start(&options, &engine, &error) : worker_open(&options, &engine, &error))
            _exit(1);
        pid_t pid = worker_pid(engine);
        ssize_t written = write(ends[1], &pid, sizeof pid);
        (void)written;
        raise(SIGKILL);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &orphan, sizeof orphan), sizeof orphan);
    close(ends[0]);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    uint64_t start = clock_now_ns();
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)orphan);
    for (;;) { /* gone, or a zombie of whoever adopted it */
        FILE *file = fopen(path, "r");
        if (!file)
            break;
        char *line = fgets(text, sizeof text, file);
        fclose(file);
        if (!line || strstr(text, ") Z"))
            break;
        assert_true(clock_now_ns() - start < UINT64_C(20000000000));
        pause_ms(2);
    }
}

static void test_parent_dies(void **state)
{
    (void)state;
    parent_dies(NULL);
    parent_dies("while loading");
}

/* ---- nothing is left behind ---- */

static void test_no_leaks(void **state)
{
    (void)state;
    size_t descriptors = 0, threads = 0;
    for (int i = 0; i < 50; i++) {
        struct engine *engine = open_worker();
        struct engine_submit submit = run_greedy(prompt, 3, 3);
        run(engine, &submit, &first);
        if (i % 5 == 0)
            worker_kill(engine);
        engine_close(engine);
        if (i == 1) {
            descriptors = count_entries("/proc/self/fd");
            threads = count_entries("/proc/self/task");
        }
    }
    assert_int_equal(count_entries("/proc/self/fd"), descriptors);
    /* a thread that was joined may stay visible for a moment */
    for (int i = 0; i < 1000 && count_entries("/proc/self/task") > threads; i++)
        pause_ms(1);
    assert_int_equal(count_entries("/proc/self/task"), threads);
}

static void test_figures(void **state)
{
    (void)state;
    struct engine *engine = open_worker();
    struct memory_process memory;
    struct engine_stats stats;
    engine_stats(engine, &stats);
    assert_true(stats.pages_total > 0 && stats.kv_bytes > 0);
    worker_memory(engine, &memory);
    assert_true(memory.known && memory.anonymous_bytes > 0 && memory.resident_bytes > memory.anonymous_bytes);
    struct engine_submit submit = run_greedy(prompt, 30, 10);
    run(engine, &submit, &first);
    engine_stats(engine, &stats);
    assert_int_equal(stats.finished_requests, 1);
    assert_int_equal(stats.generated_tokens, 10);
    assert_int_equal(stats.active_sequences, 0);
    engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_local), cmocka_unit_test(test_token_texts),
        cmocka_unit_test(test_refusals),      cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_slow_reader),   cmocka_unit_test(test_close_with_requests),
        cmocka_unit_test(test_trace),         cmocka_unit_test(test_queue_limit),
        cmocka_unit_test(test_killed),        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_no_program),    cmocka_unit_test(test_parent_dies),
        cmocka_unit_test(test_no_leaks),      cmocka_unit_test(test_figures),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
