/* One point of a sweep. Open loop: a request is sent when it is due, whoever still waits for an answer.
 * Closed loop: so many users, each of whom sends the next request when the last one was answered.
 *
 * A point ends when everything that was sent is answered. What is not answered as long after the last one was
 * due as the point took (DRAIN_LEAST_S at least) is given up and counted as failed.
 */
#include <math.h>
#include <stdlib.h>

#include "platform/clock.h"
#include "profile/load_internal.h"

/* So many failures in a row, refusals of a busy server apart, and the target counts as gone. */
enum { FAILURES_IN_A_ROW = 100 };
static const double DRAIN_LEAST_S = 15;
static const uint64_t LOOK_NS = 50000000; /* how often the cancel flag is looked at */

struct turn {
    struct load_target *target;
    struct load_point *point;
    size_t capacity, n_active, n_failed; /* failed: in a row */
    size_t *active;                      /* [LOAD_MAX_IN_FLIGHT]: indices of slots */
    double flight_area;                  /* in flight, integrated over time, seconds */
    uint64_t last_ns;
};

static uint64_t seconds(double s)
{
    return (uint64_t)(s * 1e9);
}

static int sweep_done(struct turn *turn, struct error *error)
{
    const struct load_slot *last = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < turn->n_active; i++) {
        const struct load_slot *slot = &turn->point->slots[turn->active[i]];
        if (slot->end_ns == 0) {
            turn->active[kept++] = turn->active[i];
            continue;
        }
        bool failed = slot->sample.outcome != OUTCOME_OK && slot->sample.outcome != OUTCOME_SHORT;
        turn->n_failed = failed && !slot->refused ? turn->n_failed + 1 : failed ? turn->n_failed : 0;
        last = slot;
    }
    turn->n_active = kept;
    if (last && turn->n_failed >= FAILURES_IN_A_ROW)
        return error_set(error, ERROR_IO, "%zu requests in a row failed, the last one: %s", turn->n_failed,
                         last->sample.message);
    return 0;
}

/* A request that is due finds no room: the target is far behind, and more would only measure us. */
static void not_sent(struct load_slot *slot)
{
    struct target_trace trace = {.outcome = OUTCOME_ERROR};
    error_set(&trace.error, ERROR_LIMIT, "not sent: %d requests were waiting for their answers",
              LOAD_MAX_IN_FLIGHT);
    sample_from_trace(&trace, &slot->sample);
    slot->sent_ns = slot->end_ns = clock_now_ns();
}

static int send_one(struct turn *turn, uint64_t due_ns, struct error *error)
{
    struct load_point *point = turn->point;
    struct load_slot *slot = &point->slots[point->n];
    *slot = (struct load_slot){.due_ns = due_ns};
    point->n++;
    if (turn->n_active == LOAD_MAX_IN_FLIGHT) {
        not_sent(slot);
        return 0;
    }
    slot->sent = true;
    slot->sent_ns = clock_now_ns();
    int status = turn->target->start(turn->target, slot, point->start_ns + point->n, error);
    if (status) {
        point->n--;
        return status;
    }
    if (slot->end_ns == 0)
        turn->active[turn->n_active++] = point->n - 1;
    if (turn->n_active > point->in_flight_max)
        point->in_flight_max = (uint32_t)turn->n_active;
    return 0;
}

static void give_up(struct turn *turn)
{
    for (size_t i = 0; i < turn->n_active; i++) {
        struct load_slot *slot = &turn->point->slots[turn->active[i]];
        if (slot->end_ns == 0) {
            turn->target->abandon(turn->target, slot);
            slot->end_ns = clock_now_ns();
        }
    }
    turn->n_active = 0;
}

static int wait_a_little(struct turn *turn, uint64_t until_ns, const atomic_int *cancel, struct error *error)
{
    uint64_t look_ns = clock_now_ns() + LOOK_NS;
    if (cancel && atomic_load(cancel) != 0)
        return error_set(error, ERROR_CANCELLED, "interrupted");
    int status = turn->target->wait(turn->target, until_ns < look_ns ? until_ns : look_ns, error);
    return status ? status : sweep_done(turn, error);
}

static int run_open(struct turn *turn, const uint64_t *moments, size_t n, const atomic_int *cancel,
                    struct error *error)
{
    struct load_point *point = turn->point;
    int status = 0;
    for (size_t i = 0; !status && i < n;) {
        uint64_t due_ns = point->start_ns + moments[i];
        if (clock_now_ns() < due_ns)
            status = wait_a_little(turn, due_ns, cancel, error);
        else {
            status = send_one(turn, due_ns, error);
            i++;
        }
    }
    return status;
}

static int run_closed(struct turn *turn, const atomic_int *cancel, struct error *error)
{
    struct load_point *point = turn->point;
    uint64_t end_ns = point->start_ns + seconds(point->duration_s);
    int status = 0;
    size_t fast = 0; /* refused at once, one after another: a loop that would never wait */
    while (!status && clock_now_ns() < end_ns && point->n < turn->capacity) {
        if (turn->n_active < (size_t)point->asked && fast < (size_t)point->asked) {
            size_t before = turn->n_active;
            status = send_one(turn, clock_now_ns(), error);
            fast = turn->n_active == before ? fast + 1 : 0;
        } else {
            status = wait_a_little(turn, clock_now_ns() + LOOK_NS, cancel, error);
            fast = 0;
        }
    }
    return status;
}

/* Everything from the first request to the last answer. */
static int run_turn(struct turn *turn, const uint64_t *moments, size_t n, const atomic_int *cancel,
                    struct error *error)
{
    struct load_point *point = turn->point;
    point->start_ns = clock_now_ns();
    int status = point->closed ? run_closed(turn, cancel, error) : run_open(turn, moments, n, cancel, error);
    uint64_t drain_ns = point->start_ns + seconds(point->duration_s + fmax(DRAIN_LEAST_S, point->duration_s));
    while (!status && turn->n_active && clock_now_ns() < drain_ns)
        status = wait_a_little(turn, drain_ns, cancel, error);
    double elapsed_s = (double)(clock_now_ns() - point->start_ns) / 1e9;
    point->window_s = status ? fmin(elapsed_s, point->duration_s) : point->duration_s;
    give_up(turn);
    return status;
}

int load_point_run(struct load_target *target, struct load_point *point, const atomic_int *cancel,
                   struct error *error)
{
    size_t n = 0;
    uint64_t *moments = NULL;
    if (!point->closed) {
        moments = load_arrivals(point->seed, point->asked, point->duration_s, LOAD_MAX_REQUESTS, &n);
        if (!moments)
            return error_set(error, ERROR_LIMIT, "%.6g requests/s for %.6g s are more than %d requests",
                             point->asked, point->duration_s, LOAD_MAX_REQUESTS);
    }
    struct turn turn = {.target = target, .point = point, .capacity = point->closed ? LOAD_MAX_REQUESTS : n};
    int status;
    turn.active = calloc(LOAD_MAX_IN_FLIGHT, sizeof *turn.active);
    point->slots = calloc(turn.capacity ? turn.capacity : 1, sizeof *point->slots);
    if (turn.active && point->slots)
        status = run_turn(&turn, moments, n, cancel, error);
    else
        status = error_memory(error, "the requests of a load run", turn.capacity * sizeof *point->slots);
    free(turn.active);
    free(moments);
    return status;
}

void load_point_free(struct load_point *point)
{
    for (size_t i = 0; i < point->n; i++)
        sample_free(&point->slots[i].sample);
    free(point->slots);
    point->slots = NULL;
    point->n = 0;
}
