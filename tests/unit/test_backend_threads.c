/* The rounds and stages of the compute threads, with far more threads than cores and with threads that give
 * their core away at the worst moments: inside a piece, between two pieces, between two stages.
 *
 * Every piece adds up what the stage before it wrote, in plain memory, and writes a number that depends on
 * all of it; the round's last numbers are right only if every piece ran, once, after all of the stage before.
 * Plain memory also lets the thread sanitizer see an order that holds by luck. As the pool asks of its users,
 * a thread touches the round's data only while it holds a piece: the caller prepares the next round while
 * late threads are still on their way out.
 *
 * cmocka's assertions belong to the main thread: pieces count what they find wrong, the caller looks. A lost
 * wake-up is a hang, and the alarm ends it.
 */
#include "backend/cpu/threads.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { SLOWER = 4 };
#else
enum { SLOWER = 1 };
#endif
enum { MAX_THREADS = 16, STAGES = 6, MAX_PIECES = 48, CACHE_LINE = 64, ALARM_SECONDS = 300 };
enum { WRAP = 1 << 16, TINY_ROUNDS = WRAP + 8000 };

/* A thread's own random numbers, used outside pieces too. */
struct own {
    _Alignas(CACHE_LINE) uint64_t random;
    uint32_t pieces; /* it ran in all rounds */
};

static struct {
    struct own own[MAX_THREADS];
    bool restless; /* threads nap and yield; not in the test of very many tiny rounds */

    /* The round: written by the caller, read by who holds a piece. */
    uint64_t seed;
    uint32_t pieces[STAGES];
    uint64_t numbers[STAGES][MAX_PIECES];
    atomic_uint runs[STAGES][MAX_PIECES], finished[STAGES];
} shared;

/* Pieces that started too early, that do not exist; a caller told that its own round is over. */
static atomic_uint early, unknown, sent_home;

static uint64_t next_random(uint64_t *state)
{
    uint64_t mixed = (*state += 0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
}

static uint32_t below(uint64_t *state, uint32_t end)
{
    return (uint32_t)(next_random(state) % end);
}

/* Mostly nothing, sometimes a yield, rarely a sleep that outlasts the pool's spinning. */
static void disturb(struct own *own)
{
    if (!shared.restless)
        return;
    uint32_t what = below(&own->random, 400);
    if (what < 40)
        sched_yield();
    else if (what < 42)
        nanosleep(&(struct timespec){.tv_nsec = 1000 + below(&own->random, 100000)}, NULL);
}

/* The number of a piece: of its stage, its place, and everything the stage before it wrote. */
static uint64_t number_of(uint32_t stage, uint32_t piece)
{
    uint64_t number = shared.seed + stage * 1000 + piece;
    for (uint32_t before = stage; before-- > 0;) /* the nearest stage that has pieces */
        if (shared.pieces[before]) {
            for (uint32_t i = 0; i < shared.pieces[before]; i++)
                number += next_random(&(uint64_t){shared.numbers[before][i] + i});
            break;
        }
    return number;
}

static void run_piece(struct own *own, uint32_t stage, uint32_t piece)
{
    own->pieces++;
    if (piece >= shared.pieces[stage]) {
        atomic_fetch_add(&unknown, 1);
        return;
    }
    for (uint32_t i = 0; i < stage; i++) /* relaxed: only the pool may put this in order */
        if (atomic_load_explicit(&shared.finished[i], memory_order_relaxed) != shared.pieces[i])
            atomic_fetch_add(&early, 1);
    disturb(own);
    shared.numbers[stage][piece] = number_of(stage, piece);
    atomic_fetch_add_explicit(&shared.runs[stage][piece], 1, memory_order_relaxed);
    disturb(own);
    atomic_fetch_add_explicit(&shared.finished[stage], 1, memory_order_relaxed);
}

static void work(void *context, uint32_t thread, uint32_t round)
{
    struct threads *threads = *(struct threads **)context;
    struct own *own = &shared.own[thread];
    for (uint32_t stage = 0; stage < STAGES; stage++) {
        uint32_t piece;
        enum stage_state state;
        disturb(own);
        while ((state = stages_claim(threads, stage, round, &piece)) == STAGE_CLAIMED) {
            run_piece(own, stage, piece);
            stages_finish(threads, stage);
            disturb(own);
        }
        if (state == ROUND_OVER) {
            if (!thread)
                atomic_fetch_add(&sent_home, 1); /* the caller's own round cannot be over */
            return;
        }
    }
}

/* ---- the caller ---- */

/* Workers run only inside rounds, and the first round comes after threads_open has filled this in. */
static struct threads *pool;

static void open_pool(uint32_t n_threads, bool restless)
{
    struct error error = {0};
    memset(&shared, 0, sizeof shared);
    for (uint32_t i = 0; i < MAX_THREADS; i++)
        shared.own[i].random = i + 1;
    shared.restless = restless;
    assert_int_equal(threads_open(n_threads, STAGES, work, &pool, &pool, &error), 0);
    assert_int_equal(threads_count(pool), n_threads);
}

/* What no thread of an earlier round may touch any more. */
static void prepare(uint64_t seed)
{
    shared.seed = seed;
    memset(shared.numbers, 0, sizeof shared.numbers);
    for (uint32_t stage = 0; stage < STAGES; stage++) {
        atomic_store_explicit(&shared.finished[stage], 0, memory_order_relaxed);
        for (uint32_t i = 0; i < MAX_PIECES; i++)
            atomic_store_explicit(&shared.runs[stage][i], 0, memory_order_relaxed);
    }
}

static void check_round(void)
{
    assert_int_equal(atomic_load(&early), 0);
    assert_int_equal(atomic_load(&unknown), 0);
    assert_int_equal(atomic_load(&sent_home), 0);
    for (uint32_t stage = 0; stage < STAGES; stage++) {
        assert_int_equal(atomic_load_explicit(&shared.finished[stage], memory_order_relaxed),
                         shared.pieces[stage]);
        for (uint32_t i = 0; i < MAX_PIECES; i++) {
            uint32_t runs = atomic_load_explicit(&shared.runs[stage][i], memory_order_relaxed);
            assert_int_equal(runs, i < shared.pieces[stage]);
            if (runs)
                assert_true(shared.numbers[stage][i] == number_of(stage, i));
        }
    }
}

/* 0 pieces, 1, about as many as there are threads, or many. */
static uint32_t random_pieces(uint64_t *random)
{
    static const uint32_t ends[] = {1, 2, 8, MAX_PIECES + 1};
    return below(random, ends[below(random, 4)]);
}

static void run_rounds(uint32_t n_threads, uint32_t n_rounds)
{
    uint64_t random = n_threads;
    open_pool(n_threads, true);
    for (uint32_t round = 0; round < n_rounds; round++) {
        prepare(next_random(&random));
        for (uint32_t stage = 0; stage < STAGES; stage++)
            shared.pieces[stage] = round % 50 ? random_pieces(&random) : 0; /* empty rounds too */
        threads_run(pool, shared.pieces);
        check_round();
    }
    threads_close(pool); /* joins: what the workers counted is ours to read now */
    uint32_t helped = 0;
    for (uint32_t i = 1; i < n_threads; i++)
        helped += shared.own[i].pieces > 0;
    assert_int_equal(helped, n_threads - 1); /* or the caller did it all, and this proves nothing */
}

static void test_one_thread(void **state)
{
    (void)state;
    run_rounds(1, 500 / SLOWER);
}

static void test_2_threads(void **state)
{
    (void)state;
    run_rounds(2, 2000 / SLOWER);
}

static void test_8_threads(void **state)
{
    (void)state;
    run_rounds(8, 1600 / SLOWER);
}

static void test_16_threads(void **state)
{
    (void)state;
    run_rounds(16, 1000 / SLOWER);
}

/* The claims carry 16 bits of the round's number. */
static void test_more_rounds_than_the_tag_counts(void **state)
{
    (void)state;
    open_pool(2, false);
    for (uint32_t stage = 0; stage < STAGES; stage++)
        shared.pieces[stage] = stage % 3; /* 0, 1, 2, 0, 1, 2 */
    for (uint32_t round = 0; round < TINY_ROUNDS; round++) {
        shared.seed = round;
        for (uint32_t stage = 0; stage < STAGES; stage++) {
            atomic_store_explicit(&shared.finished[stage], 0, memory_order_relaxed);
            for (uint32_t i = 0; i < shared.pieces[stage]; i++)
                atomic_store_explicit(&shared.runs[stage][i], 0, memory_order_relaxed);
        }
        threads_run(pool, shared.pieces);
        check_round();
    }
    threads_close(pool);
    assert_true(shared.own[1].pieces > 0);
}

static void test_open_and_close(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (uint32_t i = 0; i < 120 / SLOWER; i++) { /* without a round: workers may not even have started */
        open_pool(1 + below(&random, MAX_THREADS), true);
        threads_close(pool);
    }
    for (uint32_t i = 0; i < 120 / SLOWER; i++) { /* right behind a round: some are still on their way */
        open_pool(1 + below(&random, MAX_THREADS), true);
        prepare(i);
        for (uint32_t stage = 0; stage < STAGES; stage++)
            shared.pieces[stage] = random_pieces(&random);
        threads_run(pool, shared.pieces);
        check_round();
        threads_close(pool);
    }
    threads_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_thread),
        cmocka_unit_test(test_2_threads),
        cmocka_unit_test(test_8_threads),
        cmocka_unit_test(test_16_threads),
        cmocka_unit_test(test_more_rounds_than_the_tag_counts),
        cmocka_unit_test(test_open_and_close),
    };
    alarm(ALARM_SECONDS);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
