/* What the commands that profile share: whose models the names of a request are, and the jobs over the data
 * folder's database. profile/ may not look into service/, so it is done here, above both. */
#ifndef LLMIND_CLI_PROFILE_RESOLVE_H
#define LLMIND_CLI_PROFILE_RESOLVE_H

#include "base/arena.h"
#include "base/error.h"
#include "profile/jobs.h"
#include "profile/request.h"

struct store;

/* struct jobs_options' resolve: catalogue names and folders, what the command line means by MODEL; "" is the
 * built-in model. context: struct cli_jobs. (The server has its own, cli/serve_profile.c: names only.) */
void profile_resolve_models(void *context, struct profile_request *request, struct arena *arena);

/* The history of the data folder (LLMIND_DATA_DIR, see platform/places.h), as the commands use it. */
struct cli_jobs {
    struct jobs *jobs;
    struct store *store; /* NULL: nothing is saved; `why` says why */
    struct error why;
    const char *adapter; /* NULL, or the folder of one that every model is run with: set after opening */
};
/* Only memory can be short: without a database runs are kept in memory. */
int cli_jobs_open(struct cli_jobs *out, struct error *error);
/* The same for a run that is not to be saved (--no-save). */
int cli_jobs_open_unsaved(struct cli_jobs *out, struct error *error);
/* Cancels what runs. */
void cli_jobs_close(struct cli_jobs *jobs);

#endif
