/* Leases and turns: who may use the loaded model, and who may change it. See host_internal.h for the rule and
 * host_change.c for the changing. */
#include "service/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <stdio.h>

#include "platform/clock.h"
#include "service/catalog.h"
#include "service/host_internal.h"
#include "worker/client.h"

#define NS_PER_S UINT64_C(1000000000)

/* ---- turns ---- */

int host_stopping(struct error *error)
{
    return error_set(error, ERROR_CANCELLED, "the server is stopping");
}

bool host_wait_until(struct model_host *host, const struct timespec *deadline)
{
    return clock_cond_wait(&host->changed, &host->lock, deadline) != ETIMEDOUT;
}

void host_append_turn(struct model_host *host, struct host_turn *turn)
{
    *turn = (struct host_turn){0};
    *(host->first ? &host->last->next : &host->first) = turn;
    host->last = turn;
    host->n_turns++;
}

void host_end_turn(struct model_host *host, struct host_turn *turn)
{
    struct host_turn *previous = NULL, *at = host->first;
    while (at != turn) {
        previous = at;
        at = at->next;
    }
    *(previous ? &previous->next : &host->first) = turn->next;
    if (host->last == turn)
        host->last = previous;
    host->n_turns--;
    pthread_cond_broadcast(&host->changed);
}

/* False when the time is up, which stands still while the host is parked. */
static bool wait_for_turn(struct model_host *host, struct timespec *deadline)
{
    if (!host->park.holds)
        return host_wait_until(host, deadline);
    uint64_t start_ns = clock_now_ns();
    pthread_cond_wait(&host->changed, &host->lock);
    uint64_t ns = clock_now_ns() - start_ns + (uint64_t)deadline->tv_nsec;
    deadline->tv_sec += (time_t)(ns / NS_PER_S);
    deadline->tv_nsec = (long)(ns % NS_PER_S);
    return true;
}

int host_begin_turn(struct model_host *host, struct host_turn *turn, struct timespec *deadline,
                    struct error *error)
{
    bool in_time = true;
    host_append_turn(host, turn);
    while (host->first != turn && !host->closing && in_time)
        in_time = wait_for_turn(host, deadline);
    if (host->first == turn && !host->closing)
        return 0;
    int status = host->closing ? host_stopping(error)
                               : error_set(error, ERROR_BUSY,
                                           "another model is being loaded, or waits to be: try again later");
    host_end_turn(host, turn);
    return status;
}

/* The driver waits until nobody uses the current model. */
static int wait_for_leases(struct model_host *host, const struct timespec *deadline, struct error *error)
{
    bool in_time = true;
    while (host->current && host->current->leases && !host->closing && in_time)
        in_time = host_wait_until(host, deadline);
    if (host->closing)
        return host_stopping(error);
    if (host->current && host->current->leases)
        return error_set(error, ERROR_BUSY, "model '%s' is still answering %u requests: try again later",
                         host->current->wish.name, host->current->leases);
    return 0;
}

/* ---- wishes ---- */

static int copy_word(char *out, size_t capacity, const char *word, const char *what, struct error *error)
{
    int length = snprintf(out, capacity, "%s", word ? word : "");
    if (length < 0 || (size_t)length >= capacity)
        return error_set(error, ERROR_LIMIT, "%s is longer than %zu bytes", what, capacity - 1);
    return 0;
}

/* The last part of a folder's path, for names in answers: no path leaves the program. */
static const char *folder_name(const char *path, size_t *length)
{
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    *length = end - begin;
    return path + begin;
}

/* Finds the folder of a name; the default model, which may be any folder, goes by its own name. */
static int find_model(const struct model_host *host, const char *model, struct host_wish *wish,
                      struct error *error)
{
    if (strcmp(model, host->standard.name) == 0) {
        memcpy(wish->path, host->standard.path, sizeof wish->path);
        memcpy(wish->name, host->standard.name, sizeof wish->name);
        return 0;
    }
    int status = copy_word(wish->name, sizeof wish->name, model, "the model's name", error);
    wish->adapter[0] = wish->prompt_cache[0] = '\0';
    return status ? status : catalog_find(model, wish->path, sizeof wish->path, error);
}

/* What a request means by a model: with the options it was loaded with last, or those of the start. */
static int make_wish(struct model_host *host, const char *model, struct host_wish *wish, struct error *error)
{
    pthread_mutex_lock(&host->lock);
    struct host_wish recent = host->recent;
    pthread_mutex_unlock(&host->lock);
    *wish = host->standard;
    if (!model || !*model) {
        if (recent.path[0])
            *wish = recent;
        else if (!wish->path[0])
            return error_set(error, ERROR_NOT_FOUND,
                             "no model is named, none is loaded, and there is no default one");
        return 0;
    }
    int status = find_model(host, model, wish, error);
    if (!status && strcmp(wish->path, recent.path) == 0)
        *wish = recent;
    return status;
}

static int apply(struct host_wish *wish, const struct host_load_options *options, struct error *error)
{
    if (!options)
        return 0;
    if (options->n_threads)
        wish->options.n_threads = options->n_threads;
    if (options->context)
        wish->options.context = options->context;
    if (options->max_sequences)
        wish->options.max_sequences = options->max_sequences;
    if (options->prefill_chunk)
        wish->options.prefill_chunk = options->prefill_chunk;
    if (options->kv_bits)
        wish->options.kv_bits = options->kv_bits;
    if (options->prompt_lookup >= 0)
        wish->options.prompt_lookup = (uint32_t)options->prompt_lookup;
    if (options->precise >= 0)
        wish->options.precise = options->precise > 0;
    int status = 0;
    if (options->backend && strcmp(options->backend, wish->backend[0] ? wish->backend : "cpu") != 0) {
        wish->isa[0] = '\0';
        status = copy_word(wish->backend, sizeof wish->backend, options->backend, "backend", error);
    }
    if (options->isa && !status)
        status = copy_word(wish->isa, sizeof wish->isa, options->isa, "isa", error);
    if (options->adapter && !status)
        status =
            copy_word(wish->adapter, sizeof wish->adapter, options->adapter, "the adapter's folder", error);
    return status;
}

/* After apply: a prompt cache that was computed or is kept otherwise would be refused, and so would one that
 * is longer than a smaller context. It is there again with the options of the start. */
static void choose_prompt_cache(const struct model_host *host, struct host_wish *wish)
{
    const struct host_wish *standard = &host->standard;
    const struct engine_options *now = &wish->options, *then = &standard->options;
    bool same = strcmp(wish->path, standard->path) == 0 && strcmp(wish->backend, standard->backend) == 0 &&
                strcmp(wish->isa, standard->isa) == 0 && strcmp(wish->adapter, standard->adapter) == 0 &&
                now->kv_bits == then->kv_bits && now->precise == then->precise &&
                now->context == then->context;
    if (same)
        memcpy(wish->prompt_cache, standard->prompt_cache, sizeof wish->prompt_cache);
    else
        wish->prompt_cache[0] = '\0';
}

/* ---- leases ---- */

/* The lock is held. */
static void lend(struct model_host *host, struct host_lease *lease)
{
    host->current->leases++;
    host->n_leases++;
    *lease = (struct host_lease){
        .engine = host->current->engine, .model = host->current->wish.name, .loaded = host->current};
}

static bool is_current(const struct model_host *host, const struct host_wish *wish)
{
    return host->current && strcmp(host->current->wish.path, wish->path) == 0;
}

/* The driver, the lock held: makes `wish` the current model. */
static int change(struct model_host *host, const struct host_wish *wish, bool may_unload,
                  const struct timespec *deadline, struct error *error)
{
    int status = host_check_failures(host, wish, error);
    if (status)
        return status;
    /* first, so that the loaded one stays when the other does not fit */
    pthread_mutex_unlock(&host->lock);
    status = host_check_fit(host, wish, may_unload, error);
    pthread_mutex_lock(&host->lock);
    if (!status)
        status = wait_for_leases(host, deadline, error);
    if (status)
        return status;
    pthread_mutex_unlock(&host->lock);
    status = host_replace(host, wish, error);
    pthread_mutex_lock(&host->lock);
    return status;
}

/* The place's turn, if it has one left; otherwise a new one. The lock is held. */
static int take_turn(struct model_host *host, struct host_place *place, struct host_turn *turn,
                     struct timespec *deadline, struct error *error)
{
    if (!place || !place->queued)
        return host_begin_turn(host, turn, deadline, error);
    if (host->first == &place->turn && !host->closing)
        return 0;
    host_end_turn(host, &place->turn);
    place->queued = false;
    return host->closing ? host_stopping(error) : host_begin_turn(host, turn, deadline, error);
}

/* The driver, the lock held. */
static void give_turn(struct model_host *host, struct host_place *place, struct host_turn *turn)
{
    bool placed = place && place->queued;
    host_end_turn(host, placed ? &place->turn : turn);
    if (placed)
        place->queued = false;
}

int host_acquire_at(struct model_host *host, struct host_place *place, const char *model, uint32_t wait_ms,
                    struct host_lease *lease, struct error *error)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    struct host_wish wish;
    struct host_turn turn;
    struct host_loaded *gone, *gone_meanwhile = NULL;
    *lease = (struct host_lease){0};
    int status = make_wish(host, model, &wish, error);
    if (status)
        return status;
    pthread_mutex_lock(&host->lock);
    host_notice_death(host, &gone);
    if (!host->closing && !host->first && is_current(host, &wish)) {
        lend(host, lease);
        goto out;
    }
    if ((status = take_turn(host, place, &turn, &deadline, error)) != 0)
        goto out;
    host_notice_death(host, &gone_meanwhile);
    if (!is_current(host, &wish))
        status = change(host, &wish, true, &deadline, error);
    if (!status && host->closing) /* meanwhile: host_close has nobody to wait for but those with a lease */
        status = host_stopping(error);
    if (!status)
        lend(host, lease);
    give_turn(host, place, &turn);
out:
    pthread_mutex_unlock(&host->lock);
    host_loaded_free(gone);
    host_loaded_free(gone_meanwhile);
    return status;
}

int host_acquire(struct model_host *host, const char *model, uint32_t wait_ms, struct host_lease *lease,
                 struct error *error)
{
    return host_acquire_at(host, NULL, model, wait_ms, lease, error);
}

int host_find(struct model_host *host, const char *model, char *name, size_t name_bytes, char *path,
              size_t path_bytes, struct error *error)
{
    struct host_wish wish;
    int status = make_wish(host, model, &wish, error);
    if (!status)
        status = copy_word(name, name_bytes, wish.name, "the model's name", error);
    return status ? status : copy_word(path, path_bytes, wish.path, "the model's folder", error);
}

int host_find_served(struct model_host *host, const char *path, char *adapter, size_t adapter_bytes,
                     char *backend, size_t backend_bytes, struct error *error)
{
    pthread_mutex_lock(&host->lock);
    const struct host_wish *wish = strcmp(path, host->recent.path) == 0     ? &host->recent
                                   : strcmp(path, host->standard.path) == 0 ? &host->standard
                                                                            : NULL;
    int status =
        copy_word(adapter, adapter_bytes, wish ? wish->adapter : NULL, "the adapter's folder", error);
    if (!status)
        status =
            copy_word(backend, backend_bytes, (wish ? wish : &host->standard)->backend, "the backend", error);
    pthread_mutex_unlock(&host->lock);
    return status;
}

int host_find_adapter(const struct model_host *host, const char *name, char *path, size_t path_bytes,
                      struct error *error)
{
    size_t length;
    const char *folder = host->standard.adapter, *own = folder_name(folder, &length);
    int status = catalog_find_adapter(name, path, path_bytes, error);
    if (status == ERROR_NOT_FOUND && length && strlen(name) == length && memcmp(name, own, length) == 0)
        return copy_word(path, path_bytes, folder, "the adapter's folder", error);
    return status;
}

void host_share(struct model_host *host, const struct host_lease *held, struct host_lease *lease)
{
    struct host_loaded *loaded = held->loaded;
    pthread_mutex_lock(&host->lock);
    loaded->leases++;
    host->n_leases++;
    *lease = *held;
    pthread_mutex_unlock(&host->lock);
}

void host_release(struct model_host *host, struct host_lease *lease)
{
    struct host_loaded *loaded = lease->loaded, *gone = NULL;
    if (!loaded)
        return;
    *lease = (struct host_lease){0};
    pthread_mutex_lock(&host->lock);
    loaded->leases--;
    host->n_leases--;
    host->released_ns = clock_now_ns();
    if (loaded->detached && !loaded->leases)
        gone = loaded;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    host_loaded_free(gone);
}

/* ---- by hand ---- */

int host_load(struct model_host *host, const char *model, const struct host_load_options *options,
              bool unload_current, uint32_t wait_ms, struct error *error)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    struct host_wish wish = host->standard;
    struct host_turn turn;
    struct host_loaded *gone = NULL;
    int status =
        model && *model ? find_model(host, model, &wish, error) : make_wish(host, NULL, &wish, error);
    if (!status)
        status = apply(&wish, options, error);
    if (status)
        return status;
    choose_prompt_cache(host, &wish);
    pthread_mutex_lock(&host->lock);
    if ((status = host_begin_turn(host, &turn, &deadline, error)) == 0) {
        host_notice_death(host, &gone);
        if (!host->current || !host_wish_equal(&host->current->wish, &wish))
            status = change(host, &wish, unload_current, &deadline, error);
        host_end_turn(host, &turn);
    }
    pthread_mutex_unlock(&host->lock);
    host_loaded_free(gone);
    return status;
}

int host_unload(struct model_host *host, uint32_t wait_ms, struct error *error)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    struct host_turn turn;
    struct host_loaded *gone = NULL, *old = NULL;
    pthread_mutex_lock(&host->lock);
    int status = host_begin_turn(host, &turn, &deadline, error);
    if (!status) {
        host_notice_death(host, &gone);
        status = wait_for_leases(host, &deadline, error);
        if (!status && host->current) {
            old = host->current;
            host_detach(host, old);
            pthread_mutex_unlock(&host->lock);
            host_loaded_free(old); /* its memory is back before the next one's turn */
            pthread_mutex_lock(&host->lock);
        }
        host->recent = status ? host->recent : (struct host_wish){0};
        host_end_turn(host, &turn);
    }
    pthread_mutex_unlock(&host->lock);
    host_loaded_free(gone);
    return status;
}

/* ---- opening and closing ---- */

static int set_default(struct host_wish *standard, const char *model, struct error *error)
{
    if (!model || !*model)
        return 0;
    int status = catalog_find(model, standard->path, sizeof standard->path, NULL);
    if (!status)
        return copy_word(standard->name, sizeof standard->name, model, "the model's name", error);
    if ((status = catalog_resolve(model, standard->path, sizeof standard->path, error)) != 0)
        return status;
    size_t length;
    const char *name = folder_name(standard->path, &length);
    if (!length || length >= sizeof standard->name)
        return error_set(error, ERROR_INVALID, "%s: the folder has no name that a model could have", model);
    memcpy(standard->name, name, length);
    standard->name[length] = '\0';
    return 0;
}

int host_open(const struct host_options *options, struct model_host **out, struct error *error)
{
    struct model_host *host = calloc(1, sizeof *host);
    *out = NULL;
    if (!host)
        return error_memory(error, "the model host", sizeof *host);
    struct host_wish *standard = &host->standard;
    standard->options = options->engine;
    standard->options.model = standard->options.adapter = standard->options.prompt_cache = NULL;
    standard->options.backend = standard->options.isa = NULL;
    int status =
        copy_word(standard->backend, sizeof standard->backend, options->engine.backend, "backend", error);
    if (!status)
        status = copy_word(standard->isa, sizeof standard->isa, options->engine.isa, "isa", error);
    if (!status)
        status =
            copy_word(standard->adapter, sizeof standard->adapter, options->engine.adapter, "adapter", error);
    if (!status)
        status = copy_word(standard->prompt_cache, sizeof standard->prompt_cache,
                           options->engine.prompt_cache, "the prompt cache's path", error);
    if (!status)
        status = set_default(standard, options->default_model, error);
    if (status) {
        free(host);
        return status;
    }
    pthread_mutex_init(&host->lock, NULL);
    clock_cond_init(&host->changed);
    *out = host;
    return 0;
}

void host_stop(struct model_host *host)
{
    if (!host)
        return;
    pthread_mutex_lock(&host->lock);
    host->closing = true;
    pthread_cond_broadcast(&host->changed);
    if (host->opening)
        worker_kill(host->opening);
    pthread_mutex_unlock(&host->lock);
}

/* Whoever has a lease still gives it back: killing the worker ends what it waits for. */
void host_close(struct model_host *host)
{
    if (!host)
        return;
    host_stop(host);
    pthread_mutex_lock(&host->lock);
    if (host->current && host->current->leases)
        worker_kill(host->current->engine);
    while (host->first || host->n_leases)
        pthread_cond_wait(&host->changed, &host->lock);
    struct host_loaded *loaded = host->current;
    pthread_mutex_unlock(&host->lock);
    host_loaded_free(loaded);
    pthread_cond_destroy(&host->changed);
    pthread_mutex_destroy(&host->lock);
    free(host);
}
