"""GET /api/models/{id}/estimate, and what the list of models says of fit and speed."""

import json
import pathlib
import sys
from urllib.parse import quote

import pytest
from test_live import valid  # noqa: F401  (a fixture)

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from conftest import BUILTIN  # noqa: E402


def estimate(server, model="builtin", **query):
    return server.get(f"/api/models/{quote(model, safe='')}/estimate", params=query)


def test_the_answer(server, valid):  # noqa: F811
    response = estimate(server, ctx=2048, concurrency=2, kv_bits=8)
    assert response.status_code == 200, response.text
    body = response.json()
    table, numbers = body["what_if"], body.pop("what_if")
    valid("Estimate", body | {"what_if": strip(numbers)})
    assert body["supported"] and body["from"] == "weights" and body["context"] == 2048 and body["kv_bits"] == 8
    assert body["memory"]["total_bytes"] == sum(part["bytes"] for part in body["memory"]["parts"])
    assert body["memory"]["fit"] in ("fits", "tight") and body["limits"]["max_context"] >= 2048
    assert table["bits"][0]["current"] and len(table["concurrency"]) == 4
    assert body["speed"]["calibrated"] is False and body["speed"]["prefill_tokens_per_second"] is None  # nobody calibrated here


def strip(value):
    """Arrays may hold nulls without a reason: their table says why."""
    if isinstance(value, dict):
        return {k: strip(v) for k, v in value.items()}
    return [v for v in value if v is not None] if isinstance(value, list) and not any(isinstance(v, dict) for v in value) else (
        [strip(v) for v in value] if isinstance(value, list) else value
    )


def test_eight_bit_keys_and_values_halve_the_cache(server):
    sixteen, eight = (estimate(server, ctx=2048, kv_bits=b).json()["memory"]["kv_bytes"] for b in (16, 8))
    assert 0.5 < eight / sixteen < 0.6


@pytest.mark.parametrize(
    "query, param",
    [({"ctx": 0}, "ctx"), ({"ctx": "many"}, "ctx"), ({"concurrency": 100000}, "concurrency"), ({"kv_bits": 4}, "kv_bits"), ({"kv_bits": 12}, "kv_bits")],
)
def test_wrong_queries_name_the_field(server, problem, query, param):
    assert problem(estimate(server, **query), 400)["param"] == param


def test_a_context_beyond_the_models(server, problem):
    assert "context" in problem(estimate(server, ctx=1 << 26), 400)["message"]


def test_names_are_not_paths(server, problem):
    assert problem(estimate(server, "nobody/knows-this"), 404)
    for path in (str(BUILTIN), "../builtin", "a/../builtin"):
        assert estimate(server, path).status_code in (400, 404)


def test_an_unsupported_architecture_is_an_answer(start_server, tmp_path):
    folder = tmp_path / "shelf" / "later"
    folder.mkdir(parents=True)
    config = json.loads((BUILTIN / "config.json").read_text()) | {"model_type": "deepseek_v3"}
    (folder / "config.json").write_text(json.dumps(config))
    server = start_server(env={"LLMIND_MODEL_PATH": str(tmp_path / "shelf")})
    body = estimate(server, "later").json()
    assert body["supported"] is False and body["needs"] and body["memory"] is None and body["memory_reason"]


def test_a_model_without_its_weights(start_server, tmp_path):
    """config.json is there and the weights are not: the list says that it cannot be used, the estimate prices it."""
    folder = tmp_path / "shelf" / "wanted"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text((BUILTIN / "config.json").read_text())
    server = start_server(env={"LLMIND_MODEL_PATH": str(tmp_path / "shelf")})
    assert estimate(server, "wanted").json()["from"] == "configuration"
    (listed,) = [m for m in server.get("/api/models").json()["models"] if m["name"] == "wanted"]
    assert listed["problem"] and listed["fit"]["verdict"] == "fits"


def test_the_list_has_a_badge(server):
    (model,) = [m for m in server.get("/api/models").json()["models"] if m["name"] == "builtin"]
    fit = model["fit"]
    assert fit["verdict"] == "fits" and 0 < fit["total_bytes"] < fit["available_bytes"]
    speed = model["predicted_decode_tokens_per_second"]
    assert speed is None and model["predicted_decode_tokens_per_second_reason"] or speed["low"] < speed["mid"] < speed["high"]
    assert model["calibrated"] is False


def test_the_list_is_cheap(server):
    server.get("/api/models")
    took = sorted(server.get("/api/models").elapsed.total_seconds() for _ in range(5))
    assert took[0] < 0.5


def test_the_system_says_whether_it_is_calibrated(server):
    body = server.get("/api/system").json()
    assert body["calibration"] is None and "llmind system --calibrate" in body["calibration_reason"]
