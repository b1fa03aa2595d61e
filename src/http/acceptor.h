/* Who takes connections from the listening socket, before the HTTP library gives each a thread.
 *
 * A thousand requests at once must not cost a thousand threads that all learn the same: that the queue is
 * full. So one thread accepts, looks (without taking it) at what a new connection sends first, and
 *
 * - gives it to the server: everything but what follows;
 * - counts it, until it is answered (acceptor_done), when it is a request that generates text; those that
 *   would only wait in the engine's queue are given on one every other millisecond, so that their threads do
 *   not stand before the others';
 * - answers 429 itself, when as many requests that generate text as may run and wait are counted already, and
 *   the request is whole, plain and would be let in by the guard. Anything else about it is the server's to
 *   judge.
 *
 * Only the first request of a connection comes by here; the queue itself (worker/client.h) refuses the rest.
 */
#ifndef LLMIND_HTTP_ACCEPTOR_H
#define LLMIND_HTTP_ACCEPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"
#include "http/guard.h"
#include "service/services.h"

struct acceptor;

struct acceptor_options {
    int listening;                     /* a socket that listens; the acceptor's from now on */
    const struct guard_options *guard; /* borrowed */
    struct services *services;
    uint32_t max_connections;
    /* Takes over a connected socket, whatever happens. */
    void (*add)(void *context, int fd, const struct sockaddr *address, socklen_t size);
    void *context;
};

/* Starts its thread. Errors: ERROR_MEMORY, ERROR_IO (no thread, no descriptor). */
int acceptor_open(const struct acceptor_options *options, struct acceptor **out, struct error *error);

/* The first request of this connection has been answered, or the connection is about to be closed: calling it
 * again, or for a connection that was never counted, does nothing. Any thread, also while being closed. */
void acceptor_done(struct acceptor *acceptor, int fd);

/* Accepts no more and closes the listening socket; connections that had sent nothing yet are closed too. */
void acceptor_stop(struct acceptor *acceptor);
void acceptor_close(struct acceptor *acceptor); /* after acceptor_stop; NULL is legal */

#endif
