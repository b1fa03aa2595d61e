/* Profiling runs in the database: what lists show in columns of their own, request and report as JSON text in
 * a table of their own, which no list reads.
 *
 * Rows travel as the struct below; its strings are borrowed, in both directions, for the time of the call.
 * What they mean, their ids and their JSON are profile/jobs.h's. A row is "open" while its status is
 * "waiting" or "running".
 */
#ifndef LLMIND_STORE_RUNS_H
#define LLMIND_STORE_RUNS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

enum {
    STORE_RUN_ID = 32, /* characters of an id */
    STORE_RUN_REQUEST_BYTES = 4 << 20,
    STORE_RUN_REPORT_BYTES = 24 << 20 /* what one value of the database takes, with room to spare */
};

/* NaN and NULL: unknown. */
struct store_run {
    const char *id, *kind, *status, *model, *quantization, *mode, *machine, *grade, *message;
    const char *series; /* what runs are comparable with: a hash of model, flags and machine; NULL: nothing */
    const char *proves; /* id of the run whose recommendation this one tries; NULL: it is no proof */
    const char *proof;  /* what came out, JSON (profile/proof.h); NULL: nothing yet */
    int64_t created_ms;
    double duration_s, tokens_per_second, decode_tps, prefill_tps, ttft_ms, memory_bytes;
    /* logs of the decode rates, for trends (profile/pairs.h) */
    double decode_log_mean, decode_log_sd;
    uint32_t decode_n;
    bool imported;
    const char *request, *report; /* JSON; NULL in lists */
    /* only from reads: the last successful run of the series before this one; NULL: none */
    const char *previous_id;
    double previous_log_mean, previous_log_sd;
    uint32_t previous_n;
};

/* Visitors return 0, or an error, which ends the visit and is handed on. */
typedef int store_run_visit(void *context, const struct store_run *run, struct error *error);

/* Errors of all that writes: ERROR_IO: not saved, for this reason; ERROR_LIMIT: request or report is longer
 * than it may be. */
int store_run_insert(struct store *store, const struct store_run *run, struct error *error);
/* Everything but id, created_ms, imported and request. ERROR_NOT_FOUND: it was deleted meanwhile. */
int store_run_finish(struct store *store, const struct store_run *run, struct error *error);
/* Changes the status alone: a run that waited begins. ERROR_NOT_FOUND. */
int store_run_begin(struct store *store, const char *id, const char *status, struct error *error);
/* Whether there are open rows. */
int store_runs_open(struct store *store, bool *out, struct error *error);
/* Open rows become "interrupted"; the caller holds the lock of the data folder, so that nobody is working on
 * them. */
int store_runs_interrupt(struct store *store, const char *message, struct error *error);

struct store_runs_filter {
    const char *model, *kind, *status; /* NULL: any */
    const bool *imported; /* NULL: any; else only those that came from elsewhere, or were made here */
    bool has_before;      /* only rows behind this place in the order below */
    int64_t before_ms;
    const char *before_id;
    uint32_t limit;
};
/* Newest first: by created_ms, then by id, both descending. */
int store_runs_list(struct store *store, const struct store_runs_filter *filter, store_run_visit *visit,
                    void *context, struct error *error);
/* Visits the one row, with request and report. ERROR_NOT_FOUND. */
int store_run_get(struct store *store, const char *id, store_run_visit *visit, void *context,
                  struct error *error);
/* The rows whose id begins so (hexadecimal digits), newest first, at most limit. */
int store_runs_find(struct store *store, const char *prefix, uint32_t limit, store_run_visit *visit,
                    void *context, struct error *error);
/* The last successful runs of a series that were made here, newest first: how much sessions differ. */
int store_runs_series(struct store *store, const char *series, uint32_t limit, store_run_visit *visit,
                      void *context, struct error *error);
/* The successful proofs of a run, newest first. */
int store_runs_proofs(struct store *store, const char *run, uint32_t limit, store_run_visit *visit,
                      void *context, struct error *error);
int store_run_delete(struct store *store, const char *id, struct error *error);

#endif
