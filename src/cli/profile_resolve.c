/* Names to folders, one at a time: a model that is not there keeps its problem and does not disturb the
 * others. */
#include "cli/profile_resolve.h"

#include <limits.h>
#include <string.h>

#include "platform/places.h"
#include "service/catalog.h"
#include "store/store.h"

void profile_resolve_models(void *context, struct profile_request *request, struct arena *arena)
{
    const struct cli_jobs *jobs = context;
    char path[PATH_MAX];
    for (size_t i = 0; i < request->n_models; i++) {
        struct profile_model *model = &request->models[i];
        struct error error = {0};
        if (!model->name[0])
            model->name = "builtin";
        bool found = catalog_resolve(model->name, path, sizeof path, &error) == 0;
        model->path = found ? arena_strdup(arena, path) : NULL;
        model->problem = found ? NULL : arena_strdup(arena, error.message);
        model->adapter = jobs->adapter;
        if (!model->path && !model->problem)
            model->problem = "there was not enough memory to look for it";
    }
}

/* The lock is taken either way: two runs at once would disturb each other. */
static int open_jobs(struct cli_jobs *out, bool save, struct error *error)
{
    char folder[PATH_MAX];
    *out = (struct cli_jobs){.store = NULL};
    bool placed = places_data(folder, sizeof folder, &out->why) == 0;
    if (!save)
        error_set(&out->why, ERROR_UNSUPPORTED, "it was asked not to be saved");
    else if (placed)
        store_open(folder, &out->store, &out->why); /* or there is none, for this reason */
    struct jobs_options options = {.store = out->store,
                                   .why_unsaved = out->store ? NULL : out->why.message,
                                   .data_folder = placed ? folder : NULL,
                                   .resolve = profile_resolve_models,
                                   .context = out};
    int status = jobs_open(&options, &out->jobs, error);
    if (status)
        cli_jobs_close(out);
    return status;
}

int cli_jobs_open(struct cli_jobs *out, struct error *error)
{
    return open_jobs(out, true, error);
}

int cli_jobs_open_unsaved(struct cli_jobs *out, struct error *error)
{
    return open_jobs(out, false, error);
}

void cli_jobs_close(struct cli_jobs *jobs)
{
    jobs_close(jobs->jobs);
    store_close(jobs->store);
    *jobs = (struct cli_jobs){.store = NULL};
}
