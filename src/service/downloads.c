/* The list of downloads under one lock, and what its clients do to it. A job is freed only when it is over,
 * so that the thread's own (downloads_run.c) is never pulled from under it. */
#include "service/downloads.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "platform/clock.h"
#include "service/downloads_internal.h"

enum { HOLD_WAIT_MS = 1000 };

/* ---- with the lock held ---- */

bool download_is_over(const struct download *job)
{
    return job->state == DOWNLOAD_COMPLETE || job->state == DOWNLOAD_FAILED ||
           job->state == DOWNLOAD_CANCELLED;
}

/* Does the thread have it? */
static bool is_running(const struct download *job)
{
    return job->state == DOWNLOAD_LISTING || job->state == DOWNLOAD_FETCHING ||
           job->state == DOWNLOAD_VERIFYING;
}

void download_tell(struct download *job)
{
    job->version = ++job->owner->last_version;
    job->told_ns = clock_now_ns();
    pthread_cond_broadcast(&job->owner->changed);
}

void download_set_state(struct download *job, enum download_state state)
{
    job->state = state;
    download_tell(job);
}

static int find(struct downloads *downloads, const char *id, size_t *index, struct error *error)
{
    for (size_t i = 0; id && i < downloads->n_jobs; i++)
        if (strcmp(downloads->jobs[i]->id, id) == 0) {
            *index = i;
            return 0;
        }
    return error_set(error, ERROR_NOT_FOUND,
                     "there is no such download; GET /api/models/downloads lists them");
}

static void forget(struct downloads *downloads, size_t index)
{
    free(downloads->jobs[index]);
    downloads->n_jobs--;
    memmove(downloads->jobs + index, downloads->jobs + index + 1,
            (downloads->n_jobs - index) * sizeof *downloads->jobs);
    pthread_cond_broadcast(&downloads->changed);
}

int download_queue(struct download *job, struct error *error)
{
    struct downloads *downloads = job->owner;
    size_t waiting = 0;
    for (size_t i = 0; i < downloads->n_jobs; i++)
        waiting += downloads->jobs[i]->state == DOWNLOAD_QUEUED;
    if (downloads->stopping)
        return error_set(error, ERROR_CANCELLED, "the server is stopping");
    if (waiting >= DOWNLOADS_WAITING)
        return error_set(error, ERROR_BUSY,
                         "%zu downloads are waiting already; ask again when one has ended, or cancel one",
                         waiting);
    job->wish = DOWNLOAD_GO_ON;
    job->turn = ++downloads->last_turn;
    job->error = (struct error){0};
    job->bytes_per_second = job->eta_s = (double)NAN;
    download_set_state(job, DOWNLOAD_QUEUED);
    return 0;
}

static int reply(const struct download *job, json_t **out, struct error *error)
{
    *out = download_json(job);
    return *out ? 0 : error_memory(error, "a download", 0);
}

/* ---- opening and closing ---- */

int downloads_open(const struct downloads_options *options, struct downloads **out, struct error *error)
{
    struct downloads *downloads = calloc(1, sizeof *downloads);
    *out = NULL;
    if (!downloads)
        return error_memory(error, "downloads", sizeof *downloads);
    downloads->options = *options;
    pthread_mutex_init(&downloads->lock, NULL);
    clock_cond_init(&downloads->changed);
    int number = pthread_create(&downloads->thread, NULL, downloads_work, downloads);
    if (number) {
        pthread_cond_destroy(&downloads->changed);
        pthread_mutex_destroy(&downloads->lock);
        free(downloads);
        return error_set(error, ERROR_IO, "cannot start the thread that downloads: %s", strerror(number));
    }
    *out = downloads;
    return 0;
}

void downloads_stop(struct downloads *downloads)
{
    if (!downloads)
        return;
    pthread_mutex_lock(&downloads->lock);
    downloads->stopping = true;
    pthread_cond_broadcast(&downloads->changed);
    pthread_mutex_unlock(&downloads->lock);
}

void downloads_hold(struct downloads *downloads, bool held)
{
    if (!downloads)
        return;
    const struct timespec until = clock_in_ms(HOLD_WAIT_MS);
    int failed = 0;
    pthread_mutex_lock(&downloads->lock);
    downloads->held = held;
    for (size_t i = 0; i < downloads->n_jobs; i++)
        if (is_running(downloads->jobs[i]))
            download_tell(downloads->jobs[i]); /* its note */
    pthread_cond_broadcast(&downloads->changed);
    while (held && !downloads->resting && !downloads->stopping && !failed)
        failed = clock_cond_wait(&downloads->changed, &downloads->lock, &until);
    pthread_mutex_unlock(&downloads->lock);
}

void downloads_close(struct downloads *downloads)
{
    if (!downloads)
        return;
    downloads_stop(downloads);
    pthread_join(downloads->thread, NULL);
    for (size_t i = 0; i < downloads->n_jobs; i++)
        free(downloads->jobs[i]);
    pthread_cond_destroy(&downloads->changed);
    pthread_mutex_destroy(&downloads->lock);
    free(downloads);
}

/* ---- starting ---- */

static int split(const char *model, struct download *out, struct error *error)
{
    const char *at = strchr(model, '@');
    size_t length = at ? (size_t)(at - model) : strlen(model);
    if (length > HUB_MAX_REPOSITORY || (at && strlen(at + 1) > HUB_MAX_REVISION))
        return error_set(error, ERROR_INVALID, "the name of the model is too long");
    memcpy(out->repository, model, length);
    int status = hub_check_repository(out->repository, error);
    if (!status && at) {
        status = hub_check_revision(at + 1, error);
        snprintf(out->revision, sizeof out->revision, "%s", at + 1);
    }
    return status;
}

/* *out: the list's. */
static int add(struct downloads *downloads, const struct download *wanted, struct download **out,
               struct error *error)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return error_set(error, ERROR_IO, "no random number for a download: %s", strerror(errno));
    for (size_t i = 0; downloads->n_jobs == DOWNLOADS_KEPT && i < DOWNLOADS_KEPT; i++)
        if (download_is_over(downloads->jobs[i]))
            forget(downloads, i);
    if (downloads->n_jobs == DOWNLOADS_KEPT)
        return error_set(error, ERROR_BUSY, "%d downloads are paused or waiting; cancel one first",
                         DOWNLOADS_KEPT);
    struct download *job = malloc(sizeof *job);
    if (!job)
        return error_memory(error, "a download", sizeof *job);
    *job = *wanted;
    job->owner = downloads;
    snprintf(job->id, sizeof job->id, "%016" PRIx64, number);
    clock_wall_rfc3339(job->created, sizeof job->created);
    int status = download_queue(job, error);
    if (status) {
        free(job);
        return status;
    }
    downloads->jobs[downloads->n_jobs++] = job;
    *out = job;
    return 0;
}

static struct download *same_model(struct downloads *downloads, const struct download *wanted)
{
    for (size_t i = 0; i < downloads->n_jobs; i++)
        if (strcmp(downloads->jobs[i]->repository, wanted->repository) == 0 &&
            strcmp(downloads->jobs[i]->revision, wanted->revision) == 0)
            return downloads->jobs[i];
    return NULL;
}

/* Whatever it is doing, it is wanted now. */
static int go_on(struct download *job, struct error *error)
{
    job->wish = DOWNLOAD_GO_ON;
    return job->state == DOWNLOAD_PAUSED || download_is_over(job) ? download_queue(job, error) : 0;
}

int downloads_start(struct downloads *downloads, const char *model, bool forced, json_t **out,
                    struct error *error)
{
    struct download wanted = {.forced = forced};
    int status = split(model, &wanted, error);
    if (status)
        return status;
    pthread_mutex_lock(&downloads->lock);
    struct download *job = same_model(downloads, &wanted);
    if (job) {
        job->forced = job->forced || forced;
        status = go_on(job, error);
    } else {
        status = add(downloads, &wanted, &job, error);
    }
    if (!status)
        status = reply(job, out, error); /* NOLINT(clang-analyzer-unix.Malloc): the list has it */
    pthread_mutex_unlock(&downloads->lock);
    return status;
}

/* ---- looking ---- */

json_t *downloads_list(struct downloads *downloads)
{
    json_t *list = json_array();
    bool failed = !list;
    pthread_mutex_lock(&downloads->lock);
    for (size_t i = 0; i < downloads->n_jobs; i++)
        failed = json_array_append_new(list, download_json(downloads->jobs[i])) || failed;
    pthread_mutex_unlock(&downloads->lock);
    if (failed) {
        json_decref(list);
        return NULL;
    }
    return list;
}

int downloads_get(struct downloads *downloads, const char *id, json_t **out, struct error *error)
{
    uint64_t version = 0;
    bool over;
    return downloads_wait(downloads, id, &version, 0, out, &over, error);
}

int downloads_wait(struct downloads *downloads, const char *id, uint64_t *version, uint32_t wait_ms,
                   json_t **out, bool *over, struct error *error)
{
    struct timespec until = clock_in_ms(wait_ms);
    size_t index = 0;
    int status, waited = 0;
    *out = NULL;
    *over = false;
    pthread_mutex_lock(&downloads->lock);
    uint64_t wakes = downloads->wakes;
    while (!(status = find(downloads, id, &index, error)) && downloads->jobs[index]->version <= *version &&
           wait_ms > 0 && !waited && !downloads->stopping && wakes == downloads->wakes)
        waited = clock_cond_wait(&downloads->changed, &downloads->lock, &until);
    if (!status) {
        const struct download *job = downloads->jobs[index];
        if (job->version > *version)
            status = reply(job, out, error);
        *version = job->version;
        *over = download_is_over(job) || downloads->stopping;
    }
    pthread_mutex_unlock(&downloads->lock);
    return status;
}

void downloads_wake(struct downloads *downloads)
{
    pthread_mutex_lock(&downloads->lock);
    downloads->wakes++;
    pthread_cond_broadcast(&downloads->changed);
    pthread_mutex_unlock(&downloads->lock);
}

bool downloads_has(struct downloads *downloads, const char *repository)
{
    bool has = false;
    pthread_mutex_lock(&downloads->lock);
    for (size_t i = 0; !has && i < downloads->n_jobs; i++) {
        const struct download *job = downloads->jobs[i];
        has = strcmp(job->repository, repository) == 0 && (job->state == DOWNLOAD_QUEUED || is_running(job));
    }
    pthread_mutex_unlock(&downloads->lock);
    return has;
}

/* ---- changing ---- */

static int pause_job(struct download *job, struct error *error)
{
    if (download_is_over(job))
        return error_set(error, ERROR_UNSUPPORTED, "this download is over, so it cannot be paused");
    job->wish = DOWNLOAD_PAUSE;
    if (job->state == DOWNLOAD_QUEUED)
        download_set_state(job, DOWNLOAD_PAUSED);
    return 0;
}

static int resume_job(struct download *job, struct error *error)
{
    if (job->state == DOWNLOAD_COMPLETE)
        return error_set(error, ERROR_UNSUPPORTED, "this download is complete");
    return go_on(job, error);
}

static int cancel_job(struct download *job, struct error *error)
{
    (void)error;
    job->wish = DOWNLOAD_CANCEL;
    if (!is_running(job) && !download_is_over(job))
        download_set_state(job, DOWNLOAD_CANCELLED);
    return 0;
}

static int change(struct downloads *downloads, const char *id, bool may_forget,
                  int (*how)(struct download *job, struct error *error), json_t **out, struct error *error)
{
    size_t index = 0;
    pthread_mutex_lock(&downloads->lock);
    int status = find(downloads, id, &index, error);
    bool forgets = !status && may_forget && download_is_over(downloads->jobs[index]);
    if (!status && !forgets)
        status = how(downloads->jobs[index], error);
    pthread_cond_broadcast(&downloads->changed); /* the thread may rest */
    if (!status)
        status = reply(downloads->jobs[index], out, error);
    if (!status && forgets)
        forget(downloads, index);
    pthread_mutex_unlock(&downloads->lock);
    return status;
}

int downloads_pause(struct downloads *downloads, const char *id, json_t **out, struct error *error)
{
    return change(downloads, id, false, pause_job, out, error);
}

int downloads_resume(struct downloads *downloads, const char *id, json_t **out, struct error *error)
{
    return change(downloads, id, false, resume_job, out, error);
}

int downloads_cancel(struct downloads *downloads, const char *id, json_t **out, struct error *error)
{
    return change(downloads, id, true, cancel_job, out, error);
}
