/* The listening socket. */
#ifndef LLMIND_HTTP_LISTEN_H
#define LLMIND_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct listener {
    int fd;
    uint16_t port; /* the real one, when 0 was asked for */
    bool loopback;
};

/* host: an address or a name. Not listening yet: see listener_start. Errors: ERROR_INVALID (host), ERROR_IO
 * (the port is taken). */
int listener_open(const char *host, uint16_t port, struct listener *out, struct error *error);
int listener_start(const struct listener *listener, struct error *error);

/* "127.0.0.1", "::1": the local address of a connection, into capacity bytes; "" when it has none. */
void listener_local_address(int fd, char *out, uint32_t capacity);

/* As many connections as wanted (0: 4096), less where there are not enough descriptors, after asking the
 * system for all that may be had. */
uint32_t listener_connection_limit(uint32_t wanted);

#endif
