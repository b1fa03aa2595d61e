/* A host that stands still while a profiling run times something.
 *
 * "Is anything being generated?" has two answers. No lease: certainly not. With leases the engine's own
 * figures decide, because a client that reads slowly keeps a lease long after the last token; they are up to
 * 100 ms old, so they are believed when they have said "idle" for twice that long. For the same reason the
 * counters that host_unpark compares are taken once nobody has given a lease back for a while.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/budget.h"
#include "platform/clock.h"
#include "platform/memory.h"
#include "service/host_internal.h"
#include "worker/client.h"

enum {
    LOOK_MS = 10,
    SETTLED_MS = 200,    /* twice the age that the engine's figures may have */
    ROOM_WAIT_MS = 60000 /* for answers to end before their model is unloaded */
};
#define NS_PER_MS UINT64_C(1000000)

/* ---- waiting ---- */

static bool is_cancelled(const struct model_host *host, const atomic_int *cancel)
{
    return host->closing || (cancel && atomic_load(cancel));
}

static int cancelled(const struct model_host *host, struct error *error)
{
    return host->closing ? host_stopping(error)
                         : error_set(error, ERROR_CANCELLED, "cancelled while waiting for running answers");
}

/* The lock is held, and is open meanwhile. */
static void look_again(struct model_host *host)
{
    struct timespec soon = clock_in_ms(LOOK_MS);
    host_wait_until(host, &soon);
}

/* As host_begin_turn, without a limit and with *cancel. */
static int begin_parking(struct model_host *host, const atomic_int *cancel, struct error *error)
{
    struct host_park *park = &host->park;
    host_append_turn(host, &park->turn);
    while (host->first != &park->turn && !is_cancelled(host, cancel))
        look_again(host);
    if (is_cancelled(host, cancel)) {
        host_end_turn(host, &park->turn);
        return cancelled(host, error);
    }
    park->holds = true;
    pthread_cond_broadcast(&host->changed); /* who waits for a turn waits without a limit from now on */
    return 0;
}

static void end_parking(struct model_host *host)
{
    host->park.holds = false;
    host_end_turn(host, &host->park.turn);
}

static bool is_quiet(const struct model_host *host)
{
    struct engine_stats stats;
    if (!host->current || !host->current->leases)
        return true;
    engine_stats(host->current->engine, &stats);
    return !stats.active_sequences && !stats.queued_requests;
}

/* Until nothing is generated and the figures say so, too, or until end_ns. */
static int wait_for_quiet(struct model_host *host, uint64_t end_ns, const atomic_int *cancel,
                          struct error *error)
{
    uint64_t quiet_ns = clock_now_ns(); /* since then */
    for (;;) {
        uint64_t now = clock_now_ns();
        if (is_cancelled(host, cancel))
            return cancelled(host, error);
        if (!is_quiet(host))
            quiet_ns = now;
        bool leased = host->current && host->current->leases;
        uint64_t since = leased ? quiet_ns : host->released_ns;
        if (now >= end_ns || now - since >= SETTLED_MS * NS_PER_MS)
            return 0;
        look_again(host);
    }
}

/* ---- parking ---- */

static void count(struct model_host *host, struct host_park *out)
{
    struct engine_stats stats = {0};
    out->engine = host->current ? host->current->engine : NULL;
    if (out->engine)
        engine_stats(host->current->engine, &stats);
    out->steps = stats.steps;
    out->finished = stats.finished_requests;
}

int host_park(struct model_host *host, uint32_t wait_ms, const atomic_int *cancel, struct error *error)
{
    struct host_park *park = &host->park;
    int status = 0;
    pthread_mutex_lock(&host->lock);
    if (!park->parked) {
        bool begins = !park->holds; /* host_make_room may hold the turn already */
        if (begins)
            status = begin_parking(host, cancel, error);
        if (!status) {
            status = wait_for_quiet(host, clock_now_ns() + wait_ms * NS_PER_MS, cancel, error);
            if (status && begins)
                end_parking(host);
        }
        if (!status) {
            park->parked = true;
            count(host, park);
        }
    }
    pthread_mutex_unlock(&host->lock);
    return status;
}

bool host_unpark(struct model_host *host)
{
    struct host_park *park = &host->park, now = {0};
    pthread_mutex_lock(&host->lock);
    bool served = false;
    if (park->parked) {
        count(host, &now);
        served = now.engine == park->engine && (now.steps != park->steps || now.finished != park->finished);
        park->parked = false;
        if (!park->cleared)
            end_parking(host);
    }
    pthread_mutex_unlock(&host->lock);
    return served;
}

/* ---- room for another model ---- */

static double mib(uint64_t bytes)
{
    return (double)bytes / (1024.0 * 1024.0);
}

/* What unloading the current model would give back; its weights are the page cache's, and count as available
 * already. The lock is held. */
static uint64_t reclaimable(const struct model_host *host)
{
    struct memory_process memory = {0};
    if (host->current)
        worker_memory(host->current->engine, &memory);
    return memory.known ? memory.anonymous_bytes : 0;
}

static int refuse_room(const struct model_host *host, uint64_t bytes, uint64_t available, bool unload_current,
                       struct error *error)
{
    const char *loaded = host->current ? host->current->wish.name : NULL;
    uint64_t more = reclaimable(host);
    if (!loaded)
        return error_set(error, ERROR_LIMIT, "the run needs %.0f MiB of memory, and %.0f MiB are available",
                         mib(bytes), mib(available));
    return error_set(error, ERROR_LIMIT,
                     "the run needs %.0f MiB of memory, and %.0f MiB are available beside the loaded model "
                     "'%s'; without it there would be %.0f MiB%s",
                     mib(bytes), mib(available), loaded, mib(budget_with(available, more)),
                     unload_current || budget_with(available, more) < bytes
                         ? ""
                         : ": \"unload_current\": true unloads it and loads it again afterwards");
}

/* The driver, the lock held, and open meanwhile. */
static int clear(struct model_host *host, struct error *error)
{
    uint64_t end_ns = clock_now_ns() + ROOM_WAIT_MS * NS_PER_MS;
    while (host->current && host->current->leases && !host->closing && clock_now_ns() < end_ns)
        look_again(host);
    if (host->closing)
        return host_stopping(error);
    struct host_loaded *old = host->current;
    if (old && old->leases)
        return error_set(error, ERROR_BUSY, "model '%s' is still answering %u requests: try again later",
                         old->wish.name, old->leases);
    if (!old)
        return 0; /* its worker has died */
    host->park.was = old->wish;
    host->park.cleared = true;
    host_detach(host, old);
    pthread_mutex_unlock(&host->lock);
    log_event(LOG_LEVEL_INFO, "unloaded for a run", "model=%s", old->wish.name);
    host_loaded_free(old);
    pthread_mutex_lock(&host->lock);
    return 0;
}

int host_make_room(struct model_host *host, uint64_t bytes, bool unload_current, struct error *error)
{
    struct host_park *park = &host->park;
    uint64_t available = budget_available_bytes();
    if (bytes <= available)
        return 0;
    pthread_mutex_lock(&host->lock);
    bool begins = !park->holds;
    int status = begins ? begin_parking(host, NULL, error) : 0;
    if (!status) {
        bool may = unload_current && host->current;
        status = may && budget_with(available, reclaimable(host)) >= bytes
                     ? clear(host, error)
                     : refuse_room(host, bytes, available, unload_current, error);
        if (begins && !park->cleared)
            end_parking(host);
    }
    pthread_mutex_unlock(&host->lock);
    return status;
}

void host_restore(struct model_host *host)
{
    struct host_park *park = &host->park;
    struct error error = {0};
    host_unpark(host);
    pthread_mutex_lock(&host->lock);
    bool again = park->cleared && !host->closing;
    pthread_mutex_unlock(&host->lock);
    /* when it fails, the reason is logged there, and the next request tries again */
    if (again)
        host_replace(host, &park->was, &error);
    pthread_mutex_lock(&host->lock);
    park->cleared = false;
    if (park->holds)
        end_parking(host);
    pthread_mutex_unlock(&host->lock);
}

/* ---- places ---- */

bool host_queue(struct model_host *host, struct host_place **place)
{
    *place = NULL;
    struct host_place *made = calloc(1, sizeof *made);
    if (!made)
        return false;
    pthread_mutex_lock(&host->lock);
    made->queued = host->park.holds && !host->closing;
    if (made->queued)
        host_append_turn(host, &made->turn);
    pthread_mutex_unlock(&host->lock);
    if (made->queued)
        *place = made;
    else
        free(made);
    return *place != NULL;
}

bool host_place_wait(struct model_host *host, struct host_place *place, uint32_t wait_ms)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    bool in_time = true;
    pthread_mutex_lock(&host->lock);
    while (place->queued && host->first != &place->turn && !host->closing && in_time)
        in_time = host_wait_until(host, &deadline);
    bool ready = !place->queued || host->first == &place->turn || host->closing;
    pthread_mutex_unlock(&host->lock);
    return ready;
}

void host_place_free(struct model_host *host, struct host_place *place)
{
    if (!place)
        return;
    pthread_mutex_lock(&host->lock);
    if (place->queued)
        host_end_turn(host, &place->turn);
    pthread_mutex_unlock(&host->lock);
    free(place);
}
