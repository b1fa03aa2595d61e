/* What takes long: opening a model, tokenizing a prompt, tracing a step. Two threads, so that one long prompt
 * keeps nobody else out; the thread that reads the socket never does any of it, so that cancelling works
 * meanwhile.
 */
#include <stdlib.h>

#include "worker/child.h"
#include "worker/protocol.h"

void child_job_free(struct child_job *job)
{
    buffer_free(&job->payload);
    free(job);
}

/* How many submits may wait for a thread: no more than may wait in the engine's queue and run at once. The
 * exact limit is the engine's; this one keeps a flood from being tokenized first. */
static uint32_t waiting_limit(struct engine *engine, const struct engine_options *options)
{
    uint64_t limit = (uint64_t)options->queue_limit + engine_info(engine)->max_sequences;
    if (!options->queue_limit)
        return 0;
    return limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit;
}

static void open_model(struct child *child, struct child_job *job, struct wire *in)
{
    struct engine_options options;
    struct engine *engine = NULL;
    struct error error;
    struct buffer result = {0}, stats = {0};
    int status = protocol_get_options(in, &options, &error);
    if (!status)
        status = engine_open(&options, &engine, &error);
    pthread_mutex_lock(&child->lock);
    child->loading = false;
    child->engine = engine;
    child->max_waiting = engine ? waiting_limit(engine, &options) : 0;
    pthread_mutex_unlock(&child->lock);
    if (!status) {
        struct engine_sampling sampling = engine_sampling_default(engine);
        protocol_put_info(&result, engine_info(engine), &sampling);
        /* first, so that they are there when the parent's worker_open returns */
        child_put_stats(child, &stats);
        child_send(child, &stats);
    }
    child_reply(child, job->number, status, &error, &result);
    buffer_free(&stats);
    buffer_free(&result);
}

static void check_model(struct child *child, struct child_job *job, struct wire *in)
{
    struct engine_options options;
    struct error error;
    int status = protocol_get_options(in, &options, &error);
    if (!status)
        status = engine_check(&options, &error);
    child_reply(child, job->number, status, &error, NULL);
}

/* The reply goes out before the pump may send the first event. */
static void submit(struct child *child, struct child_job *job, struct wire *in)
{
    struct arena arena;
    struct engine_submit options;
    struct engine_request *request = NULL;
    struct error error;
    arena_init(&arena);
    int status = protocol_get_submit(in, &options, &arena, &error);
    if (!status) {
        options.on_event = child_on_event;
        options.on_event_context = job->request;
        status = engine_submit(child->engine, &options, &request, &error);
    }
    arena_free(&arena);
    child_reply(child, job->number, status, &error, NULL);
    if (status)
        child_forget(job->request);
    pthread_mutex_lock(&child->lock);
    child->changed = true;
    if (status) {
        pthread_cond_signal(&child->ready); /* for the figures: it may count as rejected */
    } else {
        job->request->request = request;
        child_make_ready(job->request);
    }
    pthread_mutex_unlock(&child->lock);
}

static void trace(struct child *child, struct child_job *job, struct wire *in)
{
    struct engine_trace result;
    struct error error;
    struct buffer out = {0};
    uint32_t n_tokens = wire_u32(in), depth = wire_u32(in);
    int status = wire_finish(in) ? engine_trace(child->engine, n_tokens, depth, &result, &error)
                                 : error_set(&error, ERROR_INVALID, "a trace's sizes are malformed");
    if (!status) {
        protocol_put_trace(&out, &result);
        engine_trace_free(&result);
    }
    child_reply(child, job->number, status, &error, &out);
    buffer_free(&out);
}

static struct child_job *next_job(struct child *child)
{
    pthread_mutex_lock(&child->lock);
    while (!child->jobs && !child->stopping)
        pthread_cond_wait(&child->work, &child->lock);
    struct child_job *job = child->stopping ? NULL : child->jobs;
    if (job) {
        child->jobs = job->next;
        child->n_submits -= job->type == FRAME_SUBMIT;
    }
    pthread_mutex_unlock(&child->lock);
    return job;
}

void *child_work_main(void *context)
{
    struct child *child = context;
    struct child_job *job;
    while ((job = next_job(child)) != NULL) {
        struct wire in = {job->payload.data, job->payload.length, 0, false};
        if (job->type == FRAME_OPEN)
            open_model(child, job, &in);
        else if (job->type == FRAME_CHECK)
            check_model(child, job, &in);
        else if (job->type == FRAME_SUBMIT)
            submit(child, job, &in);
        else
            trace(child, job, &in);
        child_job_free(job);
    }
    return NULL;
}
