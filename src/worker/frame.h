/* Frames on the socket between a worker and its parent: u32 length of the payload, u16 type, u32 number of
 * the call or request it belongs to, payload.
 *
 * A header that cannot be right (unknown type, too long) ends the conversation: there is no way to find the
 * next frame behind it.
 */
#ifndef LLMIND_WORKER_FRAME_H
#define LLMIND_WORKER_FRAME_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

/* Who sends it and what the payload is (protocol.h encodes and decodes them). */
enum frame_type {
    /* both, the first frame of each side */
    FRAME_HELLO = 1, /* protocol and program version */
    /* parent to worker; the numbered calls are answered by one FRAME_REPLY each */
    FRAME_OPEN,       /* call: engine_options -> engine_info, sampling defaults */
    FRAME_CHECK,      /* call: engine_options -> nothing */
    FRAME_SUBMIT,     /* call: engine_submit -> nothing; the number becomes the request's */
    FRAME_TOKEN_TEXT, /* call: token -> bytes */
    FRAME_TRACE,      /* call: tokens, depth -> engine_trace */
    FRAME_CANCEL,     /* request: engine_cancel */
    FRAME_RELEASE,    /* request: cancel, and send nothing but the last event */
    FRAME_CREDIT,     /* request: u32, so many events more may be sent */
    /* worker to parent */
    FRAME_REPLY, /* call: an error, or code 0 and what the call gives */
    FRAME_EVENT, /* request: engine_event */
    FRAME_STATS, /* engine_stats, memory of the process */
    FRAME_TYPE_END
};

enum {
    FRAME_HEADER_BYTES = 10,
    FRAME_MAX_BYTES = 64 << 20 /* of one payload: a prompt of 16 M tokens */
};

/* Begins a frame in *out; the payload is appended by whoever calls, and frame_end writes its length. Returns
 * where the frame begins, for frame_end. */
size_t frame_begin(struct buffer *out, enum frame_type type, uint32_t number);
void frame_end(struct buffer *out, size_t begin);
/* ERROR_MEMORY or ERROR_LIMIT (naming `what`) when a buffer of one frame cannot be sent. */
int frame_check(const struct buffer *out, const char *what, struct error *error);

/* Sends all of it, waiting as long as that takes; `lock` keeps frames of several threads whole. ERROR_IO when
 * the other side is gone. */
int frame_send(int socket, pthread_mutex_t *lock, const struct buffer *out, struct error *error);

struct frame {
    enum frame_type type;
    uint32_t number;
    const char *payload; /* inside the receiver's buffer, until the next frame_next or frame_receive */
    size_t length;
};

/* Zero-initialise; one thread. */
struct frame_receiver {
    struct buffer bytes;
    size_t used; /* of bytes: taken by frame_next */
};
void frame_receiver_free(struct frame_receiver *receiver);
/* Adds bytes that came another way. ERROR_MEMORY: nothing was added. */
int frame_receiver_add(struct frame_receiver *receiver, const char *bytes, size_t length,
                       struct error *error);
/* Reads what is there, waiting for at least one byte: 1, or 0 when the other side has closed. Errors:
 * ERROR_IO, ERROR_MEMORY. */
int frame_receive(struct frame_receiver *receiver, int socket, struct error *error);
/* The next whole frame among the bytes received: 1, or 0 when there is none yet. ERROR_INVALID when there
 * never will be one. */
int frame_next(struct frame_receiver *receiver, struct frame *frame, struct error *error);

#endif
