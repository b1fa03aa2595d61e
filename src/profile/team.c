/* A round wakes everybody, meets, runs, meets again. Threads wake up by a condition variable, which takes
 * tens of microseconds, so the clock starts at the first meeting: there they spin, yielding in case there are
 * fewer cores than threads. */
#include "profile/team.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "platform/clock.h"

enum { SPINS = 2000 };

struct member {
    struct team *team;
    uint32_t index;
    pthread_t thread;
};

struct team {
    uint32_t n, n_started; /* threads besides the caller that run: n_started <= n - 1 */
    struct member *members;
    atomic_uint arrived, meetings;
    team_work *work; /* written before a round is announced */
    void *context;
    pthread_mutex_t lock;
    pthread_cond_t announced;
    uint32_t round; /* under lock */
    bool stop;      /* under lock */
};

static void meet(struct team *team)
{
    unsigned meeting = atomic_load(&team->meetings);
    if (atomic_fetch_add(&team->arrived, 1) + 1 == team->n) {
        atomic_store(&team->arrived, 0);
        atomic_fetch_add(&team->meetings, 1);
        return;
    }
    for (unsigned spins = 0; atomic_load(&team->meetings) == meeting; spins++)
        if (spins > SPINS)
            sched_yield();
}

static void *member_main(void *argument)
{
    struct member *member = argument;
    struct team *team = member->team;
    for (uint32_t round = 0;;) {
        pthread_mutex_lock(&team->lock);
        while (team->round == round && !team->stop)
            pthread_cond_wait(&team->announced, &team->lock);
        round = team->round;
        bool stop = team->stop;
        pthread_mutex_unlock(&team->lock);
        if (stop)
            return NULL;
        meet(team);
        team->work(team->context, member->index, team->n);
        meet(team);
    }
}

uint64_t team_time(struct team *team, team_work *work, void *context)
{
    pthread_mutex_lock(&team->lock);
    team->work = work;
    team->context = context;
    team->round++;
    pthread_cond_broadcast(&team->announced);
    pthread_mutex_unlock(&team->lock);
    meet(team);
    uint64_t start = clock_now_ns();
    work(context, 0, team->n);
    meet(team);
    uint64_t ns = clock_now_ns() - start;
    return ns > 0 ? ns : 1;
}

int team_open(uint32_t n, struct team **out, struct error *error)
{
    *out = NULL;
    struct team *team = calloc(1, sizeof *team);
    struct member *members = calloc(n, sizeof *members);
    if (!team || !members) {
        free(team);
        free(members);
        return error_memory(error, "threads to measure with", n * sizeof *members);
    }
    team->n = n;
    team->members = members;
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->announced, NULL);
    for (uint32_t i = 1; i < n; i++) {
        members[i] = (struct member){.team = team, .index = i};
        if (pthread_create(&members[i].thread, NULL, member_main, &members[i])) {
            team_close(team);
            return error_set(error, ERROR_LIMIT, "cannot start thread %u of %u: the system refuses more",
                             (unsigned)i + 1, (unsigned)n);
        }
        team->n_started++;
    }
    *out = team;
    return 0;
}

void team_close(struct team *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->stop = true;
    pthread_cond_broadcast(&team->announced);
    pthread_mutex_unlock(&team->lock);
    for (uint32_t i = 1; i <= team->n_started; i++)
        pthread_join(team->members[i].thread, NULL);
    pthread_cond_destroy(&team->announced);
    pthread_mutex_destroy(&team->lock);
    free(team->members);
    free(team);
}

uint32_t team_size(const struct team *team)
{
    return team->n;
}
