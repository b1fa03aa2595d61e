/* Counters are relaxed atomics: each is exact by itself, and a snapshot may be a few events apart between
 * two of them, which no reader can tell from having asked a microsecond later.
 *
 * Requests are counted by route and status in a small table of slots that are claimed with a compare-exchange
 * and never given back. Routes come from the route table and statuses from a short list, so the table is
 * large enough by far; should it ever be full, the rest is counted as route "other".
 *
 * Tokens per second come from a ring of 100 ms buckets. A bucket packs which tenth of a second it stands for
 * (upper 32 bits) and its count (lower 32 bits) into one word, so that the first token of a new tenth clears
 * what is left of the last turn and counts itself in one step.
 */
#include "service/live.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"

enum {
    ROUTES_MAX = 128,
    STATUSES_MAX = 24, /* of one route */
    RING_BUCKETS = 64, /* more than the window, so that a late writer harms nobody */
    RING_BUCKET_MS = 100,
    WINDOW_BUCKETS = 50 /* 5 s */
};

static const double request_bounds_ms[LIVE_BUCKETS] = {1,    2,     5,     10,    20,    50,      100,
                                                       200,  350,   500,   750,   1000,  1500,    2500,
                                                       5000, 10000, 20000, 30000, 60000, INFINITY};
static const double token_bounds_ms[LIVE_BUCKETS] = {0.1, 0.2, 0.5, 1,  2,   3,   5,   7.5,  10,   15,
                                                     20,  30,  50,  75, 100, 200, 500, 1000, 5000, INFINITY};

struct histogram {
    const double *bounds;
    _Atomic uint64_t count[LIVE_BUCKETS];
    _Atomic uint64_t sum_us;
};

struct status_slot {
    _Atomic int status; /* 0: free */
    _Atomic uint64_t count;
};
struct route_slot {
    _Atomic(const char *) route; /* NULL: free */
    struct status_slot statuses[STATUSES_MAX];
};

struct live {
    _Atomic uint64_t prompt_tokens, cached_tokens, generated_tokens, disconnects;
    _Atomic uint64_t drafted_tokens, accepted_tokens;
    _Atomic uint64_t answers[FINISH_ERROR + 1];
    _Atomic uint64_t timed_answers, timed_us; /* whole ones, and how long they took together */
    _Atomic uint64_t uncounted;               /* requests the table had no room for */
    struct histogram ttft, itl, request;
    struct route_slot routes[ROUTES_MAX];
    _Atomic uint64_t ring[RING_BUCKETS];
    uint64_t start_ns;
};

int live_open(struct live **out, struct error *error)
{
    *out = NULL;
    struct live *live = calloc(1, sizeof *live);
    if (!live)
        return error_memory(error, "the live figures", sizeof *live);
    live->ttft.bounds = request_bounds_ms;
    live->itl.bounds = token_bounds_ms;
    live->request.bounds = request_bounds_ms;
    live->start_ns = clock_now_ns();
    *out = live;
    return 0;
}

void live_close(struct live *live)
{
    free(live);
}

static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
    return atomic_load_explicit((_Atomic uint64_t *)counter, memory_order_relaxed);
}

/* Not a number and what is negative counts as 0: a clock that was not set says nothing. */
static void observe(struct histogram *histogram, double ms)
{
    if (!(ms > 0))
        ms = 0;
    if (ms > 1e12)
        ms = 1e12; /* thirty years: keeps the sum in its word */
    size_t i = 0;
    while (i + 1 < LIVE_BUCKETS && ms > histogram->bounds[i])
        i++;
    add(&histogram->count[i], 1);
    add(&histogram->sum_us, (uint64_t)(ms * 1000));
}

/* ---- requests ---- */

static struct route_slot *find_route(struct live *live, const char *route)
{
    for (size_t i = 0; i < ROUTES_MAX; i++) {
        struct route_slot *slot = &live->routes[i];
        const char *here = atomic_load_explicit(&slot->route, memory_order_acquire);
        if (!here) {
            if (atomic_compare_exchange_strong(&slot->route, &here, route))
                return slot;
            /* somebody else took it just now: `here` is theirs */
        }
        if (here == route || strcmp(here, route) == 0)
            return slot;
    }
    return NULL;
}

static struct status_slot *find_status(struct route_slot *route, int status)
{
    for (size_t i = 0; i < STATUSES_MAX; i++) {
        struct status_slot *slot = &route->statuses[i];
        int here = atomic_load_explicit(&slot->status, memory_order_acquire);
        if (here == 0 && atomic_compare_exchange_strong(&slot->status, &here, status))
            return slot;
        if (here == status)
            return slot;
    }
    return NULL;
}

void live_count_request(struct live *live, const char *route, int status, double ms)
{
    struct route_slot *slot = status > 0 ? find_route(live, route) : NULL;
    struct status_slot *counter = slot ? find_status(slot, status) : NULL;
    add(counter ? &counter->count : &live->uncounted, 1);
    observe(&live->request, ms);
}

/* ---- tokens and answers ---- */

/* Which tenth of a second it is. Starts at RING_BUCKETS, so that an untouched bucket (0) is always old. */
static uint32_t tenth_now(const struct live *live)
{
    return (uint32_t)((clock_now_ns() - live->start_ns) / (RING_BUCKET_MS * UINT64_C(1000000))) +
           RING_BUCKETS;
}

static void ring_add(struct live *live)
{
    uint32_t tenth = tenth_now(live);
    _Atomic uint64_t *bucket = &live->ring[tenth % RING_BUCKETS];
    uint64_t old = get(bucket), fresh;
    do
        fresh = (uint32_t)(old >> 32) == tenth ? old + 1 : (uint64_t)tenth << 32 | 1;
    while (!atomic_compare_exchange_weak_explicit(bucket, &old, fresh, memory_order_relaxed,
                                                  memory_order_relaxed));
}

/* Over the last 50 whole tenths: the one that is running would make the rate look low. In the server's first
 * 5 s the window is still as long: nothing ran before either. */
static double ring_rate(const struct live *live)
{
    uint32_t now = tenth_now(live);
    uint64_t tokens = 0;
    for (uint32_t back = 1; back <= WINDOW_BUCKETS; back++) {
        uint64_t bucket = get(&live->ring[(now - back) % RING_BUCKETS]);
        if ((uint32_t)(bucket >> 32) == now - back)
            tokens += (uint32_t)bucket;
    }
    return (double)tokens / (WINDOW_BUCKETS * RING_BUCKET_MS / 1000.0);
}

void live_count_token(struct live *live, double gap_ms)
{
    add(&live->generated_tokens, 1);
    ring_add(live);
    if (gap_ms >= 0)
        observe(&live->itl, gap_ms);
}

void live_count_prompt(struct live *live, const struct engine_timings *timings)
{
    add(&live->prompt_tokens, timings->prompt_tokens);
    add(&live->cached_tokens, timings->cached_tokens);
}

void live_count_answer(struct live *live, enum engine_finish finish, const struct engine_timings *timings)
{
    add(&live->answers[finish <= FINISH_ERROR ? finish : FINISH_ERROR], 1);
    live_count_prompt(live, timings);
    add(&live->drafted_tokens, timings->drafted_tokens);
    add(&live->accepted_tokens, timings->accepted_tokens);
    if (timings->first_token_ns > timings->accepted_ns)
        observe(&live->ttft, (double)(timings->first_token_ns - timings->accepted_ns) / 1e6);
    bool whole = finish == FINISH_STOP || finish == FINISH_LENGTH;
    if (whole && timings->last_token_ns > timings->accepted_ns) {
        add(&live->timed_us, (timings->last_token_ns - timings->accepted_ns) / 1000);
        add(&live->timed_answers, 1);
    }
}

void live_count_disconnect(struct live *live)
{
    add(&live->disconnects, 1);
}

/* ---- snapshots ---- */

static void read_histogram(const struct histogram *histogram, struct live_histogram *out)
{
    out->total = 0;
    for (size_t i = 0; i < LIVE_BUCKETS; i++) {
        out->upper_ms[i] = histogram->bounds[i];
        out->count[i] = get(&histogram->count[i]);
        out->total += out->count[i]; /* so that the last cumulative bucket is the total */
    }
    out->sum_ms = (double)get(&histogram->sum_us) / 1000;
}

static int compare_routes(const void *a, const void *b)
{
    const struct live_route *one = a, *other = b;
    int order = strcmp(one->route, other->route);
    return order ? order : one->status - other->status;
}

static int read_routes(const struct live *live, struct live_snapshot *out, struct error *error)
{
    size_t capacity = (size_t)ROUTES_MAX * STATUSES_MAX + 1;
    out->routes = malloc(capacity * sizeof *out->routes);
    if (!out->routes)
        return error_memory(error, "the live figures", capacity * sizeof *out->routes);
    for (size_t i = 0; i < ROUTES_MAX; i++) {
        struct route_slot *slot = (struct route_slot *)&live->routes[i];
        const char *route = atomic_load_explicit(&slot->route, memory_order_acquire);
        for (size_t j = 0; route && j < STATUSES_MAX; j++) {
            int status = atomic_load_explicit(&slot->statuses[j].status, memory_order_acquire);
            if (status)
                out->routes[out->n_routes++] =
                    (struct live_route){route, status, get(&slot->statuses[j].count)};
        }
    }
    if (get(&live->uncounted))
        out->routes[out->n_routes++] = (struct live_route){"other", 0, get(&live->uncounted)};
    qsort(out->routes, out->n_routes, sizeof *out->routes, compare_routes);
    return 0;
}

int live_read(struct live *live, struct live_snapshot *out, struct error *error)
{
    memset(out, 0, sizeof *out);
    out->prompt_tokens = get(&live->prompt_tokens);
    out->cached_tokens = get(&live->cached_tokens);
    out->drafted_tokens = get(&live->drafted_tokens);
    out->accepted_tokens = get(&live->accepted_tokens);
    out->generated_tokens = get(&live->generated_tokens);
    out->disconnects = get(&live->disconnects);
    for (size_t i = 0; i <= FINISH_ERROR; i++)
        out->answers[i] = get(&live->answers[i]);
    out->tokens_per_second = ring_rate(live);
    uint64_t timed = get(&live->timed_answers);
    out->response_ms = timed ? (double)get(&live->timed_us) / 1000 / (double)timed : NAN;
    read_histogram(&live->ttft, &out->ttft);
    read_histogram(&live->itl, &out->itl);
    read_histogram(&live->request, &out->request);
    return read_routes(live, out, error);
}

void live_snapshot_free(struct live_snapshot *snapshot)
{
    free(snapshot->routes);
    memset(snapshot, 0, sizeof *snapshot);
}
