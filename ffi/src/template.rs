//! A model's chat template: found, checked, and rendered as transformers' apply_chat_template does it.

use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, Value};
use serde_json::{Map, Value as Json};

use crate::config::{token_name, NAMED_TOKENS};
use crate::environment::{environment, RAISED};
use crate::failure::{one_line, Failure, Outcome};
use crate::marker::Scope;
use crate::meter::{self, MAX_OUTPUT};
use crate::python;
use crate::rewrite::rewrite;
use crate::tokenizer::Tokenizer;

const MAX_TEMPLATE: usize = 256 << 10;
const MAX_INPUT: usize = 16 << 20;
/// Parsers are recursive: they run on a stack of their own, whatever thread calls.
const STACK: usize = 64 << 20;
const CONTINUE_TAG: &str = "CONTINUE_FINAL_MESSAGE_TAG ";
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];
/// Roles that templates put between "<|" and "|>"; any other word that is a part of a control token is marked.
const ROLES: [&str; 9] = [
    "system",
    "user",
    "assistant",
    "tool",
    "developer",
    "function",
    "ipython",
    "model",
    "environment",
];

pub struct Template {
    tokenizer: Arc<Tokenizer>,
    default: Result<Source, Vec<String>>, // or the names there are
    tool_use: Option<Source>,
    env: Environment<'static>,
}

struct Source {
    original: String,
    rewritten: String,
}

pub struct Input<'a> {
    pub messages: &'a [u8],
    pub tools: Option<&'a [u8]>,
    pub extra: Option<&'a [u8]>,
    pub add_generation_prompt: bool,
    pub continue_final_message: bool,
}

/// Runs f on a thread with a large stack; a panic is passed on.
pub fn on_large_stack<T: Send>(f: impl FnOnce() -> T + Send) -> Outcome<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, f)
            .map_err(|e| Failure::limit(format!("no thread could be started: {e}")))?;
        thread.join().map_err(|panic| std::panic::resume_unwind(panic))
    })
}

impl Template {
    pub fn open(
        tokenizer: Arc<Tokenizer>,
        jinja: Option<&[u8]>,
        json: Option<&[u8]>,
    ) -> Outcome<Option<Self>> {
        let json: Option<Json> = json
            .map(|json| {
                serde_json::from_slice(json).map_err(|e| {
                    Failure::invalid(format!(
                        "chat_template.json is not usable: {}",
                        one_line(&e.to_string())
                    ))
                })
            })
            .transpose()?;
        let found = match jinja {
            Some(text) => Json::from(
                String::from_utf8(text.to_vec())
                    .map_err(|_| Failure::invalid("chat_template.jinja is not usable: it is not UTF-8"))?,
            ),
            None => match &tokenizer.config["chat_template"] {
                Json::Null => json.map_or(Json::Null, |mut json| json["chat_template"].take()),
                found => found.clone(),
            },
        };
        let (default, tool_use) = match &found {
            Json::Null => return Ok(None),
            Json::String(text) => (Ok(compile(text)?), None),
            Json::Array(_) | Json::Object(_) => {
                let named = named_templates(&found);
                let get = |name: &str| {
                    named
                        .iter()
                        .find(|(n, _)| n == name)
                        .map(|(_, text)| compile(text))
                        .transpose()
                };
                let names = named.iter().map(|(name, _)| name.clone()).collect();
                (get("default")?.ok_or(names), get("tool_use")?)
            }
            _ => {
                return Err(Failure::invalid(
                    "the chat template is neither a text nor a list of texts",
                ))
            }
        };
        Ok(Some(Template {
            tokenizer,
            default,
            tool_use,
            env: environment(),
        }))
    }

    pub fn render(&self, input: &Input) -> Outcome<String> {
        on_large_stack(|| self.render_here(input))?
    }

    fn render_here(&self, input: &Input) -> Outcome<String> {
        let sizes = [Some(input.messages), input.tools, input.extra]
            .into_iter()
            .flatten()
            .map(<[u8]>::len);
        let size: usize = sizes.sum();
        if size > MAX_INPUT {
            return Err(Failure::limit(format!(
                "the conversation has {size} bytes; at most {MAX_INPUT} are read"
            )));
        }
        let mut messages = parse("the messages", input.messages)?;
        let mut tools = input
            .tools
            .map(|json| parse("the tools", json))
            .transpose()?
            .unwrap_or(Json::Null);
        let mut extra = input
            .extra
            .map(|json| parse("the variables", json))
            .transpose()?
            .unwrap_or(Json::Null);
        prepare_messages(&mut messages)?;
        if !matches!(tools, Json::Null | Json::Array(_)) {
            return Err(Failure::invalid("the tools are not a list"));
        }
        if !matches!(extra, Json::Null | Json::Object(_)) {
            return Err(Failure::invalid("the variables are not an object"));
        }
        let source = self.source(!tools.is_null())?;

        self.mark_messages(&mut messages);
        self.mark_all(&mut tools);
        self.mark_all(&mut extra);
        let continued = match (input.continue_final_message, input.add_generation_prompt) {
            (true, true) => {
                return Err(Failure::invalid(
                    "continue_final_message and add_generation_prompt exclude each other",
                ))
            }
            (true, false) => Some(tag_final_message(&mut messages, &source.original)?),
            _ => None,
        };

        meter::start(size);
        let failed = |error| failure_of(&error);
        let mut context: Vec<(&str, Value)> = vec![];
        for key in NAMED_TOKENS {
            if let Some(name) = token_name(&self.tokenizer.config[key]) {
                context.push((key, Value::from(name)));
            }
        }
        if let Json::Object(named) = &self.tokenizer.config["extra_special_tokens"] {
            for (key, value) in named {
                if let Some(name) = token_name(value) {
                    context.push((key, Value::from(name)));
                }
            }
        }
        context.push(("messages", python::from_json(&messages).map_err(failed)?));
        context.push(("tools", python::from_json(&tools).map_err(failed)?));
        context.push(("documents", Value::from(())));
        context.push(("add_generation_prompt", Value::from(input.add_generation_prompt)));
        for (key, value) in extra.as_object().into_iter().flatten() {
            context.push((key, python::from_json(value).map_err(failed)?));
        }
        let context = Value::from_iter(context);

        let template = self
            .env
            .template_from_named_str("chat_template", &source.rewritten)
            .map_err(failed)?;
        let mut out = Limited(String::new());
        template
            .render_captured_to(context, LimitedWriter(&mut out))
            .map_err(failed)?;
        match continued {
            Some(message) => cut_at_tag(out.0, &message),
            None => Ok(out.0),
        }
    }

    fn source(&self, with_tools: bool) -> Outcome<&Source> {
        if let (true, Some(source)) = (with_tools, &self.tool_use) {
            return Ok(source);
        }
        self.default.as_ref().map_err(|names| {
            Failure::invalid(format!(
                "the model has several chat templates and no default: {}",
                names.join(", ")
            ))
        })
    }

    // ---- marking ---------------------------------------------------------------------------------------------------

    fn mark_messages(&self, messages: &mut Json) {
        for message in messages.as_array_mut().into_iter().flatten() {
            let Json::Object(message) = message else { continue };
            let assistant = message.get("role").and_then(Json::as_str) == Some("assistant");
            let scope = if assistant {
                Scope::Assistant
            } else {
                Scope::Everybody
            };
            for (key, value) in message.iter_mut() {
                match (key.as_str(), &mut *value) {
                    ("role", Json::String(role)) if ROLES.contains(&role.as_str()) => {}
                    ("role" | "name", Json::String(word)) => {
                        *word = self.tokenizer.mark_word(word).into_owned()
                    }
                    ("tool_calls", value) => self.mark(value, Scope::Everybody),
                    (_, value) => self.mark(value, scope),
                }
            }
        }
    }

    fn mark_all(&self, value: &mut Json) {
        self.mark(value, Scope::Everybody);
    }

    fn mark(&self, value: &mut Json, scope: Scope) {
        match value {
            Json::String(text) => {
                if let std::borrow::Cow::Owned(marked) = self.tokenizer.mark(text, scope) {
                    *text = marked;
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.mark(item, scope)),
            Json::Object(object) => {
                let marked = object
                    .iter()
                    .any(|(key, _)| self.tokenizer.mark(key, scope) != *key);
                if marked {
                    let renamed: Map<String, Json> = std::mem::take(object)
                        .into_iter()
                        .map(|(key, value)| (self.tokenizer.mark(&key, scope).into_owned(), value))
                        .collect();
                    *object = renamed;
                }
                for (key, value) in object.iter_mut() {
                    match key.as_str() {
                        "name" => self.mark_name(value, scope),
                        _ => self.mark(value, scope),
                    }
                }
            }
            _ => {}
        }
    }

    fn mark_name(&self, name: &mut Json, scope: Scope) {
        match name {
            Json::String(word) => *word = self.tokenizer.mark_word(word).into_owned(),
            other => self.mark(other, scope),
        }
    }
}

fn parse(what: &str, json: &[u8]) -> Outcome<Json> {
    serde_json::from_slice(json)
        .map_err(|e| Failure::invalid(format!("{what}: not JSON: {}", one_line(&e.to_string()))))
}

fn compile(text: &str) -> Outcome<Source> {
    if text.len() > MAX_TEMPLATE {
        return Err(Failure::limit(format!(
            "the chat template has {} bytes; at most {MAX_TEMPLATE} are read",
            text.len()
        )));
    }
    on_large_stack(|| {
        let rewritten = rewrite(text).map_err(|e| failure_of(&e))?;
        environment()
            .template_from_named_str("chat_template", &rewritten)
            .map_err(|e| failure_of(&e))?;
        Ok(Source {
            original: text.to_string(),
            rewritten,
        })
    })?
}

/// [{"name": ..., "template": ...}], or an object of names.
fn named_templates(found: &Json) -> Vec<(String, String)> {
    let of = |name: &Json, text: &Json| Some((name.as_str()?.to_string(), text.as_str()?.to_string()));
    match found {
        Json::Array(list) => list
            .iter()
            .filter_map(|entry| of(&entry["name"], &entry["template"]))
            .collect(),
        Json::Object(map) => map
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_string())))
            .collect(),
        _ => vec![],
    }
}

/// What transformers does to messages before a template sees them.
fn prepare_messages(messages: &mut Json) -> Outcome<()> {
    let Json::Array(messages) = messages else {
        return Err(Failure::invalid("the messages are not a list"));
    };
    if messages.is_empty() {
        return Err(Failure::invalid("the conversation is empty"));
    }
    for message in messages {
        let Json::Object(fields) = message else {
            return Err(Failure::invalid("a message is not an object"));
        };
        fields.retain(|_, value| !value.is_null());
        if let Some(reasoning) = REASONING.iter().find_map(|key| fields.get(*key)).cloned() {
            let mut whole = Map::new();
            whole.insert("thinking".into(), reasoning.clone());
            whole.extend(std::mem::take(fields));
            whole.insert("reasoning_content".into(), reasoning);
            *fields = whole;
        }
    }
    Ok(())
}

/// Puts the tag behind the text that the model is to continue, and returns that text.
fn tag_final_message(messages: &mut Json, template: &str) -> Outcome<String> {
    let nothing = || Failure::invalid("the final message has no text to continue");
    if !template.contains("content") {
        return Err(Failure::invalid(
            "the chat template does not use a message's content: it cannot be continued",
        ));
    }
    let content = messages
        .as_array_mut()
        .and_then(|list| list.last_mut())
        .and_then(|message| message.get_mut("content"))
        .ok_or_else(nothing)?;
    let text = match content {
        Json::String(text) => text,
        Json::Array(parts) => match parts.iter_mut().rev().find_map(|part| part.get_mut("text")) {
            Some(Json::String(text)) => text,
            _ => return Err(nothing()),
        },
        _ => return Err(nothing()),
    };
    let original = text.clone();
    text.push_str(CONTINUE_TAG);
    Ok(original)
}

fn cut_at_tag(mut text: String, message: &str) -> Outcome<String> {
    let tag = CONTINUE_TAG.trim_end();
    let at = text
        .rfind(tag)
        .filter(|_| text.contains(message.trim_matches(crate::methods::is_space)));
    let Some(at) = at else {
        return Err(Failure::invalid(
            "the chat template does not show the final message: it cannot be continued",
        ));
    };
    let kept = text[at..].starts_with(CONTINUE_TAG);
    text.truncate(at);
    if !kept {
        let end = text.trim_end_matches(crate::methods::is_space).len();
        text.truncate(end);
    }
    Ok(text)
}

// ---- output and errors ---------------------------------------------------------------------------------------------

struct Limited(String);
struct LimitedWriter<'a>(&'a mut Limited);

impl std::io::Write for LimitedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|_| std::io::Error::other("not UTF-8"))?;
        if text.len() > MAX_OUTPUT - self.0 .0.len() {
            return Err(std::io::Error::other("its output is too long"));
        }
        self.0 .0.push_str(text);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Place(Option<usize>);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(line) => write!(f, "chat template, line {line}"),
            None => f.write_str("chat template"),
        }
    }
}

fn failure_of(error: &minijinja::Error) -> Failure {
    // The innermost error says what happened; the outer ones where.
    let mut inner = error;
    while let Some(source) =
        std::error::Error::source(inner).and_then(|e| e.downcast_ref::<minijinja::Error>())
    {
        inner = source;
    }
    if let Some(message) = inner.detail().and_then(|detail| detail.strip_prefix(RAISED)) {
        return Failure::invalid(format!(
            "the chat template refuses this conversation: {}",
            one_line(message)
        ));
    }
    let place = Place(inner.line().or(error.line()));
    match inner.kind() {
        ErrorKind::OutOfFuel => Failure::limit(format!(
            "{place}: {}",
            one_line(inner.detail().unwrap_or("it takes too many steps"))
        )),
        ErrorKind::WriteFailure => Failure::limit(format!("{place}: its output is too long")),
        kind => {
            let detail = inner.detail().map_or_else(
                || kind.to_string(),
                |detail| match kind {
                    ErrorKind::InvalidOperation => detail.to_string(),
                    kind => format!("{kind}: {detail}"),
                },
            );
            Failure::invalid(format!("{place}: {}", one_line(&detail)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str, messages: &str) -> Outcome<String> {
        let json =
            br#"{"version":"1.0","added_tokens":[],"model":{"type":"BPE","vocab":{"a":0},"merges":[]}}"#;
        let tokenizer = Arc::new(Tokenizer::open(json, Some(br#"{"eos_token":"<e>"}"#))?);
        let template = Template::open(tokenizer, Some(template.as_bytes()), None)?.unwrap();
        template.render(&Input {
            messages: messages.as_bytes(),
            tools: None,
            extra: None,
            add_generation_prompt: false,
            continue_final_message: false,
        })
    }

    const ONE: &str = r#"[{"role":"user","content":"<e>"}]"#;

    #[test]
    fn marks_reach_the_output() {
        assert_eq!(
            render("{{ messages[0].content }}{{ eos_token }}", ONE).unwrap(),
            "<\u{FDD1}e><e>"
        );
    }

    #[test]
    fn failures_say_where() {
        let failure = render("\n\n{{ nope.nope }}", ONE).unwrap_err();
        assert!(failure.message.contains("line 3"), "{}", failure.message);
        let failure = render("{{ raise_exception('a\nb') }}", ONE).unwrap_err();
        assert!(failure.message.ends_with(": a b"), "{}", failure.message);
        let failure = render("{% for i in range(100000) %}{{ 'x' * 10000 }}{% endfor %}", ONE).unwrap_err();
        assert_eq!(failure.code, crate::failure::LIMIT);
    }
}
