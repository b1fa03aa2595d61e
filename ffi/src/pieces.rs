//! The bytes every token adds to a text, found once, so that a stream is decoded without a call into this crate.
//!
//! Hugging Face's decoders are written for whole sequences. Three shapes cover the models there are:
//! - byte level (GPT-2 and its children): every character of a token stands for one byte;
//! - sentencepiece: `▁` is a space, `<0xNN>` one byte, and one leading space of the text goes;
//! - anything else: the text of a pair of tokens less the text of its first one.

use std::borrow::Cow;

use serde_json::Value;
use tokenizers::Tokenizer;

/// What happens to spaces at the very start of a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FirstSpace {
    Kept = 0,
    /// One leading space is dropped (Strip, start 1).
    OneDropped = 1,
    /// Every space of the first token is dropped (Metaspace).
    AllOfFirstTokenDropped = 2,
}

/// The pieces of real models take a few megabytes.
const MAX_BYTES: usize = 256 << 20;
const MAX_TOKEN: usize = 64 << 10; // bytes; real ones have a few hundred

pub struct Pieces {
    pub bytes: Vec<u8>,
    pub offsets: Vec<u32>, // vocab_size + 1
    pub first_space: FirstSpace,
}

enum Shape {
    ByteLevel,
    SentencePiece {
        replaced: Vec<(String, String)>,
        byte_fallback: bool,
        first_space: FirstSpace,
    },
    Other,
}

/// The decoder's parts in order, sequences flattened.
fn flatten<'a>(decoder: &'a Value, parts: &mut Vec<&'a Value>) {
    if decoder["type"] == "Sequence" {
        for part in decoder["decoders"].as_array().into_iter().flatten() {
            flatten(part, parts);
        }
    } else if !decoder.is_null() {
        parts.push(decoder);
    }
}

fn shape_of(decoder: &Value) -> Shape {
    let mut parts = vec![];
    flatten(decoder, &mut parts);
    if parts.is_empty() {
        return Shape::Other;
    }
    if parts
        .iter()
        .all(|part| part["type"] == "ByteLevel" || part["type"] == "Fuse")
        && parts.iter().filter(|part| part["type"] == "ByteLevel").count() == 1
    {
        return Shape::ByteLevel;
    }
    let mut replaced = vec![];
    let mut byte_fallback = false;
    let mut fused = false;
    let mut first_space = FirstSpace::Kept;
    for part in parts {
        match part["type"].as_str() {
            Some("Replace") if !fused && !byte_fallback => {
                match (part["pattern"]["String"].as_str(), part["content"].as_str()) {
                    (Some(from), Some(to)) if !from.is_empty() => replaced.push((from.into(), to.into())),
                    _ => return Shape::Other,
                }
            }
            Some("Metaspace") if !fused && !byte_fallback => {
                let Some(from) = part["replacement"].as_str() else {
                    return Shape::Other;
                };
                replaced.push((from.into(), " ".into()));
                let never =
                    part["prepend_scheme"] == "never" || part["add_prefix_space"] == Value::Bool(false);
                if !never {
                    first_space = FirstSpace::AllOfFirstTokenDropped;
                }
            }
            Some("ByteFallback") if !fused => byte_fallback = true,
            Some("Fuse") => fused = true,
            Some("Strip") if fused && part["content"] == " " && part["stop"] == 0 => {
                match part["start"].as_u64() {
                    Some(0) => {}
                    Some(1) => first_space = FirstSpace::OneDropped,
                    _ => return Shape::Other,
                }
            }
            _ => return Shape::Other,
        }
    }
    Shape::SentencePiece {
        replaced,
        byte_fallback,
        first_space,
    }
}

/// GPT-2's characters for bytes: printable bytes stand for themselves, the others for 256, 257, ...
const BYTE_LEVEL_CHARS: usize = 256 + 68;

/// The byte of each of these characters, by its code point.
fn byte_of_char() -> [Option<u8>; BYTE_LEVEL_CHARS] {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut table = [None; BYTE_LEVEL_CHARS];
    let mut next = 256;
    for byte in 0..=255u8 {
        if printable(byte) {
            table[usize::from(byte)] = Some(byte);
        } else {
            table[next] = Some(byte);
            next += 1;
        }
    }
    table
}

fn fallback_byte(token: &str) -> Option<u8> {
    let bytes = token.as_bytes();
    (bytes.len() == 6 && token.starts_with("<0x") && token.ends_with('>'))
        .then(|| token.get(3..5).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
        .flatten()
}

/// The token of an id as the decoder sees it; texts holds those of the model's first ids, or nothing.
fn token_of<'a>(tokenizer: &Tokenizer, texts: &'a [Cow<str>], id: u32) -> Option<Cow<'a, str>> {
    let added = tokenizer.get_added_vocabulary().simple_id_to_token(id);
    added
        .map(Cow::Owned)
        .or_else(|| texts.get(id as usize).map(|text| Cow::Borrowed(text.as_ref())))
        .or_else(|| tokenizer.id_to_token(id).map(Cow::Owned))
}

/// The pieces of the ids 0 .. size - 1, and whether some of these ids have no token. By how much the decoder may lengthen a
/// token has been bounded; here the length of a token is, and their sum.
pub fn compute(
    tokenizer: &Tokenizer,
    texts: &[Cow<str>],
    decoder: &Value,
    size: usize,
) -> Result<(Pieces, bool), String> {
    let shape = shape_of(decoder);
    let byte_of = byte_of_char();
    let first_space = match &shape {
        Shape::ByteLevel => FirstSpace::Kept,
        Shape::SentencePiece { first_space, .. } => *first_space,
        Shape::Other if decoder.is_null() => FirstSpace::OneDropped, // tokens are joined with spaces
        Shape::Other if decoder["type"] == "WordPiece" => FirstSpace::OneDropped,
        Shape::Other => FirstSpace::Kept,
    };
    let anchor = match shape {
        Shape::Other => find_anchor(tokenizer, size),
        _ => None,
    };
    let mut pieces = Pieces {
        bytes: vec![],
        offsets: Vec::with_capacity(size + 1),
        first_space,
    };
    pieces.offsets.push(0);
    let mut holes = false;
    for id in 0..size as u32 {
        let token = token_of(tokenizer, texts, id);
        holes |= token.is_none();
        if let Some(token) = token {
            if token.len() > MAX_TOKEN {
                return Err(format!("it has a token longer than {MAX_TOKEN} bytes"));
            }
            match &shape {
                Shape::ByteLevel => add_byte_level(&token, &byte_of, &mut pieces.bytes),
                Shape::SentencePiece {
                    replaced,
                    byte_fallback,
                    ..
                } => add_sentence_piece(&token, replaced, *byte_fallback, &mut pieces.bytes),
                Shape::Other => pieces
                    .bytes
                    .extend(pair_difference(tokenizer, &anchor, id).into_bytes()),
            }
            if pieces.bytes.len() > MAX_BYTES {
                return Err(format!(
                    "the texts of its tokens are longer than {} MB",
                    MAX_BYTES >> 20
                ));
            }
        }
        pieces.offsets.push(pieces.bytes.len() as u32); // MAX_BYTES fits
    }
    Ok((pieces, holes))
}

/// A token with another character than those of the table stands for itself.
fn add_byte_level(token: &str, byte_of: &[Option<u8>; BYTE_LEVEL_CHARS], bytes: &mut Vec<u8>) {
    let start = bytes.len();
    for c in token.chars() {
        match byte_of.get(c as usize) {
            Some(Some(byte)) => bytes.push(*byte),
            _ => {
                bytes.truncate(start);
                bytes.extend_from_slice(token.as_bytes());
                return;
            }
        }
    }
}

fn add_sentence_piece(token: &str, replaced: &[(String, String)], byte_fallback: bool, bytes: &mut Vec<u8>) {
    let mut text = Cow::Borrowed(token);
    for (from, to) in replaced {
        if text.contains(from.as_str()) {
            text = Cow::Owned(text.replace(from.as_str(), to));
        }
    }
    match fallback_byte(&text) {
        Some(byte) if byte_fallback => bytes.push(byte),
        _ => bytes.extend_from_slice(text.as_bytes()),
    }
}

/// A token whose text is a plain word, and that text: what stands before another token changes how it is decoded.
fn find_anchor(tokenizer: &Tokenizer, size: usize) -> Option<(u32, String)> {
    (0..size as u32)
        .filter(|&id| tokenizer.id_to_token(id).is_some())
        .find_map(|id| {
            let text = tokenizer.decode(&[id], true).ok()?;
            (!text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric())).then_some((id, text))
        })
}

fn pair_difference(tokenizer: &Tokenizer, anchor: &Option<(u32, String)>, id: u32) -> String {
    if let Some((anchor_id, anchor_text)) = anchor {
        if let Ok(pair) = tokenizer.decode(&[*anchor_id, id], false) {
            if let Some(rest) = pair.strip_prefix(anchor_text.as_str()) {
                return rest.to_string();
            }
        }
    }
    tokenizer.decode(&[id], false).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpt2_table() {
        let table = byte_of_char();
        let byte_of = |c: char| table[c as usize];
        assert_eq!(table.iter().flatten().count(), 256);
        assert_eq!(byte_of('Ġ'), Some(b' '));
        assert_eq!(byte_of('Ċ'), Some(b'\n'));
        assert_eq!(byte_of('A'), Some(b'A'));
        assert_eq!(byte_of('ł'), Some(0xA0));
        assert_eq!(byte_of(' '), None);
    }

    #[test]
    fn a_token_of_other_characters_stands_for_itself() {
        let mut bytes = b"x".to_vec();
        add_byte_level("Ġa", &byte_of_char(), &mut bytes);
        add_byte_level("Ġ▁", &byte_of_char(), &mut bytes);
        add_byte_level("a b", &byte_of_char(), &mut bytes);
        assert_eq!(bytes, "x aĠ▁a b".as_bytes());
    }

    #[test]
    fn fallback() {
        assert_eq!(fallback_byte("<0x0A>"), Some(10));
        assert_eq!(fallback_byte("<0xéa"), None);
        assert_eq!(fallback_byte("<0xZZ>"), None);
    }
}
