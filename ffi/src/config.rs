//! tokenizer_config.json: which tokens have a name, and tokens that tokenizer.json does not know.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;
use tokenizers::AddedToken;

use crate::failure::{one_line, Failure, Outcome};
use crate::limits::check_added;

const MAX_CONFIG_JSON: usize = 32 << 20;

pub fn parse_config(json: Option<&[u8]>) -> Outcome<Value> {
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
pub fn add_tokens_of_config(inner: &mut tokenizers::Tokenizer, config: &Value) -> tokenizers::Result<()> {
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
