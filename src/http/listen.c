/* One address, bound before anything else is opened, so that a taken port is said at once. Most of this file
 * is about saying it well. */
#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BACKLOG = 2048,
    DEFAULT_CONNECTIONS = 4096,
    SPARE_DESCRIPTORS = 64 /* for the database, the log, the worker */
};

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 == 127;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return false;
}

static uint16_t port_of(const struct sockaddr_storage *address)
{
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    memcpy(&v6, address, sizeof v6);
    memcpy(&v4, address, sizeof v4);
    return ntohs(address->ss_family == AF_INET6 ? v6.sin6_port : v4.sin_port);
}

static int bind_to(const struct addrinfo *address, const char *host, uint16_t port, struct listener *out,
                   struct error *error)
{
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd < 0)
        return error_set(error, ERROR_IO, "cannot make a socket: %s", strerror(errno));
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
        getsockname(fd, (struct sockaddr *)&bound, &size) != 0) {
        int problem = errno;
        close(fd);
        if (problem == EADDRINUSE)
            return error_set(
                error, ERROR_IO,
                "port %u is taken by another program (perhaps another llmind); stop it, or choose "
                "another port with --port N (0: any free one)",
                port);
        if (problem == EACCES)
            return error_set(error, ERROR_IO, "port %u needs privileges; choose one above 1023 with --port N",
                             port);
        return error_set(error, ERROR_IO, "cannot listen on %s port %u: %s", host, port, strerror(problem));
    }
    *out = (struct listener){.fd = fd, .port = port_of(&bound), .loopback = is_loopback(address->ai_addr)};
    return 0;
}

int listener_open(const char *host, uint16_t port, struct listener *out, struct error *error)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char service[8], name[256];
    /* "[::1]", as it stands in a URL */
    size_t length = strlen(host);
    bool bracketed = length > 2 && host[0] == '[' && host[length - 1] == ']';
    snprintf(name, sizeof name, "%.*s", (int)(bracketed ? length - 2 : length), bracketed ? host + 1 : host);
    snprintf(service, sizeof service, "%u", port);
    if (strcmp(name, "localhost") == 0)
        snprintf(name, sizeof name, "127.0.0.1"); /* and not ::1 on some machines */
    int problem = getaddrinfo(name, service, &hints, &found);
    if (problem != 0)
        return error_set(error, ERROR_INVALID, "'%s' is no address of this machine: %s", host,
                         gai_strerror(problem));
    int status = bind_to(found, host, port, out, error);
    freeaddrinfo(found);
    return status;
}

int listener_start(const struct listener *listener, struct error *error)
{
    /* two programs may have bound with SO_REUSEADDR; only one can listen */
    if (listen(listener->fd, BACKLOG) == 0)
        return 0;
    if (errno == EADDRINUSE)
        return error_set(error, ERROR_IO,
                         "port %u is taken by another program (perhaps another llmind); stop it, or choose "
                         "another port with --port N (0: any free one)",
                         listener->port);
    return error_set(error, ERROR_IO, "cannot listen on port %u: %s", listener->port, strerror(errno));
}

void listener_local_address(int fd, char *out, uint32_t capacity)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    out[0] = '\0';
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
        return;
    const void *bytes = &((const struct sockaddr_in *)(const void *)&address)->sin_addr;
    int family = address.ss_family;
    if (family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)&address)->sin6_addr;
        bool mapped = IN6_IS_ADDR_V4MAPPED(v6);
        family = mapped ? AF_INET : AF_INET6;
        bytes = mapped ? (const void *)(v6->s6_addr + 12) : (const void *)v6;
    }
    if (!inet_ntop(family, bytes, out, capacity))
        out[0] = '\0';
}

uint32_t listener_connection_limit(uint32_t wanted)
{
    struct rlimit limit;
    uint32_t connections = wanted ? wanted : DEFAULT_CONNECTIONS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return connections;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit more = {limit.rlim_max, limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    rlim_t room = limit.rlim_cur > (rlim_t)2 * SPARE_DESCRIPTORS ? limit.rlim_cur - SPARE_DESCRIPTORS
                                                                 : SPARE_DESCRIPTORS;
    return room < connections ? (uint32_t)room : connections;
}
