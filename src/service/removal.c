#include "service/removal.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"
#include "service/catalog.h"
#include "service/downloads.h"
#include "service/host.h"

/* Is `path` this folder, or in it? Both as the system resolves them: caches are linked to other disks. */
static bool is_inside(const char *path, const char *folder)
{
    char *a = realpath(path, NULL), *b = realpath(folder, NULL);
    size_t length = b ? strlen(b) : 0;
    bool inside = a && b && strncmp(a, b, length) == 0 && (a[length] == '/' || a[length] == '\0');
    free(a);
    free(b);
    return inside;
}

/* The model that is loaded, or being loaded: its folder is known by its name then. */
static bool is_loaded(struct model_host *host, const struct hub_removal *removal)
{
    char folder[2 * PATH_MAX], path[PATH_MAX];
    struct host_state state;
    host_state(host, &state);
    snprintf(folder, sizeof folder, "%s%s%s", removal->path, removal->commit[0] ? "/snapshots/" : "",
             removal->commit);
    if (state.has_info)
        return is_inside(state.info.model_path, folder);
    return state.model[0] && catalog_find(state.model, path, sizeof path, NULL) == 0 &&
           is_inside(path, folder);
}

static int remove_found(const struct hub_settings *settings, struct model_host *host,
                        struct downloads *downloads, const struct hub_removal *removal, struct error *error)
{
    if (is_loaded(host, removal))
        return error_set(error, ERROR_BUSY,
                         "%s is loaded; unload it first (POST /api/models/unload), or load another model",
                         removal->repository);
    if (downloads_has(downloads, removal->repository))
        return error_set(error, ERROR_BUSY, "%s is being downloaded; pause or cancel that first",
                         removal->repository);
    return hub_remove(settings, removal, error);
}

int removal_run(struct model_host *host, struct downloads *downloads, const char *id, uint64_t *freed_bytes,
                struct error *error)
{
    struct hub_settings settings;
    struct hub_removal removal;
    char path[PATH_MAX];
    int status = hub_settings_read(&settings, error);
    if (!status) {
        status = hub_removal_find(&settings, id, &removal, error);
        if (status == ERROR_NOT_FOUND && catalog_find(id, path, sizeof path, NULL) == 0)
            status = error_set(error, ERROR_UNSUPPORTED,
                               "'%s' did not come from the hub; only such models are deleted here", id);
        if (!status)
            status = remove_found(&settings, host, downloads, &removal, error);
    }
    if (status && settings.cache) /* clients learn of no folder */
        error_replace(error, settings.cache, "the models' cache");
    hub_settings_free(&settings);
    if (!status)
        *freed_bytes = removal.bytes;
    return status;
}
