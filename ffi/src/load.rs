//! From tokenizer.json to the crate's tokenizer.
//!
//! There are two ways. Files with a BPE model, which is what almost every language model has, are read by `bpe.rs`, many
//! times faster than the crate does it. Every other file, and every file that is wrong, goes the general way: it is looked
//! at for what would cost too much, then the crate reads it. The first way never refuses a file, it passes it on.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PaddingParams, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerBuilder, TruncationParams,
};

use crate::bpe;
use crate::limits::{check_added, check_nesting, growth, growth_of_decoder, ListedBytes};

pub struct Loaded<'a> {
    pub tokenizer: tokenizers::Tokenizer,
    /// The texts of the model's ids 0, 1, ..., where the loader has them at hand.
    pub texts: Vec<Cow<'a, str>>,
    pub decoder: Value,
    /// By how much the normalizer may lengthen a text.
    pub growth: usize,
}

/// Truncation and padding are dropped. The error says what is wrong with the file.
pub fn load(json: &[u8]) -> Result<Loaded<'_>, String> {
    load_bpe(json).map_or_else(|| load_any(json), Ok)
}

#[derive(Deserialize)]
struct AddedTokenWithId {
    #[serde(rename = "id")]
    _id: u32, // the crate gives tokens the ids that they have in the vocabulary, or the next ones
    #[serde(flatten)]
    token: AddedToken,
}

fn part<T: DeserializeOwned>(value: &Value) -> Option<Option<T>> {
    Option::<T>::deserialize(value).ok()
}

/// As the crate's own Deserialize, in its order.
pub fn load_bpe(json: &[u8]) -> Option<Loaded<'_>> {
    let file = bpe::read(json)?;
    if file.version.is_some_and(|version| version != "1.0") {
        return None;
    }
    part::<TruncationParams>(&file.truncation)?;
    part::<PaddingParams>(&file.padding)?;
    let growth = growth(&file.normalizer).ok()?;
    growth_of_decoder(&file.decoder).ok()?;
    let normalizer = part::<NormalizerWrapper>(&file.normalizer)?;
    let added = match &file.added_tokens {
        Some(tokens) => Vec::<AddedTokenWithId>::deserialize(tokens).ok()?,
        None => vec![],
    };
    let added: Vec<AddedToken> = added.into_iter().map(|added| added.token).collect();
    check_added(&added, normalizer.as_ref()).ok()?;
    let (model, texts) = file.model.build().ok()?;
    let mut tokenizer: tokenizers::Tokenizer = TokenizerBuilder::new()
        .with_normalizer(normalizer)
        .with_pre_tokenizer(part::<PreTokenizerWrapper>(&file.pre_tokenizer)?)
        .with_post_processor(part::<PostProcessorWrapper>(&file.post_processor)?)
        .with_decoder(part::<DecoderWrapper>(&file.decoder)?)
        .with_model(model)
        .build()
        .ok()?
        .into();
    tokenizer.add_tokens(added).ok()?;
    Some(Loaded {
        tokenizer,
        texts,
        decoder: file.decoder,
        growth,
    })
}

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

pub fn load_any(json: &[u8]) -> Result<Loaded<'_>, String> {
    check_nesting(json)?;
    let outline: Outline = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    let growth = growth(&outline.normalizer)?;
    growth_of_decoder(&outline.decoder)?;
    outline.model.vocab.check()?;
    let normalizer: Option<NormalizerWrapper> =
        Deserialize::deserialize(&outline.normalizer).map_err(|e| e.to_string())?;
    check_added(&outline.added_tokens, normalizer.as_ref()).map_err(|e| e.to_string())?;
    let mut tokenizer: tokenizers::Tokenizer = serde_json::from_slice(json).map_err(|e| e.to_string())?;
    tokenizer.with_truncation(None).map_err(|e| e.to_string())?;
    tokenizer.with_padding(None);
    Ok(Loaded {
        tokenizer,
        texts: vec![],
        decoder: outline.decoder,
        growth,
    })
}
