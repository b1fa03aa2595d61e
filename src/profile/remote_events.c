/* Lines end with \n, \r\n or \r, and a \r may be the last byte of one piece and its \n the first of the next.
 * The usual case, a whole line inside one piece, is handed on without being copied first. */
#include "profile/remote_events.h"

#include <string.h>

static int dispatch(struct remote_events *events, struct error *error)
{
    if (!events->has_data)
        return 0;
    events->has_data = false;
    if (events->data.failed)
        return error_memory(error, "an event of a stream", events->data.length);
    int status = events->on_event(events->context, events->data.data ? events->data.data : "",
                                  events->data.length, error);
    buffer_clear(&events->data);
    return status;
}

static int take_line(struct remote_events *events, const char *line, size_t length, struct error *error)
{
    static const char mark[] = "\xEF\xBB\xBF", field[] = "data";
    if (!events->begun && length >= 3 && memcmp(line, mark, 3) == 0) {
        line += 3;
        length -= 3;
    }
    events->begun = true;
    if (length == 0)
        return dispatch(events, error);
    if (length < 4 || memcmp(line, field, 4) != 0 || (length > 4 && line[4] != ':'))
        return 0; /* comments, names and ids of events, and what nobody knows */
    size_t skip = length > 5 && line[5] == ' ' ? 6 : length > 4 ? 5 : 4;
    if (events->data.length + (length - skip) >= REMOTE_MAX_EVENT)
        return error_set(error, ERROR_LIMIT, "the server sent an event of more than %d bytes",
                         REMOTE_MAX_EVENT);
    if (events->has_data)
        buffer_append(&events->data, "\n", 1);
    events->has_data = true;
    buffer_append(&events->data, line + skip, length - skip);
    return 0;
}

/* A line is complete: what was kept of it, and the rest. */
static int end_line(struct remote_events *events, const char *rest, size_t length, struct error *error)
{
    if (events->line.length == 0)
        return take_line(events, rest, length, error);
    buffer_append(&events->line, rest, length);
    if (events->line.failed)
        return error_memory(error, "a line of a stream", events->line.length);
    int status = take_line(events, events->line.data, events->line.length, error);
    buffer_clear(&events->line);
    return status;
}

int remote_events_feed(struct remote_events *events, const char *bytes, size_t length, struct error *error)
{
    size_t begin = 0;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        bool second = c == '\n' && events->after_return; /* the \n of a \r\n ends no line of its own */
        events->after_return = c == '\r';
        if (c != '\n' && c != '\r')
            continue;
        int status = second ? 0 : end_line(events, bytes + begin, i - begin, error);
        if (status)
            return status;
        begin = i + 1;
    }
    if (events->line.length + (length - begin) > REMOTE_MAX_EVENT)
        return error_set(error, ERROR_LIMIT, "the server sent a line of more than %d bytes",
                         REMOTE_MAX_EVENT);
    if (begin < length)
        buffer_append(&events->line, bytes + begin, length - begin);
    return events->line.failed ? error_memory(error, "a line of a stream", length) : 0;
}

int remote_events_end(struct remote_events *events, struct error *error)
{
    int status = events->line.length ? end_line(events, "", 0, error) : 0;
    return status ? status : dispatch(events, error);
}

void remote_events_free(struct remote_events *events)
{
    buffer_free(&events->line);
    buffer_free(&events->data);
}
