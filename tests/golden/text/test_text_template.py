"""Prompts equal to transformers' apply_chat_template, errors where it has errors."""

import copy
import json
import shutil

import pytest
from templates import TEMPLATES
from transformers import AutoTokenizer

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "Weather <now> for a city & its \"suburbs\"",
        "parameters": {"type": "object", "properties": {
            "city": {"type": "string", "description": "Käln or Paris", "enum": ["a", "b"], "default": "a"},
            "days": {"type": ["integer", "null"], "description": "how many", "default": 3},
            "tags": {"type": "array", "items": {"type": "number"}, "description": "x "}}, "required": ["city"]},
        "return": {"type": "object"}}},
    {"type": "function", "function": {"name": "noop", "description": "Nothing.",
                                      "parameters": {"type": "object", "properties": {}, "required": []}}}]

SIMPLE_TOOLS = [TOOLS[1], {"name": "bare", "description": "b", "parameters": {"type": "object", "properties": {
    "x": {"type": "integer", "description": " an x "},
    "y": {"type": "object", "additionalProperties": {"type": "string"}, "description": "y"}}, "required": ["x"]}}]

CALL = {"role": "assistant", "content": "", "tool_calls": [
    {"type": "function", "id": "abc123def", "function": {"name": "get_weather", "arguments": {"city": "Köln", "days": 2}}}]}

CONVERSATIONS = {
    "short": [{"role": "user", "content": "Hello!"}],
    "system": [{"role": "system", "content": "  Be kind.\n"}, {"role": "user", "content": " What's 1<2 & \"x\"? \n"}],
    "turns": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nb \n"},
              {"role": "user", "content": "日本 🙂"}, {"role": "assistant", "content": "d", "reasoning_content": "so"},
              {"role": "user", "content": "e /no_think"}],
    "tools": [{"role": "user", "content": "weather?"}, CALL, {"role": "tool", "name": "get_weather", "content": "{\"t\": 21.5}"},
              {"role": "tool", "name": "x", "content": "two"}, {"role": "assistant", "content": "It is 21.5."},
              {"role": "user", "content": "thanks"}],
    "parts": [{"role": "system", "content": [{"type": "text", "text": "sys"}]},
              {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " look "}]}],
    "nulls": [{"role": "user", "content": "x", "name": None, "tool_calls": None}, {"role": "assistant", "content": None},
              {"role": "user", "content": "y"}],
    "odd": [{"role": "assistant", "content": "first"}, {"role": "user", "content": ""}],
}

VARIABLES = [{}, {"enable_thinking": False, "date_string": "1 Jan 2025", "builtin_tools": ["search", "code_interpreter"],
                  "xml_tools": TOOLS, "documents": [{"title": "T", "n": 3, "ok": True, "f": 1.5, "none": None}],
                  "tools_in_user_message": False, "reasoning_effort": "high"}]


def folder_with(folders, tmp_path, template, name="byte_level"):
    folder = tmp_path / "model"
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(folders[name], folder)
    (folder / "chat_template.jinja").write_text(template)
    return folder


def expected_text(reference, messages, tools, extra, generation):
    try:
        return reference.apply_chat_template(copy.deepcopy(messages), tools=copy.deepcopy(tools), tokenize=False,
                                             add_generation_prompt=generation, **copy.deepcopy(extra))
    except Exception as error:  # whatever jinja2 or Python says
        return error


COMPARED = {"equal": 0, "both fail": 0}


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_template(folders, probe, tmp_path, name):
    folder = folder_with(folders, tmp_path, TEMPLATES[name])
    reference = AutoTokenizer.from_pretrained(str(folder))
    assert reference.chat_template == TEMPLATES[name]
    assert probe.open(folder)["template"] is True
    equal = 0
    for title, messages in CONVERSATIONS.items():
        for tools in (None, TOOLS, SIMPLE_TOOLS):
            for extra in VARIABLES:
                for generation in (False, True):
                    expected = expected_text(reference, messages, tools, extra, generation)
                    answer = probe.render(messages, tools, extra or None, generation)
                    where = f"{name} / {title} / tools={tools and tools[0]['function']['name']} / {list(extra)} / {expected!r}"
                    if isinstance(expected, Exception):
                        assert "error" in answer, f"{where}\nshould fail but gave {answer}"
                        assert "\n" not in answer["error"] and answer["code"] in (-1, -6)
                        if type(expected).__name__ == "TemplateError":
                            assert answer["error"].endswith(str(expected)), where
                        COMPARED["both fail"] += 1
                    else:
                        assert answer.get("text", answer) == expected, where
                        equal += 1
    assert equal > 0, "nothing was compared"
    COMPARED["equal"] += equal


def test_ids_equal_transformers(folders, probe, tmp_path):
    folder = folder_with(folders, tmp_path, TEMPLATES["qwen3"])
    reference = AutoTokenizer.from_pretrained(str(folder))
    probe.open(folder)
    for messages in CONVERSATIONS.values():
        if any(m["role"] == "assistant" and not m["content"] for m in messages):
            continue
        ids = reference.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
        assert probe.render(messages, generation=True)["ids"] == ids


@pytest.mark.parametrize("final", ["The answer is", "The answer is ", "x\n", [{"type": "text", "text": "one "}]])
@pytest.mark.parametrize("name", ["chatml", "llama31", "gemma3", "zephyr"])
def test_continue_final_message(folders, probe, tmp_path, name, final):
    folder = folder_with(folders, tmp_path, TEMPLATES[name])
    reference = AutoTokenizer.from_pretrained(str(folder))
    probe.open(folder)
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": final}]
    try:
        expected = reference.apply_chat_template(messages, tokenize=False, continue_final_message=True)
    except Exception:
        assert "error" in probe.render(messages, cont=True)
        return
    assert probe.render(messages, cont=True)["text"] == expected
    assert "error" in probe.render(messages, cont=True, generation=True)


def test_where_templates_are_found(folders, probe, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders["byte_level"], folder)
    assert probe.open(folder)["template"] is False
    messages = [{"role": "user", "content": "q"}]
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "from json"}))
    probe.open(folder)
    assert probe.render(messages)["text"] == "from json"
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config["chat_template"] = [{"name": "default", "template": "default {{ eos_token }}"},
                               {"name": "tool_use", "template": "with {{ tools|length }} tools"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    probe.open(folder)
    assert probe.render(messages)["text"] == "default <|im_end|>"
    assert probe.render(messages, tools=TOOLS)["text"] == "with 2 tools"
    config["chat_template"] = [{"name": "rag", "template": "x"}]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    probe.open(folder)
    assert "rag" in probe.render(messages)["error"]
    (folder / "chat_template.jinja").write_text("from jinja")
    probe.open(folder)
    assert probe.render(messages)["text"] == "from jinja"


def test_lines_in_messages(folders, probe, tmp_path):
    folder = folder_with(folders, tmp_path, "{# one #}\n{% if true %}\n\n  {{ messages[0].content.bad() }}\n{% endif %}")
    probe.open(folder)
    assert "line 4" in probe.render([{"role": "user", "content": "q"}])["error"]
    broken = folder_with(folders, tmp_path, "one\ntwo\n{% if %}")
    answer = probe.open(broken)
    assert answer["code"] == -1 and "line 3" in answer["error"]
