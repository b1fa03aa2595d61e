/* Between the files of service/downloads*.c only. */
#ifndef LLMIND_SERVICE_DOWNLOADS_INTERNAL_H
#define LLMIND_SERVICE_DOWNLOADS_INTERNAL_H

#include <pthread.h>

#include "hub/hub.h"
#include "service/downloads.h"

enum download_state {
    DOWNLOAD_QUEUED,
    DOWNLOAD_LISTING,
    DOWNLOAD_FETCHING,
    DOWNLOAD_VERIFYING,
    DOWNLOAD_PAUSED,
    DOWNLOAD_COMPLETE,
    DOWNLOAD_FAILED,
    DOWNLOAD_CANCELLED
};

/* What its client asked for last; hub_pull hears of it when it reports. */
enum download_wish { DOWNLOAD_GO_ON, DOWNLOAD_PAUSE, DOWNLOAD_CANCEL };

/* Everything is guarded by the downloads' lock. */
struct download {
    struct downloads *owner;
    char id[DOWNLOADS_ID];
    char repository[HUB_MAX_REPOSITORY + 1];
    char revision[HUB_MAX_REVISION + 1]; /* "": main */
    bool forced;
    enum download_state state;
    enum download_wish wish;
    uint64_t turn;    /* the lowest of those that are queued comes next */
    uint64_t version; /* raised with every change that is told */
    uint64_t told_ns;
    enum hub_phase phase;
    uint64_t done_bytes, total_bytes; /* 0: not known */
    double bytes_per_second, eta_s;   /* NaN: not known */
    char file[256];
    size_t file_index, n_files; /* n_files 0: not known */
    char judgement[DOWNLOADS_JUDGEMENT];
    bool refused; /* by that judgement: forced it would be fetched */
    char created[32];
    struct error error;
};

struct downloads {
    struct downloads_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    struct download *jobs[DOWNLOADS_KEPT]; /* oldest first */
    size_t n_jobs;
    uint64_t last_turn, last_version, wakes;
    bool stopping;
    bool held;    /* somebody measures */
    bool resting; /* the thread does nothing, and will not while it is held */
};

/* With the lock held. */
bool download_is_over(const struct download *job);
/* Everybody who waits looks again. */
void download_tell(struct download *job);
void download_set_state(struct download *job, enum download_state state); /* and tells */
/* Errors: ERROR_BUSY, ERROR_CANCELLED; the job is then as it was. */
int download_queue(struct download *job, struct error *error);

/* The thread; context: the struct downloads. Returns when it is stopping. */
void *downloads_work(void *context);

/* A new reference; NULL: memory. */
json_t *download_json(const struct download *download);

#endif
