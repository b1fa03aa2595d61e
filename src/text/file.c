/* Reads the small files of a model folder, with a limit: they come from strangers. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text/internal.h"

static int read_whole(int file, const char *path, size_t max_bytes, uint8_t **data, size_t *length,
                      struct error *error)
{
    struct stat status;
    if (fstat(file, &status) != 0) {
        return error_set(error, ERROR_IO, "%s cannot be read: %s", path, strerror(errno));
    }
    if (!S_ISREG(status.st_mode)) {
        return error_set(error, ERROR_INVALID, "%s is not a file", path);
    }
    if (status.st_size < 0 || (unsigned long long)status.st_size > max_bytes) {
        return error_set(error, ERROR_LIMIT, "%s has %lld bytes; at most %zu MB are read", path,
                         (long long)status.st_size, max_bytes >> 20);
    }
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL) {
        return error_memory(error, path, size + 1);
    }
    size_t done = 0;
    while (done < size) {
        ssize_t n = read(file, bytes + done, size - done);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            free(bytes);
            return error_set(error, ERROR_IO, "%s cannot be read: %s", path, strerror(errno));
        }
        if (n == 0) {
            break; /* it became shorter while it was read */
        }
        done += (size_t)n;
    }
    *data = bytes;
    *length = done;
    return 0;
}

int text_read_file(const char *folder, const char *name, size_t max_bytes, bool optional, uint8_t **data,
                   size_t *length, struct error *error)
{
    *data = NULL;
    *length = 0;
    size_t path_size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(path_size);
    if (path == NULL) {
        return error_memory(error, "a path", path_size);
    }
    snprintf(path, path_size, "%s/%s", folder, name);
    int result = 0;
    /* O_NONBLOCK: a named pipe must not hold the program; it is refused as "not a file". */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        if (!absent) {
            result = error_set(error, ERROR_IO, "%s cannot be opened: %s", path, strerror(errno));
        } else if (!optional) {
            result = error_set(error, ERROR_NOT_FOUND, "%s is not there", path);
        }
    } else {
        result = read_whole(file, path, max_bytes, data, length, error);
        close(file);
    }
    free(path);
    return result;
}
