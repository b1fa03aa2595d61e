/* Downloads from the hub (hub/hub.h) as jobs of the serving process: one is fetched at a time, others wait in
 * line; each can be paused, taken up again and cancelled.
 *
 * Jobs live in memory. What has come stays in the cache whatever ends the program, so that a model that is
 * asked for again goes on where it stopped: a restart, a pause and a cancel lose nothing (what a cancelled
 * one has fetched is deleted with the model). A model has one job: asking again for one that is under way
 * changes nothing, for one that is paused or over begins it again. Any thread.
 */
#ifndef LLMIND_SERVICE_DOWNLOADS_H
#define LLMIND_SERVICE_DOWNLOADS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct downloads;

enum {
    DOWNLOADS_ID = 17,        /* bytes of an id, with its zero: 16 hexadecimal digits */
    DOWNLOADS_WAITING = 8,    /* in line */
    DOWNLOADS_KEPT = 32,      /* jobs in all; the oldest that is over is forgotten for a new one */
    DOWNLOADS_JUDGEMENT = 256 /* bytes of a judgement */
};

struct downloads_options {
    /* Whether a model is worth fetching, of its config.json alone: what is said of it goes into judgement.
     * Not 0: it is not fetched. forced: its client wants it whatever is said. Called from the jobs' thread.
     */
    int (*judge)(void *context, const char *config_path, const char *model, bool forced,
                 char judgement[DOWNLOADS_JUDGEMENT], struct error *error);
    void *context;
};
/* Starts the thread that fetches. */
int downloads_open(const struct downloads_options *options, struct downloads **out, struct error *error);
/* From now on nothing begins (ERROR_CANCELLED), what runs ends within a second, and every wait returns. NULL
 * is legal. */
void downloads_stop(struct downloads *downloads);
/* Stops, and waits for the thread. NULL is legal. */
void downloads_close(struct downloads *downloads);

/* While it is held nothing is fetched or checked: a profiling run measures, and a hash takes a core. Returns
 * when the thread rests (after a second at most), or at once when not held. NULL is legal. */
void downloads_hold(struct downloads *downloads, bool held);

/* Every job is {"id", "model", "state", "forced", "refused", "done_bytes", "total_bytes", "bytes_per_second",
 * "eta_s", "file", "files_done", "files", "judgement", "note", "error": {"code", "message"} | null,
 * "created"}, a new reference. state: "queued", "listing" (asking the hub), "fetching", "verifying",
 * "paused", "complete", "failed", "cancelled". What is not known is null with its reason; note: why it waits,
 * or null. */

/* model: "ORG/NAME" or "ORG/NAME@REVISION". Errors: ERROR_INVALID (the name), ERROR_BUSY (enough are waiting
 * already), ERROR_CANCELLED. What the hub and the judgement say comes later, as the job's error. */
int downloads_start(struct downloads *downloads, const char *model, bool forced, json_t **out,
                    struct error *error);
/* An array, oldest first; NULL: memory. */
json_t *downloads_list(struct downloads *downloads);
int downloads_get(struct downloads *downloads, const char *id, json_t **out, struct error *error);

/* The job as soon as its version is above *version (0: at once), waiting at most wait_ms; *out is NULL when
 * nothing happened. Sets *version. Figures alone raise it four times a second. *over: no more will come.
 * ERROR_NOT_FOUND: also when it was forgotten meanwhile. */
int downloads_wait(struct downloads *downloads, const char *id, uint64_t *version, uint32_t wait_ms,
                   json_t **out, bool *over, struct error *error);
/* Ends every downloads_wait now, so that they look whether they are still wanted. */
void downloads_wake(struct downloads *downloads);

/* Each takes effect within a second; the job is as it is now. ERROR_NOT_FOUND. */
/* ERROR_UNSUPPORTED: it is over. */
int downloads_pause(struct downloads *downloads, const char *id, json_t **out, struct error *error);
/* Also tries again what failed or was cancelled. ERROR_UNSUPPORTED: it is complete; ERROR_BUSY as above. */
int downloads_resume(struct downloads *downloads, const char *id, json_t **out, struct error *error);
/* One that is over is forgotten instead. The job is as it is, or was. */
int downloads_cancel(struct downloads *downloads, const char *id, json_t **out, struct error *error);

/* Is something of "ORG/NAME" (whatever revision) waiting to be fetched, or fetched? */
bool downloads_has(struct downloads *downloads, const char *repository);

#endif
