"""Who may come in: hosts, origins, keys, content types, and the headers that every answer carries."""

import re

import pytest

ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


def all_routes(server):
    for path, operations in server.get("/openapi.json").json()["paths"].items():
        for method in operations:
            yield method.upper(), re.sub(r"\{.*?\}", "x", path)


@pytest.mark.parametrize("path", ["/health", "/nothing", "/openapi.json", "/metrics"])
def test_every_answer_carries_the_headers(server, path):
    response = server.get(path)
    for name, value in ALWAYS.items():
        assert response.headers[name] == value
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert re.fullmatch("[0-9a-f]{16}", response.headers["x-request-id"])
    assert "access-control-allow-origin" not in response.headers


def test_request_ids_differ_and_are_logged(server):
    ids = {server.get("/health").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(i in server.log for i in ids)


def test_no_route_answers_a_foreign_host(server):
    """DNS rebinding: evil.example, resolved to 127.0.0.1, gets nothing, whatever it asks for."""
    for method, path in all_routes(server):
        response = server.request(method, path, headers={"Host": "evil.example"})
        assert response.status_code == 403, (method, path)
        assert response.json()["error"]["code"] == "foreign_host"


def test_no_unsafe_route_answers_a_foreign_page(server):
    for method, path in all_routes(server):
        if method == "GET":
            continue
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
            response = server.request(method, path, headers=headers)
            assert response.status_code == 403, (method, path, headers)
            assert response.json()["error"]["code"] == "foreign_origin"


def test_own_page_may(server):
    own = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert server.post("/v1/completions", {"prompt": "a", "max_tokens": 1}, headers=own).status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_forms_are_refused(server, problem, content_type):
    response = server.post("/v1/completions", content=b'{"prompt":"a"}', headers={"Content-Type": content_type})
    problem(response, 415, code="content_type")


def test_unknown_path_names_the_near_one(server, problem):
    assert "did you mean /health" in problem(server.get("/helth"), 404, code="unknown_path")["message"]


def test_wrong_method_names_the_right_ones(server, problem):
    response = server.request("DELETE", "/health")
    problem(response, 405, code="method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"
    options = server.request("OPTIONS", "/health")
    assert options.status_code == 204 and options.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"prompt":"a"} x',
        b'{"prompt":"a","prompt":"b"}',
        b'{"prompt":"\xff"}',
        b'{"prompt":NaN}',
        b'{"prompt":"a","temperature":1e400}',
        b"[" * 100000,
        b'{"prompt":' + b"[" * 70 + b"]" * 70 + b"}",
        b"\0",
    ],
)
def test_bodies_that_are_not_json(server, problem, body):
    problem(server.post("/v1/completions", content=body, headers={"Content-Type": "application/json"}), 400)


def test_cors_of_an_allowed_origin(start_server):
    server = start_server("--no-preload", "--allow-origin", "https://app.example")
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-stainless-lang",
    }
    preflight = server.request("OPTIONS", "/v1/chat/completions", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert preflight.headers["access-control-allow-headers"] == asked["Access-Control-Request-Headers"]
    response = server.get("/health", headers={"Origin": "https://app.example"})
    assert response.headers["access-control-allow-origin"] == "https://app.example"
    assert "Origin" in response.headers["vary"]
    # an error can be read by the page too
    wrong = server.post("/v1/completions", {"n": "x"}, headers={"Origin": "https://app.example"})
    assert wrong.status_code == 400 and wrong.headers["access-control-allow-origin"] == "https://app.example"
    other = server.get("/health", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
    refused = server.request("OPTIONS", "/v1/chat/completions", headers=asked | {"Origin": "https://other.example"})
    assert refused.status_code == 403 and "access-control-allow-origin" not in refused.headers


def test_allowed_host(start_server):
    server = start_server("--no-preload", "--allow-host", "llm.example")
    assert server.get("/health", headers={"Host": "llm.example"}).status_code == 200
    assert server.get("/health", headers={"Host": "llm.example:443"}).status_code == 200
    assert server.get("/health", headers={"Host": "other.example"}).status_code == 403


KEY = "a-key-nobody-must-see"


@pytest.mark.parametrize("from_file", [True, False])
def test_api_key(start_server, problem, tmp_path, from_file):
    (tmp_path / "key").write_text(KEY + "\n")
    arguments = ["--no-preload", "--api-key-file", tmp_path / "key"] if from_file else ["--no-preload"]
    server = start_server(*arguments, env={} if from_file else {"LLMIND_API_KEY": KEY})
    assert server.get("/health").status_code == 200  # open, for load balancers
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {KEY}"}, {"X-API-Key": KEY + "x"}):
        for path in ("/v1/models", "/metrics", "/openapi.json", "/api/system", "/nothing"):
            response = server.get(path, headers=headers)
            problem(response, 401, code="invalid_api_key")
            assert response.headers["www-authenticate"] == "Bearer"
    for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY}):
        assert server.get("/v1/models", headers=headers).status_code == 200
        assert KEY not in server.get("/api/settings", headers=headers).text
    server.stop()
    assert KEY not in server.log + server.output_path.read_text()


def test_other_addresses_need_a_key(start_server):
    with pytest.raises(AssertionError, match="API key is needed"):
        start_server("--no-preload", "--host", "0.0.0.0")
    server = start_server("--no-preload", "--host", "0.0.0.0", env={"LLMIND_API_KEY": KEY})
    address = f"127.0.0.1:{server.port}"
    allowed = {"Authorization": f"Bearer {KEY}"}
    assert server.get(f"http://{address}/v1/models", headers=allowed).status_code == 200
    # bound to every address, it has no name but the address that was called
    assert server.get(f"http://{address}/health", headers={"Host": "localhost"}).status_code == 403


@pytest.mark.parametrize("key", ["", "short", "has blank in it", "tab\tbed-key-here"])
def test_bad_keys_are_refused_without_showing_them(start_server, tmp_path, key):
    (tmp_path / "key").write_text(key + "\n")
    with pytest.raises(AssertionError, match="printable characters") as failure:
        start_server("--no-preload", "--api-key-file", tmp_path / "key")
    assert not key or key not in str(failure.value)


def test_json_log(start_server):
    import json

    server = start_server("--no-preload", "--log", "json")
    server.get("/health?secret=hunter2")
    server.stop()
    lines = [json.loads(line) for line in server.log.splitlines()]
    request = next(line for line in lines if line["event"] == "request")
    assert request["status"] == 200 and request["path"] == "/health" and request["method"] == "GET"
    assert "hunter2" not in server.log
