/* What a run told, kept so that whoever comes late or was cut off hears the rest.
 *
 * A long run tells its progress thousands of times, and progress is worth nothing once there is newer: when
 * the list is full, the phase events of its older half go, and only if that frees nothing the oldest ones of
 * any kind. Numbers are never given twice, so a gap says that something was dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "platform/clock.h"
#include "profile/jobs_internal.h"
#include "profile/json_get.h"

/* Takes out the items of the first `end` that `all` or their type condemns. */
static void drop(struct job_events *events, size_t end, bool all)
{
    size_t kept = 0;
    for (size_t i = 0; i < events->n; i++)
        if (i < end && (all || json_get_is(events->items[i], "type", "phase")))
            json_decref(events->items[i]);
        else
            events->items[kept++] = events->items[i];
    events->n = kept;
}

static bool make_room(struct job_events *events)
{
    if (events->n == JOBS_MAX_EVENTS) {
        drop(events, events->n / 2, false);
        if (events->n == JOBS_MAX_EVENTS)
            drop(events, events->n / 4, true);
    }
    if (events->n < events->capacity)
        return true;
    size_t capacity = events->capacity ? 2 * events->capacity : 64;
    json_t **items = realloc(events->items, capacity * sizeof *items);
    if (!items)
        return false;
    events->items = items;
    events->capacity = capacity;
    return true;
}

void job_events_add(struct job_events *events, const json_t *event)
{
    char now[32];
    clock_wall_rfc3339(now, sizeof now);
    json_t *copy = json_deep_copy(event);
    events->last_number++;
    if (!copy || json_object_set_new(copy, "number", json_integer((json_int_t)events->last_number)) ||
        json_object_set_new(copy, "time", json_string(now)) || !make_room(events)) {
        json_decref(copy);
        return;
    }
    events->items[events->n++] = copy;
}

bool job_events_after(const struct job_events *events, uint64_t after, json_t *out)
{
    size_t told = 0;
    for (size_t i = 0; i < events->n; i++) {
        if ((uint64_t)json_integer_value(json_object_get(events->items[i], "number")) <= after)
            continue;
        if (told++ == JOBS_EVENTS_AT_ONCE)
            return true;
        json_array_append_new(out, json_deep_copy(events->items[i]));
    }
    return false;
}

void job_events_free(struct job_events *events)
{
    drop(events, events->n, true);
    free(events->items);
    *events = (struct job_events){0};
}
