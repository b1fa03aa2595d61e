//! What a tokenizer.json may ask for, checked before the `tokenizers` crate builds anything from it.

use std::sync::Once;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokenizers::{AddedToken, NormalizedString, Normalizer, NormalizerWrapper};

pub const MAX_NESTING: usize = 24; // real files have 6
const MAX_GROWTH: usize = 1024;
/// Added tokens are looked for at every place of a text, by automata that are many times larger than the tokens.
const MAX_ADDED_TOKEN: usize = 4 << 10;
const MAX_ADDED_TOKENS: usize = 4 << 20; // all of them together; the largest speech models have 1 MB
/// The crate keeps the pieces of a Unigram model in a trie of 350 bytes a letter; the largest models have 2 MB.
const MAX_UNIGRAM: usize = 4 << 20;
/// How often a regex may backtrack from one place of a text. The real patterns do so a handful of times, or once for each
/// character of a run (of capitals, of spaces).
const MAX_REGEX_RETRIES: u64 = 100_000;
/// The same for one search, which fails at every place of a text that it is not about.
const MAX_REGEX_RETRIES_IN_SEARCH: u64 = 10_000_000;

/// Of every regex that is compiled or used from now on.
pub fn limit_regexes() {
    static ONCE: Once = Once::new();
    // SAFETY: plain setters of two process-wide numbers, called before any regex of this crate exists.
    ONCE.call_once(|| unsafe {
        onig_sys::onig_set_retry_limit_in_match(MAX_REGEX_RETRIES);
        onig_sys::onig_set_retry_limit_in_search(MAX_REGEX_RETRIES_IN_SEARCH);
    });
}

/// serde's untagged enums try every variant at every level: deep nesting would cost exponential time.
pub fn check_nesting(json: &[u8]) -> Result<(), String> {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MAX_NESTING {
                    return Err(format!("it is nested deeper than {MAX_NESTING}"));
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// By how much a normalizer may lengthen a text, at most.
pub fn growth(normalizer: &Value) -> Result<usize, String> {
    let too_much = || "its normalizer could make a text enormous".to_string();
    let factor = match normalizer["type"].as_str() {
        Some("Sequence") => {
            let mut product = 1usize;
            for part in normalizer["normalizers"].as_array().into_iter().flatten() {
                product = product
                    .checked_mul(growth(part)?)
                    .filter(|&p| p <= MAX_GROWTH)
                    .ok_or_else(too_much)?;
            }
            product
        }
        Some("Replace") => normalizer["content"].as_str().map_or(1, str::len).max(1),
        Some("Prepend") => 1 + normalizer["prepend"].as_str().map_or(0, str::len),
        Some("Precompiled") => longest_replacement(normalizer["precompiled_charsmap"].as_str().unwrap_or("")),
        _ => 1,
    };
    Some(factor).filter(|&f| f <= MAX_GROWTH).ok_or_else(too_much)
}

pub fn growth_of_decoder(decoder: &Value) -> Result<usize, String> {
    let too_much = || "its decoder could make a text enormous".to_string();
    let factor = match decoder["type"].as_str() {
        Some("Sequence") => {
            let mut product = 1usize;
            for part in decoder["decoders"].as_array().into_iter().flatten() {
                product = product
                    .checked_mul(growth_of_decoder(part)?)
                    .filter(|&p| p <= MAX_GROWTH)
                    .ok_or_else(too_much)?;
            }
            product
        }
        Some("Replace") => decoder["content"].as_str().map_or(1, str::len).max(1),
        _ => 1,
    };
    Some(factor).filter(|&f| f <= MAX_GROWTH).ok_or_else(too_much)
}

/// Added tokens are checked before the crate builds its automata: as they are, and as the normalizer leaves them.
pub fn check_added<'a>(
    tokens: impl IntoIterator<Item = &'a AddedToken>,
    normalizer: Option<&NormalizerWrapper>,
) -> tokenizers::Result<()> {
    let mut total = 0;
    for token in tokens {
        let content = &token.content;
        if content.len() > MAX_ADDED_TOKEN {
            return Err(format!("it has an added token longer than {MAX_ADDED_TOKEN} bytes").into());
        }
        total += content.len();
        if let (true, Some(normalizer)) = (token.normalized, normalizer) {
            let mut normalized = NormalizedString::from(content.as_str());
            normalizer.normalize(&mut normalized)?;
            total += normalized.get().len();
        }
        if total > MAX_ADDED_TOKENS {
            return Err(format!("its added tokens have more than {} MB", MAX_ADDED_TOKENS >> 20).into());
        }
    }
    Ok(())
}

/// The sum of the pieces of a Unigram model, the one whose vocabulary is a list.
#[derive(Default, Debug)]
pub struct ListedBytes(usize);

impl ListedBytes {
    pub fn check(&self) -> Result<(), String> {
        if self.0 > MAX_UNIGRAM {
            return Err(format!("its vocabulary has more than {} MB", MAX_UNIGRAM >> 20));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for ListedBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;
        impl<'de> Visitor<'de> for Sum {
            type Value = ListedBytes;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ListedBytes, A::Error> {
                let mut sum = 0;
                while let Some((piece, _)) = list.next_element::<(String, IgnoredAny)>()? {
                    sum += piece.len();
                }
                Ok(ListedBytes(sum))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ListedBytes, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(ListedBytes(0))
            }
        }
        deserializer.deserialize_any(Sum)
    }
}

/// sentencepiece's charsmap: a trie (its size in the first four bytes), then the replacements, each ended by a zero.
fn longest_replacement(base64: &str) -> usize {
    let (mut bits, mut count) = (0u32, 0u32);
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    for c in base64.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(six);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    let Some(size) = bytes
        .get(..4)
        .map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    else {
        return 1;
    };
    let texts = bytes.get(4 + size as usize..).unwrap_or(&[]);
    texts
        .split(|&byte| byte == 0)
        .map(<[u8]>::len)
        .max()
        .unwrap_or(0)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_and_growth_are_limited() {
        assert!(check_nesting(br#"{"a":["[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"{{{{{"]}"#).is_ok());
        assert!(check_nesting("[".repeat(30).as_bytes()).is_err());
        let replace = serde_json::json!({"type": "Replace", "content": "aa"});
        assert_eq!(growth(&replace), Ok(2));
        assert!(growth(&serde_json::json!({"type": "Sequence", "normalizers": vec![replace; 20]})).is_err());
    }

    #[test]
    fn added_tokens_are_limited() {
        let check = |lengths: &[usize], normalizer: Option<Value>| {
            let tokens: Vec<AddedToken> = lengths
                .iter()
                .map(|&length| AddedToken::from("x".repeat(length), false).normalized(true))
                .collect();
            let normalizer = normalizer.map(|value| serde_json::from_value(value).unwrap());
            check_added(&tokens, normalizer.as_ref()).is_ok()
        };
        assert!(check(&[MAX_ADDED_TOKEN], None));
        assert!(!check(&[MAX_ADDED_TOKEN + 1], None));
        assert!(check(&[4096; 1024], None));
        assert!(!check(&[4096; 1025], None));
        let longer =
            serde_json::json!({"type": "Replace", "pattern": {"String": "x"}, "content": "y".repeat(1000)});
        assert!(check(&[4096], Some(longer.clone())));
        assert!(!check(&[4096; 2], Some(longer)));
    }
}
