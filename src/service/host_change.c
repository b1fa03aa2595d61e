/* Starting and ending workers for the model host.
 *
 * A worker that cannot start, or dies before it has generated anything, is a failed start. The first one may
 * be repeated at once by the next request; after that the model is refused for 1, 2, 4 ... 30 seconds, so
 * that a model that always crashes does not keep the machine busy loading it. A worker that had served dies
 * without such consequences: it is simply started again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "platform/clock.h"
#include "platform/memory.h"
#include "service/host_internal.h"
#include "worker/client.h"

enum { FIRST_PAUSE_S = 1, LONGEST_PAUSE_S = 30 };
#define NS_PER_S UINT64_C(1000000000)

/* ---- failed starts ---- */

static bool failed_before(const struct model_host *host, const struct host_wish *wish)
{
    return strcmp(host->failed_path, wish->path) == 0 && strcmp(host->failed_adapter, wish->adapter) == 0;
}

static void count_failed_start(struct model_host *host, const struct host_wish *wish)
{
    if (!failed_before(host, wish))
        host->failed_starts = 0;
    snprintf(host->failed_path, sizeof host->failed_path, "%s", wish->path);
    snprintf(host->failed_adapter, sizeof host->failed_adapter, "%s", wish->adapter);
    host->failed_starts++;
    uint64_t pause_s = 0;
    if (host->failed_starts > 1) {
        uint32_t doublings = host->failed_starts - 2;
        pause_s = doublings < 5 ? (uint64_t)FIRST_PAUSE_S << doublings : LONGEST_PAUSE_S;
        if (pause_s > LONGEST_PAUSE_S)
            pause_s = LONGEST_PAUSE_S;
    }
    host->not_before_ns = clock_now_ns() + pause_s * NS_PER_S;
}

int host_check_failures(struct model_host *host, const struct host_wish *wish, struct error *error)
{
    uint64_t now = clock_now_ns();
    if (host->failed_starts < 2 || now >= host->not_before_ns || !failed_before(host, wish))
        return 0;
    uint64_t seconds = (host->not_before_ns - now + NS_PER_S - 1) / NS_PER_S;
    return error_set(error, ERROR_BUSY,
                     "model '%s' failed to start %u times in a row; it is tried again in %llu s. The last "
                     "time: %s",
                     wish->name, host->failed_starts, (unsigned long long)seconds, host->last_failure);
}

static void note_failure(struct model_host *host, const struct error *error)
{
    host->failures++;
    size_t length = strlen(error->message), room = sizeof host->last_failure - 1;
    if (length > room)
        for (length = room; length && ((uint8_t)error->message[length] & 0xC0) == 0x80; length--)
            ; /* not within a character */
    memcpy(host->last_failure, error->message, length);
    host->last_failure[length] = '\0';
}

/* ---- the loaded one ---- */

void host_loaded_free(struct host_loaded *loaded)
{
    if (!loaded)
        return;
    engine_close(loaded->engine);
    free(loaded);
}

bool host_detach(struct model_host *host, struct host_loaded *loaded)
{
    loaded->detached = true;
    if (host->current == loaded)
        host->current = NULL;
    return loaded->leases == 0;
}

void host_notice_death(struct model_host *host, struct host_loaded **gone)
{
    struct error error;
    struct engine_stats stats;
    *gone = NULL;
    if (!host->current || !engine_alive(host->current->engine, &error))
        return;
    engine_stats(host->current->engine, &stats);
    note_failure(host, &error);
    if (stats.generated_tokens)
        host->failed_starts = 0;
    else
        count_failed_start(host, &host->current->wish);
    log_event(LOG_LEVEL_ERROR, "worker died", "model=%s reason=%s", host->current->wish.name, error.message);
    struct host_loaded *dead = host->current;
    if (host_detach(host, dead))
        *gone = dead;
}

struct engine_options host_wish_options(const struct host_wish *wish)
{
    struct engine_options options = wish->options;
    options.model = wish->path;
    options.backend = wish->backend[0] ? wish->backend : NULL;
    options.isa = wish->isa[0] ? wish->isa : NULL;
    options.adapter = wish->adapter[0] ? wish->adapter : NULL;
    options.prompt_cache = wish->prompt_cache[0] ? wish->prompt_cache : NULL;
    return options;
}

bool host_wish_equal(const struct host_wish *a, const struct host_wish *b)
{
    const struct engine_options *x = &a->options, *y = &b->options;
    return strcmp(a->path, b->path) == 0 && strcmp(a->backend, b->backend) == 0 &&
           strcmp(a->isa, b->isa) == 0 && strcmp(a->adapter, b->adapter) == 0 &&
           strcmp(a->prompt_cache, b->prompt_cache) == 0 && x->n_threads == y->n_threads &&
           x->context == y->context && x->max_sequences == y->max_sequences &&
           x->prefill_chunk == y->prefill_chunk && x->kv_bits == y->kv_bits &&
           x->prompt_lookup == y->prompt_lookup && x->precise == y->precise &&
           x->queue_limit == y->queue_limit && x->no_prefix_sharing == y->no_prefix_sharing;
}

/* ---- the driver's ---- */

int host_check_fit(struct model_host *host, const struct host_wish *wish, bool may_unload,
                   struct error *error)
{
    struct engine_options options = host_wish_options(wish);
    struct memory_process memory = {0};
    pthread_mutex_lock(&host->lock);
    const struct host_loaded *current = host->current;
    if (current)
        worker_memory(current->engine, &memory);
    pthread_mutex_unlock(&host->lock);
    if (!current)
        return 0; /* opening checks the same */
    /* What the old process has for itself (KV cache, scratch, tokenizer) comes back when it ends. Its weights
     * are the page cache's, which the system counts as available already. */
    if (may_unload && memory.known)
        options.reclaimable_bytes = memory.anonymous_bytes;
    int status = worker_check(&options, error);
    if (status) { /* clients read it, and they know models by name */
        error_replace(error, wish->path, wish->name);
        error_replace(error, wish->adapter, "the adapter");
    }
    if (status == ERROR_LIMIT && !may_unload && memory.known) {
        options.reclaimable_bytes = memory.anonymous_bytes;
        struct error ignored;
        if (worker_check(&options, &ignored))
            return status; /* nor without the loaded one, or it is another limit */
        error_prefix(error, "beside the loaded model, which may not be unloaded");
        status = ERROR_BUSY;
        if (error)
            error->code = status;
    }
    return status;
}

static double unix_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Opens a worker that host_close can end meanwhile. */
static int open_worker(struct model_host *host, const struct host_wish *wish, struct engine **out,
                       struct error *error)
{
    struct engine_options options = host_wish_options(wish);
    int status = worker_start(&options, out, error);
    if (status)
        return status;
    pthread_mutex_lock(&host->lock);
    bool closing = host->closing;
    host->opening = *out;
    pthread_mutex_unlock(&host->lock);
    if (closing)
        worker_kill(*out);
    status = worker_wait(*out, error);
    pthread_mutex_lock(&host->lock);
    host->opening = NULL;
    pthread_mutex_unlock(&host->lock);
    if (status)
        engine_close(*out);
    return status;
}

/* A prompt cache that was good when the server started, and is not any more (it was deleted, or made again
 * for something else), only saves time: the model goes on without it. */
static int open_worker_again(struct model_host *host, const struct host_wish *wish, int status,
                             struct engine **out, struct error *error)
{
    struct host_wish without = *wish;
    pthread_mutex_lock(&host->lock);
    bool closing = host->closing;
    pthread_mutex_unlock(&host->lock);
    if (!wish->prompt_cache[0] || !host->prompt_cache_was_good || closing || status == ERROR_IO ||
        status == ERROR_CANCELLED)
        return status;
    log_event(LOG_LEVEL_WARNING, "going on without the prompt cache", "model=%s reason=%s", wish->name,
              error->message);
    without.prompt_cache[0] = '\0';
    *error = (struct error){0};
    return open_worker(host, &without, out, error);
}

/* A start that failed because of the process, not of the model or an option, counts against the model. */
static int load(struct model_host *host, const struct host_wish *wish, struct error *error)
{
    struct host_loaded *loaded = calloc(1, sizeof *loaded);
    struct error reason = {0};
    if (!loaded)
        return error_memory(error, "a loaded model", sizeof *loaded);
    loaded->wish = *wish;
    log_event(LOG_LEVEL_INFO, "loading", "model=%s", wish->name);
    int status = open_worker(host, wish, &loaded->engine, &reason);
    if (!status && wish->prompt_cache[0])
        host->prompt_cache_was_good = true;
    else if (status)
        status = open_worker_again(host, wish, status, &loaded->engine, &reason);
    if (status) {
        error_replace(&reason, wish->path, wish->name);
        error_replace(&reason, wish->adapter, "the adapter");
    }
    pthread_mutex_lock(&host->lock);
    if (!status) {
        loaded->loaded_unix = unix_now();
        host->current = loaded;
        host->recent = *wish;
        host->loads++;
    } else if (host->closing) {
        status = error_set(&reason, ERROR_CANCELLED, "the server is stopping");
    } else if (status == ERROR_IO) {
        note_failure(host, &reason);
        count_failed_start(host, wish);
    }
    pthread_mutex_unlock(&host->lock);
    if (!status) {
        log_event(LOG_LEVEL_INFO, "loaded", "model=%s ms=%.0f pid=%d", wish->name,
                  engine_info(loaded->engine)->load_ms, (int)worker_pid(loaded->engine));
        return 0;
    }
    log_event(LOG_LEVEL_ERROR, "loading failed", "model=%s reason=%s", wish->name, reason.message);
    free(loaded);
    return error_set(error, status, "%s", reason.message);
}

int host_replace(struct model_host *host, const struct host_wish *wish, struct error *error)
{
    pthread_mutex_lock(&host->lock);
    struct host_loaded *old = host->current;
    bool unused = old && host_detach(host, old);
    host->is_loading = true;
    snprintf(host->loading_name, sizeof host->loading_name, "%s", wish->name);
    pthread_mutex_unlock(&host->lock);
    if (unused)
        host_loaded_free(old);
    int status = load(host, wish, error);
    pthread_mutex_lock(&host->lock);
    host->is_loading = false;
    pthread_mutex_unlock(&host->lock);
    return status;
}
