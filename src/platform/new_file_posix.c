/* The name of the partial file is made up by mkostemp, so two programs that write the same file do not meet,
 * and nobody can put a link in its way. */
#include "platform/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(struct error *error, const char *path, int number)
{
    if (number == ENOENT || number == ENOTDIR)
        return error_set(error, ERROR_NOT_FOUND, "cannot write %s: there is no such folder", path);
    return error_set(error, ERROR_IO, "cannot write %s: %s", path, strerror(number));
}

static int name(struct new_file *file, const char *path, struct error *error)
{
    static const char ending[] = ".XXXXXX";
    size_t length = strlen(path);
    file->path = strdup(path);
    file->beside = malloc(length + sizeof ending);
    if (!file->path || !file->beside)
        return error_memory(error, "a file's name", length);
    memcpy(file->beside, path, length);
    memcpy(file->beside + length, ending, sizeof ending);
    return 0;
}

/* Makes the file under its partial name; without one there is nothing to remove. */
static int make(struct new_file *file, struct error *error)
{
    int descriptor = mkostemp(file->beside, O_CLOEXEC);
    if (descriptor < 0) {
        int number = errno;
        free(file->beside);
        file->beside = NULL;
        return failed(error, file->path, number);
    }
    file->stream = fdopen(descriptor, "wb");
    if (file->stream)
        return 0;
    int number = errno;
    close(descriptor);
    return failed(error, file->path, number);
}

int new_file_open(struct new_file *file, const char *path, struct error *error)
{
    struct stat status;
    *file = (struct new_file){0};
    if (!*path)
        return error_set(error, ERROR_INVALID, "a file to write has no name");
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return error_set(error, ERROR_INVALID, "cannot write %s: it is there, and is not a regular file",
                         path);
    int result = name(file, path, error);
    if (!result)
        return make(file, error);
    free(file->beside);
    file->beside = NULL;
    return result;
}

int new_file_write(struct new_file *file, const void *bytes, size_t n, struct error *error)
{
    errno = 0;
    if (fwrite(bytes, 1, n, file->stream) == n)
        return 0;
    return failed(error, file->path, errno ? errno : EIO);
}

/* The folder knows the new name, too: else a power cut could leave the old one. Where that cannot be asked
 * for the file is there all the same. */
static void flush_folder(const char *path)
{
    char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash)
        slash[slash == folder] = '\0'; /* of the root the slash stays */
    int descriptor = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor >= 0) {
        (void)fsync(descriptor);
        close(descriptor);
    }
    free(folder);
}

int new_file_commit(struct new_file *file, struct error *error)
{
    int number = 0;
    if (ferror(file->stream))
        number = EIO; /* somebody went on after a failed write */
    else if (fflush(file->stream) || fsync(fileno(file->stream)))
        number = errno;
    if (fclose(file->stream) && !number)
        number = errno;
    file->stream = NULL;
    if (!number && rename(file->beside, file->path))
        number = errno;
    if (number)
        return failed(error, file->path, number);
    free(file->beside);
    file->beside = NULL;
    flush_folder(file->path);
    return 0;
}

void new_file_close(struct new_file *file)
{
    if (file->stream)
        fclose(file->stream);
    if (file->beside)
        unlink(file->beside);
    free(file->beside);
    free(file->path);
    *file = (struct new_file){0};
}

int new_file_check(const char *path, struct error *error)
{
    struct new_file file;
    int status = new_file_open(&file, path, error);
    new_file_close(&file);
    return status;
}
