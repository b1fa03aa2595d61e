/* A request seen from outside the engine's thread: making it, reading it, cancelling it, letting it go. */
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/state.h"

void engine_wake(void *context)
{
    struct local_engine *engine = context;
    pthread_mutex_lock(&engine->lock);
    engine->wake_pending = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

int local_next_event(struct engine_request *base, struct engine_event *event, int timeout_ms)
{
    struct local_request *request = (struct local_request *)base;
    return stream_next(&request->stream, event, timeout_ms);
}

void local_cancel(struct engine_request *base)
{
    struct local_request *request = (struct local_request *)base;
    atomic_store(&request->cancelled, true);
    stream_wake_writer(&request->stream);
}

struct local_request *request_new(struct local_engine *engine, struct error *error)
{
    struct local_request *request = calloc(1, sizeof *request);
    if (!request) {
        error_memory(error, "a request", sizeof *request);
        return NULL;
    }
    request->base.door = engine->base.door;
    request->engine = engine;
    arena_init(&request->arena);
    atomic_init(&request->cancelled, false);
    return request;
}

void request_free(struct local_request *request)
{
    if (request->has_stream)
        stream_free(&request->stream);
    constraint_close(request->constraint);
    arena_free(&request->arena);
    free(request);
}

void local_release(struct engine_request *base)
{
    struct local_request *request = (struct local_request *)base;
    local_cancel(base);
    stream_wait_finished(&request->stream);
    request_free(request);
}
