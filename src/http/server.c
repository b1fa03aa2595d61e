/* libmicrohttpd, and nothing but: what it calls is turned into an exchange, and an exchange into what it
 * sends. One thread per connection, so that handlers and streams may simply wait; the watchman (watch.h) sees
 * to clients that leave or dawdle, because a waiting thread cannot.
 *
 * The life of a request: on_target (its line has come: the exchange is made) → on_access, first call (its
 * head has come: the guard and the router decide; whoever is refused is answered and the connection closed,
 * so that what was meant as a body is never read as a next request) → on_access with pieces of the body →
 * on_access, last call: the handler runs, the response is handed over → read_stream, for streams →
 * on_completed, always.
 *
 * The library's own strictness is off: it answers in HTML, and closes without a word on some mistakes.
 * Everything it lets pass is the guard's to refuse; docs/http-conformance.md has the table. */
#include "http/server.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/acceptor.h"
#include "http/body_stream.h"
#include "http/dispatch.h"
#include "http/guard.h"
#include "http/headers.h"
#include "http/listen.h"
#include "http/refusal.h"
#include "http/watch.h"
#include "platform/clock.h"
#include "service/live.h"

enum {
    CONNECTION_BYTES = 32768, /* head of a request, and what is being sent */
    SEND_BUFFER = 32768,      /* the kernel doubles it; small, so that a slow reader shows */
    STREAM_BLOCK = 4096,
    CUT_MS = 1000 /* what a handler has to end in after its client is said to be gone */
};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const size_t stack_bytes = 1 << 20;
#else
static const size_t stack_bytes = 512 << 10; /* address space; what is not touched costs nothing */
#endif
/* Bodies that are being collected, of all connections together. */
static const size_t all_bodies_bytes = (size_t)256 << 20;

struct http_server {
    struct MHD_Daemon *daemon;
    struct acceptor *acceptor;
    struct watcher *watcher;
    struct services *services;
    struct listener listener;
    struct guard_options guard; /* its strings are in the arena */
    struct arena arena;
    atomic_bool draining;
    atomic_size_t body_bytes;
};

/* An exchange, and what the library must not show to the others. */
struct request {
    struct http_exchange exchange;
    struct http_server *server;
    struct MHD_Connection *connection;
    char *target; /* as it came */
    int fd;
    bool begun;
    bool refused; /* answered before its body was read: the connection closes */
    struct guard_verdict verdict;
    size_t max_body, counted_body;
    uint64_t start_ns, sent_bytes;
    struct body_stream stream;
};

/* ---- sending ---- */

static void add_header(void *context, const char *name, const char *value)
{
    if (MHD_add_response_header(context, name, value) != MHD_YES)
        log_event(LOG_LEVEL_WARNING, "header not sent", "name=%s", name);
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t capacity)
{
    struct request *request = context;
    (void)position;
    ssize_t n = body_stream_read(&request->stream, &request->exchange, out, capacity);
    request->sent_bytes += n > 0 ? (uint64_t)n : 0;
    return n > 0 ? n : n == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static struct MHD_Response *make_response(struct request *request)
{
    struct http_response *answer = &request->exchange.response;
    if (answer->has_source) {
        body_stream_begin(&request->stream);
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, request, NULL);
    }
    if (answer->constant) {
        request->sent_bytes = answer->constant_length;
        return MHD_create_response_from_buffer(answer->constant_length, (void *)answer->constant,
                                               MHD_RESPMEM_PERSISTENT);
    }
    request->sent_bytes = answer->body.length;
    if (!answer->body.length)
        return MHD_create_response_from_buffer(0, (char[]){""}, MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(answer->body.length, answer->body.data, MHD_RESPMEM_MUST_FREE);
    if (response)
        answer->body = (struct buffer){0}; /* the library's now */
    return response;
}

static enum MHD_Result send_response(struct request *request)
{
    struct MHD_Response *response = make_response(request);
    if (!response)
        return MHD_NO;
    if (strcmp(request->exchange.method, "HEAD") == 0 || request->exchange.response.status == 304)
        request->sent_bytes = 0; /* the library sends what stands before the body */
    const struct headers_wish wish = {.cors_origin = request->verdict.cors_origin,
                                      .vary = request->server->guard.n_allowed_origins > 0,
                                      .close = request->refused || atomic_load(&request->server->draining)};
    headers_each(&request->exchange, &wish, add_header, response);
    enum MHD_Result queued =
        MHD_queue_response(request->connection, (unsigned)request->exchange.response.status, response);
    MHD_destroy_response(response);
    return queued;
}

/* ---- refusing ---- */

/* The library takes no response while a body is coming. */
static enum MHD_Result refuse_body(struct request *request, int status, const char *code, const char *message)
{
    struct http_exchange *exchange = &request->exchange;
    http_reply_problem(exchange, status, code, NULL, "%s", message);
    if (refusal_send(request->fd, exchange))
        request->sent_bytes = exchange->response.body.length;
    request->refused = true;
    return MHD_NO;
}

static enum MHD_Result refuse(struct request *request)
{
    request->refused = true;
    return send_response(request);
}

/* ---- a request ---- */

static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct request *request = calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->server = context;
    request->connection = connection;
    request->fd = -1;
    request->start_ns = clock_now_ns();
    arena_init(&request->exchange.arena);
    request->target = arena_strdup(&request->exchange.arena, target);
    request->exchange.services = request->server->services;
    exchange_make_id(&request->exchange);
    return request;
}

struct collected {
    struct http_header *headers;
    size_t count, capacity;
    bool lengths_agree;
};

static enum MHD_Result collect_header(void *context, enum MHD_ValueKind kind, const char *name,
                                      size_t name_length, const char *value, size_t value_length)
{
    struct collected *collected = context;
    (void)kind;
    if (collected->count == collected->capacity)
        return MHD_NO;
    value = value ? value : "";
    if (strlen(name) != name_length || strlen(value) != value_length)
        collected->lengths_agree = false;
    collected->headers[collected->count++] = (struct http_header){name, value};
    return MHD_YES;
}

/* The head, as the guard wants it. false: memory is short. */
static bool read_head(struct request *request, const char *method, const char *version,
                      struct guard_request *out)
{
    int n = MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, NULL, NULL);
    struct collected collected = {.capacity = n > 0 ? (size_t)n : 0, .lengths_agree = true};
    collected.headers =
        arena_alloc(&request->exchange.arena, collected.capacity + 1, sizeof(struct http_header));
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    if (!collected.headers || !size || !request->target)
        return false;
    MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect_header, &collected);
    request->exchange.headers = collected.headers;
    request->exchange.n_headers = collected.count;
    *out = (struct guard_request){.method = method,
                                  .target = request->target,
                                  .version = version,
                                  .headers = collected.headers,
                                  .n_headers = collected.count,
                                  .head_bytes = size->header_size,
                                  .lengths_agree = collected.lengths_agree};
    return true;
}

/* The socket and the watchman's entry of this connection. */
static bool find_connection(struct request *request)
{
    const union MHD_ConnectionInfo *socket =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *entry =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    request->fd = socket ? socket->connect_fd : -1;
    request->exchange.connection = entry ? entry->socket_context : NULL;
    return request->fd >= 0 && request->exchange.connection;
}

/* The head has come. */
static enum MHD_Result begin(struct request *request, const char *method, const char *version)
{
    struct http_exchange *exchange = &request->exchange;
    struct guard_request head;
    char address[64];
    request->begun = true;
    exchange->method = method;
    if (!find_connection(request) || !read_head(request, method, version, &head))
        return MHD_NO;
    watch_enter(exchange->connection, WATCH_BODY);
    listener_local_address(request->fd, address, sizeof address);
    head.local_address = address;
    struct guard_verdict *verdict = &request->verdict;
    guard_check(&request->server->guard, &head, verdict);
    if (verdict->status) {
        if (verdict->status == 401)
            http_set_header(exchange, "WWW-Authenticate", "Bearer");
        http_reply_problem(exchange, verdict->status, verdict->code, NULL, "%s", verdict->message);
        return refuse(request);
    }
    bool has_body = verdict->chunked || verdict->content_length > 0;
    if (atomic_load(&request->server->draining)) {
        http_reply_problem(exchange, 503, "stopping", NULL, "the server is stopping");
        return refuse(request);
    }
    dispatch_find(exchange, request->target, verdict);
    if (exchange->response.status)
        return has_body ? refuse(request) : MHD_YES; /* without a body: sent by the last call */
    request->max_body = dispatch_max_body(exchange);
    if (verdict->content_length > request->max_body) {
        http_reply_problem(exchange, 413, "body_too_large", NULL,
                           "the body has %llu bytes; at most %zu are allowed here",
                           (unsigned long long)verdict->content_length, request->max_body);
        return refuse(request);
    }
    return MHD_YES;
}

static enum MHD_Result take_body(struct request *request, const char *bytes, size_t length)
{
    struct http_server *server = request->server;
    struct buffer *body = &request->exchange.body;
    if (request->exchange.response.status) /* answered: what still comes is not for us */
        return MHD_YES;
    if (length > request->max_body - body->length) {
        char message[96];
        snprintf(message, sizeof message, "the body is longer than the %zu bytes that are allowed here",
                 request->max_body);
        return refuse_body(request, 413, "body_too_large", message);
    }
    request->counted_body += length;
    size_t all = atomic_fetch_add(&server->body_bytes, length) + length;
    buffer_append(body, bytes, length);
    if (all > all_bodies_bytes || body->failed)
        return refuse_body(request, 503, "memory", "too many large requests at once; try again");
    return MHD_YES;
}

/* A stream may last for hours, and its body must not keep others out meanwhile. */
static void forget_body(struct request *request)
{
    atomic_fetch_sub(&request->server->body_bytes, request->counted_body);
    request->counted_body = 0;
    buffer_free(&request->exchange.body);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *url,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_size, void **request_context)
{
    struct request *request = *request_context;
    (void)context, (void)connection, (void)url;
    if (!request)
        return MHD_NO; /* memory was short */
    if (!request->begun)
        return begin(request, method, version);
    if (*upload_size) {
        size_t length = *upload_size;
        *upload_size = 0;
        return take_body(request, upload, length);
    }
    watch_enter(request->exchange.connection, WATCH_EXCHANGE);
    dispatch_run(&request->exchange);
    forget_body(request);
    return send_response(request);
}

/* How a request ended, for the log. */
static const char *ending(enum MHD_RequestTerminationCode how)
{
    switch (how) {
    case MHD_REQUEST_TERMINATED_COMPLETED_OK:
        return "whole";
    case MHD_REQUEST_TERMINATED_DAEMON_SHUTDOWN:
        return "stopped";
    case MHD_REQUEST_TERMINATED_READ_ERROR:
    case MHD_REQUEST_TERMINATED_CLIENT_ABORT:
        return "left";
    default:
        return "error";
    }
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode how)
{
    struct request *request = *request_context;
    struct http_server *server = context;
    (void)connection;
    if (!request)
        return;
    *request_context = NULL;
    struct http_exchange *exchange = &request->exchange;
    if (exchange->response.has_source) { /* cut in the middle: told here if the watcher had not yet seen it */
        http_unwatch(exchange);
        exchange->response.source.gone(exchange->response.source.context);
    }
    exchange_close_source(exchange);
    double ms = (double)(clock_now_ns() - request->start_ns) / 1e6;
    const char *path = exchange->target.path ? exchange->target.path : "";
    int status = exchange->response.status;
    /* status 0: the library refused it, or the client left before there was an answer */
    log_event(LOG_LEVEL_INFO, "request", "id=%s method=%s path=%s status=%d ms=%.1f bytes=%llu end=%s",
              exchange->id, exchange->method ? exchange->method : "", path, status, ms,
              (unsigned long long)request->sent_bytes, ending(how));
    if (server->services->live && status)
        live_count_request(server->services->live,
                           exchange->match.route ? exchange->match.route->pattern : "none", status, ms);
    acceptor_done(server->acceptor, request->fd);
    if (request->refused)
        refusal_linger(request->fd);
    if (exchange->connection)
        watch_enter(exchange->connection, WATCH_HEAD);
    forget_body(request);
    exchange_free(exchange);
    body_stream_free(&request->stream);
    free(request);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = context;
    const union MHD_ConnectionInfo *socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        acceptor_done(server->acceptor, socket->connect_fd);
        watch_remove(*socket_context);
        *socket_context = NULL;
        return;
    }
    int size = SEND_BUFFER;
    setsockopt(socket->connect_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    *socket_context = watch_add(server->watcher, socket->connect_fd);
}

/* Targets stay as they came; target.c decodes them. */
static size_t keep_encoded(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

/* ---- opening and closing ---- */

static const char *const *copy_strings(struct arena *arena, const char *const *strings, size_t n,
                                       bool *failed)
{
    const char **copies = arena_alloc(arena, n + 1, sizeof *copies);
    for (size_t i = 0; i < n && copies; i++) {
        copies[i] = arena_strdup(arena, strings[i]);
        *failed = *failed || !copies[i];
    }
    *failed = *failed || !copies;
    return copies;
}

static int copy_options(struct http_server *server, const struct http_server_options *options,
                        struct error *error)
{
    bool failed = false;
    struct guard_options *guard = &server->guard;
    guard->n_allowed_hosts = options->n_allowed_hosts;
    guard->n_allowed_origins = options->n_allowed_origins;
    guard->allowed_hosts =
        copy_strings(&server->arena, options->allowed_hosts, options->n_allowed_hosts, &failed);
    guard->allowed_origins =
        copy_strings(&server->arena, options->allowed_origins, options->n_allowed_origins, &failed);
    if (options->api_key) {
        guard->api_key = arena_strdup(&server->arena, options->api_key);
        failed = failed || !guard->api_key;
    }
    return failed ? error_memory(error, "a server", sizeof *server) : 0;
}

static int start_daemon(struct http_server *server, uint32_t max_connections, struct error *error)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC |
            MHD_USE_NO_LISTEN_SOCKET,
        0, NULL, NULL, on_access, server, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        server, MHD_OPTION_UNESCAPE_CALLBACK, keep_encoded, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_CONNECTION_LIMIT, max_connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_THREAD_STACK_SIZE,
        stack_bytes, MHD_OPTION_END);
    if (!server->daemon)
        return error_set(error, ERROR_IO, "the HTTP server cannot start: no thread or descriptor is left");
    return 0;
}

static void add_connection(void *context, int fd, const struct sockaddr *address, socklen_t size)
{
    struct http_server *server = context;
    if (MHD_add_connection(server->daemon, fd, address, size) != MHD_YES) { /* which has closed it */
        acceptor_done(server->acceptor, fd);
        log_event(LOG_LEVEL_WARNING, "connection not taken", "reason=%s", "too many, or no memory");
    }
}

static int start_acceptor(struct http_server *server, uint32_t max_connections, struct error *error)
{
    const struct acceptor_options options = {.listening = server->listener.fd,
                                             .guard = &server->guard,
                                             .services = server->services,
                                             .max_connections = max_connections,
                                             .add = add_connection,
                                             .context = server};
    return acceptor_open(&options, &server->acceptor, error);
}

static void free_server(struct http_server *server)
{
    acceptor_close(server->acceptor);
    watcher_close(server->watcher);
    if (server->listener.fd >= 0)
        close(server->listener.fd);
    arena_free(&server->arena);
    free(server);
}

int http_server_open(const struct http_server_options *options, struct services *services,
                     struct http_server **out, struct error *error)
{
    static const struct watch_limits limits = {0};
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        return error_memory(error, "a server", sizeof *server);
    server->services = services;
    server->listener.fd = -1;
    arena_init(&server->arena);
    int status = copy_options(server, options, error);
    if (!status)
        status = listener_open(options->host, options->port, &server->listener, error);
    if (!status && !server->listener.loopback && !server->guard.api_key)
        status =
            error_set(error, ERROR_INVALID,
                      "%s can be reached from other machines, so an API key is needed: put one into a file "
                      "(for example: openssl rand -hex 32 > key; chmod 600 key) and start with "
                      "--api-key-file key, or set LLMIND_API_KEY",
                      options->host);
    if (!status)
        status = listener_start(&server->listener, error);
    if (!status)
        status = watcher_open(&limits, &server->watcher, error);
    server->guard.port = server->listener.port;
    server->guard.loopback = server->listener.loopback;
    uint32_t max_connections = listener_connection_limit(options->max_connections);
    if (!status)
        status = start_daemon(server, max_connections, error);
    if (!status)
        status = start_acceptor(server, max_connections, error);
    if (status) {
        if (server->daemon)
            MHD_stop_daemon(server->daemon);
        free_server(server);
        return status;
    }
    *out = server;
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->listener.port;
}

static void wait_until_idle(struct http_server *server, uint32_t ms)
{
    const struct timespec nap = {.tv_nsec = 20 * 1000000L};
    uint64_t end = clock_now_ns() + ms * UINT64_C(1000000);
    while (watch_busy(server->watcher) > 0 && clock_now_ns() < end)
        nanosleep(&nap, NULL);
}

void http_server_close(struct http_server *server, uint32_t drain_ms)
{
    if (!server)
        return;
    atomic_store(&server->draining, true);
    acceptor_stop(server->acceptor);
    server->listener.fd = -1; /* was the acceptor's */
    wait_until_idle(server, drain_ms);
    watch_dismiss(server->watcher);
    wait_until_idle(server, CUT_MS);
    watch_cut_all(server->watcher);
    MHD_stop_daemon(server->daemon);
    free_server(server);
}
