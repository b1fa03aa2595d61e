"""The OpenAI surface, through the official client. The built-in model is small and babbles: what is asserted is
structure, validity and that the same request gives the same text, not wit."""

import concurrent.futures
import enum
import json
import math
import os
import shutil
import signal

import httpx
import openai
import pydantic
import pytest

from conftest import BUILTIN, SANITIZED, wait_for

STORY = [{"role": "user", "content": "Tell me a short story."}]
PROMPT = "Once upon a time"
NO_END = {"1": -100, "3": -100}  # the built-in model's tokens that end a text


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, http_client=httpx.Client(trust_env=False)
    ) as one:
        yield one


def chat(client, **options):
    options = {"model": "builtin", "messages": STORY, "max_tokens": 16, "seed": 7} | options
    return client.chat.completions.create(**options)


def complete(client, **options):
    options = {"model": "builtin", "prompt": PROMPT, "max_tokens": 16, "seed": 7} | options
    return client.completions.create(**options)


def chunks_of(stream):
    chunks = list(stream)
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.object == "chat.completion.chunk" and chunk.model == "builtin" for chunk in chunks)
    return chunks


def text_of(chunks, index=0):
    parts = [c for chunk in chunks for c in chunk.choices if c.index == index]
    assert parts[0].delta.role == "assistant"
    assert [p.finish_reason for p in parts[:-1]] == [None] * (len(parts) - 1) and parts[-1].finish_reason
    return "".join(p.delta.content or "" for p in parts), parts[-1].finish_reason


# ---- models ----------------------------------------------------------------------------------------------------------


def test_models(client):
    models = {m.id: m for m in client.models.list()}
    assert models["builtin"].object == "model" and models["builtin"].owned_by == "builtin"
    assert client.models.retrieve("builtin").id == "builtin"
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("nobody/nothing")
    assert error.value.code == "model_not_found"


def test_embeddings(client):
    """One vector of length 1 for each text, the same alone as beside others, and by the client's base64 as by numbers."""
    texts = ["What is prefill?", "How is a prompt read?", "Tell me a story about an owl."]
    answer = client.embeddings.create(model="builtin", input=texts)
    vectors = [one.embedding for one in answer.data]
    assert [one.index for one in answer.data] == [0, 1, 2] and answer.model == "builtin"
    assert all(len(vector) == 512 and abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in vectors)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 9
    alone = client.embeddings.create(model="builtin", input=texts[1], encoding_format="float").data[0].embedding
    assert max(abs(a - b) for a, b in zip(alone, vectors[1])) < 1e-7
    tokens = client.embeddings.create(model="builtin", input=[[5, 6, 7], [5, 6, 7]]).data
    assert tokens[0].embedding == tokens[1].embedding
    short = client.embeddings.create(model="builtin", input=texts[1], dimensions=64).data[0].embedding
    scale = sum(x * x for x in alone[:64]) ** 0.5
    assert len(short) == 64 and max(abs(a - b / scale) for a, b in zip(short, alone)) < 1e-6
    many = client.embeddings.create(model="builtin", input=[f"text {i % 3}" for i in range(40)]).data
    assert all(many[i].embedding == many[i % 3].embedding for i in range(40))


@pytest.mark.parametrize("body, words", [
    ({}, "input"), ({"input": ""}, "empty"), ({"input": []}, "input"), ({"input": ["a", [1]]}, "mix"), ({"input": [1, -1]}, "token"),
    ({"input": [10**6]}, "vocabulary"), ({"input": "a", "dimensions": 513}, "dimensions"), ({"input": "a", "dimensions": 0}, "dimensions"),
    ({"input": "a", "encoding_format": "hex"}, "encoding_format"), ({"input": "a", "mood": 1}, "mood"), ({"input": "word " * 9000}, "context"),
])  # fmt: skip
def test_wrong_embeddings(server, body, words):
    answer = server.post("/v1/embeddings", {"model": "builtin"} | body)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["error"]["message"], answer.text


def test_prompts_of_embeddings_are_counted(start_server):
    server = start_server()
    body = {"model": "builtin", "input": ["What is prefill?", "How is a prompt read?"]}
    usage = server.post("/v1/embeddings", body).json()["usage"]
    assert server.metric("llmind_prompt_tokens_total") == usage["prompt_tokens"] > 0
    assert server.metric("llmind_answers_total") == 0
    # what the model does not give is refused before it has read anything
    answer = server.post("/v1/embeddings", body | {"dimensions": 513})
    problem = answer.json()["error"]
    assert (answer.status_code, problem["code"], problem["param"]) == (400, "out_of_range", "dimensions"), problem
    assert "513" in problem["message"] and "512" in problem["message"]
    assert server.metric("llmind_prompt_tokens_total") == usage["prompt_tokens"]


def test_the_field_of_the_prompt_is_blamed(server):
    for tokens, code in (([10**6], "invalid"), ([5] * 40000, "context_length_exceeded")):
        for path, field in (("/v1/embeddings", "input"), ("/v1/completions", "prompt")):
            problem = server.post(path, {"model": "builtin", field: tokens}).json()["error"]
            assert (problem["code"], problem["param"]) == (code, field), problem


def test_embeddings_of_an_unknown_model(client):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="never-heard-of", input="text")


# ---- chat ------------------------------------------------------------------------------------------------------------


def test_chat(client):
    answer = chat(client)
    choice = answer.choices[0]
    assert answer.object == "chat.completion" and answer.id.startswith("chatcmpl-") and answer.model == "builtin"
    assert answer.system_fingerprint.startswith("builtin-cpu-")
    assert choice.message.role == "assistant" and choice.message.content and choice.message.tool_calls is None
    assert choice.finish_reason == "length" and choice.logprobs is None
    usage = answer.usage
    assert usage.completion_tokens == 16 and usage.total_tokens == usage.prompt_tokens + 16
    assert usage.prompt_tokens_details.cached_tokens >= 0 and usage.completion_tokens_details.reasoning_tokens == 0
    timings = answer.timings
    assert timings["ttft_ms"] > 0 and timings["decode_tokens_per_second"] > 0 and timings["queue_ms"] >= 0
    assert set(timings) == {
        "queue_ms",
        "ttft_ms",
        "prefill_ms",
        "decode_ms",
        "prefill_tokens_per_second",
        "decode_tokens_per_second",
        "cached_tokens",
    }


def test_chat_stream_is_the_same_text(client):
    whole = chat(client, temperature=1)
    chunks = chunks_of(chat(client, temperature=1, stream=True, stream_options={"include_usage": True}))
    assert text_of(chunks[:-1]) == (whole.choices[0].message.content, "length")
    assert chunks[-1].choices == [] and all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-1].usage.completion_tokens == 16
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens
    assert chunks[-1].timings["ttft_ms"] > 0
    without = chunks_of(chat(client, stream=True))
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in without)


def test_usage_in_every_chunk(client):
    options = {"include_usage": True, "continuous_usage_stats": True}
    chunks = chunks_of(chat(client, temperature=1, stream=True, stream_options=options))
    counts = [chunk.usage.completion_tokens for chunk in chunks if chunk.usage]
    assert len(counts) > 5 and counts == sorted(counts) and counts[-1] == 16
    assert {chunk.usage.prompt_tokens for chunk in chunks if chunk.usage} == {chunks[-1].usage.prompt_tokens}
    pieces = [chunk for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert all(chunk.usage and chunk.usage.completion_tokens >= i for i, chunk in enumerate(pieces, 1))


def test_stream_ends_as_openai_says(server):
    body = {"messages": STORY, "max_tokens": 3, "stream": True}
    with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in response.iter_lines() if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]"
    assert lines.count("data: [DONE]") == 1
    first = json.loads(lines[0][6:])["choices"][0]
    assert first["delta"]["role"] == "assistant" and first["finish_reason"] is None


def test_without_a_model_the_loaded_one_answers(server):
    assert server.post("/v1/chat/completions", {"messages": STORY, "max_tokens": 2}).json()["model"] == "builtin"


@pytest.mark.not_under("tsan")
def test_cached_tokens(client):
    long = [{"role": "user", "content": "Remember every one of these words. " * 40}]
    first = chat(client, messages=long, max_tokens=2)
    again = chat(client, messages=long, max_tokens=2)
    assert again.usage.prompt_tokens_details.cached_tokens > 0
    assert again.usage.prompt_tokens_details.cached_tokens <= first.usage.prompt_tokens
    assert again.choices[0].message.content == first.choices[0].message.content
    uncached = chat(client, messages=long, max_tokens=2, extra_body={"cache_prompt": False})
    assert uncached.usage.prompt_tokens_details.cached_tokens == 0


@pytest.mark.not_under("tsan")
def test_seed(client):
    def text(seed):
        return chat(client, seed=seed, temperature=1.5, max_tokens=40).choices[0].message.content

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(5)}) > 1
    assert text(-1) == text(-1)  # OpenAI's is a signed number


@pytest.mark.not_under("tsan")
def test_n(client):
    options = {"n": 3, "temperature": 1.5, "seed": 11, "max_tokens": 24}
    whole = chat(client, **options)
    assert [c.index for c in whole.choices] == [0, 1, 2]
    texts = [c.message.content for c in whole.choices]
    assert len(set(texts)) > 1 and whole.usage.completion_tokens <= 72
    assert whole.usage.prompt_tokens == chat(client).usage.prompt_tokens
    chunks = chunks_of(chat(client, stream=True, **options))
    assert [text_of(chunks, i)[0] for i in range(3)] == texts
    assert chat(client, **(options | {"n": 1, "seed": 12})).choices[0].message.content == texts[1]


def test_stop(client):
    text = chat(client, temperature=0, max_tokens=40).choices[0].message.content
    word = text.split()[3]
    stopped = chat(client, temperature=0, max_tokens=40, stop=[word, "@@@@"]).choices[0]
    assert stopped.message.content == text[: text.index(word)] and stopped.finish_reason == "stop"
    streamed = chunks_of(chat(client, temperature=0, max_tokens=40, stop=word, stream=True))
    assert text_of(streamed) == (stopped.message.content, "stop")


def test_max_completion_tokens(client):
    answer = chat(client, max_tokens=None, max_completion_tokens=5)
    assert answer.usage.completion_tokens == 5 and answer.choices[0].finish_reason == "length"


def test_ignore_eos(server, client, problem):
    end = {"logit_bias": {"3": 100}, "temperature": 0, "max_tokens": 6}  # the model wants to end at once
    for ask in (chat, complete):
        assert ask(client, **end).usage.completion_tokens == 1
        assert ask(client, **end, extra_body={"ignore_eos": False}).choices[0].finish_reason == "stop"
        ignored = ask(client, **end, extra_body={"ignore_eos": True})
        assert ignored.usage.completion_tokens == 6 and ignored.choices[0].finish_reason == "length"
    word = chat(client, temperature=0, max_tokens=40).choices[0].message.content.split()[3]
    stopped = chat(client, temperature=0, max_tokens=40, stop=word, extra_body={"ignore_eos": True})
    assert stopped.choices[0].finish_reason == "stop", "stop sequences stop"
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    for constrained in ({"response_format": {"type": "json_object"}}, {"tools": tools, "tool_choice": "required"}):
        problem(server.post("/v1/chat/completions", CHAT | constrained | {"ignore_eos": True}), 400, param="ignore_eos")
    free = CHAT | {"ignore_eos": True, "response_format": {"type": "text"}}
    assert server.post("/v1/chat/completions", free).is_success


@pytest.mark.not_under("tsan")
def test_penalties_and_filters_change_the_text(client):
    plain = chat(client, temperature=1, max_tokens=60).choices[0].message.content
    changed = [
        chat(client, temperature=1, max_tokens=60, frequency_penalty=2.0),
        chat(client, temperature=1, max_tokens=60, presence_penalty=2.0),
        chat(client, temperature=1, max_tokens=60, extra_body={"repetition_penalty": 3.0}),
    ]
    assert any(c.choices[0].message.content != plain for c in changed)
    greedy = chat(client, temperature=0).choices[0].message.content
    assert chat(client, temperature=2, extra_body={"top_k": 1}).choices[0].message.content == greedy
    assert chat(client, temperature=2, extra_body={"min_p": 1.0}).choices[0].message.content == greedy


def test_logit_bias(client):
    free = chat(client, temperature=0, logprobs=True).choices[0]
    first = complete(client, temperature=0, max_tokens=1, logprobs=1)
    assert first.choices[0].logprobs.tokens
    # all the bias there is on one token: nothing else is said
    forced = complete(client, temperature=0, max_tokens=4, logit_bias={"300": 100}, logprobs=0)
    assert len(set(forced.choices[0].logprobs.tokens)) == 1
    assert free.message.content


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs(client, stream):
    options = {"logprobs": True, "top_logprobs": 3, "temperature": 0, "stream": stream}
    if stream:
        chunks = chunks_of(chat(client, **options))
        text = text_of(chunks)[0]
        tokens = [t for chunk in chunks for c in chunk.choices if c.logprobs for t in c.logprobs.content]
    else:
        choice = chat(client, **options).choices[0]
        text, tokens = choice.message.content, choice.logprobs.content
    assert len(tokens) == 16
    assert b"".join(bytes(t.bytes) for t in tokens).decode() == text
    for token in tokens:
        assert token.logprob <= 0 and len(token.top_logprobs) == 3
        best = [t.logprob for t in token.top_logprobs]
        assert best == sorted(best, reverse=True)
        assert token.top_logprobs[0].token == token.token and token.top_logprobs[0].logprob == token.logprob
        assert sum(math.exp(p) for p in best) <= 1.0001
    assert chat(client, logprobs=False).choices[0].logprobs is None


def test_message_forms(client):
    parts = [{"type": "text", "text": "Tell me"}, {"type": "text", "text": "a story."}]
    joined = chat(client, temperature=0, messages=[{"role": "user", "content": "Tell me\na story."}])
    assert (
        chat(client, temperature=0, messages=[{"role": "user", "content": parts}]).choices[0].message.content
        == joined.choices[0].message.content
    )
    system = chat(client, temperature=0, messages=[{"role": "system", "content": "Be brief."}, *STORY])
    developer = chat(client, temperature=0, messages=[{"role": "developer", "content": "Be brief."}, *STORY])
    assert developer.usage.prompt_tokens == system.usage.prompt_tokens
    turns = [*STORY, {"role": "assistant", "content": "No.", "refusal": None}, {"role": "user", "content": "Why?"}]
    assert chat(client, messages=turns).choices[0].message.content


def test_control_tokens_in_messages_are_text(client):
    """What a user types can never become a control token of the template."""
    plain = chat(client, messages=[{"role": "user", "content": "x"}], max_tokens=1).usage.prompt_tokens
    typed = chat(client, messages=[{"role": "user", "content": "x<|im_end|>"}], max_tokens=1).usage.prompt_tokens
    assert typed > plain + 1


def test_fields_without_effect_are_taken(client):
    answer = chat(
        client,
        user="someone",
        metadata={"a": "b"},
        store=False,
        service_tier="auto",
        parallel_tool_calls=True,
        modalities=["text"],
        temperature=0,
        extra_body={"safety_identifier": "x", "prompt_cache_key": "y"},
    )
    assert answer.choices[0].message.content == chat(client, temperature=0).choices[0].message.content


# ---- structured output -----------------------------------------------------------------------------------------------


@pytest.mark.not_under("tsan")
@pytest.mark.parametrize("stream", [False, True])
def test_json_object(client, stream):
    options = {"response_format": {"type": "json_object"}, "max_tokens": 600, "stream": stream}
    if stream:
        text, reason = text_of(chunks_of(chat(client, **options)))
    else:
        choice = chat(client, **options).choices[0]
        text, reason = choice.message.content, choice.finish_reason
    assert text.lstrip().startswith("{")
    if reason == "stop":
        assert isinstance(json.loads(text), dict)


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Pet(pydantic.BaseModel):
    mood: Mood
    legs: int = pydantic.Field(ge=0, le=9)
    alive: bool


def test_parse_into_a_model(client):
    answer = client.chat.completions.parse(
        model="builtin", messages=STORY, response_format=Pet, max_tokens=200, seed=3
    )
    pet = answer.choices[0].message.parsed
    assert isinstance(pet, Pet) and 0 <= pet.legs <= 9 and answer.choices[0].finish_reason == "stop"


def test_stream_into_a_model(client):
    with client.chat.completions.stream(
        model="builtin", messages=STORY, response_format=Pet, max_tokens=200, seed=4
    ) as stream:
        for _ in stream:
            pass
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Pet)


def test_schemas_fail_closed(client):
    for schema in ({"type": "nonsense"}, {"type": "string", "pattern": "("}):
        form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        with pytest.raises(openai.BadRequestError) as error:
            chat(client, response_format=form)
        assert error.value.param.startswith("response_format"), error.value


# ---- completions -----------------------------------------------------------------------------------------------------


def test_completion(client):
    answer = complete(client)
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-")
    assert answer.choices[0].text and answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 16 and answer.timings["ttft_ms"] > 0
    stream = list(complete(client, stream=True, stream_options={"include_usage": True}))
    assert "".join(c.text for chunk in stream for c in chunk.choices) == answer.choices[0].text
    assert stream[-1].usage.completion_tokens == 16 and stream[-1].choices == []
    assert complete(client, max_tokens=None).usage.completion_tokens <= 16


def test_prompts_of_every_form(client):
    answer = complete(client, prompt=["One", "Two", "Three"], n=2, temperature=1.0, max_tokens=8)
    assert [c.index for c in answer.choices] == list(range(6))
    alone = complete(client, prompt="Two", temperature=1.0, max_tokens=8)
    assert answer.choices[2].text == alone.choices[0].text
    tokens = complete(client, prompt=[5, 6, 7], temperature=0, max_tokens=4)
    several = complete(client, prompt=[[5, 6, 7], [8]], temperature=0, max_tokens=4)
    assert several.choices[0].text == tokens.choices[0].text and tokens.usage.prompt_tokens == 3
    assert several.usage.prompt_tokens == 4


def test_echo(client):
    plain = complete(client, temperature=0).choices[0].text
    assert complete(client, temperature=0, echo=True).choices[0].text == PROMPT + plain
    stream = complete(client, temperature=0, echo=True, stream=True)
    assert "".join(c.text for chunk in stream for c in chunk.choices) == PROMPT + plain


@pytest.mark.parametrize("stream", [False, True])
def test_classic_logprobs(client, stream):
    answer = complete(client, temperature=0, logprobs=2, stream=stream)
    parts = [c for chunk in answer for c in chunk.choices] if stream else answer.choices
    text = "".join(p.text for p in parts)
    lists = [p.logprobs for p in parts if p.logprobs]
    tokens = [t for p in lists for t in p.tokens]
    offsets = [o for p in lists for o in p.text_offset]
    assert "".join(tokens) == text and len(tokens) == 16
    assert offsets == [len("".join(tokens[:i])) for i in range(16)]
    assert all(v <= 0 for p in lists for v in p.token_logprobs)
    assert all(len(top) == 2 for p in lists for top in p.top_logprobs)


# ---- mistakes --------------------------------------------------------------------------------------------------------

CHAT = {"model": "builtin", "messages": STORY, "max_tokens": 1}
COMPLETION = {"model": "builtin", "prompt": PROMPT, "max_tokens": 1}
NUMBERS = {
    "n": [-1, 0, 17, 1e308, "2", 1.5, True, []],
    "max_tokens": [-1, 0, 1e308, "5", 2.5, True],
    "temperature": [-1, 2.1, 1e308, "1", True],
    "top_p": [-0.1, 1.1, 1e308, "x"],
    "top_k": [-1, 1e308, "x", 0.5],
    "min_p": [-1, 1.5, "x"],
    "repetition_penalty": [-1, 0, 1e308, "x"],
    "presence_penalty": [-2.1, 2.1, "x"],
    "frequency_penalty": [-3, 1e308, "x"],
    "seed": [1e308, "x", 0.5],
}
SHARED = [(name, value) for name, values in NUMBERS.items() for value in values] + [
    ("stop", ""),
    ("stop", 5),
    ("stop", ["a"] * 9),
    ("stop", ["a", 1]),
    ("stop", "x" * 257),
    ("stream", "yes"),
    ("ignore_eos", 1),
    ("stream_options", {"include_usage": True}),
    ("logit_bias", {"1": 101}),
    ("logit_bias", {"x": 1}),
    ("logit_bias", {"999999": 1}),
    ("logit_bias", [1]),
    ("model", 5),
    ("store", True),
    ("service_tier", "flex"),
    ("user", 5),
    ("no_such_field", 1),
    ("best-of", 2),
]


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", COMPLETION)])
@pytest.mark.parametrize("name, value", SHARED)
def test_wrong_fields_are_named(server, problem, path, body, name, value):
    problem(server.post(path, body | {name: value}), 400, param=name, type="invalid_request_error")


@pytest.mark.parametrize(
    "name, value, param",
    [
        ("messages", None, "messages"),
        ("messages", [], "messages"),
        ("messages", "hi", "messages"),
        ("messages", ["hi"], "messages[0]"),
        ("messages", [{"content": "x"}], "messages[0].role"),
        ("messages", [{"role": "robot", "content": "x"}], "messages[0].role"),
        ("messages", [*STORY, {"role": "user"}], "messages[1].content"),
        ("messages", [{"role": "user", "content": 5}], "messages[0].content"),
        ("messages", [{"role": "user", "content": []}], "messages[0].content"),
        ("messages", [{"role": "user", "content": "x", "mood": "good"}], "messages[0].mood"),
        (
            "messages",
            [*STORY, {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}],
            "messages[1].content[1].type",
        ),
        ("messages", [{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text"),
        ("messages", [{"role": "user", "content": "x", "tool_calls": []}], "messages[0].tool_calls"),
        ("messages", [{"role": "user", "content": "x", "tool_call_id": "a"}], "messages[0].tool_call_id"),
        (
            "messages",
            [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
            "messages[0].tool_calls[0].function.arguments",
        ),
        ("messages", [{"role": "user", "content": "x"}] * 4097, "messages"),
        ("max_completion_tokens", 2, "max_tokens"),
        ("max_completion_tokens", -1, "max_completion_tokens"),
        ("logprobs", 5, "logprobs"),
        ("top_logprobs", 5, "top_logprobs"),
        ("functions", [], "functions"),
        ("function_call", "auto", "function_call"),
        ("audio", {}, "audio"),
        ("modalities", ["audio"], "modalities"),
        ("prediction", {"type": "content", "content": "x"}, "prediction"),
        ("web_search_options", {}, "web_search_options"),
        ("reasoning_effort", "enormous", "reasoning_effort"),
        ("chat_template_kwargs", [], "chat_template_kwargs"),
        ("chat_template_kwargs", {"messages": []}, "chat_template_kwargs"),
        ("response_format", "json", "response_format"),
        ("response_format", {"type": "xml"}, "response_format.type"),
        ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
        (
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "a"}},
            "response_format.json_schema.schema",
        ),
        ("response_format", {"type": "json_object", "schema": {"type": "object"}}, "response_format"),
        ("response_format", {"type": "text", "json_schema": {}}, "response_format"),
        (
            "response_format",
            {"type": "json_schema", "json_schema": {"name": "a", "schema": {}, "mode": 1}},
            "response_format.json_schema",
        ),
        ("tools", [{"type": "function", "function": {"name": "f"}, "strict": True}], "tools[0]"),
        ("tools", [{"type": "web_search"}], "tools[0]"),
        ("tools", [{"type": "function", "function": {"name": "a b"}}], "tools[0]"),
        ("tools", [{"type": "function", "function": {"name": "f"}}] * 2, "tools"),
        ("tools", [{"type": "function", "function": {"name": "f"}}], "tools"),  # the template has no tools
        ("tool_choice", "required", "tool_choice"),
        ("tool_choice", "sometimes", "tool_choice"),
    ],
)
def test_wrong_chat_fields_are_named(server, problem, name, value, param):
    problem(server.post("/v1/chat/completions", CHAT | {name: value}), 400, param=param)


def test_wrong_top_logprobs(server, problem):
    for value in (-1, 21, "x"):
        body = CHAT | {"logprobs": True, "top_logprobs": value}
        problem(server.post("/v1/chat/completions", body), 400, param="top_logprobs")


@pytest.mark.parametrize(
    "name, value",
    [
        ("prompt", None),
        ("prompt", ""),
        ("prompt", []),
        ("prompt", [""]),
        ("prompt", [-1]),
        ("prompt", [1.5]),
        ("prompt", ["a", [1]]),
        ("prompt", [[1], []]),
        ("prompt", ["a"] * 129),
        ("prompt", [100000]),
        ("prompt", {"a": 1}),
        ("suffix", "end"),
        ("best_of", 3),
        ("logprobs", 6),
        ("logprobs", -1),
        ("echo", 1),
        ("messages", []),
    ],
)
def test_wrong_completion_fields_are_named(server, problem, name, value):
    problem(server.post("/v1/completions", COMPLETION | {name: value}), 400, param=name)


def test_echo_with_logprobs_is_refused(server, problem):
    problem(server.post("/v1/completions", COMPLETION | {"echo": True, "logprobs": 1}), 400, param="echo")


def test_errors_as_the_client_sees_them(client):
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, temperature=3)
    assert error.value.param == "temperature" and error.value.type == "invalid_request_error"
    for name in ("nobody/nothing", "../../etc", "/etc", "."):
        with pytest.raises(openai.NotFoundError) as error:
            chat(client, model=name)
        assert error.value.code == "model_not_found" and error.value.param == "model"
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, messages=[{"role": "user", "content": "word " * 5000}])
    assert error.value.code == "context_length_exceeded" and error.value.param == "messages"
    with pytest.raises(openai.BadRequestError) as error:
        chat(client, max_tokens=100000)
    assert error.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError) as error:
        complete(client, prompt="word " * 5000)
    assert error.value.code == "context_length_exceeded" and error.value.param == "prompt"


# ---- together --------------------------------------------------------------------------------------------------------


def test_one_text_alone_is_the_same_beside_seven_others(client):
    """Bit for bit, seeded: text and log-probabilities."""

    def run(i, stream):
        options = {"seed": i, "temperature": 2, "max_tokens": 48, "logprobs": True, "top_logprobs": 2}
        options["messages"] = [{"role": "user", "content": f"Story number {i}: " + "go on. " * i}]
        if not stream:
            choice = chat(client, **options).choices[0]
            return choice.message.content, [t.logprob for t in choice.logprobs.content]
        chunks = chunks_of(chat(client, stream=True, **options))
        tokens = [t for chunk in chunks for c in chunk.choices if c.logprobs for t in c.logprobs.content]
        return text_of(chunks)[0], [t.logprob for t in tokens]

    alone = run(3, False)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = list(pool.map(run, range(8), [False, True] * 4))
    assert together[3] == alone and len({text for text, _ in together}) == 8


def test_a_full_queue_says_so(start_server):
    server = start_server("--queue", "1", "--max-sequences", "1")
    body = {"messages": STORY, "max_tokens": 40 if SANITIZED else 200, "logit_bias": NO_END}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: server.post("/v1/chat/completions", body), range(8)))
    refused = [r for r in replies if r.status_code == 429]
    assert refused and {r.status_code for r in replies} == {200, 429}
    assert refused[0].json()["error"]["code"] == "queue_full" and int(refused[0].headers["retry-after"]) >= 1


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_its_sequences(server, stream):
    before = server.metric("llmind_disconnects_total")
    body = json.dumps({"messages": STORY, "stream": stream, "n": 4, "logit_bias": NO_END, "max_tokens": 1900})
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    connection = server.raw(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
    wait_for(lambda: server.metric("llmind_active_sequences") > 0, "the answers to begin")
    connection.close()
    wait_for(lambda: server.metric("llmind_disconnects_total") > before, "the client to be missed")
    wait_for(lambda: server.metric("llmind_active_sequences") == 0, "the sequences to be freed")


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_dies_is_an_error_and_comes_back(start_server, stream):
    server = start_server()
    body = {"messages": STORY, "stream": stream, "logit_bias": NO_END, "max_tokens": 1900, "n": 2}

    def read():
        with server.client.stream("POST", "/v1/chat/completions", json=body) as response:
            return response.status_code, [line for line in response.iter_lines() if line]

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        reading = pool.submit(read)
        wait_for(lambda: server.metric("llmind_active_sequences") > 0, "the answers to begin")
        os.kill(server.worker_pid, signal.SIGKILL)
        status, lines = reading.result(60)
    last = json.loads(lines[-1].removeprefix("data: "))
    assert set(last["error"]) == {"message", "type", "code", "param"} and "data: [DONE]" not in lines
    assert status == (200 if stream else 503)
    again = server.post("/v1/chat/completions", CHAT)
    assert again.status_code == 200 and again.json()["choices"]


def test_what_is_nested_deep_or_has_many_values_is_refused_and_kills_nobody(server, problem):
    def ask(arguments):
        call = {"type": "function", "function": {"name": "f", "arguments": arguments}}
        messages = [*STORY, {"role": "assistant", "tool_calls": [call]}, *STORY]
        return server.post("/v1/chat/completions", CHAT | {"messages": messages})

    where = "messages[1].tool_calls[0].function.arguments"
    for depth in (65, 2000, 100000):
        problem(ask('{"a":' * depth + "1" + "}" * depth), 400, param=where)
    problem(ask('{"a":' * 2000), 400, param=where)
    json_type = {"headers": {"content-type": "application/json"}}
    for many in ("{}," * 300000, "0," * 3000000):
        body = '{"prompt": [%s0]}' % many
        problem(server.post("/v1/completions", content=body.encode(), **json_type), 400, code="too_many")
    zero = problem(server.post("/v1/chat/completions", CHAT | {"messages": [{"role": "user", "content": "a\0"}]}), 400)
    assert "\\u0000" in zero["message"] and "ALLOW_NUL" not in zero["message"]
    assert server.get("/health").json()["status"] == "ok"


def test_names_cut_inside_a_character_are_still_named(server, problem):
    for n in range(150, 156):
        message = {"role": "user", "content": "x", "x" * n + "é" * 40: 1}
        problem(server.post("/v1/chat/completions", CHAT | {"messages": [message]}), 400, code="invalid_value")


def test_no_folder_of_the_server_is_told(start_server, tmp_path):
    for name, files in (("odd", ["config.json"]), ("broken", [])):
        (tmp_path / "models" / name).mkdir(parents=True)
        for file in files:
            shutil.copy(BUILTIN / file, tmp_path / "models" / name)
    (tmp_path / "models" / "broken" / "config.json").write_text("{")
    one = start_server(env={"LLMIND_MODEL_PATH": str(tmp_path / "models")})
    for name in ("odd", "broken", "nowhere", "bultin", "odd@main"):
        for path, body in (
            ("/v1/chat/completions", CHAT | {"model": name}),
            ("/v1/completions", COMPLETION | {"model": name}),
            ("/api/models/load", {"model": name}),
        ):
            response = one.post(path, body)
            assert response.status_code in (400, 404) and str(tmp_path) not in response.text, response.text
            assert name in response.text or "config.json" in response.text
    assert str(tmp_path) not in one.get("/api/models").text


def test_many_long_texts_at_once(start_server):
    """More than the queue has room for, each read in many steps beside the others."""
    server = start_server("--queue", "2", "--max-sequences", "2", "--prefill-chunk", "8")
    texts = [f"{i} " + "the KV cache keeps keys and values " * (10 if SANITIZED else 40) for i in range(12)]
    answer = server.post("/v1/embeddings", {"model": "builtin", "input": texts})
    assert answer.status_code == 200, answer.text
    together = [one["embedding"] for one in answer.json()["data"]]
    alone = server.post("/v1/embeddings", {"model": "builtin", "input": texts[7]}).json()["data"][0]["embedding"]
    assert max(abs(a - b) for a, b in zip(alone, together[7])) < 1e-6
