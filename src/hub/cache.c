#include "hub/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "hub/answer.h"
#include "hub/names.h"

static int failed(const struct hub_cache *cache, const char *action, const char *what, struct error *error)
{
    int number = errno;
    if (number == ELOOP || number == ENOTDIR)
        return error_set(error, ERROR_IO,
                         "cannot %s %s in %s: it is a link or a file where a folder should be", action, what,
                         cache->path);
    return error_set(error, ERROR_IO, "cannot %s %s in %s: %s", action, what, cache->path, strerror(number));
}

int hub_open_folder(int parent, const char *name, bool make)
{
    if (make && mkdirat(parent, name, 0777) && errno != EEXIST)
        return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* The cache itself may be anywhere, also behind links: the user said where. */
static int open_root(const char *path, struct error *error)
{
    char part[PATH_MAX];
    int n = snprintf(part, sizeof part, "%s", path);
    if (n < 0 || (size_t)n >= sizeof part)
        return error_set(error, ERROR_LIMIT, "the path of the cache is too long");
    for (char *p = part + 1; *p; p++)
        if (*p == '/') {
            *p = '\0';
            if (mkdir(part, 0777) && errno != EEXIST && errno != EROFS && errno != EACCES)
                break;
            *p = '/';
        }
    if (mkdir(path, 0777) && errno != EEXIST)
        return error_set(error, ERROR_IO, "cannot make the folder %s: %s", path, strerror(errno));
    int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root >= 0 ? root : error_set(error, ERROR_IO, "cannot open %s: %s", path, strerror(errno));
}

static int not_there(const struct hub_settings *settings, const char *repository, struct error *error)
{
    return error_set(error, ERROR_NOT_FOUND, "%s is not in the cache (%s)", repository, settings->cache);
}

/* Other tools take a repository without these for a damaged one. */
static int make_folders(int repository)
{
    return (mkdirat(repository, "snapshots", 0777) && errno != EEXIST) ||
           (mkdirat(repository, "refs", 0777) && errno != EEXIST);
}

int hub_cache_open(const struct hub_settings *settings, const char *repository, bool make,
                   struct hub_cache *cache, struct error *error)
{
    char folder[HUB_MAX_REPOSITORY + 16];
    *cache = (struct hub_cache){.repository = -1, .blobs = -1, .locks = -1};
    hub_folder_name(repository, folder, sizeof folder);
    int n = snprintf(cache->path, sizeof cache->path, "%s/%s", settings->cache, folder);
    if (n < 0 || (size_t)n + HUB_MAX_ENTRY + 64 >= sizeof cache->path)
        return error_set(error, ERROR_LIMIT, "the path of the cache is too long");
    int root =
        make ? open_root(settings->cache, error) : open(settings->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return make ? root : not_there(settings, repository, error);
    int locks = -1, status = 0;
    if ((cache->repository = hub_open_folder(root, folder, make)) < 0 && !make && errno == ENOENT)
        status = not_there(settings, repository, error);
    else if (cache->repository < 0 || make_folders(cache->repository) ||
             (cache->blobs = hub_open_folder(cache->repository, "blobs", true)) < 0)
        status = failed(cache, "open", "the folder of blobs", error);
    else if ((locks = hub_open_folder(root, ".locks", true)) < 0 ||
             (cache->locks = hub_open_folder(locks, folder, true)) < 0)
        status = failed(cache, "open", "the folder of locks for what is", error);
    if (locks >= 0)
        close(locks);
    close(root);
    return status;
}

void hub_cache_close(struct hub_cache *cache)
{
    const int folders[] = {cache->repository, cache->blobs, cache->locks};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i] >= 0)
            close(folders[i]);
    cache->repository = cache->blobs = cache->locks = -1;
}

void hub_cache_part_name(const char *hash, char out[HUB_MAX_ENTRY])
{
    snprintf(out, HUB_MAX_ENTRY, "%.*s.llmind.incomplete", HUB_MAX_HASH, hash);
}

void hub_cache_record_name(const char *hash, char out[HUB_MAX_ENTRY])
{
    snprintf(out, HUB_MAX_ENTRY, "%.*s.llmind.record", HUB_MAX_HASH, hash);
}

bool hub_cache_has(const struct hub_cache *cache, const struct hub_file *file)
{
    struct stat status;
    /* huggingface_hub may share a blob between repositories by a link: it is followed */
    return fstatat(cache->blobs, file->hash, &status, 0) == 0 && S_ISREG(status.st_mode) &&
           status.st_size >= 0 && (uint64_t)status.st_size == file->bytes;
}

uint64_t hub_cache_free_bytes(const struct hub_cache *cache)
{
    struct statvfs disk;
    if (fstatvfs(cache->blobs, &disk) || disk.f_blocks == 0)
        return HUB_UNKNOWN;
    return (uint64_t)disk.f_bavail * disk.f_frsize;
}

int hub_cache_try_lock(const struct hub_cache *cache, const char *hash, int *descriptor, struct error *error)
{
    char name[HUB_MAX_ENTRY];
    struct stat ours, theirs;
    snprintf(name, sizeof name, "%.*s.lock", HUB_MAX_HASH, hash);
    int file = openat(cache->locks, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0664);
    if (file < 0)
        return failed(cache, "open", "the lock of a file", error);
    if (flock(file, LOCK_EX | LOCK_NB)) {
        int number = errno;
        close(file);
        errno = number;
        return number == EWOULDBLOCK || number == EINTR ? 1
                                                        : failed(cache, "take", "the lock of a file", error);
    }
    /* somebody may have removed the file that we opened before we had its lock */
    if (fstat(file, &ours) || fstatat(cache->locks, name, &theirs, AT_SYMLINK_NOFOLLOW) ||
        ours.st_ino != theirs.st_ino) {
        close(file);
        return 1;
    }
    *descriptor = file;
    return 0;
}

int hub_cache_settle(const struct hub_cache *cache, const char *hash, struct error *error)
{
    char part[HUB_MAX_ENTRY], record[HUB_MAX_ENTRY];
    hub_cache_part_name(hash, part);
    hub_cache_record_name(hash, record);
    if (renameat(cache->blobs, part, cache->blobs, hash))
        return failed(cache, "rename", part, error);
    unlinkat(cache->blobs, record, 0);
    return 0;
}

/* snapshots/COMMIT. */
static int open_snapshot(const struct hub_cache *cache, const char *commit)
{
    int snapshots = hub_open_folder(cache->repository, "snapshots", true);
    int folder = snapshots < 0 ? -1 : hub_open_folder(snapshots, commit, true);
    int number = errno;
    if (snapshots >= 0)
        close(snapshots);
    errno = number;
    return folder;
}

int hub_cache_link(const struct hub_cache *cache, const char *commit, const struct hub_file *file,
                   struct error *error)
{
    char target[HUB_MAX_HASH + 16], there[HUB_MAX_HASH + 16], passing[64];
    snprintf(target, sizeof target, "../../blobs/%s", file->hash);
    snprintf(passing, sizeof passing, ".llmind-%ld", (long)getpid());
    int folder = open_snapshot(cache, commit), status = 0;
    if (folder < 0)
        return failed(cache, "make", "the snapshot", error);
    ssize_t n = readlinkat(folder, file->name, there, sizeof there);
    bool same = n > 0 && (size_t)n == strlen(target) && memcmp(there, target, (size_t)n) == 0;
    if (!same) {
        unlinkat(folder, passing, 0);
        if (symlinkat(target, folder, passing) || renameat(folder, passing, folder, file->name)) {
            status = failed(cache, "link", file->name, error);
            unlinkat(folder, passing, 0);
        }
    }
    close(folder);
    return status;
}

/* The folder that refs/REVISION lies in and, in *last, its last part. */
static int open_references(const struct hub_cache *cache, const char *revision, bool make, const char **last)
{
    char part[HUB_MAX_REVISION + 1];
    int folder = hub_open_folder(cache->repository, "refs", make);
    const char *slash;
    while (folder >= 0 && (slash = strchr(revision, '/'))) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - revision), revision);
        int next = hub_open_folder(folder, part, make), number = errno;
        close(folder);
        errno = number;
        folder = next;
        revision = slash + 1;
    }
    *last = revision;
    return folder;
}

static int write_reference(int folder, const char *name, const char *commit)
{
    char passing[64];
    size_t length = strlen(commit);
    snprintf(passing, sizeof passing, ".llmind-%ld", (long)getpid());
    unlinkat(folder, passing, 0);
    int file = openat(folder, passing, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0)
        return -1;
    bool good = write(file, commit, length) == (ssize_t)length && fsync(file) == 0;
    good = close(file) == 0 && good;
    if (good && renameat(folder, passing, folder, name) == 0)
        return 0;
    int number = errno;
    unlinkat(folder, passing, 0);
    errno = number;
    return -1;
}

int hub_cache_set_reference(const struct hub_cache *cache, const char *revision, const char *commit,
                            struct error *error)
{
    const char *last;
    if (strcmp(revision, commit) == 0)
        return 0;
    int folder = open_references(cache, revision, true, &last);
    int status = folder < 0 || write_reference(folder, last, commit)
                     ? failed(cache, "write", "the name of the revision", error)
                     : 0;
    if (folder >= 0)
        close(folder);
    return status;
}

bool hub_cache_find_commit(const struct hub_cache *cache, const char *revision, char out[HUB_COMMIT + 1])
{
    char text[HUB_COMMIT + 8] = "";
    const char *last;
    int folder = open_references(cache, revision, false, &last);
    int file = folder < 0 ? -1 : openat(folder, last, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file >= 0 && read(file, text, sizeof text - 1) > 0)
        text[strcspn(text, " \r\n\t")] = '\0';
    if (file >= 0)
        close(file);
    if (folder >= 0)
        close(folder);
    if (!text[0])
        snprintf(text, sizeof text, "%.*s", HUB_COMMIT, revision);
    if (!hub_is_hex(text, HUB_COMMIT))
        return false;
    snprintf(out, HUB_COMMIT + 1, "%.*s", HUB_COMMIT, text);
    char name[HUB_COMMIT + 32];
    struct stat status;
    snprintf(name, sizeof name, "snapshots/%s/config.json", out);
    return fstatat(cache->repository, name, &status, 0) == 0;
}
