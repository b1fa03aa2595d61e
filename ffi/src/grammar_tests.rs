//! Grammars as users write them. A walker draws tokens at random from each mask, so that whatever
//! a mask allows is tried.

use std::sync::Arc;

use serde_json::{json, Value};

use crate::failure::{Failure, INVALID, LIMIT, UNSUPPORTED};
use crate::grammar::{End, Factory, Grammar, Kind, MAX_GRAMMAR};
use crate::tokenizer::Tokenizer;

const END: u32 = 270;
const TURN: u32 = 271;
const CALL: u32 = 272;
pub const VOCAB: usize = 320; // rows of padding included

/// All bytes (ids 0 to 255, as byte fallback spells them), some words, and three special tokens.
fn tokenizer() -> Tokenizer {
    let words = [
        "\"a", "\": ", "{\"", "\"}", "true", "null", "  ", "\\\"", ",\"", "12", "}}", "é", "日本", "ÿ",
    ];
    let mut vocab = serde_json::Map::new();
    for byte in 0..256 {
        vocab.insert(format!("<0x{byte:02X}>"), json!(byte));
    }
    for (i, word) in words.iter().enumerate() {
        vocab.insert(word.to_string(), json!(256 + i));
    }
    let special = |id: u32, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    let file = json!({
        "version": "1.0",
        "added_tokens": [special(END, "<|end|>"), special(TURN, "<|turn|>"), special(CALL, "<|call|>")],
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true},
    });
    Tokenizer::open(file.to_string().as_bytes(), Some(br#"{"eos_token":"<|end|>"}"#)).unwrap()
}

pub fn factory() -> Arc<Factory> {
    Arc::new(Factory::open(&tokenizer(), VOCAB, &[END, TURN]).unwrap())
}

pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) % n as u64) as usize
    }
}

fn allowed(grammar: &mut Grammar) -> Vec<u32> {
    let mut mask = [0u32; VOCAB.div_ceil(32)];
    grammar.mask(&mut mask).unwrap();
    (0..VOCAB as u32)
        .filter(|id| mask[*id as usize / 32] >> (id % 32) & 1 == 1)
        .collect()
}

/// A text the grammar ends by itself or by an end token; None when it got too long.
fn walk(factory: &Arc<Factory>, bytes: &[Vec<u8>], kind: Kind, text: &str, seed: u64) -> Option<Vec<u8>> {
    let mut random = Random(seed);
    let mut grammar = Grammar::open(factory, kind, text.as_bytes()).unwrap();
    let mut said = vec![];
    for _ in 0..600 {
        let ids = allowed(&mut grammar);
        assert!(!ids.is_empty());
        let id = ids[random.below(ids.len())];
        if id == END || id == TURN {
            return Some(said);
        }
        assert!(!bytes[id as usize].is_empty(), "token {id} has no text");
        said.extend_from_slice(&bytes[id as usize]);
        if grammar.accept(id).unwrap() == End::Reached {
            return Some(said);
        }
    }
    None
}

fn bytes_of(tokenizer: &Tokenizer) -> Vec<Vec<u8>> {
    let pieces = &tokenizer.pieces;
    let mut bytes: Vec<Vec<u8>> = pieces
        .offsets
        .windows(2)
        .map(|o| pieces.bytes[o[0] as usize..o[1] as usize].to_vec())
        .collect();
    bytes.resize(VOCAB, vec![]);
    bytes
}

fn values(schema: &Value) -> Vec<Value> {
    let (factory, bytes) = (factory(), bytes_of(&tokenizer()));
    let texts = (0..40).filter_map(|seed| walk(&factory, &bytes, Kind::Schema, &schema.to_string(), seed));
    let values: Vec<Value> = texts
        .map(|text| {
            let text = String::from_utf8(text).expect("UTF-8");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
        })
        .collect();
    assert!(values.len() >= 20, "only {} of 40 came to an end", values.len());
    values
}

fn fails(kind: Kind, text: &str) -> Failure {
    match Grammar::open(&factory(), kind, text.as_bytes()) {
        Ok(_) => panic!("accepted: {}", &text[..text.len().min(200)]),
        Err(failure) => failure,
    }
}

#[test]
fn values_fit_their_schema() {
    for v in values(&json!({"enum": ["a", "é", 3, null]})) {
        assert!(
            [json!("a"), json!("é"), json!(3), json!(null)].contains(&v),
            "{v}"
        );
    }
    for v in values(&json!({"type": "integer", "minimum": -5, "maximum": 17})) {
        assert!((-5..=17).contains(&v.as_i64().unwrap()), "{v}");
    }
    for v in values(&json!({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3})) {
        let items = v.as_array().unwrap();
        assert!(
            (1..=3).contains(&items.len()) && items.iter().all(Value::is_boolean),
            "{v}"
        );
    }
    for v in values(&json!({"type": "string", "minLength": 2, "maxLength": 4})) {
        assert!((2..=4).contains(&v.as_str().unwrap().chars().count()), "{v}");
    }
    let object = json!({"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
        "a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/pair"}]}, "b": {"const": "x"}},
        "$defs": {"pair": {"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "minItems": 2, "maxItems": 2}}});
    for v in values(&object) {
        let fields = v.as_object().unwrap();
        assert!(fields["a"].is_null() || fields["a"] == json!([1, 2]), "{v}");
        assert!(
            fields.get("b").is_none_or(|b| b == "x") && fields.len() <= 2,
            "{v}"
        );
    }
}

#[test]
fn nothing_that_is_no_text_is_ever_allowed() {
    let mut grammar = Grammar::open(&factory(), Kind::Regex, b"(?s).*").unwrap();
    let ids = allowed(&mut grammar);
    assert!(ids.contains(&u32::from(b'a')) && ids.contains(&END) && ids.contains(&TURN));
    assert!(!ids.contains(&0xFF) && !ids.contains(&0xC0), "never in UTF-8");
    assert!(!ids.contains(&CALL), "special, and the grammar does not name it");
    assert!(
        ids.iter().all(|&id| id < 270 || id == END || id == TURN),
        "holes and padding"
    );

    // the end, exactly where the grammar accepts
    let mut grammar = Grammar::open(&factory(), Kind::Regex, b"ab?c").unwrap();
    assert_eq!(allowed(&mut grammar), [u32::from(b'a')]);
    assert_eq!(grammar.accept(u32::from(b'a')).unwrap(), End::No);
    assert_eq!(grammar.accept(u32::from(b'c')).unwrap(), End::Reached);
    let mut grammar = Grammar::open(&factory(), Kind::Regex, b"ab?").unwrap();
    assert_eq!(grammar.accept(u32::from(b'a')).unwrap(), End::Allowed);
    assert_eq!(allowed(&mut grammar), [u32::from(b'b'), END, TURN]);
    // what was not allowed is an error, not a surprise
    assert!(grammar.accept(u32::from(b'x')).is_err());
    assert!(grammar.mask(&mut [0; VOCAB.div_ceil(32)]).is_err());
}

#[test]
fn a_special_token_that_is_named_is_allowed() {
    let mut grammar = Grammar::open(&factory(), Kind::Lark, b"start: <|call|> \"x\"").unwrap();
    assert_eq!(allowed(&mut grammar), [CALL]);
    assert_eq!(grammar.accept(CALL).unwrap(), End::No);
    assert_eq!(allowed(&mut grammar), [u32::from(b'x')]);
    assert_eq!(grammar.accept(u32::from(b'x')).unwrap(), End::Reached);
}

#[test]
fn blanks_come_to_an_end() {
    let mut grammar = Grammar::open(&factory(), Kind::Json, b"").unwrap();
    assert_eq!(grammar.accept(u32::from(b'{')).unwrap(), End::No);
    let mut blanks = 0;
    loop {
        let ids = allowed(&mut grammar);
        let Some(&id) = ids
            .iter()
            .find(|&&id| [b'\n', b' '].contains(&(id as u8)) && id < 256)
        else {
            break;
        };
        grammar.accept(id).unwrap();
        blanks += 1;
        assert!(blanks < 50);
    }
    assert_eq!(grammar.accept(u32::from(b'}')).unwrap(), End::Reached);
    assert!(blanks >= 1);
}

#[test]
fn a_number_may_go_on_and_everything_else_is_over() {
    let open = |schema: &str| Grammar::open(&factory(), Kind::Schema, schema.as_bytes()).unwrap();
    assert_eq!(
        open(r#"{"type":"integer"}"#).accept(u32::from(b'7')).unwrap(),
        End::Allowed
    );
    let mut grammar = open(r#"{"type":["string","null"]}"#);
    assert_eq!(grammar.accept(u32::from(b'"')).unwrap(), End::No);
    assert_eq!(grammar.accept(u32::from(b'"')).unwrap(), End::Reached);
}

#[test]
fn what_is_not_enforced_is_refused_by_name() {
    for keyword in [
        r#""not":{}"#,
        r#""if":{},"then":{}"#,
        r#""uniqueItems":true"#,
        r#""contains":{}"#,
        r#""dependencies":{"a":["b"]}"#,
        r#""dependentRequired":{"a":["b"]}"#,
        r#""propertyNames":{"maxLength":3}"#,
        r#""unevaluatedProperties":false"#,
        r##""$dynamicRef":"#a""##,
        r#""x-guidance":{"lenient":true}"#,
    ] {
        let name = keyword.split('"').nth(1).unwrap();
        for draft in ["", r#""$schema":"http://json-schema.org/draft-07/schema#","#] {
            for schema in [
                format!("{{{draft}{keyword}}}"),
                format!(r#"{{{draft}"properties":{{"p":{{"items":{{{keyword}}}}}}}}}"#),
                format!(r##"{{{draft}"$ref":"#/other/place","other":{{"place":{{{keyword}}}}}}}"##),
            ] {
                let failure = fails(Kind::Schema, &schema);
                assert_eq!(failure.code, UNSUPPORTED, "{schema}: {failure:?}");
                assert!(failure.message.contains(&format!("/{name}")), "{failure:?}");
            }
        }
    }
    let format = fails(Kind::Schema, r#"{"type":"string","format":"shoe-size"}"#);
    assert!(
        format.code == UNSUPPORTED && format.message.contains("shoe-size"),
        "{format:?}"
    );
    assert_eq!(
        fails(Kind::Schema, r#"{"oneOf":[{"type":"string"},{"minLength":3}]}"#).code,
        UNSUPPORTED
    );
    // a name is not a keyword, nor is a value
    let names = json!({"properties": {"not": {"const": {"if": 1, "uniqueItems": false}}, "uniqueItems": false},
                       "required": ["not"], "additionalProperties": false, "type": "object"});
    for v in values(&names) {
        assert_eq!(v, json!({"not": {"if": 1, "uniqueItems": false}}));
    }
}

/// llguidance cuts a long value in its message at a byte; where that lies inside of a character it panics.
#[test]
fn a_panic_is_a_refusal() {
    for shift in ["", "a", "aa"] {
        let word = format!("{shift}{}", "日".repeat(40));
        let failure = fails(
            Kind::Schema,
            &json!({"type": "string", "minLength": word}).to_string(),
        );
        assert!(
            failure.message.contains("cannot cope") || failure.message.contains("minLength"),
            "{failure:?}"
        );
        assert!(!failure.message.contains("panic"), "{failure:?}");
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (kind, text, word) in [
        (Kind::Schema, "{", "not JSON"),
        (Kind::Schema, "3", "not an object"),
        (Kind::Schema, "false", "no value"),
        (Kind::Schema, r#"{"type":"strnig"}"#, "strnig"),
        (
            Kind::Schema,
            r#"{"type":"string","pattern":"("}"#,
            "regular expression|regex|group",
        ),
        (Kind::Schema, r##"{"$ref":"#/$defs/none"}"##, "none"),
        (
            Kind::Schema,
            r#"{"$ref":"http://example.com/x.json"}"#,
            "example.com",
        ),
        (
            Kind::Schema,
            r#"{"type":"integer","minimum":3,"maximum":2}"#,
            "greater|nsatisf|minimum",
        ),
        (Kind::Regex, "", "empty"),
        (Kind::Regex, "a\\", "backslash"),
        (Kind::Regex, "(", "group|paren"),
        (Kind::Regex, "[^\\x00-\\x{10FFFF}]", ""),
        (Kind::Lark, "", ""),
        (Kind::Lark, "begin: \"a\"", "start"),
        (Kind::Lark, "start: rule", "rule"),
        (Kind::Lark, "start: \"\"", "empty"),
    ] {
        let failure = fails(kind, text);
        assert!(
            [INVALID, UNSUPPORTED].contains(&failure.code),
            "{text}: {failure:?}"
        );
        assert!(
            word.split('|').any(|w| failure.message.contains(w)),
            "{text}: {failure:?}"
        );
        assert!(
            !failure.message.contains('\n') && !failure.message.contains("panic"),
            "{failure:?}"
        );
    }
    let members = |n: usize| {
        (0..n)
            .map(|i| (format!("p{i}"), json!({})))
            .collect::<serde_json::Map<_, _>>()
    };
    let too_many = fails(
        Kind::Schema,
        &json!({"items": {"properties": members(401)}}).to_string(),
    );
    assert!(
        too_many.code == LIMIT && too_many.message.contains("#/items/properties has 401"),
        "{too_many:?}"
    );
    let names: Vec<_> = members(401).keys().cloned().collect();
    let schema = json!({"type": "object", "properties": members(401), "required": names}).to_string();
    assert!(Grammar::open(&factory(), Kind::Schema, schema.as_bytes()).is_ok());
    assert_eq!(fails(Kind::Regex, &"a".repeat(MAX_GRAMMAR + 1)).code, LIMIT);
}

#[test]
fn a_model_without_an_end_still_ends() {
    let factory = Arc::new(Factory::open(&tokenizer(), VOCAB, &[VOCAB as u32]).unwrap());
    let mut grammar = Grammar::open(&factory, Kind::Regex, b"ab?").unwrap();
    assert_eq!(grammar.accept(u32::from(b'a')).unwrap(), End::Allowed);
    assert_eq!(allowed(&mut grammar), [u32::from(b'b')]);
    assert_eq!(grammar.accept(u32::from(b'b')).unwrap(), End::Reached);
}

#[test]
fn many_compile_at_once() {
    let factory = factory();
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#;
    std::thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                Grammar::open(&factory, Kind::Schema, schema.as_bytes())
                    .map(|_| ())
                    .unwrap()
            });
        }
    });
}
