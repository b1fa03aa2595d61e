"""`llmind convert`: what it says, what it refuses, what it leaves behind. (The bytes: tests/golden/test_convert.py.)"""

import json
import pathlib
import signal
import struct
import subprocess
import time

import pytest
from conftest import PROGRAM


@pytest.fixture
def source(llmind, tmp_path):
    folder = tmp_path / "source"
    assert llmind("synth", "tiny-llama", "--bits", 16, folder).returncode == 0
    return folder


def refused(llmind, *arguments, code=1):
    """What it says; nothing may be left of the output."""
    target = pathlib.Path(arguments[-1])
    before = target.exists()
    done = llmind("convert", *arguments)
    assert done.returncode == code and done.stdout == "", (done.stdout, done.stderr)
    assert target.exists() == before and not target.with_name(target.name + ".partial").exists()
    return done.stderr


def change_config(folder, **members):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | members))


def header_of(path):
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def write_tensors(path, header, data):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def rename(folder, old, new):
    path = folder / "model.safetensors"
    header, data = header_of(path)
    write_tensors(path, {new if name == old else name: value for name, value in header.items()}, data)
    (folder / "model.safetensors.index.json").unlink()


def test_a_model_is_made_that_answers(llmind, source, tmp_path):
    done = llmind("convert", source, "--bits", 4, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "(4.5" in done.stdout and " bits per weight)" in done.stdout and "GB/s" in done.stdout
    assert not (tmp_path / "out.partial").exists()
    shown = json.loads(llmind("show", tmp_path / "out", "--json").stdout)
    assert shown["quantization"] == "4-bit affine, group 64"
    assert llmind("generate", tmp_path / "out", "--max-tokens", 4, "-p", "Hi").returncode == 0
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (source / name).read_bytes()


def test_json(llmind, source, tmp_path):
    said = json.loads(llmind("convert", source, "--mode", "mxfp8", "--threads", 1, "--json", tmp_path / "out").stdout)
    assert said["threads"] == 1 and said["files"] == 1 and said["seconds"] > 0
    assert said["source_bytes"] == 2 * said["parameters"] > said["tensor_bytes"] > said["parameters"]


def test_null_says_nothing(llmind, source, tmp_path):
    """About tied embeddings, so the output says it: readers differ in what they make of null."""
    change_config(source, tie_word_embeddings=None)
    assert llmind("convert", source, tmp_path / "out").returncode == 0
    assert json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is True


def test_threads_make_no_difference(llmind, source, tmp_path):
    for threads in (1, 3):
        assert llmind("convert", source, "--threads", threads, tmp_path / f"out{threads}").returncode == 0
    one, three = ((tmp_path / f"out{n}" / "model.safetensors").read_bytes() for n in (1, 3))
    assert one == three


def test_only_known_files_go_along(llmind, source, tmp_path):
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (source / "weights.bin").write_bytes(b"pickle")
    (source / "chat_template.jinja").write_text("{{ messages }}")
    assert llmind("convert", source, tmp_path / "out").returncode == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "chat_template.jinja" in names and not names & {"modeling_evil.py", "weights.bin"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--mode", "gguf"], "affine, mxfp4, mxfp8"),
        (["--mode", "nvfp4"], "affine, mxfp4, mxfp8"),
        (["--bits", "7"], "2, 3, 4, 5, 6 or 8 bits"),
        (["--group-size", "48"], "32, 64 or 128"),
        (["--mode", "mxfp4", "--bits", "8"], "4 bits and groups of 32"),
        (["--bits", "16", "--group-size", "64"], "not quantized"),
        (["--recipe", "mixed_9_9"], "mixed_2_6, mixed_3_4"),
        (["--recipe", "mixed_3_6", "--bits", "4"], "says itself"),
        (["--embedding-bits", "7"], "of its own"),
        (["--mode", "mxfp4", "--embedding-bits", "8"], "of its own"),
        (["--recipe", "mixed_3_6", "--mode", "mxfp4"], "is affine"),
        (["--dtype", "float8"], "bfloat16, float16 and float32"),
    ],
)
def test_options_that_do_not_go(llmind, source, tmp_path, options, said):
    assert said in refused(llmind, source, *options, tmp_path / "out")


def test_what_cannot_be_converted(llmind, builtin, source, tmp_path):
    assert "quantized already" in refused(llmind, builtin, tmp_path / "out")
    assert "nowhere" in refused(llmind, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    assert "holds something" in refused(llmind, source, tmp_path / "full")
    assert (tmp_path / "full" / "file").read_text() == "mine"
    change_config(source, model_type="mamba9")
    assert "mamba9" in refused(llmind, source, tmp_path / "out")


@pytest.mark.parametrize("bad", [b"\x80\x7f", b"\xc0\x7f", b"\x80\xff"], ids=["inf", "nan", "minus inf"])
def test_a_number_that_is_none(llmind, source, tmp_path, bad):
    path = source / "model.safetensors"
    header, data = header_of(path)
    at = header["model.layers.0.mlp.down_proj.weight"]["data_offsets"][0] + 100
    write_tensors(path, header, data[:at] + bad + data[at + 2 :])
    said = refused(llmind, source, tmp_path / "out")
    assert "model.layers.0.mlp.down_proj.weight" in said and "not finite" in said


@pytest.mark.parametrize("name", ['a"b\\c', "../../etc/passwd", "model.layers.0.mlp.experts.x.weight",
                                  "model.layers.0.mlp.experts.5.weight", "model.layers.0.mlp.experts.0.weight",
                                  "model.layers.0.mlp.experts..weight", "model.layers.0.mlp.experts.01.up_proj.weight",
                                  "model.layers.1.mlp.down_proj.scales"])
def test_hostile_names(llmind, source, tmp_path, name):
    rename(source, "model.layers.0.mlp.down_proj.weight", name)
    assert refused(llmind, source, tmp_path / "out").startswith("llmind convert: ")


def test_a_type_that_is_no_number(llmind, source, tmp_path):
    path = source / "model.safetensors"
    header, data = header_of(path)
    entry = header["model.norm.weight"]
    entry["dtype"], entry["shape"] = "F8_E4M3", [2 * entry["shape"][0]]
    write_tensors(path, header, data)
    assert "F8_E4M3" in refused(llmind, source, tmp_path / "out")


def test_stopped_in_the_middle(llmind, environment, tmp_path):
    source = tmp_path / "large"
    assert llmind("synth", "llama-3.2-1b", "--layers", 1, "--bits", 16, source).returncode == 0
    command = [str(PROGRAM), "convert", str(source), str(tmp_path / "out")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "out.partial" / "model.safetensors").exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()
