/* The one thread that fetches. It never holds the lock while it does; what clients wish it hears when
 * hub_pull reports, about ten times a second. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "platform/clock.h"
#include "service/downloads_internal.h"

static const uint64_t TELL_NS = 250000000;

/* With the lock held: until nobody measures, or the wait has become pointless. */
static void rest(struct downloads *downloads, const struct download *job)
{
    while (downloads->held && !downloads->stopping && (!job || job->wish == DOWNLOAD_GO_ON)) {
        if (!downloads->resting) {
            downloads->resting = true;
            pthread_cond_broadcast(&downloads->changed);
        }
        pthread_cond_wait(&downloads->changed, &downloads->lock);
    }
    downloads->resting = false;
}

static bool on_progress(void *context, const struct hub_progress *progress)
{
    struct download *job = context;
    struct downloads *downloads = job->owner;
    pthread_mutex_lock(&downloads->lock);
    bool listing =
        progress->phase == HUB_LISTING || (progress->phase == HUB_PAUSING && !progress->total_bytes);
    enum download_state state = listing                            ? DOWNLOAD_LISTING
                                : progress->phase == HUB_VERIFYING ? DOWNLOAD_VERIFYING
                                                                   : DOWNLOAD_FETCHING;
    bool told = state != job->state || progress->phase != job->phase;
    job->state = state;
    job->phase = progress->phase;
    if (progress->total_bytes) {
        job->total_bytes = progress->total_bytes;
        job->done_bytes = progress->done_bytes;
        job->n_files = progress->n_files;
        job->file_index = progress->file_index;
    }
    job->bytes_per_second = progress->bytes_per_second;
    job->eta_s = progress->eta_s;
    snprintf(job->file, sizeof job->file, "%s", progress->file ? progress->file : "");
    if (told || clock_now_ns() - job->told_ns >= TELL_NS)
        download_tell(job);
    rest(downloads, job);
    bool go_on = job->wish == DOWNLOAD_GO_ON && !downloads->stopping;
    pthread_mutex_unlock(&downloads->lock);
    return go_on;
}

static int before(void *context, const struct hub_plan *plan, struct error *error)
{
    struct download *job = context;
    struct downloads *downloads = job->owner;
    char judgement[DOWNLOADS_JUDGEMENT] = "";
    pthread_mutex_lock(&downloads->lock);
    bool forced = job->forced;
    pthread_mutex_unlock(&downloads->lock);
    int status = downloads->options.judge(downloads->options.context, plan->config_path, plan->repository,
                                          forced, judgement, error);
    pthread_mutex_lock(&downloads->lock);
    memcpy(job->judgement, judgement, sizeof judgement);
    job->refused = status == ERROR_UNSUPPORTED || status == ERROR_LIMIT;
    job->total_bytes = plan->total_bytes;
    job->done_bytes = plan->total_bytes - plan->missing_bytes;
    job->n_files = plan->n_files;
    download_tell(job);
    pthread_mutex_unlock(&downloads->lock);
    return status;
}

/* repository and revision never change, so they are read without the lock. */
static int fetch(struct download *job, bool forced, struct hub_result *result, struct error *error)
{
    struct hub_settings settings;
    const struct hub_pull_options wish = {.repository = job->repository,
                                          .revision = job->revision[0] ? job->revision : NULL,
                                          .any_model = forced,
                                          .before = before,
                                          .progress = on_progress,
                                          .context = job};
    /* read anew each time: who has logged in meanwhile need not start the server again */
    int status = hub_settings_read(&settings, error);
    if (!status)
        status = hub_pull(&settings, &wish, result, error);
    if (status && settings.cache) /* clients learn of no folder */
        error_replace(error, settings.cache, "the models' cache");
    hub_settings_free(&settings);
    return status;
}

/* A wish that came too late to be heard is obeyed here: one that goes on after all is queued again. */
static void end_stopped(struct download *job)
{
    if (job->wish == DOWNLOAD_CANCEL)
        download_set_state(job, DOWNLOAD_CANCELLED);
    else if (job->wish == DOWNLOAD_PAUSE || download_queue(job, NULL))
        download_set_state(job, DOWNLOAD_PAUSED);
}

static void end(struct download *job, int status, const struct hub_result *result, const struct error *error)
{
    if (status == ERROR_CANCELLED) {
        end_stopped(job);
        return;
    }
    log_event(status ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "download", "model=%s state=%s reason=%s",
              job->repository, status ? "failed" : "complete", status ? error->message : "");
    if (status) {
        job->error = *error;
        job->error.code = status;
        download_set_state(job, DOWNLOAD_FAILED);
        return;
    }
    if (result->total_bytes) /* not known when it was only looked for, offline */
        job->done_bytes = job->total_bytes = result->total_bytes;
    download_set_state(job, DOWNLOAD_COMPLETE);
}

static struct download *next_job(const struct downloads *downloads)
{
    struct download *next = NULL;
    for (size_t i = 0; i < downloads->n_jobs; i++) {
        struct download *job = downloads->jobs[i];
        if (job->state == DOWNLOAD_QUEUED && (!next || job->turn < next->turn))
            next = job;
    }
    return next;
}

void *downloads_work(void *context)
{
    struct downloads *downloads = context;
    pthread_mutex_lock(&downloads->lock);
    while (!downloads->stopping) {
        rest(downloads, NULL);
        struct download *job = downloads->stopping ? NULL : next_job(downloads);
        if (!job) {
            downloads->resting = true;
            pthread_cond_wait(&downloads->changed, &downloads->lock);
            downloads->resting = false;
            continue;
        }
        struct hub_result result = {.n_files = 0};
        struct error error = {0};
        bool forced = job->forced;
        job->refused = false;
        job->phase = HUB_LISTING;
        download_set_state(job, DOWNLOAD_LISTING);
        pthread_mutex_unlock(&downloads->lock);
        int status = fetch(job, forced, &result, &error);
        pthread_mutex_lock(&downloads->lock);
        end(job, status, &result, &error);
    }
    pthread_mutex_unlock(&downloads->lock);
    return NULL;
}
