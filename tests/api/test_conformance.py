"""HTTP on the wire: what the server does with requests no client library would send.

Each case is bytes, the statuses of all responses that come back (so that two requests out of one show), and whether
the server closes the connection by itself. The same table, with reasons, is docs/http-conformance.md.
"""

import concurrent.futures
import re
import signal
import socket
import struct
import time

import pytest

from conftest import Server, finish, wait_for

HOST = b"Host: localhost\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HOST
POST = b"POST /v1/completions HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = GET + b"\r\n"  # a pipelined request: answered 200 where it is read as one
SMUGGLED = b"GET /api/system HTTP/1.1\r\n" + HOST + b"\r\n"


def length(n, body=b"{}"):
    return POST + b"Content-Length: " + n + b"\r\n\r\n" + body


OPEN, CLOSED = False, True
CASES = {
    # the length of the body: never two readings of it
    "two content-lengths": (POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", [400], CLOSED),
    "content-lengths differ": (POST + b"Content-Length: 2\r\nContent-Length: 40\r\n\r\n{}" + SMUGGLED, [400], CLOSED),
    "content-lengths differ 2": (POST + b"Content-Length: 40\r\nContent-Length: 2\r\n\r\n{}" + SMUGGLED, [400], CLOSED),
    # (the library refuses these before we see them, and writes its answer twice: no request is run)
    "length list": (length(b"2, 2"), [400, 400], CLOSED),
    "length +2": (length(b"+2"), [400, 400], CLOSED),
    "length -2": (length(b"-2"), [400, 400], CLOSED),
    "length 0x2": (length(b"0x2"), [400, 400], CLOSED),
    "length 2x": (length(b"2x"), [400, 400], CLOSED),
    "length empty": (length(b""), [400, 400], CLOSED),
    "length overflows": (length(b"99999999999999999999999"), [413, 413], CLOSED),
    "length 2x and a request": (length(b"2x", SMUGGLED), [400, 400], CLOSED),
    "length with blank before colon": (POST + b"Content-Length : 2\r\n\r\n{}" + SMUGGLED, [400], CLOSED),
    "length and chunked": (
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        [400],
        CLOSED,
    ),
    "chunked and length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + SMUGGLED,
        [400],
        CLOSED,
    ),
    "chunked twice": (POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "gzip, chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", [501], CLOSED),
    "xchunked": (POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, [501], CLOSED),
    "control before chunked": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "chunked in HTTP/1.0": (
        CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n" + SMUGGLED,
        [400],
        CLOSED,
    ),
    # chunks
    "chunked": (CHUNKED + b'2\r\n{"\r\n3\r\nn":\r\n3\r\n-1}\r\n0\r\n\r\n', [400], OPEN),
    "chunk extension": (CHUNKED + b"1;a=b\r\n{\r\n0\r\n\r\n", [400], OPEN),
    "chunk trailers are not headers": (CHUNKED + b"1\r\n{\r\n0\r\nHost: evil\r\nX: 1\r\n\r\n" + NEXT, [400, 200], OPEN),
    "chunk size xyz": (CHUNKED + b"xyz\r\n{}\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "chunk size -1": (CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "chunk size +2": (CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "chunk size 0x2": (CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "chunk size with blank": (CHUNKED + b" 2\r\n{}\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "chunk size overflows": (CHUNKED + b"10000000000000002\r\n{}\r\n0\r\n\r\n" + SMUGGLED, [413], CLOSED),
    "chunk longer than it says": (CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n" + SMUGGLED, [400], CLOSED),
    "after the last chunk": (CHUNKED + b"1\r\n{\r\n0\r\n\r\n" + NEXT, [400, 200], OPEN),
    # the target
    "absolute form": (b"GET http://evil.example/health HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT, [400], CLOSED),
    "absolute form of ourselves": (b"GET http://localhost/health HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "authority form": (b"CONNECT evil.example:80 HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "blank in the target": (b"GET /health x HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "bytes above ASCII": (b"GET /\xc3\xa4 HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "fragment": (b"GET /health#x HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "%00": (b"GET /health%00 HTTP/1.1\r\n" + HOST + b"\r\n", [400], OPEN),
    "%zz": (b"GET /health?x=%zz HTTP/1.1\r\n" + HOST + b"\r\n", [400], OPEN),
    "%FF": (b"GET /%FF HTTP/1.1\r\n" + HOST + b"\r\n", [400], OPEN),
    # Host
    "no host": (b"GET /health HTTP/1.1\r\n\r\n" + NEXT, [400], CLOSED),
    "two hosts": (b"GET /health HTTP/1.1\r\n" + HOST + HOST + b"\r\n" + NEXT, [400], CLOSED),
    "foreign host": (b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n" + NEXT, [403], CLOSED),
    "foreign port": (b"GET /health HTTP/1.1\r\nHost: localhost:1\r\n\r\n" + NEXT, [403], CLOSED),
    "empty host": (b"GET /health HTTP/1.1\r\nHost: \r\n\r\n" + NEXT, [403], CLOSED),
    # the form of the head
    "folded header": (GET + b"X-A: 1\r\n 2\r\n\r\n", [400], CLOSED),
    "folded first header": (b"GET /health HTTP/1.1\r\n X: y\r\n" + HOST + b"\r\n", [400], CLOSED),
    "bare LF": (b"GET /health HTTP/1.1\nHost: localhost\n\n", [400], CLOSED),
    "bare CR in a value": (GET + b"X-A: a\rX-B: b\r\n\r\n", [400], CLOSED),
    "NUL in a value": (GET + b"X-A: a\0b\r\n\r\n", [400], CLOSED),
    "NUL in host": (b"GET /health HTTP/1.1\r\nHost: localhost\0.evil.example\r\n\r\n", [400], CLOSED),
    "NUL in a name": (GET + b"X\0A: ab\r\n\r\n", [400], CLOSED),
    "NUL in the target": (b"GET /health\0x HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "NUL in the method": (b"GE\0T /health HTTP/1.1\r\n" + HOST + b"\r\n", [400], CLOSED),
    "header without colon": (GET + b"garbage\r\n\r\n", [400], CLOSED),
    "header without name": (GET + b": x\r\n\r\n", [400], CLOSED),
    "blank in a name": (GET + b"X A: x\r\n\r\n", [400], CLOSED),
    "empty lines before": (b"\r\n\r\n" + NEXT, [200], OPEN),
    "tabs in the request line": (b"GET\t/health\tHTTP/1.1\r\n" + HOST + b"\r\n", [], CLOSED),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", [], CLOSED),
    # versions and methods
    "HTTP/0.9": (b"GET /health\r\n\r\n", [400], CLOSED),
    "HTTP/1.0": (b"GET /health HTTP/1.0\r\n" + HOST + b"\r\n", [200], CLOSED),
    "HTTP/1.0 without host": (b"GET /health HTTP/1.0\r\n\r\n", [400], CLOSED),
    "HTTP/1.9": (b"GET /health HTTP/1.9\r\n" + HOST + b"\r\n", [505], CLOSED),
    "HTTP/2.0": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505], CLOSED),
    "unknown method": (b"BREW /health HTTP/1.1\r\n" + HOST + b"\r\n", [405], OPEN),
    "HEAD and another": (b"HEAD /health HTTP/1.1\r\n" + HOST + b"\r\n" + NEXT, [200, 200], OPEN),
    "upgrade is not taken": (GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", [200], OPEN),
    "h2c is not taken": (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", [200], OPEN),
    "unknown expectation": (POST + b"Expect: magic\r\nContent-Length: 2\r\n\r\n{}", [417], CLOSED),
    # sizes
    "long request line": (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", [414], CLOSED),
    "long header": (GET + b"X: " + b"a" * 40000 + b"\r\n\r\n", [431], CLOSED),
    "many headers": (GET + b"".join(b"X%d: a\r\n" % i for i in range(5000)) + b"\r\n", [431], CLOSED),
    "length above the limit": (length(b"99999999", b"x" * 200000), [413], CLOSED),
    # pipelining
    "two requests": (NEXT + NEXT, [200, 200], OPEN),
    "after a body": (length(b"1", b"{") + NEXT, [400, 200], OPEN),
    "GET with a body": (GET + b"Content-Length: 3\r\n\r\nabc" + NEXT, [200, 200], OPEN),
    "body that looks like a request": (
        b"POST /v1/completions HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % len(NEXT) + NEXT,
        [415],
        CLOSED,
    ),
    "after a refusal": (b"POST /health HTTP/1.1\r\n" + HOST + b"Origin: null\r\n\r\n" + NEXT, [403], CLOSED),
}


def read_all(connection, quiet_s):
    """What comes until the server closes, or is quiet for a while: (bytes, closed)."""
    received = b""
    connection.settimeout(quiet_s)
    while True:
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            return received, False
        except ConnectionResetError:
            return received, True
        if not piece:
            return received, True
        received += piece


def statuses(received):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


@pytest.mark.parametrize("name", CASES)
def test_on_the_wire(server, name):
    data, expected, closed = CASES[name]
    with server.raw() as connection:
        try:
            connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # answered and closed before it had all
        received, was_closed = read_all(connection, 30 if closed else 0.4)
    got = [s for s in statuses(received) if s != 100]
    assert got == expected, received[:2000]
    assert was_closed == closed, received[:2000]
    # whatever it was, the server is well
    assert server.get("/health").status_code == 200


def test_body_of_an_error_is_json_with_all_headers(server):
    with server.raw(b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n") as connection:
        received, _ = read_all(connection, 30)
    head, _, body = received.partition(b"\r\n\r\n")
    assert body.startswith(b'{"error":{"message":')
    for line in (b"X-Content-Type-Options: nosniff", b"X-Request-Id: ", b"Connection: close", b"Content-Security-Policy"):
        assert line in head


def test_expect_continue_is_answered_before_the_body(server):
    with server.raw(POST + b"Expect: 100-continue\r\nContent-Length: 1\r\n\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"{")
        received, _ = read_all(connection, 0.4)
    assert statuses(received) == [400]


def test_expect_continue_is_refused_without_reading(server):
    head = POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
    with server.raw(head) as connection:
        received, closed = read_all(connection, 30)
    assert statuses(received) == [413] and closed


def test_too_long_chunked_body_gets_413(server):
    """Longer than what settings take (1 MiB), while the client still sends."""
    head = b"PUT /api/settings HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    with server.raw(head) as connection:
        try:
            for _ in range(40):
                connection.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received, closed = read_all(connection, 30)
    assert statuses(received) == [413] and closed


def test_head_has_no_body(server):
    with server.raw(b"HEAD /openapi.json HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n") as connection:
        received, closed = read_all(connection, 30)
    assert closed and received.endswith(b"\r\n\r\n") and statuses(received) == [200]
    assert int(re.search(rb"Content-Length: (\d+)", received)[1]) > 1000


def test_stream_to_http_1_0_has_no_chunks(server):
    body = b'{"prompt":"a","stream":true,"max_tokens":3}'
    head = POST.replace(b"HTTP/1.1", b"HTTP/1.0") + b"Content-Length: %d\r\n\r\n" % len(body)
    with server.raw(head + body) as connection:
        received, closed = read_all(connection, 60)
    assert closed and b"chunked" not in received
    assert received.endswith(b"data: [DONE]\n\n")


def byte_by_byte(connection, data, pause_s, seconds):
    """Sends slowly; returns after how many seconds the server cut, or None."""
    start = time.monotonic()
    connection.settimeout(0.001)
    for i in range(len(data)):
        if time.monotonic() - start > seconds:
            return None
        try:
            connection.sendall(data[i : i + 1])
            if connection.recv(1) == b"":
                return time.monotonic() - start
        except TimeoutError:
            pass
        except OSError:
            return time.monotonic() - start
        time.sleep(pause_s)
    return None


@pytest.fixture(scope="module", autouse=True)
def slow_head(tmp_path_factory):
    """A server of its own, and after how many seconds it cut a client that sends a byte of its head now and then. That takes
    20 s, in which the other tests of this module run."""
    server = Server(tmp_path_factory.mktemp("slow"), "--no-preload")
    with concurrent.futures.ThreadPoolExecutor(1) as pool, server.raw() as slow:
        yield server, pool.submit(byte_by_byte, slow, GET + b"X-Long: " + b"a" * 1000, 0.25, 60)
    finish(server)


@pytest.mark.parametrize("way", ["close", "reset", "half-close"])
def test_client_that_leaves_ends_its_stream(server, way):
    """A stream that would last for ever (the clock of /api/performance): its thread ends when its client does."""
    threads = lambda: len(list((server.folder / f"/proc/{server.pid}/task").iterdir()))  # noqa: E731
    server.get("/health")
    time.sleep(0.3)
    before = threads()
    connection = server.raw(b"GET /api/performance/stream HTTP/1.1\r\n" + HOST + b"\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    wait_for(lambda: threads() > before, "the connection's thread")
    if way == "half-close":
        connection.shutdown(socket.SHUT_WR)
        received, _ = read_all(connection, 10)
        assert received.endswith(b"0\r\n\r\n")  # it was ended properly
    elif way == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    wait_for(lambda: threads() <= before, "the thread to end", 20)


def test_reader_of_one_byte_a_second_is_cut(start_server):
    """10 s after its first byte was left lying; the events of 128 answers are more than the buffers hold."""
    server = start_server()
    body = b'{"prompt":["a","b","c","d","e","f","g","h"],"n":16,"stream":true,"max_tokens":400}'
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", server.port))
    slow.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert slow.recv(12) == b"HTTP/1.1 200"
    start = time.monotonic()
    while "slow reader" not in server.log:
        assert time.monotonic() - start < 60
        slow.settimeout(5)
        try:
            slow.recv(1)
        except OSError:
            pass
        time.sleep(1)
    assert time.monotonic() - start > 8
    wait_for(lambda: server.metric("llmind_active_sequences") == 0, "its sequences to end", 10)
    slow.close()


def test_idle_connections_do_not_keep_others_out(server):
    idle = [server.raw() for _ in range(200)]
    start = time.monotonic()
    assert server.get("/health").status_code == 200
    assert time.monotonic() - start < 5
    for connection in idle:
        connection.close()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_it_while_streams_run(start_server, sign):
    server = start_server()
    connection = server.raw(b"GET /api/performance/stream HTTP/1.1\r\n" + HOST + b"\r\n")
    assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    start = time.monotonic()
    assert server.stop(sign) == 0
    assert time.monotonic() - start < 30
    received, closed = read_all(connection, 5)
    assert closed
    connection.close()


def test_port_that_is_taken(start_server):
    server = start_server("--no-preload")
    with pytest.raises(AssertionError, match=f"port {server.port} is taken"):
        start_server("--port", server.port)


def test_slow_head_is_cut_while_others_are_served(slow_head):
    """A byte now and then does not keep a connection: the head has 20 s."""
    server, cut = slow_head
    assert server.get("/health").status_code == 200
    after = cut.result()
    assert after is not None and 15 < after < 45, after
    assert server.get("/health").status_code == 200
