/* `llmind lab`: the child's side. The main thread does nothing but read the socket, so that it notices at
 * once when the parent asks to stop, or is gone, also while a large model loads; one thread works. A parent
 * that is gone needs no answer: the process ends on the spot, and the kernel frees what it held.
 */
#include "profile/lab.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "platform/spawn.h"
#include "profile/json_get.h"
#include "profile/lab_json.h"
#include "profile/lab_wire.h"
#include "profile/lab_work.h"

struct child {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* guarded by lock */
    json_t *job;        /* the one that waits, or NULL */
    json_int_t working; /* its number while it is worked on; 0: none */

    /* the work thread's, but for work.cancel */
    struct lab_work work;
    bool opened;
};

/* The last words on stderr, which the parent shows. */
static _Noreturn void die(const char *format, ...)
{
    char line[ERROR_MESSAGE_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s\n", line);
    fflush(stderr);
    _exit(1);
}

/* ---- the work thread ---- */

static int open_model(struct child *child, const json_t *job, json_t **result, struct error *error)
{
    struct engine_options options;
    if (child->opened)
        die("the lab was asked to open a second model");
    lab_options_read(json_get_object(job, "options"), &options);
    if (!options.model)
        return error_set(error, ERROR_INVALID, "the lab was asked to open no model");
    int status = lab_work_open(&child->work, &options, json_get_bool(job, "raw", false), error);
    child->opened = !status;
    if (!status)
        *result = lab_work_info(&child->work);
    return status;
}

static int do_run(struct child *child, const json_t *job, json_t **result, struct error *error)
{
    struct lab_run run;
    struct lab_result done;
    int status = lab_run_read(json_get_object(job, "run"), &run, error);
    if (status)
        return status;
    status = lab_work_run(&child->work, &run, &done, error);
    if (!status)
        *result = lab_result_json(&done);
    sample_free(&done.sample);
    return status;
}

static int do_trace(struct child *child, const json_t *job, json_t **result, struct error *error)
{
    uint32_t n_tokens = (uint32_t)json_get_integer(job, "n_tokens", 1, 1 << 16, 1);
    uint32_t depth = (uint32_t)json_get_integer(job, "depth", 0, 1 << 24, 0);
    return lab_work_trace(&child->work, n_tokens, depth, result, error);
}

static int do_job(struct child *child, const json_t *job, json_t **result, struct error *error)
{
    if (json_get_is(job, "do", "open"))
        return open_model(child, job, result, error);
    if (!child->opened)
        die("the lab was asked to work before its model was open");
    if (json_get_is(job, "do", "run"))
        return do_run(child, job, result, error);
    if (json_get_is(job, "do", "trace"))
        return do_trace(child, job, result, error);
    die("the lab was asked for '%s', which it cannot do", json_get_text(job, "do", ""));
}

static void answer(json_int_t call, int status, const struct error *error, json_t *result)
{
    struct error problem = {0};
    json_t *message = json_object();
    if (!status && !result)
        status = error_memory(&problem, "the answer of the lab", 0);
    else if (status)
        problem = *error;
    json_object_set_new(message, "call", json_integer(call));
    if (status)
        json_object_set_new(message, "error",
                            json_pack("{s:i, s:s}", "code", problem.code ? problem.code : status, "message",
                                      problem.message));
    else
        json_object_set_new(message, "result", result);
    if (lab_wire_send(SPAWN_SOCKET, message, &problem) == ERROR_MEMORY)
        die("the lab has no memory left for its answer");
    json_decref(message);
}

static void *work_main(void *context)
{
    struct child *child = context;
    for (;;) {
        pthread_mutex_lock(&child->lock);
        child->working = 0;
        while (!child->job)
            pthread_cond_wait(&child->changed, &child->lock);
        json_t *job = child->job;
        child->job = NULL;
        child->working = json_integer_value(json_get(job, "call"));
        atomic_store(&child->work.cancel, 0);
        pthread_mutex_unlock(&child->lock);

        struct error error = {0};
        json_t *result = NULL;
        json_int_t call = child->working;
        int status = do_job(child, job, &result, &error);
        json_decref(job);
        answer(call, status, &error, result);
    }
    return NULL;
}

/* ---- the main thread ---- */

static void take(struct child *child, json_t *message)
{
    json_int_t call = json_integer_value(json_get(message, "call"));
    pthread_mutex_lock(&child->lock);
    if (json_get_is(message, "do", "cancel")) {
        /* only the call it was meant for: that may be over by now */
        if (child->working == call)
            atomic_store(&child->work.cancel, 1);
        json_decref(message);
    } else if (child->job) {
        die("the lab was asked for two things at once");
    } else {
        child->job = message;
        pthread_cond_signal(&child->changed);
    }
    pthread_mutex_unlock(&child->lock);
}

int lab_main(void)
{
    if (!spawn_was_spawned()) {
        fprintf(stderr, "llmind lab: this is started by llmind itself, not by hand\n");
        return 2;
    }
    spawn_begin_helper("llmind-lab");
    static struct child child = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct lab_wire_in in = {0};
    struct error error;
    pthread_t thread;
    if (pthread_create(&thread, NULL, work_main, &child))
        die("the lab cannot start a thread");
    int status;
    while ((status = lab_wire_read(&in, SPAWN_SOCKET, &error)) > 0) {
        json_t *message;
        while ((status = lab_wire_next(&in, &message, &error)) > 0)
            take(&child, message);
        if (status < 0)
            break;
    }
    if (status < 0)
        die("a message to the lab: %s", error.message);
    _exit(0); /* the parent is done with us, or gone: nobody waits for what runs */
}
