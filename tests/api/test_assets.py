"""The web page as the program serves it: its addresses, its files in every coding, and who may have them."""

import gzip
import os
import re
import stat
import subprocess

import pytest
from conftest import BUILD, Server, finish, wait_for

DIST = BUILD / "web" / "dist"  # what was embedded
PAGES = ["/", "/chat", "/models", "/performance", "/history", "/settings"]
DEEP = ["/chat/5", "/chat/a/b/c", "/history/01J?tab=charts", "/models/org/name%20x", "/performance/x", "/settings/x"]
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src-elem": "'self'",
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'none'",
}
ICONS = ["/favicon.ico", "/favicon.svg"]  # what is asked for by those who did not read the document
FOREVER = "public, max-age=31536000, immutable"
FIRST_PAINT_BYTES = 300_000


@pytest.fixture(scope="module")
def page_server(tmp_path_factory):
    """No model: the page needs none."""
    started = Server(tmp_path_factory.mktemp("page"), "--no-preload")
    yield started
    finish(started)


def fetch(server, target, *lines, method="GET"):
    """Exactly this target and these header lines: (status, [(name, value)], body as it was sent)."""
    head = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *lines, "Connection: close"]
    with server.raw("\r\n".join(head).encode("latin-1") + b"\r\n\r\n") as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    return int(first.split()[1]), [tuple(line.split(": ", 1)) for line in rest], body


def value(headers, name):
    """Of the one header of that name; None without."""
    found = [v for n, v in headers if n.lower() == name.lower()]
    assert len(found) <= 1, (name, found)
    return found[0] if found else None


def index(server):
    status, _, body = fetch(server, "/")
    assert status == 200
    return body.decode()


def assets():
    files = sorted((DIST / "assets").iterdir())
    assert len(files) >= 3, f"{DIST} was not built?"
    return files


def largest_script():
    return max((f for f in assets() if f.suffix == ".js"), key=lambda f: f.stat().st_size)


# ---- the document ----


@pytest.mark.parametrize("path", PAGES + DEEP)
def test_every_address_of_the_page_is_the_document(page_server, path):
    status, headers, body = fetch(page_server, path, "Accept: text/html,application/xhtml+xml,*/*;q=0.8")
    assert status == 200
    assert body == (DIST / "index.html").read_bytes()
    assert value(headers, "Content-Type") == "text/html; charset=utf-8"
    assert value(headers, "Cache-Control") == "no-cache"
    assert value(headers, "X-Content-Type-Options") == "nosniff"
    assert {"Accept", "Accept-Encoding"} == set(value(headers, "Vary").split(", "))


def test_the_policy(page_server):
    for target in ("/", f"/assets/{largest_script().name}"):
        _, headers, _ = fetch(page_server, target)
        parts = [part.strip().split(" ", 1) for part in value(headers, "Content-Security-Policy").split(";")]
        assert dict(parts) == POLICY
    # what is not the page's allows nothing of its own
    assert "unsafe" not in page_server.get("/health").headers["content-security-policy"]


def test_the_document_keeps_to_the_policy(page_server):
    html = index(page_server)
    for tag in re.findall(r"<script\b[^>]*>", html):
        assert re.search(r'\bsrc="/assets/[^"]+"', tag), tag
    assert not re.search(r"<style\b|<base\b|\bon\w+=|javascript:", html, re.IGNORECASE)
    links = re.findall(r'\b(?:src|href)="([^"]+)"', html)
    assert links
    for link in links:
        assert link.startswith("/assets/"), link
        assert fetch(page_server, link)[0] == 200, link


@pytest.mark.parametrize("path", ICONS)
def test_the_icon_has_the_names_that_browsers_know(page_server, path):
    (icon,) = [file for file in assets() if file.name.startswith("favicon-")]
    status, headers, body = fetch(page_server, path)
    assert (status, body) == (200, icon.read_bytes())
    assert value(headers, "Content-Type") == "image/svg+xml"
    assert value(headers, "Cache-Control") == "no-cache"  # the name does not change with the drawing
    assert fetch(page_server, path, f"If-None-Match: {value(headers, 'ETag')}")[0] == 304


def test_what_the_document_names_is_small(page_server):
    """Document, scripts, preloads and styles, as a browser gets them. What the first view adds: tests/browser."""
    named = ["/", *re.findall(r'<(?:script|link)\b[^>]*\b(?:src|href)="([^"]+)"', index(page_server))]
    sizes = {name: len(fetch(page_server, name, "Accept-Encoding: gzip")[2]) for name in named}
    assert sum(sizes.values()) <= FIRST_PAINT_BYTES, sizes


def test_clients_of_the_api_do_not_get_the_page(page_server, problem):
    """An OpenAI client whose base URL lacks the /v1."""
    response = page_server.get("/models", headers={"Accept": "application/json"})
    assert "/v1" in problem(response, 404, code="unknown_path")["message"]
    assert page_server.get("/models", headers={"Accept": "*/*"}).status_code == 200
    response = page_server.post("/chat/completions", {"messages": []})
    assert "did you mean /v1/chat/completions" in problem(response, 404, code="unknown_path")["message"]


@pytest.mark.parametrize(
    "method, path, status",
    [
        ("GET", "/api/nothing", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/nothing", 404),
        ("GET", "/index.html", 404),
        ("GET", "/favicon.png", 404),
        ("POST", "/favicon.ico", 404),
        ("GET", "/chat/", 404),
        ("GET", "/chats", 404),
        ("GET", "/CHAT", 404),
        ("POST", "/", 404),
        ("POST", "/history/7", 404),
        ("PUT", "/assets/x.js", 404),
        ("DELETE", "/chat", 404),
        ("POST", "/health", 405),
        ("PUT", "/api/chats", 405),
        ("GET", "/v1/chat/completions", 405),
    ],
)
def test_everything_else_is_as_it_was(page_server, problem, method, path, status):
    problem(page_server.request(method, path), status)


def test_no_address_of_the_page_is_described_as_api(page_server):
    paths = page_server.get("/openapi.json").json()["paths"]
    first_parts = {"/" + path.split("/")[1] for path in [*PAGES, *ICONS, "/assets"]}
    assert not [path for path in paths if "/" + path.split("/")[1] in first_parts]


# ---- files ----


def brotli_decoded(folder):
    """Python has no brotli; Node has, and it builds the page anyway."""
    program = """
        const fs = require('fs'), zlib = require('zlib'), folder = process.argv[1];
        for (const name of fs.readdirSync(folder))
            fs.writeFileSync(`${folder}/${name}`, zlib.brotliDecompressSync(fs.readFileSync(`${folder}/${name}`)));
    """
    subprocess.run(["node", "-e", program, str(folder)], check=True)


TYPES = {
    ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
    ".png": "image/png", ".woff2": "font/woff2", ".json": "application/json",
}  # fmt: skip


def test_every_file_in_every_coding(page_server, tmp_path):
    compressed = 0
    for file in assets():
        plain, path = file.read_bytes(), f"/assets/{file.name}"
        tags = set()
        for wish, coding in (("identity", None), ("gzip", "gzip"), ("br", "br")):
            status, headers, body = fetch(page_server, path, f"Accept-Encoding: {wish}")
            assert status == 200
            assert value(headers, "Content-Type") == TYPES[file.suffix]
            assert value(headers, "Cache-Control") == FOREVER
            assert value(headers, "Vary") == "Accept-Encoding"
            assert int(value(headers, "Content-Length")) == len(body)
            if value(headers, "Content-Encoding") is None:  # identity, or compressing saves nothing
                assert body == plain
            else:
                assert value(headers, "Content-Encoding") == coding
                assert len(body) < len(plain)
                compressed += 1
                if coding == "gzip":
                    assert gzip.decompress(body) == plain
                else:
                    (tmp_path / file.name).write_bytes(body)
            if file.suffix in (".js", ".css") and len(plain) > 1000:
                assert value(headers, "Content-Encoding") == coding, path
            tags.add((value(headers, "ETag"), value(headers, "Content-Encoding")))
        assert len({tag for tag, _ in tags}) == len(tags) and all(re.fullmatch(r'"[0-9a-f]{16}(-br|-gz)?"', t) for t, _ in tags)
    assert compressed >= 4
    brotli_decoded(tmp_path)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (DIST / "assets" / file.name).read_bytes()


def test_head_is_get_without_the_body(page_server):
    for target in ("/", "/history/7", f"/assets/{largest_script().name}"):
        for wish in ("identity", "gzip", "br"):
            got = fetch(page_server, target, f"Accept-Encoding: {wish}")
            head = fetch(page_server, target, f"Accept-Encoding: {wish}", method="HEAD")
            changing = ("Date", "X-Request-Id")
            assert head[0] == 200 and head[2] == b""
            assert [h for h in head[1] if h[0] not in changing] == [h for h in got[1] if h[0] not in changing]


def test_ranges_are_not_offered(page_server):
    file = largest_script()
    status, _, body = fetch(page_server, f"/assets/{file.name}", "Range: bytes=0-9")
    assert status == 200 and body == file.read_bytes()


@pytest.mark.parametrize(
    "wish, coding",
    [
        (None, None),
        ("", None),
        ("br", "br"),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, deflate", "gzip"),
        ("GZIP;q=0.8 , Br;q=0.1", "gzip"),
        ("*", "br"),
        ("br;q=0, *", "gzip"),
        ("identity, gzip;q=0.9", None),
        ("identity;q=0, gzip", "gzip"),
        ("gzip;q=0, br;q=0.0", None),
        ("zstd", None),
        ("gzip;q=2, br;q=x", None),
        ("," * 2000 + "gzip", "gzip"),
        ("gzip" * 2000, None),
        ("x, " * 2000 + "br;q=0.001", "br"),
    ],
)
def test_accept_encoding(page_server, wish, coding):
    lines = [] if wish is None else [f"Accept-Encoding: {wish}"]
    status, headers, _ = fetch(page_server, f"/assets/{largest_script().name}", *lines)
    assert (status, value(headers, "Content-Encoding")) == (200, coding)


@pytest.mark.parametrize("wish", ["identity;q=0", "*;q=0", "*;q=0, zstd"])
def test_nothing_is_acceptable(page_server, wish):
    status, headers, body = fetch(page_server, "/", f"Accept-Encoding: {wish}")
    assert status == 406 and b"Accept-Encoding" in body
    assert "Accept-Encoding" in value(headers, "Vary")
    assert value(headers, "Content-Encoding") is None and value(headers, "Cache-Control") == "no-store"


def test_not_modified(page_server):
    for target in ("/", "/chat/5", f"/assets/{largest_script().name}"):
        for wish in ("identity", "gzip", "br"):
            encoding = f"Accept-Encoding: {wish}"
            _, full, _ = fetch(page_server, target, encoding)
            tag = value(full, "ETag")
            for known in (tag, f"W/{tag}", f'"x", {tag}', f'"x,y",{tag},"z"', f'W/"x" , W/{tag}', "*", f", {tag}"):
                status, headers, body = fetch(page_server, target, encoding, f"If-None-Match: {known}")
                assert (status, body) == (304, b""), known
                for name in ("ETag", "Cache-Control", "Vary", "Content-Security-Policy"):
                    assert value(headers, name) == value(full, name)
                assert value(headers, "Content-Length") in (None, value(full, "Content-Length"))
            for other in ('"x"', tag.strip('"'), tag[:-1], f"x, {tag}", '""', "", "W/", tag.upper(), f"{tag}*"[1:]):
                status, _, body = fetch(page_server, target, encoding, f"If-None-Match: {other}")
                assert status == 200 and body, other


def test_another_coding_is_another_file(page_server):
    _, headers, _ = fetch(page_server, "/", "Accept-Encoding: gzip")
    status, headers, _ = fetch(page_server, "/", "Accept-Encoding: br", f"If-None-Match: {value(headers, 'ETag')}")
    assert status == 200 and value(headers, "Content-Encoding") == "br"


def test_a_connection_goes_on_after_304(page_server):
    """A 304 announces a length and has no body: what follows is the next answer."""
    tag = page_server.get("/", headers={"Accept-Encoding": "br"}).headers["etag"]
    host = f"Host: 127.0.0.1:{page_server.port}\r\n"
    asked = f"GET / HTTP/1.1\r\n{host}Accept-Encoding: br\r\nIf-None-Match: {tag}\r\n\r\n"
    last = f"GET /health HTTP/1.1\r\n{host}Connection: close\r\n\r\n"
    with page_server.raw((asked * 3 + last).encode()) as connection:
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answer) == [b"304"] * 3 + [b"200"]
    assert answer.endswith(b"}")


# ---- hostile paths ----


@pytest.mark.parametrize(
    "target",
    [
        "/assets/../../etc/passwd",
        "/assets/../index.html",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2fetc%2fpasswd",
        "/assets/..%5c..%5cetc",
        "/assets/..\\..\\etc",
        "/assets/%252e%252e/index.html",
        "/assets//etc/passwd",
        "/assets/./",
        "/assets/",
        "/assets",
        "/assets/.",
        "/assets/..",
        "/assets/index",
        "/assets/%20",
        "/assets/%F0%9F%94%AC.js",
        "/assets/%25s%25n",
        "/assets/" + "a" * 8000,
        "/assets/" + "../" * 2000 + "etc/passwd",
        "/%2e%2e/assets/x",
        "/assets/NAME/",
        "/assets/NAME/x",
        "/assets/NAMEx",
        "/assets/./NAME",
        "/assets/x/../NAME",
        "/assets//NAME",
        "//assets/NAME",
        "/ASSETS/NAME",
        "/./assets/NAME",
    ],
)
def test_paths_that_lead_nowhere(page_server, target):
    target = target.replace("NAME", largest_script().name)
    status, headers, body = fetch(page_server, target)
    assert status == 404
    assert value(headers, "Content-Type") == "application/json" and b'"unknown_path"' in body
    assert value(headers, "Cache-Control") == "no-store"
    assert b"root:" not in body


@pytest.mark.parametrize("target", ["/assets/%00", "/assets/NAME%00.js", "/chat/%00", "/assets/%", "/assets/%zz", "/assets/%FF"])
def test_paths_that_are_none(page_server, target):
    status, _, body = fetch(page_server, target.replace("NAME", largest_script().name))
    assert status == 400 and b'"error"' in body


def test_a_path_longer_than_any(page_server):
    with page_server.raw(b"GET /assets/" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        try:
            answer = connection.recv(65536)
        except ConnectionError:
            answer = b""
    assert answer == b"" or re.match(rb"HTTP/1\.1 (400|413|414|431) ", answer), answer[:100]
    assert page_server.get("/").status_code == 200


def test_percent_encoding_changes_no_name(page_server):
    file = largest_script()
    encoded = f"/assets/%{ord(file.name[0]):02x}{file.name[1:]}"
    status, _, body = fetch(page_server, encoded)
    assert status == 200 and body == file.read_bytes()


# ---- who may ----


def test_the_page_needs_no_key_and_the_api_does(start_server, problem):
    server = start_server("--no-preload", env={"LLMIND_API_KEY": "a-key-nobody-must-see"})
    for path in [*PAGES, "/history/7", f"/assets/{largest_script().name}"]:
        assert server.get(path).status_code == 200, path
        assert server.request("HEAD", path).status_code == 200, path
        problem(server.request("POST", path), 401)
    described = server.get("/openapi.json", headers={"X-API-Key": "a-key-nobody-must-see"}).json()["paths"]
    closed = [re.sub(r"\{.*?\}", "x", path) for path in described if path != "/health"]
    for path in [*closed, "/openapi.json", "/api", "/v1", "/nothing", "//", "/assets/../api/settings", "/chat%2f..%2fapi"]:
        status, _, body = fetch(server, path)
        if path.startswith("/assets/"):  # not a path of the API, however it is read
            assert status == 404
        else:
            assert status == 401 and b"invalid_api_key" in body, path


def test_the_host_is_checked_for_the_page_too(page_server, problem):
    for path in [*PAGES, "/history/7", f"/assets/{largest_script().name}"]:
        response = page_server.get(path, headers={"Host": "evil.example"})
        problem(response, 403, code="foreign_host")


def test_the_page_is_not_for_other_origins(page_server):
    response = page_server.get("/", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["x-frame-options"] == "DENY"


# ---- the address, and --open ----


def test_the_greeting_begins_with_the_address(start_server):
    server = start_server("--no-preload")
    assert f"open {server.url} in a browser" in server.output_path.read_text().splitlines()[0]


def test_the_address_works_when_all_are_listened_on(start_server):
    server = start_server("--no-preload", "--host", "0.0.0.0", env={"LLMIND_API_KEY": "a-key-nobody-must-see"})
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert server.get("/").status_code == 200
    assert "a-key-nobody-must-see" not in server.output_path.read_text()


def opener(folder, script):
    """A folder whose xdg-open (on macOS: open) is this shell script."""
    for name in ("xdg-open", "open"):
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(folder)


def test_open(start_server, tmp_path):
    seen = tmp_path / "seen"
    script = f'echo "$#:$1" >{seen}.part; ls -l /proc/$$/fd 2>/dev/null | grep -c socket >>{seen}.part; mv {seen}.part {seen}'
    server = start_server("--no-preload", "--open", env={"PATH": opener(tmp_path, script) + ":/usr/bin:/bin"})
    wait_for(seen.exists, "the opener")
    assert seen.read_text().split() == [f"1:{server.url}", "0"]  # the address alone, and none of our sockets
    assert "browser not opened" not in server.log


def test_no_opener_is_a_warning(start_server, tmp_path):
    server = start_server("--no-preload", "--open", env={"PATH": str(tmp_path)})
    wait_for(lambda: "browser not opened" in server.log, "a warning")
    assert server.get("/").status_code == 200


def test_an_opener_that_fails_is_a_warning(start_server, tmp_path):
    server = start_server("--no-preload", "--open", env={"PATH": opener(tmp_path, "exit 3")})
    wait_for(lambda: "browser not opened" in server.log and "exit code 3" in server.log, "a warning")
    assert server.get("/").status_code == 200


def test_an_opener_that_stays_keeps_nobody(start_server, tmp_path):
    """It may be the browser itself: the server neither waits for it nor takes it along."""
    came, left = tmp_path / "came", tmp_path / "left"
    script = f"echo $$ >{came}.part; /bin/mv {came}.part {came}; /bin/sleep 3; echo >{left}"
    server = start_server("--no-preload", "--open", env={"PATH": opener(tmp_path, script)})
    wait_for(came.exists, "the opener")
    pid = int(came.read_text())
    assert os.getpgid(pid) == pid  # Ctrl-C in the server's terminal does not reach it
    assert server.stop(seconds=10) == 0
    assert not left.exists()
    wait_for(left.exists, "the opener that outlives the server")
