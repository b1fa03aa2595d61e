#include "backend/cpu/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* About 20 to 60 microseconds of spinning: longer than any serial piece of a step, far shorter than a time
 * slice. */
enum { SPINS = 4000, CACHE_LINE = 64 };

/* A claim packs what must change together: 16 bits of the round's number, 24 of pieces in all, 24 of the next
 * piece. A compare-and-swap on it can only succeed on the stage as it is now, whoever slept in between. */
enum { NEXT_BITS = 24, PIECES_MASK = (1 << NEXT_BITS) - 1 };

struct stage {
    _Alignas(CACHE_LINE) atomic_uint_least64_t claim;
    atomic_uint_least64_t done; /* the round's number << 32, pieces finished */
};

/* Sleepers wait here for whatever they looked at to change; whoever changes it calls bell_ring afterwards. A
 * sleeper raises `sleepers` before its last look, a ringer changes before it reads `sleepers`, both
 * sequentially consistent: one of them sees the other. */
struct bell {
    atomic_uint sleepers;
    pthread_mutex_t lock;
    pthread_cond_t rung;
};

struct worker {
    struct threads *threads;
    uint32_t index;
    pthread_t thread;
};

struct threads {
    uint32_t n_threads, n_started, n_stages; /* workers really running: n_started <= n_threads - 1 */
    threads_function function;
    void *context;
    struct worker *workers;
    struct stage *stages;
    atomic_uint round; /* workers wait for it to change */
    atomic_bool stop;
    struct bell started, progress;
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void bell_init(struct bell *bell)
{
    atomic_init(&bell->sleepers, 0);
    pthread_mutex_init(&bell->lock, NULL);
    pthread_cond_init(&bell->rung, NULL);
}

static void bell_free(struct bell *bell)
{
    pthread_cond_destroy(&bell->rung);
    pthread_mutex_destroy(&bell->lock);
}

static void bell_ring(struct bell *bell)
{
    if (atomic_load(&bell->sleepers)) {
        pthread_mutex_lock(&bell->lock);
        pthread_cond_broadcast(&bell->rung);
        pthread_mutex_unlock(&bell->lock);
    }
}

static uint64_t pack_claim(uint32_t round, uint32_t pieces)
{
    return (uint64_t)(uint16_t)round << (2 * NEXT_BITS) | (uint64_t)pieces << NEXT_BITS;
}

static bool claim_is_of(uint64_t claim, uint32_t round)
{
    return claim >> (2 * NEXT_BITS) == (uint16_t)round;
}

/* ---- stages ---- */

/* STAGE_CLAIMED here means: not over yet. */
static enum stage_state stage_look(const struct stage *stage, uint32_t round, uint32_t pieces)
{
    uint64_t done = atomic_load(&stage->done);
    if (done >> 32 != round)
        return ROUND_OVER;
    return (uint32_t)done == pieces ? STAGE_DONE : STAGE_CLAIMED;
}

static enum stage_state stage_wait(struct threads *threads, const struct stage *stage, uint32_t round,
                                   uint32_t pieces)
{
    enum stage_state state = stage_look(stage, round, pieces);
    for (uint32_t i = 0; i < SPINS && state == STAGE_CLAIMED; i++) {
        relax();
        state = stage_look(stage, round, pieces);
    }
    if (state != STAGE_CLAIMED)
        return state;
    struct bell *bell = &threads->progress;
    pthread_mutex_lock(&bell->lock);
    atomic_fetch_add(&bell->sleepers, 1);
    while ((state = stage_look(stage, round, pieces)) == STAGE_CLAIMED)
        pthread_cond_wait(&bell->rung, &bell->lock);
    atomic_fetch_sub(&bell->sleepers, 1);
    pthread_mutex_unlock(&bell->lock);
    return state;
}

enum stage_state stages_claim(struct threads *threads, uint32_t stage, uint32_t round, uint32_t *piece)
{
    struct stage *claimed = &threads->stages[stage];
    uint64_t claim = atomic_load(&claimed->claim);
    for (;;) {
        /* the 16 bits agree again after 65,536 rounds; `done`, which is stored first, has all 32 */
        if (!claim_is_of(claim, round) || atomic_load(&claimed->done) >> 32 != round)
            return ROUND_OVER;
        uint32_t next = claim & PIECES_MASK, pieces = (claim >> NEXT_BITS) & PIECES_MASK;
        if (next == pieces)
            return stage_wait(threads, claimed, round, pieces);
        if (atomic_compare_exchange_weak(&claimed->claim, &claim, claim + 1)) {
            *piece = next;
            return STAGE_CLAIMED;
        }
    }
}

void stages_finish(struct threads *threads, uint32_t stage)
{
    struct stage *finished = &threads->stages[stage];
    /* The round cannot end while this piece is out, so the claim is still this round's. */
    uint32_t pieces = (atomic_load(&finished->claim) >> NEXT_BITS) & PIECES_MASK;
    if ((uint32_t)atomic_fetch_add(&finished->done, 1) + 1 == pieces)
        bell_ring(&threads->progress);
}

/* ---- rounds ---- */

static uint32_t wait_for_round(struct threads *threads, uint32_t old)
{
    for (uint32_t i = 0; i < SPINS; i++) {
        uint32_t round = atomic_load(&threads->round);
        if (round != old)
            return round;
        relax();
    }
    struct bell *bell = &threads->started;
    uint32_t round;
    pthread_mutex_lock(&bell->lock);
    atomic_fetch_add(&bell->sleepers, 1);
    while ((round = atomic_load(&threads->round)) == old)
        pthread_cond_wait(&bell->rung, &bell->lock);
    atomic_fetch_sub(&bell->sleepers, 1);
    pthread_mutex_unlock(&bell->lock);
    return round;
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    struct threads *threads = worker->threads;
    for (uint32_t round = 0;;) {
        round = wait_for_round(threads, round);
        if (atomic_load(&threads->stop))
            return NULL;
        threads->function(threads->context, worker->index, round);
    }
}

void threads_run(struct threads *threads, const uint32_t *pieces)
{
    uint32_t round = atomic_load(&threads->round) + 1;
    for (uint32_t i = 0; i < threads->n_stages; i++) {
        struct stage *stage = &threads->stages[i];
        atomic_store_explicit(&stage->done, (uint64_t)round << 32, memory_order_release);
        atomic_store_explicit(&stage->claim, pack_claim(round, pieces[i]), memory_order_release);
    }
    atomic_store(&threads->round, round);
    bell_ring(&threads->started);
    threads->function(threads->context, 0, round);
}

int threads_open(uint32_t n_threads, uint32_t n_stages, threads_function function, void *context,
                 struct threads **out, struct error *error)
{
    *out = NULL;
    struct threads *threads = calloc(1, sizeof *threads);
    struct worker *workers = calloc(n_threads, sizeof *workers);
    struct stage *stages = aligned_alloc(CACHE_LINE, (n_stages + 1) * sizeof *stages);
    if (!threads || !workers || !stages) {
        free(threads);
        free(workers);
        free(stages);
        return error_memory(error, "compute threads",
                            n_threads * sizeof *workers + n_stages * sizeof *stages);
    }
    *threads = (struct threads){.n_threads = n_threads,
                                .n_stages = n_stages,
                                .function = function,
                                .context = context,
                                .workers = workers,
                                .stages = stages};
    for (uint32_t i = 0; i < n_stages; i++) {
        atomic_init(&stages[i].claim, 0);
        atomic_init(&stages[i].done, 0);
    }
    bell_init(&threads->started);
    bell_init(&threads->progress);
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
    atomic_fetch_add(&threads->round, 1);
    bell_ring(&threads->started);
    for (uint32_t i = 1; i <= threads->n_started; i++)
        pthread_join(threads->workers[i].thread, NULL);
    bell_free(&threads->started);
    bell_free(&threads->progress);
    free(threads->stages);
    free(threads->workers);
    free(threads);
}

uint32_t threads_count(const struct threads *threads)
{
    return threads->n_threads;
}
