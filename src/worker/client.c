/* Opening and closing a worker, calls and their replies, and the small members of the door. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include "platform/clock.h"
#include "worker/client_internal.h"
#include "worker/protocol.h"

enum { CLOSE_SECONDS = 2, MAX_CACHED_VOCAB = 1 << 24 };

static struct worker *of(const struct engine *engine)
{
    return (struct worker *)(uintptr_t)engine; /* locks are taken through const doors, too */
}

/* ---- calls ---- */

void worker_tell(struct worker *worker, enum frame_type type, uint32_t number, const uint32_t *values,
                 size_t n)
{
    struct buffer out = {0};
    size_t begin = frame_begin(&out, type, number);
    for (size_t i = 0; i < n; i++)
        wire_put_u32(&out, values[i]);
    frame_end(&out, begin);
    frame_send(worker->socket, &worker->send_lock, &out, NULL);
    buffer_free(&out);
}

int worker_call_begin(struct worker *worker, struct worker_call *call, struct worker_request *request,
                      struct error *error)
{
    int status = 0;
    memset(call, 0, sizeof *call);
    pthread_mutex_lock(&worker->lock);
    if (worker->dead) {
        status = error_set(error, worker->death.code, "%s", worker->death.message);
    } else {
        do
            call->link.number = ++worker->last_number;
        while (numbers_find(&worker->calls, call->link.number) ||
               numbers_find(&worker->requests, call->link.number));
        pthread_cond_init(&call->answered, NULL);
        numbers_add(&worker->calls, &call->link);
        if (request) {
            request->link.number = call->link.number;
            numbers_add(&worker->requests, &request->link);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return status;
}

int worker_call_wait(struct worker *worker, struct worker_call *call, struct error *error)
{
    pthread_mutex_lock(&worker->lock);
    while (!call->done)
        pthread_cond_wait(&call->answered, &worker->lock);
    pthread_mutex_unlock(&worker->lock);
    pthread_cond_destroy(&call->answered);
    return call->status ? error_set(error, call->status, "%s", call->error.message) : 0;
}

int worker_call_finish(struct worker *worker, struct worker_call *call, const struct buffer *frame,
                       struct error *error)
{
    int status = frame_check(frame, "the request", error);
    if (!status) {
        /* an error of sending is the worker's death, and the reader tells how it died */
        frame_send(worker->socket, &worker->send_lock, frame, NULL);
        return worker_call_wait(worker, call, error);
    }
    pthread_mutex_lock(&worker->lock);
    numbers_take(&worker->calls, call->link.number);
    pthread_mutex_unlock(&worker->lock);
    pthread_cond_destroy(&call->answered);
    return status;
}

/* ---- the door's small members ---- */

static const struct engine_info *info(const struct engine *engine)
{
    return &of(engine)->info;
}

static const struct tokenizer *no_tokenizer(const struct engine *engine)
{
    (void)engine;
    return NULL;
}

static const struct plan *no_plan(const struct engine *engine)
{
    (void)engine;
    return NULL;
}

static struct engine_sampling sampling_default(const struct engine *engine)
{
    return of(engine)->sampling;
}

static int alive(struct engine *engine, struct error *error)
{
    struct worker *worker = of(engine);
    pthread_mutex_lock(&worker->lock);
    int status = worker->dead ? error_set(error, worker->death.code, "%s", worker->death.message) : 0;
    pthread_mutex_unlock(&worker->lock);
    return status;
}

static void stats(struct engine *engine, struct engine_stats *out)
{
    struct worker *worker = of(engine);
    pthread_mutex_lock(&worker->lock);
    *out = worker->stats;
    pthread_mutex_unlock(&worker->lock);
    out->rejected_requests += atomic_load(&worker->n_refused);
}

static int trace(struct engine *engine, uint32_t n_tokens, uint32_t depth, struct engine_trace *out,
                 struct error *error)
{
    struct worker *worker = of(engine);
    struct worker_call call;
    struct buffer frame = {0};
    *out = (struct engine_trace){0};
    int status = worker_call_begin(worker, &call, NULL, error);
    if (status)
        return status;
    size_t begin = frame_begin(&frame, FRAME_TRACE, call.link.number);
    wire_put_u32(&frame, n_tokens);
    wire_put_u32(&frame, depth);
    frame_end(&frame, begin);
    if ((status = worker_call_finish(worker, &call, &frame, error)) == 0) {
        struct wire in = {call.result.data, call.result.length, 0, false};
        status = protocol_get_trace(&in, out, error);
    }
    buffer_free(&call.result);
    buffer_free(&frame);
    return status;
}

/* The process that holds the pages would write wherever its parent may: nobody needs that. */
static int save_prompt_cache(struct engine *engine, const struct engine_submit *prompt, const char *path,
                             struct engine_saved_prompt *out, struct error *error)
{
    (void)engine;
    (void)prompt;
    (void)path;
    *out = (struct engine_saved_prompt){0};
    return error_set(error, ERROR_UNSUPPORTED,
                     "prompt caches are written only where the engine is in the same process");
}

/* ---- texts of tokens ---- */

static int copy_text(int32_t token, const char *text, size_t n, char *out, size_t capacity, size_t *length,
                     struct error *error)
{
    *length = n;
    if (n > capacity)
        return error_set(error, ERROR_LIMIT, "token %d has %zu bytes of text, and there is room for %zu",
                         token, n, capacity);
    memcpy(out, text, n);
    return 0;
}

/* Remembers a text. Memory that is short for that is no error: it is asked for again. */
static void keep_text(struct worker *worker, int32_t token, const char *text, size_t length)
{
    uint32_t vocab = worker->info.vocab;
    if (token < 0 || (uint32_t)token >= vocab || vocab > MAX_CACHED_VOCAB)
        return;
    pthread_mutex_lock(&worker->texts_lock);
    if (!worker->text_at)
        worker->text_at = calloc(vocab, sizeof *worker->text_at);
    size_t at = worker->texts.length;
    if (worker->text_at && !worker->text_at[token] && at < UINT32_MAX / 2) {
        wire_put_bytes(&worker->texts, text, length);
        if (!worker->texts.failed)
            worker->text_at[token] = (uint32_t)at + 1;
    }
    pthread_mutex_unlock(&worker->texts_lock);
}

/* True when it was there; then *status is the result. */
static bool kept_text(struct worker *worker, int32_t token, char *out, size_t capacity, size_t *length,
                      int *status, struct error *error)
{
    pthread_mutex_lock(&worker->texts_lock);
    bool known =
        worker->text_at && token >= 0 && (uint32_t)token < worker->info.vocab && worker->text_at[token];
    if (known) {
        struct wire in = {worker->texts.data, worker->texts.length, worker->text_at[token] - 1, false};
        size_t n;
        const char *text = wire_bytes(&in, &n);
        *status = copy_text(token, text, n, out, capacity, length, error);
    }
    pthread_mutex_unlock(&worker->texts_lock);
    return known;
}

static int token_text(struct engine *engine, int32_t token, char *out, size_t capacity, size_t *length,
                      struct error *error)
{
    struct worker *worker = of(engine);
    struct worker_call call;
    struct buffer frame = {0};
    int status;
    *length = 0;
    if (kept_text(worker, token, out, capacity, length, &status, error))
        return status;
    if ((status = worker_call_begin(worker, &call, NULL, error)) != 0)
        return status;
    size_t begin = frame_begin(&frame, FRAME_TOKEN_TEXT, call.link.number);
    wire_put_u32(&frame, (uint32_t)token);
    frame_end(&frame, begin);
    if ((status = worker_call_finish(worker, &call, &frame, error)) == 0) {
        struct wire in = {call.result.data, call.result.length, 0, false};
        size_t n;
        const char *text = wire_bytes(&in, &n);
        if (!wire_finish(&in)) {
            status =
                error_set(error, ERROR_INVALID, "the text of token %d from the worker is malformed", token);
        } else {
            keep_text(worker, token, text, n);
            status = copy_text(token, text, n, out, capacity, length, error);
        }
    }
    buffer_free(&call.result);
    buffer_free(&frame);
    return status;
}

/* ---- opening ---- */

static struct worker *allocate(void)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (!worker)
        return NULL;
    atomic_init(&worker->references, 1);
    arena_init(&worker->arena);
    pthread_mutex_init(&worker->lock, NULL);
    pthread_mutex_init(&worker->send_lock, NULL);
    pthread_mutex_init(&worker->texts_lock, NULL);
    clock_cond_init(&worker->ended);
    worker->socket = worker->errors = -1;
    return worker;
}

void worker_free_reference(struct worker *worker)
{
    if (atomic_fetch_sub(&worker->references, 1) != 1)
        return;
    if (worker->socket >= 0)
        close(worker->socket);
    if (worker->errors >= 0)
        close(worker->errors);
    pthread_cond_destroy(&worker->ended);
    pthread_mutex_destroy(&worker->texts_lock);
    pthread_mutex_destroy(&worker->send_lock);
    pthread_mutex_destroy(&worker->lock);
    buffer_free(&worker->open.result);
    buffer_free(&worker->texts);
    free(worker->text_at);
    arena_free(&worker->arena);
    free(worker);
}

/* Ends the child and its reader: by closing our direction of the socket, which cannot be blocked by anybody.
 */
static void close_worker(struct engine *engine)
{
    struct worker *worker = of(engine);
    struct timespec until = clock_in_ms(CLOSE_SECONDS * 1000);
    int failed = 0;
    pthread_mutex_lock(&worker->lock);
    worker->closing = true;
    shutdown(worker->socket, SHUT_WR);
    while (!worker->dead && failed != ETIMEDOUT)
        failed = clock_cond_wait(&worker->ended, &worker->lock, &until);
    if (worker->pid > 0)
        kill(worker->pid, SIGKILL);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->reader, NULL);
    worker_free_reference(worker);
}

static const struct engine_door worker_door = {
    .close = close_worker,
    .info = info,
    .tokenizer = no_tokenizer,
    .plan = no_plan,
    .sampling_default = sampling_default,
    .alive = alive,
    .token_text = token_text,
    .submit = worker_submit,
    .cancel = worker_cancel,
    .release = worker_release,
    .next_event = worker_next_event,
    .stats = stats,
    .trace = trace,
    .save_prompt_cache = save_prompt_cache,
};

/* Signals are for the threads of the caller. */
static int start_reader(struct worker *worker, struct error *error)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&worker->reader, NULL, worker_reader_main, worker);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failed ? error_set(error, ERROR_MEMORY, "cannot start a thread: %s", strerror(failed)) : 0;
}

static int spawn(struct worker *worker, struct error *error)
{
    struct spawned spawned;
    int status = spawn_self("worker", &spawned, error);
    if (status)
        return status;
    worker->pid = spawned.pid;
    worker->socket = spawned.socket;
    worker->errors = spawned.errors;
    return 0;
}

/* Greets and makes the first call: FRAME_OPEN or FRAME_CHECK. */
static int start(const struct engine_options *options, enum frame_type type, struct worker **out,
                 struct error *error)
{
    struct buffer frames = {0};
    struct worker *worker = allocate();
    *out = NULL;
    if (!worker) {
        error_memory(error, "a worker", sizeof *worker);
        return ERROR_MEMORY;
    }
    worker->base.door = &worker_door;
    worker->queue_limit = options->queue_limit;
    int status = worker_call_begin(worker, &worker->open, NULL, error);
    size_t begin = frame_begin(&frames, FRAME_HELLO, 0);
    protocol_put_hello(&frames);
    frame_end(&frames, begin);
    begin = frame_begin(&frames, type, worker->open.link.number);
    protocol_put_options(&frames, options);
    frame_end(&frames, begin);
    if (!status)
        status = frame_check(&frames, "the options", error);
    if (!status)
        status = spawn(worker, error);
    if (!status && (status = start_reader(worker, error)) != 0) {
        kill(worker->pid, SIGKILL);
        waitpid(worker->pid, NULL, 0);
    }
    if (status) {
        worker_free_reference(worker);
    } else {
        /* an error of sending is its death: worker_wait says how it died */
        frame_send(worker->socket, &worker->send_lock, &frames, NULL);
        *out = worker;
    }
    buffer_free(&frames);
    return status;
}

int worker_start(const struct engine_options *options, struct engine **out, struct error *error)
{
    struct worker *worker;
    int status = start(options, FRAME_OPEN, &worker, error);
    *out = status ? NULL : &worker->base;
    return status;
}

int worker_wait(struct engine *engine, struct error *error)
{
    struct worker *worker = of(engine);
    int status = worker_call_wait(worker, &worker->open, error);
    if (status)
        return status;
    struct wire in = {worker->open.result.data, worker->open.result.length, 0, false};
    return protocol_get_info(&in, &worker->info, &worker->sampling, &worker->arena, error);
}

int worker_open(const struct engine_options *options, struct engine **out, struct error *error)
{
    int status = worker_start(options, out, error);
    if (!status && (status = worker_wait(*out, error)) != 0) {
        engine_close(*out);
        *out = NULL;
    }
    return status;
}

int worker_check(const struct engine_options *options, struct error *error)
{
    struct worker *worker;
    int status = start(options, FRAME_CHECK, &worker, error);
    if (status)
        return status;
    status = worker_call_wait(worker, &worker->open, error);
    close_worker(&worker->base);
    return status;
}

pid_t worker_pid(const struct engine *engine)
{
    struct worker *worker = of(engine);
    pthread_mutex_lock(&worker->lock);
    pid_t pid = worker->pid;
    pthread_mutex_unlock(&worker->lock);
    return pid;
}

void worker_kill(struct engine *engine)
{
    struct worker *worker = of(engine);
    pthread_mutex_lock(&worker->lock);
    if (worker->pid > 0)
        kill(worker->pid, SIGKILL);
    pthread_mutex_unlock(&worker->lock);
}

void worker_memory(const struct engine *engine, struct memory_process *out)
{
    struct worker *worker = of(engine);
    pthread_mutex_lock(&worker->lock);
    *out = worker->memory;
    pthread_mutex_unlock(&worker->lock);
}
