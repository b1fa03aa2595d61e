/* A request seen from outside the engine's thread: reading it, cancelling it, letting it go. */
#include <stdlib.h>

#include "engine/engine.h"
#include "engine/state.h"

void engine_wake(void *context)
{
    struct engine *engine = context;
    pthread_mutex_lock(&engine->lock);
    engine->wake_pending = true;
    pthread_cond_signal(&engine->wake);
    pthread_mutex_unlock(&engine->lock);
}

int engine_next_event(struct engine_request *request, struct engine_event *event, int timeout_ms)
{
    return stream_next(&request->stream, event, timeout_ms);
}

void engine_cancel(struct engine_request *request)
{
    atomic_store(&request->cancelled, true);
    stream_wake_writer(&request->stream);
}

void engine_request_release(struct engine_request *request)
{
    if (!request)
        return;
    engine_cancel(request);
    stream_wait_finished(&request->stream);
    stream_free(&request->stream);
    arena_free(&request->arena);
    free(request);
}
