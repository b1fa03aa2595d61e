/* The one thread that carries events from the engine to the parent.
 *
 * The engine's thread only puts a request on the ready list. This thread takes what every ready request has,
 * as far as the reader on the other side has given credit, and writes it with one system call: while it is
 * away writing, the next events gather. Tokens are written GATHER_NS apart: one that follows its predecessor
 * sooner waits for company, because everyone who is woken for it (this thread, the parent's, the
 * client) takes its time from the cores that compute. A request whose credit is used up stays where it is
 * (its ring fills, the engine pauses that sequence and no other) until the parent gives credit back, which
 * puts it on the list again. So what is in flight is bounded per request, and this thread never waits for a
 * slow reader.
 *
 * The figures (engine_stats, memory) ride along at most every FIGURES_NS, once more after the last change,
 * and before every last event: whoever has seen a request end sees it in the figures too.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/memory.h"
#include "platform/process.h"
#include "worker/child.h"
#include "worker/protocol.h"

#define FIGURES_NS UINT64_C(100000000)
#define GATHER_NS UINT64_C(3000000) /* of models with more than 333 tokens/s; nobody sees 3 ms */
enum { WRITE_BYTES = 64 << 10 };    /* enough for one write */

struct pump {
    struct child *child;
    struct buffer out;
    struct engine_event event;
    uint64_t n_events, figures_ns; /* when they were last sent */
    uint64_t tokens_ns;            /* when a token was; 0: never */
    bool figures_now;
};

/* ---- the ready list ---- */

void child_make_ready(struct child_request *request)
{
    struct child *child = request->child;
    if (request->is_ready)
        return;
    request->is_ready = true;
    request->next_ready = NULL;
    if (child->ready_head) {
        child->ready_tail->next_ready = request;
    } else {
        child->ready_head = request;
        pthread_cond_signal(&child->ready);
    }
    child->ready_tail = request;
}

void child_on_event(void *context)
{
    struct child_request *request = context;
    pthread_mutex_lock(&request->child->lock);
    child_make_ready(request);
    pthread_mutex_unlock(&request->child->lock);
}

static struct child_request *pop_ready(struct child *child)
{
    pthread_mutex_lock(&child->lock);
    struct child_request *request = child->ready_head;
    if (request) {
        child->ready_head = request->next_ready;
        request->is_ready = false;
    }
    pthread_mutex_unlock(&child->lock);
    return request;
}

/* Takes a request off the list wherever it is; the lock is held. */
static void unlist(struct child *child, struct child_request *request)
{
    if (!request->is_ready)
        return;
    struct child_request *previous = NULL, *at = child->ready_head;
    while (at && at != request) {
        previous = at;
        at = at->next_ready;
    }
    if (!at)
        return;
    request->is_ready = false;
    *(previous ? &previous->next_ready : &child->ready_head) = request->next_ready;
    if (child->ready_tail == request)
        child->ready_tail = previous;
}

/* ---- figures ---- */

void child_put_stats(struct child *child, struct buffer *out)
{
    struct engine_stats stats;
    struct memory_process memory;
    engine_stats(child->engine, &stats);
    memory_process_read(&memory);
    pthread_mutex_lock(&child->lock);
    stats.rejected_requests += child->refused;
    stats.queued_requests += child->n_submits;
    pthread_mutex_unlock(&child->lock);
    size_t begin = frame_begin(out, FRAME_STATS, 0);
    protocol_put_stats(out, &stats, &memory);
    frame_end(out, begin);
}

/* ---- events ---- */

static void put_event(struct pump *pump, const struct child_request *request)
{
    size_t begin = frame_begin(&pump->out, FRAME_EVENT, request->link.number);
    protocol_put_event(&pump->out, &pump->event);
    frame_end(&pump->out, begin);
    child_crash_point(pump->child, ++pump->n_events);
}

void child_forget(struct child_request *request)
{
    struct child *child = request->child;
    engine_request_release(request->request); /* from here on nobody calls on_event */
    pthread_mutex_lock(&child->lock);
    numbers_take(&child->requests, request->link.number);
    unlist(child, request);
    pthread_mutex_unlock(&child->lock);
    free(request);
}

static void drain(struct pump *pump, struct child_request *request)
{
    struct child *child = pump->child;
    pthread_mutex_lock(&child->lock);
    struct engine_request *source = request->request;
    uint64_t credits = request->credits, used = 0;
    bool cancel = source && request->cancel, discard = request->discard;
    if (cancel)
        request->cancel = false;
    child->changed = true;
    pthread_mutex_unlock(&child->lock);
    if (!source)
        return; /* the submit thread puts it on the list again */
    if (cancel)
        engine_cancel(source);
    while ((discard || used < credits) && engine_next_event(source, &pump->event, 0) > 0) {
        if (pump->event.kind == EVENT_FINISH) {
            child_put_stats(child, &pump->out);
            put_event(pump, request);
            child_forget(request);
            return;
        }
        if (!discard) {
            put_event(pump, request);
            used++;
            if (pump->event.kind == EVENT_TOKEN)
                pump->tokens_ns = clock_now_ns();
        }
    }
    pthread_mutex_lock(&child->lock);
    request->credits -= used;
    pthread_mutex_unlock(&child->lock);
}

/* Waits for something to carry, or for the time to send changed figures. False when the child stops. */
static bool wait_for_work(struct pump *pump)
{
    struct child *child = pump->child;
    struct timespec due = clock_at(pump->figures_ns + FIGURES_NS);
    int failed = 0;
    pthread_mutex_lock(&child->lock);
    while (!child->ready_head && !child->stopping && failed != ETIMEDOUT) {
        if (child->changed && child->engine)
            failed = clock_cond_wait(&child->ready, &child->lock, &due);
        else
            pthread_cond_wait(&child->ready, &child->lock);
    }
    bool go_on = !child->stopping;
    pump->figures_now = child->changed && child->engine && clock_now_ns() >= pump->figures_ns + FIGURES_NS;
    if (pump->figures_now)
        child->changed = false;
    pthread_mutex_unlock(&child->lock);
    return go_on;
}

static void gather(const struct pump *pump)
{
    uint64_t now = clock_now_ns(), due = pump->tokens_ns + GATHER_NS;
    if (pump->tokens_ns && now < due)
        nanosleep(&(struct timespec){.tv_nsec = (long)(due - now)}, NULL);
}

void *child_pump_main(void *context)
{
    struct pump pump = {.child = context};
    struct child_request *request;
    while (wait_for_work(&pump)) {
        gather(&pump);
        buffer_clear(&pump.out);
        if (pump.figures_now) {
            child_put_stats(pump.child, &pump.out);
            pump.figures_ns = clock_now_ns();
        }
        while (pump.out.length < WRITE_BYTES && (request = pop_ready(pump.child)) != NULL)
            drain(&pump, request);
        if (pump.out.length)
            child_send(pump.child, &pump.out);
    }
    buffer_free(&pump.out);
    return NULL;
}

/* ---- dying on purpose ---- */

/* For tests only: LLMIND_TEST_WORKER_CRASH_AFTER=N[:segv|abort|exit|kill] in the environment of the worker
 * makes it crash when it would send the N-th event (0: when it is asked to open a model), by a bad write
 * unless told otherwise. */
void child_crash_setup(struct child *child)
{
    const char *text = getenv("LLMIND_TEST_WORKER_CRASH_AFTER");
    char *end = NULL;
    child->crash_after = UINT64_MAX;
    if (!text || !*text)
        return;
    errno = 0;
    unsigned long long after = strtoull(text, &end, 10);
    if (errno || end == text || (*end && *end != ':'))
        child_die("LLMIND_TEST_WORKER_CRASH_AFTER is not N or N:HOW");
    child->crash_after = after;
    child->crash_how = *end ? end + 1 : "segv";
}

void child_crash_point(const struct child *child, uint64_t done)
{
    if (done != child->crash_after)
        return;
    if (strcmp(child->crash_how, "exit") == 0)
        child_die("ended by LLMIND_TEST_WORKER_CRASH_AFTER");
    if (strcmp(child->crash_how, "abort") == 0)
        abort();
    raise(strcmp(child->crash_how, "kill") == 0 ? SIGKILL : SIGSEGV);
}
