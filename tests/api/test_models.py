"""/api/models: the list, loading, unloading, and everything that is refused."""

import json
import threading

import pytest
from conftest import BUILTIN, SANITIZED, wait_for
from lora import write_adapter
from test_live import chat, endless, valid  # noqa: F401  (a fixture)


def load(server, model="builtin", **fields):
    return server.post("/api/models/load", {"model": model} | fields)


@pytest.fixture
def folder_of_models(tmp_path):
    """Two models: a sound one, and one whose config.json is cut off."""
    (tmp_path / "shelf" / "broken").mkdir(parents=True)
    (tmp_path / "shelf" / "broken" / "config.json").write_text('{"model_type": "lla')
    (tmp_path / "shelf" / "second").symlink_to(BUILTIN)
    return tmp_path / "shelf"


def test_the_list(server, valid):  # noqa: F811
    response = server.get("/api/models")
    body = response.json()
    problems = [model.pop("problem") for model in body["models"]]  # null: there is none
    valid("ModelList", body | {"models": [m | {"problem": p or "none"} for m, p in zip(body["models"], problems)]})
    assert body["loaded"] == "builtin"
    (builtin,) = [model for model in body["models"] if model["name"] == "builtin"]
    assert builtin["loaded"] and builtin["supported"]
    assert builtin["parameters"] > 1e6 and builtin["size_bytes"] > 1e6 and builtin["context"] > 0
    assert builtin["architecture"] == "llama" and "4-bit" in builtin["quantization"]


def test_a_broken_model_is_listed_with_its_problem(start_server, folder_of_models, problem):
    server = start_server(env={"LLMIND_MODEL_PATH": str(folder_of_models)})
    models = {model["name"]: model for model in server.get("/api/models").json()["models"]}
    assert models["broken"]["problem"] and not models["broken"]["supported"]
    assert models["broken"]["parameters"] is None and models["broken"]["parameters_reason"]
    assert models["second"]["problem"] is None
    assert load(server, "broken").status_code == 400
    assert server.get("/health").json()["model"] == "builtin"  # what was loaded stays

    assert load(server, "second").json()["model"]["name"] == "second"
    models = {model["name"]: model for model in server.get("/api/models").json()["models"]}
    assert models["second"]["loaded"] and not models["builtin"]["loaded"]
    assert server.metric("llmind_model_loads_total") == 2


def test_a_model_given_by_its_folder(start_server, folder_of_models):
    server = start_server("--model", folder_of_models / "second")
    models = [model for model in server.get("/api/models").json()["models"] if model["loaded"]]
    assert [model["name"] for model in models] == ["second"]
    assert models[0]["source"] == "command line" and models[0]["context"] > 0
    # its name works, its folder does not: HTTP knows no paths
    assert load(server, "second").status_code == 200
    assert load(server, str(folder_of_models / "second")).status_code == 400
    # clients that take the first of OpenAI's list ask the model that is loaded
    assert [model["id"] for model in server.get("/v1/models").json()["data"]] == ["second", "builtin"]
    assert server.get("/v1/models/second").json()["owned_by"] == "command line"


def test_options(server, valid):  # noqa: F811
    body = valid("ModelLoaded", load(server, options={"context": 512, "threads": 1, "max_sequences": 3}).json())
    assert body["model"]["context"] == 512
    assert body["model"]["n_threads"] == 1
    assert body["model"]["max_sequences"] == 3
    assert body["load_ms"] > 0
    worker = server.worker_pid
    assert server.post("/v1/chat/completions", chat()).status_code == 200
    assert server.worker_pid == worker  # a request for it does not change its options
    body = load(server).json()  # as at the start
    assert body["model"]["context"] > 512
    assert server.worker_pid != worker


def test_loading_what_is_loaded_changes_nothing(server):
    load(server)
    worker, loads = server.worker_pid, server.metric("llmind_model_loads_total")
    assert load(server).status_code == 200
    assert server.worker_pid == worker
    assert server.metric("llmind_model_loads_total") == loads


def test_unload(server, valid):  # noqa: F811
    load(server)
    body = valid("ModelUnloaded", server.post("/api/models/unload", {}).json())
    assert body["unloaded"] == "builtin"
    assert server.worker_pid is None
    assert not any(model["loaded"] for model in server.get("/api/models").json()["models"])
    assert server.get("/health").json()["model"] is None
    assert valid("ModelUnloaded", server.post("/api/models/unload", {}).json())["unloaded"] is None
    assert server.post("/v1/chat/completions", chat()).status_code == 200  # loads it again
    assert server.get("/health").json()["model"] == "builtin"


def test_a_name_nearby(server, problem):
    error = problem(load(server, "bultin"), 404, param="model")
    assert "did you mean 'builtin'" in error["message"]


@pytest.mark.parametrize(
    "name",
    ["/etc", "../builtin", "a/../../b", "./builtin", "builtin/", "a//b", "..", ".", "", "a\\b", "/", str(BUILTIN), "x" * 5000],
)
def test_names_are_not_paths(server, problem, name):
    problem(load(server, name), 400, param="model")


@pytest.mark.parametrize("name", ["config.json", "~", "models/builtin", "builtin@main", "%2e%2e/builtin", "ünïcode"])
def test_names_that_are_in_no_list(server, problem, name):
    problem(load(server, name), 404, param="model")


@pytest.mark.parametrize(
    "body, param",
    [
        ({}, "model"),
        ({"model": 3}, "model"),
        ({"model": None}, "model"),
        ({"model": "builtin", "modle": "x"}, "modle"),
        ({"model": "builtin", "options": []}, "options"),
        ({"model": "builtin", "unload_current": "yes"}, "unload_current"),
        ({"model": "builtin", "options": {"contxt": 1}}, "contxt"),
        ({"model": "builtin", "options": {"precise": 1}}, "precise"),
        ({"model": "builtin", "options": {"isa": 1}}, "isa"),
        ({"model": "builtin", "options": {"adapter": ["tuned"]}}, "adapter"),
        ({"model": "builtin", "options": {"adapter": "x" * 5000}}, "adapter"),
        *(
            ({"model": "builtin", "options": {name: value}}, name)
            for name in ("threads", "context", "max_sequences", "prefill_chunk", "kv_bits")
            for value in (-1, 0, 1e308, 1.5, "4", 10**19)
            if (name, value) != ("kv_bits", 0)
        ),
        ({"model": "builtin", "options": {"kv_bits": 9}}, "kv_bits"),
    ],
)
def test_wrong_fields(server, problem, body, param):
    content = json.dumps(body)
    response = server.post("/api/models/load", content=content, headers={"Content-Type": "application/json"})
    error = problem(response, 400)
    assert error["param"] in (param, None)
    assert error["param"] == param or "1e308" in content or "e+" in content or "10000000000000000000" in content


def test_what_the_engine_refuses(server, problem):
    worker = (load(server), server.worker_pid)[1]
    assert "more than the model's" in problem(load(server, options={"context": 1 << 24}), 400)["message"]
    assert "ISA" in problem(load(server, options={"isa": "z80"}), 400)["message"]
    assert "unknown backend" in problem(load(server, options={"backend": "gpu"}), 400)["message"]
    assert server.worker_pid == worker  # what was loaded stays


def test_another_backend(server):
    """The same questions, computed by MLX: the words are the same, the figures say by whom."""
    if "mlx" not in server.get("/api/system").json()["backends"]:
        pytest.skip("this build has no mlx backend")
    question = {"model": "builtin", "messages": [{"role": "user", "content": "What is MBU?"}], "temperature": 0, "max_tokens": 24}
    load(server)
    said = server.post("/v1/chat/completions", question).json()["choices"][0]["message"]["content"]
    figures = server.get("/api/performance").json()
    assert figures["allocator"] is None and figures["allocator_reason"]
    loaded = load(server, options={"backend": "mlx", "isa": "cpu"}).json()["model"]
    assert (loaded["backend"], loaded["isa"], loaded["n_threads"]) == ("mlx", "cpu", 1)
    assert server.post("/v1/chat/completions", question).json()["choices"][0]["message"]["content"] == said
    allocator = server.get("/api/performance").json()["allocator"]
    assert allocator["peak_bytes"] >= allocator["active_bytes"] >= loaded["weight_bytes"] / 2
    assert server.metric("llmind_allocator_bytes", kind="active") >= allocator["active_bytes"]
    assert load(server, options={"backend": "cpu"}).json()["model"]["isa"] not in ("cpu", None)


def test_an_adapter(start_server, tmp_path, problem):
    """Loaded with an adapter by its name, until it is loaded without; one that is not there or does not fit changes nothing."""
    write_adapter(tmp_path / "shelf" / "tuned")
    write_adapter(tmp_path / "shelf" / "narrow", width=64)  # for another model
    (tmp_path / "shelf" / "half").mkdir()
    (tmp_path / "shelf" / "half" / "adapter_config.json").write_text('{"lora_parameters": {"rank": 2, "scale": 2.0}}')
    server = start_server(env={"LLMIND_MODEL_PATH": str(tmp_path / "shelf")})
    loaded = load(server, options={"adapter": "tuned"}).json()["model"]
    assert loaded["adapter"] == "tuned" and loaded["quantization"].endswith("LoRA of rank 2")
    worker = server.worker_pid
    assert server.post("/v1/chat/completions", chat()).status_code == 200
    refused = [
        ("tund", 404, "did you mean 'tuned'?"), ("nothing-like-this", 404, "mlx_lm.lora"), ("builtin", 404, "no adapter 'builtin'"),
        ("narrow", 400, "adapters.safetensors"), ("half", 404, "adapters.safetensors"),
    ]  # fmt: skip
    for name, status, words in refused:
        message = problem(load(server, options={"adapter": name}), status, param="adapter")["message"]
        assert words in message and str(tmp_path) not in message, message
    problem(load(server, options={"adapter": "tuned", "context": 1 << 24}), 400, param="model")  # the adapter is not to blame
    answer = server.post("/api/models/load", {"model": "builtin", "unload_current": False, "options": {"context": 1 << 24}})
    problem(answer, 400, code="limit")  # nor is what else is loaded
    assert server.worker_pid == worker  # what was loaded stays
    assert [model["name"] for model in server.get("/api/models").json()["models"]] == ["builtin"]  # adapters are no models
    loaded = load(server).json()["model"]
    assert loaded["adapter"] is None and loaded["adapter_reason"]


@pytest.mark.parametrize("name", ["/etc", "../builtin", "a/../../b", "./tuned", "tuned/", "a//b", "..", ".", "a\\b", "/", "second/adapters"])
def test_names_of_adapters_are_not_paths(server, problem, name):
    problem(load(server, options={"adapter": name}), 400, param="adapter")


def test_a_running_answer_is_waited_for(server):
    """Loading with other options while somebody reads an answer: the answer comes whole, then the model changes."""
    load(server)
    length = 60 if SANITIZED else 300
    answer, results = endless(length), {}

    def read():
        results["answer"] = server.post("/v1/chat/completions", answer)

    reader = threading.Thread(target=read)
    reader.start()
    wait_for(lambda: server.metric("llmind_active_sequences") == 1 or not reader.is_alive(), "the answer to begin")
    changed = load(server, options={"context": 1024})
    reader.join()
    assert results["answer"].json()["usage"]["completion_tokens"] == length
    assert changed.json()["model"]["context"] == 1024
    load(server)


@pytest.mark.not_under("tsan")
def test_prompt_lookup_changes_no_word(server):
    """Guessing from the text only changes in how many steps an answer comes; what was guessed is told."""
    question = "Repeat this exactly: the KV cache keeps keys and values; the KV cache keeps keys and values; the KV cache keeps keys"
    body = {"model": "builtin", "messages": [{"role": "user", "content": question}], "max_tokens": 80}
    told = {}
    for lookup in (0, 8):
        assert load(server, options={"prompt_lookup": lookup}).status_code == 200
        assert server.get("/api/performance").json()["model"]["prompt_lookup"] == lookup
        for temperature in (0, 1):
            answer = server.post("/v1/chat/completions", body | {"temperature": temperature, "seed": 7}).json()
            told[lookup, temperature] = answer["choices"][0]["message"]["content"], answer["timings"]
    for temperature in (0, 1):
        assert told[0, temperature][0] == told[8, temperature][0]
        assert "draft_n" not in told[0, temperature][1]
    timings = told[8, 0][1]
    assert timings["draft_n"] >= timings["draft_n_accepted"] >= 0 and timings["draft_n"] > 0
    metrics = server.get("/metrics").text
    assert f"llmind_drafted_tokens_total {sum(told[8, t][1].get('draft_n', 0) for t in (0, 1))}\n" in metrics
    shape = server.get("/openapi.json").json()["components"]["schemas"]["ModelLoad"]["properties"]["options"]
    most = shape["properties"]["prompt_lookup"]["maximum"]
    assert load(server, options={"prompt_lookup": most}).status_code == 200
    assert load(server, options={"prompt_lookup": most + 1}).status_code == 400
    assert load(server, options={"prompt_lookup": 0}).status_code == 200
