/* The guard, head by head: what is let in, and with which status and code the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/guard.h"

enum { MAX_HEADERS = 12 };

static const struct guard_options plain = {.port = 8000, .loopback = true};

/* "Name: value" lines, NULL at the end; the head adds up with one blank each. */
static void check(const struct guard_options *options, const char *method, const char *target,
                  const char *const *lines, int slack, struct guard_verdict *out)
{
    static char names[MAX_HEADERS][64];
    struct http_header headers[MAX_HEADERS];
    struct guard_request request = {.method = method,
                                    .target = target,
                                    .version = "HTTP/1.1",
                                    .headers = headers,
                                    .lengths_agree = true,
                                    .local_address = "127.0.0.1"};
    size_t bytes = strlen(method) + strlen(target) + 2 + 8 + 4;
    for (; *lines; lines++) {
        size_t colon = strcspn(*lines, ":");
        memcpy(names[request.n_headers], *lines, colon);
        names[request.n_headers][colon] = '\0';
        headers[request.n_headers] = (struct http_header){names[request.n_headers], *lines + colon + 2};
        bytes += strlen(*lines) + 2;
        request.n_headers++;
    }
    request.head_bytes = (size_t)((int)bytes + slack);
    guard_check(options, &request, out);
}

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

static int status_of(const struct guard_options *options, const char *method, const char *target,
                     const char *const *lines)
{
    struct guard_verdict verdict;
    check(options, method, target, lines, 0, &verdict);
    return verdict.status;
}

static void hosts(void **state)
{
    (void)state;
    static const char *const fine[] = {"localhost",      "LOCALHOST:8000", "127.0.0.1",
                                       "127.0.0.1:8000", "[::1]",          "[::1]:8000"};
    static const char *const foreign[] = {"evil.example",
                                          "localhost:8001",
                                          "localhost.evil.example",
                                          "localhost:",
                                          "localhost:80000",
                                          "localhost:8000:1",
                                          "127.0.0.1.evil",
                                          "10.0.0.1",
                                          "",
                                          "[::1",
                                          "::1",
                                          "evil@localhost",
                                          "localhost ",
                                          "0x7f.1"};
    char line[64];
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
        snprintf(line, sizeof line, "Host: %s", fine[i]);
        assert_int_equal(status_of(&plain, "GET", "/health", LINES(line)), 0);
    }
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        snprintf(line, sizeof line, "Host: %s", foreign[i]);
        if (status_of(&plain, "GET", "/health", LINES(line)) != 403)
            fail_msg("Host '%s' was not refused", foreign[i]);
    }
    assert_int_equal(status_of(&plain, "GET", "/health", LINES("Accept: */*")), 400);
    assert_int_equal(status_of(&plain, "GET", "/health", LINES("Host: localhost", "host: localhost")), 400);

    static const char *const names[] = {"llm.example.com", "pinned.example:9000"};
    struct guard_options more = plain;
    more.allowed_hosts = names;
    more.n_allowed_hosts = 2;
    assert_int_equal(status_of(&more, "GET", "/", LINES("Host: llm.example.com")), 0);
    assert_int_equal(status_of(&more, "GET", "/", LINES("Host: LLM.example.com:443")), 0);
    assert_int_equal(status_of(&more, "GET", "/", LINES("Host: pinned.example:9000")), 0);
    assert_int_equal(status_of(&more, "GET", "/", LINES("Host: pinned.example")), 403);
    /* not bound to a loopback address: localhost is nobody's name, the connection's own address is */
    more.loopback = false;
    assert_int_equal(status_of(&more, "GET", "/", LINES("Host: localhost")), 403);
    assert_int_equal(status_of(&more, "GET", "/", LINES("Host: 127.0.0.1:8000")), 0);
}

static void heads(void **state)
{
    (void)state;
    struct guard_verdict verdict;
    /* bytes that the parser did not show: a zero byte, folded lines; or that were not there: bare LF */
    static const struct {
        int slack, status;
    } sums[] = {{-3, 400}, {-2, 0}, {-1, 0}, {0, 0}, {1, 400}, {6, 400}};
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
        check(&plain, "GET", "/", LINES("Host: localhost", "Accept: */*"), sums[i].slack, &verdict);
        if (verdict.status != sums[i].status)
            fail_msg("a head with %d more bytes than it shows: %d", sums[i].slack, verdict.status);
    }
    assert_int_equal(status_of(&plain, "GET", "/", LINES("Host: localhost", "X A: 1")), 400);
    assert_int_equal(status_of(&plain, "GET", "/", LINES("Host: localhost", "X: a\rb")), 400);
    assert_int_equal(status_of(&plain, "GET", "/", LINES("Host: localhost", "X: a\tb")), 0);
    assert_int_equal(status_of(&plain, "G(T", "/", LINES("Host: localhost")), 400);
    static const char *const targets[] = {"http://localhost/", "*", "evil:80", "", "/a b", "/a#b",
                                          "/\xC3\xA4"};
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        check(&plain, "GET", targets[i], LINES("Host: localhost"), 0, &verdict);
        assert_int_equal(verdict.status, 400);
        assert_string_equal(verdict.code, "bad_target");
    }
    struct http_header host = {"Host", "localhost"};
    struct guard_request request = {.method = "GET",
                                    .target = "/",
                                    .version = "HTTP/2.0",
                                    .headers = &host,
                                    .n_headers = 1,
                                    .head_bytes = 35,
                                    .lengths_agree = true};
    guard_check(&plain, &request, &verdict);
    assert_int_equal(verdict.status, 505);
    request.version = "HTTP/1.0";
    guard_check(&plain, &request, &verdict);
    assert_int_equal(verdict.status, 0);
    request.lengths_agree = false;
    guard_check(&plain, &request, &verdict);
    assert_int_equal(verdict.status, 400);
}

static void framing(void **state)
{
    (void)state;
    static const struct {
        const char *first, *second;
        int status;
    } cases[] = {{"Content-Length: 3", "Content-Length: 3", 400},
                 {"Content-Length: 3", "Transfer-Encoding: chunked", 400},
                 {"Transfer-Encoding: chunked", "Transfer-Encoding: chunked", 400},
                 {"Content-Length: +3", "A: b", 400},
                 {"Content-Length: 3, 3", "A: b", 400},
                 {"Content-Length: 0x3", "A: b", 400},
                 {"Content-Length: ", "A: b", 400},
                 {"Content-Length: 18446744073709551616", "A: b", 413},
                 {"Transfer-Encoding: gzip, chunked", "A: b", 501},
                 {"Transfer-Encoding: xchunked", "A: b", 501},
                 {"Expect: 200-ok", "A: b", 417},
                 {"Expect: 100-Continue", "Content-Length: 3", 0},
                 {"Transfer-Encoding: Chunked", "A: b", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status = status_of(
            &plain, "POST", "/v1/completions",
            LINES("Host: localhost", "Content-Type: application/json", cases[i].first, cases[i].second));
        if (status != cases[i].status)
            fail_msg("%s, %s: %d, not %d", cases[i].first, cases[i].second, status, cases[i].status);
    }
    struct guard_verdict verdict;
    check(&plain, "POST", "/",
          LINES("Host: localhost", "Content-Type: application/json", "Content-Length: 0120"), 0, &verdict);
    assert_int_equal(verdict.content_length, 120);
}

static void content(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        int status;
    } cases[] = {{"Content-Type: application/json", 0},
                 {"Content-Type: Application/JSON; charset=utf-8", 0},
                 {"Content-Type: application/json ;charset=utf-8", 0},
                 {"Content-Type: application/jsonp", 415},
                 {"Content-Type: text/plain", 415},
                 {"Content-Type: application/x-www-form-urlencoded", 415},
                 {"Content-Encoding: gzip", 415},
                 {"A: b", 415}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(status_of(&plain, "PUT", "/api/settings",
                                   LINES("Host: localhost", "Content-Length: 2", cases[i].type)),
                         cases[i].status);
    assert_int_equal(status_of(&plain, "POST", "/api/models/unload", LINES("Host: localhost")), 0);
}

static void origins(void **state)
{
    (void)state;
    static const char *const allowed[] = {"https://app.example"};
    struct guard_options open = plain;
    open.allowed_origins = allowed;
    open.n_allowed_origins = 1;
    static const struct {
        const char *first, *second;
        int closed, opened; /* status without and with an allowed origin */
    } cases[] = {{"A: b", "A: b", 0, 0},
                 {"Origin: http://localhost:8000", "A: b", 0, 0},
                 {"Origin: http://localhost:8000", "Sec-Fetch-Site: same-origin", 0, 0},
                 {"Sec-Fetch-Site: none", "A: b", 0, 0},
                 {"Origin: http://localhost:3000", "A: b", 403, 403},
                 {"Origin: http://evil.example", "A: b", 403, 403},
                 {"Origin: null", "A: b", 403, 403},
                 {"Origin: http://localhost:8000", "Origin: http://localhost:8000", 403, 403},
                 {"Sec-Fetch-Site: cross-site", "A: b", 403, 403},
                 {"Sec-Fetch-Site: same-site", "A: b", 403, 403},
                 {"Origin: http://localhost:8000", "Sec-Fetch-Site: cross-site", 403, 403},
                 {"Origin: https://app.example", "Sec-Fetch-Site: cross-site", 403, 0},
                 {"Origin: https://app.example.evil", "A: b", 403, 403}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *lines = LINES("Host: localhost:8000", cases[i].first, cases[i].second);
        int closed = status_of(&plain, "DELETE", "/", lines), opened = status_of(&open, "DELETE", "/", lines);
        if (closed != cases[i].closed || opened != cases[i].opened)
            fail_msg("%s, %s: %d and %d", cases[i].first, cases[i].second, closed, opened);
        assert_int_equal(status_of(&plain, "GET", "/", lines), 0); /* safe methods change nothing */
    }
    struct guard_verdict verdict;
    const char *const *preflight =
        LINES("Host: localhost:8000", "Origin: https://app.example", "Access-Control-Request-Method: POST");
    check(&open, "OPTIONS", "/v1/completions", preflight, 0, &verdict);
    assert_int_equal(verdict.status, 0);
    assert_true(verdict.preflight);
    assert_string_equal(verdict.cors_origin, "https://app.example");
    check(&plain, "OPTIONS", "/v1/completions", preflight, 0, &verdict);
    assert_int_equal(verdict.status, 403);
    assert_null(verdict.cors_origin);
}

static void keys(void **state)
{
    (void)state;
    struct guard_options locked = plain;
    locked.api_key = "correct-horse";
    static const struct {
        const char *line;
        int status;
    } cases[] = {{"Authorization: Bearer correct-horse", 0},
                 {"authorization: bearer correct-horse", 0},
                 {"X-API-Key: correct-horse", 0},
                 {"Authorization: Bearer correct-hors", 401},
                 {"Authorization: Bearer correct-horse2", 401},
                 {"Authorization: Bearer correct-horsecorrect-horse", 401},
                 {"Authorization: Bearer ", 401},
                 {"Authorization: Basic correct-horse", 401},
                 {"X-API-Key: ", 401},
                 {"A: b", 401}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *const *lines = LINES("Host: localhost", cases[i].line);
        if (status_of(&locked, "GET", "/v1/models", lines) != cases[i].status)
            fail_msg("%s", cases[i].line);
        assert_int_equal(status_of(&locked, "GET", "/health", lines), 0);
        assert_int_equal(status_of(&locked, "GET", "/health?x=1", lines), 0);
        assert_int_equal(status_of(&locked, "GET", "/health/", lines), cases[i].status);
        assert_int_equal(status_of(&locked, "GET", "/h", lines), cases[i].status);
        assert_int_equal(status_of(&plain, "GET", "/v1/models", lines), 0);
    }
    assert_int_equal(status_of(&locked, "GET", "/health", LINES("Host: evil.example")), 403);
    /* the page must be there before it can ask for the key */
    static const char *const page[] = {"/",          "/?x=1",          "/chat",       "/chat?x=1",
                                       "/history/7", "/assets/a-b.js", "/models/a/b", "/assets/../api/chats"};
    static const char *const behind[] = {
        "/api/chats", "/v1/models", "/chats", "/cha", "//",       "/openapi.json", "/metrics",
        "/%63hat",    "/x/../chat", "/Chat",  "/api", "/nothing", "/chat%2F..%2F", "/assets%00"};
    const char *const *lines = LINES("Host: localhost");
    for (size_t i = 0; i < sizeof page / sizeof *page; i++) {
        assert_int_equal(status_of(&locked, "GET", page[i], lines), 0);
        assert_int_equal(status_of(&locked, "HEAD", page[i], lines), 0);
        assert_int_equal(status_of(&locked, "POST", page[i], lines), 401);
        assert_int_equal(status_of(&locked, "OPTIONS", page[i], lines), 401);
        assert_int_equal(status_of(&locked, "GET", page[i], LINES("Host: evil.example")), 403);
    }
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++)
        if (status_of(&locked, "GET", behind[i], lines) != 401)
            fail_msg("%s is open", behind[i]);
    assert_true(guard_keys_equal("abc", "abc"));
    assert_false(guard_keys_equal("abc", "abcabc"));
    assert_false(guard_keys_equal("", "abc"));
    assert_false(guard_keys_equal("abc", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(hosts),   cmocka_unit_test(heads),
                                       cmocka_unit_test(framing), cmocka_unit_test(content),
                                       cmocka_unit_test(origins), cmocka_unit_test(keys)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
