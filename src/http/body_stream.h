/* A response that is made while it is sent: what a source (exchange.h) has, cut to what the sender takes.
 * One thread. */
#ifndef LLMIND_HTTP_BODY_STREAM_H
#define LLMIND_HTTP_BODY_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "http/exchange_internal.h"

struct body_stream {
    struct buffer pending; /* came from the source */
    size_t taken;          /* of it */
    bool ended;
    uint64_t last_ns; /* something was sent */
};

void body_stream_begin(struct body_stream *stream);
/* Waits for bytes of the exchange's source and copies at most capacity of them: how many, 0 at the end, -1
 * when memory was short. A comment comes when the source was silent for 10 s. The source is closed as soon as
 * it says that it has ended, even if not all has been taken. */
ssize_t body_stream_read(struct body_stream *stream, struct http_exchange *exchange, char *out,
                         size_t capacity);
void body_stream_free(struct body_stream *stream);

#endif
