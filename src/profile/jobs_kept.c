/* Runs that memory has to answer for, because the database did not take them: there is none, its disk is
 * full.
 *
 * An entry is a row as it should be in the database. Saving it later is therefore the same write that failed,
 * and it is tried again whenever something else is written, or the history is looked at.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/jobs_internal.h"

struct kept *kept_find(const struct jobs *jobs, const char *id)
{
    struct kept *entry = jobs->kept;
    while (entry && strcmp(entry->run.id, id) != 0)
        entry = entry->next;
    return entry;
}

int kept_has_room(const struct jobs *jobs, struct error *error)
{
    if (jobs->n_kept < JOBS_KEPT && jobs->kept_bytes < JOBS_KEPT_BYTES)
        return 0;
    return error_set(error, ERROR_LIMIT,
                     "nothing can be saved, and what is kept in memory instead has reached its limit (%d "
                     "runs, %d MiB); free space on the disk, or delete runs",
                     JOBS_KEPT, JOBS_KEPT_BYTES >> 20);
}

static void unlink_entry(struct jobs *jobs, struct kept *entry)
{
    struct kept **at = &jobs->kept;
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    jobs->n_kept--;
    jobs->kept_bytes -= entry->bytes;
}

static void free_entry(struct kept *entry)
{
    run_free(&entry->run);
    free(entry->why);
    free(entry);
}

void kept_drop(struct jobs *jobs, struct kept *entry)
{
    unlink_entry(jobs, entry);
    free_entry(entry);
}

/* Newest first, as lists are. */
static void link_entry(struct jobs *jobs, struct kept *entry)
{
    struct kept **at = &jobs->kept;
    while (*at && (*at)->run.created_ms > entry->run.created_ms)
        at = &(*at)->next;
    entry->next = *at;
    *at = entry;
    jobs->n_kept++;
    jobs->kept_bytes += entry->bytes;
}

static size_t length_of(const char *text)
{
    return text ? strlen(text) : 0;
}

int kept_put(struct jobs *jobs, const struct store_run *run, bool on_disk, const char *why,
             struct error *error)
{
    struct kept *entry = calloc(1, sizeof *entry), *old = kept_find(jobs, run->id);
    if (!entry)
        return error_memory(error, "a run", sizeof *entry);
    struct store_run row = *run;
    char message[ERROR_MESSAGE_MAX];
    if (row.report && jobs->kept_bytes + strlen(row.report) > JOBS_KEPT_BYTES) {
        snprintf(message, sizeof message, "%s%sthere is no room in memory for its report (%zu bytes)",
                 row.message ? row.message : "", row.message ? "; " : "", strlen(row.report));
        row.report = NULL;
        row.message = message;
    }
    int status = run_copy(&row, &entry->run, error);
    if (!status && !(entry->why = strdup(why)))
        status = error_memory(error, "a run", 0);
    if (status) {
        free_entry(entry);
        return status;
    }
    entry->on_disk = on_disk;
    entry->bytes = length_of(row.report) + length_of(row.request);
    if (old)
        kept_drop(jobs, old);
    link_entry(jobs, entry);
    return 0;
}

void kept_save_all(struct jobs *jobs)
{
    struct kept *next;
    for (struct kept *entry = jobs->store ? jobs->kept : NULL; entry; entry = next) {
        next = entry->next;
        int status = entry->on_disk ? store_run_finish(jobs->store, &entry->run, NULL)
                                    : store_run_insert(jobs->store, &entry->run, NULL);
        if (status == 0 || status == ERROR_NOT_FOUND) /* deleted by another process meanwhile */
            kept_drop(jobs, entry);
        else if (status == ERROR_IO)
            return; /* the next one would meet the same disk */
    }
}
