/* Where the profiler and the model host meet: neither knows the other, so the gate's functions and the
 * meaning of model names are put together here. */
#include "cli/serve_profile.h"

#include <limits.h>

#include "profile/jobs.h"
#include "service/downloads.h"
#include "service/host.h"

enum { NAME_BYTES = 256 };

/* ---- the gate: the model host's, and downloads rest meanwhile ---- */

static int close_gate(void *context, uint32_t wait_ms, const atomic_int *cancel, struct error *error)
{
    const struct services *services = context;
    int status = host_park(services->host, wait_ms, cancel, error);
    if (!status)
        downloads_hold(services->downloads, true);
    return status;
}

static bool open_gate(void *context)
{
    const struct services *services = context;
    downloads_hold(services->downloads, false);
    return host_unpark(services->host);
}

static int make_room(void *context, uint64_t bytes, bool unload_current, struct error *error)
{
    const struct services *services = context;
    return host_make_room(services->host, bytes, unload_current, error);
}

static void restore(void *context)
{
    const struct services *services = context;
    host_restore(services->host);
}

/* ---- names ---- */

/* As everywhere in this server: a name is the catalogue's, and none is the model that is loaded. What is
 * measured is what is served: with the adapter and on the backend that the model has here. */
static void resolve(void *context, struct profile_request *request, struct arena *arena)
{
    char name[NAME_BYTES], path[PATH_MAX], adapter[PATH_MAX], backend[NAME_BYTES];
    for (size_t i = 0; i < request->n_models; i++) {
        struct profile_model *model = &request->models[i];
        struct error error = {0};
        const char *copy = NULL;
        if (host_find(context, model->name, name, sizeof name, path, sizeof path, &error) ||
            host_find_served(context, path, adapter, sizeof adapter, backend, sizeof backend, &error)) {
            copy = arena_strdup(arena, error.message);
            model->problem = copy ? copy : "not enough memory";
            continue;
        }
        model->path = arena_strdup(arena, path);
        if (!model->name || !*model->name)
            model->name = arena_strdup(arena, name);
        model->adapter = *adapter ? arena_strdup(arena, adapter) : NULL;
        model->served_backend = *backend ? arena_strdup(arena, backend) : NULL;
        if (!model->path || !model->name || (*adapter && !model->adapter) ||
            (*backend && !model->served_backend))
            model->problem = "not enough memory";
    }
}

/* ---- opening and closing ---- */

int serve_profile_open(struct serve_profile *out, struct services *services, struct store *store,
                       const char *folder, const char *why, struct error *error)
{
    out->gate = (struct gate){.close = close_gate,
                              .open = open_gate,
                              .make_room = make_room,
                              .restore = restore,
                              .context = services};
    const struct jobs_options options = {.store = store,
                                         .why_unsaved = why,
                                         .data_folder = folder,
                                         .gate = &out->gate,
                                         .resolve = resolve,
                                         .context = services->host};
    return jobs_open(&options, &services->jobs, error);
}

void serve_profile_stop(struct services *services)
{
    jobs_stop(services->jobs);
}

void serve_profile_close(struct services *services)
{
    jobs_close(services->jobs);
    services->jobs = NULL;
}
