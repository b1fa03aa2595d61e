/* The only bytes that this program sends past the HTTP library. */
#include "http/refusal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "http/headers.h"
#include "platform/clock.h"

#ifndef MSG_NOSIGNAL /* macOS: cli/serve.c ignores SIGPIPE */
#define MSG_NOSIGNAL 0
#endif

enum { LINGER_MS = 1000, LINGER_BYTES = 32 << 20, WAIT_MS = 100 };

static void add_line(void *context, const char *name, const char *value)
{
    buffer_format(context, "%s: %s\r\n", name, value);
}

bool refusal_send(int fd, const struct http_exchange *exchange)
{
    const struct http_response *response = &exchange->response;
    const struct headers_wish wish = {.close = true};
    struct buffer text = {0};
    buffer_format(&text, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\n", response->status,
                  response->status == 413   ? "Content Too Large"
                  : response->status == 429 ? "Too Many Requests"
                                            : "Service Unavailable",
                  response->body.length);
    headers_each(exchange, &wish, add_line, &text);
    buffer_text(&text, "\r\n");
    buffer_append(&text, response->body.data, response->body.length);
    /* less than a socket's buffer holds: one send takes it all, or nobody reads it */
    bool sent = !text.failed && send(fd, text.data, text.length, MSG_NOSIGNAL) == (ssize_t)text.length;
    buffer_free(&text);
    return sent;
}

void refusal_linger(int fd)
{
    char bytes[16384];
    uint64_t end = clock_now_ns() + LINGER_MS * UINT64_C(1000000);
    shutdown(fd, SHUT_WR);
    for (size_t read_bytes = 0; read_bytes < LINGER_BYTES && clock_now_ns() < end;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        if (poll(&ready, 1, WAIT_MS) <= 0)
            continue;
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
        read_bytes += n > 0 ? (size_t)n : 0;
    }
}
