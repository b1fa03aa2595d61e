#include "http/head.h"

#include <string.h>

/* Ends the line that begins at *at, and moves *at behind it. NULL: there is no end. */
static char *take_line(char **at, const char *end)
{
    char *line = *at;
    char *feed = memchr(line, '\n', (size_t)(end - line));
    if (!feed || feed == line || feed[-1] != '\r')
        return NULL;
    feed[-1] = '\0';
    *at = feed + 1;
    return strchr(line, '\r') ? NULL : line;
}

static bool read_first(char *line, struct http_head *out)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version || strchr(version + 1, ' '))
        return false;
    *target++ = *version++ = '\0';
    out->method = line;
    out->target = target;
    out->version = version;
    return *line && *target && *version;
}

static bool read_header(char *line, struct http_head *out)
{
    char *colon = strchr(line, ':');
    if (!colon || strcspn(line, " \t") < (size_t)(colon - line) || out->n_headers == HTTP_HEAD_HEADERS)
        return false;
    *colon++ = '\0';
    colon += strspn(colon, " \t");
    size_t length = strlen(colon);
    while (length && (colon[length - 1] == ' ' || colon[length - 1] == '\t'))
        colon[--length] = '\0';
    out->headers[out->n_headers++] = (struct http_header){line, colon};
    return *line != '\0';
}

bool http_head_read(char *bytes, size_t length, struct http_head *out)
{
    char *at = bytes, *line;
    const char *end = bytes + length;
    *out = (struct http_head){0};
    for (bool first = true; at < end && (line = take_line(&at, end)); first = false) {
        out->bytes = (size_t)(at - bytes);
        if (!*line) /* the empty line; a zero byte that came with it would have ended the line early */
            return !first && at - line == 2;
        if (strlen(line) + 2 != (size_t)(at - line) ||
            !(first ? read_first(line, out) : read_header(line, out)))
            return false;
    }
    return false;
}
