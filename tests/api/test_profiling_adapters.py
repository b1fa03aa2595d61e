"""A server with `--adapter`: what it serves and what it measures is the same, it says so, and nowhere where the adapter lies."""

import json
import shutil
import subprocess

import jsonschema
import pytest

from conftest import PROGRAM, ROOT
from lora import write_adapter
from test_profiling import TINY, begin, row, wait_for_end

pytestmark = pytest.mark.not_under("asan")  # the thread sanitizer leaves the file out (scripts/run_tests)

NAME = "tuned"


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    return write_adapter(tmp_path_factory.mktemp("secret-place") / NAME)


@pytest.fixture
def adapted(start_server, tmp_path, adapter):
    """With another model beside the default one."""
    models = tmp_path / "models"
    models.mkdir()
    subprocess.run([PROGRAM, "synth", "tiny-llama", models / "other"], check=True, capture_output=True)
    return start_server("--adapter", adapter, env={"LLMIND_MODEL_PATH": str(models)})


def profiled(server, **members):
    found = wait_for_end(server, begin(server, **members))
    assert found["status"] == "success", found
    return found


@pytest.mark.sanitize
def test_what_is_served_says_its_adapter(adapted, schemas):
    sample = adapted.get("/api/performance").json()
    schemas("Performance", sample)
    assert sample["model"]["name"] == "builtin" and sample["model"]["adapter"] == NAME
    assert sample["model"]["quantization"].endswith("LoRA of rank 2")
    assert adapted.get("/api/profiling/status").json()["model_info"]["adapter"] == NAME
    loaded = adapted.post("/api/models/load", {"model": "other", "unload_current": True})
    assert loaded.status_code == 200, loaded.text
    assert loaded.json()["model"]["adapter"] is None and loaded.json()["model"]["adapter_reason"]
    for path in ("/api/performance", "/api/system", "/api/models", "/v1/models", "/metrics", "/health"):
        assert "secret-place" not in adapted.get(path).text, path


@pytest.mark.sanitize
def test_loading_chooses_the_adapter(adapted, problem):
    """The one of the start has a name, too; an empty name is none."""

    def load(model, **options):
        return adapted.post("/api/models/load", {"model": model, "options": options})

    assert load("builtin", adapter="").json()["model"]["adapter"] is None
    assert load("builtin", adapter=NAME).json()["model"]["adapter"] == NAME
    worker = adapted.worker_pid
    error = problem(load("other", adapter=NAME), 400, param="adapter")
    assert "lora_a" in error["message"] and "secret-place" not in error["message"]
    assert load("builtin").status_code == 200 and adapted.worker_pid == worker


def test_a_run_measures_what_is_served(adapted):
    served = profiled(adapted)  # the loaded model
    report = served["report"]
    jsonschema.Draft202012Validator(json.loads((ROOT / "docs" / "report.schema.json").read_text())).validate(report)
    assert report["model"]["name"] == "builtin" and report["flags"]["adapter"] == NAME
    assert report["model"]["quantization"].endswith("LoRA of rank 2")
    assert "secret-place" not in json.dumps(served)
    shown = adapted.get(f"/api/profiling/runs/{served['id']}/report.txt").text
    assert f"adapter {NAME}" in " ".join(shown.split()) and "secret-place" not in shown
    assert profiled(adapted, model_name="builtin")["report"]["flags"]["adapter"] == NAME

    other = profiled(adapted, model_name="other", unload_current=True)["report"]
    assert other["flags"]["adapter"] is None and other["flags"]["adapter_reason"]
    assert "LoRA" not in other["model"]["quantization"]


def test_a_run_measures_with_the_adapter_of_the_load(start_server, tmp_path):
    write_adapter(tmp_path / "shelf" / NAME)
    server = start_server(env={"LLMIND_MODEL_PATH": str(tmp_path / "shelf")})
    assert server.post("/api/models/load", {"model": "builtin", "options": {"adapter": NAME}}).status_code == 200
    assert profiled(server)["report"]["flags"]["adapter"] == NAME
    assert server.get("/api/performance").json()["model"]["adapter"] == NAME


@pytest.mark.sanitize
def test_an_adapter_that_is_gone_fails_the_run_without_its_path(start_server, tmp_path):
    folder = write_adapter(tmp_path / "secret-place" / NAME)
    server = start_server("--adapter", folder)
    shutil.rmtree(folder)
    ended = wait_for_end(server, begin(server))
    assert ended["status"] == "failed" and "the adapter: there is no adapter_config.json" in ended["message"], ended
    assert "secret-place" not in json.dumps(ended)


def test_a_proof_wants_the_adapter_of_its_run(start_server, adapter):
    server = start_server("--adapter", adapter)
    run = profiled(server)["id"]
    assert server.stop() == 0
    again = start_server("--data-dir", server.data)  # without it
    assert row(again, run)["report"]["flags"]["adapter"] == NAME
    started = again.post(f"/api/profiling/runs/{run}/prove", {"recommendation": "temperature=0.9", "blocks": 5})
    assert started.status_code == 202, started.text
    ended = wait_for_end(again, started.json()["run_id"])
    assert ended["status"] == "failed" and f"with the adapter '{NAME}', and now it would be measured without" in ended["message"]


@pytest.mark.sanitize
def test_no_request_names_an_adapter(server, adapter, problem):
    for members in ({"adapter": str(adapter)}, {"knobs": {"adapter": str(adapter)}}):
        problem(server.post("/api/profiling/runs", TINY | members), 400)
