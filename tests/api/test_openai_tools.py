"""Tools and thinking: with the built-in model's weights and chat templates that know them. What the model would never
say by itself, grammars make it say; how calls are found in free text, tests/unit/test_service_tool_calls.c asks."""

import json
import os
import shutil

import httpx
import openai
import pydantic
import pytest

from conftest import BUILTIN, Server, finish

ASK = [{"role": "user", "content": "What is the weather in Ulm?"}]
HERMES = """{{- bos_token -}}
{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{- tool | tojson + '\\n' }}{%- endfor -%}
{{- '<|im_end|>\\n' }}{%- endif -%}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content %}{{- message.content }}{%- endif -%}
{%- for call in message.tool_calls or [] -%}
{{- '<tool_call>' + call.function.name + ' ' + call.function.arguments['city'] + '</tool_call>' -}}
{%- endfor -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif -%}
"""
THINKING = """{{- bos_token -}}
{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- if enable_thinking is not defined or enable_thinking %}{{- '<think>\\n' }}{%- endif -%}
{%- endif -%}
"""


def make_model(folder, template):
    folder.mkdir(parents=True)
    for name in ("config.json", "generation_config.json", "tokenizer.json", "special_tokens_map.json"):
        shutil.copy(BUILTIN / name, folder / name)
    os.symlink(BUILTIN / "model.safetensors", folder / "model.safetensors")
    config = json.loads((BUILTIN / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(template)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not (BUILTIN / "config.json").exists():
        pytest.skip("models/builtin is not there: it is trained by models/builtin/train")
    models = tmp_path_factory.mktemp("models")
    make_model(models / "hermes", HERMES)
    make_model(models / "thinking", THINKING)
    started = Server(tmp_path_factory.mktemp("server"), env={"LLMIND_MODEL_PATH": str(models)})
    yield started
    finish(started)


@pytest.fixture(scope="module")
def client(server):
    with openai.OpenAI(
        base_url=f"{server.url}/v1", api_key="none", max_retries=0, http_client=httpx.Client(trust_env=False)
    ) as one:
        yield one


def tool(name, properties, **more):
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": schema | more}}


CITY = {"type": "string", "enum": ["Ulm", "Jena"]}
WEATHER = tool("get_weather", {"city": CITY, "days": {"type": "integer", "minimum": 1, "maximum": 9}})
# two tools with definitions of the same name: each means its own
POINT = tool("move", {"to": {"$ref": "#/$defs/Place"}}, **{"$defs": {"Place": {"enum": ["left", "right"]}}})
LEVEL = tool("lift", {"to": {"$ref": "#/$defs/Place"}}, **{"$defs": {"Place": {"enum": [1, 2]}}})
# a parameter whose name is a word of JSON Schema, too
SAMPLE = tool("show", {"default": {"$ref": "#/$defs/Place"}}, **{"$defs": {"Place": {"enum": ["here"]}}})


def ask(client, **options):
    options = {"model": "hermes", "messages": ASK, "max_tokens": 200, "seed": 5} | options
    return client.chat.completions.create(**options)


def check_call(call, name="get_weather"):
    assert call.type == "function" and call.function.name == name
    assert call.id.startswith("call_") and len(call.id) == 29 and call.id[5:].isalnum()
    return json.loads(call.function.arguments)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_call_that_must_be_made(client, choice):
    answer = ask(client, tools=[WEATHER], tool_choice=choice)
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls" and message.content is None
    (call,) = message.tool_calls
    arguments = check_call(call)
    assert arguments["city"] in ("Ulm", "Jena") and 1 <= arguments["days"] <= 9 and len(arguments) == 2


def test_a_call_in_a_stream(client):
    chunks = list(ask(client, tools=[WEATHER], tool_choice="required", stream=True))
    deltas = [c.choices[0].delta for c in chunks]
    calls = [call for d in deltas for call in d.tool_calls or []]
    assert deltas[0].role == "assistant" and not any(d.content for d in deltas)
    assert calls[0].function.name == "get_weather" and calls[0].id.startswith("call_")
    assert all(call.index == 0 for call in calls) and all(call.id is None for call in calls[1:])
    arguments = json.loads("".join(call.function.arguments for call in calls))
    assert set(arguments) == {"city", "days"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    whole = ask(client, tools=[WEATHER], tool_choice="required").choices[0].message.tool_calls[0]
    assert json.loads(whole.function.arguments) == arguments


def test_one_of_several(client):
    tools = [WEATHER, POINT, LEVEL]
    for seed in range(4):
        answer = ask(client, tools=tools, tool_choice="required", seed=seed, temperature=1.5)
        call = answer.choices[0].message.tool_calls[0]
        arguments = check_call(call, call.function.name)
        allowed = {"move": ["left", "right"], "lift": [1, 2]}
        if call.function.name != "get_weather":
            assert arguments["to"] in allowed[call.function.name]
    call = ask(client, tools=[WEATHER, SAMPLE], tool_choice={"type": "function", "function": {"name": "show"}}).choices[0]
    assert check_call(call.message.tool_calls[0], "show") == {"default": "here"}
    for name, values in (("move", ["left", "right"]), ("lift", [1, 2])):
        choice = {"type": "function", "function": {"name": name}}
        call = ask(client, tools=tools, tool_choice=choice).choices[0].message.tool_calls[0]
        assert check_call(call, name)["to"] in values


def test_pydantic_tools(client):
    class Reading(pydantic.BaseModel):
        sensor: int = pydantic.Field(ge=0, le=9)
        good: bool

    answer = client.chat.completions.parse(
        model="hermes",
        messages=ASK,
        tools=[openai.pydantic_function_tool(Reading)],
        tool_choice="required",
        max_tokens=100,
    )
    call = answer.choices[0].message.tool_calls[0]
    assert isinstance(call.function.parsed_arguments, Reading)


def test_auto_and_none(client):
    plain = ask(client, max_tokens=24)
    told = ask(client, tools=[WEATHER], max_tokens=24)
    assert told.usage.prompt_tokens > plain.usage.prompt_tokens  # the model sees them
    assert told.choices[0].message.content and told.choices[0].message.tool_calls is None
    untold = ask(client, tools=[WEATHER], tool_choice="none", max_tokens=24)
    assert untold.usage.prompt_tokens == plain.usage.prompt_tokens
    assert untold.choices[0].message.content == plain.choices[0].message.content


def test_results_go_back_to_the_model(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Ulm", "id": 18446744073709551616}'}}
    turns = [
        *ASK,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
    ]
    # the template reads the arguments as a mapping; as a string this would be a 400
    answer = ask(client, messages=turns, tools=[WEATHER], max_tokens=8)
    assert answer.choices[0].message.content and answer.usage.prompt_tokens > 0


def test_tools_that_cannot_work(client):
    form = {"type": "json_object"}
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, tools=[WEATHER], response_format=form)
    assert error.value.param == "response_format"
    assert json.loads(ask(client, tools=[POINT], tool_choice="none", response_format={
        "type": "json_schema", "json_schema": {"name": "x", "schema": {"const": {"a": 1}}}
    }).choices[0].message.content) == {"a": 1}  # fmt: skip
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, tools=[WEATHER], tool_choice={"type": "function", "function": {"name": "nope"}})
    assert error.value.param == "tool_choice"
    broken = tool("f", {"x": {"type": "nonsense"}})
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, tools=[broken], tool_choice="required")
    assert error.value.param == "tools"
    with pytest.raises(openai.BadRequestError) as error:
        ask(client, model="builtin", tools=[WEATHER])
    assert error.value.param == "tools" and "chat template" in str(error.value)


def test_a_cut_off_call_is_text(client):
    answer = ask(client, tools=[WEATHER], tool_choice="required", max_tokens=3).choices[0]
    assert answer.finish_reason == "length" and answer.message.tool_calls is None and answer.message.content


# ---- thinking --------------------------------------------------------------------------------------------------------


def test_an_answer_that_starts_inside_a_thought(client):
    options = {"model": "thinking", "max_tokens": 12, "logit_bias": {"1": -100, "3": -100}}  # no end of text
    answer = ask(client, **options)
    message = answer.choices[0].message
    assert message.reasoning_content and message.content == ""
    assert answer.usage.completion_tokens_details.reasoning_tokens == 12
    chunks = list(ask(client, stream=True, **options))
    deltas = [c.choices[0].delta for c in chunks]
    assert "".join(getattr(d, "reasoning_content", None) or "" for d in deltas) == message.reasoning_content
    assert not any(d.content for d in deltas)


@pytest.mark.parametrize(
    "options", [{"reasoning_effort": "none"}, {"extra_body": {"chat_template_kwargs": {"enable_thinking": False}}}]
)
def test_without_thinking(client, options):
    answer = ask(client, model="thinking", max_tokens=12, **options)
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens_details.reasoning_tokens == 0
    assert not hasattr(answer.choices[0].message, "reasoning_content")


def test_a_format_leaves_no_thought(client):
    """With a grammar the first token is already the answer's."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": ["a", "b"]}}}
    answer = ask(client, model="thinking", response_format=form)
    assert json.loads(answer.choices[0].message.content) in ("a", "b")
