/* Addresses that somebody else wrote: which URLs are taken, and which machines may be talked to.
 *
 * A URL is read strictly, so that no two readers of it can disagree about its host. A name is resolved once;
 * every address it has is judged by its class, and whoever connects uses exactly those addresses (a second
 * look-up could give others: "DNS rebinding"). Public addresses are allowed; loopback and private ones by
 * permission; link-local, metadata, multicast, unspecified and reserved ones never. What is in no list of
 * the IANA registries below counts as reserved.
 *
 * Sources: RFC 6890 and the IANA special-purpose address registries (2026); metadata addresses as documented
 * by AWS, Google, Azure, Oracle and Alibaba.
 */
#ifndef LLMIND_PROFILE_NET_ADDRESS_H
#define LLMIND_PROFILE_NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

enum { NET_MAX_HOST = 253, NET_MAX_PATH = 255, NET_MAX_ADDRESSES = 16, NET_MAX_ADDRESS_TEXT = 48 };

struct net_url {
    bool https;
    bool literal;                /* host is an IP address */
    char host[NET_MAX_HOST + 1]; /* lower case; an IPv6 address without its brackets */
    uint16_t port;
    char path[NET_MAX_PATH + 1]; /* "" or "/v1": no slash at the end */
};

/* http://HOST[:PORT][/PATH] or https. Errors: ERROR_INVALID, saying which rule: no other scheme, no user
 * name or password, no query, no fragment; an IPv4 address only as four decimal numbers; a name only in
 * ASCII. */
int net_url_parse(const char *text, struct net_url *out, struct error *error);
/* The origin and path again; capacity >= 600. */
void net_url_text(const struct net_url *url, char *out, size_t capacity);

enum net_class {
    NET_PUBLIC,
    NET_LOOPBACK,
    NET_PRIVATE, /* RFC 1918, unique local, carrier-grade NAT, benchmarking networks */
    NET_LINK_LOCAL,
    NET_METADATA, /* where clouds hand out credentials to whoever asks */
    NET_MULTICAST,
    NET_UNSPECIFIED,
    NET_RESERVED
};
/* An IPv6 address that carries an IPv4 address (mapped, translated, NAT64, 6to4) has the class of that. Other
 * families than the two: NET_RESERVED. */
enum net_class net_classify(const struct sockaddr *address);
const char *net_class_name(enum net_class kind); /* "a loopback address" */
bool net_allowed(enum net_class kind, bool allow_local);

struct net_addresses {
    struct sockaddr_storage items[NET_MAX_ADDRESSES];
    size_t count;
};

/* All addresses of a URL's host, with its port. Blocks as long as the system's resolver does. Errors:
 * ERROR_NOT_FOUND (no such name), ERROR_INVALID (one of them is not allowed: a name that has both allowed and
 * forbidden addresses is not trusted). */
int net_resolve(const struct net_url *url, bool allow_local, struct net_addresses *out, struct error *error);

bool net_address_equal(const struct sockaddr *a, const struct sockaddr *b);
/* "127.0.0.1", "::1". */
void net_address_text(const struct sockaddr *address, char out[NET_MAX_ADDRESS_TEXT]);

#endif
