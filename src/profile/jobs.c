/* Jobs: opening and closing, waiting, cancelling, asking what goes on.
 *
 * Most questions are about a run of this process, which the list of jobs answers; a run that was forgotten
 * there, or is another process's, is asked of its row (history.c).
 */
#include "profile/jobs.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "platform/clock.h"
#include "profile/jobs_internal.h"
#include "profile/json_put.h"

enum { OTHER_POLL_MS = 200 }; /* how often another process's run is looked at by who waits for it */

/* ---- ids and times ---- */

int64_t jobs_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int jobs_new_id(char out[JOBS_ID], struct error *error)
{
    unsigned char bytes[(JOBS_ID - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return error_set(error, ERROR_IO, "the system gives no random numbers");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return 0;
}

bool jobs_id_is_valid(const char *id)
{
    return strspn(id, "0123456789abcdef") == JOBS_ID - 1 && id[JOBS_ID - 1] == '\0';
}

int jobs_not_found(struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "there is no profiling run with this id");
}

/* ---- jobs; under lock ---- */

struct job *jobs_find_job(const struct jobs *jobs, const char *id)
{
    struct job *job = jobs->list;
    while (job && strcmp(job->id, id) != 0)
        job = job->next;
    return job;
}

void job_free(struct job *job)
{
    if (!job)
        return;
    job_events_free(&job->events);
    arena_free(&job->arena);
    free(job->request_text);
    free(job);
}

/* Of runs that are over only the last few are remembered here. */
void jobs_forget_old(struct jobs *jobs)
{
    size_t n_over = 0;
    for (const struct job *job = jobs->list; job; job = job->next)
        n_over += job->state == JOB_OVER;
    while (n_over > JOBS_KEEP_EVENTS_OF) {
        struct job **at = &jobs->list;
        while ((*at)->state != JOB_OVER)
            at = &(*at)->next;
        struct job *old = *at;
        *at = old->next;
        job_free(old);
        n_over--;
    }
}

/* ---- opening and closing ---- */

int jobs_open_with(const struct jobs_options *options, jobs_run *run, struct jobs **out, struct error *error)
{
    *out = NULL;
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        return error_memory(error, "profiling runs", sizeof *jobs);
    jobs->store = options->store;
    jobs->gate = options->gate;
    jobs->resolve = options->resolve;
    jobs->context = options->context;
    jobs->run = run;
    jobs->lock_descriptor = -1;
    jobs->why_unsaved = strdup(options->why_unsaved ? options->why_unsaved : "there is no database");
    jobs->folder = options->data_folder ? strdup(options->data_folder) : NULL;
    clock_cond_init(&jobs->changed);
    pthread_mutex_init(&jobs->saving, NULL);
    pthread_mutex_init(&jobs->lock, NULL);
    if (!jobs->why_unsaved || (options->data_folder && !jobs->folder)) {
        jobs_close(jobs);
        return error_memory(error, "profiling runs", 0);
    }
    jobs_look(jobs);
    *out = jobs;
    return 0;
}

int jobs_open(const struct jobs_options *options, struct jobs **out, struct error *error)
{
    return jobs_open_with(options, run_profile, out, error);
}

void jobs_join_thread(struct jobs *jobs)
{
    if (jobs->has_thread)
        pthread_join(jobs->thread, NULL);
    jobs->has_thread = false;
}

void jobs_close(struct jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->list; job; job = job->next)
        atomic_store(&job->cancel, 1);
    pthread_mutex_unlock(&jobs->lock);
    jobs_join_thread(jobs);
    kept_save_all(jobs); /* the last chance */
    while (jobs->kept)
        kept_drop(jobs, jobs->kept);
    for (struct job *next, *job = jobs->list; job; job = next) {
        next = job->next;
        job_free(job);
    }
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->saving);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs->why_unsaved);
    free(jobs->folder);
    free(jobs);
}

/* ---- waiting ---- */

/* Milliseconds until then; 0: it is past. */
uint32_t jobs_left_ms(const struct timespec *deadline)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t left = (deadline->tv_sec - now.tv_sec) * 1000 + (deadline->tv_nsec - now.tv_nsec) / 1000000;
    return left > 0 ? (uint32_t)left : 0;
}

/* ---- what goes on ---- */

/* Whether a run that this process did not start is over, as far as rows say. */
static int row_is_over(struct jobs *jobs, const char *id, bool *over, struct error *error)
{
    struct found_run found;
    int status = history_find(jobs, id, &found, error);
    if (status)
        return status;
    *over = !run_is_open(&found.run);
    found_run_free(&found);
    return 0;
}

static void pause_ms(uint32_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
}

/* The same for another process's run. 1: over, 0: not yet. */
static int wait_for_row(struct jobs *jobs, const char *id, bool forever, const struct timespec *deadline,
                        struct error *error)
{
    for (;;) {
        bool over = false;
        int status = row_is_over(jobs, id, &over, error);
        if (status || over)
            return status ? status : 1;
        uint32_t left = forever ? OTHER_POLL_MS : jobs_left_ms(deadline);
        if (left == 0)
            return 0;
        pause_ms(left < OTHER_POLL_MS ? left : OTHER_POLL_MS);
    }
}

int jobs_wait(struct jobs *jobs, const char *id, uint32_t wait_ms, struct error *error)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    bool was_here = false, timed_out = false, over = false;
    pthread_mutex_lock(&jobs->lock);
    for (;;) {
        const struct job *job = jobs_find_job(jobs, id); /* anew: one that is over may be forgotten */
        was_here = was_here || job;
        over = was_here && (!job || job->state == JOB_OVER);
        if (!job || over || timed_out)
            break;
        if (wait_ms == 0)
            pthread_cond_wait(&jobs->changed, &jobs->lock);
        else
            timed_out = clock_cond_wait(&jobs->changed, &jobs->lock, &deadline) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (was_here)
        return over;
    return wait_for_row(jobs, id, wait_ms == 0, &deadline, error);
}

int jobs_cancel(struct jobs *jobs, const char *id, struct error *error)
{
    bool over = false, waited = false;
    pthread_mutex_lock(&jobs->lock);
    struct job *job = jobs_find_job(jobs, id);
    if (job) {
        atomic_store(&job->cancel, 1);
        waited = job->state == JOB_WAITING;
        if (waited)
            job->state = JOB_RUNNING; /* so that nobody else takes it */
    }
    pthread_mutex_unlock(&jobs->lock);
    if (waited)
        job_cancel_unrun(job);
    if (job)
        return 0;
    int status = row_is_over(jobs, id, &over, error);
    if (!status && !over)
        status = error_set(error, ERROR_UNSUPPORTED,
                           "this run goes on in another process: it can only be cancelled there");
    return status;
}

json_t *jobs_running(struct jobs *jobs)
{
    json_t *out = NULL;
    pthread_mutex_lock(&jobs->lock);
    const struct job *job = jobs->list;
    json_int_t waiting = 0;
    while (job && job->state != JOB_RUNNING)
        job = job->next;
    for (const struct job *next = job ? job->next : NULL; next; next = next->next)
        waiting += next->state == JOB_WAITING;
    if (job) {
        out = json_pack("{s:s, s:s, s:s, s:I}", "run_id", job->id, "kind", job_kind(job), "model", job->model,
                        "waiting", waiting);
        json_put_string(out, "phase", job->phase[0] ? job->phase : NULL, "it has just begun");
        json_put_string(out, "step", job->step[0] ? job->step : NULL, "this phase has no steps");
        json_put_number(out, "progress", job->progress, "not known yet");
        json_put_number(out, "eta_s", job->eta_s, "not known yet");
        jobs_put_time(out, "started", job->started_ms);
    }
    pthread_mutex_unlock(&jobs->lock);
    return job ? out : json_null();
}

int jobs_batch(struct jobs *jobs, const char *id, json_t **ids, struct error *error)
{
    *ids = json_array();
    pthread_mutex_lock(&jobs->lock);
    const struct job *job = jobs_find_job(jobs, id);
    for (const struct job *other = job ? jobs->list : NULL; other; other = other->next)
        if (other->batch == job->batch)
            json_array_append_new(*ids, json_string(other->id));
    pthread_mutex_unlock(&jobs->lock);
    bool over;
    int status = job ? 0 : row_is_over(jobs, id, &over, error);
    if (!status && !job)
        json_array_append_new(*ids, json_string(id));
    if (status) {
        json_decref(*ids);
        *ids = NULL;
    }
    return status;
}

/* ---- events ---- */

/* Of a run that is not (any more) one of ours: its end, if it came. */
static int end_of_row(struct jobs *jobs, const char *id, uint64_t after, json_t *out, bool *over,
                      struct error *error)
{
    struct found_run found;
    int status = history_find(jobs, id, &found, error);
    if (status)
        return status;
    *over = !run_is_open(&found.run);
    if (*over) {
        struct job_events events = {.last_number = after};
        json_t *event = job_end_event(&found.run, found.unsaved ? found.why : "");
        if (event)
            job_events_add(&events, event);
        json_decref(event);
        job_events_after(&events, after, out);
        job_events_free(&events);
    }
    found_run_free(&found);
    return 0;
}

int jobs_events(struct jobs *jobs, const char *id, uint64_t after, uint32_t wait_ms, json_t **events,
                bool *over, struct error *error)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    bool here = false;
    *over = false;
    *events = json_array();
    if (!*events)
        return error_memory(error, "events", 0);
    pthread_mutex_lock(&jobs->lock);
    for (const struct job *job; (job = jobs_find_job(jobs, id));) {
        here = true;
        bool more = job_events_after(&job->events, after, *events);
        *over = job->state == JOB_OVER && !more;
        if (*over || json_array_size(*events) > 0 || jobs_left_ms(&deadline) == 0)
            break;
        here = false; /* it may be forgotten meanwhile */
        clock_cond_wait(&jobs->changed, &jobs->lock, &deadline);
    }
    pthread_mutex_unlock(&jobs->lock);
    int status = here ? 0 : end_of_row(jobs, id, after, *events, over, error);
    if (!status && !here && !*over && jobs_left_ms(&deadline) > 0) { /* another process's */
        status = wait_for_row(jobs, id, false, &deadline, error);
        status = status == 1 ? end_of_row(jobs, id, after, *events, over, error) : status;
    }
    if (status) {
        json_decref(*events);
        *events = NULL;
    }
    return status;
}
