"""Clients that nobody here wrote: LangChain's and Simon Willison's `llm` (a program)."""

import json
import os
import subprocess
import sys

import httpx
import pytest

from conftest import PATIENCE_S, clean_environment


@pytest.fixture
def langchain(server):
    openai_part = pytest.importorskip("langchain_openai")
    return openai_part.ChatOpenAI(
        base_url=f"{server.url}/v1",
        api_key="none",
        model="builtin",
        temperature=0,
        max_tokens=24,
        max_retries=0,
        timeout=PATIENCE_S,
        http_client=httpx.Client(trust_env=False),
    )


def test_langchain(langchain):
    messages = [("system", "You tell stories."), ("human", "Tell me a short story.")]
    answer = langchain.invoke(messages)
    assert answer.content and answer.usage_metadata["output_tokens"] == 24
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.response_metadata["model_name"] == "builtin"
    parts = list(langchain.stream(messages))
    assert "".join(part.content for part in parts) == answer.content and len(parts) > 10
    assert len(langchain.batch([messages, messages])) == 2


def test_langchain_structured_output(langchain):
    pydantic = pytest.importorskip("pydantic")

    class Pet(pydantic.BaseModel):
        legs: int = pydantic.Field(ge=0, le=9)
        alive: bool

    bound = langchain.model_copy(update={"max_tokens": 200}).with_structured_output(Pet, method="json_schema")
    pet = bound.invoke("Describe a pet.")
    assert isinstance(pet, Pet)


@pytest.fixture
def run_llm(server, tmp_path):
    pytest.importorskip("llm")
    user = tmp_path / "llm"
    user.mkdir()
    models = [{"model_id": "mine", "model_name": "builtin", "api_base": f"{server.url}/v1", "supports_schema": True}]
    (user / "extra-openai-models.yaml").write_text(json.dumps(models))  # JSON is YAML
    environment = clean_environment(tmp_path) | {"LLM_USER_PATH": str(user), "OPENAI_API_KEY": "none"}
    environment["PATH"] = os.environ.get("PATH", "")

    def run(*arguments):
        command = [sys.executable, "-m", "llm", *arguments]
        done = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_llm(run_llm):
    options = ["-m", "mine", "-o", "temperature", "0", "-o", "max_tokens", "16", "-n", "Tell me a short story."]
    streamed = run_llm(*options)
    assert streamed.strip() and run_llm("--no-stream", *options) == streamed


def test_llm_schema(run_llm):
    schema = {"type": "object", "properties": {"legs": {"enum": [2, 4]}}, "required": ["legs"]}
    schema = json.dumps(schema | {"additionalProperties": False})
    text = run_llm("-m", "mine", "--no-stream", "-n", "--schema", schema, "Describe a pet.")
    assert json.loads(text)["legs"] in (2, 4)
