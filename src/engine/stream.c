/* A mutex and a condition, no lock-free art: one event per token and sequence is a few thousand locks a
 * second at most, and the engine holds each for the time of one copy. */
#include "engine/stream.h"

#include <errno.h>

#include "platform/clock.h"

int stream_init(struct stream *stream, uint32_t capacity, void (*wake)(void *), void *wake_context,
                struct arena *arena, struct error *error)
{
    *stream = (struct stream){.capacity = capacity, .wake = wake, .wake_context = wake_context};
    stream->ring = arena_alloc(arena, capacity, sizeof *stream->ring);
    if (!stream->ring)
        return error_memory(error, "the events of a request",
                            (unsigned long long)capacity * sizeof *stream->ring);
    int failed = pthread_mutex_init(&stream->lock, NULL);
    if (!failed && (failed = clock_cond_init(&stream->changed)) != 0)
        pthread_mutex_destroy(&stream->lock);
    return failed ? error_memory(error, "a lock", sizeof stream->lock) : 0;
}

void stream_on_event(struct stream *stream, void (*on_event)(void *context), void *context)
{
    stream->on_event = on_event;
    stream->on_event_context = context;
}

void stream_free(struct stream *stream)
{
    pthread_cond_destroy(&stream->changed);
    pthread_mutex_destroy(&stream->lock);
}

bool stream_has_room(struct stream *stream, uint32_t n)
{
    pthread_mutex_lock(&stream->lock);
    bool room = stream->capacity - stream->count >= n;
    stream->wanted = room ? 0 : n;
    pthread_mutex_unlock(&stream->lock);
    return room;
}

bool stream_push(struct stream *stream, const struct engine_event *event, uint32_t spare)
{
    pthread_mutex_lock(&stream->lock);
    bool room = stream->capacity - stream->count > spare;
    if (room) {
        stream->ring[(stream->head + stream->count) % stream->capacity] = *event;
        stream->count++;
        pthread_cond_broadcast(&stream->changed);
    }
    pthread_mutex_unlock(&stream->lock);
    if (room && stream->on_event)
        stream->on_event(stream->on_event_context);
    return room;
}

void stream_finish(struct stream *stream, const struct engine_event *event)
{
    pthread_mutex_lock(&stream->lock);
    stream->finish = *event;
    stream->finished = true;
    stream->let_go = !stream->on_event;
    bool let_go = stream->let_go; /* then nothing may be touched after the unlock */
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    if (let_go)
        return;
    stream->on_event(stream->on_event_context);
    pthread_mutex_lock(&stream->lock);
    stream->let_go = true;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
}

/* The lock is held. Returns what stream_next returns, or 0 when there is nothing yet. */
static int take(struct stream *stream, struct engine_event *event)
{
    if (stream->count) {
        *event = stream->ring[stream->head];
        stream->head = (stream->head + 1) % stream->capacity;
        stream->count--;
        if (stream->wanted && !stream->finished && stream->capacity - stream->count >= stream->wanted) {
            stream->wanted = 0;
            stream->wake(stream->wake_context);
        }
        return 1;
    }
    if (!stream->finished)
        return 0;
    if (stream->finish_taken)
        return -1;
    *event = stream->finish;
    stream->finish_taken = true;
    return 1;
}

int stream_next(struct stream *stream, struct engine_event *event, int timeout_ms)
{
    struct timespec deadline = {0};
    if (timeout_ms > 0)
        deadline = clock_in_ms((uint32_t)timeout_ms);
    pthread_mutex_lock(&stream->lock);
    int result;
    while ((result = take(stream, event)) == 0 && timeout_ms != 0) {
        if (timeout_ms < 0)
            pthread_cond_wait(&stream->changed, &stream->lock);
        else if (clock_cond_wait(&stream->changed, &stream->lock, &deadline) == ETIMEDOUT)
            timeout_ms = 0;
    }
    pthread_mutex_unlock(&stream->lock);
    return result;
}

void stream_wake_writer(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    if (!stream->finished)
        stream->wake(stream->wake_context);
    pthread_mutex_unlock(&stream->lock);
}

void stream_wait_finished(struct stream *stream)
{
    pthread_mutex_lock(&stream->lock);
    while (!stream->let_go)
        pthread_cond_wait(&stream->changed, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
}
