/* Starting a run, or a batch of them.
 *
 * The whole batch is read and resolved first, so that a wrong request leaves no row; then this process
 * becomes the one that runs (`busy`), and the one of the data folder (jobs_lock.c); then come the rows, then
 * the thread (jobs_run.c), which takes the waiting jobs in order and goes when there is none. The next start
 * joins it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "profile/jobs_internal.h"

static void name_models(const struct profile_request *request, char *out, size_t capacity)
{
    size_t used = 0;
    snprintf(out, capacity, "%s",
             request->target_model ? request->target_model
             : request->target_url ? request->target_url
                                   : "");
    for (size_t i = 0; !request->target_url && i < request->n_models && used + 1 < capacity; i++) {
        int n = snprintf(out + used, capacity - used, "%s%s", i ? ", " : "",
                         profile_model_label(&request->models[i]));
        used += n > 0 ? (size_t)n : 0;
    }
    jobs_trim(out);
}

/* Job i of what is asked for; *n is how many there are. */
static int make_job(struct jobs *jobs, const json_t *request, size_t i, struct job **out, size_t *n,
                    struct error *error)
{
    struct job *job = calloc(1, sizeof *job);
    *out = NULL;
    if (!job)
        return error_memory(error, "a profiling run", sizeof *job);
    arena_init(&job->arena);
    job->jobs = jobs;
    job->progress = job->eta_s = NAN;
    struct profile_request *wish = &job->request;
    int status = profile_request_read(request, &job->arena, wish, error);
    if (!status && wish->kind == PROFILE_MODEL && !wish->target_url) {
        *n = wish->n_models ? wish->n_models : 1;
        wish->models[0] = wish->n_models ? wish->models[i] : (struct profile_model){.name = ""};
        wish->n_models = 1;
    } else {
        *n = 1;
    }
    if (!status && jobs->resolve)
        jobs->resolve(jobs->context, wish, &job->arena);
    if (!status && wish->n_models && !wish->models[0].name[0])
        wish->models[0].name = "builtin";
    json_t *json = status ? NULL : profile_request_json(wish);
    job->request_text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!status && !job->request_text)
        status = error_memory(error, "a profiling run", 0);
    if (!status)
        status = jobs_new_id(job->id, error);
    if (status) {
        job_free(job);
        return status;
    }
    name_models(wish, job->model, sizeof job->model);
    *out = job;
    return 0;
}

static void free_jobs(struct job *list)
{
    for (struct job *next; list; list = next) {
        next = list->next;
        job_free(list);
    }
}

/* The whole batch, in order. */
static int make_batch(struct jobs *jobs, const json_t *request, struct job **out, struct error *error)
{
    size_t n = 1;
    struct job **end = out;
    int status = 0;
    *out = NULL;
    for (size_t i = 0; !status && i < n; i++) {
        status = make_job(jobs, request, i, end, &n, error);
        if (!status)
            end = &(*end)->next;
    }
    const struct profile_request *first = *out ? &(*out)->request : NULL;
    if (!status && n == 1 && first && first->kind != PROFILE_COMPARE && first->n_models == 1 &&
        first->models[0].problem)
        status = error_set(error, ERROR_NOT_FOUND, "%s", first->models[0].problem);
    if (status) {
        free_jobs(*out);
        *out = NULL;
    }
    return status;
}

/* Whether the thread has nothing left but to go: that is no reason to refuse anybody. Under lock. */
static bool is_leaving(const struct jobs *jobs)
{
    for (const struct job *job = jobs->list; job; job = job->next)
        if (job->state != JOB_OVER)
            return false;
    return !jobs->starting;
}

static int busy(const char *id, const char *model, struct error *error)
{
    return error_set(error, ERROR_BUSY, "a profiling run is going on (%s%s%s)", id, model[0] ? ": " : "",
                     model);
}

/* Makes this process the one that runs. id: the new run's, or on ERROR_BUSY the running one's. */
static int claim(struct jobs *jobs, const struct timespec *deadline, char id[JOBS_ID], struct error *error)
{
    int status = 0;
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->stopping && jobs->busy && (is_leaving(jobs) || jobs_left_ms(deadline) > 0)) {
        if (is_leaving(jobs))
            pthread_cond_wait(&jobs->changed, &jobs->lock);
        else
            clock_cond_wait(&jobs->changed, &jobs->lock, deadline);
    }
    if (jobs->stopping) {
        status = error_set(error, ERROR_CANCELLED, "the program is stopping");
        id[0] = '\0';
    } else if (jobs->busy) {
        const struct job *running = jobs_find_job(jobs, jobs->current);
        status = busy(jobs->current, running ? running->model : "", error);
        memcpy(id, jobs->current, JOBS_ID);
    } else {
        jobs->busy = jobs->starting = true;
        memcpy(jobs->current, id, JOBS_ID);
    }
    pthread_mutex_unlock(&jobs->lock);
    return status;
}

/* After claim, when it came to nothing. */
static void unclaim(struct jobs *jobs)
{
    jobs_lock_release(jobs->lock_descriptor);
    pthread_mutex_lock(&jobs->lock);
    jobs->busy = jobs->starting = false;
    jobs->current[0] = '\0';
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

/* Rows of a batch: the first one runs, the others wait. What was open before is nobody's: we hold the lock.
 */
static int write_rows(struct jobs *jobs, struct job *batch, struct error *error)
{
    int64_t now = jobs_now_ms();
    now = now > jobs->last_created_ms ? now : jobs->last_created_ms + 1;
    pthread_mutex_lock(&jobs->saving);
    int status = kept_has_room(jobs, error);
    if (!status && jobs->store)
        jobs_interrupt_open(jobs);
    pthread_mutex_unlock(&jobs->saving);
    for (struct job *job = batch; job && !status; job = job->next) {
        job->created_ms = jobs->last_created_ms = now++; /* so that lists have them in order */
        struct store_run run = job_row(job, job == batch ? "running" : "waiting");
        status = jobs_save_new(jobs, &run, error);
    }
    return status;
}

/* It came to nothing: what was written of it goes. */
static void forget_rows(struct jobs *jobs, const struct job *batch)
{
    for (const struct job *job = batch; job; job = job->next)
        if (job->created_ms)
            history_forget(jobs, job->id, NULL);
}

/* The rows are there: from here on everybody sees the batch. */
static int hand_over(struct jobs *jobs, struct job *batch, struct error *error)
{
    jobs_join_thread(jobs); /* the last batch's, which is at its end */
    pthread_mutex_lock(&jobs->lock);
    struct job **end = &jobs->list;
    while (*end)
        end = &(*end)->next;
    *end = batch;
    jobs->batches++;
    for (struct job *job = batch; job; job = job->next) {
        job->batch = jobs->batches;
        if (jobs->stopping) /* since claim */
            atomic_store(&job->cancel, 1);
    }
    int status = 0;
    if (pthread_create(&jobs->thread, NULL, jobs_thread, jobs)) {
        status = error_memory(error, "a thread", 0);
        *end = NULL;
    } else {
        jobs->has_thread = true;
        jobs->starting = false;
    }
    pthread_mutex_unlock(&jobs->lock);
    return status;
}

void jobs_stop(struct jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->stopping = true;
    for (struct job *job = jobs->list; job; job = job->next)
        atomic_store(&job->cancel, 1);
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

bool jobs_idle(struct jobs *jobs, uint32_t wait_ms)
{
    struct timespec deadline = clock_in_ms(wait_ms);
    pthread_mutex_lock(&jobs->lock);
    while (jobs->busy && !jobs->stopping && jobs_left_ms(&deadline) > 0)
        clock_cond_wait(&jobs->changed, &jobs->lock, &deadline);
    bool idle = !jobs->busy || jobs->stopping;
    pthread_mutex_unlock(&jobs->lock);
    return idle;
}

int jobs_start(struct jobs *jobs, const json_t *request, uint32_t wait_ms, char id[JOBS_ID],
               struct error *error)
{
    struct job *batch;
    struct jobs_holder holder;
    struct timespec deadline = clock_in_ms(wait_ms);
    id[0] = '\0';
    int status = make_batch(jobs, request, &batch, error);
    if (status || !batch)
        return status;
    memcpy(id, batch->id, JOBS_ID);
    status = claim(jobs, &deadline, id, error);
    if (status) {
        free_jobs(batch);
        return status;
    }
    status = jobs_lock_take(jobs->folder, jobs_left_ms(&deadline), &jobs->lock_descriptor, &holder, error);
    if (status)
        memcpy(id, holder.id, JOBS_ID);
    else
        jobs_lock_name(jobs->lock_descriptor, id);
    if (!status)
        status = write_rows(jobs, batch, error);
    if (!status)
        status = hand_over(jobs, batch, error);
    if (status) {
        forget_rows(jobs, batch);
        unclaim(jobs);
        free_jobs(batch);
    }
    return status;
}
