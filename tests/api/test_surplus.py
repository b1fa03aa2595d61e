"""Requests beyond the queue, which are answered before the HTTP library sees their connection (src/http/acceptor.h).

They must be what the library's own refusals are, and nothing may slip past the guard that way.
"""

import json
import time

import pytest
from conftest import wait_for

LONG = {"messages": [{"role": "user", "content": "Tell me a long story."}], "stream": True, "max_tokens": 1800}
LONG |= {"temperature": 0, "ignore_eos": True}
PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/chat/completions?a=b"]


def request(server, path="/v1/chat/completions", body=b'{"messages":[{"role":"user","content":"x"}]}', host=None, extra=b""):
    host = host or f"127.0.0.1:{server.port}"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + extra + b"\r\n" + body


def answer(connection):
    """Status, headers and body of a reply after which the server closes."""
    received = b""
    while part := connection.recv(65536):
        received += part
    connection.close()
    head, _, body = received.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:])}, body


@pytest.fixture
def full(start_server):
    """A server whose one place is taken, and whose queue of one is full."""
    server = start_server("--max-sequences", "1", "--queue", "1")
    first = server.raw(request(server, body=json.dumps(LONG).encode()))
    wait_for(lambda: server.metric("llmind_active_sequences") == 1, "the first to be served")
    second = server.raw(request(server, body=json.dumps(LONG).encode()))
    wait_for(lambda: server.metric("llmind_queue_depth") == 1, "the second to wait")
    yield server
    for connection in (first, second):
        connection.close()


def test_the_surplus_is_refused_as_anywhere_else(full):
    elsewhere = full.get("/v1/models/there-is-none").headers
    for path in PATHS:
        status, headers, body = answer(full.raw(request(full, path)))
        error = json.loads(body)["error"]
        assert (status, error["type"], error["code"]) == (429, "rate_limit_error", "queue_full"), (path, error)
        assert "queue is full" in error["message"]
        assert int(headers["retry-after"]) >= 1 and headers["connection"] == "close"
        assert set(elsewhere) - {"date", "connection"} <= set(headers), set(elsewhere) - set(headers)
        assert headers["content-length"] == str(len(body))
    # counted once it is sent, so a moment after the client has it
    wait_for(lambda: full.metric("llmind_http_requests_total", code="429") == len(PATHS), "all to be counted")
    assert f'path={PATHS[0]} status=429' in full.log


def test_all_other_routes_are_served_meanwhile(full):
    assert full.get("/health").status_code == 200
    assert full.get("/v1/models").status_code == 200
    assert full.post("/api/chats", {"title": "a"}).status_code == 201
    assert answer(full.raw(request(full, "/v1/nothing", extra=b"Connection: close\r\n")))[0] == 404


def test_the_guard_comes_first(full):
    assert answer(full.raw(request(full, host="evil.example")))[0] in (403, 421)
    assert answer(full.raw(request(full, extra=b"Origin: http://evil.example\r\n")))[0] == 403
    assert answer(full.raw(request(full, extra=b"Content-Length: 3\r\n")))[0] == 400
    assert answer(full.raw(request(full, extra=b"Transfer-Encoding: chunked\r\n")))[0] == 400


def test_what_comes_in_pieces_or_is_large_is_refused_too(full):
    large = json.dumps({"messages": [{"role": "user", "content": "word " * 30000}]}).encode()
    status, headers, _ = answer(full.raw(request(full, body=large, extra=b"Connection: close\r\n")))
    assert status == 429 and "retry-after" in headers
    whole = request(full, extra=b"Connection: close\r\n")
    for cut in (3, 30, len(whole) - 5):
        connection = full.raw(whole[:cut])
        time.sleep(0.4)
        connection.sendall(whole[cut:])
        assert answer(connection)[0] == 429, cut


def test_two_requests_at_once_are_two(full):
    """Pipelined: not answered before the library, which takes them one after the other."""
    status, _, body = answer(full.raw(request(full) + request(full, "/v1/models", b"", extra=b"Connection: close\r\n")))
    assert status == 429 and body.count(b"HTTP/1.1 ") == 1


def test_room_is_room_again(start_server):
    server = start_server("--max-sequences", "1", "--queue", "1")
    for _ in range(20):  # more than the queue holds: each must give its place back
        connection = server.raw(request(server, body=json.dumps(LONG).encode()))
        assert connection.recv(12) == b"HTTP/1.1 200"
        wait_for(lambda: server.metric("llmind_active_sequences") == 1, "it to be seen")
        connection.close()
        wait_for(lambda: server.metric("llmind_active_sequences") == 0, "it to be freed")
    for _ in range(5):  # connections that never send a request count for nothing
        server.raw().close()
    small = dict(LONG, max_tokens=1, stream=False)
    assert server.post("/v1/chat/completions", small).status_code == 200


def test_a_silent_connection_is_not_lost(server):
    connection = server.raw()
    time.sleep(0.6)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer(connection)[0] == 200
