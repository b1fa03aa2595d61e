/* The idea of refusing where it is cheapest is old: Welsh & Culler, "Adaptive Overload Control for Busy
 * Internet Servers" (USITS 2003), call it load shedding. */
#include "http/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/dispatch.h"
#include "http/head.h"
#include "http/listen.h"
#include "http/refusal.h"
#include "platform/clock.h"
#include "service/host.h"
#include "service/live.h"

enum {
    FRESH_MAX = 2048,    /* connections whose first bytes are awaited; more: the oldest is handed on */
    FRESH_MS = 250,      /* so long; whoever is slower is the server's to wait for */
    PEEK_BYTES = 65536,  /* a request that is answered here fits in */
    ACCEPT_AT_ONCE = 64, /* before the ones that wait are looked at */
    QUEUE_MAX = 2048,    /* requests that wait for their turn here; more: at once */
    REFUSE_AT_ONCE = 16, /* before others are looked at */
    HELD_SPARE = 8,      /* so many wait in the engine's queue before the slowness begins */
    HELD_MS = 2,         /* between two */
    LIMIT_MS = 20,       /* how old the known limits may be */
    COUNTED_MAX = 65536, /* descriptors above are not counted */
    NO_DESCRIPTOR_MS = 20
};

struct fresh {
    int fd;
    uint64_t since_ns;
    struct sockaddr_storage address;
    socklen_t address_size;
};

struct queue {
    struct fresh ring[QUEUE_MAX];
    size_t first, length;
};

struct acceptor {
    struct acceptor_options options;
    pthread_t thread;
    int wake[2]; /* a byte: stop */
    atomic_uint n_counted;
    size_t n_marks;
    atomic_bool *counted; /* by descriptor */
    /* the thread's own */
    struct fresh fresh[FRESH_MAX];
    size_t n_fresh;
    struct pollfd polls[2 + FRESH_MAX];
    struct queue held;         /* counted, and soon to be given on */
    struct queue surplus;      /* to be refused, if it is still too much then */
    uint64_t held_ns;          /* when the last one was given on */
    uint32_t running, waiting; /* how many may (host.h) */
    uint64_t limits_ns;
    char *bytes, *taken; /* PEEK_BYTES each */
};

static bool queue_put(struct queue *queue, const struct fresh *fresh)
{
    if (queue->length == QUEUE_MAX)
        return false;
    queue->ring[(queue->first + queue->length++) % QUEUE_MAX] = *fresh;
    return true;
}

static bool queue_take(struct queue *queue, struct fresh *out)
{
    if (!queue->length)
        return false;
    *out = queue->ring[queue->first];
    queue->first = (queue->first + 1) % QUEUE_MAX;
    queue->length--;
    return true;
}

/* ---- counting ---- */

static void count(struct acceptor *acceptor, int fd)
{
    if ((size_t)fd >= acceptor->n_marks)
        return;
    atomic_store(&acceptor->counted[fd], true);
    atomic_fetch_add(&acceptor->n_counted, 1);
}

void acceptor_done(struct acceptor *acceptor, int fd)
{
    if (fd >= 0 && (size_t)fd < acceptor->n_marks && atomic_exchange(&acceptor->counted[fd], false))
        atomic_fetch_sub(&acceptor->n_counted, 1);
}

static void know_limits(struct acceptor *acceptor)
{
    uint64_t now = clock_now_ns();
    struct model_host *host = acceptor->options.services->host;
    if (!host || (acceptor->limits_ns && now - acceptor->limits_ns < LIMIT_MS * UINT64_C(1000000)))
        return;
    host_limits(host, &acceptor->running, &acceptor->waiting);
    acceptor->limits_ns = now;
}

static bool is_full(const struct acceptor *acceptor)
{
    return acceptor->waiting && atomic_load(&acceptor->n_counted) >= acceptor->running + acceptor->waiting;
}

/* The next one to be given on would wait in the engine's queue. */
static bool must_wait(const struct acceptor *acceptor)
{
    uint32_t given_on = atomic_load(&acceptor->n_counted) - (uint32_t)acceptor->held.length;
    return acceptor->running && given_on >= acceptor->running + HELD_SPARE;
}

/* ---- one connection ---- */

static void hand_on(struct acceptor *acceptor, const struct fresh *fresh)
{
    acceptor->options.add(acceptor->options.context, fresh->fd,
                          (const struct sockaddr *)(const void *)&fresh->address, fresh->address_size);
}

/* Whether these first bytes of a request are for a route that generates text. */
static bool generates(const char *bytes, size_t length)
{
    char path[256];
    static const char method[] = "POST ";
    const size_t skip = sizeof method - 1;
    if (length < skip || memcmp(bytes, method, skip) != 0)
        return false;
    size_t n = 0;
    while (skip + n < length && n < sizeof path - 1 && bytes[skip + n] > ' ' && bytes[skip + n] != '?') {
        path[n] = bytes[skip + n];
        n++;
    }
    path[n] = '\0';
    struct http_match match;
    size_t n_tables;
    const struct http_route_table *const *tables = http_all_routes(&n_tables);
    http_match_route(tables, n_tables, "POST", path, &match);
    return match.route && match.route->generates;
}

/* The guard lets it in, and all of it is here: head and body are exactly the bytes that came. */
static bool may_answer(const struct acceptor *acceptor, const struct fresh *fresh,
                       const struct http_head *head, size_t length)
{
    char address[64];
    struct guard_verdict verdict;
    listener_local_address(fresh->fd, address, sizeof address);
    const struct guard_request request = {.method = head->method,
                                          .target = head->target,
                                          .version = head->version,
                                          .headers = head->headers,
                                          .n_headers = head->n_headers,
                                          .head_bytes = head->bytes,
                                          .lengths_agree = true,
                                          .local_address = address};
    guard_check(acceptor->options.guard, &request, &verdict);
    return !verdict.status && !verdict.chunked && !verdict.cors_origin &&
           verdict.content_length == length - head->bytes;
}

static void report(const struct acceptor *acceptor, const struct http_exchange *exchange, uint64_t since_ns)
{
    double ms = (double)(clock_now_ns() - since_ns) / 1e6;
    log_event(LOG_LEVEL_INFO, "request", "id=%s method=%s path=%s status=%d ms=%.1f bytes=%zu end=%s",
              exchange->id, exchange->method, exchange->target.path, exchange->response.status, ms,
              exchange->response.body.length, "whole");
    if (acceptor->options.services->live)
        live_count_request(acceptor->options.services->live, exchange->match.route->pattern,
                           exchange->response.status, ms);
}

/* false: it is not ours to answer. */
static bool refuse(struct acceptor *acceptor, const struct fresh *fresh)
{
    struct http_head head;
    ssize_t n = recv(fresh->fd, acceptor->bytes, PEEK_BYTES, MSG_PEEK);
    size_t length = n > 0 ? (size_t)n : 0;
    if (!http_head_read(acceptor->bytes, length, &head) || !may_answer(acceptor, fresh, &head, length))
        return false;
    struct http_exchange exchange = {.method = head.method,
                                     .headers = head.headers,
                                     .n_headers = head.n_headers,
                                     .services = acceptor->options.services};
    const struct guard_verdict plain = {0};
    arena_init(&exchange.arena);
    exchange_make_id(&exchange);
    dispatch_find(&exchange, head.target, &plain);
    bool ours = !exchange.response.status && recv(fresh->fd, acceptor->taken, length, 0) == n;
    if (ours) {
        http_reply_problem(&exchange, 429, "queue_full", NULL,
                           "the queue is full: %u requests run or wait already; try again in a moment",
                           atomic_load(&acceptor->n_counted));
        refusal_send(fresh->fd, &exchange);
        report(acceptor, &exchange, fresh->since_ns); /* before: who sees the end finds it counted */
        close(fresh->fd);
    }
    exchange_free(&exchange);
    return ours;
}

static void let_in(struct acceptor *acceptor, const struct fresh *fresh)
{
    bool held = (acceptor->held.length || must_wait(acceptor)) && queue_put(&acceptor->held, fresh);
    count(acceptor, fresh->fd);
    if (!held)
        hand_on(acceptor, fresh);
}

/* It has sent something, or closed. */
static void decide(struct acceptor *acceptor, const struct fresh *fresh)
{
    char bytes[256];
    ssize_t length = recv(fresh->fd, bytes, sizeof bytes, MSG_PEEK);
    if (length <= 0 || !generates(bytes, (size_t)length)) {
        hand_on(acceptor, fresh);
        return;
    }
    know_limits(acceptor);
    if (!is_full(acceptor) || !queue_put(&acceptor->surplus, fresh))
        let_in(acceptor, fresh);
}

static void hand_on_held(struct acceptor *acceptor)
{
    struct fresh next;
    uint64_t now = clock_now_ns();
    while (acceptor->held.length) {
        if (must_wait(acceptor) && now - acceptor->held_ns < HELD_MS * UINT64_C(1000000))
            return;
        if (!queue_take(&acceptor->held, &next))
            return;
        acceptor->held_ns = now;
        hand_on(acceptor, &next);
    }
}

static void refuse_surplus(struct acceptor *acceptor)
{
    struct fresh next;
    for (int i = 0; i < REFUSE_AT_ONCE && queue_take(&acceptor->surplus, &next); i++)
        if (!is_full(acceptor) || !refuse(acceptor, &next))
            let_in(acceptor, &next);
}

/* ---- the thread ---- */

static void remove_fresh(struct acceptor *acceptor, size_t i)
{
    acceptor->n_fresh--;
    memmove(&acceptor->fresh[i], &acceptor->fresh[i + 1],
            (acceptor->n_fresh - i) * sizeof *acceptor->fresh); /* in order: the oldest is the first */
}

/* false: nobody waits to be accepted. */
static bool accept_one(struct acceptor *acceptor)
{
    struct fresh fresh = {.address_size = sizeof fresh.address, .since_ns = clock_now_ns()};
    fresh.fd = accept(acceptor->options.listening, (struct sockaddr *)&fresh.address, &fresh.address_size);
    if (fresh.fd < 0) {
        const struct timespec nap = {.tv_nsec = NO_DESCRIPTOR_MS * 1000000L};
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            nanosleep(&nap, NULL); /* until somebody leaves: they wait in the backlog */
        return errno == EINTR || errno == ECONNABORTED;
    }
    fcntl(fresh.fd, F_SETFD, FD_CLOEXEC);
    fcntl(fresh.fd, F_SETFL, O_NONBLOCK);
    struct pollfd ready = {.fd = fresh.fd, .events = POLLIN};
    if (poll(&ready, 1, 0) > 0) { /* as a rule its request came with it */
        decide(acceptor, &fresh);
        return true;
    }
    if (acceptor->n_fresh == FRESH_MAX) {
        hand_on(acceptor, &acceptor->fresh[0]);
        remove_fresh(acceptor, 0);
    }
    acceptor->fresh[acceptor->n_fresh++] = fresh;
    return true;
}

static void look_at_fresh(struct acceptor *acceptor, size_t n_polled)
{
    uint64_t now = clock_now_ns();
    size_t kept = 0;
    for (size_t i = 0; i < acceptor->n_fresh; i++) {
        const struct fresh *fresh = &acceptor->fresh[i];
        if (i < n_polled && acceptor->polls[2 + i].revents)
            decide(acceptor, fresh);
        else if (now - fresh->since_ns > FRESH_MS * UINT64_C(1000000))
            hand_on(acceptor, fresh);
        else
            acceptor->fresh[kept++] = *fresh;
    }
    acceptor->n_fresh = kept;
}

static void *accept_all(void *argument)
{
    struct acceptor *acceptor = argument;
    for (;;) {
        acceptor->polls[0] = (struct pollfd){.fd = acceptor->wake[0], .events = POLLIN};
        acceptor->polls[1] = (struct pollfd){.fd = acceptor->options.listening, .events = POLLIN};
        size_t n = acceptor->n_fresh;
        for (size_t i = 0; i < n; i++)
            acceptor->polls[2 + i] = (struct pollfd){.fd = acceptor->fresh[i].fd, .events = POLLIN};
        int wait_ms = acceptor->surplus.length ? 0 : acceptor->held.length ? HELD_MS : n ? FRESH_MS / 2 : -1;
        poll(acceptor->polls, (nfds_t)(2 + n), wait_ms);
        if (acceptor->polls[0].revents)
            return NULL;
        look_at_fresh(acceptor, n);
        for (int i = 0; i < ACCEPT_AT_ONCE && acceptor->polls[1].revents && accept_one(acceptor); i++)
            ;
        hand_on_held(acceptor);
        refuse_surplus(acceptor);
    }
}

/* ---- opening and closing ---- */

static void release(struct acceptor *acceptor)
{
    for (int i = 0; i < 2; i++)
        if (acceptor->wake[i] >= 0)
            close(acceptor->wake[i]);
    free(acceptor->counted);
    free(acceptor->bytes);
    free(acceptor->taken);
    free(acceptor);
}

int acceptor_open(const struct acceptor_options *options, struct acceptor **out, struct error *error)
{
    struct acceptor *acceptor = calloc(1, sizeof *acceptor);
    if (!acceptor)
        return error_memory(error, "an acceptor", sizeof *acceptor);
    acceptor->options = *options;
    acceptor->wake[0] = acceptor->wake[1] = -1;
    /* descriptors are the lowest that are free: twice the connections leaves room for all others */
    acceptor->n_marks = 2 * (size_t)options->max_connections;
    acceptor->n_marks = acceptor->n_marks < COUNTED_MAX ? acceptor->n_marks : COUNTED_MAX;
    acceptor->counted = calloc(acceptor->n_marks, sizeof *acceptor->counted);
    acceptor->bytes = malloc(PEEK_BYTES);
    acceptor->taken = malloc(PEEK_BYTES);
    int status = 0;
    if (!acceptor->counted || !acceptor->bytes || !acceptor->taken)
        status = error_memory(error, "an acceptor", acceptor->n_marks + (size_t)2 * PEEK_BYTES);
    else if (pipe(acceptor->wake) != 0 || fcntl(acceptor->wake[0], F_SETFD, FD_CLOEXEC) != 0 ||
             fcntl(acceptor->wake[1], F_SETFD, FD_CLOEXEC) != 0 ||
             fcntl(options->listening, F_SETFL, O_NONBLOCK) != 0)
        status = error_set(error, ERROR_IO, "the HTTP server cannot start: no descriptor is left");
    *out = acceptor; /* the thread's first connection may already ask for it */
    if (!status && pthread_create(&acceptor->thread, NULL, accept_all, acceptor) != 0)
        status = error_set(error, ERROR_IO, "the HTTP server cannot start: no thread is left");
    if (status) {
        release(acceptor);
        *out = NULL;
    }
    return status;
}

void acceptor_stop(struct acceptor *acceptor)
{
    while (write(acceptor->wake[1], "", 1) < 0 && errno == EINTR)
        ;
    pthread_join(acceptor->thread, NULL);
    close(acceptor->options.listening);
    for (size_t i = 0; i < acceptor->n_fresh; i++)
        close(acceptor->fresh[i].fd);
    acceptor->n_fresh = 0;
    for (struct fresh next; queue_take(&acceptor->held, &next) || queue_take(&acceptor->surplus, &next);)
        close(next.fd);
}

void acceptor_close(struct acceptor *acceptor)
{
    if (acceptor)
        release(acceptor);
}
