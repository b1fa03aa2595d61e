"""A stand-in for the Hugging Face hub: its API of one call, its files, and a CDN on another port to which it redirects
for large ones, as the real one does. What goes wrong is said by `fault`, a function of the request; everything that was
asked and sent is written down.
"""

import functools
import hashlib
import json
import random
import socket
import threading
import time
import urllib.parse
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE = 32 * 1024


@functools.cache
def git_hash(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@functools.cache
def sha256(data):
    return hashlib.sha256(data).hexdigest()


@dataclass
class Repository:
    files: dict
    commit: str = COMMIT
    lfs: tuple = (".safetensors", "tokenizer.json")
    revisions: tuple = ("main",)

    def is_lfs(self, name):
        return name.endswith(self.lfs)

    def listing(self):
        siblings = []
        for name, data in self.files.items():
            entry = {"rfilename": name, "size": len(data), "blobId": git_hash(data)}
            if self.is_lfs(name):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 134}
            siblings.append(entry)
        return {"id": "org/name", "sha": self.commit, "gated": False, "siblings": siblings}

    def hash(self, name):
        data = self.files[name]
        return sha256(data) if self.is_lfs(name) else git_hash(data)


@dataclass
class Request:
    """What a fault may look at, and change: the answer is made of it."""

    where: str  # "api", "hub", "cdn"
    path: str
    name: str  # of the file, "" for the API
    headers: dict
    number: int  # 1: the first of this kind and name
    data: bytes
    etag: str
    first: int = 0
    last: int = 0
    whole: bool = True  # no range was asked for, or it is ignored
    status: int = 0  # another one than 200, 206, 302
    extra: dict = field(default_factory=dict)  # headers; None takes one away
    cut: int | None = None  # so many bytes of the body, then the connection ends
    rate: float = 0  # bytes per second; 0: as fast as it goes
    location: str = ""


class Hub:
    """with Hub({"org/name": Repository(...)}) as hub: hub.url"""

    def __init__(self, repositories, fault=None, listing=None, gated=False):
        self.repositories = repositories
        self.fault = fault or (lambda request: None)
        self.listing = listing or (lambda value: value)
        self.gated = gated  # without the token "good"
        self.requests = []
        self.sent = Counter()  # bytes of bodies by (where, name)
        self.answering = 0  # requests: one whose client went away ends at its next write
        self.lock = threading.Lock()
        self.servers = [self._serve("hub"), self._serve("cdn")]
        self.url, self.cdn_url = (f"http://127.0.0.1:{server.server_port}" for server in self.servers)

    def _serve(self, where):
        hub = self

        class Handler(HubHandler):
            pass

        Handler.hub, Handler.where = hub, where
        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def env(self, cache):
        return {"HF_ENDPOINT": self.url, "HF_HUB_CACHE": str(cache), "NO_PROXY": "*", "no_proxy": "*"}

    def body_bytes(self, name):
        return sum(count for (_, of), count in self.sent.items() if of == name)

    def asked(self, where=None, name=None):
        return [r for r in self.requests if (where in (None, r.where)) and (name in (None, r.name))]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def get_request(self):
        connection, address = super().get_request()
        # what is "sent" should not lie in buffers when the other side is killed
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection, address

    def handle_error(self, *_):
        pass  # clients are killed here on purpose


class HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = where = None

    def log_message(self, *_):
        pass

    def answer(self, status, headers, body=b"", request=None):
        self.send_response_only(status)
        headers = {"Content-Length": str(len(body))} | headers
        for name, value in (headers | (request.extra if request else {})).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        view = memoryview(body)
        end = len(body) if not request or request.cut is None else min(request.cut, len(body))
        for at in range(0, end, PIECE):
            piece = view[at : min(at + PIECE, end)]
            self.wfile.write(piece)
            if request:
                with self.hub.lock:
                    self.hub.sent[request.where, request.name] += len(piece)
                if request.rate:
                    time.sleep(len(piece) / request.rate)
        if end < len(body):
            self.close_connection = True
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def note(self, where, name, data, etag):
        request = Request(where, self.path, name, {k.lower(): v for k, v in self.headers.items()}, 0, data, etag)
        with self.hub.lock:
            self.hub.requests.append(request)
            request.number = len(self.hub.asked(where, name))
        return request

    def do_GET(self):
        with self.hub.lock:
            self.hub.answering += 1
        try:
            self.serve()
        finally:
            with self.hub.lock:
                self.hub.answering -= 1

    def serve(self):
        parts = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(parts.path)
        if self.where == "cdn":
            self.file("cdn", *path.lstrip("/").rsplit("/", 1))
        elif path.startswith("/api/models/"):
            self.api(parts)
        elif "/resolve/" in path:
            repository, rest = path.lstrip("/").split("/resolve/", 1)
            self.file("hub", repository, rest.split("/", 1)[1])
        else:
            self.answer(404, {})

    def refuse(self, status, code):
        self.answer(status, {"X-Error-Code": code}, b"<html>no</html>")

    def api(self, parts):
        repository, _, revision = parts.path.removeprefix("/api/models/").partition("/revision/")
        revision = urllib.parse.unquote(revision)
        repo = self.hub.repositories.get(repository)
        request = self.note("api", "", b"", "")
        self.hub.fault(request)
        if request.status:
            return self.answer(request.status, {}, b"{}", request)
        if repo is None:
            return self.refuse(401, "RepoNotFound")
        if revision not in (*repo.revisions, repo.commit):
            return self.refuse(404, "RevisionNotFound")
        value = self.hub.listing(repo.listing())
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.answer(200, {"Content-Type": "application/json"}, body, request)

    def file(self, where, repository, name):
        repo = self.hub.repositories[repository]
        data = repo.files[name]
        request = self.note(where, name, data, f'"{repo.hash(name)}"' if where == "hub" else f'"cdn-{len(data)}"')
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        request.last = len(data) - 1
        if asked:
            first, _, last = asked.partition("-")
            request.first, request.whole = int(first), False
            request.last = min(int(last) if last else request.last, request.last)
        lfs = where == "hub" and repo.is_lfs(name)
        request.location = f"{self.hub.cdn_url}/{repository}/{urllib.parse.quote(name)}?signed=1" if lfs else ""
        self.hub.fault(request)
        if where == "hub" and self.hub.gated and self.headers.get("Authorization") != "Bearer good":
            return self.refuse(401, "GatedRepo")
        if request.status:
            return self.answer(request.status, {}, b"trouble", request)
        if request.location:
            headers = {"Location": request.location, "X-Linked-Etag": f'"{repo.hash(name)}"'}
            return self.answer(302, headers, b"", request)
        condition = self.headers.get("If-Range")
        if request.whole or (condition and condition != request.etag):
            return self.answer(200, {"ETag": request.etag, "Accept-Ranges": "bytes"}, request.data, request)
        if request.first > request.last:
            return self.answer(416, {"Content-Range": f"bytes */{len(request.data)}"})
        headers = {"ETag": request.etag}
        headers["Content-Range"] = f"bytes {request.first}-{request.last}/{len(request.data)}"
        self.answer(206, headers, request.data[request.first : request.last + 1], request)


def troubles(seed, share=0.3):
    """A fault that hits that share of the requests: cut, 5xx, 429 with Retry-After."""
    chance = random.Random(seed)
    lock = threading.Lock()

    def fault(request):
        with lock:
            hit, kind, part = chance.random() < share, chance.randrange(4), chance.random()
        if not hit:
            return
        if kind == 0:
            request.status = chance.choice((500, 502, 503, 504))
        elif kind == 1 and request.number % 5 == 0:
            request.status = 429
            request.extra["Retry-After"] = "1"
        else:
            request.cut = int(part * (request.last - request.first + 1))

    return fault
