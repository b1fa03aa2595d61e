#include "platform/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int open_file(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* From the start to the end, or as much as fits. */
static bool read_whole(int file, char *out, size_t capacity)
{
    size_t length = 0;
    ssize_t got = 0;
    while (length + 1 < capacity) {
        got = pread(file, out + length, capacity - 1 - length, (off_t)length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    if (got < 0)
        length = 0;
    while (length > 0 && is_space(out[length - 1]))
        length--;
    out[length] = '\0';
    return got >= 0;
}

bool small_file_read(const char *path, char *out, size_t capacity)
{
    out[0] = '\0';
    int file = open_file(path);
    if (file < 0)
        return false;
    bool whole = read_whole(file, out, capacity);
    close(file);
    return whole;
}

bool small_file_read_kept(struct small_file *file, const char *path, char *out, size_t capacity)
{
    out[0] = '\0';
    if (!file->open) {
        file->descriptor = open_file(path);
        file->open = file->descriptor >= 0;
    }
    if (!file->open)
        return false;
    bool whole = read_whole(file->descriptor, out, capacity);
    if (!whole)
        small_file_close(file);
    return whole;
}

void small_file_close(struct small_file *file)
{
    if (file->open)
        close(file->descriptor);
    file->open = false;
}

bool small_file_number(const char *text, uint64_t *value, const char **after)
{
    if (*text < '0' || *text > '9')
        return false; /* strtoull would take a sign and white space */
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno || (*end && !is_space(*end)))
        return false;
    *value = number;
    if (after)
        *after = end;
    return true;
}

bool small_file_range(const char **at, size_t limit, size_t *low, size_t *high)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    *low = *high = strtoul(*at, &end, 10);
    if (*end == '-')
        *high = strtoul(end + 1, &end, 10);
    *at = *end == ',' ? end + 1 : "";
    return *low < limit && *high < limit;
}
