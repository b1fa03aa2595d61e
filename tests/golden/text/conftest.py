"""Tokenizers trained here, since nothing can be downloaded: one of each family that the hub's models use."""

import json
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from probe import Probe  # noqa: E402
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402

CHATML = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LOOKS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def corpus():
    rng = random.Random(1)
    words = ("the model reads a token and writes another one while memory is moved from cache to core for every step "
             "function return if else import print value def class list of numbers hello world user assistant system "
             "Grüße aus Köln naïve café 東京 日本語 привет мир مرحبا 你好 世界 안녕 नमस्ते 🙂🚀 x_1 = 3.14; 2024-01-31").split()
    for _ in range(3000):
        line = " ".join(rng.choice(words) for _ in range(rng.randrange(3, 20)))
        yield line + rng.choice([".", "!", "\n", "\n\n", "  ", "\t", ":\n    "])
    yield from ("    indented code\n        deeper\n" for _ in range(50))


def byte_level(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(CL100K), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(vocab_size=1200, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in CHATML])
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in LOOKS])
    write(folder, tokenizer, {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "bos_token": "<|endoftext|>",
                              "add_bos_token": False, "model_max_length": 32768})


def sentencepiece(folder):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>", "<s>", "</s>", *bytes_], max_token_length=16,
                                  show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [dict(t, normalized=False, special=True) for t in data["added_tokens"] if t["id"] < 3]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in ("[INST]", "[/INST]")])
    tokenizer.add_tokens([AddedToken("<think>", normalized=False), AddedToken("</think>", normalized=True)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B",
                                                            special_tokens=[("<s>", 1)])
    write(folder, tokenizer, {"bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": "</s>",
                              "unk_token": "<unk>"})


def metaspace(folder):
    """Mistral's and Gemma's newer files: Metaspace, prepended only at the start; a token that swallows white space."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    bytes_ = [f"<0x{b:02X}>" for b in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=1500, special_tokens=["<unk>", "<s>", "</s>", *bytes_], max_token_length=16,
                                  show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = [dict(t, normalized=False, special=True) for t in data["added_tokens"] if t["id"] < 3]
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.add_special_tokens([AddedToken("<|end|>", normalized=False, special=True, rstrip=True),
                                  AddedToken("<|user|>", normalized=False, special=True, lstrip=True),
                                  AddedToken("<word>", normalized=False, special=True, single_word=True)])
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False), AddedToken("▁▁", normalized=False)])
    write(folder, tokenizer, {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "add_bos_token": True,
                              "add_eos_token": True})


def unigram(folder):
    """T5-like: the control tokens are ordinary pieces of the model as well."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=600, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
                                      show_progress=False)
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_tokens([AddedToken("<extra>", normalized=True)])
    write(folder, tokenizer, {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"})


def write(folder, tokenizer, config):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


MAKERS = {"byte_level": byte_level, "sentencepiece": sentencepiece, "metaspace": metaspace, "unigram": unigram}


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("tokenizers")
    for name, make in MAKERS.items():
        make(root / name)
    return {name: root / name for name in MAKERS}


@pytest.fixture
def probe():
    probe = Probe()
    yield probe
    assert probe.close() == 0


def pytest_terminal_summary(terminalreporter):
    module = sys.modules.get("test_text_template")
    if module is not None:
        terminalreporter.write_line(f"prompts compared with transformers: {module.COMPARED}")
    module = sys.modules.get("test_text_tokenizer")
    if module is not None:
        counts = len(module.strings()), len(module.invalid_bytes())
        terminalreporter.write_line(f"strings compared for each tokenizer: {counts[0]}, with invalid bytes {counts[1]} more")
