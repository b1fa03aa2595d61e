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
static bool wait_for_work(struct engine *engine, bool idle, struct trace_job **job)
{
    pthread_mutex_lock(&engine->lock);
    while (idle && !engine->stopping && !engine->wake_pending)
        pthread_cond_wait(&engine->wake, &engine->lock);
    engine->wake_pending = false;
    bool go_on = !engine->stopping;
    *job = engine->trace && !engine->trace->done ? engine->trace : NULL;
    pthread_mutex_unlock(&engine->lock);
    return go_on;
}

static void finish_trace(struct engine *engine, struct trace_job *job)
{
    pthread_mutex_lock(&engine->lock);
    job->done = true;
    pthread_cond_broadcast(&engine->trace_done);
    pthread_mutex_unlock(&engine->lock);
}

/* ---- the end of requests ---- */

/* The request is on no list any more. Figures are right before the reader can see the end. */
static void end_request(struct engine *engine, struct engine_request *request, bool was_active)
{
    if (was_active)
        kvcache_release(&engine->kvcache, request->pages, request->n_pages, request->n_promised);
    pthread_mutex_lock(&engine->lock);
    engine->n_live--;
    if (was_active)
        engine->stats.active_sequences--;
    else
        engine->stats.queued_requests--;
    engine->stats.pages_used = engine->kvcache.n_taken;
    engine->stats.kv_used_bytes = engine->stats.pages_used * engine->page_bytes;
    if (request->finish == FINISH_CANCELLED)
        engine->stats.cancelled_requests++;
    else
        engine->stats.finished_requests++;
    pthread_mutex_unlock(&engine->lock);
    answer_finish(engine, request);
}

/* Takes the requests that are over off the active list, keeping the order. */
static void retire(struct engine *engine)
{
    uint32_t kept = 0, n = engine->n_active;
    for (uint32_t i = 0; i < n; i++) {
        struct engine_request *request = engine->active[i];
        if (request->finish)
            end_request(engine, request, true);
        else
            engine->active[kept++] = request;
    }
    engine->n_active = kept;
}

static void retire_cancelled(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->n_active; i++)
        if (atomic_load(&engine->active[i]->cancelled))
            engine->active[i]->finish = FINISH_CANCELLED;
    retire(engine);
}

/* Takes the oldest queued request out of the queue: any, or one that is cancelled. */
static struct engine_request *unqueue(struct engine *engine, bool cancelled_only)
{
    struct engine_request *previous = NULL;
    pthread_mutex_lock(&engine->lock);
    struct engine_request *request = engine->queue_head;
    while (request && cancelled_only && !atomic_load(&request->cancelled)) {
        previous = request;
        request = request->next;
    }
    if (request) {
        *(previous ? &previous->next : &engine->queue_head) = request->next;
        if (engine->queue_tail == request)
            engine->queue_tail = previous;
    }
    pthread_mutex_unlock(&engine->lock);
    return request;
}

static void drop_queued(struct engine *engine, bool cancelled_only)
{
    struct engine_request *request;
    while ((request = unqueue(engine, cancelled_only)) != NULL) {
        request->finish = FINISH_CANCELLED;
        end_request(engine, request, false);
    }
}

/* ---- the way in ---- */

static bool oldest_fits(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    const struct engine_request *oldest = engine->queue_head;
    uint32_t n_promised = oldest ? oldest->n_promised : 0;
    pthread_mutex_unlock(&engine->lock);
    /* only this thread takes from the queue, so the oldest stays the oldest */
    return oldest && kvcache_reserve(&engine->kvcache, n_promised);
}

static void admit(struct engine *engine)
{
    while (engine->n_active < engine->info.max_sequences && oldest_fits(engine)) {
        engine->active[engine->n_active++] = unqueue(engine, false);
        pthread_mutex_lock(&engine->lock);
        engine->stats.queued_requests--;
        engine->stats.active_sequences++;
        pthread_mutex_unlock(&engine->lock);
    }
}

/* ---- a step ---- */

static void publish(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->stats.steps++;
    engine->stats.prefill_tokens += engine->step_prefill;
    engine->stats.generated_tokens += engine->step_generated;
    engine->stats.pages_used = engine->kvcache.n_taken;
    engine->stats.kv_used_bytes = engine->stats.pages_used * engine->page_bytes;
    pthread_mutex_unlock(&engine->lock);
    engine->step_prefill = engine->step_generated = 0;
}

/* Returns false when nobody could go on. */
static bool step(struct engine *engine)
{
    struct error error;
    const float *logits = NULL;
    batch_build(engine);
    if (!engine->batch.n_tokens)
        return false;
    uint64_t start_ns = clock_now_ns();
    int status = backend_step(engine->backend, &engine->batch, &logits, NULL, &error);
    for (uint32_t i = 0; i < engine->n_active; i++) {
        struct engine_request *request = engine->active[i];
        if (!request->step_tokens)
            continue;
        if (!request->timings.prefill_start_ns)
            request->timings.prefill_start_ns = start_ns;
        if (!status) {
            size_t first = (size_t)request->step_first_row * engine->plan->vocab;
            answer_step(engine, request, request->step_rows ? logits + first : NULL);
        } else {
            request->finish = FINISH_ERROR;
            request->error = error;
        }
    }
    publish(engine);
    retire(engine);
    return true;
}

void *scheduler_main(void *context)
{
    struct engine *engine = context;
    struct trace_job *job;
    bool idle = true;
    while (wait_for_work(engine, idle, &job)) {
        if (job) {
            trace_run(engine, job);
            finish_trace(engine, job);
        }
        retire_cancelled(engine);
        drop_queued(engine, true);
        admit(engine);
        idle = !step(engine);
    }
    if (job) {
        job->status = error_set(&job->error, ERROR_CANCELLED, "the engine is closing");
        finish_trace(engine, job);
    }
    for (uint32_t i = 0; i < engine->n_active; i++)
        engine->active[i]->finish = FINISH_CANCELLED;
    retire(engine);
    drop_queued(engine, false);
    return NULL;
}
