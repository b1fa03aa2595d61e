/* What there is to be seen of the model host. host_state is polled by everybody, so it takes the lock for no
 * longer than copying takes, and its strings are copies: the model may be gone a moment later. */
#include <stdio.h>
#include <string.h>

#include "service/host_internal.h"
#include "worker/client.h"

static const char *keep(struct host_state *out, size_t *used, const char *text)
{
    if (!text)
        return NULL;
    size_t length = strlen(text), room = sizeof out->text - *used;
    if (length >= room) /* a very long path is cut, never left out */
        length = room ? room - 1 : 0;
    char *copy = out->text + *used;
    if (!room)
        return "";
    memcpy(copy, text, length);
    copy[length] = '\0';
    *used += length + 1;
    return copy;
}

static void describe(struct host_state *out, const struct host_loaded *loaded)
{
    size_t used = 0;
    out->has_info = true;
    out->info = *engine_info(loaded->engine);
    /* the path last: the only long one */
    out->info.backend = keep(out, &used, out->info.backend);
    out->info.isa = keep(out, &used, out->info.isa);
    out->info.architecture = keep(out, &used, out->info.architecture);
    out->info.quantization = keep(out, &used, out->info.quantization);
    out->info.adapter = keep(out, &used, out->info.adapter);
    out->info.model_name = keep(out, &used, out->info.model_name);
    out->info.model_path = keep(out, &used, out->info.model_path);
    engine_stats(loaded->engine, &out->stats);
    worker_memory(loaded->engine, &out->memory);
    out->worker_pid = worker_pid(loaded->engine);
    out->loaded_unix = loaded->loaded_unix;
}

void host_state(struct model_host *host, struct host_state *out)
{
    struct host_loaded *gone;
    memset(out, 0, sizeof *out);
    pthread_mutex_lock(&host->lock);
    host_notice_death(host, &gone);
    const struct host_loaded *current = host->current;
    const char *name = current ? current->wish.name : host->is_loading ? host->loading_name : "";
    snprintf(out->model, sizeof out->model, "%s", name);
    out->phase = host->is_loading   ? HOST_LOADING
                 : host->park.holds ? HOST_PARKED
                 : !current         ? HOST_EMPTY
                 : host->first      ? HOST_CHANGING
                                    : HOST_READY;
    if (current)
        describe(out, current);
    out->leases = host->n_leases;
    out->waiting = host->n_turns - host->park.holds;
    out->loads = host->loads;
    out->failures = host->failures;
    memcpy(out->last_failure, host->last_failure, sizeof out->last_failure);
    pthread_mutex_unlock(&host->lock);
    host_loaded_free(gone);
}

void host_limits(struct model_host *host, uint32_t *running, uint32_t *waiting)
{
    pthread_mutex_lock(&host->lock);
    const struct host_loaded *current = host->current;
    /* while a run is in the way nothing may be loaded, and all that come wait for what will be */
    const struct host_wish *wish = current                ? &current->wish
                                   : !host->park.holds    ? NULL
                                   : host->recent.path[0] ? &host->recent
                                                          : &host->standard;
    *running = current ? engine_info(current->engine)->max_sequences : wish ? wish->options.max_sequences : 0;
    *waiting = wish ? wish->options.queue_limit : 0;
    pthread_mutex_unlock(&host->lock);
}
