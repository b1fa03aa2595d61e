/* `llmind worker`: a process that holds one engine for its parent.
 *
 * The socket is the whole life line: it ends when the parent says so by closing it, and it ends when the
 * parent is gone, however that happened. The main thread does nothing but read it, so this is noticed at
 * once, also while a large model loads. (prctl's PR_SET_PDEATHSIG would not do: it fires when the *thread*
 * that started this process ends, and in a server that is some connection's.)
 *
 * Signals of the terminal and of a service manager that tells a whole group to stop are the parent's affair:
 * it drains first. stdin and stdout lead nowhere; stderr is a pipe whose last line the parent quotes when
 * this process dies.
 */
#include "worker/child.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/clock.h"
#include "platform/spawn.h"
#include "worker/client.h"
#include "worker/protocol.h"

enum { CLOSE_SECONDS = 10 };

_Noreturn void child_die(const char *format, ...)
{
    char line[ERROR_MESSAGE_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line - 1, format, arguments);
    va_end(arguments);
    if (length > (int)sizeof line - 2)
        length = (int)sizeof line - 2;
    if (length >= 0) {
        line[length] = '\n';
        ssize_t written = write(STDERR_FILENO, line, (size_t)length + 1);
        (void)written; /* there is nobody left to tell */
    }
    _exit(1);
}

void child_send(struct child *child, const struct buffer *frames)
{
    if (frames->failed)
        child_die("the worker has no memory left for a message of %zu bytes", frames->length);
    /* an error means that the parent is gone, which the main thread sees by itself */
    frame_send(child->socket, &child->send_lock, frames, NULL);
}

void child_reply(struct child *child, uint32_t number, int status, const struct error *error,
                 const struct buffer *result)
{
    struct buffer out = {0};
    size_t begin = frame_begin(&out, FRAME_REPLY, number);
    protocol_put_result(&out, status, error);
    if (!status && result) {
        buffer_append(&out, result->data, result->length);
        out.failed = out.failed || result->failed;
    }
    frame_end(&out, begin);
    child_send(child, &out);
    buffer_free(&out);
}

/* ---- frames ---- */

/* Zeroed memory; without it the worker has nothing sensible to do. */
static void *need(size_t size, const char *what)
{
    void *memory = calloc(1, size);
    if (!memory)
        child_die("the worker has no memory left for %s", what);
    return memory;
}

/* Hands a call to the threads. */
static void add_job(struct child *child, const struct frame *frame, struct child_request *request)
{
    struct child_job *job = need(sizeof *job, "a call");
    job->type = frame->type;
    job->number = frame->number;
    job->request = request;
    buffer_append(&job->payload, frame->payload, frame->length);
    if (job->payload.failed)
        child_die("the worker has no memory left for a call of %zu bytes", frame->length);
    pthread_mutex_lock(&child->lock);
    if (child->jobs)
        child->jobs_tail->next = job;
    else
        child->jobs = job;
    child->jobs_tail = job;
    child->n_submits += job->type == FRAME_SUBMIT;
    pthread_cond_signal(&child->work);
    pthread_mutex_unlock(&child->lock);
}

static void open_engine(struct child *child, const struct frame *frame)
{
    pthread_mutex_lock(&child->lock);
    bool again = child->asked_to_open;
    child->asked_to_open = child->loading = true;
    pthread_mutex_unlock(&child->lock);
    if (again)
        child_die("the worker was asked to open a second model");
    child_crash_point(child, 0);
    add_job(child, frame, NULL);
}

/* Too many waiting for a thread is refused here, before anything is tokenized. */
static void submit(struct child *child, const struct frame *frame)
{
    struct error error;
    struct child_request *request = need(sizeof *request, "a request");
    request->link.number = frame->number;
    request->child = child;
    request->credits = PROTOCOL_CREDITS;
    pthread_mutex_lock(&child->lock);
    bool known = numbers_find(&child->requests, frame->number) != NULL;
    bool full = child->max_waiting && child->n_submits >= child->max_waiting;
    uint32_t waiting = child->n_submits;
    if (!known && !full)
        numbers_add(&child->requests, &request->link);
    child->refused += full;
    child->changed = child->changed || full;
    pthread_mutex_unlock(&child->lock);
    if (known)
        child_die("two requests to the worker have the number %u", frame->number);
    if (full) {
        free(request);
        int status = error_set(&error, ERROR_BUSY, "%u requests wait already: try again later", waiting);
        child_reply(child, frame->number, status, &error, NULL);
    } else {
        add_job(child, frame, request);
    }
}

static void token_text(struct child *child, const struct frame *frame)
{
    char text[65536]; /* the engine refuses tokenizers with longer pieces */
    size_t length = 0;
    struct error error;
    struct buffer result = {0};
    struct wire in = {frame->payload, frame->length, 0, false};
    int32_t token = (int32_t)wire_u32(&in);
    int status = wire_finish(&in)
                     ? engine_token_text(child->engine, token, text, sizeof text, &length, &error)
                     : error_set(&error, ERROR_INVALID, "a token's number is malformed");
    if (!status)
        wire_put_bytes(&result, text, length);
    child_reply(child, frame->number, status, &error, &result);
    buffer_free(&result);
}

/* CANCEL, RELEASE and CREDIT. A request that is over already is no error: its last event is on the way. */
static void tell_request(struct child *child, const struct frame *frame)
{
    struct wire in = {frame->payload, frame->length, 0, false};
    uint32_t credits = frame->type == FRAME_CREDIT ? wire_u32(&in) : 0;
    if (!wire_finish(&in))
        child_die("a message to the worker is malformed");
    pthread_mutex_lock(&child->lock);
    struct child_request *request = (struct child_request *)numbers_find(&child->requests, frame->number);
    if (request) {
        request->credits += credits;
        request->cancel = request->cancel || frame->type != FRAME_CREDIT;
        request->discard = request->discard || frame->type == FRAME_RELEASE;
        child_make_ready(request);
    }
    pthread_mutex_unlock(&child->lock);
}

static void greet(struct child *child, const struct frame *frame)
{
    struct error error;
    struct wire in = {frame->payload, frame->length, 0, false};
    if (frame->type != FRAME_HELLO)
        child_die("the parent did not greet its worker");
    if (protocol_check_hello(&in, &error))
        child_die("%s", error.message);
    struct buffer out = {0};
    size_t begin = frame_begin(&out, FRAME_HELLO, 0);
    protocol_put_hello(&out);
    frame_end(&out, begin);
    child_send(child, &out);
    buffer_free(&out);
}

static void handle(struct child *child, const struct frame *frame)
{
    pthread_mutex_lock(&child->lock);
    bool is_open = child->engine != NULL;
    pthread_mutex_unlock(&child->lock);
    if (frame->type == FRAME_OPEN)
        open_engine(child, frame);
    else if (frame->type == FRAME_CHECK || (is_open && frame->type == FRAME_TRACE))
        add_job(child, frame, NULL);
    else if (!is_open)
        child_die("the worker got a message of type %d before its model was open", (int)frame->type);
    else if (frame->type == FRAME_SUBMIT)
        submit(child, frame);
    else if (frame->type == FRAME_TOKEN_TEXT)
        token_text(child, frame);
    else if (frame->type == FRAME_CANCEL || frame->type == FRAME_RELEASE || frame->type == FRAME_CREDIT)
        tell_request(child, frame);
    else
        child_die("the worker got a message of type %d, which is not for it", (int)frame->type);
}

/* Returns when the parent has closed the socket. */
static void read_frames(struct child *child)
{
    struct frame_receiver receiver = {0};
    struct frame frame;
    struct error error;
    bool greeted = false;
    int got, received;
    while ((received = frame_receive(&receiver, child->socket, &error)) > 0) {
        while ((got = frame_next(&receiver, &frame, &error)) > 0) {
            if (greeted)
                handle(child, &frame);
            else
                greet(child, &frame);
            greeted = true;
        }
        if (got < 0)
            child_die("a message to the worker: %s", error.message);
    }
    frame_receiver_free(&receiver);
    if (received < 0)
        child_die("%s", error.message);
}

/* ---- beginning and end ---- */

static void init(struct child *child)
{
    pthread_mutex_init(&child->lock, NULL);
    pthread_mutex_init(&child->send_lock, NULL);
    pthread_cond_init(&child->work, NULL);
    clock_cond_init(&child->ready);
}

/* The engine closes in order while the parent still waits (it does for 2 s); should that hang, the alarm ends
 * this process all the same. Nobody waits for a model to be loaded. */
static void stop(struct child *child, pthread_t *threads, int n_threads)
{
    pthread_mutex_lock(&child->lock);
    bool loading = child->loading;
    child->stopping = true;
    pthread_cond_broadcast(&child->work);
    pthread_cond_broadcast(&child->ready);
    pthread_mutex_unlock(&child->lock);
    if (loading)
        _exit(0);
    alarm(CLOSE_SECONDS);
    for (int i = 0; i < n_threads; i++)
        pthread_join(threads[i], NULL);
    engine_close(child->engine);
    struct numbered *member;
    while ((member = numbers_take_any(&child->requests)) != NULL) {
        struct child_request *request = (struct child_request *)member;
        engine_request_release(request->request);
        free(request);
    }
    for (struct child_job *job = child->jobs, *next; job; job = next) {
        next = job->next;
        child_job_free(job);
    }
    pthread_cond_destroy(&child->ready);
    pthread_cond_destroy(&child->work);
    pthread_mutex_destroy(&child->send_lock);
    pthread_mutex_destroy(&child->lock);
}

int worker_main(void)
{
    if (!spawn_was_spawned()) {
        fprintf(stderr, "llmind worker: this is started by llmind itself, not by hand\n");
        return 2;
    }
    spawn_begin_helper("llmind-worker");
    struct child child = {.socket = SPAWN_SOCKET};
    init(&child);
    child_crash_setup(&child);
    pthread_t threads[WORK_THREADS + 1];
    for (int i = 0; i < WORK_THREADS + 1; i++)
        if (pthread_create(&threads[i], NULL, i ? child_work_main : child_pump_main, &child))
            child_die("the worker cannot start a thread");
    read_frames(&child);
    stop(&child, threads, WORK_THREADS + 1);
    return 0;
}
