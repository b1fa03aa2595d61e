/* What a socket can tell about its other end; one file per operating system. */
#ifndef LLMIND_HTTP_SOCKET_H
#define LLMIND_HTTP_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

/* What to ask poll(2) for, beside POLLHUP and POLLERR, to hear that the other end will send no more. */
extern const short socket_lost_events;

/* Bytes that were written and that the other end has not acknowledged, and how many it has acknowledged since
 * it connected. false: not a TCP socket, or the system cannot tell. */
bool socket_progress(int fd, uint64_t *unacknowledged, uint64_t *acknowledged);

#endif
