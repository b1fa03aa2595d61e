/* Classes of addresses. Two tables of prefixes, the most specific first; what no row covers is public in
 * IPv4, and in IPv6 only inside 2000::/3, the one range that is given out. */
#include "profile/net_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

struct row4 {
    uint8_t bytes[4];
    unsigned bits;
    enum net_class kind;
};

static const struct row4 rows4[] = {
    {{169, 254, 169, 254}, 32, NET_METADATA}, /* AWS, Google, Azure, and others */
    {{169, 254, 170, 2}, 32, NET_METADATA},   /* AWS containers */
    {{169, 254, 170, 23}, 32, NET_METADATA},
    {{168, 63, 129, 16}, 32, NET_METADATA}, /* Azure */
    {{192, 0, 0, 192}, 32, NET_METADATA},   /* Oracle */
    {{100, 100, 100, 200}, 32, NET_METADATA} /* Alibaba */,
    {{0, 0, 0, 0}, 8, NET_UNSPECIFIED}, /* "this network": most systems take it for themselves */
    {{127, 0, 0, 0}, 8, NET_LOOPBACK},
    {{10, 0, 0, 0}, 8, NET_PRIVATE},
    {{172, 16, 0, 0}, 12, NET_PRIVATE},
    {{192, 168, 0, 0}, 16, NET_PRIVATE},
    {{100, 64, 0, 0}, 10, NET_PRIVATE}, /* carrier-grade NAT, RFC 6598 */
    {{198, 18, 0, 0}, 15, NET_PRIVATE}, /* benchmarking, RFC 2544 */
    {{169, 254, 0, 0}, 16, NET_LINK_LOCAL},
    {{192, 0, 0, 0}, 24, NET_RESERVED},
    {{192, 0, 2, 0}, 24, NET_RESERVED}, /* documentation, three times */
    {{198, 51, 100, 0}, 24, NET_RESERVED},
    {{203, 0, 113, 0}, 24, NET_RESERVED},
    {{192, 88, 99, 0}, 24, NET_RESERVED},
    {{224, 0, 0, 0}, 4, NET_MULTICAST},
    {{240, 0, 0, 0}, 4, NET_RESERVED}, /* and broadcast */
};

struct row6 {
    uint8_t bytes[16];
    unsigned bits;
    enum net_class kind;
    int embedded; /* where the IPv4 address begins that decides instead; 0: none */
};

static const struct row6 rows6[] = {
    {{0}, 128, NET_UNSPECIFIED, 0},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, NET_LOOPBACK, 0},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, NET_PUBLIC, 12}, /* ::ffff:a.b.c.d, mapped */
    {{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, NET_PUBLIC, 12},       /* ::ffff:0:a.b.c.d, RFC 2765 */
    {{0x00, 0x64, 0xff, 0x9b}, 96, NET_PUBLIC, 12},                   /* NAT64, RFC 6052 */
    {{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, NET_PRIVATE, 0},             /* NAT64 of a site, RFC 8215 */
    {{0x20, 0x02}, 16, NET_PUBLIC, 2},                                /* 6to4 */
    {{0x20, 0x01}, 23, NET_RESERVED, 0},                              /* protocols: Teredo, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32, NET_RESERVED, 0},                  /* documentation */
    {{0x3f, 0xff}, 20, NET_RESERVED, 0},                              /* documentation, RFC 9637 */
    {{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54}, 128, NET_METADATA, 0}, /* AWS */
    {{0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x23}, 128, NET_METADATA, 0},
    {{0xfd, 0x20, 0, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x54}, 128, NET_METADATA, 0}, /* Google */
    {{0xfc}, 7, NET_PRIVATE, 0}, /* unique local, RFC 4193 */
    {{0xfe, 0x80}, 10, NET_LINK_LOCAL, 0},
    {{0xfe, 0xc0}, 10, NET_PRIVATE, 0}, /* site-local, deprecated */
    {{0xff}, 8, NET_MULTICAST, 0},
    {{0x20}, 3, NET_PUBLIC, 0},
};

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff << (8 - rest));
    return rest == 0 || ((address[whole] ^ prefix[whole]) & mask) == 0;
}

static enum net_class classify4(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof rows4 / sizeof *rows4; i++)
        if (has_prefix(address, rows4[i].bytes, rows4[i].bits))
            return rows4[i].kind;
    return NET_PUBLIC;
}

static enum net_class classify6(const uint8_t *address)
{
    for (size_t i = 0; i < sizeof rows6 / sizeof *rows6; i++)
        if (has_prefix(address, rows6[i].bytes, rows6[i].bits))
            return rows6[i].embedded ? classify4(address + rows6[i].embedded) : rows6[i].kind;
    return NET_RESERVED;
}

static const uint8_t *bytes_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET
               ? (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr
           : address->sa_family == AF_INET6
               ? (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
               : NULL;
}

enum net_class net_classify(const struct sockaddr *address)
{
    const uint8_t *bytes = bytes_of(address);
    if (!bytes)
        return NET_RESERVED;
    return address->sa_family == AF_INET ? classify4(bytes) : classify6(bytes);
}

const char *net_class_name(enum net_class kind)
{
    static const char *const names[] = {
        "a public address",         "a loopback address",  "a private address",       "a link-local address",
        "a cloud metadata address", "a multicast address", "the unspecified address", "a reserved address"};
    return names[kind];
}

bool net_allowed(enum net_class kind, bool allow_local)
{
    return kind == NET_PUBLIC || (allow_local && (kind == NET_LOOPBACK || kind == NET_PRIVATE));
}

bool net_address_equal(const struct sockaddr *a, const struct sockaddr *b)
{
    const uint8_t *x = bytes_of(a), *y = bytes_of(b);
    if (!x || !y || a->sa_family != b->sa_family)
        return false;
    if (a->sa_family == AF_INET) /* the port has the same place in both structs' heads */
        return memcmp(x, y, 4) == 0 && ((const struct sockaddr_in *)(const void *)a)->sin_port ==
                                           ((const struct sockaddr_in *)(const void *)b)->sin_port;
    return memcmp(x, y, 16) == 0 && ((const struct sockaddr_in6 *)(const void *)a)->sin6_port ==
                                        ((const struct sockaddr_in6 *)(const void *)b)->sin6_port;
}

void net_address_text(const struct sockaddr *address, char out[NET_MAX_ADDRESS_TEXT])
{
    const uint8_t *bytes = bytes_of(address);
    if (!bytes || !inet_ntop(address->sa_family, bytes, out, NET_MAX_ADDRESS_TEXT))
        snprintf(out, NET_MAX_ADDRESS_TEXT, "?");
}

static int judge(const struct net_url *url, const struct sockaddr *address, bool allow_local,
                 struct error *error)
{
    enum net_class kind = net_classify(address);
    if (net_allowed(kind, allow_local))
        return 0;
    char text[NET_MAX_ADDRESS_TEXT];
    net_address_text(address, text);
    const char *why =
        kind == NET_LOOPBACK || kind == NET_PRIVATE
            ? "targets on this machine and in private networks need an explicit permission (--allow-local)"
        : kind == NET_UNSPECIFIED ? "that names no machine; write 127.0.0.1 for this one"
                                  : "that is never a target";
    return error_set(error, ERROR_INVALID, "the address %s leads to %s, %s: %s", url->host, text,
                     net_class_name(kind), why);
}

int net_resolve(const struct net_url *url, bool allow_local, struct net_addresses *out, struct error *error)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | (url->literal ? AI_NUMERICHOST : 0)};
    struct addrinfo *list = NULL;
    out->count = 0;
    snprintf(port, sizeof port, "%u", (unsigned)url->port);
    int failed = getaddrinfo(url->host, port, &hints, &list);
    if (failed)
        return error_set(error, ERROR_NOT_FOUND, "the address %s cannot be resolved: %s", url->host,
                         gai_strerror(failed));
    int status = 0;
    for (const struct addrinfo *at = list; at && !status; at = at->ai_next) {
        status = judge(url, at->ai_addr, allow_local, error);
        if (!status && out->count < NET_MAX_ADDRESSES && at->ai_addrlen <= sizeof *out->items)
            memcpy(&out->items[out->count++], at->ai_addr, at->ai_addrlen);
    }
    freeaddrinfo(list);
    if (!status && out->count == 0)
        status = error_set(error, ERROR_NOT_FOUND, "the address %s has no machine behind it", url->host);
    return status;
}
