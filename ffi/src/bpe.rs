//! Reads a tokenizer.json with a BPE model in one pass.
//!
//! The `tokenizers` crate finds out what a model is by copying it into a tree of JSON values, twice, and then a third time
//! into its own types: with a vocabulary of 128,000 tokens that is most of the time in which a small model is loaded. Here
//! the vocabulary and the merges go straight into what the crate's builder takes; everything else in the file is small,
//! becomes a JSON value first and is then read by the crate's own types.
//!
//! This reader takes only files in which every key is known, stands once and means what it should. For any other it
//! answers None, and `load.rs` lets the crate decide: so what is refused, and with which words, is settled in one place,
//! and a file that is read here gives the tokenizer that the crate would have made of it (load_tests.rs compares them).

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokenizers::models::bpe::{Merges, Vocab, BPE};

use crate::limits::MAX_NESTING;

/// tokenizer.json, its BPE model read and the other parts as they stand in the file (None, or null where that
/// means the same: absent).
#[derive(Default)]
pub struct File<'a> {
    pub version: Option<Value>,
    pub truncation: Value,
    pub padding: Value,
    pub added_tokens: Option<Value>,
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub post_processor: Value,
    pub decoder: Value,
    pub model: Model<'a>,
}

/// What the file says of its model; numbers and texts are checked where they are used.
#[derive(Default)]
pub struct Model<'a> {
    vocab: VocabList<'a>,
    merges: Merges,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

pub fn read(json: &[u8]) -> Option<File<'_>> {
    let json = std::str::from_utf8(json).ok()?; // once: serde_json would check every string for itself
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let file = deserializer.deserialize_map(FileVisitor).ok()?;
    deserializer.end().ok()?;
    Some(file)
}

impl<'a> Model<'a> {
    /// The crate's model, and the texts of the ids 0, 1, ... where these are all that it has; else none.
    pub fn build(self) -> tokenizers::Result<(BPE, Vec<Cow<'a, str>>)> {
        // Of a token that is there twice the later id counts, as everywhere in JSON.
        let vocab: Vocab = self
            .vocab
            .0
            .iter()
            .map(|(token, id)| (token.to_string(), *id))
            .collect();
        let texts = if vocab.len() == self.vocab.0.len() {
            texts_by_id(self.vocab.0)
        } else {
            vec![]
        };
        let mut builder = BPE::builder().vocab_and_merges(vocab, self.merges);
        if let Some(token) = self.unk_token {
            builder = builder.unk_token(token);
        }
        if let Some(prefix) = self.continuing_subword_prefix {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = self.end_of_word_suffix {
            builder = builder.end_of_word_suffix(suffix);
        }
        let bpe = builder
            .fuse_unk(self.fuse_unk.unwrap_or(false))
            .byte_fallback(self.byte_fallback.unwrap_or(false))
            .ignore_merges(self.ignore_merges.unwrap_or(false))
            .build()?;
        Ok((bpe, texts))
    }
}

fn texts_by_id(mut vocab: Vec<(Cow<str>, u32)>) -> Vec<Cow<str>> {
    vocab.sort_by_key(|&(_, id)| id); // as a rule it is sorted
    if vocab.iter().zip(0..).all(|(&(_, id), place)| id == place) {
        vocab.into_iter().map(|(text, _)| text).collect()
    } else {
        vec![]
    }
}

/// Notes that a key has come; a second time is an error.
fn once<E: Error>(seen: &mut Vec<String>, key: Cow<str>) -> Result<(), E> {
    if seen.iter().any(|known| *known == key) {
        return Err(E::custom("a key is there twice"));
    }
    seen.push(key.into_owned());
    Ok(())
}

struct FileVisitor;

impl<'de> Visitor<'de> for FileVisitor {
    type Value = File<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a tokenizer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File<'de>, A::Error> {
        let mut file = File::default();
        let mut model = None;
        let mut seen = vec![];
        while let Some(Text(key)) = map.next_key()? {
            let part = match key.as_ref() {
                "truncation" => &mut file.truncation,
                "padding" => &mut file.padding,
                "added_tokens" => file.added_tokens.insert(Value::Null),
                "normalizer" => &mut file.normalizer,
                "pre_tokenizer" => &mut file.pre_tokenizer,
                "post_processor" => &mut file.post_processor,
                "decoder" => &mut file.decoder,
                "version" => file.version.insert(Value::Null),
                "model" => {
                    once(&mut seen, key)?;
                    model = Some(map.next_value_seed(ModelSeed)?);
                    continue;
                }
                _ => return Err(A::Error::custom("an unknown key")),
            };
            *part = map.next_value_seed(Part { depth: 1 })?;
            once(&mut seen, key)?;
        }
        file.model = model.ok_or_else(|| A::Error::custom("no model"))?;
        Ok(file)
    }
}

// ---- the model -----------------------------------------------------------------------------------------------------

struct ModelSeed;

impl<'de> DeserializeSeed<'de> for ModelSeed {
    type Value = Model<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Model<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ModelSeed {
    type Value = Model<'de>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a BPE model")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Model<'de>, A::Error> {
        let mut model = Model::default();
        let mut seen = vec![];
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                // Older files leave it out: then the crate takes for BPE what has a vocabulary and merges.
                "type" => {
                    if map.next_value::<Text>()?.0 != "BPE" {
                        return Err(A::Error::custom("another model"));
                    }
                }
                "vocab" => model.vocab = map.next_value()?,
                "merges" => model.merges = map.next_value::<MergeList>()?.0,
                "unk_token" => model.unk_token = map.next_value()?,
                "continuing_subword_prefix" => model.continuing_subword_prefix = map.next_value()?,
                "end_of_word_suffix" => model.end_of_word_suffix = map.next_value()?,
                "fuse_unk" => model.fuse_unk = map.next_value()?,
                "byte_fallback" => model.byte_fallback = map.next_value()?,
                "ignore_merges" => model.ignore_merges = map.next_value()?,
                "dropout" => map.next_value::<()>()?, // null; a tokenizer that throws dice is the crate's affair
                _ => return Err(A::Error::custom("an unknown key")),
            }
            once(&mut seen, key)?;
        }
        if !["vocab", "merges"]
            .iter()
            .all(|key| seen.iter().any(|known| known == key))
        {
            return Err(A::Error::custom("not all of a BPE model"));
        }
        Ok(model)
    }
}

/// A string, borrowed from the file where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_string())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[derive(Default)]
struct VocabList<'a>(Vec<(Cow<'a, str>, u32)>);

impl<'de> Deserialize<'de> for VocabList<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct VocabVisitor;

        impl<'de> Visitor<'de> for VocabVisitor {
            type Value = VocabList<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a vocabulary")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VocabList<'de>, A::Error> {
                let mut list = vec![];
                while let Some((Text(token), id)) = map.next_entry()? {
                    list.push((token, id));
                }
                Ok(VocabList(list))
            }
        }
        deserializer.deserialize_map(VocabVisitor)
    }
}

/// Merges are written as ["a", "b"] or, in older files, as "a b"; never both in one file.
struct MergeList(Merges);

struct Merge {
    pair: Option<(String, String)>, // None: the "#version" line of older files
    as_line: bool,
}

impl<'de> Deserialize<'de> for MergeList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MergesVisitor;

        impl<'de> Visitor<'de> for MergesVisitor {
            type Value = MergeList;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("merges")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MergeList, A::Error> {
                let mut merges = vec![];
                let mut as_lines = None;
                while let Some(merge) = list.next_element::<Merge>()? {
                    if *as_lines.get_or_insert(merge.as_line) != merge.as_line {
                        return Err(A::Error::custom("merges of two kinds"));
                    }
                    merges.extend(merge.pair);
                }
                Ok(MergeList(merges))
            }
        }
        deserializer.deserialize_seq(MergesVisitor)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MergeVisitor;

        impl<'de> Visitor<'de> for MergeVisitor {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a merge")
            }

            fn visit_str<E: Error>(self, line: &str) -> Result<Merge, E> {
                if line.starts_with("#version") {
                    return Ok(Merge {
                        pair: None,
                        as_line: true,
                    });
                }
                let (left, right) = line
                    .split_once(' ')
                    .filter(|(_, right)| !right.contains(' '))
                    .ok_or_else(|| E::custom("not a pair"))?;
                Ok(Merge {
                    pair: Some((left.to_string(), right.to_string())),
                    as_line: true,
                })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Merge, A::Error> {
                let (Some(left), Some(right)) = (pair.next_element()?, pair.next_element()?) else {
                    return Err(A::Error::custom("not a pair"));
                };
                Ok(Merge {
                    pair: Some((left, right)), // a third one is an error of serde_json
                    as_line: false,
                })
            }
        }
        deserializer.deserialize_any(MergeVisitor)
    }
}

// ---- the other parts -----------------------------------------------------------------------------------------------

/// A JSON value that is nested no deeper than a file may be, and has no key twice: what is checked is what is built.
struct Part {
    depth: usize, // of what it stands in
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Part {
    fn inside<E: Error>(&self) -> Result<usize, E> {
        if self.depth < MAX_NESTING {
            Ok(self.depth + 1)
        } else {
            Err(E::custom("nested too deeply"))
        }
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let depth = self.inside()?;
        let mut values = vec![];
        while let Some(value) = list.next_element_seed(Part { depth })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.inside()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(Part { depth })?;
            if values.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Value::Object(values))
    }
}
