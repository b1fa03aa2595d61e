/* The end of a connection whose request was refused before its body had been read: what goes past the HTTP
 * library, straight to the socket. */
#ifndef LLMIND_HTTP_REFUSAL_H
#define LLMIND_HTTP_REFUSAL_H

#include <stdbool.h>

#include "http/exchange_internal.h"

/* Writes the exchange's answer, a problem, as a whole response. For a body that grew too long while it came:
 * the library takes no response then, and has written none. Does not wait: false when the socket does not
 * take it at once. */
bool refusal_send(int fd, const struct http_exchange *exchange);

/* Ends our side and throws away, for at most a second, what the client still sends: closing at once would
 * make its kernel drop the answer it has not read yet (RFC 9112, 9.6). */
void refusal_linger(int fd);

#endif
