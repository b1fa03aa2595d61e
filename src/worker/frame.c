/* One recv takes as many frames as there are, one send carries as many as the sender has put together: with
 * 64 requests decoding, a step is one system call on each side and not 64. */
#include "worker/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "worker/wire.h"

enum { RECEIVE_BYTES = 64 << 10, KEPT_BYTES = 1 << 20 };

size_t frame_begin(struct buffer *out, enum frame_type type, uint32_t number)
{
    size_t begin = out->length;
    wire_put_u32(out, 0);
    wire_put_u16(out, (uint16_t)type);
    wire_put_u32(out, number);
    return begin;
}

void frame_end(struct buffer *out, size_t begin)
{
    if (out->failed)
        return;
    size_t length = out->length - begin - FRAME_HEADER_BYTES;
    for (size_t i = 0; i < 4; i++)
        out->data[begin + i] = (char)(length >> (8 * i) & 0xFF);
}

int frame_check(const struct buffer *out, const char *what, struct error *error)
{
    if (out->failed)
        return error_memory(error, what, out->length);
    if (out->length > FRAME_HEADER_BYTES + (size_t)FRAME_MAX_BYTES)
        return error_set(error, ERROR_LIMIT, "%s: %zu bytes are more than the %d that a worker takes", what,
                         out->length, FRAME_MAX_BYTES);
    return 0;
}

static int send_all(int socket, const struct buffer *out, struct error *error)
{
#ifdef MSG_NOSIGNAL
    int flags = MSG_NOSIGNAL;
#else
    int flags = 0; /* the socket has SO_NOSIGPIPE */
#endif
    for (size_t sent = 0; sent < out->length;) {
        ssize_t n = send(socket, out->data + sent, out->length - sent, flags);
        if (n >= 0)
            sent += (size_t)n;
        else if (errno != EINTR)
            return error_set(error, ERROR_IO, "cannot write to the worker's socket: %s", strerror(errno));
    }
    return 0;
}

int frame_send(int socket, pthread_mutex_t *lock, const struct buffer *out, struct error *error)
{
    if (out->failed)
        return error_memory(error, "a message to or from the worker", out->length);
    pthread_mutex_lock(lock);
    int status = send_all(socket, out, error);
    pthread_mutex_unlock(lock);
    return status;
}

void frame_receiver_free(struct frame_receiver *receiver)
{
    buffer_free(&receiver->bytes);
    receiver->used = 0;
}

/* What was taken makes room; memory that only one huge message needed is given back. */
static void make_room(struct frame_receiver *receiver)
{
    if (receiver->used == receiver->bytes.length && receiver->bytes.capacity > KEPT_BYTES)
        buffer_free(&receiver->bytes);
    else if (receiver->used)
        buffer_drop(&receiver->bytes, receiver->used);
    receiver->used = 0;
}

int frame_receiver_add(struct frame_receiver *receiver, const char *bytes, size_t length, struct error *error)
{
    make_room(receiver);
    buffer_append(&receiver->bytes, bytes, length);
    return receiver->bytes.failed ? error_memory(error, "a message to or from the worker", length) : 0;
}

int frame_receive(struct frame_receiver *receiver, int socket, struct error *error)
{
    char chunk[RECEIVE_BYTES];
    ssize_t n;
    do
        n = recv(socket, chunk, sizeof chunk, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return 0;
    if (n < 0)
        return error_set(error, ERROR_IO, "cannot read the worker's socket: %s", strerror(errno));
    int status = frame_receiver_add(receiver, chunk, (size_t)n, error);
    return status ? status : 1;
}

int frame_next(struct frame_receiver *receiver, struct frame *frame, struct error *error)
{
    size_t left = receiver->bytes.length - receiver->used;
    if (left < FRAME_HEADER_BYTES)
        return 0;
    struct wire header = {receiver->bytes.data + receiver->used, FRAME_HEADER_BYTES, 0, false};
    uint32_t length = wire_u32(&header);
    uint16_t type = wire_u16(&header);
    if (length > FRAME_MAX_BYTES)
        return error_set(error, ERROR_INVALID, "a message claims %u bytes, more than %d", length,
                         FRAME_MAX_BYTES);
    if (type < FRAME_HELLO || type >= FRAME_TYPE_END)
        return error_set(error, ERROR_INVALID, "a message is of type %u, which there is not", type);
    if (left - FRAME_HEADER_BYTES < length)
        return 0;
    *frame = (struct frame){.type = (enum frame_type)type,
                            .number = wire_u32(&header),
                            .payload = header.data + FRAME_HEADER_BYTES,
                            .length = length};
    receiver->used += FRAME_HEADER_BYTES + (size_t)length;
    return 1;
}
