/* The cache that huggingface_hub keeps and other tools share:
 *
 *     <cache>/models--ORG--NAME/refs/main            the commit "main" was at when it was fetched
 *     <cache>/models--ORG--NAME/snapshots/COMMIT/    files, usually links into ../../blobs
 *
 * Everything in it is read, nothing trusted: a reference that is not a plain commit name is ignored. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "platform/file.h"
#include "platform/places.h"
#include "service/catalog_internal.h"

enum { MAX_REVISION = 128, MAX_REFERENCE_BYTES = 256 };

static const char FOLDER_PREFIX[] = "models--";

static bool is_revision(const char *text)
{
    size_t n = strnlen(text, MAX_REVISION);
    if (n == 0 || n == MAX_REVISION || text[0] == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("._-", text[i]))
            return false;
    return true;
}

/* A branch or tag: revisions with single slashes between ("refs/pr/1"). */
static bool is_reference(const char *text)
{
    char part[MAX_REVISION];
    for (;;) {
        size_t n = strcspn(text, "/");
        if (n >= sizeof part)
            return false;
        memcpy(part, text, n);
        part[n] = '\0';
        if (!is_revision(part))
            return false;
        if (!text[n])
            return true;
        text += n + 1;
    }
}

/* repository/snapshots/revision, when that is a model. */
static int snapshot(const char *repository, const char *revision, char *path, size_t capacity)
{
    char folder[PATH_MAX];
    int n = snprintf(folder, sizeof folder, "%s/snapshots/%s", repository, revision);
    if (n < 0 || (size_t)n >= sizeof folder || !catalog_is_model(folder))
        return 1;
    return catalog_copy_path(path, capacity, folder, NULL) ? 1 : 0;
}

/* The snapshot that refs/NAME points to. */
static int referenced(const char *repository, const char *name, char *path, size_t capacity)
{
    char file[PATH_MAX], *text;
    size_t length;
    int n = snprintf(file, sizeof file, "%s/refs/%s", repository, name);
    if (n < 0 || (size_t)n >= sizeof file || file_read(file, MAX_REFERENCE_BYTES, &text, &length, NULL))
        return 1;
    text[strcspn(text, " \r\n\t")] = '\0';
    int status = is_revision(text) ? snapshot(repository, text, path, capacity) : 1;
    free(text);
    return status;
}

struct newest {
    char path[PATH_MAX];
    time_t time;
};

static int keep_newest(void *context, const char *name, const char *path, struct error *error)
{
    (void)name;
    (void)error;
    struct newest *newest = context;
    struct stat status;
    if (catalog_is_model(path) && stat(path, &status) == 0 &&
        (!newest->path[0] || status.st_mtime > newest->time)) {
        snprintf(newest->path, sizeof newest->path, "%s", path);
        newest->time = status.st_mtime;
    }
    return 0;
}

/* What "main" is, else the newest snapshot that has a config.json. */
static int default_snapshot(const char *repository, char *path, size_t capacity)
{
    if (referenced(repository, "main", path, capacity) == 0)
        return 0;
    char snapshots[PATH_MAX];
    struct newest newest = {.path = ""};
    if (file_join(snapshots, sizeof snapshots, repository, "snapshots", NULL) ||
        catalog_each_folder(snapshots, keep_newest, &newest, NULL) || !newest.path[0])
        return 1;
    return catalog_copy_path(path, capacity, newest.path, NULL) ? 1 : 0;
}

static int scan_repository(void *context, const char *name, const char *path, struct error *error)
{
    if (strncmp(name, FOLDER_PREFIX, sizeof FOLDER_PREFIX - 1) != 0)
        return 0;
    char id[NAME_MAX + 1], folder[PATH_MAX];
    const char *rest = name + sizeof FOLDER_PREFIX - 1;
    const char *dashes = strstr(rest, "--");
    if (dashes)
        snprintf(id, sizeof id, "%.*s/%s", (int)(dashes - rest), rest, dashes + 2);
    else
        snprintf(id, sizeof id, "%s", rest);
    if (default_snapshot(path, folder, sizeof folder))
        return 0; /* a download that never got its config.json */
    return catalog_add(context, id, folder, "hub", error);
}

int catalog_hub_scan(struct catalog *catalog, struct error *error)
{
    char cache[PATH_MAX];
    if (places_hub_cache(cache, sizeof cache, NULL))
        return 0;
    return catalog_each_folder(cache, scan_repository, catalog, error);
}

/* <cache>/models--ORG--NAME of an id; 1 when there is none. */
static int repository_folder(const char *id, size_t id_length, char *out, size_t capacity)
{
    char cache[PATH_MAX];
    if (places_hub_cache(cache, sizeof cache, NULL))
        return 1;
    const char *slash = memchr(id, '/', id_length);
    int n;
    if (!slash)
        n = snprintf(out, capacity, "%s/%s%.*s", cache, FOLDER_PREFIX, (int)id_length, id);
    else {
        size_t organisation = (size_t)(slash - id);
        size_t name = id_length - organisation - 1;
        if (memchr(slash + 1, '/', name))
            return 1; /* ids have one slash at most */
        n = snprintf(out, capacity, "%s/%s%.*s--%.*s", cache, FOLDER_PREFIX, (int)organisation, id, (int)name,
                     slash + 1);
    }
    return n < 0 || (size_t)n >= capacity || !file_is_folder(out);
}

int catalog_hub_find(const char *id, char *path, size_t capacity, struct error *error)
{
    char repository[PATH_MAX];
    const char *at = strchr(id, '@');
    size_t length = at ? (size_t)(at - id) : strlen(id);
    if (length == 0 || repository_folder(id, length, repository, sizeof repository))
        return 1;
    if (!at) {
        if (default_snapshot(repository, path, capacity) == 0)
            return 0;
        return error_set(
            error, ERROR_NOT_FOUND,
            "'%s' is in the Hugging Face cache without a config.json: its download never finished", id);
    }
    const char *revision = at + 1;
    if ((is_reference(revision) && referenced(repository, revision, path, capacity) == 0) ||
        (is_revision(revision) && snapshot(repository, revision, path, capacity) == 0))
        return 0;
    return error_set(error, ERROR_NOT_FOUND, "'%.*s' is in the Hugging Face cache, its revision '%s' is not",
                     (int)length, id, revision);
}
