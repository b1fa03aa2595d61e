//! Opens a tokenizer and encodes with it, in two ways: as Hugging Face does, and "rendered", where a user's text can
//! never become a control token.
//!
//! **Marks.** Before a template sees a user's text, every character in it that could begin a control token is followed by
//! U+FDD1, a code point that is in no text (marks in the input become U+FFFD). The rendered prompt therefore says of
//! every place whether a control token may begin there, whatever the template trims, splits or joins. Encoding takes the
//! marks out and remembers where they stood ("cuts"); a control token is taken only where no cut lies inside it and where
//! the prompt spells it exactly (so that a normalizer cannot make one out of look-alike letters). Everything else is the
//! ordinary pipeline of the `tokenizers` crate, in one pass, so that a prompt without look-alikes gets the same ids.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::normalizer::Range;
use tokenizers::{
    AddedToken, Model, NormalizedString, Normalizer, NormalizerWrapper, OffsetType, PreTokenizedString,
    PreTokenizer, Token,
};

use crate::failure::{one_line, Failure, Outcome};
use crate::limits::{check_added, check_nesting, growth, growth_of_decoder, limit_regexes, ListedBytes};
use crate::literals::Literals;
use crate::pieces::{self, Pieces};

pub const MARK: char = '\u{FDD1}';

const MAX_TOKENIZER_JSON: usize = 128 << 20;
const MAX_CONFIG_JSON: usize = 32 << 20;
const MAX_VOCAB: u32 = 1 << 22;
const MAX_TEXT: usize = 16 << 20;
const MAX_NORMALIZED: usize = 64 << 20;
const MAX_TOKEN: usize = 64 << 10; // bytes; real ones have a few hundred

struct Added {
    token: AddedToken,
    control: bool,
}

pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    pub config: Value,
    pub pieces: Pieces,
    pub special: Vec<u8>, // per id
    pub bos: Option<u32>,
    pub eos: Option<u32>,
    added: HashMap<u32, Added>,
    raw: Literals,        // matched in the text as it is
    normalized: Literals, // matched after the normalizer
    growth: usize,
    marker: Marker,
}

/// What a control token is: what the file says, or what looks like one ("<think>", "[INST]").
fn is_control(token: &AddedToken) -> bool {
    let content = token.content.as_str();
    let bracketed = |open, close| content.len() > 2 && content.starts_with(open) && content.ends_with(close);
    token.special || bracketed('<', '>') || bracketed('[', ']')
}

// ---- opening -------------------------------------------------------------------------------------------------------

/// The parts of tokenizer.json that are looked at before the crate builds anything from them.
#[derive(Deserialize)]
struct Outline {
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    decoder: Value,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    model: ModelOutline,
}

#[derive(Deserialize, Default)]
struct ModelOutline {
    #[serde(default)]
    vocab: ListedBytes,
}

impl Tokenizer {
    pub fn open(tokenizer_json: &[u8], config_json: Option<&[u8]>) -> Outcome<Self> {
        limit_regexes();
        let bad = |why: &dyn std::fmt::Display| {
            Failure::invalid(format!(
                "tokenizer.json is not usable: {}",
                one_line(&why.to_string())
            ))
        };
        if tokenizer_json.len() > MAX_TOKENIZER_JSON {
            return Err(Failure::limit(format!(
                "tokenizer.json is larger than {} MB",
                MAX_TOKENIZER_JSON >> 20
            )));
        }
        check_nesting(tokenizer_json).map_err(|why| bad(&why))?;
        let outline: Outline = serde_json::from_slice(tokenizer_json).map_err(|e| bad(&e))?;
        let growth = growth(&outline.normalizer)
            .and_then(|n| growth_of_decoder(&outline.decoder).map(|_| n))
            .map_err(|why| bad(&why))?;
        outline.model.vocab.check().map_err(|why| bad(&why))?;
        let normalizer: Option<NormalizerWrapper> =
            Deserialize::deserialize(&outline.normalizer).map_err(|e| bad(&e))?;
        check_added(&outline.added_tokens, normalizer.as_ref()).map_err(|e| bad(&e))?;
        let mut inner: tokenizers::Tokenizer = serde_json::from_slice(tokenizer_json).map_err(|e| bad(&e))?;
        inner.with_truncation(None).map_err(|e| bad(&e))?;
        inner.with_padding(None);
        let config = parse_config(config_json)?;
        add_tokens_of_config(&mut inner, &config).map_err(|e| bad(&e))?;

        let tokens = tokens_by_id(&inner).map_err(|why| bad(&why))?;
        if tokens.iter().flatten().any(|token| token.len() > MAX_TOKEN) {
            return Err(bad(&format!("it has a token longer than {MAX_TOKEN} bytes")));
        }
        let pieces = pieces::compute(&inner, &outline.decoder, &tokens).map_err(|why| bad(&why))?;

        let added: HashMap<u32, Added> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .map(|(id, token)| {
                (
                    id,
                    Added {
                        control: is_control(&token),
                        token,
                    },
                )
            })
            .collect();
        let mut special = vec![0u8; tokens.len()];
        for (&id, entry) in &added {
            special[id as usize] = u8::from(entry.token.special);
        }
        // As the crate: a token that is matched after normalizing is itself normalized first.
        let mut normalized_contents = vec![];
        for (&id, entry) in added.iter().filter(|(_, entry)| entry.token.normalized) {
            let mut content = NormalizedString::from(entry.token.content.as_str());
            if let Some(normalizer) = inner.get_normalizer() {
                normalizer.normalize(&mut content).map_err(|e| bad(&e))?;
            }
            normalized_contents.push((content.get().to_string(), id));
        }
        let raw = Literals::new(
            added
                .iter()
                .filter(|(_, a)| !a.token.normalized)
                .map(|(&id, a)| (a.token.content.as_str(), id)),
        );
        let normalized = Literals::new(normalized_contents.iter().map(|(text, id)| (text.as_str(), *id)));
        let marker = Marker::new(added.values());

        let id_of = |key: &str| token_name(&config[key]).and_then(|name| inner.token_to_id(name));
        let (bos, eos) = (id_of("bos_token"), id_of("eos_token"));
        Ok(Tokenizer {
            inner,
            config,
            pieces,
            special,
            bos,
            eos,
            added,
            raw,
            normalized,
            growth,
            marker,
        })
    }

    pub fn vocab_size(&self) -> usize {
        self.special.len()
    }

    pub fn find(&self, content: &str) -> Option<u32> {
        self.inner.token_to_id(content)
    }

    /// Marks what could become a control token in a text that somebody typed.
    pub fn mark<'a>(&self, text: &'a str, scope: Scope) -> Cow<'a, str> {
        self.marker.mark(text, scope)
    }

    fn checked_text<'a>(&self, text: &'a [u8]) -> Outcome<Cow<'a, str>> {
        let most = MAX_TEXT.min(MAX_NORMALIZED / self.growth);
        if text.len() > most {
            return Err(Failure::limit(format!(
                "the text has {} bytes; at most {most} can be encoded",
                text.len()
            )));
        }
        Ok(String::from_utf8_lossy(text))
    }

    // ---- encoding --------------------------------------------------------------------------------------------------

    pub fn encode(&self, text: &[u8], add_special: bool) -> Outcome<Vec<u32>> {
        let text = self.checked_text(text)?;
        let encoding = self
            .inner
            .encode_fast(text.as_ref(), add_special)
            .map_err(encoding_failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    pub fn encode_rendered(&self, text: &[u8]) -> Outcome<Vec<u32>> {
        let text = self.checked_text(text)?;
        let (clean, cuts) = take_marks(&text);
        let cut_inside = |start: usize, end: usize| {
            let next = cuts.partition_point(|&cut| cut <= start);
            cuts.get(next).is_some_and(|&cut| cut < end)
        };
        let mut pretokenized = PreTokenizedString::from(clean.as_ref());
        pretokenized
            .split(|_, piece| {
                let shift = piece.offsets_original().0;
                Ok(self.split_added(&piece, &self.raw, |added, start, end| {
                    !added.control || !cut_inside(shift + start, shift + end)
                }))
            })
            .map_err(encoding_failed)?;
        pretokenized
            .split(|_, mut piece| {
                if let Some(normalizer) = self.inner.get_normalizer() {
                    normalizer.normalize(&mut piece)?;
                }
                let shift = piece.offsets_original().0;
                Ok(self.split_added(&piece, &self.normalized, |added, start, end| {
                    if !added.control {
                        return true;
                    }
                    let Some(range) = piece.convert_offsets(Range::Normalized(start..end)) else {
                        return false;
                    };
                    piece.get_original().get(range.clone()).map(str::trim) == Some(added.token.content.trim())
                        && !cut_inside(shift + range.start, shift + range.end)
                }))
            })
            .map_err(encoding_failed)?;
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer
                .pre_tokenize(&mut pretokenized)
                .map_err(encoding_failed)?;
        }
        pretokenized
            .tokenize(|piece| self.plain_tokens(piece.get()))
            .map_err(encoding_failed)?;
        let encoding = pretokenized
            .into_encoding(None, 0, OffsetType::None)
            .map_err(encoding_failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// AddedVocabulary::find_matches of the crate, with a say in which matches are taken.
    fn split_added(
        &self,
        piece: &NormalizedString,
        literals: &Literals,
        genuine: impl Fn(&Added, usize, usize) -> bool,
    ) -> Vec<(NormalizedString, Option<Vec<Token>>)> {
        let text = piece.get();
        let mut ranges: Vec<(Option<u32>, usize, usize)> = vec![];
        let mut done = 0; // everything before it is in ranges
        let mut at = 0;
        let mut found = vec![];
        while at < text.len() && !literals.is_empty() {
            literals.at(text.as_bytes(), at, &mut found);
            let taken = found.iter().find_map(|&(length, id)| {
                let added = self.added.get(&id)?;
                genuine(added, at, at + length).then_some((length, id, added))
            });
            let Some((length, id, added)) = taken else {
                at += 1;
                continue;
            };
            let (mut start, mut end) = (at, at + length);
            at = end;
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            if added.token.single_word
                && (is_word(text[..start].chars().next_back()) || is_word(text[end..].chars().next()))
            {
                continue;
            }
            if added.token.lstrip {
                start = text[..start].trim_end().len().max(done);
            }
            if added.token.rstrip {
                end = text.len() - text[end..].trim_start().len();
            }
            if done < start {
                ranges.push((None, done, start));
            }
            ranges.push((Some(id), start.max(done), end.max(done)));
            done = end.max(done);
        }
        if done < text.len() {
            ranges.push((None, done, text.len()));
        }
        if let [(None, _, _)] = ranges[..] {
            return vec![(piece.clone(), None)];
        }
        ranges
            .into_iter()
            .filter_map(|(id, start, end)| {
                let slice = piece.slice(Range::Normalized(start..end))?;
                let tokens = id.map(|id| vec![Token::new(id, String::new(), (0, end - start))]);
                Some((slice, tokens))
            })
            .collect()
    }

    /// The model's tokens of a text that holds no control token. Some vocabularies (Unigram, ignore_merges) would find one
    /// all the same, because they hold it as an ordinary piece: that stretch is encoded letter by letter.
    fn plain_tokens(&self, text: &str) -> tokenizers::Result<Vec<Token>> {
        let model = self.inner.get_model();
        let spells = |token: &Token, text: &str| {
            let (start, end) = token.offsets;
            self.added.get(&token.id).is_some_and(|added| added.control)
                && text.get(start..end).map(str::to_string) == model.id_to_token(token.id)
        };
        let tokens = model.tokenize(text)?;
        if !tokens.iter().any(|token| spells(token, text)) {
            return Ok(tokens);
        }
        let mut plain = vec![];
        for token in tokens {
            if !spells(&token, text) {
                plain.push(token);
                continue;
            }
            for letter in token.value.chars() {
                let letter = letter.to_string();
                plain.extend(
                    model
                        .tokenize(&letter)?
                        .into_iter()
                        .filter(|token| !spells(token, &letter)),
                );
            }
        }
        Ok(plain)
    }
}

/// The content of every id. As a rule n tokens have the ids 0 .. n - 1; only where that is not so is the whole vocabulary
/// copied out to find the highest one, which takes as long as parsing it.
fn tokens_by_id(inner: &tokenizers::Tokenizer) -> Result<Vec<Option<String>>, String> {
    let up_to =
        |size: usize| -> Vec<Option<String>> { (0..size as u32).map(|id| inner.id_to_token(id)).collect() };
    let check = |size: usize| match size {
        0 => Err("it has no tokens".to_string()),
        _ if size as u64 > u64::from(MAX_VOCAB) => Err(format!("it has token ids beyond {MAX_VOCAB}")),
        _ => Ok(()),
    };
    let size = inner.get_vocab_size(true);
    check(size)?;
    let tokens = up_to(size);
    if tokens.iter().all(Option::is_some) {
        return Ok(tokens);
    }
    let size = inner
        .get_vocab(true)
        .values()
        .max()
        .map_or(0, |&id| id as usize + 1);
    check(size)?;
    Ok(up_to(size))
}

fn encoding_failed(error: tokenizers::Error) -> Failure {
    Failure::invalid(format!(
        "the text cannot be encoded: {}",
        one_line(&error.to_string())
    ))
}

/// The text without marks, and where they stood in it.
fn take_marks(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    if !text.contains(MARK) {
        return (Cow::Borrowed(text), vec![]);
    }
    let mut clean = String::with_capacity(text.len());
    let mut cuts = vec![];
    for part in text.split(MARK) {
        clean.push_str(part);
        cuts.push(clean.len());
    }
    cuts.pop(); // the end of the text
    cuts.dedup();
    (Cow::Owned(clean), cuts)
}

// ---- tokenizer_config.json -----------------------------------------------------------------------------------------

fn parse_config(json: Option<&[u8]>) -> Outcome<Value> {
    let Some(json) = json else { return Ok(Value::Null) };
    if json.len() > MAX_CONFIG_JSON {
        return Err(Failure::limit(format!(
            "tokenizer_config.json is larger than {} MB",
            MAX_CONFIG_JSON >> 20
        )));
    }
    let config: Value = serde_json::from_slice(json).map_err(|e| {
        Failure::invalid(format!(
            "tokenizer_config.json is not usable: {}",
            one_line(&e.to_string())
        ))
    })?;
    if !config.is_object() {
        return Err(Failure::invalid(
            "tokenizer_config.json is not usable: it is not an object",
        ));
    }
    Ok(config)
}

/// "</s>", or {"content": "</s>", ...}.
pub fn token_name(value: &Value) -> Option<&str> {
    value
        .as_str()
        .or_else(|| value["content"].as_str())
        .filter(|name| !name.is_empty())
}

pub const NAMED_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// As transformers does when it loads a tokenizer: tokens that only tokenizer_config.json knows are added.
fn add_tokens_of_config(inner: &mut tokenizers::Tokenizer, config: &Value) -> tokenizers::Result<()> {
    let known: HashMap<String, AddedToken> = inner
        .get_added_tokens_decoder()
        .into_values()
        .map(|token| (token.content.clone(), token))
        .collect();
    let mut names: BTreeSet<String> = known.keys().cloned().collect();
    let named: Vec<&Value> = NAMED_TOKENS.iter().map(|key| &config[*key]).collect();
    let is_named = |content: &str| named.iter().any(|value| token_name(value) == Some(content));
    let mut new = vec![];

    let mut by_id = BTreeMap::new();
    for (id, value) in config["added_tokens_decoder"].as_object().into_iter().flatten() {
        if let (Ok(id), Some(token)) = (id.parse::<u32>(), added_token(value)) {
            by_id.insert(id, token);
        }
    }
    for mut token in by_id.into_values() {
        if known.get(&token.content) != Some(&token) {
            names.insert(token.content.clone());
            token.special |= is_named(&token.content);
            new.push(token);
        }
    }
    let extra = ["additional_special_tokens", "extra_special_tokens"].map(|key| match &config[key] {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => vec![],
    });
    for value in named.into_iter().chain(extra.into_iter().flatten()) {
        let Some(name) = token_name(value) else { continue };
        if names.insert(name.to_string()) {
            let mut token = added_token(value).unwrap_or_else(|| AddedToken::from(name, true));
            token.special = true;
            new.push(token);
        }
    }
    if !new.is_empty() {
        check_added(known.values().chain(&new), inner.get_normalizer())?;
        inner.add_tokens(new)?;
    }
    Ok(())
}

fn added_token(value: &Value) -> Option<AddedToken> {
    let content = value["content"].as_str().filter(|content| !content.is_empty())?;
    let flag = |key: &str, default| value.get(key).and_then(Value::as_bool).unwrap_or(default);
    let special = flag("special", false);
    Some(AddedToken {
        content: content.to_string(),
        single_word: flag("single_word", false),
        lstrip: flag("lstrip", false),
        rstrip: flag("rstrip", false),
        normalized: flag("normalized", !special),
        special,
    })
}

// ---- marking -------------------------------------------------------------------------------------------------------

/// Whose text is marked. Templates look for "</think>" and the like in the assistant's own words, so there only tokens
/// that the file calls special count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Everybody,
    Assistant,
}

struct Marker {
    /// Characters other than letters, digits and white space that begin a control token: marked wherever they stand.
    starts: BTreeSet<char>,
    /// Control tokens that begin with a letter, a digit or white space: marked where they stand whole, or cut off by the
    /// end of the text.
    words: Literals,
    special: Literals,
    contents: Vec<String>,
}

impl Marker {
    fn new<'a>(added: impl Iterator<Item = &'a Added>) -> Self {
        let control: Vec<&AddedToken> = added.filter(|a| a.control).map(|a| &a.token).collect();
        let first = |token: &AddedToken| token.content.chars().next().unwrap_or(' ');
        let wordy = |token: &&&AddedToken| first(token).is_alphanumeric() || first(token).is_whitespace();
        Marker {
            starts: control
                .iter()
                .filter(|token| !wordy(token))
                .map(|token| first(token))
                .collect(),
            words: Literals::new(
                control
                    .iter()
                    .filter(wordy)
                    .map(|token| (token.content.as_str(), 0)),
            ),
            special: Literals::new(
                control
                    .iter()
                    .filter(|token| token.special)
                    .map(|token| (token.content.as_str(), 0)),
            ),
            contents: control.iter().map(|token| token.content.clone()).collect(),
        }
    }

    fn mark<'a>(&self, text: &'a str, scope: Scope) -> Cow<'a, str> {
        let everybody = scope == Scope::Everybody;
        let mut marked = String::new();
        let mut copied = 0;
        let ends = [text.len(), text.trim_end().len()];
        let mut found = vec![];
        let mut begins = |literals: &Literals, at: usize| {
            literals.at(text.as_bytes(), at, &mut found);
            !found.is_empty()
                || ends
                    .iter()
                    .any(|&end| at < end && literals.is_prefix(&text.as_bytes()[at..end]))
        };
        for (at, c) in text.char_indices() {
            let after = at + c.len_utf8();
            if c == MARK {
                marked.push_str(&text[copied..at]);
                marked.push('\u{FFFD}');
                copied = after;
                continue;
            }
            let cut = if everybody {
                self.starts.contains(&c) || begins(&self.words, at)
            } else {
                begins(&self.special, at)
            };
            if cut {
                marked.push_str(&text[copied..after]);
                marked.push(MARK);
                copied = after;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        marked.push_str(&text[copied..]);
        Cow::Owned(marked)
    }
}

impl Tokenizer {
    /// A short word that a template may put between "<|" and "|>" (a role, a name). It is cut in two if it is a part of a
    /// control token, or is not a plain word at all and could be the rest of one.
    pub fn mark_word<'a>(&self, word: &'a str) -> Cow<'a, str> {
        let marked = self.marker.mark(word, Scope::Everybody);
        let plain = word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let part = !plain || self.marker.contents.iter().any(|content| content.contains(word));
        let mut rest = marked.chars();
        match rest.next() {
            Some(first) if part => Cow::Owned(format!("{first}{MARK}{}", rest.as_str())),
            _ => marked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny() -> Tokenizer {
        let vocab: Vec<String> = ('!'..='~')
            .enumerate()
            .map(|(i, c)| format!("{:?}:{i}", c.to_string()))
            .collect();
        let token = |id: u32, content: &str, special: bool| {
            format!(
                r#"{{"id":{id},"content":"{content}","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":{special}}}"#
            )
        };
        let json = format!(
            r#"{{"version":"1.0","added_tokens":[{},{},{}],"model":{{"type":"BPE","vocab":{{{}}},"merges":[]}}}}"#,
            token(94, "<|end|>", true),
            token(95, "<b>", false),
            token(96, "Stop:", true),
            vocab.join(",")
        );
        Tokenizer::open(json.as_bytes(), Some(br#"{"eos_token":"<|end|>"}"#)).unwrap()
    }

    #[test]
    fn marks_follow_what_could_begin_a_control_token() {
        let t = tiny();
        assert_eq!(t.mark("a<b>c", Scope::Everybody), format!("a<{MARK}b>c"));
        assert_eq!(t.mark("a<b>c", Scope::Assistant), "a<b>c");
        assert_eq!(t.mark("<|end|>", Scope::Assistant), format!("<{MARK}|end|>"));
        assert_eq!(t.mark("x <|en ", Scope::Assistant), format!("x <{MARK}|en "));
        assert_eq!(
            t.mark("Stop it. Stop: So St", Scope::Everybody),
            format!("Stop it. S{MARK}top: So S{MARK}t")
        );
        assert_eq!(t.mark("plain", Scope::Everybody), "plain");
        assert_eq!(t.mark(&format!("a{MARK}b"), Scope::Everybody), "a\u{FFFD}b");
        assert_eq!(t.mark_word("end"), format!("e{MARK}nd"));
        assert_eq!(t.mark_word("weather"), "weather");
    }

    #[test]
    fn cuts_decide() {
        let t = tiny();
        assert_eq!(t.encode_rendered(b"<|end|><b>").unwrap(), [94, 95]);
        let user = format!("<{MARK}|end|><|end|>");
        let ids = t.encode_rendered(user.as_bytes()).unwrap();
        assert_eq!(ids.iter().filter(|&&id| id == 94).count(), 1);
        assert_eq!(ids.len(), 8);
        // A cut at the edge of a token is none inside it.
        assert_eq!(
            t.encode_rendered(format!("{MARK}<|end|>{MARK}").as_bytes())
                .unwrap(),
            [94]
        );
    }

    #[test]
    fn marks_are_taken_out() {
        let (text, cuts) = take_marks("a\u{FDD1}b\u{FDD1}\u{FDD1}c\u{FDD1}");
        assert_eq!((text.as_ref(), cuts), ("abc", vec![1, 2, 3]));
    }
}
