/* The model that is loaded: which one, in which worker, since when; loading, replacing and unloading it.
 *
 * One model at a time. Whoever wants text acquires the engine (a lease) and releases it after its last event.
 * Acquiring another model's engine replaces the loaded one as soon as nobody has a lease on it (new requests
 * for the old one wait behind the change, so that it comes to an end). A worker that died is noticed by its
 * leases (their requests end with FINISH_ERROR) and by the next acquire, which starts a new one. Any thread.
 */
#ifndef LLMIND_SERVICE_HOST_H
#define LLMIND_SERVICE_HOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "engine/engine.h"
#include "platform/memory.h"

struct model_host;

struct host_options {
    struct engine_options engine; /* defaults for every model; .model is not used; strings are copied */
    const char *default_model;    /* catalogue name (or, from the command line, a folder), copied */
};

int host_open(const struct host_options *options, struct model_host **out, struct error *error);
/* The first half of host_close: from now on nobody gets a lease, what is being loaded is given up, and
 * everybody who waits for a model returns (ERROR_CANCELLED). What runs goes on. NULL is legal. */
void host_stop(struct model_host *host);
/* Ends the worker, so that whatever runs ends with an error, and waits until every lease was given back and
 * every waiting host_acquire and host_load has returned (ERROR_CANCELLED). NULL is legal. */
void host_close(struct model_host *host);

struct host_lease {
    struct engine *engine;
    const char *model; /* its name, for responses; lives as long as the lease */
    void *loaded;      /* private */
};

/* The engine of a model by its catalogue name; NULL or "": the loaded one, else the default. Loads it when it
 * is not loaded. Waits at most wait_ms for a change of models (ERROR_BUSY then), not counting the time it
 * takes itself to load. Errors: ERROR_NOT_FOUND, ERROR_LIMIT (does not fit, with figures: the loaded one
 * stays), ERROR_BUSY (also: failed to start several times, is tried again in N s), those of worker_open. */
int host_acquire(struct model_host *host, const char *model, uint32_t wait_ms, struct host_lease *lease,
                 struct error *error);
/* One more lease on the engine of a lease that is held, at once. */
void host_share(struct model_host *host, const struct host_lease *held, struct host_lease *lease);
void host_release(struct model_host *host, struct host_lease *lease);

/* ---- a parked host ----
 *
 * A profiling run that times something wants the machine for itself: it parks the host. Whatever asks for a
 * model then waits behind it, in order, and gets in as soon as the host is unparked, before it can be parked
 * again. Time spent behind a parked host does not count as waiting for a change of models: a repeat may take
 * minutes. One run at a time; host_park to host_restore are for its thread only. */

/* Waits for whoever changes the model (however long that takes: a load beside a timed repeat would spoil it),
 * then, at most wait_ms, until nothing is being generated, and parks. Parked already: 0 at once. Errors:
 * ERROR_CANCELLED (*cancel, which may be NULL, or host_stop). */
int host_park(struct model_host *host, uint32_t wait_ms, const atomic_int *cancel, struct error *error);
/* true: something was generated since host_park. Not parked: nothing happens, false. */
bool host_unpark(struct model_host *host);
/* Sees to it that `bytes` of memory are to be had beside the loaded model, or, with unload_current, instead
 * of it: it is then unloaded, and everybody waits until host_restore has loaded it again. Errors: ERROR_LIMIT
 * (with figures; nothing was changed), ERROR_BUSY (answers do not come to an end), ERROR_CANCELLED. */
int host_make_room(struct model_host *host, uint64_t bytes, bool unload_current, struct error *error);
/* Unparks, loads what host_make_room unloaded, lets everybody in. Nothing of that to be done: nothing. */
void host_restore(struct model_host *host);

/* A place among those who wait for a parked host, for whoever must do other things while it waits (tell its
 * client, notice that it left) and must not lose its turn by that. One owner. */
struct host_place;
/* true: the host is parked, and *place is one. false (*place NULL): no need to wait; also when memory is
 * short. */
bool host_queue(struct model_host *host, struct host_place **place);
/* Waits at most wait_ms. true: its turn has come (or the server is stopping, which host_acquire_at then
 * says). Everybody behind waits until host_acquire_at or host_place_free. */
bool host_place_wait(struct model_host *host, struct host_place *place, uint32_t wait_ms);
void host_place_free(struct model_host *host, struct host_place *place); /* NULL is legal */
/* As host_acquire, at the place's turn, which it uses up. place: NULL, or used up already: is host_acquire.
 */
int host_acquire_at(struct model_host *host, struct host_place *place, const char *model, uint32_t wait_ms,
                    struct host_lease *lease, struct error *error);

/* What a request means by a model, NULL or "" being the loaded one, else the default: its name and its
 * folder, without loading anything. Errors: ERROR_NOT_FOUND, ERROR_LIMIT (longer than the arrays). */
int host_find(struct model_host *host, const char *model, char *name, size_t name_bytes, char *path,
              size_t path_bytes, struct error *error);

/* What the model in this folder is served with, or would be: its adapter's folder, "": none, and its backend,
 * "": the usual one. ERROR_LIMIT. */
int host_find_served(struct model_host *host, const char *path, char *adapter, size_t adapter_bytes,
                     char *backend, size_t backend_bytes, struct error *error);

/* The folder of an adapter by its name: the catalogue's (catalog_find_adapter); where it has none, the one
 * that the host was opened with, by the last part of its folder's path. ERROR_NOT_FOUND, ERROR_LIMIT. */
int host_find_adapter(const struct model_host *host, const char *name, char *path, size_t path_bytes,
                      struct error *error);

/* Options a load may change for this model; 0 / NULL / -1: as at the start. */
struct host_load_options {
    uint32_t n_threads, context, max_sequences, prefill_chunk, kv_bits;
    const char *backend; /* another one than before: isa is the best one again, unless it is given, too */
    const char *isa;
    const char *adapter; /* its folder; "": none */
    int precise;         /* -1, 0, 1 */
    int prompt_lookup;   /* -1: as at the start; 0: none */
};
/* Loads (again, when the options differ). unload_current: false refuses (ERROR_BUSY) while another is loaded
 * and both do not fit. */
int host_load(struct model_host *host, const char *model, const struct host_load_options *options,
              bool unload_current, uint32_t wait_ms, struct error *error);
/* Waits for leases to end, at most wait_ms (ERROR_BUSY). Nothing loaded: 0. */
int host_unload(struct model_host *host, uint32_t wait_ms, struct error *error);

enum host_phase { HOST_EMPTY, HOST_LOADING, HOST_READY, HOST_CHANGING, HOST_PARKED };
/* Not to be copied: strings of info point into text. */
struct host_state {
    enum host_phase phase;
    char model[256];    /* loaded or loading; "" when empty */
    double loaded_unix; /* when it was loaded, seconds; 0 */
    bool has_info;
    struct engine_info info; /* with has_info; its strings are in `text` */
    char text[2048];
    struct engine_stats stats;    /* with has_info */
    struct memory_process memory; /* of the worker, with has_info; at most 100 ms old, as stats */
    pid_t worker_pid;
    uint32_t leases, waiting;
    uint64_t loads, failures; /* since the start; failures: workers that died */
    char last_failure[512];   /* why the last one died; "" */
};
/* Never waits for a load or a step: cheap enough to poll. */
void host_state(struct model_host *host, struct host_state *out);
/* How many requests of the loaded model's engine may run at once, and how many more may wait; both 0: nothing
 * is loaded, waiting 0: any number. As cheap. */
void host_limits(struct model_host *host, uint32_t *running, uint32_t *waiting);

#endif
