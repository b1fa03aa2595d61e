//! The quick reader of BPE files against the crate's own reading of the same files.

use std::borrow::Cow;

use serde_json::{json, Value};

use crate::load::{load, load_any, load_bpe};
use crate::pieces;
use crate::tokenizer::Tokenizer;

const BUILTIN: &str = include_str!("../../models/builtin/tokenizer.json");

fn strings() -> Vec<String> {
    let mut all: Vec<String> = [
        "",
        " ",
        "\n\n",
        "Hello, world!",
        "  two  spaces ",
        "123 4567",
        "Grüße, naïve café",
        "日本語 🙂",
        "\u{0}\u{7f}",
        "a▁b ▁",
        "Ġ",
        "aab aaba abab bbab",
        "<|im_start|>user\nhi<|im_end|>",
        "x<s>y</s>",
        "<unk><0x0A><think>",
        "low lower lowest",
    ]
    .map(String::from)
    .to_vec();
    let letters: Vec<char> = "ab lowerst<>|s/_\n▁é🙂Ġ0".chars().collect();
    let mut seed = 7u32;
    for _ in 0..300 {
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 16) as usize
        };
        all.push(
            (0..next() % 40)
                .map(|_| letters[next() % letters.len()])
                .collect(),
        );
    }
    all
}

fn crates_own(json: &str) -> Result<tokenizers::Tokenizer, String> {
    let mut tokenizer: tokenizers::Tokenizer = json.parse().map_err(|e: tokenizers::Error| e.to_string())?;
    tokenizer.with_truncation(None).unwrap();
    tokenizer.with_padding(None);
    Ok(tokenizer)
}

fn assert_same(ours: &tokenizers::Tokenizer, theirs: &tokenizers::Tokenizer) {
    assert_eq!(ours.get_vocab(true), theirs.get_vocab(true));
    assert_eq!(ours.get_added_tokens_decoder(), theirs.get_added_tokens_decoder());
    assert_eq!(ours.to_string(false).unwrap(), theirs.to_string(false).unwrap());
    for text in strings() {
        for special in [false, true] {
            let ids = |t: &tokenizers::Tokenizer| {
                t.encode_fast(text.as_str(), special)
                    .map(|encoding| encoding.get_ids().to_vec())
                    .map_err(|e| e.to_string())
            };
            assert_eq!(ids(ours), ids(theirs), "{text:?}");
        }
    }
}

/// The quick reader takes the file and makes of it what the crate makes of it.
fn assert_quick(json: &str) {
    let theirs = crates_own(json).unwrap();
    let loaded = load_bpe(json.as_bytes()).expect("the quick reader takes it");
    assert_same(&loaded.tokenizer, &theirs);
    let general = load_any(json.as_bytes()).unwrap();
    assert_eq!(loaded.growth, general.growth);
    assert_eq!(loaded.decoder, general.decoder);
    let size = theirs.get_vocab(true).into_values().max().unwrap() as usize + 1;
    let pieces = |texts: &[Cow<str>]| {
        let (pieces, holes) = pieces::compute(&theirs, texts, &general.decoder, size).unwrap();
        (pieces.bytes, pieces.offsets, holes)
    };
    assert_eq!(pieces(&loaded.texts), pieces(&[]));
    assert_eq!(Tokenizer::open(json.as_bytes(), None).unwrap().vocab_size(), size);
}

/// The quick reader passes the file on; what comes of it is the crate's affair.
fn assert_passed_on(json: &str) {
    assert!(load_bpe(json.as_bytes()).is_none(), "{json:.300}");
    match (load(json.as_bytes()), crates_own(json)) {
        (Ok(ours), Ok(theirs)) => assert_same(&ours.tokenizer, &theirs),
        (Ok(_), Err(why)) => panic!("the crate refuses it: {why}"),
        (Err(_), _) => {
            let failure = Tokenizer::open(json.as_bytes(), None).err().unwrap();
            assert!(failure.message.starts_with("tokenizer.json is not usable: "));
            assert!(!failure.message.contains('\n'));
        }
    }
}

fn assert_refused(json: &str) {
    assert!(crates_own(json).is_err());
    assert!(load(json.as_bytes()).is_err());
    assert_passed_on(json);
}

fn token(id: u32, content: &str, special: bool, normalized: bool) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
           "normalized": normalized, "special": special})
}

/// As sentencepiece models are converted: unknown letters fall back to bytes, some bytes are missing.
fn sentencepiece() -> Value {
    let letters = "▁abelorstw<>|/_é\n";
    let merges = [
        "l o", "lo w", "e r", "a b", "▁ a", "▁a b", "e s", "es t", "low er", "low est", "▁ low",
    ];
    let mut tokens: Vec<String> = ["<unk>", "<s>", "</s>"].map(String::from).to_vec();
    tokens.extend((0..=0xF0).map(|byte| format!("<0x{byte:02X}>")));
    tokens.extend(letters.chars().map(String::from));
    tokens.extend(merges.map(|merge| merge.replace(' ', "")));
    let vocab: serde_json::Map<String, Value> = tokens
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect();
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [token(0, "<unk>", true, false), token(1, "<s>", true, false), token(2, "</s>", true, false),
                         token(900, "<think>", false, true)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
        "pre_tokenizer": null,
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                  "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
                  "vocab": vocab, "merges": merges},
    })
}

fn changed(mut file: Value, change: impl Fn(&mut Value)) -> String {
    change(&mut file);
    file.to_string()
}

/// A change of the model of the sentencepiece file.
fn model(key: &str, value: Value) -> String {
    changed(sentencepiece(), |file| file["model"][key] = value.clone())
}

fn as_pairs(file: &mut Value) {
    for merge in file["model"]["merges"].as_array_mut().unwrap() {
        if let Some((left, right)) = merge.as_str().and_then(|line| line.split_once(' ')) {
            *merge = json!([left, right]);
        }
    }
}

fn as_lines(file: &mut Value) {
    for merge in file["model"]["merges"].as_array_mut().unwrap() {
        if let Some(pair) = merge.as_array() {
            *merge = format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()).into();
        }
    }
}

#[test]
fn the_builtin_model() {
    assert_quick(BUILTIN);
    assert_quick(&changed(serde_json::from_str(BUILTIN).unwrap(), as_lines));
    assert_quick(&changed(serde_json::from_str(BUILTIN).unwrap(), as_pairs));
}

#[test]
fn a_sentencepiece_model() {
    assert_quick(&sentencepiece().to_string());
    assert_quick(&changed(sentencepiece(), as_pairs));
    for flag in ["fuse_unk", "byte_fallback"] {
        assert_quick(&model(flag, false.into()));
        assert_quick(&model(flag, Value::Null));
    }
    assert_quick(&model("ignore_merges", true.into()));
    assert_quick(&model("unk_token", Value::Null));
    assert_quick(&model("unk_token", "of no vocabulary".into()));
    assert_quick(&model("end_of_word_suffix", "</s>".into()));
    assert_quick(&model("continuing_subword_prefix", "".into()));
}

#[test]
fn odd_files_that_are_right() {
    assert_quick(&model("merges", json!([])));
    assert_quick(&model("merges", json!(["#version: 0.2", "l o", "lo w"])));
    assert_quick(&model("merges", json!(["l o", "e r", "l o", "lo w", "e r"]))); // twice: the later rank counts
    assert_quick(&changed(sentencepiece(), |file| {
        file.as_object_mut().unwrap().retain(|key, _| key == "model")
    }));
    assert_quick(&changed(sentencepiece(), |file| {
        file["model"]["vocab"]["far away"] = 70_000.into()
    }));
    assert_quick(&changed(sentencepiece(), |file| {
        file["model"]["vocab"].as_object_mut().unwrap().reverse_order()
    }));
    assert_quick(&changed(sentencepiece(), |file| {
        file["model"].as_object_mut().unwrap().shift_remove("type");
    }));
    let text = sentencepiece().to_string();
    assert_quick(
        &text
            .replace("\"é\"", "\"\\u00e9\"")
            .replace("\"l o\"", "\"\\u006c o\""),
    );
    assert_quick(&text.replace("\"a\":", "\"a\":700,\"a\":")); // the later id counts
    assert_quick(&text.replace(",\"merges\"", " ,\n \"merges\" "));
}

trait Reverse {
    fn reverse_order(&mut self);
}

impl Reverse for serde_json::Map<String, Value> {
    fn reverse_order(&mut self) {
        *self = std::mem::take(self).into_iter().rev().collect();
    }
}

#[test]
fn what_the_crate_decides() {
    assert_passed_on(&model("dropout", json!(0.0)));
    assert_passed_on(&model("made_up", json!([1])));
    let text = sentencepiece().to_string();
    assert_passed_on(&text.replace("\"fuse_unk\":true", "\"fuse_unk\":true,\"fuse_unk\":false"));
    assert_passed_on(&text.replace("\"padding\":null", "\"padding\":null,\"padding\":null"));
    let words = json!({"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"});
    assert_passed_on(&changed(sentencepiece(), |file| file["model"] = words.clone()));
}

#[test]
fn files_that_are_wrong() {
    for merges in [
        json!(["l o", ["lo", "w"]]),
        json!([["lo", "w"], "l o"]),
        json!(["l o w"]),
        json!(["lo"]),
        json!([""]),
        json!([["l"]]),
        json!([["l", "o", "w"]]),
        json!([["l", 5]]),
        json!([["l", "no such token"]]),
        json!(["l é"]), // both are tokens, what they make is none
        json!({"l": "o"}),
        json!("l o"),
        json!(null),
        json!([null]),
    ] {
        assert_refused(&model("merges", merges));
    }
    for id in [
        json!(-1),
        json!(1.0),
        json!(1e3),
        json!("7"),
        json!(null),
        json!([7]),
        json!(1u64 << 32),
    ] {
        assert_refused(&changed(sentencepiece(), |file| {
            file["model"]["vocab"]["a"] = id.clone()
        }));
    }
    for (key, value) in [
        ("vocab", json!([["a", 0.5]])),
        ("vocab", json!(null)),
        ("unk_token", json!(5)),
        ("fuse_unk", json!("yes")),
        ("byte_fallback", json!(1)),
        ("end_of_word_suffix", json!(["a"])),
        ("dropout", json!(2.0)),
        ("type", json!("Unigram")),
        ("type", json!("bpe")),
    ] {
        assert_refused(&model(key, value));
    }
    for (key, value) in [
        ("version", json!("2.0")),
        ("version", json!(null)),
        ("truncation", json!({"max_length": "many"})),
        ("padding", json!([])),
        ("added_tokens", json!(null)),
        ("added_tokens", json!([{"id": 0, "content": "<unk>"}])),
        (
            "added_tokens",
            json!([[0, "<unk>", false, false, false, false, true]]),
        ),
        ("added_tokens", json!([token(0, "<unk>", true, false), 5])),
        ("normalizer", json!({"type": "Nothing"})),
        (
            "pre_tokenizer",
            json!({"type": "Split", "pattern": {"Regex": "("}, "behavior": "Isolated", "invert": false}),
        ),
        ("post_processor", json!("ByteLevel")),
        ("decoder", json!({"type": "Strip"})),
        ("model", json!(["BPE", {}, []])),
        ("model", json!(null)),
        ("made_up", json!(1)),
    ] {
        assert_refused(&changed(sentencepiece(), |file| file[key] = value.clone()));
    }
    for missing in ["vocab", "merges"] {
        assert_refused(&changed(sentencepiece(), |file| {
            file["model"].as_object_mut().unwrap().shift_remove(missing);
        }));
    }
    let text = sentencepiece().to_string();
    assert_refused(&text[..text.len() - 1]);
    assert_refused(&format!("{text}x"));
    assert_refused(&text.replace("\"l o\"", "\"l o"));
    let mut broken = text.into_bytes();
    let at = broken.windows(2).position(|pair| pair == "é".as_bytes()).unwrap();
    broken[at] = 0xFF;
    assert!(load(&broken).is_err());
}

/// What the crate would take and this program does not; the words are those of limits.rs and tokenizer.rs.
#[test]
fn limits_hold_for_the_quick_reader() {
    let refused = |json: String, why: &str| {
        let failure = Tokenizer::open(json.as_bytes(), None).err().expect(why);
        assert!(failure.message.contains(why), "{}", failure.message);
        assert!(!failure.message.contains('\n'));
    };
    let part =
        |key: &'static str, value: Value| changed(sentencepiece(), move |file| file[key] = value.clone());
    let mut deep = json!({"type": "Lowercase"});
    for _ in 0..13 {
        deep = json!({"type": "Sequence", "normalizers": [deep]});
    }
    refused(part("normalizer", deep), "it is nested deeper than 24");
    let long = |pattern: &str| json!({"type": "Replace", "pattern": {"String": pattern}, "content": "x".repeat(5000)});
    refused(
        part("normalizer", long("a")),
        "its normalizer could make a text enormous",
    );
    refused(
        part("decoder", long("a")),
        "its decoder could make a text enormous",
    );
    refused(
        part("added_tokens", json!([token(0, &"a".repeat(5000), true, false)])),
        "it has an added token longer than",
    );
    let vocab =
        |name: &str, id: u32| changed(sentencepiece(), |file| file["model"]["vocab"][name] = id.into());
    refused(vocab("far", u32::MAX), "it has token ids beyond");
    refused(vocab("far", 1 << 22), "it has token ids beyond");
    refused(vocab(&"x".repeat(70_000), 1000), "it has a token longer than");
    refused(
        changed(sentencepiece(), |file| {
            file["model"]["vocab"] = json!({});
            file["model"]["merges"] = json!([]);
            file["added_tokens"] = json!([]);
        }),
        "it has no tokens",
    );
}
