/* Between host.c, host_change.c and host_park.c only.
 *
 * Everything that may change which model is loaded takes a turn: turns are a queue, and whoever is at its
 * head (the driver) alone may wait for leases to end, close and open workers, with host.lock open meanwhile.
 * A request for the loaded model takes a lease without a turn as long as nobody is queued; otherwise it
 * queues like everybody, so a change that waits is not overtaken for ever.
 *
 * Parking is nothing else than a turn that is held for a while: everybody queues behind it, and the next
 * parking behind everybody.
 */
#ifndef LLMIND_SERVICE_HOST_INTERNAL_H
#define LLMIND_SERVICE_HOST_INTERNAL_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "service/host.h"

enum { HOST_NAME_BYTES = 256, HOST_PATH_BYTES = 4096, HOST_WORD_BYTES = 64 };

/* What to load: owns its strings, so that it can be kept and compared. */
struct host_wish {
    char name[HOST_NAME_BYTES], path[HOST_PATH_BYTES];
    char backend[HOST_WORD_BYTES], isa[HOST_WORD_BYTES];
    char adapter[HOST_PATH_BYTES]; /* the default model's from the start, any other's only by a load */
    /* of the default model, and only with the options of the start: keys and values of others are others */
    char prompt_cache[HOST_PATH_BYTES];
    struct engine_options options; /* its strings are NULL: host_wish_options points them at the above */
};

/* A worker with a model in it. Freed by whoever takes away the last lease after it was detached. */
struct host_loaded {
    struct engine *engine;
    struct host_wish wish;
    double loaded_unix;
    uint32_t leases;
    bool detached; /* not host.current any more */
};

struct host_turn {
    struct host_turn *next;
};

struct host_place {
    struct host_turn turn;
    bool queued; /* not used up */
};

/* What the thread of a profiling run holds. */
struct host_park {
    struct host_turn turn;
    bool holds;           /* the turn; with host_make_room also between two parkings */
    bool parked, cleared; /* cleared: host_make_room unloaded `was` */
    struct host_wish was;
    /* as it was parked */
    const struct engine *engine;
    uint64_t steps, finished;
};

struct model_host {
    /* constant */
    struct host_wish standard; /* the options at the start; name and path are the default's, "" without one */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* turns, leases, closing */
    /* guarded by lock */
    bool closing;
    struct host_turn *first, *last; /* the queue of turns; first is the driver's */
    uint32_t n_turns;
    struct host_park park;
    uint64_t released_ns; /* when a lease was given back last */
    struct host_loaded *current;
    struct engine *opening; /* for host_close to kill */
    bool is_loading;
    char loading_name[HOST_NAME_BYTES];
    struct host_wish recent; /* what was loaded last: a worker that died comes back the same */
    uint32_t n_leases;       /* of all, also of workers that died */
    uint64_t loads, failures;
    char last_failure[512];
    bool prompt_cache_was_good; /* of a load that has ended; whoever loads has the turn */
    /* Starts in a row that came to nothing, of the model at failed_path with that adapter. */
    uint32_t failed_starts;
    uint64_t not_before_ns;
    char failed_path[HOST_PATH_BYTES], failed_adapter[HOST_PATH_BYTES];
};

/* host.c. The lock is held by callers. */

/* On success the caller is the driver until host_end_turn. Time behind a parked host moves *deadline on.
 * ERROR_BUSY, ERROR_CANCELLED. */
int host_begin_turn(struct model_host *host, struct host_turn *turn, struct timespec *deadline,
                    struct error *error);
void host_append_turn(struct model_host *host, struct host_turn *turn);
void host_end_turn(struct model_host *host, struct host_turn *turn);
/* Waits for `changed`. False when the time is up. */
bool host_wait_until(struct model_host *host, const struct timespec *deadline);
int host_stopping(struct error *error);

/* host_change.c. The lock is held by callers of the first three. */

/* When the current worker has died: counts it and lets go of it (*gone is to be freed by the caller once the
 * lock is open, when it is not NULL). */
void host_notice_death(struct model_host *host, struct host_loaded **gone);
/* Lets go of a loaded model. True when nobody has a lease on it any more: host_loaded_free it without the
 * lock.
 */
bool host_detach(struct model_host *host, struct host_loaded *loaded);
/* ERROR_BUSY while the model failed to start a moment ago, saying until when. */
int host_check_failures(struct model_host *host, const struct host_wish *wish, struct error *error);
void host_loaded_free(struct host_loaded *loaded); /* ends the worker; NULL is legal */

struct engine_options host_wish_options(const struct host_wish *wish);
bool host_wish_equal(const struct host_wish *a, const struct host_wish *b);

/* The driver's, without the lock: replaces the current model, which nobody has a lease on, by another. */
int host_replace(struct model_host *host, const struct host_wish *wish, struct error *error);
/* The driver's, without the lock: whether `wish` fits when the current model is given up (may_unload) or
 * beside it. */
int host_check_fit(struct model_host *host, const struct host_wish *wish, bool may_unload,
                   struct error *error);

#endif
