/* The order matters: first whether this is one well-formed request at all, then whether it may talk to us
 * (Host, origin, key), so that nothing about the server is told to those who may not.
 *
 * Bytes that disappear. libmicrohttpd 0.9.75 cuts a value at a zero byte, takes a bare LF for a line's end,
 * and glues a folded line to the header's name; its callbacks show none of this. But it counts the bytes of
 * the head, and every well-behaved client writes "Name: value" with at most one blank. So the head must add
 * up: the request line, and for each header its name, a colon, at most one blank, its value, CRLF. What is
 * missing or left over was not shown to us, and the request is refused. (RFC 9112 allows more blanks; no
 * client that we know of sends them.) */
#include "http/guard.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/assets.h"

static void refuse(struct guard_verdict *out, int status, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void refuse(struct guard_verdict *out, int status, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out->message, sizeof out->message, format, arguments);
    va_end(arguments);
    out->status = status;
    out->code = code;
}

/* ---- headers ---- */

/* The one header of that name; NULL when there is none. *count: how many there are. */
static const char *header(const struct guard_request *request, const char *name, size_t *count)
{
    const char *value = NULL;
    *count = 0;
    for (size_t i = 0; i < request->n_headers; i++)
        if (strcasecmp(request->headers[i].name, name) == 0) {
            value = value ? value : request->headers[i].value;
            ++*count;
        }
    return value;
}

static bool is_token(const char *text) /* RFC 9110, 5.6.2 */
{
    if (!*text)
        return false;
    for (; *text; text++) {
        bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');
        bool digit = *text >= '0' && *text <= '9';
        if (!letter && !digit && !strchr("!#$%&'*+-.^_`|~", *text))
            return false;
    }
    return true;
}

static bool has_controls(const char *text)
{
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7F)
            return true;
    return false;
}

static bool adds_up(const struct guard_request *request)
{
    size_t least = strlen(request->method) + 1 + strlen(request->target) + 1 + strlen(request->version) + 4;
    for (size_t i = 0; i < request->n_headers; i++)
        least += strlen(request->headers[i].name) + strlen(request->headers[i].value) + 3;
    return request->lengths_agree && request->head_bytes >= least &&
           request->head_bytes - least <= request->n_headers;
}

static bool check_form(const struct guard_request *request, struct guard_verdict *out)
{
    if (strcmp(request->version, "HTTP/1.1") != 0 && strcmp(request->version, "HTTP/1.0") != 0) {
        refuse(out, 505, "http_version", "this server speaks HTTP/1.1");
        return false;
    }
    bool fine = is_token(request->method) && adds_up(request);
    for (size_t i = 0; i < request->n_headers && fine; i++)
        fine = is_token(request->headers[i].name) && !has_controls(request->headers[i].value);
    if (!fine) {
        refuse(out, 400, "malformed_head",
               "the head of the request is malformed: a zero byte or control character, a line that does not "
               "end in CRLF, a folded line, a wrong header name, or more than one blank around a value");
        return false;
    }
    return true;
}

static bool check_target(const struct guard_request *request, struct guard_verdict *out)
{
    const char *target = request->target;
    bool fine = target[0] == '/';
    for (const char *p = target; *p && fine; p++)
        fine = (unsigned char)*p > 0x20 && (unsigned char)*p < 0x7F && *p != '#';
    if (!fine)
        refuse(out, 400, "bad_target",
               "the request's target must be a path beginning with '/', percent-encoded, without a host");
    return fine;
}

/* ---- Host and origin ---- */

/* Is `host` ("name", "name:port", "[v6]:port") this name, with our port, none, or, when any_port, any? */
static bool is_host(const char *host, const char *name, uint16_t port, bool any_port)
{
    size_t length = strlen(name);
    if (strncasecmp(host, name, length) != 0)
        return false;
    host += length;
    if (!*host)
        return true;
    if (*host != ':')
        return false;
    char own[8];
    snprintf(own, sizeof own, "%u", port);
    size_t digits = strspn(host + 1, "0123456789");
    if (digits == 0 || digits > 5 || host[1 + digits])
        return false;
    return any_port || strcmp(host + 1, own) == 0;
}

static bool host_is_ours(const struct guard_options *options, const struct guard_request *request,
                         const char *host)
{
    static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; options->loopback && i < 3; i++)
        if (is_host(host, loopback[i], options->port, false))
            return true;
    if (request->local_address) {
        char name[80];
        bool v6 = strchr(request->local_address, ':') != NULL;
        snprintf(name, sizeof name, v6 ? "[%s]" : "%s", request->local_address);
        if (is_host(host, name, options->port, false))
            return true;
    }
    for (size_t i = 0; i < options->n_allowed_hosts; i++)
        if (is_host(host, options->allowed_hosts[i], options->port, true))
            return true;
    return false;
}

static bool check_host(const struct guard_options *options, const struct guard_request *request,
                       struct guard_verdict *out)
{
    size_t n;
    const char *host = header(request, "Host", &n);
    if (n != 1) {
        refuse(out, 400, n ? "duplicate_host" : "missing_host",
               "the request must have exactly one Host header");
        return false;
    }
    if (!host_is_ours(options, request, host)) {
        refuse(
            out, 403, "foreign_host",
            "this server does not answer to the name in the Host header; use its address, or start it with "
            "--allow-host NAME");
        return false;
    }
    return true;
}

static bool is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
}

static bool origin_is_allowed(const struct guard_options *options, const char *origin)
{
    for (size_t i = 0; i < options->n_allowed_origins; i++)
        if (strcasecmp(options->allowed_origins[i], origin) == 0)
            return true;
    return false;
}

/* scheme://HOST, HOST being what the (checked) Host header says. */
static bool is_same_origin(const char *origin, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t length = strlen(schemes[i]);
        if (strncasecmp(origin, schemes[i], length) == 0 && strcasecmp(origin + length, host) == 0)
            return true;
    }
    return false;
}

static bool check_origin(const struct guard_options *options, const struct guard_request *request,
                         struct guard_verdict *out)
{
    size_t n_origin, n_site, n;
    const char *origin = header(request, "Origin", &n_origin);
    const char *site = header(request, "Sec-Fetch-Site", &n_site);
    bool allowed = n_origin == 1 && origin_is_allowed(options, origin);
    if (allowed)
        out->cors_origin = origin;
    out->preflight =
        strcmp(request->method, "OPTIONS") == 0 && header(request, "Access-Control-Request-Method", &n);
    if (is_safe(request->method) && !out->preflight)
        return true;
    bool same = n_origin == 0 || (n_origin == 1 && is_same_origin(origin, header(request, "Host", &n)));
    bool near =
        n_site == 0 || (n_site == 1 && (strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0));
    if (allowed || (same && near))
        return true;
    refuse(out, 403, "foreign_origin",
           "a web page of another origin may not use this server; start it with --allow-origin ORIGIN to "
           "allow one");
    return false;
}

/* ---- key ---- */

bool guard_keys_equal(const char *a, const char *b)
{
    size_t n_a = strlen(a), n_b = strlen(b);
    volatile unsigned char difference = n_a != n_b;
    for (size_t i = 0; i < n_a; i++)
        difference |= (unsigned char)(a[i] ^ b[n_b ? i % n_b : 0]);
    return difference == 0;
}

/* /health is for load balancers; the page has to be there before it can ask for the key. */
static bool is_open(const struct guard_request *request)
{
    size_t path = strcspn(request->target, "?");
    bool health = path == strlen("/health") && strncmp(request->target, "/health", path) == 0;
    bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    return health || (reads && asset_is_at(request->target));
}

static bool check_key(const struct guard_options *options, const struct guard_request *request,
                      struct guard_verdict *out)
{
    size_t n, n_key;
    if (!options->api_key || out->preflight || is_open(request))
        return true;
    const char *authorization = header(request, "Authorization", &n);
    const char *key = header(request, "X-API-Key", &n_key);
    if (n == 1 && strncasecmp(authorization, "Bearer ", 7) == 0 &&
        guard_keys_equal(authorization + 7, options->api_key))
        return true;
    if (n_key == 1 && guard_keys_equal(key, options->api_key))
        return true;
    refuse(out, 401, "invalid_api_key",
           n || n_key
               ? "the API key is not the one this server was started with"
               : "this server needs its API key: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'");
    return false;
}

/* ---- the body to come ---- */

/* Transfer-Encoding and Content-Length (RFC 9112, 6): one of them, once, and plain. */
static bool check_framing(const struct guard_request *request, struct guard_verdict *out)
{
    size_t n_length, n_encoding, n;
    const char *length = header(request, "Content-Length", &n_length);
    const char *encoding = header(request, "Transfer-Encoding", &n_encoding);
    size_t digits = length ? strspn(length, "0123456789") : 0;
    if (n_length > 1 || n_encoding > 1 || (length && encoding) ||
        (length && (digits == 0 || length[digits])) ||
        (encoding && strcmp(request->version, "HTTP/1.1") != 0)) {
        refuse(out, 400, "ambiguous_length",
               "the length of the request's body is not clear: send one Content-Length, or "
               "'Transfer-Encoding: chunked'");
        return false;
    }
    if (encoding && strcasecmp(encoding, "chunked") != 0) {
        refuse(out, 501, "transfer_encoding", "the only Transfer-Encoding that is understood is 'chunked'");
        return false;
    }
    out->chunked = encoding != NULL;
    for (size_t i = 0; i < digits; i++) {
        uint64_t digit = (uint64_t)(length[i] - '0');
        if (__builtin_mul_overflow(out->content_length, UINT64_C(10), &out->content_length) ||
            __builtin_add_overflow(out->content_length, digit, &out->content_length)) {
            refuse(out, 413, "body_too_large", "the body is too large");
            return false;
        }
    }
    const char *expect = header(request, "Expect", &n);
    if (expect && (n != 1 || strcasecmp(expect, "100-continue") != 0)) {
        refuse(out, 417, "expectation", "the only expectation that is understood is '100-continue'");
        return false;
    }
    return true;
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";
    size_t length = strlen(json);
    if (strncasecmp(type, json, length) != 0)
        return false;
    type += length;
    type += strspn(type, " \t");
    return !*type || *type == ';';
}

static bool check_content(const struct guard_request *request, struct guard_verdict *out)
{
    size_t n, n_coding;
    bool has_body = out->chunked || out->content_length > 0;
    const char *type = header(request, "Content-Type", &n);
    const char *coding = header(request, "Content-Encoding", &n_coding);
    if (is_safe(request->method) || !has_body)
        return true;
    if (n != 1 || !is_json(type)) {
        refuse(out, 415, "content_type", "send the body as 'Content-Type: application/json'");
        return false;
    }
    if (coding && strcasecmp(coding, "identity") != 0) {
        refuse(out, 415, "content_encoding", "send the body without a Content-Encoding");
        return false;
    }
    return true;
}

void guard_check(const struct guard_options *options, const struct guard_request *request,
                 struct guard_verdict *out)
{
    memset(out, 0, sizeof *out);
    bool let_in = check_form(request, out) && check_target(request, out) && check_framing(request, out) &&
                  check_host(options, request, out) && check_origin(options, request, out) &&
                  check_key(options, request, out) && check_content(request, out);
    (void)let_in; /* out->status says it */
}
