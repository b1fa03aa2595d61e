/* Server-sent events as they come off the wire (WHATWG HTML, 9.2), in pieces of any size: an event is handed
 * on when its blank line has come, whichever way the bytes were cut. Bounded: an event longer than
 * REMOTE_MAX_EVENT is an error, not memory. One owner.
 */
#ifndef LLMIND_PROFILE_REMOTE_EVENTS_H
#define LLMIND_PROFILE_REMOTE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

enum { REMOTE_MAX_EVENT = 1 << 20 };

/* The data of one event, zero-terminated (it may have zero bytes in it, too). Not 0 ends the reading with
 * that error code. */
typedef int (*remote_event_function)(void *context, const char *data, size_t length, struct error *error);

struct remote_events {
    struct buffer line, data; /* of the line and the event that are not complete yet */
    bool has_data, after_return, begun;
    remote_event_function on_event;
    void *context;
};

/* Zero-initialise and set on_event and context. Errors: ERROR_LIMIT, ERROR_MEMORY, those of on_event; after
 * one nothing more may be fed. */
int remote_events_feed(struct remote_events *events, const char *bytes, size_t length, struct error *error);
/* The stream has ended: hands on an event whose blank line is missing. */
int remote_events_end(struct remote_events *events, struct error *error);
void remote_events_free(struct remote_events *events);

#endif
