#include "profile/lab_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* there SO_NOSIGPIPE is set (platform/spawn_posix.c) */
#endif

static int send_all(int socket, const char *bytes, size_t length, struct error *error)
{
    while (length > 0) {
        ssize_t n = send(socket, bytes, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_set(error, ERROR_IO, "cannot write to it: %s", strerror(errno));
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

int lab_wire_send(int socket, const json_t *message, struct error *error)
{
    struct buffer line = {0};
    char *text = json_dumps(message, JSON_COMPACT);
    if (text) {
        buffer_text(&line, text);
        buffer_text(&line, "\n");
    }
    free(text);
    int status = !text || line.failed ? error_memory(error, "a message of the lab", line.length)
                                      : send_all(socket, line.data, line.length, error);
    buffer_free(&line);
    return status;
}

int lab_wire_read(struct lab_wire_in *in, int socket, struct error *error)
{
    char bytes[16384];
    ssize_t n;
    do
        n = recv(socket, bytes, sizeof bytes, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == ECONNRESET)
        n = 0;
    if (n < 0)
        return error_set(error, ERROR_IO, "cannot read from it: %s", strerror(errno));
    if (in->bytes.length + (size_t)n > LAB_WIRE_MAX_BYTES)
        return error_set(error, ERROR_LIMIT, "a message of more than %d bytes", LAB_WIRE_MAX_BYTES);
    buffer_append(&in->bytes, bytes, (size_t)n);
    return in->bytes.failed ? error_memory(error, "a message of the lab", in->bytes.length) : n > 0;
}

int lab_wire_next(struct lab_wire_in *in, json_t **out, struct error *error)
{
    json_error_t problem;
    *out = NULL;
    if (in->searched >= in->bytes.length)
        return 0;
    char *from = in->bytes.data + in->searched;
    char *end = memchr(from, '\n', in->bytes.length - in->searched);
    if (!end) {
        in->searched = in->bytes.length;
        return 0;
    }
    size_t length = (size_t)(end - in->bytes.data);
    *out = json_loadb(in->bytes.data, length, JSON_REJECT_DUPLICATES, &problem);
    buffer_drop(&in->bytes, length + 1);
    in->searched = 0;
    if (json_is_object(*out))
        return 1;
    bool syntax = !*out;
    json_decref(*out);
    *out = NULL;
    return error_set(error, ERROR_INVALID, "a message that makes no sense: %s",
                     syntax ? problem.text : "not an object");
}
