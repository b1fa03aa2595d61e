/* The source is asked for 100 ms at a time, so that its `gone` is noticed and silence can be broken by a
 * comment; what it had ready comes in one piece, and with one system call leaves. */
#include "http/body_stream.h"

#include <string.h>

#include "http/sse.h"
#include "platform/clock.h"

enum { WAIT_MS = 100, SILENCE_MS = 10000 };

void body_stream_begin(struct body_stream *stream)
{
    stream->last_ns = clock_now_ns();
}

void body_stream_free(struct body_stream *stream)
{
    buffer_free(&stream->pending);
}

/* Once more to the source. false: memory was short. */
static bool refill(struct body_stream *stream, struct http_exchange *exchange)
{
    const struct http_source *source = &exchange->response.source;
    buffer_clear(&stream->pending);
    stream->taken = 0;
    stream->ended = source->next(source->context, &stream->pending, WAIT_MS) == 0;
    if (stream->ended)
        exchange_close_source(exchange); /* what it holds is free before a slow client has read all */
    uint64_t now = clock_now_ns();
    if (!stream->ended && !stream->pending.length && now - stream->last_ns > SILENCE_MS * UINT64_C(1000000))
        sse_comment(&stream->pending, "keep-alive");
    if (stream->pending.length)
        stream->last_ns = now;
    return !stream->pending.failed;
}

ssize_t body_stream_read(struct body_stream *stream, struct http_exchange *exchange, char *out,
                         size_t capacity)
{
    while (stream->taken == stream->pending.length) {
        if (stream->ended)
            return 0;
        if (!refill(stream, exchange))
            return -1;
    }
    size_t n = stream->pending.length - stream->taken;
    n = n < capacity ? n : capacity;
    memcpy(out, stream->pending.data + stream->taken, n);
    stream->taken += n;
    return (ssize_t)n;
}
