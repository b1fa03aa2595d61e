"""Ids and texts equal to Python's tokenizers and transformers."""

import random

import pytest
from tokenizers import Tokenizer
from transformers import AutoTokenizer

LITERALS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "<s>", "</s>", "<unk>",
            "[INST]", "[/INST]", "<|end|>", "<|user|>", "<word>", "<0x0A>", "<extra>", "<pad>"]


def strings():
    rng = random.Random(7)
    plain = [
        "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\r\n", "a", " a", "a ", "  a  b  ", "Hello, world!",
        "hello\nworld", "the model reads a token", "The quick brown fox jumps over 13 lazy dogs.", "I'll we've IT'S don't",
        "0", "12", "123", "1234567890", "3.14159", "1,000,000", "x = [1, 2, 3]\nfor i in x:\n    print(i)\n",
        "def f(x):\n\treturn x**2 # comment\n", "{\"a\": [1, 2, {\"b\": null}]}", "https://example.com/a?b=c&d=%20",
        "user@example.com", "C:\\path\\file", "snake_case camelCase SCREAMING_CASE kebab-case", "....!!!???", "--- *** ___",
        "Grüße aus Köln", "naïve café résumé", "ÀÉÎÕÜ", "e\u0301 vs é", "A\u030a Å \u212b", "ﬁ ligature ﬀ", "½ ² ³ № ™",
        "東京都", "日本語のテキスト", "你好,世界!", "안녕하세요 세계", "\u1112\u1161\u11ab 한", "привет мир", "مرحبا بالعالم",
        "שלום עולם", "नमस्ते दुनिया", "ไทยไม่มีช่องว่าง", "Ελληνικά", "Հայերեն", "ქართული", "አማርኛ", "Việt Nam đẹp",
        "🙂", "🚀🚀🚀", "👩‍👩‍👧‍👦 family", "🏳️‍🌈", "🇩🇪🇫🇷", "👍🏽 ok", "a🙂b", "☃️", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "𐍈𐌰", "\U0010ffff", "\ufffd",
        "zero\u200bwidth\u200djoin", "\ufeffbom", "nb\u00a0sp", "em\u2003space", "\u2028line\u2029para", "rtl \u202e abc",
        "tab\tsep\tvalues", " " * 7, " " * 64, " " * 257, "\n" * 33, "\t" * 20, " \n \n \n", "a" + " " * 40 + "b",
        "x" * 200, "ab" * 150, "." * 100, "=" * 80, "word " * 100, "\u3000全角", "＜｜im_end｜＞", "<|ｉｍ_ｅｎｄ|>",
        "▁", "▁▁a", "a▁b", "Ġ", "ĠĊ", "<0xE2><0x82>", "\x00", "\x01\x02", "\x7f", "\x1b[31mred\x1b[0m", "\ufdd1", "\uffff",
    ]
    look = []
    for literal in LITERALS:
        look += [literal, f"a{literal}b", f" {literal} ", literal[:-1], literal[1:], literal * 2, literal.upper(),
                 literal[: len(literal) // 2] + literal + literal[len(literal) // 2:]]
    alphabet = list("abc <>|[]/_\n\t é東🙂'\"0aA.") + ["  ", "<|", "|>", "im_end", "\u0301"]
    fuzz = ["".join(rng.choice(alphabet) for _ in range(rng.randrange(1, 60))) for _ in range(150)]
    return plain + look + fuzz


def invalid_bytes():
    rng = random.Random(9)
    fixed = [b"\xff", b"a\xffb", b"\xc3", b"\xc3(", b"\xe2\x82", b"\xe2\x82a", b"\xe2(\xa1", b"\xf0\x9f\x99", b"\xf0\x9f\x99\x82\xf0",
             b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xfe\xff", b"\x80\x81\x82", b"ok \xe6\x97"]
    return fixed + [bytes(rng.randrange(256) for _ in range(rng.randrange(1, 30))) for _ in range(40)]


NAMES = ["byte_level", "sentencepiece", "metaspace", "unigram"]


@pytest.mark.parametrize("name", NAMES)
def test_ids_equal_tokenizers(folders, probe, name):
    reference = Tokenizer.from_file(str(folders[name] / "tokenizer.json"))
    opened = probe.open(folders[name])
    assert opened["vocab"] == max(reference.get_vocab(True).values()) + 1
    all_strings = strings()
    assert len(all_strings) >= 200
    for text in all_strings:
        expected = reference.encode(text, add_special_tokens=False).ids
        assert probe.encode(text) == expected, repr(text)
    for data in invalid_bytes():
        expected = reference.encode(data.decode("utf-8", errors="replace"), add_special_tokens=False).ids
        assert probe.encode(data) == expected, data


@pytest.mark.parametrize("name", NAMES)
def test_ids_equal_transformers(folders, probe, name):
    reference = AutoTokenizer.from_pretrained(str(folders[name]))
    opened = probe.open(folders[name])
    assert opened["bos"] == (-1 if reference.bos_token_id is None else reference.bos_token_id)
    assert opened["eos"] == reference.eos_token_id
    for text in strings():
        assert probe.encode(text, special=True) == reference(text)["input_ids"], repr(text)


@pytest.mark.parametrize("name", NAMES)
def test_rendered_equals_ordinary_without_marks(folders, probe, name):
    """The strict path is the ordinary one where no look-alike letters are normalized into a control token."""
    reference = Tokenizer.from_file(str(folders[name] / "tokenizer.json"))
    probe.open(folders[name])
    for text in strings():
        if "\ufdd1" in text or (name == "unigram" and any(t in text for t in ["<extra>", "</s>", "<unk>", "<pad>"])):
            continue
        expected = reference.encode(text, add_special_tokens=False).ids
        assert probe.encode(text, rendered=True) == expected, repr(text)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("special", [False, True])
def test_decode_equals_tokenizers(folders, probe, name, special):
    reference = Tokenizer.from_file(str(folders[name] / "tokenizer.json"))
    probe.open(folders[name])
    for text in strings():
        ids = reference.encode(text, add_special_tokens=False).ids
        expected = reference.decode(ids, skip_special_tokens=not special)
        whole, pieces = probe.decode(ids, special=special)
        assert whole.decode() == expected, repr(text)
        for piece in pieces:
            piece.decode()  # never half a character


@pytest.mark.parametrize("name", NAMES)
def test_every_token_inside_a_text(folders, probe, name):
    reference = Tokenizer.from_file(str(folders[name] / "tokenizer.json"))
    probe.open(folders[name])
    word = reference.encode("hello", add_special_tokens=False).ids
    start = reference.decode(word)
    for token in range(reference.get_vocab_size()):
        expected = reference.decode(word + [token], skip_special_tokens=False)
        assert expected.startswith(start)
        whole, _ = probe.decode(word + [token], special=True)
        assert whole.decode() == expected, reference.id_to_token(token)


def test_random_ids_decode_as_python_bytes(folders, probe):
    """Byte level: any sequence of ids gives what Python's errors="replace" gives for the concatenated bytes."""
    reference = Tokenizer.from_file(str(folders["byte_level"] / "tokenizer.json"))
    probe.open(folders["byte_level"])
    rng = random.Random(3)
    size = reference.get_vocab_size()
    for _ in range(300):
        ids = [rng.randrange(size) for _ in range(rng.randrange(1, 40))]
        whole, pieces = probe.decode(ids, special=True)
        assert whole.decode() == reference.decode(ids, skip_special_tokens=False)
        assert all(piece.decode() is not None for piece in pieces)


def test_long_text(folders, probe):
    reference = Tokenizer.from_file(str(folders["byte_level"] / "tokenizer.json"))
    probe.open(folders["byte_level"])
    text = "the model reads a token, naïve 東京 🙂\n" * 5000
    assert probe.encode(text) == reference.encode(text).ids
    assert probe.encode(text, rendered=True) == reference.encode(text).ids
    too_long = probe.ask(op="encode", hex=(b"a" * (17 << 20)).hex())
    assert too_long["code"] == -6


def test_find(folders, probe):
    reference = Tokenizer.from_file(str(folders["byte_level"] / "tokenizer.json"))
    probe.open(folders["byte_level"])
    for token in ["<|im_end|>", "<think>", "a"]:
        assert probe.ask(op="find", content=token)["id"] == reference.token_to_id(token)
    assert probe.ask(op="find", content="<|nope|>")["id"] == -1
