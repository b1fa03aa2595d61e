/* A request to a worker, seen from the parent.
 *
 * Its events wait as the frames they came in: a token is 40 bytes there, so a thousand requests cost little.
 * The credits bound them; the reader of the request gives credit back when it has taken half of it, which is
 * one small write per CREDIT_BATCH tokens.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "platform/clock.h"
#include "worker/client_internal.h"
#include "worker/protocol.h"

enum { CREDIT_BATCH = PROTOCOL_CREDITS / 2 };

static struct worker_request *request_of(struct engine_request *base)
{
    return (struct worker_request *)base;
}

struct worker_request *worker_request_of(struct numbered *link)
{
    return (struct worker_request *)((char *)link - offsetof(struct worker_request, link));
}

/* ---- submit ---- */

static int open_request(struct worker *worker, uint64_t accepted_ns, struct worker_request **out,
                        struct error *error)
{
    struct worker_request *request = calloc(1, sizeof *request);
    if (!request) {
        error_memory(error, "a request", sizeof *request);
        return ERROR_MEMORY;
    }
    request->base.door = worker->base.door;
    request->worker = worker;
    request->accepted_ns = request->timings.accepted_ns = accepted_ns;
    /* what may fail for glibc's locks and conditions is asked for with attributes that it has */
    pthread_mutex_init(&request->lock, NULL);
    clock_cond_init(&request->changed);
    atomic_fetch_add(&worker->references, 1);
    *out = request;
    return 0;
}

static void free_request(struct worker_request *request)
{
    pthread_cond_destroy(&request->changed);
    pthread_mutex_destroy(&request->lock);
    frame_receiver_free(&request->events);
    worker_free_reference(request->worker);
    free(request);
}

/* A thousand requests at once are refused here, without a thousand messages to a worker that computes. The
 * worker knows earlier than we do what has ended, so who passes may still be refused there, and nobody who
 * would have been let in waits. */
static int arrive(struct worker *worker, struct error *error)
{
    uint64_t limit = (uint64_t)worker->queue_limit + worker->info.max_sequences;
    uint32_t before = atomic_fetch_add(&worker->n_unfinished, 1);
    if (!worker->queue_limit || before < limit)
        return 0;
    atomic_fetch_sub(&worker->n_unfinished, 1);
    atomic_fetch_add(&worker->n_refused, 1);
    return error_set(
        error, ERROR_BUSY,
        "the queue is full: %u requests run or wait already, and at most %u may wait; try again in a "
        "moment",
        before, worker->queue_limit);
}

int worker_submit(struct engine *engine, const struct engine_submit *submit, struct engine_request **out,
                  struct error *error)
{
    struct worker *worker = (struct worker *)engine;
    struct worker_request *request = NULL;
    struct worker_call call;
    struct buffer frame = {0};
    uint64_t accepted_ns = clock_now_ns();
    *out = NULL;
    if (submit->on_logits || submit->on_event)
        return error_set(error, ERROR_UNSUPPORTED,
                         "logits and event functions need an engine in the same process");
    int status = arrive(worker, error);
    if (status)
        return status;
    status = open_request(worker, accepted_ns, &request, error);
    if (!status && (status = worker_call_begin(worker, &call, request, error)) != 0)
        free_request(request);
    if (status) {
        atomic_fetch_sub(&worker->n_unfinished, 1);
        return status;
    }
    size_t begin = frame_begin(&frame, FRAME_SUBMIT, call.link.number);
    protocol_put_submit(&frame, submit);
    frame_end(&frame, begin);
    status = worker_call_finish(worker, &call, &frame, error);
    buffer_free(&call.result);
    buffer_free(&frame);
    if (status) {
        pthread_mutex_lock(&worker->lock);
        numbers_take(&worker->requests, request->link.number);
        pthread_mutex_unlock(&worker->lock);
        pthread_mutex_lock(&request->lock); /* the worker's death may have ended it already */
        bool counted = !request->finished;
        pthread_mutex_unlock(&request->lock);
        atomic_fetch_sub(&worker->n_unfinished, counted);
        free_request(request);
        return status;
    }
    *out = &request->base;
    return 0;
}

/* ---- what the reader brings ---- */

/* So that the end can be told even when the worker cannot any more. */
static void note(struct worker_request *request, const struct engine_event *event)
{
    struct engine_timings *timings = &request->timings;
    if (event->kind == EVENT_PREFILL) {
        timings->prompt_tokens = event->prompt_tokens;
    } else if (event->kind == EVENT_TOKEN && !event->more_text) {
        if (!timings->first_token_ns)
            timings->first_token_ns = event->time_ns;
        timings->last_token_ns = event->time_ns;
        timings->generated_tokens++;
    }
}

static void add(struct worker_request *request, const char *bytes, size_t length, bool last)
{
    pthread_mutex_lock(&request->lock);
    /* The worker gets no credit for what is lost, so waiting for more would be for ever. */
    request->lost = request->lost || frame_receiver_add(&request->events, bytes, length, NULL);
    if (last && !request->finished)
        atomic_fetch_sub(&request->worker->n_unfinished, 1);
    request->finished = last;
    pthread_cond_broadcast(&request->changed);
    pthread_mutex_unlock(&request->lock);
}

void worker_request_push(struct worker_request *request, const struct engine_event *event,
                         const struct frame *frame)
{
    note(request, event);
    add(request, frame->payload - FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + frame->length,
        event->kind == EVENT_FINISH);
}

void worker_request_lost(struct worker_request *request, enum engine_finish finish, const struct error *death)
{
    struct engine_event *event = &request->worker->event;
    struct buffer out = {0};
    event->kind = EVENT_FINISH;
    event->time_ns = clock_now_ns();
    event->text_length = 0;
    event->finish = finish;
    event->error = *death;
    event->timings = request->timings;
    size_t begin = frame_begin(&out, FRAME_EVENT, request->link.number);
    protocol_put_event(&out, event);
    frame_end(&out, begin);
    add(request, out.data, out.length, true);
    buffer_free(&out);
}

/* ---- what its owner does ---- */

void worker_cancel(struct engine_request *base)
{
    struct worker_request *request = request_of(base);
    pthread_mutex_lock(&request->lock);
    bool finished = request->finished;
    pthread_mutex_unlock(&request->lock);
    if (!finished)
        worker_tell(request->worker, FRAME_CANCEL, request->link.number, NULL, 0);
}

void worker_release(struct engine_request *base)
{
    struct worker_request *request = request_of(base);
    pthread_mutex_lock(&request->lock);
    bool finished = request->finished;
    pthread_mutex_unlock(&request->lock);
    if (!finished)
        worker_tell(request->worker, FRAME_RELEASE, request->link.number, NULL, 0);
    pthread_mutex_lock(&request->lock);
    while (!request->finished)
        pthread_cond_wait(&request->changed, &request->lock);
    pthread_mutex_unlock(&request->lock);
    free_request(request);
}

/* Memory was short for what came: the events before it were told, this is the end. */
static int incomplete(struct worker_request *request, struct engine_event *event)
{
    event->kind = EVENT_FINISH;
    event->time_ns = clock_now_ns();
    event->text_length = 0;
    event->finish = FINISH_ERROR;
    event->timings = request->timings;
    error_memory(&event->error, "the events of a request", request->events.bytes.length);
    request->finish_taken = true;
    return 1;
}

/* The lock is held. As stream_next: 1, 0 when there is nothing yet, -1 after the end. */
static int take(struct worker_request *request, struct engine_event *event)
{
    struct frame frame;
    if (request->finish_taken)
        return -1;
    if (frame_next(&request->events, &frame, NULL) <= 0)
        return request->finished || request->lost ? incomplete(request, event) : 0;
    struct wire in = {frame.payload, frame.length, 0, false};
    protocol_get_event(&in, event, NULL); /* the reader of the worker found it sound */
    if (event->kind == EVENT_FINISH) {
        event->timings.accepted_ns = request->accepted_ns; /* submit was called here, not there */
        request->finish_taken = true;
    }
    request->taken++;
    return 1;
}

int worker_next_event(struct engine_request *base, struct engine_event *event, int timeout_ms)
{
    struct worker_request *request = request_of(base);
    struct timespec deadline = {0};
    uint32_t give_back = 0;
    int result;
    if (timeout_ms > 0)
        deadline = clock_in_ms((uint32_t)timeout_ms);
    pthread_mutex_lock(&request->lock);
    while ((result = take(request, event)) == 0 && timeout_ms != 0) {
        if (timeout_ms < 0)
            pthread_cond_wait(&request->changed, &request->lock);
        else if (clock_cond_wait(&request->changed, &request->lock, &deadline) == ETIMEDOUT)
            timeout_ms = 0;
    }
    if (request->taken >= CREDIT_BATCH && !request->finished) {
        give_back = request->taken;
        request->taken = 0;
    }
    pthread_mutex_unlock(&request->lock);
    if (give_back)
        worker_tell(request->worker, FRAME_CREDIT, request->link.number, &give_back, 1);
    return result;
}
