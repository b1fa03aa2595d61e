/* Files on any POSIX system.
 *
 * Paths come from users and from inside model folders, so each open is guarded: O_NONBLOCK keeps a named pipe
 * from blocking us, and only regular files are read or mapped. Sizes are taken from what was actually read,
 * because a file may grow or shrink meanwhile.
 */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_error(struct error *error, const char *path, const char *action)
{
    int number = errno;
    if (number == ENOENT || number == ENOTDIR)
        return error_set(error, ERROR_NOT_FOUND, "%s does not exist", path);
    /* strerror: of strerror_r there are two kinds, and the C libraries we build on keep the text per thread.
     */
    return error_set(error, ERROR_IO, "cannot %s %s: %s", action, path, strerror(number));
}

/* An open regular file and its size, or an error that calls it so. */
static int open_regular(const char *path, const char *called, int *file, size_t *size, struct error *error)
{
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0)
        return system_error(error, called, "open");
    struct stat status;
    int result = 0;
    if (fstat(*file, &status))
        result = system_error(error, called, "examine");
    else if (S_ISDIR(status.st_mode))
        result = error_set(error, ERROR_INVALID, "%s is a folder, not a file", called);
    else if (!S_ISREG(status.st_mode))
        result = error_set(error, ERROR_INVALID, "%s is not a regular file", called);
    else if (status.st_size < 0 || (uintmax_t)status.st_size > SIZE_MAX / 2)
        result = error_set(error, ERROR_LIMIT, "%s is too large for this system", called);
    else
        *size = (size_t)status.st_size;
    if (result) {
        close(*file);
        *file = -1;
    }
    return result;
}

/* Reads to the end of the file. The size found by fstat is a hint: files of /proc say 0. */
static int read_all(int file, size_t hint, size_t max_bytes, const char *path, char **out, size_t *length,
                    struct error *error)
{
    size_t capacity = (hint < max_bytes ? hint : max_bytes) + 1, used = 0;
    char *buffer = malloc(capacity + 1);
    if (!buffer)
        return error_memory(error, path, capacity + 1);
    for (;;) {
        ssize_t got = read(file, buffer + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            free(buffer);
            return system_error(error, path, "read");
        }
        used += (size_t)got;
        if (used > max_bytes) {
            free(buffer);
            return error_set(error, ERROR_LIMIT, "%s is larger than %zu bytes", path, max_bytes);
        }
        if (got == 0)
            break;
        if (used < capacity)
            continue;
        capacity = capacity < max_bytes / 2 ? capacity * 2 + 4096 : max_bytes + 1;
        char *larger = realloc(buffer, capacity + 1);
        if (!larger) {
            free(buffer);
            return error_memory(error, path, capacity + 1);
        }
        buffer = larger;
    }
    buffer[used] = '\0';
    *out = buffer;
    *length = used;
    return 0;
}

int file_reader_open(const char *path, const char *called, struct file_reader *out, struct error *error)
{
    out->length = 0;
    return open_regular(path, called, &out->descriptor, &out->length, error);
}

bool file_reader_take(struct file_reader *reader, void *out, size_t n)
{
    uint8_t *to = out;
    while (n) {
        ssize_t got = read(reader->descriptor, to, n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to += got;
        n -= (size_t)got;
    }
    return true;
}

void file_reader_close(struct file_reader *reader)
{
    if (reader->descriptor >= 0)
        close(reader->descriptor);
    reader->descriptor = -1;
}

int file_read(const char *path, size_t max_bytes, char **out, size_t *length, struct error *error)
{
    *out = NULL;
    *length = 0;
    if (max_bytes > SIZE_MAX / 4) /* leaves room for the arithmetic above */
        max_bytes = SIZE_MAX / 4;
    int file;
    size_t size = 0;
    int result = open_regular(path, path, &file, &size, error);
    if (result)
        return result;
    if (size > max_bytes)
        result = error_set(error, ERROR_LIMIT, "%s is larger than %zu bytes", path, max_bytes);
    else
        result = read_all(file, size, max_bytes, path, out, length, error);
    close(file);
    return result;
}

int file_map_open(const char *path, struct file_map *out, struct error *error)
{
    static const uint8_t nothing[1];
    *out = (struct file_map){nothing, 0};
    int file;
    size_t size = 0;
    int result = open_regular(path, path, &file, &size, error);
    if (result)
        return result;
    if (size > 0) { /* mmap refuses an empty range; an empty file is an empty map */
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
        if (data == MAP_FAILED)
            result = system_error(error, path, "map");
        else
            *out = (struct file_map){data, size};
    }
    close(file);
    return result;
}

void file_map_close(struct file_map *map)
{
    if (!map)
        return;
    if (map->length > 0)
        munmap((void *)(uintptr_t)map->data, map->length);
    *map = (struct file_map){0};
}

#ifdef __APPLE__
typedef char residency;
#else
typedef unsigned char residency;
#endif

bool file_resident_bytes(const char *path, uint64_t *resident, uint64_t *size)
{
    struct file_map map;
    if (file_map_open(path, &map, NULL))
        return false;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), n = map.length / page + (map.length % page > 0);
    residency *pages = malloc(n ? n : 1);
    bool known = pages && (n == 0 || mincore((void *)(uintptr_t)map.data, map.length, pages) == 0);
    *size = map.length;
    *resident = 0;
    for (size_t i = 0; known && i < n; i++)
        if (pages[i] & 1)
            *resident += i + 1 < n ? page : map.length - (n - 1) * page;
    free(pages);
    file_map_close(&map);
    return known;
}

bool file_exists(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0;
}

bool file_is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int file_join(char *out, size_t capacity, const char *folder, const char *name, struct error *error)
{
    size_t length = strlen(folder);
    const char *separator = length == 0 || folder[length - 1] == '/' ? "" : "/";
    int written = snprintf(out, capacity, "%s%s%s", folder, separator, name);
    if (written < 0 || (size_t)written >= capacity)
        return error_set(error, ERROR_LIMIT, "the path %s%s%s is too long", folder, separator, name);
    return 0;
}

int file_program_folder(char *out, size_t capacity, struct error *error)
{
    int result = file_program_path(out, capacity, error);
    if (result)
        return result;
    char *slash = strrchr(out, '/');
    if (!slash)
        return error_set(error, ERROR_IO, "the program's own path has no folder: %s", out);
    slash[slash == out ? 1 : 0] = '\0';
    return 0;
}
