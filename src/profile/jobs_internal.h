/* What the files behind jobs.h share: jobs.c (starting and running), jobs_lock.c (one at a time, between
 * processes too), jobs_events.c (what is told), jobs_kept.c (what the database did not take), jobs_row.c
 * (from a report to a row and its JSON), history.c and diff.c (reading).
 *
 * Two locks, never taken the other way round: `saving` is held while something is written and while what is
 * kept in memory is looked at, for as long as a disk takes; inside it, or alone, `lock` for an instant.
 */
#ifndef LLMIND_PROFILE_JOBS_INTERNAL_H
#define LLMIND_PROFILE_JOBS_INTERNAL_H

#include <pthread.h>
#include <time.h>

#include "base/arena.h"
#include "profile/jobs.h"
#include "profile/pairs.h"
#include "profile/run.h"
#include "store/runs.h"

enum {
    JOBS_MAX_EVENTS = 4000,     /* of one run */
    JOBS_EVENTS_AT_ONCE = 256,  /* of one answer */
    JOBS_KEEP_EVENTS_OF = 4,    /* runs that are over */
    JOBS_KEPT = 200,            /* runs that could not be saved */
    JOBS_KEPT_BYTES = 256 << 20 /* of their texts */
};

/* ---- events (jobs_events.c); whoever calls holds jobs->lock ---- */

struct job_events {
    json_t **items; /* by ascending number */
    size_t n, capacity;
    uint64_t last_number;
};

/* Copies the event, with its number and the time. Short memory loses it. */
void job_events_add(struct job_events *events, const json_t *event);
/* Appends copies of those after `after` to an array, at most JOBS_EVENTS_AT_ONCE. true: there are more. */
bool job_events_after(const struct job_events *events, uint64_t after, json_t *out);
void job_events_free(struct job_events *events);

/* ---- one at a time between processes (jobs_lock.c) ---- */

struct jobs_holder {
    char id[JOBS_ID]; /* "": not known */
    long pid;         /* 0: not known */
};
/* 0: nobody else has it; *descriptor is then -1 where the folder takes no lock file (it cannot be written
 * to): a run must be possible there too. ERROR_BUSY: who has it, as far as it says. Waits at most wait_ms. */
int jobs_lock_take(const char *folder, uint32_t wait_ms, int *descriptor, struct jobs_holder *holder,
                   struct error *error);
void jobs_lock_name(int descriptor, const char *id); /* who runs, for others to read */
void jobs_lock_release(int descriptor);              /* -1 is legal */
/* Keeps others from beginning a run as long as it is held, which is a moment. false: somebody runs. */
bool jobs_lock_look(const char *folder, int *descriptor);

/* ---- what is not in the database (jobs_kept.c); whoever calls holds jobs->saving ---- */

/* A row that memory has to answer for: all of it, or (on_disk) a newer one than the database's. */
struct kept {
    struct kept *next;    /* older */
    struct store_run run; /* its strings are owned */
    bool on_disk;
    char *why;
    size_t bytes;
};

struct kept *kept_find(const struct jobs *jobs, const char *id);
/* Whether there is room for another run. ERROR_LIMIT. */
int kept_has_room(const struct jobs *jobs, struct error *error);
/* Copies the row, in place of the one with the same id. A report for which there is no room is left out, and
 * the message says so. ERROR_MEMORY. */
int kept_put(struct jobs *jobs, const struct store_run *run, bool on_disk, const char *why,
             struct error *error);
void kept_drop(struct jobs *jobs, struct kept *entry);
/* What can be saved by now is, and is dropped. Open rows too: they are finished as any other later. */
void kept_save_all(struct jobs *jobs);

/* ---- rows (jobs_row.c) ---- */

/* Strings of `out` are its own; ERROR_MEMORY leaves nothing behind. */
int run_copy(const struct store_run *from, struct store_run *out, struct error *error);
void run_free(struct store_run *run);
bool run_is_open(const struct store_run *run); /* waiting or running */
bool run_is_success(const struct store_run *run);

struct report_row {
    struct store_run run; /* id, created_ms, imported, request and report are the caller's to fill */
    char model[REQUEST_MAX_NAME_BYTES + 1], machine[256], series[17];
};
/* What a report says in the columns of a row; strings are borrowed from both. The report may be anybody's. */
void report_row(const json_t *report, struct report_row *out);
/* The first test of a kind whose headline was measured: at depth 0 where there are depths. NULL: none. */
const json_t *report_test(const json_t *report, const char *kind);
/* A rate's or a time's samples that ended well; returns how many. */
size_t report_samples(const json_t *test, const char *figure, double *out, size_t capacity);

enum { REPORT_SAMPLES = 256 }; /* of one figure of one test that statistics look at */

/* A row as lists show it; a new reference, NULL when memory is short. session_sd: of its series; why_unsaved:
 * NULL: it is saved. */
json_t *run_json(const struct store_run *run, double session_sd, const char *why_unsaved);

/* ---- jobs ---- */

typedef int jobs_run(const struct profile_request *request, const struct run_hooks *hooks, json_t **report,
                     struct error *error);

enum job_state { JOB_WAITING, JOB_RUNNING, JOB_OVER };

/* A run that was asked for in this process. What is not said to be otherwise is fixed from the start. */
struct job {
    struct job *next; /* younger */
    struct jobs *jobs;
    char id[JOBS_ID];
    uint64_t batch;
    int64_t created_ms;
    struct arena arena; /* of request */
    struct profile_request request;
    char *request_text;
    char model[REQUEST_MAX_NAME_BYTES + 1];
    atomic_int cancel;
    /* guarded by jobs->lock */
    enum job_state state;
    int64_t started_ms;
    struct job_events events;
    char phase[48], step[200];
    double progress, eta_s;
};

struct jobs {
    struct store *store;
    char *why_unsaved, *folder;
    const struct gate *gate;
    void (*resolve)(void *context, struct profile_request *request, struct arena *arena);
    void *context;
    jobs_run *run;

    pthread_mutex_t saving;
    struct kept *kept; /* newest first */
    size_t n_kept, kept_bytes;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    struct job *list;      /* oldest first: what waits, what runs, and the last few that are over */
    bool busy, starting;   /* starting: busy, and not in the list yet */
    bool stopping;         /* jobs_stop was called */
    char current[JOBS_ID]; /* while busy: of the run that is begun or runs */
    uint64_t batches;
    /* while busy, and of the thread that made it so */
    int lock_descriptor;
    int64_t last_created_ms;
    pthread_t thread;
    bool has_thread; /* to be joined */
};

/* jobs_open with something else in place of run_profile: for tests. */
int jobs_open_with(const struct jobs_options *options, jobs_run *run, struct jobs **out, struct error *error);

int64_t jobs_now_ms(void);
int jobs_new_id(char out[JOBS_ID], struct error *error);
bool jobs_id_is_valid(const char *id);
int jobs_not_found(struct error *error);
void jobs_trim(char *text); /* takes away the half of a character at whose middle a text was cut */
void jobs_put_time(json_t *object, const char *name, int64_t unix_ms); /* RFC 3339 */

/* How far away a moment of clock_in_ms is; 0: past. */
uint32_t jobs_left_ms(const struct timespec *deadline);
void jobs_join_thread(struct jobs *jobs);

/* Under lock. NULL: this process has not (or no longer) such a job. */
struct job *jobs_find_job(const struct jobs *jobs, const char *id);
void jobs_forget_old(struct jobs *jobs);
void job_free(struct job *job);

const char *job_kind(const struct job *job);
/* What the row of a job that has not been run says; borrowed from it. */
struct store_run job_row(const struct job *job, const char *status);
/* why_unsaved: "" when it is saved. */
json_t *job_end_event(const struct store_run *run, const char *why_unsaved);
/* Ends a job that waited; whoever calls has set its state to running before. */
void job_cancel_unrun(struct job *job);
void *jobs_thread(void *context); /* runs what waits, and lets go */

/* Before reading: what is kept is saved if that works by now, and open rows of a program that is gone become
 * "interrupted". Returns true when that could not be written (so that whoever reads must say it). */
bool jobs_look(struct jobs *jobs);

/* Under saving, with the lock of the folder: open rows are nobody's. true: that could not be written. */
bool jobs_interrupt_open(struct jobs *jobs);
/* Writes a new row to the database, or keeps it. */
int jobs_save_new(struct jobs *jobs, const struct store_run *run, struct error *error);
/* The same for a row that is over. *why (may be NULL): why it is not saved, "" when it is. */
int jobs_save_end(struct jobs *jobs, const struct store_run *run, char *why, size_t capacity,
                  struct error *error);

/* One row by its id, a copy with request and report, the spread between sessions of its series, and why it is
 * not saved. An open row that nobody runs says "interrupted". ERROR_NOT_FOUND. */
struct found_run {
    struct store_run run;
    double session_sd;
    bool unsaved;
    char why[ERROR_MESSAGE_MAX]; /* when unsaved */
};
int history_find(struct jobs *jobs, const char *id, struct found_run *out, struct error *error);
void found_run_free(struct found_run *found);
/* Stored JSON, which a stranger's database may have made anything; NULL: it is none. A new reference. */
json_t *history_parse(const char *text);
/* The successful proofs of a run, newest first, as proof_attach takes them; a new reference. */
json_t *jobs_proofs(struct jobs *jobs, const char *id);
/* Takes a row away wherever it is. ERROR_NOT_FOUND. */
int history_forget(struct jobs *jobs, const char *id, struct error *error);

#endif
