#include "cli/line.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool append(char **out, size_t *length, const char *bytes, size_t n)
{
    if (*length + n > LINE_MAX_BYTES)
        return false;
    char *more = realloc(*out, *length + n + 1);
    if (!more)
        return false;
    memcpy(more + *length, bytes, n);
    more[*length + n] = '\0';
    *out = more;
    *length += n;
    return true;
}

/* Waits for input or an interrupt. LINE_READ: there is something in the buffer. */
static enum line_result fill(struct line_reader *reader)
{
    struct pollfd waits[2] = {{.fd = reader->descriptor, .events = POLLIN},
                              {.fd = reader->interrupt, .events = POLLIN}};
    if (reader->descriptor < 0) /* poll would leave it out and wait for ever */
        return LINE_FAILED;
    for (;;) {
        if (poll(waits, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return LINE_FAILED;
        }
        if (waits[1].revents & POLLIN)
            return LINE_INTERRUPTED;
        if (waits[1].revents) /* closed: no interrupt will come, and poll would not wait any more */
            waits[1].fd = -1;
        if (!waits[0].revents)
            continue;
        if (waits[0].revents & POLLNVAL) /* closed; it must not be read, another file may get its number */
            return LINE_FAILED;
        ssize_t got = read(reader->descriptor, reader->buffer, sizeof reader->buffer);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        reader->start = 0;
        reader->end = got > 0 ? (size_t)got : 0;
        return got > 0 ? LINE_READ : got == 0 ? LINE_END : LINE_FAILED;
    }
}

enum line_result line_read(struct line_reader *reader, char **out, size_t *length)
{
    *out = NULL;
    *length = 0;
    enum line_result result;
    for (;;) {
        size_t n = reader->end - reader->start;
        const char *newline = memchr(reader->buffer + reader->start, '\n', n);
        if (newline)
            n = (size_t)(newline - reader->buffer) - reader->start;
        if (!append(out, length, reader->buffer + reader->start, n)) {
            result = LINE_FAILED;
            break;
        }
        reader->start += n + (newline != NULL);
        if (newline)
            return LINE_READ;
        result = fill(reader);
        if (result == LINE_END && *length > 0)
            return LINE_READ; /* the last line of a file without a newline */
        if (result != LINE_READ)
            break;
    }
    free(*out);
    *out = NULL;
    *length = 0;
    return result;
}
