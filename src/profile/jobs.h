/* Runs as jobs: one at a time for each data folder (also between processes), in the background, stored.
 *
 * A job is a row from its first moment ("running"; what a batch has not come to yet is "waiting"); it ends as
 * success, failed or cancelled, and a row that says running although nobody holds the lock is "interrupted"
 * (the program was killed, or the power went) as soon as anybody looks. What the database does not take
 * (there is none, the disk is full) is kept in memory as long as the program lives, is saved as soon as that
 * works, and says so until then: every row has "saved", and "saved_reason" when that is false. Any thread.
 */
#ifndef LLMIND_PROFILE_JOBS_H
#define LLMIND_PROFILE_JOBS_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "profile/gate.h"
#include "profile/request.h"

struct jobs;
struct store;

struct jobs_options {
    struct store *store;     /* borrowed; NULL: nothing is saved */
    const char *why_unsaved; /* with store NULL */
    const char *data_folder; /* where the lock is; NULL: none */
    const struct gate *gate; /* borrowed, or NULL */
    /* Fills models[].path or .problem (strings go to the arena). A name that is "" is nobody's wish: whoever
     * has a default gives it one. cli/profile_resolve.h has the commands'. */
    void (*resolve)(void *context, struct profile_request *request, struct arena *arena);
    void *context;
};
int jobs_open(const struct jobs_options *options, struct jobs **out, struct error *error);
/* Cancels what runs, waits for it, stores it. */
void jobs_close(struct jobs *jobs); /* NULL is legal */
/* From now on nothing begins (ERROR_CANCELLED), and what runs and waits is cancelled. NULL is legal. */
void jobs_stop(struct jobs *jobs);
/* Waits until nothing of this process runs, at most wait_ms; false: something does. */
bool jobs_idle(struct jobs *jobs, uint32_t wait_ms);

enum { JOBS_ID = 33 }; /* bytes of an id, with its zero: 32 hexadecimal digits */

/* Starts a run in the background. request: JSON (request.h), borrowed; several models of kind "profile" are a
 * batch: runs one after another, each with a row of its own; `id` is then the first one's, jobs_batch has the
 * others. Errors: ERROR_INVALID; ERROR_NOT_FOUND: the only model that is asked for is not there; ERROR_BUSY:
 * another one is running; `id` is then its id ("" when it is another process's and not known). wait_ms: waits
 * so long for it. ERROR_LIMIT: nothing can be saved, and memory holds as much as it may. */
int jobs_start(struct jobs *jobs, const json_t *request, uint32_t wait_ms, char id[JOBS_ID],
               struct error *error);
/* The ids of the batch that this run was started with, in order; of a run alone, of an older one, its own.
 * *ids: a new reference, an array. ERROR_NOT_FOUND. */
int jobs_batch(struct jobs *jobs, const char *id, json_t **ids, struct error *error);
/* Waits for its end, at most wait_ms (0: for ever). 1: it is over, 0: not yet. ERROR_NOT_FOUND. */
int jobs_wait(struct jobs *jobs, const char *id, uint32_t wait_ms, struct error *error);
/* Takes effect within about a second; the rest of its batch goes on. ERROR_NOT_FOUND; 0 also when it was
 * over; ERROR_UNSUPPORTED: it runs in another process. */
int jobs_cancel(struct jobs *jobs, const char *id, struct error *error);

/* What runs: {"run_id", "kind", "model", "phase", "step", "progress", "eta_s", "started", "waiting" (runs of
 * its batch that come after it)} or null; a new reference, NULL when memory is short. Cheap. Unknown figures
 * are null with their reason. */
json_t *jobs_running(struct jobs *jobs);

/* Events of a run after number `after` (0: from the first), waiting at most wait_ms for one. Each has
 * "number" (from 1), "time" and "type": those of run.h, before them "begin" {"run_id", "kind", "model"} and
 * after them "end" {"run_id", "status", "message", "saved", "saved_reason"}. Of a long run the oldest phase
 * events are dropped (their numbers are missing). Events of a run that is over are kept for the last 4 runs;
 * for older ones there is one event, its end. *over: no more will come. The array is a new reference, perhaps
 * empty; at most 256 at once. ERROR_NOT_FOUND. */
int jobs_events(struct jobs *jobs, const char *id, uint64_t after, uint32_t wait_ms, json_t **events,
                bool *over, struct error *error);

/* ---- history ---- */

struct jobs_filter {
    const char *model, *kind, *status, *before; /* NULL: any; before: an id, for the next page */
    const bool *imported; /* NULL: any; else only those that came from elsewhere, or were made here */
    uint32_t limit;       /* 0: 50; at most 500 */
};
/* {"runs": [{"id", "kind", "status", "created", "duration_s", "model", "quantization", "mode", "machine",
 * "imported", "tokens_per_second", "decode_tokens_per_second", "prefill_tokens_per_second", "ttft_ms",
 * "memory_bytes", "grade", "message", "saved", "trend": {"run_id", "change_pct", "ci95", "verdict",
 * "regression"} | null (decoding, against the last successful run of the same model, flags and machine that
 * was made here)}], "next": id | null}. ERROR_INVALID: `before` or `status`. */
int jobs_list(struct jobs *jobs, const struct jobs_filter *filter, json_t **out, struct error *error);
/* The row as above, with "request" and "report" (null while it runs). ERROR_NOT_FOUND. */
int jobs_get(struct jobs *jobs, const char *id, json_t **out, struct error *error);
/* The id that begins so, if it is only one (4 digits at least). ERROR_NOT_FOUND, ERROR_INVALID (too short, or
 * several). */
int jobs_find(struct jobs *jobs, const char *prefix, char id[JOBS_ID], struct error *error);
/* ERROR_BUSY: it is running. */
int jobs_delete(struct jobs *jobs, const char *id, struct error *error);
/* Stores a report from elsewhere, marked as such. ERROR_INVALID (report_check), ERROR_LIMIT. */
int jobs_import(struct jobs *jobs, const json_t *report, char id[JOBS_ID], struct error *error);
/* Two stored runs side by side: {"a": row, "b": row, "comparable": bool, "warnings": ["other machine", ...],
 * "figures": [{"name", "unit", "a", "b", "change_pct" (b against a), "ci95", "verdict", "better":
 * "a"|"b"|null, "n_a", "n_b"}], "flags": [{"name", "a", "b"}]}. Names: "decode_tokens_per_second" and the
 * like for the summary, "TEST.FIGURE" for one test, "MODEL.FIGURE" for a comparison of models. */
int jobs_diff(struct jobs *jobs, const char *a, const char *b, json_t **out, struct error *error);
/* Whether a diff proves b slower: a rate of its summary or of the baseline configuration is really lower, or
 * a time of its summary really higher, and by at least this fraction (0.05: 5 %). The figures that say so are
 * written into why: "decode_tokens_per_second -9.8 %
 * [-12.1, -7.3]". A diff of runs that cannot be compared proves nothing. */
bool jobs_diff_is_slower(const json_t *diff, double fraction, char *why, size_t capacity);
/* Whether it could prove that at all: both runs are comparable and have such a figure. A diff of two
 * comparisons of models has none. */
bool jobs_diff_guards(const json_t *diff);

#endif
