/* JSON messages, one object a line, over the socket between a lab and its parent. What comes is bounded in
 * size and depth, and a line that is no object is an error: each side trusts the other's program, not its
 * memory. Private to the lab's files.
 */
#ifndef LLMIND_PROFILE_LAB_WIRE_H
#define LLMIND_PROFILE_LAB_WIRE_H

#include <jansson.h>

#include "base/buffer.h"
#include "base/error.h"

enum { LAB_WIRE_MAX_BYTES = 64 << 20 }; /* of a message: an answer of 4096 gaps takes 100 KB */

/* Writes the whole line. ERROR_IO: the other side is gone; ERROR_MEMORY. */
int lab_wire_send(int socket, const json_t *message, struct error *error);

/* Zero-initialise; buffer_free(&in.bytes). One thread. */
struct lab_wire_in {
    struct buffer bytes;
    size_t searched; /* of them: no line ends there */
};
/* Reads once (blocking, so poll first where that matters). 1: something came; 0: the other side has closed.
 * ERROR_IO, ERROR_LIMIT, ERROR_MEMORY. */
int lab_wire_read(struct lab_wire_in *in, int socket, struct error *error);
/* The next whole message: 1 with a new reference; 0: none yet. ERROR_INVALID. */
int lab_wire_next(struct lab_wire_in *in, json_t **out, struct error *error);

#endif
