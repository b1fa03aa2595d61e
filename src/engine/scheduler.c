/* The step loop: the only thread that touches the model.
 *
 * Each turn takes off what is over or cancelled, admits from the queue, builds one ragged batch, runs it and
 * lets every request make of its rows what it wants. Admission is first come, first served and needs a slot
 * and a promise of all pages the request may ever use, so the newest waits and nobody who runs is ever
 * stopped. When nobody can go on (nothing to do, or every reader is late) the thread sleeps until somebody
 * calls engine_wake.
 */
#include "engine/state.h"
#include "platform/clock.h"

/* Waits for something to do. Returns false when the engine closes. */
static bool wait_for_work(struct local_engine *engine, bool idle, struct engine_job **job)
{
    pthread_mutex_lock(&engine->lock);
    while (idle && !engine->stopping && !engine->wake_pending)
        pthread_cond_wait(&engine->wake, &engine->lock);
    engine->wake_pending = false;
    bool go_on = !engine->stopping;
    *job = engine->job && !engine->job->done ? engine->job : NULL;
    pthread_mutex_unlock(&engine->lock);
    return go_on;
}

/* ---- the end of requests ---- */

void scheduler_publish_pages(struct local_engine *engine)
{
    const struct kvcache *cache = &engine->kvcache;
    engine->stats.pages_used = cache->n_used + cache->n_idle;
    engine->stats.pages_cached = cache->n_idle;
    engine->stats.kv_used_bytes = engine->stats.pages_used * engine->page_bytes;
}

/* The request is on no list any more. Figures are right before the reader can see the end. */
static void end_request(struct local_engine *engine, struct local_request *request, bool was_active)
{
    if (was_active)
        kvcache_release(&engine->kvcache, request->pages, request->n_pages,
                        request->n_promised - request->n_pages);
    pthread_mutex_lock(&engine->lock);
    engine->n_live--;
    if (was_active)
        engine->stats.active_sequences--;
    else
        engine->stats.queued_requests--;
    scheduler_publish_pages(engine);
    if (request->finish == FINISH_CANCELLED)
        engine->stats.cancelled_requests++;
    else
        engine->stats.finished_requests++;
    pthread_mutex_unlock(&engine->lock);
    answer_finish(engine, request);
}

/* Takes the requests that are over off the active list, keeping the order. */
static void retire(struct local_engine *engine)
{
    uint32_t kept = 0, n = engine->n_active;
    for (uint32_t i = 0; i < n; i++) {
        struct local_request *request = engine->active[i];
        if (request->finish)
            end_request(engine, request, true);
        else
            engine->active[kept++] = request;
    }
    engine->n_active = kept;
}

static void retire_cancelled(struct local_engine *engine)
{
    for (uint32_t i = 0; i < engine->n_active; i++)
        if (atomic_load(&engine->active[i]->cancelled))
            engine->active[i]->finish = FINISH_CANCELLED;
    retire(engine);
}

/* Takes out of the queue all requests, or all that are cancelled, and ends them. One pass: a thousand may
 * wait. */
static void drop_queued(struct local_engine *engine, bool cancelled_only)
{
    struct local_request *dropped = NULL, **last_dropped = &dropped, *last_kept = NULL;
    pthread_mutex_lock(&engine->lock);
    struct local_request **link = &engine->queue_head;
    while (*link) {
        struct local_request *request = *link;
        if (cancelled_only && !atomic_load(&request->cancelled)) {
            last_kept = request;
            link = &request->next;
            continue;
        }
        *link = request->next;
        request->next = NULL;
        *last_dropped = request;
        last_dropped = &request->next;
    }
    engine->queue_tail = last_kept;
    pthread_mutex_unlock(&engine->lock);
    while (dropped) {
        struct local_request *request = dropped;
        dropped = request->next; /* read first: once it has ended it may be freed */
        request->finish = FINISH_CANCELLED;
        end_request(engine, request, false);
    }
}

/* ---- the way in ---- */

/* NULL also while a job waits for its turn: it runs alone. */
static struct local_request *oldest_queued(struct local_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    bool job_waits = engine->job && !engine->job->done;
    struct local_request *oldest = job_waits ? NULL : engine->queue_head;
    pthread_mutex_unlock(&engine->lock);
    return oldest; /* and it stays: only this thread takes from the queue */
}

static void activate_oldest(struct local_engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    struct local_request *request = engine->queue_head;
    engine->queue_head = request->next;
    if (!engine->queue_head)
        engine->queue_tail = NULL;
    engine->stats.queued_requests--;
    engine->stats.active_sequences++;
    pthread_mutex_unlock(&engine->lock);
    engine->active[engine->n_active++] = request;
}

static void admit(struct local_engine *engine)
{
    bool short_of_pages = false;
    while (engine->n_active < engine->info.max_sequences && !short_of_pages) {
        struct local_request *oldest = oldest_queued(engine);
        if (!oldest)
            break;
        short_of_pages = !sharing_admit(engine, oldest);
        if (!short_of_pages)
            activate_oldest(engine);
    }
    pthread_mutex_lock(&engine->lock);
    engine->short_of_pages = short_of_pages;
    pthread_mutex_unlock(&engine->lock);
}

/* ---- a step ---- */

static void publish(struct local_engine *engine, uint64_t step_ns)
{
    struct backend_memory memory = backend_memory(engine->backend);
    pthread_mutex_lock(&engine->lock);
    engine->stats.allocator_active_bytes = memory.allocator_active_bytes;
    engine->stats.allocator_peak_bytes = memory.allocator_peak_bytes;
    engine->stats.allocator_cache_bytes = memory.allocator_cache_bytes;
    engine->stats.steps++;
    engine->stats.prefill_tokens += engine->step_prefill;
    engine->stats.generated_tokens += engine->step_generated;
    engine->stats.cached_tokens += engine->step_cached;
    engine->stats.drafted_tokens += engine->step_drafted;
    engine->stats.accepted_tokens += engine->step_accepted;
    engine->stats.step_ns += step_ns;
    scheduler_publish_pages(engine);
    pthread_mutex_unlock(&engine->lock);
    engine->step_prefill = engine->step_cached = engine->step_generated = 0;
    engine->step_drafted = engine->step_accepted = 0;
}

/* Returns false when nobody could go on. */
static bool step(struct local_engine *engine)
{
    struct error error;
    const float *logits = NULL;
    uint64_t start_ns = clock_now_ns();
    batch_build(engine);
    if (!engine->batch.n_tokens)
        return false;
    int status = backend_step(engine->backend, &engine->batch, &logits, NULL, &error);
    for (uint32_t i = 0; i < engine->n_active; i++) {
        struct local_request *request = engine->active[i];
        if (!request->step_tokens)
            continue;
        if (!request->timings.prefill_start_ns)
            request->timings.prefill_start_ns = start_ns;
        if (!status) {
            size_t first = (size_t)request->step_first_row * engine->plan->vocab;
            answer_step(engine, request, logits && request->step_rows ? logits + first : NULL);
        } else {
            request->finish = FINISH_ERROR;
            request->error = error;
        }
    }
    publish(engine, clock_now_ns() - start_ns);
    retire(engine);
    return true;
}

void *scheduler_main(void *context)
{
    struct local_engine *engine = context;
    struct engine_job *job;
    bool idle = true;
    while (wait_for_work(engine, idle, &job)) {
        if (job) {
            job->run(engine, job);
            job_finish(engine, job);
        }
        retire_cancelled(engine);
        drop_queued(engine, true);
        admit(engine);
        idle = !step(engine);
    }
    if (job) {
        job->status = error_set(&job->error, ERROR_CANCELLED, "the engine is closing");
        job_finish(engine, job);
    }
    for (uint32_t i = 0; i < engine->n_active; i++)
        engine->active[i]->finish = FINISH_CANCELLED;
    retire(engine);
    drop_queued(engine, false);
    return NULL;
}
