/* The watchman: one thread that looks at every connection of a server about ten times a second.
 *
 * - A client that is gone (it closed, half-closed or reset its connection) while its exchange runs: `gone` of
 *   that exchange is called, within 250 ms.
 * - A client that is too slow is cut: the head of a request within 20 s of connecting (60 s after the last
 *   response, which is also how long an idle connection is kept), its body within 60 s, and what was queued
 *   for it must have been acknowledged 10 s later.
 *
 * It cuts by shutdown(), never by close(): the descriptor stays its owner's, and the owner's own reads and
 * writes end. Any thread.
 */
#ifndef LLMIND_HTTP_WATCH_H
#define LLMIND_HTTP_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct watcher;
struct watch_connection;

enum watch_phase {
    WATCH_HEAD,     /* waiting for a request's head */
    WATCH_BODY,     /* its body is coming */
    WATCH_EXCHANGE, /* being answered */
    WATCH_ENDLESS   /* the same, by a stream that has no end of its own to wait for */
};

struct watch_limits {
    uint32_t first_head_ms, next_head_ms, body_ms, unread_ms; /* 0: 20, 60, 60 and 10 s */
};

int watcher_open(const struct watch_limits *limits, struct watcher **out, struct error *error);
void watcher_close(struct watcher *watcher); /* when no connection is left; NULL is legal */

/* fd: a connected stream socket, which outlives the entry. NULL: memory is short. */
struct watch_connection *watch_add(struct watcher *watcher, int fd);
void watch_remove(struct watch_connection *connection); /* NULL is legal */
void watch_enter(struct watch_connection *connection, enum watch_phase phase);

/* As http_watch and http_unwatch. A second watch_set replaces the first. */
void watch_set(struct watch_connection *connection, void (*gone)(void *context), void *context);
void watch_clear(struct watch_connection *connection);

/* Connections in WATCH_BODY or WATCH_EXCHANGE: those whose end a server that stops waits for. */
size_t watch_busy(struct watcher *watcher);
/* The server is stopping: every client counts as gone from now on. */
void watch_dismiss(struct watcher *watcher);
/* Cuts every connection. */
void watch_cut_all(struct watcher *watcher);

#endif
