/* The proofs of a run: rows of their own, which are looked up when the run is read. Nothing is copied into
 * the run that was proved, so a proof that is deleted is gone there too, and one that is made on a full disk
 * is shown from memory. What memory has is newer than what the database took. */
#include <string.h>

#include "profile/jobs_internal.h"
#include "profile/json_put.h"

enum { MAX_PROOFS = 100 /* of one run that are shown */ };

/* What a successful proof found, as the run that it is about shows it. */
static void add_proof(json_t *list, const struct store_run *run)
{
    json_t *proof = history_parse(run->proof);
    if (json_is_object(proof) && json_array_size(list) < MAX_PROOFS) {
        json_put_string(proof, "proof_run_id", run->id, "");
        jobs_put_time(proof, "at", run->created_ms);
        json_array_append(list, proof);
    }
    json_decref(proof);
}

struct proofs {
    struct jobs *jobs;
    json_t *list;
};

static int see_proof(void *context, const struct store_run *run, struct error *error)
{
    struct proofs *proofs = context;
    (void)error;
    if (!kept_find(proofs->jobs, run->id))
        add_proof(proofs->list, run);
    return 0;
}

json_t *jobs_proofs(struct jobs *jobs, const char *id)
{
    struct proofs proofs = {jobs, json_array()};
    pthread_mutex_lock(&jobs->saving);
    for (const struct kept *entry = jobs->kept; entry; entry = entry->next)
        if (entry->run.proves && strcmp(entry->run.proves, id) == 0 && run_is_success(&entry->run))
            add_proof(proofs.list, &entry->run);
    if (jobs->store)
        store_runs_proofs(jobs->store, id, MAX_PROOFS, see_proof, &proofs, NULL);
    pthread_mutex_unlock(&jobs->saving);
    return proofs.list;
}
