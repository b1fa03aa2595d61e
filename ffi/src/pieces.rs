//! The bytes every token adds to a text, found once, so that a stream is decoded without a call into this crate.
//!
//! Hugging Face's decoders are written for whole sequences. Three shapes cover the models there are:
//! - byte level (GPT-2 and its children): every character of a token stands for one byte;
//! - sentencepiece: `▁` is a space, `<0xNN>` one byte, and one leading space of the text goes;
//! - anything else: the text of a pair of tokens less the text of its first one.

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

/// GPT-2's table: printable bytes stand for themselves, the others for 256, 257, ...
fn byte_of_char() -> std::collections::HashMap<char, u8> {
    let printable = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut next = 256u32;
    (0..=255u8)
        .map(|byte| {
            let code = if printable(byte) {
                u32::from(byte)
            } else {
                next += 1;
                next - 1
            };
            (char::from_u32(code).unwrap_or('\0'), byte)
        })
        .collect()
}

fn fallback_byte(token: &str) -> Option<u8> {
    let bytes = token.as_bytes();
    (bytes.len() == 6 && token.starts_with("<0x") && token.ends_with('>'))
        .then(|| token.get(3..5).and_then(|hex| u8::from_str_radix(hex, 16).ok()))
        .flatten()
}

/// tokens[id]: the token's text as the decoder sees it, None for a hole. The caller has bounded how long a token is and by
/// how much the decoder may lengthen one; here their sum is.
pub fn compute(tokenizer: &Tokenizer, decoder: &Value, tokens: &[Option<String>]) -> Result<Pieces, String> {
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
        Shape::Other => find_anchor(tokenizer, tokens),
        _ => None,
    };
    let mut pieces = Pieces {
        bytes: vec![],
        offsets: Vec::with_capacity(tokens.len() + 1),
        first_space,
    };
    pieces.offsets.push(0);
    for (id, token) in tokens.iter().enumerate() {
        if let Some(token) = token {
            let piece = match &shape {
                Shape::ByteLevel => {
                    let mapped: Option<Vec<u8>> = token.chars().map(|c| byte_of.get(&c).copied()).collect();
                    mapped.unwrap_or_else(|| token.clone().into_bytes())
                }
                Shape::SentencePiece {
                    replaced,
                    byte_fallback,
                    ..
                } => {
                    let mut text = token.clone();
                    for (from, to) in replaced {
                        text = text.replace(from.as_str(), to);
                    }
                    match fallback_byte(&text) {
                        Some(byte) if *byte_fallback => vec![byte],
                        _ => text.into_bytes(),
                    }
                }
                Shape::Other => pair_difference(tokenizer, &anchor, id as u32).into_bytes(),
            };
            if piece.len() > MAX_BYTES - pieces.bytes.len() {
                return Err(format!(
                    "the texts of its tokens are longer than {} MB",
                    MAX_BYTES >> 20
                ));
            }
            pieces.bytes.extend(piece);
        }
        pieces.offsets.push(pieces.bytes.len() as u32); // MAX_BYTES fits
    }
    Ok(pieces)
}

/// A token whose text is a plain word, and that text: what stands before another token changes how it is decoded.
fn find_anchor(tokenizer: &Tokenizer, tokens: &[Option<String>]) -> Option<(u32, String)> {
    (0..tokens.len() as u32)
        .filter(|&id| tokens[id as usize].is_some())
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
        let map = byte_of_char();
        assert_eq!(map.len(), 256);
        assert_eq!(map[&'Ġ'], b' ');
        assert_eq!(map[&'Ċ'], b'\n');
        assert_eq!(map[&'A'], b'A');
        assert_eq!(map[&'ł'], 0xA0);
    }

    #[test]
    fn fallback() {
        assert_eq!(fallback_byte("<0x0A>"), Some(10));
        assert_eq!(fallback_byte("<0xéa"), None);
        assert_eq!(fallback_byte("<0xZZ>"), None);
    }
}
