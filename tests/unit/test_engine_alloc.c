/* No heap allocation per generated token: not by the engine's thread, not by the backend's.
 *
 * malloc and its relatives are defined here and forward to glibc's; while `counting` is set, every call of
 * any thread but the reader's is counted. The reader is this test's only thread, so whatever else allocates
 * is the engine's or its backend's. Sanitizers bring their own malloc: there the test skips itself.
 */
#include "support/engine_run.h"
#include "support/tiny_model.h"

#include <stdatomic.h>
#include <stdlib.h>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_bool counting;
static atomic_uint n_allocations;
static _Thread_local bool is_reader;

static void count(void)
{
    if (atomic_load_explicit(&counting, memory_order_relaxed) && !is_reader)
        atomic_fetch_add(&n_allocations, 1);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    count();
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : 12; /* ENOMEM */
}

static struct answer answer;

/* Counts from the first token of the last request to its end. */
static void generate_counted(struct engine *engine, const struct engine_submit *submit, uint32_t n_others,
                             uint32_t n_tokens)
{
    struct engine_request *others[8];
    struct engine_event event = {0};
    for (uint32_t i = 0; i < n_others; i++)
        others[i] = run_submit(engine, submit);
    struct engine_request *request = run_submit(engine, submit);
    memset(&answer, 0, sizeof answer);
    while (event.kind != EVENT_FINISH) {
        assert_int_equal(engine_next_event(request, &event, RUN_TIMEOUT_MS), 1);
        if (event.kind == EVENT_TOKEN && !atomic_load(&counting)) {
            atomic_store(&n_allocations, 0);
            atomic_store(&counting, true);
        }
        answer_take(&answer, &event);
    }
    uint32_t n = atomic_load(&n_allocations);
    atomic_store(&counting, false);
    assert_int_equal(answer.n_tokens, n_tokens);
    assert_int_equal(n, 0);
    engine_request_release(request);
    for (uint32_t i = 0; i < n_others; i++)
        engine_request_release(others[i]);
}

static void test_no_allocation_while_decoding(void **state)
{
    (void)state;
    /* the counter counts: an allocation on another thread than the reader's is seen */
    atomic_store(&counting, true);
    void *volatile block = malloc(100);
    assert_int_equal(atomic_load(&n_allocations), 1);
    atomic_store(&counting, false);
    free(block);
    is_reader = true;

    char folder[256];
    struct tiny_options options = {.format = TINY_4BIT, .seed = 6};
    static const int32_t prompt[] = {1, 2, 3, 4, 5, 6, 7};
    static const char *const stops[] = {"a string that does not occur", "another one"};
    static const struct engine_logit_bias bias[] = {{5, 1}, {6, -1}};
    tiny_model_write(&options, folder, sizeof folder);
    struct engine *engine = run_open(folder, 2, 64, 8);

    struct engine_submit submit = run_greedy(prompt, 7, 200);
    generate_counted(engine, &submit, 0, 200);
    /* everything on, and beside others */
    submit.logprobs = true;
    submit.top_logprobs = ENGINE_MAX_LOGPROBS;
    submit.stops = stops;
    submit.n_stops = 2;
    submit.sampling = (struct engine_sampling){.temperature = 1,
                                               .top_k = 100,
                                               .top_p = 0.95f,
                                               .min_p = 0.01f,
                                               .repetition_penalty = 1.1f,
                                               .presence_penalty = 0.1f,
                                               .frequency_penalty = 0.1f,
                                               .logit_bias = bias,
                                               .n_logit_bias = 2};
    generate_counted(engine, &submit, 0, 200);
    submit.sampling.top_k = 0;
    generate_counted(engine, &submit, 7, 200);
    engine_close(engine);
    tiny_model_remove(folder);
}
#else
static void test_no_allocation_while_decoding(void **state)
{
    (void)state;
    print_message("skipped: this build's malloc is a sanitizer's\n");
    skip();
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_allocation_while_decoding)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
