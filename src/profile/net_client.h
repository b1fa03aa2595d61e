/* HTTP to one address that somebody else wrote, with libcurl held to the rules: the address is resolved and
 * judged once (net_address.h), every socket is checked against that very result, no redirects, no proxies or
 * credentials from the environment, no other protocol, no compression, and bounds on headers, body and time.
 *
 * A client may be used by any number of threads; an exchange (one request) by one. An exchange can be waited
 * for (net_client_run) or put into a curl_multi of one's own (load.c): begin, add exchange->easy, and end
 * with what curl said.
 */
#ifndef LLMIND_PROFILE_NET_CLIENT_H
#define LLMIND_PROFILE_NET_CLIENT_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "profile/net_address.h"

struct net_client;

/* key: sent as "Authorization: Bearer KEY"; NULL: none. Copied, and never part of a message. Errors: those of
 * net_url_parse and net_resolve; ERROR_INVALID (a key that cannot be a header). */
int net_client_open(const char *url, bool allow_local, const char *key, struct net_client **out,
                    struct error *error);
void net_client_close(struct net_client *client); /* no exchange may be under way; NULL is legal */
const struct net_url *net_client_url(const struct net_client *client);
bool net_client_is_this_machine(const struct net_client *client); /* every address is a loopback one */

enum { NET_MAX_HEADERS = 64 * 1024, NET_MAX_REFUSAL = 16 * 1024 };

struct net_exchange {
    /* set by the caller */
    const char *path; /* below the client's own: "/models" */
    const char *body; /* JSON, borrowed; NULL: GET */
    size_t max_body;
    uint32_t timeout_ms;      /* of the whole */
    uint32_t stall_ms;        /* without news; 0: none */
    const atomic_int *cancel; /* may be NULL */
    /* Bytes of a 200's body, as they arrive. Not 0: the exchange ends with that error. */
    int (*on_body)(void *context, const char *bytes, size_t length, uint64_t now_ns, struct error *error);
    void *context;

    /* filled */
    CURL *easy;
    uint64_t start_ns; /* begun: nothing is sent before */
    uint64_t news_ns;  /* last sign of life; the caller may move it on */
    long status;       /* 0: no answer */
    bool compressed, timed_out, stalled, cancelled;
    char server[128], content_type[96];
    size_t header_bytes, body_bytes;
    struct buffer refusal;         /* body of an answer that is not a 200, as far as it is kept */
    struct error problem;          /* code 0: none */
    const struct net_client *from; /* private */
};

/* Makes exchange->easy. ERROR_MEMORY. */
int net_exchange_begin(struct net_client *client, struct net_exchange *exchange, struct error *error);
/* result: of curl. Fills problem when there was one that is not an answer: no connection (ERROR_IO), too
 * large (ERROR_LIMIT), too late (ERROR_LIMIT and timed_out), cancelled. An answer that is not a 200 is no
 * problem of this layer. Frees easy. */
void net_exchange_end(struct net_exchange *exchange, CURLcode result);
void net_exchange_free(struct net_exchange *exchange);
/* What an answer that is not a 200 says, as one sentence: "the server answered 404: no such model". */
void net_exchange_refusal(const struct net_exchange *exchange, struct error *out);

/* begin, wait, end. Connections are kept for the next exchange. 0 also when there was a problem. Errors:
 * ERROR_MEMORY, ERROR_CANCELLED. */
int net_client_run(struct net_client *client, struct net_exchange *exchange, struct error *error);

#endif
