/* The model host: leases, changes of models in order, and workers that die, with real workers on tiny models.
 */
#include "support/engine_run.h"
#include "support/tiny_adapter.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "service/host.h"

enum { LONG_MS = 120000 };

static char root[64], folders[2][256];
static const char *names[2];
static struct model_host *host;
static struct answer answer;

static int set_up_all(void **state)
{
    (void)state;
    setenv("LLMIND_PROGRAM_FOR_TESTS", LLMIND_BUILD_DIR "/llmind", 0);
    strcpy(root, "/tmp/llmind-host-XXXXXX");
    assert_non_null(mkdtemp(root));
    setenv("TMPDIR", root, 1);
    setenv("LLMIND_MODEL_PATH", root, 1);
    setenv("LLMIND_DATA_DIR", "/nowhere", 1);
    setenv("HF_HUB_CACHE", "/nowhere", 1);
    for (int i = 0; i < 2; i++) {
        struct tiny_options options = {.format = TINY_BF16, .seed = (uint64_t)i + 1};
        tiny_model_write(&options, folders[i], sizeof folders[i]);
        names[i] = strrchr(folders[i], '/') + 1;
    }
    return 0;
}

static int tear_down_all(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        tiny_model_remove(folders[i]);
    rmdir(root);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    struct host_options options = {.engine = {.n_threads = 1, .max_sequences = 4}, .default_model = names[0]};
    struct error error = {0};
    if (host_open(&options, &host, &error))
        fail_msg("host_open: %s", error.message);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    host_close(host);
    return 0;
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
    nanosleep(&time, NULL);
}

static struct host_lease acquire(const char *model)
{
    struct host_lease lease;
    struct error error = {0};
    if (host_acquire(host, model, LONG_MS, &lease, &error))
        fail_msg("host_acquire: %s", error.message);
    return lease;
}

static void use(const struct host_lease *lease)
{
    static const int32_t prompt[] = {1, 2, 3};
    struct engine_submit submit = run_greedy(prompt, 3, 5);
    run(lease->engine, &submit, &answer);
    assert_int_equal(answer.finish, FINISH_LENGTH);
}

/* The strings of info point into the original: not for use. */
static struct host_state state_now(void)
{
    struct host_state now;
    host_state(host, &now);
    return now;
}

static void test_leases(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(state_now().phase, HOST_EMPTY);
    struct host_lease first = acquire(NULL), second = acquire(names[0]);
    assert_ptr_equal(first.engine, second.engine);
    assert_string_equal(first.model, names[0]);
    use(&first);
    struct host_state now = state_now();
    assert_int_equal(now.phase, HOST_READY);
    assert_int_equal(now.leases, 2);
    assert_int_equal(now.loads, 1);
    assert_string_equal(now.model, names[0]);
    assert_true(now.has_info && now.info.vocab == TINY_VOCAB && now.worker_pid > 0);
    host_state(host, &now);
    assert_non_null(strstr(now.info.model_path, names[0]));
    assert_string_equal(now.info.architecture, engine_info(first.engine)->architecture);
    assert_true(now.loaded_unix > 1e9);
    assert_int_equal(host_unload(host, 20, &error), ERROR_BUSY);
    host_release(host, &first);
    host_release(host, &first); /* a lease that was given back: nothing */
    host_release(host, &second);
    assert_int_equal(host_unload(host, LONG_MS, &error), 0);
    assert_int_equal(host_unload(host, LONG_MS, &error), 0);
    now = state_now();
    assert_int_equal(now.phase, HOST_EMPTY);
    assert_false(now.has_info);
    assert_string_equal(now.model, "");
}

static void test_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"no-such-model", "../etc", "/etc", "a//b", ".."};
    struct host_lease lease = acquire(NULL), none;
    struct error error;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(host_acquire(host, bad[i], 0, &none, &error), ERROR_NOT_FOUND);
        assert_null(none.engine);
    }
    assert_int_equal(host_acquire(host, folders[0], 0, &none, &error), ERROR_NOT_FOUND); /* no paths */
    use(&lease);
    host_release(host, &lease);
}

struct waiter {
    pthread_t thread;
    const char *model;
    struct host_lease lease;
    int status;
    struct error error;
};

static void *wait_for_model(void *context)
{
    struct waiter *waiter = context;
    waiter->status = host_acquire(host, waiter->model, LONG_MS, &waiter->lease, &waiter->error);
    return NULL;
}

static void begin(struct waiter *waiter, const char *model, uint32_t n_waiting)
{
    waiter->model = model;
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_for_model, waiter), 0);
    while (state_now().waiting < n_waiting)
        pause_ms(1);
}

/* The change waits for the lease; who comes later for the old model waits behind the change. */
static void test_change(void **state)
{
    (void)state;
    struct waiter other, late;
    struct host_lease lease = acquire(names[0]), none;
    struct error error;
    assert_int_equal(host_acquire(host, names[1], 20, &none, &error), ERROR_BUSY);
    assert_int_equal(state_now().waiting, 0);
    begin(&other, names[1], 1);
    begin(&late, names[0], 2);
    assert_int_equal(host_acquire(host, names[0], 20, &none, &error), ERROR_BUSY);
    assert_int_equal(state_now().phase, HOST_CHANGING);
    struct host_lease beside; /* who has a lease gets another at once: waiting for it would be for ever */
    host_share(host, &lease, &beside);
    assert_int_equal(state_now().leases, 2);
    use(&lease); /* undisturbed */
    use(&beside);
    host_release(host, &beside);
    pid_t first_pid = state_now().worker_pid;
    host_release(host, &lease);
    pthread_join(other.thread, NULL);
    assert_int_equal(other.status, 0);
    assert_string_equal(other.lease.model, names[1]);
    assert_int_equal(kill(first_pid, 0), -1); /* ended before the other was opened */
    use(&other.lease);
    host_release(host, &other.lease);
    pthread_join(late.thread, NULL);
    assert_int_equal(late.status, 0);
    assert_string_equal(late.lease.model, names[0]);
    use(&late.lease);
    host_release(host, &late.lease);
    assert_int_equal(state_now().loads, 3);
}

static void test_does_not_fit(void **state)
{
    (void)state;
    struct error error;
    struct host_lease lease = acquire(names[0]);
    pid_t pid = state_now().worker_pid;
    host_release(host, &lease);
    struct host_load_options huge = {.context = 1u << 30, .precise = -1};
    assert_int_equal(host_load(host, names[1], &huge, true, LONG_MS, &error), ERROR_LIMIT);
    /* nor would it fit without the loaded one: that is not to blame */
    assert_int_equal(host_load(host, names[1], &huge, false, LONG_MS, &error), ERROR_LIMIT);
    assert_null(strstr(error.message, "beside the loaded model"));
    assert_int_equal(state_now().worker_pid, pid);
    assert_string_equal(state_now().model, names[0]);
}

static void test_load_options(void **state)
{
    (void)state;
    struct error error;
    struct host_load_options options = {.context = 128, .precise = -1};
    assert_int_equal(host_load(host, names[0], NULL, true, LONG_MS, &error), 0);
    assert_int_equal(state_now().info.context, TINY_CONTEXT);
    assert_int_equal(host_load(host, names[0], &options, true, LONG_MS, &error), 0);
    assert_int_equal(state_now().info.context, 128);
    pid_t pid = state_now().worker_pid;
    assert_int_equal(host_load(host, names[0], &options, true, LONG_MS, &error), 0);
    assert_int_equal(state_now().worker_pid, pid); /* as it is already */
    struct host_lease lease = acquire(names[0]);
    assert_int_equal(state_now().info.context, 128); /* a request does not undo it */
    kill(pid, SIGKILL);
    while (state_now().worker_pid == pid)
        pause_ms(1);
    host_release(host, &lease);
    lease = acquire(names[0]);
    assert_int_equal(state_now().info.context, 128); /* nor does a crash */
    host_release(host, &lease);
}

static void test_killed(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++) {
        struct host_lease dead = acquire(NULL);
        use(&dead);
        kill(state_now().worker_pid, SIGKILL);
        struct error error;
        while (!engine_alive(dead.engine, &error))
            pause_ms(1);
        struct host_lease lease = acquire(NULL); /* although somebody still holds the dead one */
        assert_ptr_not_equal(lease.engine, dead.engine);
        use(&lease);
        host_release(host, &dead);
        struct host_state now = state_now();
        assert_int_equal(now.failures, i);
        assert_non_null(strstr(now.last_failure, "signal 9"));
        host_release(host, &lease);
    }
}

static void test_crash_at_start(void **state)
{
    (void)state;
    struct host_lease lease;
    struct error error;
    setenv("LLMIND_TEST_WORKER_CRASH_AFTER", "0:exit", 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(host_acquire(host, names[0], LONG_MS, &lease, &error), ERROR_IO);
        assert_non_null(strstr(error.message, "LLMIND_TEST_WORKER_CRASH_AFTER"));
    }
    for (int i = 0; i < 5; i++) { /* no worker is started for these */
        assert_int_equal(host_acquire(host, names[0], LONG_MS, &lease, &error), ERROR_BUSY);
        assert_non_null(strstr(error.message, "again in 1 s"));
    }
    assert_int_equal(state_now().failures, 2);
    unsetenv("LLMIND_TEST_WORKER_CRASH_AFTER");
    lease = acquire(names[1]); /* another is not refused */
    host_release(host, &lease);
    pause_ms(1100);
    lease = acquire(names[0]);
    use(&lease);
    host_release(host, &lease);
}

struct reader {
    struct host_lease lease;
    struct engine_request *request;
    pthread_t thread;
};

static void *read_and_release(void *context)
{
    struct reader *reader = context;
    struct engine_event event;
    do
        assert_int_equal(engine_next_event(reader->request, &event, RUN_TIMEOUT_MS), 1);
    while (event.kind != EVENT_FINISH);
    engine_request_release(reader->request);
    host_release(host, &reader->lease);
    return NULL;
}

/* Closing while one answers and another waits: both come to an end, and host_close waits for them. */
static void test_close(void **state)
{
    (void)state;
    static const int32_t prompt[] = {1, 2, 3};
    struct engine_submit submit = run_greedy(prompt, 3, 2000);
    struct waiter waiter;
    struct reader reader = {.lease = acquire(names[0])};
    reader.request = run_submit(reader.lease.engine, &submit);
    assert_int_equal(pthread_create(&reader.thread, NULL, read_and_release, &reader), 0);
    begin(&waiter, names[1], 1);
    host_close(host);
    pthread_join(reader.thread, NULL);
    pthread_join(waiter.thread, NULL);
    assert_int_equal(waiter.status, ERROR_CANCELLED);
    set_up(state);
    begin(&waiter, names[1], 0); /* perhaps in the middle of loading */
    while (state_now().phase == HOST_EMPTY)
        pause_ms(1);
    pthread_t closer;
    assert_int_equal(pthread_create(&closer, NULL, (void *(*)(void *))(void (*)(void))host_close, host), 0);
    pthread_join(waiter.thread, NULL);
    if (waiter.status == 0)
        host_release(host, &waiter.lease);
    else
        assert_int_equal(waiter.status, ERROR_CANCELLED);
    pthread_join(closer, NULL);
    set_up(state);
}

/* What runs may end, who waits is sent away, and nobody else comes in. */
static void test_stop(void **state)
{
    (void)state;
    struct host_lease lease = acquire(names[0]), none;
    struct waiter waiter;
    struct error error;
    begin(&waiter, names[1], 1);
    host_stop(host);
    pthread_join(waiter.thread, NULL);
    assert_int_equal(waiter.status, ERROR_CANCELLED);
    assert_int_equal(host_acquire(host, names[0], LONG_MS, &none, &error), ERROR_CANCELLED);
    assert_int_equal(host_load(host, names[1], NULL, true, LONG_MS, &error), ERROR_CANCELLED);
    use(&lease);
    host_release(host, &lease);
}

static void test_default_folder(void **state)
{
    (void)state;
    struct host_options options = {.engine = {.n_threads = 1}, .default_model = folders[1]};
    struct model_host *other;
    struct host_lease lease;
    struct error error;
    assert_int_equal(host_open(&options, &other, &error), 0);
    assert_int_equal(host_acquire(other, NULL, LONG_MS, &lease, &error), 0);
    assert_string_equal(lease.model, names[1]); /* its own name, not a path */
    host_release(other, &lease);
    host_close(other);
    options.default_model = "no-such-model";
    assert_int_equal(host_open(&options, &other, &error), ERROR_NOT_FOUND);
    options.default_model = NULL;
    assert_int_equal(host_open(&options, &other, &error), 0);
    assert_int_equal(host_acquire(other, NULL, LONG_MS, &lease, &error), ERROR_NOT_FOUND);
    host_close(other);
    host_close(NULL);
}

static void *churn(void *context)
{
    const char *model = context;
    for (int i = 0; i < 6; i++) {
        struct host_lease lease;
        struct error error;
        if (host_acquire(host, model, LONG_MS, &lease, &error) == 0) {
            pause_ms(1);
            host_release(host, &lease);
        }
    }
    return NULL;
}

static const char *adapter_of(struct model_host *of, const char *path)
{
    static char adapter[256];
    char backend[64];
    struct error error = {0};
    if (host_find_served(of, path, adapter, sizeof adapter, backend, sizeof backend, &error))
        fail_msg("host_find_served: %s", error.message);
    return adapter;
}

static void check_loaded(struct model_host *of, const char *model, const char *adapter)
{
    struct error error = {0};
    struct host_state now;
    if (host_load(of, model, NULL, true, LONG_MS, &error))
        fail_msg("host_load: %s", error.message);
    host_state(of, &now);
    assert_true(now.has_info);
    if (adapter)
        assert_string_equal(now.info.adapter, adapter);
    else
        assert_null(now.info.adapter);
}

/* The default model's, and no other's, before it is loaded, while it is, and afterwards. */
static void test_adapter(void **state)
{
    (void)state;
    char adapter[256], backend[64], small[4];
    struct model_host *adapted;
    struct error error = {0};
    tiny_adapter_write(9, adapter, sizeof adapter);
    struct host_options options = {
        .engine = {.n_threads = 1, .max_sequences = 1, .adapter = adapter, .backend = "cpu"},
        .default_model = names[0]};
    assert_int_equal(host_open(&options, &adapted, &error), 0);
    assert_string_equal(adapter_of(adapted, folders[0]), adapter);
    assert_string_equal(adapter_of(adapted, folders[1]), "");
    assert_int_equal(
        host_find_served(adapted, folders[0], small, sizeof small, backend, sizeof backend, &error),
        ERROR_LIMIT);
    for (int i = 0; i < 2; i++) { /* the adapter is the default model's alone, the backend every model's */
        char other[256];
        assert_int_equal(
            host_find_served(adapted, folders[i], other, sizeof other, backend, sizeof backend, &error), 0);
        assert_string_equal(backend, "cpu");
    }
    check_loaded(adapted, NULL, tiny_adapter_name(adapter));
    assert_string_equal(adapter_of(adapted, folders[0]), adapter);
    check_loaded(adapted, names[1], NULL);
    assert_string_equal(adapter_of(adapted, folders[1]), "");
    assert_string_equal(adapter_of(adapted, folders[0]), adapter);
    check_loaded(adapted, names[0], tiny_adapter_name(adapter));
    host_close(adapted);
    assert_string_equal(adapter_of(host, folders[0]), ""); /* a host that was given none */
    tiny_adapter_remove(adapter);
}

/* By its name, for any model: on until the model is loaded without it. One that is none changes nothing. */
static void test_adapter_of_a_load(void **state)
{
    (void)state;
    char adapter[256], found[256] = "";
    struct error error = {0};
    struct host_load_options options = {.adapter = found, .precise = -1, .prompt_lookup = -1};
    tiny_adapter_write(9, adapter, sizeof adapter);
    const char *name = tiny_adapter_name(adapter);
    assert_int_equal(host_find_adapter(host, name, found, sizeof found, &error), 0);
    assert_string_equal(found, adapter);
    if (host_load(host, names[1], &options, true, LONG_MS, &error))
        fail_msg("host_load: %s", error.message);
    assert_string_equal(adapter_of(host, folders[1]), adapter);
    assert_string_equal(adapter_of(host, folders[0]), "");
    struct host_lease lease = acquire(names[1]);
    assert_string_equal(engine_info(lease.engine)->adapter, name);
    host_release(host, &lease);
    options.adapter = folders[0]; /* a model */
    assert_int_equal(host_load(host, names[1], &options, true, LONG_MS, &error), ERROR_NOT_FOUND);
    assert_null(strstr(error.message, root));
    assert_string_equal(adapter_of(host, folders[1]), adapter);
    assert_int_equal(state_now().loads, 1);
    check_loaded(host, names[1], NULL);
    tiny_adapter_remove(adapter);
    assert_int_equal(host_find_adapter(host, name, found, sizeof found, &error), ERROR_NOT_FOUND);
}

enum { CACHE_PROMPT = 200, CACHE_KEPT = 192 };
static int32_t cache_prompt[CACHE_PROMPT];

/* A file of the first model's, made without a worker. */
static void save_cache(const char *path)
{
    struct engine *engine = run_open(folders[0], 1, 0, 1);
    struct engine_submit submit = run_greedy(cache_prompt, CACHE_PROMPT, 0);
    struct engine_saved_prompt saved;
    struct error error = {0};
    submit.prompt_only = true;
    run(engine, &submit, &answer);
    if (engine_save_prompt_cache(engine, &submit, path, &saved, &error))
        fail_msg("engine_save_prompt_cache: %s", error.message);
    engine_close(engine);
}

static uint32_t cached_tokens(struct model_host *of, const char *model)
{
    struct host_lease lease;
    struct error error = {0};
    if (host_acquire(of, model, LONG_MS, &lease, &error))
        fail_msg("host_acquire: %s", error.message);
    struct engine_submit submit = run_greedy(cache_prompt, CACHE_PROMPT, 2);
    run(lease.engine, &submit, &answer);
    host_release(of, &lease);
    return answer.timings.cached_tokens;
}

static void load_with(struct model_host *of, const char *model, uint32_t kv_bits)
{
    struct host_load_options options = {.kv_bits = kv_bits, .precise = -1, .prompt_lookup = -1};
    struct error error = {0};
    if (host_load(of, model, &options, true, LONG_MS, &error))
        fail_msg("host_load: %s", error.message);
}

/* Known to the default model's worker from the start, and to that of no other model and of no other options.
 */
static void test_prompt_cache(void **state)
{
    (void)state;
    char path[128];
    struct model_host *cached;
    struct host_state now;
    struct host_lease gone;
    struct error error = {0};
    for (int i = 0; i < CACHE_PROMPT; i++)
        cache_prompt[i] = i * 7 % TINY_BYTES;
    snprintf(path, sizeof path, "%s/secret-place", root);
    save_cache(path);
    struct host_options options = {.engine = {.n_threads = 1, .max_sequences = 1, .prompt_cache = path},
                                   .default_model = names[0]};
    assert_int_equal(host_open(&options, &cached, &error), 0);
    assert_int_equal(cached_tokens(cached, NULL), CACHE_KEPT);
    assert_int_equal(cached_tokens(cached, names[1]), 0);
    assert_int_equal(cached_tokens(cached, names[0]), CACHE_KEPT);
    load_with(cached, names[0], 8);
    assert_int_equal(cached_tokens(cached, NULL), 0);
    load_with(cached, names[0], 0);
    assert_int_equal(cached_tokens(cached, NULL), CACHE_KEPT);
    assert_int_equal(cached_tokens(cached, names[1]), 0);
    unlink(path); /* while the other model is there: the first comes back without it */
    assert_int_equal(cached_tokens(cached, names[0]), 0);
    host_state(cached, &now);
    uint64_t loads = now.loads;
    assert_int_equal(cached_tokens(cached, names[0]),
                     CACHE_KEPT); /* of the request before; nothing was loaded */
    host_state(cached, &now);
    assert_int_equal(now.loads, loads);
    host_close(cached);
    assert_int_equal(host_open(&options, &cached, &error), 0);
    assert_int_equal(host_acquire(cached, NULL, LONG_MS, &gone, &error),
                     ERROR_NOT_FOUND); /* at the start it counts */
    assert_non_null(strstr(error.message, "the prompt cache does not exist"));
    assert_null(strstr(error.message, "secret-place"));
    host_close(cached);
    save_cache(path);
    options.default_model = names[1]; /* it is none of this one's */
    assert_int_equal(host_open(&options, &cached, &error), 0);
    struct host_lease lease;
    assert_int_equal(host_acquire(cached, NULL, LONG_MS, &lease, &error), ERROR_INVALID);
    assert_non_null(strstr(error.message, "the prompt cache was made for the model"));
    assert_null(strstr(error.message, "secret-place"));
    host_close(cached);
    unlink(path);
}

/* Many threads want both models in turn, and one keeps asking for the state: everybody gets through. */
static void test_churn(void **state)
{
    (void)state;
    pthread_t threads[6];
    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)names[i % 2]), 0);
    for (int i = 0; i < 200; i++) {
        struct host_state now = state_now();
        assert_true(now.leases <= 6 && now.waiting <= 6);
        pause_ms(1);
    }
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    struct host_state now = state_now();
    assert_int_equal(now.leases, 0);
    assert_int_equal(now.waiting, 0);
    assert_int_equal(now.failures, 0);
}

int main(void)
{
    alarm(300); /* host_close waits for leases: a failed test must not wait for ever */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_leases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_change, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_does_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_load_options, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_crash_at_start, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_default_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_adapter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_adapter_of_a_load, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_prompt_cache, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_churn, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
