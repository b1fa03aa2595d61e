/* The HTTP server: listens, guards, routes. server.c is the only file that knows libmicrohttpd. */
#ifndef LLMIND_HTTP_SERVER_H
#define LLMIND_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "service/services.h"

struct http_server;

struct http_server_options {
    const char *host;                 /* "127.0.0.1"; an address that is not loopback needs an api_key */
    uint16_t port;                    /* 0: any free one */
    const char *api_key;              /* NULL: none needed; copied, never logged */
    const char *const *allowed_hosts; /* further names that a Host header may have, beside the address itself
                                         and, when it is loopback, localhost, 127.0.0.1 and [::1] */
    size_t n_allowed_hosts;
    const char *const *allowed_origins; /* CORS; none: off */
    size_t n_allowed_origins;
    uint32_t max_connections; /* 0: 4096, less where the descriptor limit is lower */
};

/* Listens and serves until closed. services is borrowed. Errors: ERROR_INVALID (an option), ERROR_IO (the
 * port is taken: names who may hold it and what to do). */
int http_server_open(const struct http_server_options *options, struct services *services,
                     struct http_server **out, struct error *error);
uint16_t http_server_port(const struct http_server *server);
/* Takes no new connection, lets running exchanges end for at most drain_ms, then cuts them (their sources are
 * told `gone`), and frees. */
void http_server_close(struct http_server *server, uint32_t drain_ms);

#endif
