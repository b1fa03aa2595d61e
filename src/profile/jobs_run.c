/* The thread that runs what waits, and how rows are written.
 *
 * A run is told (events), run, and stored. What the database does not take is kept (jobs_kept.c), and every
 * write that succeeds takes along what was kept. Rows are written under `saving` and never under `lock`, so
 * that asking what runs never waits for a disk.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/jobs_internal.h"
#include "profile/json_get.h"
#include "profile/json_put.h"

static const char interrupted_message[] =
    "the program ended before the run did: probably it was killed, it crashed, or the power failed";

/* ---- saving ---- */

int jobs_save_new(struct jobs *jobs, const struct store_run *run, struct error *error)
{
    struct error why = {0};
    int status = ERROR_IO;
    pthread_mutex_lock(&jobs->saving);
    if (jobs->store)
        status = store_run_insert(jobs->store, run, &why);
    else
        error_set(&why, ERROR_IO, "%s", jobs->why_unsaved);
    if (status)
        status = kept_put(jobs, run, false, why.message, error);
    else
        kept_save_all(jobs);
    pthread_mutex_unlock(&jobs->saving);
    return status;
}

int jobs_save_end(struct jobs *jobs, const struct store_run *run, char *why, size_t capacity,
                  struct error *error)
{
    struct error reason = {0};
    pthread_mutex_lock(&jobs->saving);
    struct kept *entry = kept_find(jobs, run->id);
    bool on_disk = !entry || entry->on_disk;
    int status = ERROR_IO;
    if (!jobs->store)
        error_set(&reason, ERROR_IO, "%s", jobs->why_unsaved);
    else
        status = on_disk ? store_run_finish(jobs->store, run, &reason)
                         : store_run_insert(jobs->store, run, &reason);
    struct store_run bare = *run;
    if (status == ERROR_LIMIT &&
        run->report) { /* no time will make it smaller: its figures at least are saved */
        bare.report = NULL;
        bare.message = run->message ? run->message : reason.message;
        status = on_disk ? store_run_finish(jobs->store, &bare, &reason)
                         : store_run_insert(jobs->store, &bare, &reason);
    }
    if (why)
        snprintf(why, capacity, "%s", status ? reason.message : "");
    if (status) {
        status = kept_put(jobs, run, on_disk && status != ERROR_NOT_FOUND, reason.message, error);
    } else {
        if (entry)
            kept_drop(jobs, entry);
        kept_save_all(jobs);
    }
    pthread_mutex_unlock(&jobs->saving);
    return status;
}

/* A waiting run begins. That this is not saved is no loss: a row that waits is as open as one that runs. */
static void save_begin(struct jobs *jobs, const char *id)
{
    pthread_mutex_lock(&jobs->saving);
    struct kept *entry = kept_find(jobs, id);
    if (entry) {
        struct store_run run = entry->run;
        run.status = "running";
        char *why = strdup(entry->why);
        if (why)
            kept_put(jobs, &run, entry->on_disk, why, NULL);
        free(why);
    } else if (jobs->store) {
        store_run_begin(jobs->store, id, "running", NULL);
    }
    pthread_mutex_unlock(&jobs->saving);
}

bool jobs_interrupt_open(struct jobs *jobs)
{
    bool open = false;
    if (store_runs_open(jobs->store, &open, NULL) || !open)
        return false;
    return store_runs_interrupt(jobs->store, interrupted_message, NULL) != 0;
}

bool jobs_look(struct jobs *jobs)
{
    int descriptor = -1;
    bool open = false, failed = false;
    if (!jobs->store)
        return false;
    pthread_mutex_lock(&jobs->saving); /* nobody here makes rows meanwhile */
    kept_save_all(jobs);               /* perhaps there is room by now, and who looks would like to see it */
    pthread_mutex_lock(&jobs->lock);
    bool busy = jobs->busy;
    pthread_mutex_unlock(&jobs->lock);
    if (!busy && !store_runs_open(jobs->store, &open, NULL) && open &&
        jobs_lock_look(jobs->folder, &descriptor)) {
        failed = jobs_interrupt_open(jobs);
        jobs_lock_release(descriptor);
    }
    pthread_mutex_unlock(&jobs->saving);
    return failed;
}

/* ---- what a run tells ---- */

static void tell(struct job *job, json_t *event)
{
    pthread_mutex_lock(&job->jobs->lock);
    if (event)
        job_events_add(&job->events, event);
    pthread_cond_broadcast(&job->jobs->changed);
    pthread_mutex_unlock(&job->jobs->lock);
    json_decref(event);
}

static void on_event(void *context, const json_t *event)
{
    struct job *job = context;
    pthread_mutex_lock(&job->jobs->lock);
    if (json_get_is(event, "type", "phase")) {
        snprintf(job->phase, sizeof job->phase, "%s", json_get_text(event, "phase", ""));
        snprintf(job->step, sizeof job->step, "%s", json_get_text(event, "step", ""));
        jobs_trim(job->step);
        job->progress = json_get_positive(event, "progress");
        job->eta_s = json_get_positive(event, "eta_s");
    }
    job_events_add(&job->events, event);
    pthread_cond_broadcast(&job->jobs->changed);
    pthread_mutex_unlock(&job->jobs->lock);
}

const char *job_kind(const struct job *job)
{
    return profile_kind_name(job->request.kind);
}

static void tell_begin(struct job *job)
{
    tell(job, json_pack("{s:s, s:s, s:s, s:s}", "type", "begin", "run_id", job->id, "kind", job_kind(job),
                        "model", job->model));
}

json_t *job_end_event(const struct store_run *run, const char *why_unsaved)
{
    json_t *event = json_pack("{s:s, s:s, s:s, s:b}", "type", "end", "run_id", run->id, "status", run->status,
                              "saved", !*why_unsaved);
    json_put_string(event, "message", run->message, "nothing to say");
    if (*why_unsaved)
        json_put_string(event, "saved_reason", why_unsaved, "");
    return event;
}

/* ---- running ---- */

/* What the row of a job that has not been run says. */
struct store_run job_row(const struct job *job, const char *status)
{
    return (struct store_run){.id = job->id,
                              .kind = job_kind(job),
                              .status = status,
                              .model = job->model,
                              .proves = job->request.proves_run,
                              .mode = job->request.quick ? "quick" : "full",
                              .created_ms = job->created_ms,
                              .duration_s = NAN,
                              .tokens_per_second = NAN,
                              .decode_tps = NAN,
                              .prefill_tps = NAN,
                              .ttft_ms = NAN,
                              .memory_bytes = NAN,
                              .decode_log_mean = NAN,
                              .decode_log_sd = NAN,
                              .request = job->request_text};
}

/* The status of a run that came back: what the report says, unless the error or nothing at all says more. */
static const char *status_of(const json_t *report, int code)
{
    if (code == ERROR_CANCELLED || (!code && json_get_is(report, "status", "cancelled")))
        return "cancelled";
    return !code && json_get_is(report, "status", "success") ? "success" : "failed";
}

/* Writes the end of a job, tells it, and lets go of what only a job that goes on needs. */
static void end_job(struct job *job, const struct store_run *run)
{
    char why[ERROR_MESSAGE_MAX];
    struct error error = {0};
    if (jobs_save_end(job->jobs, run, why, sizeof why, &error))
        snprintf(why, sizeof why, "%s", error.message); /* not even memory took it */
    json_t *event = job_end_event(run, why);
    pthread_mutex_lock(&job->jobs->lock);
    if (event)
        job_events_add(&job->events, event);
    job->state = JOB_OVER;
    pthread_cond_broadcast(&job->jobs->changed);
    pthread_mutex_unlock(&job->jobs->lock);
    json_decref(event);
}

static void end_with_report(struct job *job, json_t *report, const struct error *error)
{
    struct report_row row;
    report_row(report, &row);
    struct store_run *run = &row.run;
    run->id = job->id;
    run->kind = job_kind(job);
    run->created_ms = job->created_ms;
    run->request = job->request_text;
    run->status = status_of(report, error->code);
    run->proves = job->request.proves_run;
    const json_t *proof = run_is_success(run) ? json_get_object(report, "proof") : NULL;
    char *proof_text = proof ? json_dumps(proof, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    run->proof = proof_text;
    if (error->code)
        run->message = error->message;
    if (!run->model)
        run->model = job->model;
    if (!run->mode)
        run->mode = job->request.quick ? "quick" : "full";
    char *text = NULL;
    if (report) {
        json_object_set_new(report, "run_id", json_string(job->id));
        json_object_set_new(report, "status", json_string(run->status));
        if (error->code) /* else it is the report's own, which `run` points to */
            json_object_set_new(report, "message", json_string(error->message));
        text = json_dumps(report, JSON_COMPACT | JSON_REAL_PRECISION(12));
    }
    run->report = text;
    end_job(job, run);
    free(text);
    free(proof_text);
}

void job_cancel_unrun(struct job *job)
{
    struct store_run run = job_row(job, "cancelled");
    run.message = "cancelled before it began";
    end_job(job, &run);
}

static void run_job(struct job *job)
{
    struct jobs *jobs = job->jobs;
    if (atomic_load(&job->cancel)) {
        job_cancel_unrun(job);
        return;
    }
    jobs_lock_name(jobs->lock_descriptor, job->id);
    save_begin(jobs, job->id);
    tell_begin(job);
    struct run_hooks hooks = {
        .on_event = on_event, .context = job, .cancel = &job->cancel, .gate = jobs->gate};
    struct error error = {0};
    json_t *report = NULL;
    int status = jobs->run(&job->request, &hooks, &report, &error);
    error.code = status; /* also where somebody returned a code without filling the error */
    if (status && !error.message[0])
        error_set(&error, status, "the run ended without saying why");
    end_with_report(job, report, &error);
    json_decref(report);
}

static struct job *next_job(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    struct job *job = jobs->list;
    while (job && job->state != JOB_WAITING)
        job = job->next;
    if (job) {
        job->state = JOB_RUNNING;
        job->started_ms = jobs_now_ms();
        memcpy(jobs->current, job->id, JOBS_ID);
        pthread_cond_broadcast(&jobs->changed);
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

static void let_go(struct jobs *jobs)
{
    jobs_lock_release(jobs->lock_descriptor);
    pthread_mutex_lock(&jobs->lock);
    jobs->busy = false;
    jobs->current[0] = '\0';
    jobs_forget_old(jobs);
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

void *jobs_thread(void *context)
{
    struct jobs *jobs = context;
    struct job *job;
    while ((job = next_job(jobs)))
        run_job(job);
    let_go(jobs);
    return NULL;
}
