/* Who may come in: everything that is decided on the head of a request alone, before its body is read.
 *
 * The parser below is lenient on purpose (see docs/http-conformance.md); this is the one place that is
 * strict: the form of the head, its target, its framing, its Host (DNS rebinding), its origin (cross-site
 * requests), the API key. Pure: no allocation, no lock, no HTTP library.
 */
#ifndef LLMIND_HTTP_GUARD_H
#define LLMIND_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/exchange_internal.h"

struct guard_options {
    uint16_t port;
    bool loopback;                    /* bound to one: localhost, 127.0.0.1 and [::1] are our names */
    const char *const *allowed_hosts; /* further names, "name" (any port) or "name:port" */
    size_t n_allowed_hosts;
    const char *const *allowed_origins; /* "https://example.com" */
    size_t n_allowed_origins;
    const char *api_key; /* NULL: none needed */
};

struct guard_request {
    const char *method, *target, *version; /* "GET", "/health?x=1", "HTTP/1.1" */
    const struct http_header *headers;
    size_t n_headers;
    size_t head_bytes;         /* all of it, as it came over the wire, the empty line included */
    bool lengths_agree;        /* no name or value was longer than its C string: no zero bytes */
    const char *local_address; /* the connection's own: "127.0.0.1", "::1"; may be NULL */
};

struct guard_verdict {
    int status; /* 0: let it in; otherwise the answer is a problem with this status */
    const char *code;
    char message[256];
    /* of a request that is let in */
    bool preflight;          /* a CORS preflight of an allowed origin: answered without a handler */
    const char *cors_origin; /* what Access-Control-Allow-Origin says; NULL: nothing. Of refused ones too */
    bool chunked;
    uint64_t content_length; /* 0 without a body, or when chunked */
};

void guard_check(const struct guard_options *options, const struct guard_request *request,
                 struct guard_verdict *out);

/* Takes the same time whichever byte differs (the length may show). */
bool guard_keys_equal(const char *a, const char *b);

#endif
