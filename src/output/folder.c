/* The partial folder is locked while it is written, so that two calls for one target do not mix their files.
 * A lock belongs to the open folder: it is gone when the process is, whatever ended it. */
#include "output/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const char SUFFIX[] = ".partial";

static int make_parents(const char *path, struct error *error)
{
    char part[FOLDER_PATH_MAX];
    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/')
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            return error_set(error, ERROR_IO, "cannot make the folder %s: %s", part, strerror(errno));
    }
    return 0;
}

/* Removes the files in a folder; it has no folders in it unless somebody else put them there. */
static void remove_files(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
}

static int check_target(const char *target, struct error *error)
{
    struct stat status;
    if (stat(target, &status))
        return 0;
    if (!S_ISDIR(status.st_mode))
        return error_set(error, ERROR_INVALID, "%s is there and is not a folder", target);
    DIR *folder = opendir(target);
    if (!folder)
        return error_set(error, ERROR_IO, "cannot read the folder %s: %s", target, strerror(errno));
    bool empty = true;
    for (struct dirent *entry; (entry = readdir(folder));)
        empty = empty && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0);
    closedir(folder);
    if (!empty)
        return error_set(error, ERROR_INVALID, "%s holds something already; name a new folder, or empty it",
                         target);
    return 0;
}

int folder_begin(struct output_folder *folder, const char *target, struct error *error)
{
    folder->lock = -1;
    size_t length = strlen(target);
    while (length > 1 && target[length - 1] == '/')
        length--;
    if (length == 0 || length + sizeof SUFFIX > sizeof folder->target)
        return error_set(error, length ? ERROR_LIMIT : ERROR_INVALID, "the folder's name is %s",
                         length ? "too long" : "empty");
    memcpy(folder->target, target, length);
    folder->target[length] = 0;
    memcpy(folder->partial, target, length);
    memcpy(folder->partial + length, SUFFIX, sizeof SUFFIX);

    int result = check_target(folder->target, error);
    if (!result)
        result = make_parents(folder->target, error);
    if (result)
        return result;
    if (mkdir(folder->partial, 0777) && errno != EEXIST)
        return error_set(error, ERROR_IO, "cannot make the folder %s: %s", folder->partial, strerror(errno));
    int lock = open(folder->partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0)
        return error_set(error, ERROR_IO, "cannot open the folder %s: %s", folder->partial, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB)) {
        close(lock);
        return error_set(error, ERROR_BUSY, "another llmind is writing %s; wait for it", folder->partial);
    }
    folder->lock = lock;
    remove_files(folder->partial);
    return 0;
}

int folder_check_space(const struct output_folder *folder, uint64_t bytes, struct error *error)
{
    struct statvfs status;
    if (statvfs(folder->partial, &status))
        return 0; /* unknown is no reason to refuse: a full disk is reported when it is met */
    uint64_t available = (uint64_t)status.f_bavail * status.f_frsize;
    if (available < bytes)
        return error_set(error, ERROR_LIMIT, "the model takes %.2f GB and %s has %.2f GB free",
                         (double)bytes * 1e-9, folder->target, (double)available * 1e-9);
    return 0;
}

FILE *folder_create(const struct output_folder *folder, const char *name, struct error *error)
{
    int descriptor = openat(folder->lock, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "wb");
    if (!file) {
        error_set(error, ERROR_IO, "cannot write %s/%s: %s", folder->partial, name, strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
    }
    return file;
}

int folder_close_file(FILE *file, const char *name, struct error *error)
{
    int failed = ferror(file);
    errno = 0;
    if (fclose(file) || failed)
        return error_set(error, ERROR_IO, "cannot write %s: %s", name,
                         errno ? strerror(errno) : "disk full?");
    return 0;
}

int folder_commit(struct output_folder *folder, struct error *error)
{
    if (rename(folder->partial, folder->target)) /* replaces an empty folder */
        return error_set(error, ERROR_IO, "cannot rename %s to %s: %s", folder->partial, folder->target,
                         strerror(errno));
    close(folder->lock);
    folder->lock = -1;
    return 0;
}

void folder_abandon(struct output_folder *folder)
{
    if (folder->lock < 0)
        return;
    remove_files(folder->partial);
    rmdir(folder->partial);
    close(folder->lock);
    folder->lock = -1;
}
