/* Deleting from the cache. Every folder is opened below the one before it and never through a link, every
 * link is deleted as a link: nothing outside of the repository's folder can be reached, whatever lies in it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/cache.h"
#include "hub/names.h"

enum { MAX_DEPTH = 32, BLOCK = 512 /* of st_blocks, by POSIX */ };

/* Calls visit for each entry but . and .. of a folder (opened again, so the descriptor's own position does
 * not matter), with the folder's descriptor. A result other than 0 ends it and is returned; -1 with errno:
 * the folder cannot be read. */
typedef int (*visit_entry)(void *context, int folder, const char *name, const struct stat *status);

static int each_entry(int parent, const char *name, visit_entry visit, void *context)
{
    int folder = hub_open_folder(parent, name, false);
    DIR *list = folder < 0 ? NULL : fdopendir(folder);
    if (!list) {
        if (folder >= 0)
            close(folder);
        return -1;
    }
    int result = 0;
    const struct dirent *entry;
    while (result == 0 && (entry = readdir(list))) {
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            result = visit(context, folder, entry->d_name, &status);
    }
    int number = errno;
    closedir(list);
    errno = number;
    return result;
}

/* ---- names of blobs ---- */

struct names {
    char **items;
    size_t count, capacity;
    bool failed;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
    *names = (struct names){.count = 0};
}

static void names_add(struct names *names, const char *name)
{
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 64;
        char **more = realloc(names->items, capacity * sizeof *more);
        if (!more) {
            names->failed = true;
            return;
        }
        names->items = more;
        names->capacity = capacity;
    }
    names->items[names->count] = strdup(name);
    if (names->items[names->count])
        names->count++;
    else
        names->failed = true;
}

static bool names_have(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

/* ---- what there is ---- */

struct survey {
    uint64_t bytes;
    bool unfinished;
    int depth;
};

static int add_entry(void *context, int folder, const char *name, const struct stat *status)
{
    struct survey *survey = context;
    size_t length = strlen(name);
    survey->bytes += (uint64_t)status->st_blocks * BLOCK;
    if (S_ISREG(status->st_mode) && length > 11 && strcmp(name + length - 11, ".incomplete") == 0)
        survey->unfinished = true;
    if (S_ISDIR(status->st_mode) && survey->depth < MAX_DEPTH) {
        survey->depth++;
        each_entry(folder, name, add_entry, survey);
        survey->depth--;
    }
    return 0;
}

/* Links in snapshots, by the blob they lead to: of one commit, and of all others. */
struct links {
    const char *commit;
    struct names mine, others;
    bool in_commit;
    size_t n_snapshots;
    int depth;
};

static int add_link(void *context, int folder, const char *name, const struct stat *status)
{
    struct links *links = context;
    if (S_ISLNK(status->st_mode)) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(folder, name, target, sizeof target - 1);
        if (n > 0) {
            target[n] = '\0';
            const char *slash = strrchr(target, '/');
            names_add(links->in_commit ? &links->mine : &links->others, slash ? slash + 1 : target);
        }
    } else if (S_ISDIR(status->st_mode) && links->depth < MAX_DEPTH) {
        if (links->depth == 0) {
            links->in_commit = strcmp(name, links->commit) == 0;
            links->n_snapshots++;
        }
        links->depth++;
        each_entry(folder, name, add_link, links);
        links->depth--;
    }
    return 0;
}

static void links_free(struct links *links)
{
    names_free(&links->mine);
    names_free(&links->others);
}

static bool is_only_mine(const struct links *links, const char *blob)
{
    return names_have(&links->mine, blob) && !names_have(&links->others, blob);
}

struct own_bytes {
    const struct links *links;
    uint64_t bytes;
};

static int add_own(void *context, int folder, const char *name, const struct stat *status)
{
    struct own_bytes *own = context;
    (void)folder;
    if (is_only_mine(own->links, name))
        own->bytes += (uint64_t)status->st_blocks * BLOCK;
    return 0;
}

static int find_snapshot(const struct hub_cache *cache, const char *revision, struct hub_removal *out,
                         struct error *error)
{
    char commit[HUB_COMMIT + 1];
    if (!hub_cache_find_commit(cache, revision, commit))
        return error_set(error, ERROR_NOT_FOUND, "%s is in the cache, its revision '%.60s' is not",
                         out->repository, revision);
    struct links links = {.commit = commit};
    each_entry(cache->repository, "snapshots", add_link, &links);
    struct own_bytes own = {&links, 0};
    each_entry(cache->repository, "blobs", add_own, &own);
    int status = links.mine.failed || links.others.failed ? error_memory(error, "the list of files", 0) : 0;
    if (links.n_snapshots > 1) { /* of the only one everything goes */
        snprintf(out->commit, sizeof out->commit, "%s", commit);
        out->bytes = own.bytes;
        out->n_snapshots = 1;
        out->unfinished = false;
    }
    links_free(&links);
    return status;
}

int hub_removal_find(const struct hub_settings *settings, const char *id, struct hub_removal *out,
                     struct error *error)
{
    struct hub_cache cache;
    const char *at = strchr(id, '@');
    size_t length = at ? (size_t)(at - id) : strlen(id);
    *out = (struct hub_removal){.bytes = 0};
    if (length > HUB_MAX_REPOSITORY)
        length = HUB_MAX_REPOSITORY;
    memcpy(out->repository, id, length);
    out->repository[length] = '\0';
    int status = hub_check_repository(out->repository, error);
    if (!status && at)
        status = hub_check_revision(at + 1, error);
    if (status)
        return status;
    status = hub_cache_open(settings, out->repository, false, &cache, error);
    if (!status) {
        struct survey survey = {.bytes = 0};
        struct links links = {.commit = ""};
        snprintf(out->path, sizeof out->path, "%s", cache.path);
        each_entry(cache.repository, ".", add_entry, &survey);
        each_entry(cache.repository, "snapshots", add_link, &links);
        out->bytes = survey.bytes;
        out->unfinished = survey.unfinished;
        out->n_snapshots = links.n_snapshots;
        links_free(&links);
        if (at)
            status = find_snapshot(&cache, at + 1, out, error);
    }
    hub_cache_close(&cache);
    return status;
}

/* ---- deleting ---- */

struct deletion {
    int depth, number; /* errno of the first thing that would not go */
};

static void remember(struct deletion *deletion)
{
    if (errno != ENOENT && deletion->number == 0)
        deletion->number = errno;
}

static int delete_entry(void *context, int folder, const char *name, const struct stat *status)
{
    struct deletion *deletion = context;
    if (S_ISDIR(status->st_mode)) {
        if (deletion->depth++ < MAX_DEPTH && each_entry(folder, name, delete_entry, deletion) < 0)
            remember(deletion);
        deletion->depth--;
        if (unlinkat(folder, name, AT_REMOVEDIR))
            remember(deletion);
    } else if (unlinkat(folder, name, 0)) {
        remember(deletion);
    }
    return 0;
}

static void delete_folder(int parent, const char *name, struct deletion *deletion)
{
    struct stat status;
    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0)
        delete_entry(deletion, parent, name, &status);
}

struct reference {
    const char *commit;
    struct deletion *deletion;
    int depth;
};

static int delete_reference(void *context, int folder, const char *name, const struct stat *status)
{
    struct reference *reference = context;
    if (S_ISDIR(status->st_mode) && reference->depth < MAX_DEPTH) {
        reference->depth++;
        each_entry(folder, name, delete_reference, reference);
        reference->depth--;
    } else if (S_ISREG(status->st_mode)) {
        char text[HUB_COMMIT] = "";
        int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        bool same = file >= 0 && read(file, text, sizeof text) == (ssize_t)sizeof text &&
                    memcmp(text, reference->commit, sizeof text) == 0;
        if (file >= 0)
            close(file);
        if (same && unlinkat(folder, name, 0))
            remember(reference->deletion);
    }
    return 0;
}

struct own_blobs {
    const struct links *links;
    struct deletion *deletion;
};

static int delete_own(void *context, int folder, const char *name, const struct stat *status)
{
    const struct own_blobs *own = context;
    if (!S_ISDIR(status->st_mode) && is_only_mine(own->links, name) && unlinkat(folder, name, 0))
        remember(own->deletion);
    return 0;
}

static int delete_snapshot(const struct hub_cache *cache, const char *commit, struct deletion *deletion,
                           struct error *error)
{
    struct links links = {.commit = commit};
    each_entry(cache->repository, "snapshots", add_link, &links);
    int status = links.mine.failed || links.others.failed ? error_memory(error, "the list of files", 0) : 0;
    int snapshots = status ? -1 : hub_open_folder(cache->repository, "snapshots", false);
    if (snapshots >= 0) {
        struct reference reference = {commit, deletion, 0};
        struct own_blobs own = {&links, deletion};
        each_entry(cache->repository, "refs", delete_reference, &reference);
        delete_folder(snapshots, commit, deletion);
        each_entry(cache->repository, "blobs", delete_own, &own);
        close(snapshots);
    }
    links_free(&links);
    return status;
}

/* What makes it a model goes first, so that what is left of a deletion that was killed is none. */
static void delete_repository(const struct hub_settings *settings, const struct hub_cache *cache,
                              const char *repository, struct deletion *deletion)
{
    char name[HUB_MAX_REPOSITORY + 16];
    delete_folder(cache->repository, "refs", deletion);
    delete_folder(cache->repository, "snapshots", deletion);
    hub_folder_name(repository, name, sizeof name);
    int root = open(settings->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        remember(deletion);
        return;
    }
    delete_folder(root, name, deletion);
    int locks = hub_open_folder(root, ".locks", false);
    if (locks >= 0) {
        delete_folder(locks, name, &(struct deletion){.depth = 0});
        close(locks);
    }
    close(root);
}

/* 1: somebody holds it. */
static int is_held(void *context, int folder, const char *name, const struct stat *status)
{
    (void)context;
    if (!S_ISREG(status->st_mode))
        return 0;
    int file = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool held = file >= 0 && flock(file, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
    if (file >= 0)
        close(file);
    return held;
}

int hub_remove(const struct hub_settings *settings, const struct hub_removal *removal, struct error *error)
{
    struct hub_cache cache;
    struct deletion deletion = {.depth = 0};
    int status = hub_cache_open(settings, removal->repository, false, &cache, error);
    if (!status && each_entry(cache.locks, ".", is_held, NULL) > 0)
        status =
            error_set(error, ERROR_BUSY, "%s is being downloaded by another process; stop that one first",
                      removal->repository);
    if (!status && removal->commit[0])
        status = delete_snapshot(&cache, removal->commit, &deletion, error);
    else if (!status)
        delete_repository(settings, &cache, removal->repository, &deletion);
    hub_cache_close(&cache);
    if (!status && deletion.number)
        status = error_set(error, ERROR_IO, "not everything of %s could be deleted: %s", removal->path,
                           strerror(deletion.number));
    return status;
}
