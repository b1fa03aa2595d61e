/* The one way results travel up: a bounded ring of events from the engine's thread to one reader.
 *
 * The ring is allocated when the request is submitted. A writer asks for room before it computes; when there
 * is none the sequence pauses, and the reader that makes room wakes the engine. The finish event has a place
 * of its own, so the end can always be told, however slow the reader is.
 *
 * Life: whoever takes the lock and sees `finished` knows that the engine is done with the request and may be
 * gone itself; as long as it is not set, the engine lives. That is why `wake` is called with the lock held.
 * on_event on the other hand is called without it: it wakes a reader that may hold a lock of its own while it
 * calls stream_next. So after the last call there is one more flag, `let_go`: the writer never touches the
 * stream again.
 */
#ifndef LLMIND_ENGINE_STREAM_H
#define LLMIND_ENGINE_STREAM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "engine/engine.h"

struct stream {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* all guarded by lock */
    struct engine_event *ring; /* [capacity], from the request's arena */
    uint32_t capacity, head, count;
    uint32_t wanted; /* room the paused writer waits for; 0: nobody waits */
    struct engine_event finish;
    bool finished, finish_taken, let_go;
    /* constant after init and stream_on_event */
    void (*wake)(void *context); /* wakes the engine; must not take any stream's lock */
    void *wake_context;
    void (*on_event)(void *context); /* NULL: nobody wants to be told */
    void *on_event_context;
};

int stream_init(struct stream *stream, uint32_t capacity, void (*wake)(void *), void *wake_context,
                struct arena *arena, struct error *error);
/* Before the stream is used. */
void stream_on_event(struct stream *stream, void (*on_event)(void *context), void *context);
void stream_free(struct stream *stream);

/* ---- writer: the engine's thread ---- */

/* True when n events fit. Otherwise the reader will call wake once they do. n <= capacity. */
bool stream_has_room(struct stream *stream, uint32_t n);
/* Appends a copy of *event, unless fewer than `spare` places would be left free: then it is dropped (false).
 */
bool stream_push(struct stream *stream, const struct engine_event *event, uint32_t spare);
/* The last event. The writer must not touch the stream, nor what it is embedded in, ever again. */
void stream_finish(struct stream *stream, const struct engine_event *event);

/* ---- anybody else ---- */

/* As engine_next_event. One reader. */
int stream_next(struct stream *stream, struct engine_event *event, int timeout_ms);
/* Calls wake unless the stream has finished. */
void stream_wake_writer(struct stream *stream);
/* Waits until it has finished and the writer has let go, events read or not. */
void stream_wait_finished(struct stream *stream);

#endif
