/* One lock guards the list and every entry. It is held for a poll(2) with no waiting and some ioctls, never
 * while a `gone` runs: those are collected first, marked as firing, and called without the lock; watch_clear
 * waits while its own is firing. A descriptor cannot be reused under us, because its owner removes the entry
 * before it closes it, and entries are only touched under the lock.
 *
 * Readers who take too little: when bytes are unacknowledged, the count of acknowledged bytes that would mean
 * "all of these" is noted with the time. It must be reached within unread_ms. A window of silence is no sin:
 * a stream that sends nothing has nothing unacknowledged. With the small send buffers that server.c asks for,
 * a reader of one byte a second shows as soon as its own kernel's buffer is full. */
#include "http/watch.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/log.h"
#include "http/socket.h"
#include "platform/clock.h"

enum { TICK_MS = 100, PROGRESS_TICKS = 5, FIRE_AT_ONCE = 64 };

#define MS UINT64_C(1000000)

struct watch_connection {
    struct watcher *watcher;
    struct watch_connection *next, *previous;
    int fd;
    enum watch_phase phase;
    uint64_t deadline_ns; /* of HEAD and BODY; 0: none */
    bool cut;
    bool lost; /* the other end is gone; stays so until the exchange ends */
    /* unacknowledged bytes */
    bool marked;
    uint64_t mark_acknowledged, mark_ns;
    /* who wants to know */
    void (*gone)(void *context);
    void *context;
    bool firing;
};

struct watcher {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;  /* to end the thread's nap */
    pthread_cond_t fired; /* an entry is no longer firing */
    struct watch_limits limits;
    struct watch_connection *first;
    size_t count, busy;
    struct pollfd *polls; /* [capacity], and who they are; the thread's own */
    struct watch_connection **who;
    size_t capacity;
    bool dismissed, closing;
};

/* ---- entries ---- */

struct watch_connection *watch_add(struct watcher *watcher, int fd)
{
    struct watch_connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return NULL;
    connection->watcher = watcher;
    connection->fd = fd;
    connection->deadline_ns = clock_now_ns() + watcher->limits.first_head_ms * MS;
    pthread_mutex_lock(&watcher->lock);
    connection->next = watcher->first;
    if (watcher->first)
        watcher->first->previous = connection;
    watcher->first = connection;
    watcher->count++;
    pthread_mutex_unlock(&watcher->lock);
    return connection;
}

static void wait_until_quiet(struct watch_connection *connection)
{
    while (connection->firing)
        pthread_cond_wait(&connection->watcher->fired, &connection->watcher->lock);
}

static bool is_busy(const struct watch_connection *connection)
{
    return connection->phase == WATCH_BODY || connection->phase == WATCH_EXCHANGE;
}

void watch_remove(struct watch_connection *connection)
{
    if (!connection)
        return;
    struct watcher *watcher = connection->watcher;
    pthread_mutex_lock(&watcher->lock);
    wait_until_quiet(connection);
    if (connection->previous)
        connection->previous->next = connection->next;
    else
        watcher->first = connection->next;
    if (connection->next)
        connection->next->previous = connection->previous;
    watcher->count--;
    watcher->busy -= is_busy(connection);
    pthread_mutex_unlock(&watcher->lock);
    free(connection);
}

void watch_enter(struct watch_connection *connection, enum watch_phase phase)
{
    struct watcher *watcher = connection->watcher;
    uint64_t now = clock_now_ns();
    pthread_mutex_lock(&watcher->lock);
    watcher->busy -= is_busy(connection);
    connection->phase = phase;
    watcher->busy += is_busy(connection);
    connection->deadline_ns = phase == WATCH_HEAD   ? now + watcher->limits.next_head_ms * MS
                              : phase == WATCH_BODY ? now + watcher->limits.body_ms * MS
                                                    : 0;
    if (phase == WATCH_HEAD)
        connection->lost = false;
    pthread_mutex_unlock(&watcher->lock);
}

void watch_set(struct watch_connection *connection, void (*gone)(void *context), void *context)
{
    pthread_mutex_lock(&connection->watcher->lock);
    wait_until_quiet(connection);
    connection->gone = gone;
    connection->context = context;
    pthread_mutex_unlock(&connection->watcher->lock);
}

void watch_clear(struct watch_connection *connection)
{
    watch_set(connection, NULL, NULL);
}

/* ---- the thread ---- */

static void cut(struct watch_connection *connection, const char *why)
{
    if (connection->cut)
        return;
    connection->cut = connection->lost = true;
    /* Closing resets it: what a client did not read must not stay in the kernel until it does. */
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    shutdown(connection->fd, SHUT_RDWR);
    log_event(LOG_LEVEL_INFO, "connection cut", "reason=%s", why);
}

static void check_deadline(struct watch_connection *connection, uint64_t now)
{
    if (connection->deadline_ns && now > connection->deadline_ns)
        cut(connection, connection->phase == WATCH_BODY ? "slow body" : "idle, or slow head");
}

static void check_reader(struct watch_connection *connection, uint64_t now)
{
    uint64_t unacknowledged, acknowledged;
    if (!socket_progress(connection->fd, &unacknowledged, &acknowledged))
        return;
    if (connection->marked && (unacknowledged == 0 || acknowledged >= connection->mark_acknowledged))
        connection->marked = false;
    if (connection->marked && now - connection->mark_ns > connection->watcher->limits.unread_ms * MS)
        cut(connection, "slow reader");
    if (!connection->marked && unacknowledged > 0) {
        connection->marked = true;
        connection->mark_acknowledged = acknowledged + unacknowledged;
        connection->mark_ns = now;
    }
}

/* Room to poll every entry. Short of memory: those that fit. */
static void make_room(struct watcher *watcher)
{
    if (watcher->count <= watcher->capacity)
        return;
    size_t capacity = 2 * watcher->count;
    struct pollfd *polls = realloc(watcher->polls, capacity * sizeof *polls);
    if (polls)
        watcher->polls = polls;
    struct watch_connection **who = realloc(watcher->who, capacity * sizeof(struct watch_connection *));
    if (who)
        watcher->who = who;
    if (polls && who)
        watcher->capacity = capacity;
}

static void find_lost(struct watcher *watcher)
{
    make_room(watcher);
    size_t n = 0;
    for (struct watch_connection *c = watcher->first; c && n < watcher->capacity; c = c->next)
        if (c->phase >= WATCH_EXCHANGE && !c->lost) {
            watcher->polls[n] = (struct pollfd){.fd = c->fd, .events = socket_lost_events};
            watcher->who[n++] = c;
        }
    if (n == 0 || poll(watcher->polls, (nfds_t)n, 0) <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (watcher->polls[i].revents) /* only what was asked for, and POLLHUP, POLLERR, POLLNVAL */
            watcher->who[i]->lost = true;
}

/* Calls what is due, some at a time, without the lock. Returns whether there may be more. */
static bool fire(struct watcher *watcher)
{
    struct watch_connection *due[FIRE_AT_ONCE];
    size_t n = 0;
    for (struct watch_connection *c = watcher->first; c && n < FIRE_AT_ONCE; c = c->next)
        if (c->gone && !c->firing && (c->lost || watcher->dismissed)) {
            c->firing = true;
            due[n++] = c;
        }
    if (n == 0)
        return false;
    pthread_mutex_unlock(&watcher->lock);
    for (size_t i = 0; i < n; i++)
        due[i]->gone(due[i]->context);
    pthread_mutex_lock(&watcher->lock);
    for (size_t i = 0; i < n; i++) {
        due[i]->firing = false;
        due[i]->gone = NULL; /* once */
    }
    pthread_cond_broadcast(&watcher->fired);
    return n == FIRE_AT_ONCE;
}

static void nap(struct watcher *watcher)
{
    struct timespec until = clock_in_ms(TICK_MS);
    clock_cond_wait(&watcher->wake, &watcher->lock, &until);
}

static void *watch(void *argument)
{
    struct watcher *watcher = argument;
    pthread_mutex_lock(&watcher->lock);
    for (unsigned tick = 0; !watcher->closing; tick++) {
        uint64_t now = clock_now_ns();
        find_lost(watcher);
        for (struct watch_connection *c = watcher->first; c; c = c->next) {
            check_deadline(c, now);
            if (tick % PROGRESS_TICKS == 0)
                check_reader(c, now);
        }
        while (fire(watcher))
            ;
        nap(watcher);
    }
    pthread_mutex_unlock(&watcher->lock);
    return NULL;
}

/* ---- the whole ---- */

int watcher_open(const struct watch_limits *limits, struct watcher **out, struct error *error)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return error_memory(error, "a watcher", sizeof *watcher);
    watcher->limits = *limits;
    struct watch_limits *l = &watcher->limits;
    l->first_head_ms = l->first_head_ms ? l->first_head_ms : 20000;
    l->next_head_ms = l->next_head_ms ? l->next_head_ms : 60000;
    l->body_ms = l->body_ms ? l->body_ms : 60000;
    l->unread_ms = l->unread_ms ? l->unread_ms : 10000;
    pthread_mutex_init(&watcher->lock, NULL);
    /* a wall clock that is set back would make a nap of an hour */
    clock_cond_init(&watcher->wake);
    pthread_cond_init(&watcher->fired, NULL);
    if (pthread_create(&watcher->thread, NULL, watch, watcher) != 0) {
        free(watcher);
        return error_set(error, ERROR_MEMORY, "cannot start a thread; too many run already");
    }
    *out = watcher;
    return 0;
}

void watcher_close(struct watcher *watcher)
{
    if (!watcher)
        return;
    pthread_mutex_lock(&watcher->lock);
    watcher->closing = true;
    pthread_cond_signal(&watcher->wake);
    pthread_mutex_unlock(&watcher->lock);
    pthread_join(watcher->thread, NULL);
    pthread_mutex_destroy(&watcher->lock);
    pthread_cond_destroy(&watcher->wake);
    pthread_cond_destroy(&watcher->fired);
    free(watcher->polls);
    free(watcher->who);
    free(watcher);
}

size_t watch_busy(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    size_t busy = watcher->busy;
    pthread_mutex_unlock(&watcher->lock);
    return busy;
}

void watch_dismiss(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    watcher->dismissed = true;
    pthread_cond_signal(&watcher->wake);
    pthread_mutex_unlock(&watcher->lock);
}

void watch_cut_all(struct watcher *watcher)
{
    pthread_mutex_lock(&watcher->lock);
    for (struct watch_connection *c = watcher->first; c; c = c->next)
        cut(c, "the server stops");
    pthread_mutex_unlock(&watcher->lock);
}
