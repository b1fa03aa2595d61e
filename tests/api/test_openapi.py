"""/openapi.json: whole, and true: what it lists exists, and answers have the shapes it says."""

import json
import pathlib
import re
import subprocess
import sys

import jsonschema
import pytest

NEED_A_QUERY = {"/api/profiling/diff"}
ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def document(server):
    return server.get("/openapi.json").json()


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_form(document):
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "LLMind"
    ids = [o["operationId"] for _, _, o in operations(document)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(document):
        assert operation["summary"], path
        named = re.findall(r"\{(\w+)\}", path)
        assert [p["name"] for p in operation["parameters"]] == named
        assert ("requestBody" in operation) <= (method in ("post", "put", "patch")), (path, method)


def test_every_reference_leads_somewhere(document):
    for name in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document)):
        assert name in document["components"]["schemas"], name


def test_every_schema_is_a_schema(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_embedded_schemas_are_those_of_docs(document):
    file = json.loads((ROOT / "docs" / "openapi_schemas.json").read_text())
    assert document["components"]["schemas"] == file["schemas"]


def test_the_page_has_the_types_of_this_api(server):
    command = [sys.executable, ROOT / "scripts" / "web_types", "--check", "--server", server.url]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_is_listed_exists(server, document):
    """Asking with a method that no route has: 405 where there is a path, 404 where there is none."""
    for path in document["paths"]:
        there = server.request("BREW", re.sub(r"\{.*?\}", "x", path))
        assert there.status_code == 405, path
        assert {m.upper() for m in document["paths"][path]} <= set(there.headers["allow"].split(", "))


def validator(document, name):
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema)


def schema_name(operation):
    content = operation["responses"].get("200", {}).get("content", {})
    reference = content.get("application/json", {}).get("schema", {}).get("$ref")
    return reference and reference.rsplit("/", 1)[1]


def test_answers_have_their_shapes(server, document):
    checked = 0
    for path, method, operation in operations(document):
        name = schema_name(operation)
        if method != "get" or "{" in path or not name or path in NEED_A_QUERY:
            continue
        response = server.get(path)
        assert response.status_code == 200, (path, response.text)
        validator(document, name).validate(response.json())
        checked += 1
    assert checked >= 5


def test_completions_have_their_shapes(server, document):
    asked = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "logprobs": True, "top_logprobs": 2}
    validator(document, "ChatCompletionRequest").validate(asked)
    validator(document, "ChatCompletion").validate(server.post("/v1/chat/completions", asked).json())
    asked = {"prompt": "Hi", "max_tokens": 4, "logprobs": 2}
    validator(document, "CompletionRequest").validate(asked)
    validator(document, "Completion").validate(server.post("/v1/completions", asked).json())


def test_errors_have_theirs(server, document):
    for response in (server.get("/nothing"), server.post("/v1/completions", {"n": -1}), server.request("PUT", "/health")):
        assert response.status_code >= 400
        validator(document, "Problem").validate(response.json())
