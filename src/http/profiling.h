/* What the files of /api/profiling share. Private to profiling*.c.
 *
 *   profiling.c         the route table; status and guide
 *   profiling_start.c   everything that starts a run: run, compare-models, runs, batch
 *   profiling_seed.c    a stored run in the shape that run and compare-models answer with
 *   profiling_runs.c    history: list, one run, its events, delete, import, diff
 *   profiling_report.c  reports and charts
 *   profiling_prove.c   recommendations are tried
 *   profiling_apply.c   recommendations become settings, and back
 *   profiling_narrate.c the loaded model says it in words
 *
 * Runs themselves are profile/jobs.h's; nothing here knows how anything is measured.
 */
#ifndef LLMIND_HTTP_PROFILING_H
#define LLMIND_HTTP_PROFILING_H

#include <jansson.h>

#include "http/exchange.h"
#include "profile/jobs.h"

/* profiling_start.c */
void profiling_post_run(struct http_exchange *exchange);
void profiling_post_compare(struct http_exchange *exchange);
void profiling_post_runs(struct http_exchange *exchange);
void profiling_post_batch(struct http_exchange *exchange);
/* Starts a request of profile/request.h. false: answered. Waits for another run to end as long as ?wait_s=
 * says and the client is there. */
bool profiling_start(struct http_exchange *exchange, const json_t *request, char id[JOBS_ID]);
/* 202 RunStarted. */
void profiling_reply_started(struct http_exchange *exchange, const char *id);
/* 409 "run_in_progress" with the id of what runs ("": not known) as error.run_id. */
void profiling_reply_busy(struct http_exchange *exchange, const char *id, const char *message);

/* profiling_seed.c; row: jobs_get's. New references, NULL when memory is short. */
json_t *profiling_seed_run(const json_t *row);
json_t *profiling_seed_compare(const json_t *row);

/* profiling_runs.c */
void profiling_get_runs(struct http_exchange *exchange);
void profiling_get_run(struct http_exchange *exchange);
void profiling_delete_run(struct http_exchange *exchange);
void profiling_get_events(struct http_exchange *exchange);
void profiling_post_import(struct http_exchange *exchange);
void profiling_get_diff(struct http_exchange *exchange);
/* The run of {id}, a new reference; NULL: answered. */
json_t *profiling_find_run(struct http_exchange *exchange);
/* Calls what() with the object in the body and the row of {id}, both borrowed, when both are there; else it
 * is answered. */
void profiling_with_run(struct http_exchange *exchange,
                        void (*what)(struct http_exchange *exchange, const json_t *body, const json_t *row));

/* profiling_report.c */
void profiling_get_report(struct http_exchange *exchange);

/* profiling_prove.c */
void profiling_post_prove(struct http_exchange *exchange);

/* profiling_apply.c */
void profiling_post_apply(struct http_exchange *exchange);
void profiling_post_undo(struct http_exchange *exchange);

/* profiling_narrate.c */
void profiling_post_narrate(struct http_exchange *exchange);

/* What is known of this machine's ceilings without measuring now: those of the last run. A new reference or
 * NULL. */
json_t *profiling_known_ceilings(struct jobs *jobs);

#endif
