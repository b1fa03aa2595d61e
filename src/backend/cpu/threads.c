#include "backend/cpu/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* About 20 to 60 microseconds of spinning: longer than any serial piece of a step, far shorter than a time
 * slice. */
enum { SPINS = 4000 };

/* A counter that threads wait on until it leaves a value. The slow path sleeps on a condition variable. */
struct gate {
    atomic_uint value;
    atomic_uint sleepers;
    pthread_mutex_t lock; /* guards the step between "still unchanged" and "asleep" */
    pthread_cond_t changed;
};

struct worker {
    struct threads *threads;
    uint32_t index;
    pthread_t thread;
};

struct threads {
    uint32_t n_threads, n_started; /* workers really running: n_started <= n_threads - 1 */
    uint32_t spins;
    struct worker *workers;
    struct gate start;   /* counts runs; workers wait for it */
    struct gate barrier; /* counts barrier rounds */
    atomic_uint arrived;
    atomic_bool stop;
    threads_function function; /* written before start is opened, read after */
    void *context;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void gate_init(struct gate *gate)
{
    atomic_init(&gate->value, 0);
    atomic_init(&gate->sleepers, 0);
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->changed, NULL);
}

static void gate_free(struct gate *gate)
{
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->lock);
}

static void gate_wait(struct gate *gate, unsigned old, uint32_t spins)
{
    for (uint32_t i = 0; i < spins; i++) {
        if (atomic_load_explicit(&gate->value, memory_order_acquire) != old)
            return;
        relax();
    }
    pthread_mutex_lock(&gate->lock);
    atomic_fetch_add(&gate->sleepers, 1);
    while (atomic_load(&gate->value) == old)
        pthread_cond_wait(&gate->changed, &gate->lock);
    atomic_fetch_sub(&gate->sleepers, 1);
    pthread_mutex_unlock(&gate->lock);
}

/* A sleeper raises `sleepers` before it looks at the value for the last time, the opener changes the value
 * before it looks at `sleepers`; both are sequentially consistent, so one of them sees the other. */
static void gate_open(struct gate *gate)
{
    atomic_fetch_add(&gate->value, 1);
    if (atomic_load(&gate->sleepers)) {
        pthread_mutex_lock(&gate->lock);
        pthread_cond_broadcast(&gate->changed);
        pthread_mutex_unlock(&gate->lock);
    }
}

void threads_barrier(struct threads *threads)
{
    unsigned round = atomic_load_explicit(&threads->barrier.value, memory_order_acquire);
    if (atomic_fetch_add(&threads->arrived, 1) + 1 == threads->n_threads) {
        atomic_store(&threads->arrived, 0);
        gate_open(&threads->barrier);
    } else {
        gate_wait(&threads->barrier, round, threads->spins);
    }
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct threads *threads = worker->threads;
    for (unsigned run = 0;; run++) {
        gate_wait(&threads->start, run, threads->spins);
        if (atomic_load(&threads->stop))
            return NULL;
        threads->function(threads->context, worker->index);
        threads_barrier(threads);
    }
}

int threads_open(uint32_t n_threads, struct threads **out, struct error *error)
{
    *out = NULL;
    struct threads *threads = calloc(1, sizeof *threads);
    struct worker *workers = calloc(n_threads, sizeof *workers);
    if (!threads || !workers) {
        free(threads);
        free(workers);
        return error_memory(error, "compute threads", n_threads * sizeof *workers);
    }
    threads->n_threads = n_threads;
    threads->spins = SPINS;
    threads->workers = workers;
    gate_init(&threads->start);
    gate_init(&threads->barrier);
    atomic_init(&threads->arrived, 0);
    atomic_init(&threads->stop, false);
    for (uint32_t i = 1; i < n_threads; i++) {
        workers[i] = (struct worker){.threads = threads, .index = i};
        int failure = pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]);
        if (failure) {
            threads_close(threads);
            return error_set(error, ERROR_LIMIT,
                             "cannot start compute thread %u of %u: the system refuses more", i + 1,
                             n_threads);
        }
        threads->n_started++;
    }
    *out = threads;
    return 0;
}

void threads_close(struct threads *threads)
{
    if (!threads)
        return;
    atomic_store(&threads->stop, true);
    gate_open(&threads->start);
    for (uint32_t i = 1; i <= threads->n_started; i++)
        pthread_join(threads->workers[i].thread, NULL);
    gate_free(&threads->start);
    gate_free(&threads->barrier);
    free(threads->workers);
    free(threads);
}

void threads_run(struct threads *threads, threads_function function, void *context)
{
    threads->function = function;
    threads->context = context;
    gate_open(&threads->start);
    function(context, 0);
    threads_barrier(threads);
}

uint32_t threads_count(const struct threads *threads)
{
    return threads->n_threads;
}
