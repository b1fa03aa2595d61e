/* The reader of one worker: takes what the child sends to those who wait for it, keeps the last line of its
 * stderr (and passes all of it on to ours), and, when it is gone, finds out how and tells everybody.
 *
 * It waits for nothing but the child, and holds locks only for the time of a copy.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "worker/client_internal.h"
#include "worker/protocol.h"

enum { DEATH_MS = 2000, DEATH_STEP_MS = 2 };

/* ---- frames ---- */

static int take_reply(struct worker *worker, const struct frame *frame, struct error *error)
{
    struct wire in = {frame->payload, frame->length, 0, false};
    pthread_mutex_lock(&worker->lock);
    struct worker_call *call = (struct worker_call *)numbers_take(&worker->calls, frame->number);
    if (call) {
        call->status = protocol_get_result(&in, &call->error);
        if (!call->status)
            buffer_append(&call->result, in.data + in.at, in.length - in.at);
        if (call->result.failed)
            call->status = error_memory(&call->error, "a reply of the worker", in.length);
        call->done = true;
        pthread_cond_signal(&call->answered);
    }
    pthread_mutex_unlock(&worker->lock);
    return call ? 0 : error_set(error, ERROR_INVALID, "a reply to call %u, which nobody made", frame->number);
}

/* An event of a request that nobody knows is refused: the last event of each ends its number. */
static int take_event(struct worker *worker, const struct frame *frame, struct error *error)
{
    struct wire in = {frame->payload, frame->length, 0, false};
    int status = protocol_get_event(&in, &worker->event, error);
    if (status)
        return status;
    bool last = worker->event.kind == EVENT_FINISH;
    pthread_mutex_lock(&worker->lock);
    struct numbered *link = last ? numbers_take(&worker->requests, frame->number)
                                 : numbers_find(&worker->requests, frame->number);
    if (link)
        worker_request_push(worker_request_of(link), &worker->event, frame);
    pthread_mutex_unlock(&worker->lock);
    return link
               ? 0
               : error_set(error, ERROR_INVALID, "an event of request %u, which there is not", frame->number);
}

static int take_stats(struct worker *worker, const struct frame *frame, struct error *error)
{
    struct wire in = {frame->payload, frame->length, 0, false};
    struct engine_stats stats;
    struct memory_process memory;
    int status = protocol_get_stats(&in, &stats, &memory, error);
    if (status)
        return status;
    pthread_mutex_lock(&worker->lock);
    worker->stats = stats;
    worker->memory = memory;
    pthread_mutex_unlock(&worker->lock);
    return 0;
}

static int take_frame(struct worker *worker, const struct frame *frame, struct error *error)
{
    struct wire in = {frame->payload, frame->length, 0, false};
    if (!worker->greeted) {
        worker->greeted = true;
        return frame->type == FRAME_HELLO ? protocol_check_hello(&in, error)
                                          : error_set(error, ERROR_INVALID, "it did not greet");
    }
    if (frame->type == FRAME_REPLY)
        return take_reply(worker, frame, error);
    if (frame->type == FRAME_EVENT)
        return take_event(worker, frame, error);
    if (frame->type == FRAME_STATS)
        return take_stats(worker, frame, error);
    return error_set(error, ERROR_INVALID, "a message of type %d, which is not for the parent",
                     (int)frame->type);
}

/* 1: go on; 0: the child has closed the socket; otherwise an error: what it sent makes no sense. */
static int take_frames(struct worker *worker, struct frame_receiver *receiver, struct error *error)
{
    struct frame frame;
    int got, status = frame_receive(receiver, worker->socket, error);
    if (status <= 0)
        return status;
    while ((got = frame_next(receiver, &frame, error)) > 0)
        if ((status = take_frame(worker, &frame, error)) < 0)
            return status;
    return got < 0 ? got : 1;
}

/* ---- the end ---- */

/* Keeps the last line of its stderr, and passes all of it on to ours. */
static bool take_errors(struct worker *worker)
{
    return spawn_line_read(&worker->last_line, worker->errors, log_relay);
}

static void pause_ms(long ms)
{
    struct timespec time = {.tv_nsec = ms * 1000000L};
    nanosleep(&time, NULL);
}

/* Waits for the process to end, DEATH_MS at most; then it is made to. It stays a zombie, so that its number
 * is nobody else's, until it is reaped under the lock. False when the system does not tell (SIGCHLD ignored).
 */
static bool reap(struct worker *worker, bool at_once, int *result)
{
    siginfo_t info;
    int waited_ms = at_once ? DEATH_MS : 0;
    pid_t pid = worker->pid;
    for (;; waited_ms += DEATH_STEP_MS) {
        bool patient = waited_ms < DEATH_MS;
        if (!patient)
            kill(pid, SIGKILL);
        memset(&info, 0, sizeof info);
        int failed = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | (patient ? WNOHANG : 0));
        if ((failed && errno != EINTR) || (!failed && info.si_pid == pid))
            break;
        if (patient)
            pause_ms(DEATH_STEP_MS);
        take_errors(worker); /* or it could not finish writing */
    }
    pthread_mutex_lock(&worker->lock);
    bool known = waitpid(pid, result, WNOHANG) == pid;
    worker->pid = 0;
    pthread_mutex_unlock(&worker->lock);
    return known;
}

static void tell_everybody(struct worker *worker, const struct error *death)
{
    struct numbered *member;
    pthread_mutex_lock(&worker->lock);
    worker->death = *death;
    if (worker->closing)
        error_set(&worker->death, ERROR_CANCELLED, "the engine is closing");
    worker->dead = true;
    worker->stats.active_sequences = worker->stats.queued_requests = 0;
    while ((member = numbers_take_any(&worker->requests)) != NULL)
        worker_request_lost(worker_request_of(member), worker->closing ? FINISH_CANCELLED : FINISH_ERROR,
                            &worker->death);
    while ((member = numbers_take_any(&worker->calls)) != NULL) {
        struct worker_call *call = (struct worker_call *)member;
        call->error = worker->death;
        call->status = worker->death.code;
        call->done = true;
        pthread_cond_signal(&call->answered);
    }
    pthread_cond_broadcast(&worker->ended);
    pthread_mutex_unlock(&worker->lock);
}

void *worker_reader_main(void *context)
{
    struct worker *worker = context;
    struct frame_receiver receiver = {0};
    struct error error, death;
    int status = 1, result = 0;
    struct pollfd polled[2] = {{.fd = worker->socket, .events = POLLIN},
                               {.fd = worker->errors, .events = POLLIN}};
    while (status > 0) {
        int ready = poll(polled, 2, -1);
        if (ready < 0 && errno != EINTR)
            status = error_set(&error, ERROR_IO, "cannot wait for it: %s", strerror(errno));
        if (ready <= 0)
            continue;
        if (polled[1].revents && !take_errors(worker))
            polled[1].fd = -1;
        if (polled[0].revents)
            status = take_frames(worker, &receiver, &error);
    }
    frame_receiver_free(&receiver);
    bool known = reap(worker, status < 0, &result);
    take_errors(worker);
    if (status < 0)
        error_set(&death, ERROR_IO, "the worker process was ended: %.600s", error.message);
    else
        spawn_describe_end("the worker process", known, result, &worker->last_line, &death);
    tell_everybody(worker, &death);
    return NULL;
}
