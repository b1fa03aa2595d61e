//! Methods of Python's str, dict and list, as far as a sandboxed template may call them.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::meter::charge;
use crate::python::{dict, items, list, pairs, tuple, write_str, wrong};

/// str.isspace: Unicode's white space and four separators of ASCII.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

pub fn call(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    charge(value.as_str().map_or(1, str::len))?;
    let answer = match value.kind() {
        ValueKind::String => string_method(value.as_str().unwrap_or(""), method, args)?,
        ValueKind::Map => dict_method(value, method, args)?,
        ValueKind::Seq => list_method(value, method, args)?,
        _ => None,
    };
    match answer {
        Some(answer) => {
            charge(answer.as_str().map_or(0, str::len))?;
            Ok(answer)
        }
        // What is left is short and cannot grow: title, isdigit, ...
        None if value.kind() == ValueKind::String && method != "format" => {
            minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
        }
        None if method == "format" && value.kind() == ValueKind::String => {
            check_format(value.as_str().unwrap_or(""), args)?;
            minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
        }
        None => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

/// A format of which a width could fill the memory.
pub fn check_format(format: &str, args: &[Value]) -> Result<(), Error> {
    let mut digits = 0;
    for c in format.chars() {
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 3 || c == '*' {
            return Err(wrong("a width in a format is too large"));
        }
    }
    let mut sizes = format.len();
    for arg in args {
        let mut text = String::new();
        write_str(arg, &mut text)?;
        sizes += text.len();
    }
    // Every field may name the largest argument.
    let fields = format.matches(['{', '%']).count();
    charge(sizes.saturating_mul(fields + 1))
}

struct Args<'a> {
    method: &'a str,
    positional: &'a [Value],
    kwargs: Option<Kwargs>,
}

impl<'a> Args<'a> {
    fn new(method: &'a str, args: &'a [Value]) -> Self {
        match args.split_last() {
            Some((last, rest)) if last.is_kwargs() => Args {
                method,
                positional: rest,
                kwargs: Kwargs::try_from(last.clone()).ok(),
            },
            _ => Args {
                method,
                positional: args,
                kwargs: None,
            },
        }
    }

    fn get(&self, at: usize, name: &str) -> Option<Value> {
        let by_name = || {
            self.kwargs
                .as_ref()
                .and_then(|kwargs| kwargs.get::<Value>(name).ok())
        };
        self.positional
            .get(at)
            .cloned()
            .or_else(by_name)
            .filter(|v| !v.is_undefined())
    }

    fn text(&self, at: usize) -> Result<String, Error> {
        match self.get(at, "") {
            Some(value) => value.as_str().map(str::to_string).ok_or_else(|| {
                wrong(format!(
                    "{}: expected a string, not {}",
                    self.method,
                    value.kind()
                ))
            }),
            None => Err(wrong(format!("{}: an argument is missing", self.method))),
        }
    }

    fn optional_text(&self, at: usize, name: &str) -> Result<Option<String>, Error> {
        match self.get(at, name) {
            Some(value) if !value.is_none() => {
                Ok(Some(value.as_str().map(str::to_string).ok_or_else(|| {
                    wrong(format!("{}: not a string", self.method))
                })?))
            }
            _ => Ok(None),
        }
    }

    fn count(&self, at: usize, name: &str) -> Result<Option<usize>, Error> {
        match self.get(at, name) {
            Some(value) => match value.as_i64() {
                Some(n) => Ok(usize::try_from(n).ok()),
                None => Err(wrong(format!(
                    "{}: expected a number, not {}",
                    self.method,
                    value.kind()
                ))),
            },
            None => Ok(None),
        }
    }
}

fn strings(parts: Vec<&str>) -> Result<Value, Error> {
    for part in &parts {
        charge(part.len())?;
    }
    list(parts.into_iter().map(Value::from).collect())
}

/// str.split(None): at runs of white space.
fn split_words(text: &str, most: Option<usize>) -> Vec<&str> {
    let mut parts = vec![];
    let mut rest = text.trim_start_matches(is_space);
    while !rest.is_empty() {
        if most.is_some_and(|most| parts.len() == most) {
            parts.push(rest.trim_end_matches(is_space));
            return parts;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].trim_start_matches(is_space);
    }
    parts
}

fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let ends = |c: char| {
        matches!(
            c,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut parts = vec![];
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let mut after = at + rest[at..].chars().next().map_or(1, char::len_utf8);
        if rest[at..].starts_with("\r\n") {
            after = at + 2;
        }
        parts.push(&rest[..if keep_ends { after } else { at }]);
        rest = &rest[after..];
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

pub fn split_lines(text: &str) -> Vec<&str> {
    lines(text, false)
}

/// str.replace, paid for before it is done.
pub fn replace(text: &str, from: &str, to: &str, most: Option<usize>) -> Result<String, Error> {
    let found = if from.is_empty() {
        text.chars().count() + 1
    } else {
        text.matches(from).count()
    };
    let times = most.map_or(found, |most| most.min(found));
    charge(text.len().saturating_add(times.saturating_mul(to.len())))?;
    Ok(text.replacen(from, to, times))
}

fn affix(args: &Args, test: impl Fn(&str) -> bool) -> Result<Value, Error> {
    let value = args
        .get(0, "")
        .ok_or_else(|| wrong(format!("{}: an argument is missing", args.method)))?;
    if let Some(text) = value.as_str() {
        return Ok(Value::from(test(text)));
    }
    for item in items(&value)? {
        if item.as_str().is_some_and(&test) {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

fn char_index(text: &str, at: Option<usize>) -> i64 {
    at.map_or(-1, |at| text[..at].chars().count() as i64)
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let args = Args::new(method, args);
    let strip = |chars: Option<String>, left: bool, right: bool| {
        let test = |c: char| {
            chars
                .as_ref()
                .map_or_else(|| is_space(c), |chars| chars.contains(c))
        };
        let text = if left { text.trim_start_matches(test) } else { text };
        Value::from(if right { text.trim_end_matches(test) } else { text })
    };
    Ok(Some(match method {
        "strip" => strip(args.optional_text(0, "chars")?, true, true),
        "lstrip" => strip(args.optional_text(0, "chars")?, true, false),
        "rstrip" => strip(args.optional_text(0, "chars")?, false, true),
        "split" => match (args.optional_text(0, "sep")?, args.count(1, "maxsplit")?) {
            (None, most) => strings(split_words(text, most))?,
            (Some(sep), _) if sep.is_empty() => return Err(wrong("split: empty separator")),
            (Some(sep), None) => strings(text.split(&sep).collect())?,
            (Some(sep), Some(most)) => strings(text.splitn(most.saturating_add(1), &sep).collect())?,
        },
        "rsplit" => match (args.optional_text(0, "sep")?, args.count(1, "maxsplit")?) {
            (Some(sep), _) if sep.is_empty() => return Err(wrong("rsplit: empty separator")),
            (Some(sep), most) => {
                let most = most.unwrap_or(usize::MAX - 1);
                let mut parts: Vec<&str> = text.rsplitn(most.saturating_add(1), &sep).collect();
                parts.reverse();
                strings(parts)?
            }
            (None, None) => strings(split_words(text, None))?,
            _ => return Ok(None),
        },
        "splitlines" => {
            let keep = args.get(0, "keepends").is_some_and(|keep| keep.is_true());
            strings(lines(text, keep))?
        }
        "partition" | "rpartition" => {
            let sep = args.text(0)?;
            let at = if method == "partition" {
                text.find(&sep)
            } else {
                text.rfind(&sep)
            };
            strings(match at {
                _ if sep.is_empty() => return Err(wrong("partition: empty separator")),
                Some(at) => vec![&text[..at], &text[at..at + sep.len()], &text[at + sep.len()..]],
                None if method == "partition" => vec![text, "", ""],
                None => vec!["", "", text],
            })?
        }
        "replace" => Value::from(replace(
            text,
            &args.text(0)?,
            &args.text(1)?,
            args.count(2, "count")?,
        )?),
        "removeprefix" => Value::from(text.strip_prefix(args.text(0)?.as_str()).unwrap_or(text)),
        "removesuffix" => Value::from(text.strip_suffix(args.text(0)?.as_str()).unwrap_or(text)),
        "startswith" => affix(&args, |prefix| text.starts_with(prefix))?,
        "endswith" => affix(&args, |suffix| text.ends_with(suffix))?,
        "find" => Value::from(char_index(text, text.find(args.text(0)?.as_str()))),
        "rfind" => Value::from(char_index(text, text.rfind(args.text(0)?.as_str()))),
        "index" => match text.find(args.text(0)?.as_str()) {
            Some(at) => Value::from(char_index(text, Some(at))),
            None => return Err(wrong("substring not found")),
        },
        "count" => Value::from(text.matches(args.text(0)?.as_str()).count()),
        "join" => {
            let value = args
                .get(0, "")
                .ok_or_else(|| wrong("join: an argument is missing"))?;
            let mut out = String::new();
            for (i, item) in items(&value)?.iter().enumerate() {
                let item = item
                    .as_str()
                    .ok_or_else(|| wrong(format!("join: item {i} is not a string but {}", item.kind())))?;
                charge(item.len() + text.len())?;
                if i > 0 {
                    out.push_str(text);
                }
                out.push_str(item);
            }
            Value::from(out)
        }
        "upper" => Value::from(text.to_uppercase()),
        "lower" => Value::from(text.to_lowercase()),
        "isspace" => Value::from(!text.is_empty() && text.chars().all(is_space)),
        "isdigit" => Value::from(!text.is_empty() && text.chars().all(|c| c.is_ascii_digit())),
        "isalpha" => Value::from(!text.is_empty() && text.chars().all(char::is_alphabetic)),
        "isalnum" => Value::from(!text.is_empty() && text.chars().all(char::is_alphanumeric)),
        "isupper" => Value::from(text.to_uppercase() == text && text.to_lowercase() != text),
        "islower" => Value::from(text.to_lowercase() == text && text.to_uppercase() != text),
        _ => return Ok(None),
    }))
}

fn dict_method(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let Some(pairs) = pairs(value) else {
        return Ok(None);
    };
    let args = Args::new(method, args);
    Ok(Some(match method {
        "get" => {
            let key = args
                .get(0, "")
                .ok_or_else(|| wrong("get: an argument is missing"))?;
            let found = value.get_item(&key)?;
            if found.is_undefined() {
                args.get(1, "").unwrap_or_else(|| Value::from(()))
            } else {
                found
            }
        }
        "keys" => list(pairs.iter().map(|(key, _)| key.clone()).collect())?,
        "values" => list(pairs.iter().map(|(_, value)| value.clone()).collect())?,
        "items" => {
            let pairs: Result<Vec<_>, Error> = pairs
                .iter()
                .map(|(key, value)| tuple(vec![key.clone(), value.clone()]))
                .collect();
            list(pairs?)?
        }
        "copy" => dict(pairs.iter().cloned())?,
        _ => return Ok(None),
    }))
}

fn list_method(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let args = Args::new(method, args);
    let found = |what: &Value| -> Result<Vec<usize>, Error> {
        Ok(items(value)?
            .iter()
            .enumerate()
            .filter(|(_, item)| *item == what)
            .map(|(i, _)| i)
            .collect())
    };
    let what = args.get(0, "").unwrap_or_default();
    Ok(Some(match method {
        "count" => Value::from(found(&what)?.len()),
        "index" => match found(&what)?.first() {
            Some(&at) => Value::from(at),
            None => return Err(wrong("index: the value is not in the list")),
        },
        "copy" => value.clone(),
        _ => return Ok(None),
    }))
}
