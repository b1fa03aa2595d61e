/* The parent's side of a lab. One call at a time: send a line, wait for the line that answers it, and keep an
 * eye on the child's stderr and on the caller's wish to stop. A lab that does not stop within a second of
 * being asked is killed: whoever cancels wants an answer now, and what it was doing is thrown away in any
 * case.
 */
#include "profile/lab.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "platform/clock.h"
#include "platform/spawn.h"
#include "profile/json_get.h"
#include "profile/lab_json.h"
#include "profile/lab_wire.h"

enum {
    POLL_MS = 100,
    CANCEL_GRACE_MS = 800,
    CLOSE_GRACE_MS = 500,
    CLOSE_STEP_MS = 2,
    RUN_MS = 600 * 1000,      /* a run without a limit of its own */
    RUN_GRACE_MS = 30 * 1000, /* and what it may take to notice that its time is over */
    TRACE_MS = 30 * 60 * 1000,
    NO_LIMIT = 0
};

struct lab {
    struct spawned process; /* pid: 0 once reaped, guarded by lock */
    pthread_mutex_t lock;
    const atomic_int *cancel;
    struct lab_wire_in in;
    struct spawn_line last_line;
    json_int_t last_call;
    bool errors_open, dead;
    struct error death; /* once dead */
    json_t *info;
    struct engine_info engine_info; /* strings are info's */
};

/* ---- its end ---- */

void lab_kill(struct lab *lab)
{
    pthread_mutex_lock(&lab->lock);
    if (lab->process.pid > 0)
        kill(lab->process.pid, SIGKILL);
    pthread_mutex_unlock(&lab->lock);
}

/* Waits at most grace_ms, then it is made to end. False: the system does not tell how it ended. */
static bool reap(struct lab *lab, int grace_ms, int *result)
{
    pid_t pid = lab->process.pid;
    siginfo_t info;
    for (int waited_ms = 0;; waited_ms += CLOSE_STEP_MS) {
        bool patient = waited_ms < grace_ms;
        if (!patient)
            kill(pid, SIGKILL);
        memset(&info, 0, sizeof info);
        int failed = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | (patient ? WNOHANG : 0));
        if ((failed && errno != EINTR) || (!failed && info.si_pid == pid))
            break;
        if (patient)
            nanosleep(&(struct timespec){.tv_nsec = CLOSE_STEP_MS * 1000000L}, NULL);
        spawn_line_read(&lab->last_line, lab->process.errors, log_relay); /* or it could not finish writing */
    }
    /* until here it is a zombie, so that its number is nobody else's */
    pthread_mutex_lock(&lab->lock);
    bool known = waitpid(pid, result, WNOHANG) == pid;
    lab->process.pid = 0;
    pthread_mutex_unlock(&lab->lock);
    return known;
}

/* It is gone, or makes no sense (problem is set: then it is killed). Returns ERROR_IO. */
static int bury(struct lab *lab, const struct error *problem, struct error *error)
{
    int result = 0;
    bool known = reap(lab, problem ? 0 : CLOSE_GRACE_MS, &result);
    spawn_line_read(&lab->last_line, lab->process.errors, log_relay);
    lab->dead = true;
    if (problem)
        error_set(&lab->death, ERROR_IO, "the lab process was ended: %.600s", problem->message);
    else
        spawn_describe_end("the lab process", known, result, &lab->last_line, &lab->death);
    return error_set(error, ERROR_IO, "%s", lab->death.message);
}

static int end_for_cancel(struct lab *lab, struct error *error)
{
    int result;
    reap(lab, 0, &result);
    lab->dead = true;
    error_set(&lab->death, ERROR_IO, "the lab process was ended because the run was cancelled");
    return error_set(error, ERROR_CANCELLED, "cancelled");
}

void lab_close(struct lab *lab)
{
    int result;
    if (!lab)
        return;
    if (lab->process.socket >= 0)
        close(lab->process.socket); /* it ends by itself now */
    if (!lab->dead && lab->process.pid > 0)
        reap(lab, CLOSE_GRACE_MS, &result);
    if (lab->process.errors >= 0)
        close(lab->process.errors);
    buffer_free(&lab->in.bytes);
    json_decref(lab->info);
    pthread_mutex_destroy(&lab->lock);
    free(lab);
}

pid_t lab_pid(const struct lab *lab)
{
    return lab->process.pid;
}

const json_t *lab_info(const struct lab *lab)
{
    return lab->info;
}

const struct engine_info *lab_engine_info(const struct lab *lab)
{
    return &lab->engine_info;
}

/* ---- calls ---- */

/* What came so far. 1 with the answer in *out, 0: not yet, or an error. */
static int take_answer(struct lab *lab, json_t **out, struct error *error)
{
    struct error problem;
    int status = lab_wire_next(&lab->in, out, &problem);
    if (status > 0 && json_integer_value(json_get(*out, "call")) != lab->last_call) {
        json_decref(*out);
        *out = NULL;
        status = error_set(&problem, ERROR_INVALID, "an answer to a call that nobody made");
    }
    return status < 0 ? bury(lab, &problem, error) : status;
}

/* Waits up to POLL_MS for bytes of the child and reads them. 0 or an error. */
static int listen_to(struct lab *lab, struct error *error)
{
    struct error problem;
    struct pollfd polled[2] = {
        {.fd = lab->process.socket, .events = POLLIN},
        {.fd = lab->errors_open ? lab->process.errors : -1, .events = POLLIN},
    };
    if (poll(polled, 2, POLL_MS) <= 0)
        return 0;
    if (polled[1].revents)
        lab->errors_open = spawn_line_read(&lab->last_line, lab->process.errors, log_relay);
    if (!polled[0].revents)
        return 0;
    int status = lab_wire_read(&lab->in, lab->process.socket, &problem);
    return status > 0 ? 0 : bury(lab, status < 0 ? &problem : NULL, error);
}

static void ask_to_stop(struct lab *lab)
{
    struct error ignored; /* its death is noticed by reading */
    json_t *message = json_pack("{s:s, s:I}", "do", "cancel", "call", lab->last_call);
    if (message)
        lab_wire_send(lab->process.socket, message, &ignored);
    json_decref(message);
}

/* Waits for the answer to the last call. limit_ms: then the lab is taken for hung. */
static int await(struct lab *lab, uint64_t limit_ms, json_t **out, struct error *error)
{
    uint64_t begin = clock_now_ns(), asked = 0;
    for (;;) {
        int status = take_answer(lab, out, error);
        if (status)
            return status < 0 ? status : 0;
        if ((status = listen_to(lab, error)) != 0)
            return status;
        uint64_t now = clock_now_ns();
        if (!asked && lab->cancel && atomic_load(lab->cancel)) {
            ask_to_stop(lab);
            asked = now;
        } else if (asked && now - asked > CANCEL_GRACE_MS * UINT64_C(1000000)) {
            return end_for_cancel(lab, error);
        } else if (limit_ms && now - begin > limit_ms * UINT64_C(1000000)) {
            struct error hung;
            error_set(&hung, ERROR_IO, "it did not answer for %llu s", (unsigned long long)limit_ms / 1000);
            return bury(lab, &hung, error);
        }
    }
}

static int take_result(json_t *answer, json_t **result, struct error *error)
{
    const json_t *problem = json_get_object(answer, "error");
    int status = 0;
    *result = NULL;
    if (problem) {
        int code = (int)json_get_integer(problem, "code", ERROR_INTERNAL, ERROR_INVALID, ERROR_INTERNAL);
        status = error_set(error, code, "%s", json_get_text(problem, "message", "it failed"));
    } else if (!(*result = json_incref(json_object_get(answer, "result")))) {
        status = error_set(error, ERROR_IO, "the lab answered nothing");
    }
    json_decref(answer);
    return status;
}

/* request: stolen. *result: a new reference. */
static int call(struct lab *lab, json_t *request, uint64_t limit_ms, json_t **result, struct error *error)
{
    json_t *answer = NULL;
    int status = 0;
    *result = NULL;
    if (lab->dead)
        status = error_set(error, ERROR_IO, "%s", lab->death.message);
    else if (!request || json_object_set_new(request, "call", json_integer(++lab->last_call)))
        status = error_memory(error, "a message to the lab", 0);
    else if (lab_wire_send(lab->process.socket, request, error) == ERROR_MEMORY)
        status = ERROR_MEMORY; /* that it is gone is noticed by reading */
    json_decref(request);
    if (!status)
        status = await(lab, limit_ms, &answer, error);
    return status ? status : take_result(answer, result, error);
}

int lab_open(const struct lab_options *options, struct lab **out, struct error *error)
{
    *out = NULL;
    struct lab *lab = calloc(1, sizeof *lab);
    if (!lab)
        return error_memory(error, "a lab", sizeof *lab);
    pthread_mutex_init(&lab->lock, NULL);
    lab->cancel = options->cancel;
    lab->process.socket = lab->process.errors = -1;
    int status = spawn_self("lab", &lab->process, error);
    lab->errors_open = !status;
    if (!status)
        status = call(lab,
                      json_pack("{s:s, s:o, s:b}", "do", "open", "options",
                                lab_options_json(&options->engine), "raw", options->raw),
                      NO_LIMIT, &lab->info, error);
    if (status) {
        if (options->model_name) /* the report and its readers know both by their names */
            error_replace(error, options->engine.model, options->model_name);
        if (options->engine.adapter)
            error_replace(error, options->engine.adapter, "the adapter");
        lab_close(lab);
        return status;
    }
    lab_info_read(lab->info, &lab->engine_info);
    *out = lab;
    return 0;
}

int lab_do(struct lab *lab, const struct lab_run *run, struct lab_result *out, struct error *error)
{
    json_t *result;
    uint64_t limit_ms = (uint64_t)(run->timeout_ms ? run->timeout_ms : RUN_MS) + RUN_GRACE_MS;
    memset(out, 0, sizeof *out);
    int status =
        call(lab, json_pack("{s:s, s:o}", "do", "run", "run", lab_run_json(run)), limit_ms, &result, error);
    if (status)
        return status;
    status = lab_result_read(result, out, error);
    json_decref(result);
    if (!status && out->sample.outcome == OUTCOME_CANCELLED)
        status = error_set(error, ERROR_CANCELLED, "cancelled");
    if (status)
        sample_free(&out->sample);
    return status;
}

int lab_trace(struct lab *lab, uint32_t n_tokens, uint32_t depth, json_t **out, struct error *error)
{
    return call(lab,
                json_pack("{s:s, s:I, s:I}", "do", "trace", "n_tokens", (json_int_t)n_tokens, "depth",
                          (json_int_t)depth),
                TRACE_MS, out, error);
}
