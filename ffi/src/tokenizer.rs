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
use std::collections::HashMap;

use serde_json::Value;
use tokenizers::normalizer::Range;
use tokenizers::{
    AddedToken, Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Token,
};

use crate::config::{add_tokens_of_config, parse_config, token_name};
use crate::failure::{one_line, Failure, Outcome};
use crate::limits::limit_regexes;
use crate::literals::Literals;
use crate::load::{load, Loaded};
use crate::marker::{take_marks, Marker, Scope};
use crate::pieces::{self, Pieces};

const MAX_TOKENIZER_JSON: usize = 128 << 20;
const MAX_VOCAB: u32 = 1 << 22;
const MAX_TEXT: usize = 16 << 20;
const MAX_NORMALIZED: usize = 64 << 20;

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
        let Loaded {
            tokenizer: mut inner,
            texts,
            decoder,
            growth,
        } = load(tokenizer_json).map_err(|why| bad(&why))?;
        let config = parse_config(config_json)?;
        add_tokens_of_config(&mut inner, &config).map_err(|e| bad(&e))?;

        let pieces = all_pieces(&inner, &texts, &decoder).map_err(|why| bad(&why))?;
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
        let mut special = vec![0u8; pieces.offsets.len() - 1];
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
        let marker = Marker::new(added.values().filter(|a| a.control).map(|a| &a.token).collect());

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

    /// Of a short word that a template may put between "<|" and "|>" (a role, a name).
    pub fn mark_word<'a>(&self, word: &'a str) -> Cow<'a, str> {
        self.marker.mark_word(word)
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

/// The pieces of all ids. As a rule n tokens have the ids 0 .. n - 1; only where that is not so is the whole vocabulary
/// copied out to find the highest one, which takes as long as parsing it.
fn all_pieces(inner: &tokenizers::Tokenizer, texts: &[Cow<str>], decoder: &Value) -> Result<Pieces, String> {
    let check = |size: usize| match size {
        0 => Err("it has no tokens".to_string()),
        _ if size as u64 > u64::from(MAX_VOCAB) => Err(format!("it has token ids beyond {MAX_VOCAB}")),
        _ => Ok(()),
    };
    let size = inner.get_vocab_size(true);
    check(size)?;
    let (pieces, holes) = pieces::compute(inner, texts, decoder, size)?;
    if !holes {
        return Ok(pieces);
    }
    let highest = inner.get_vocab(true).into_values().max();
    let size = highest.map_or(0, |id| id as usize + 1);
    check(size)?;
    Ok(pieces::compute(inner, texts, decoder, size)?.0)
}

fn encoding_failed(error: tokenizers::Error) -> Failure {
    Failure::invalid(format!(
        "the text cannot be encoded: {}",
        one_line(&error.to_string())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marker::MARK;

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
}
