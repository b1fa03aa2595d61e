/* Many streaming clients in one cheap thread: the load of issue 3's acceptance.
 *
 *   load_client PORT CONCURRENCY DURATION_S MAX_REQUESTS BODY_FILE
 *
 * Each of CONCURRENCY clients posts BODY_FILE to /v1/chat/completions of 127.0.0.1:PORT, reads the stream to
 * its end and begins again until DURATION_S is over (what runs then is read to its end) or, when MAX_REQUESTS
 * is not 0, until it has made that many. One connection per request, as curl does. A refused request (429,
 * 503) waits 200 ms.
 *
 * One JSON object per finished request on stdout (times in seconds since the start; engine_ttft_ms is the
 * server's own figure, from the stream's "timings"), then one that sums up the gaps between tokens as they
 * were received. A Python client would take the cores it is to leave to the server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TAIL = 4096, GAP_BUCKETS = 200000 }; /* a bucket is 0.1 ms, the last one is "more" */

struct client {
    int fd; /* -1: between requests */
    int n_requests;
    size_t sent;
    double t_start, t_first, t_last, t_again;
    double engine_ttft_ms;
    long tokens;
    int status;
    bool done, failed;
    bool in_body, chunked;
    long chunk_left; /* of the chunk being read; 0: a size line comes next, -1: the line end after a chunk */
    size_t line_length, tail_length;
    char line[512];  /* of the head or the chunked coding */
    char tail[TAIL]; /* the line of the body that is being read */
};

static unsigned gaps[GAP_BUCKETS];
static unsigned long n_gaps;
static char *request;
static size_t request_length;
static struct sockaddr_in address;
static int epoll_fd;
static double t0;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9 - t0;
}

static void start(struct client *c)
{
    int n_requests = c->n_requests;
    memset(c, 0, offsetof(struct client, line));
    c->n_requests = n_requests + 1;
    c->t_start = now();
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (c->fd < 0 || (connect(c->fd, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS)) {
        perror("load_client: connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void finish(struct client *c, long index)
{
    printf("{\"client\":%ld,\"start\":%.6f,\"first\":%.6f,\"last\":%.6f,\"end\":%.6f,\"tokens\":%ld,"
           "\"status\":%d,\"engine_ttft_ms\":%.3f,"
           "\"done\":%s,\"error_event\":%s}\n",
           index, c->t_start, c->t_first, c->t_last, now(), c->tokens, c->status, c->engine_ttft_ms,
           c->done ? "true" : "false", c->failed ? "true" : "false");
    close(c->fd);
    c->fd = -1;
    c->t_again = now() + (c->status == 200 ? 0 : 0.2);
}

static void count_token(struct client *c)
{
    double t = now();
    if (!c->tokens++)
        c->t_first = t;
    else {
        double gap = (t - c->t_last) * 1e4;
        gaps[gap < GAP_BUCKETS - 1 ? (int)gap : GAP_BUCKETS - 1]++;
        n_gaps++;
    }
    c->t_last = t;
}

static void read_line(struct client *c)
{
    c->tail[c->tail_length - 1] = '\0'; /* over the newline, or the last byte of an overlong line */
    if (!strncmp(c->tail, "data: [DONE]", 12))
        c->done = true;
    else if (!strncmp(c->tail, "data: {\"error\"", 14))
        c->failed = true;
    else if (!strncmp(c->tail, "data: ", 6) &&
             (strstr(c->tail, "\"content\":") || strstr(c->tail, "\"text\":")))
        count_token(c);
    const char *timings = strstr(c->tail, "\"timings\":"),
               *ttft = timings ? strstr(timings, "\"ttft_ms\":") : NULL;
    if (ttft)
        c->engine_ttft_ms = atof(ttft + strlen("\"ttft_ms\":"));
    c->tail_length = 0;
}

/* One byte of the head, or of the chunked coding around the body; the body's own bytes are added to the tail.
 */
static void take_byte(struct client *c, char byte)
{
    if (c->in_body && (!c->chunked || c->chunk_left > 0)) {
        if (c->tail_length < sizeof c->tail) /* a longer line is nothing we look at */
            c->tail[c->tail_length++] = byte;
        if (c->chunked && --c->chunk_left == 0)
            c->chunk_left = -1;
        if (byte == '\n')
            read_line(c);
        return;
    }
    if (byte != '\n') {
        if (byte != '\r' && c->line_length < sizeof c->line - 1)
            c->line[c->line_length++] = byte;
        return;
    }
    c->line[c->line_length] = '\0';
    if (c->in_body)
        c->chunk_left = c->chunk_left < 0 ? 0 : strtol(c->line, NULL, 16);
    else if (!c->status)
        c->status = atoi(c->line + strlen("HTTP/1.1 "));
    else if (!strncasecmp(c->line, "transfer-encoding: chunked", 26))
        c->chunked = true;
    else if (!c->line_length)
        c->in_body = true;
    c->line_length = 0;
}

static void serve(struct client *c, unsigned events, long index)
{
    if ((events & EPOLLOUT) && c->sent < request_length) {
        ssize_t n = send(c->fd, request + c->sent, request_length - c->sent, MSG_NOSIGNAL);
        if (n > 0)
            c->sent += (size_t)n;
        if (c->sent == request_length) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
        }
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        return;
    static char bytes[65536];
    ssize_t n = recv(c->fd, bytes, sizeof bytes, 0);
    if (n > 0) {
        for (ssize_t i = 0; i < n; i++)
            take_byte(c, bytes[i]);
        /* Refusals end with their body; the connection is ours to close. */
        if (c->done || c->failed || c->status > 200)
            finish(c, index);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        finish(c, index);
    }
}

static void read_body(const char *path, int port)
{
    FILE *file = fopen(path, "rb");
    static char body[1 << 20];
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t n = fread(body, 1, sizeof body, file);
    fclose(file);
    request = malloc(n + 512);
    int head = sprintf(
        request,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n",
        port, n);
    memcpy(request + head, body, n);
    request_length = (size_t)head + n;
}

static double percentile(double p)
{
    unsigned long seen = 0, wanted = (unsigned long)(p * (double)n_gaps);
    for (int i = 0; i < GAP_BUCKETS; i++)
        if ((seen += gaps[i]) > wanted)
            return i / 10.0;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: load_client PORT CONCURRENCY DURATION_S MAX_REQUESTS BODY_FILE\n");
        return 2;
    }
    int port = atoi(argv[1]), max_requests = atoi(argv[4]);
    long n_clients = atol(argv[2]);
    double duration = atof(argv[3]);
    read_body(argv[5], port);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct client *clients = calloc((size_t)n_clients, sizeof *clients);
    t0 = now();
    for (long i = 0; i < n_clients; i++)
        clients[i].fd = -1;
    for (;;) {
        long open = 0, later = 0;
        double t = now();
        for (long i = 0; i < n_clients; i++) {
            bool more = max_requests ? clients[i].n_requests < max_requests : t < duration;
            if (clients[i].fd < 0 && more && t >= clients[i].t_again)
                start(&clients[i]);
            open += clients[i].fd >= 0;
            later += more;
        }
        if (!open && !later)
            break;
        struct epoll_event events[256];
        int n = epoll_wait(epoll_fd, events, 256, 50);
        for (int i = 0; i < n; i++) {
            struct client *c = events[i].data.ptr;
            serve(c, events[i].events, c - clients);
        }
    }
    printf("{\"gaps\":%lu,\"itl_p50_ms\":%.1f,\"itl_p90_ms\":%.1f,\"itl_p99_ms\":%.1f,\"itl_max_ms\":%.1f}\n",
           n_gaps, percentile(0.5), percentile(0.9), percentile(0.99), percentile(0.999999));
    return 0;
}
