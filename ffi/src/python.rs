//! Values as Python has them: lists and dicts that print as Python prints them, json.dumps, strftime.
//!
//! Every list and dict that a template sees is one of ours. Each knows how deep it is nested and how large it is when
//! written out, so that no value can be made that is small in memory and enormous when walked through.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use crate::meter::{self, charge, charge_nodes, MAX_DEPTH};

pub fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Nesting depth and number of values when written out.
#[derive(Clone, Copy)]
struct Extent {
    depth: u32,
    nodes: u64,
}

/// More nodes than any conversation has; shared sublists count every time they occur.
const MAX_NODES: u64 = 4_000_000;
/// A namespace may hold lists, and lists a namespace, but namespaces may not be chained without end.
const DEPTH_OF_STRANGERS: u32 = MAX_DEPTH / 2;

fn extent(value: &Value) -> Extent {
    if let Some(list) = value.downcast_object_ref::<PyList>() {
        return list.extent;
    }
    if let Some(dict) = value.downcast_object_ref::<PyDict>() {
        return dict.extent;
    }
    let depth = if value.kind() == ValueKind::Map {
        DEPTH_OF_STRANGERS
    } else {
        0
    };
    Extent { depth, nodes: 1 }
}

fn around<'a>(children: impl Iterator<Item = &'a Value>) -> Result<Extent, Error> {
    let mut whole = Extent { depth: 1, nodes: 1 };
    for child in children {
        let inner = extent(child);
        whole.depth = whole.depth.max(inner.depth + 1);
        whole.nodes = whole.nodes.saturating_add(inner.nodes);
    }
    if whole.depth > MAX_DEPTH {
        return Err(meter::too_deep());
    }
    if whole.nodes > MAX_NODES {
        return Err(Error::new(ErrorKind::OutOfFuel, "its lists grow too large"));
    }
    Ok(whole)
}

/// May this be stored in a namespace? Not if it holds one: a loop could chain a million of them.
pub fn check_storable(value: &Value) -> Result<(), Error> {
    if extent(value).depth >= DEPTH_OF_STRANGERS {
        return Err(wrong("a namespace cannot be stored in a namespace"));
    }
    Ok(())
}

pub struct PyList {
    items: Vec<Value>,
    tuple: bool, // only its printing differs
    extent: Extent,
}

pub struct PyDict {
    pairs: Vec<(Value, Value)>,
    index: HashMap<Value, usize>,
    extent: Extent,
}

pub fn list(items: Vec<Value>) -> Result<Value, Error> {
    sequence(items, false)
}

pub fn tuple(items: Vec<Value>) -> Result<Value, Error> {
    sequence(items, true)
}

fn sequence(items: Vec<Value>, tuple: bool) -> Result<Value, Error> {
    charge_nodes(items.len() + 1)?;
    let extent = around(items.iter())?;
    Ok(Value::from_object(PyList { items, tuple, extent }))
}

pub fn dict(pairs: impl IntoIterator<Item = (Value, Value)>) -> Result<Value, Error> {
    let mut unique: Vec<(Value, Value)> = vec![];
    let mut index: HashMap<Value, usize> = HashMap::new();
    for (key, value) in pairs {
        charge_nodes(2)?;
        if !matches!(
            key.kind(),
            ValueKind::String | ValueKind::Number | ValueKind::Bool | ValueKind::None
        ) {
            return Err(wrong(format!("a {} cannot be a key", key.kind())));
        }
        match index.entry(key.clone()) {
            std::collections::hash_map::Entry::Occupied(at) => unique[*at.get()].1 = value,
            std::collections::hash_map::Entry::Vacant(at) => {
                at.insert(unique.len());
                unique.push((key, value));
            }
        }
    }
    let extent = around(unique.iter().map(|pair| &pair.1))?;
    Ok(Value::from_object(PyDict {
        pairs: unique,
        index,
        extent,
    }))
}

impl Object for PyList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.items.get(key.as_usize()?).cloned()
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.items.len())
    }
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        list_repr(&self.items, self.tuple, &mut out, 0).map_err(|_| fmt::Error)?;
        f.write_str(&out)
    }
}

impl fmt::Debug for PyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list")
    }
}

impl Object for PyDict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.index.get(key).map(|&at| self.pairs[at].1.clone())
    }
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let this = self.clone();
        Enumerator::Iter(Box::new(
            (0..self.pairs.len()).map(move |i| this.pairs[i].0.clone()),
        ))
    }
    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.pairs.len())
    }
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = String::new();
        dict_repr(&self.pairs, &mut out, 0).map_err(|_| fmt::Error)?;
        f.write_str(&out)
    }
}

impl fmt::Debug for PyDict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("dict")
    }
}

/// The items of a list of ours, or of anything else that can be iterated.
pub fn items(value: &Value) -> Result<Vec<Value>, Error> {
    if let Some(list) = value.downcast_object_ref::<PyList>() {
        charge_nodes(list.items.len())?;
        return Ok(list.items.clone());
    }
    let mut out = vec![];
    for item in value.try_iter()? {
        charge_nodes(1)?;
        out.push(item);
    }
    Ok(out)
}

pub fn pairs(value: &Value) -> Option<&[(Value, Value)]> {
    value
        .downcast_object_ref::<PyDict>()
        .map(|dict| dict.pairs.as_slice())
}

/// A value of minijinja's own (the result of a filter) as one of ours.
pub fn adopt(value: Value, depth: u32) -> Result<Value, Error> {
    if depth > MAX_DEPTH {
        return Err(meter::too_deep());
    }
    if value.downcast_object_ref::<PyList>().is_some() || value.downcast_object_ref::<PyDict>().is_some() {
        return Ok(value);
    }
    let sized = value
        .as_object()
        .is_some_and(|object| object.enumerator_len().is_some());
    match value.kind() {
        ValueKind::String => {
            charge(value.as_str().map_or(0, str::len))?;
            Ok(value)
        }
        ValueKind::Seq => list(adopt_all(&value, depth)?),
        ValueKind::Iterable if sized => list(adopt_all(&value, depth)?),
        _ => Ok(value),
    }
}

fn adopt_all(value: &Value, depth: u32) -> Result<Vec<Value>, Error> {
    value
        .try_iter()?
        .map(|item| {
            charge_nodes(1)?;
            adopt(item, depth + 1)
        })
        .collect()
}

/// JSON from outside as values of ours.
pub fn from_json(json: &serde_json::Value) -> Result<Value, Error> {
    use serde_json::Value as Json;
    Ok(match json {
        Json::Null => Value::from(()),
        Json::Bool(b) => Value::from(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::from(i),
            (_, Some(u)) => Value::from(u),
            _ => Value::from(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => Value::from(s.as_str()),
        Json::Array(array) => list(array.iter().map(from_json).collect::<Result<_, _>>()?)?,
        Json::Object(object) => {
            let pairs: Result<Vec<_>, Error> = object
                .iter()
                .map(|(k, v)| Ok((Value::from(k.as_str()), from_json(v)?)))
                .collect();
            dict(pairs?)?
        }
    })
}

// ---- printing ------------------------------------------------------------------------------------------------------

/// str(value)
pub fn str_of(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_str(value, &mut out)?;
    Ok(out)
}

pub fn write_str(value: &Value, out: &mut String) -> Result<(), Error> {
    match value.as_str() {
        Some(text) => {
            charge(text.len())?;
            out.push_str(text);
            Ok(())
        }
        None if value.is_undefined() => Ok(()),
        None => repr(value, out, 0),
    }
}

fn repr(value: &Value, out: &mut String, depth: u32) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        return Err(meter::too_deep());
    }
    let before = out.len();
    match value.kind() {
        ValueKind::None => out.push_str("None"),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => number(value, out),
        ValueKind::String => string_repr(value.as_str().unwrap_or(""), out),
        ValueKind::Seq => {
            let tuple = value
                .downcast_object_ref::<PyList>()
                .is_some_and(|list| list.tuple);
            return list_repr(&items(value)?, tuple, out, depth);
        }
        ValueKind::Map if pairs(value).is_some() => {
            return dict_repr(pairs(value).unwrap_or(&[]), out, depth)
        }
        ValueKind::Iterable => return list_repr(&items(value)?, false, out, depth),
        kind => {
            out.push('<');
            out.push_str(&kind.to_string());
            out.push('>');
        }
    }
    charge(out.len() - before + 1)
}

fn list_repr(items: &[Value], tuple: bool, out: &mut String, depth: u32) -> Result<(), Error> {
    out.push(if tuple { '(' } else { '[' });
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        repr(item, out, depth + 1)?;
    }
    out.push_str(match (tuple, items.len()) {
        (false, _) => "]",
        (true, 1) => ",)",
        (true, _) => ")",
    });
    charge(2 * items.len() + 2)
}

fn dict_repr(pairs: &[(Value, Value)], out: &mut String, depth: u32) -> Result<(), Error> {
    out.push('{');
    for (i, (key, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        repr(key, out, depth + 1)?;
        out.push_str(": ");
        repr(value, out, depth + 1)?;
    }
    out.push('}');
    charge(4 * pairs.len() + 2)
}

fn number(value: &Value, out: &mut String) {
    if value.is_integer() {
        out.push_str(&value.to_string());
    } else {
        out.push_str(&float(f64::try_from(value.clone()).unwrap_or(f64::NAN)));
    }
}

/// repr(float): the shortest digits that read back equal, an exponent from 1e16 and below 1e-4.
fn float(x: f64) -> String {
    if x.is_nan() {
        return "nan".into();
    }
    if x.is_infinite() {
        return if x > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{x:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{x}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn printable(c: char) -> bool {
    let invisible = matches!(c, '\u{AD}' | '\u{600}'..='\u{605}' | '\u{61C}' | '\u{6DD}' | '\u{70F}' | '\u{180E}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}'
        | '\u{FFF9}'..='\u{FFFB}' | '\u{E000}'..='\u{F8FF}' | '\u{E0001}'..='\u{E007F}' | '\u{F0000}'..='\u{10FFFF}');
    c == ' ' || !(c.is_control() || c.is_whitespace() || invisible)
}

fn string_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if printable(c) => out.push(c),
            c if u32::from(c) < 0x100 => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if u32::from(c) < 0x10000 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push(quote);
}

// ---- json.dumps ----------------------------------------------------------------------------------------------------

pub struct JsonStyle {
    pub ensure_ascii: bool,
    pub indent: Option<String>,
    pub item_separator: String,
    pub key_separator: String,
    pub sort_keys: bool,
}

pub fn json(value: &Value, style: &JsonStyle, level: usize, out: &mut String) -> Result<(), Error> {
    if level > MAX_DEPTH as usize {
        return Err(meter::too_deep());
    }
    let before = out.len();
    match value.kind() {
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => {
            let mut text = String::new();
            number(value, &mut text);
            out.push_str(match text.as_str() {
                "nan" => "NaN",
                "inf" => "Infinity",
                "-inf" => "-Infinity",
                other => other,
            });
        }
        ValueKind::String => json_string(value.as_str().unwrap_or(""), style.ensure_ascii, out),
        ValueKind::Seq => {
            let items = items(value)?;
            return json_items(items.len(), ('[', ']'), style, level, out, |i, out| {
                json(&items[i], style, level + 1, out)
            });
        }
        ValueKind::Map if pairs(value).is_some() => {
            let mut sorted: Vec<&(Value, Value)> = pairs(value).unwrap_or(&[]).iter().collect();
            if style.sort_keys {
                sorted.sort_by(|a, b| a.0.cmp(&b.0));
            }
            return json_items(sorted.len(), ('{', '}'), style, level, out, |i, out| {
                let (key, value) = sorted[i];
                match key.as_str() {
                    Some(key) => json_string(key, style.ensure_ascii, out),
                    None => {
                        let mut text = String::new();
                        json(key, style, level + 1, &mut text)?;
                        json_string(&text, style.ensure_ascii, out);
                    }
                }
                out.push_str(&style.key_separator);
                json(value, style, level + 1, out)
            });
        }
        kind => return Err(wrong(format!("a value of type {kind} cannot be written as JSON"))),
    }
    charge(out.len() - before + 1)
}

fn json_items(
    count: usize,
    brackets: (char, char),
    style: &JsonStyle,
    level: usize,
    out: &mut String,
    mut item: impl FnMut(usize, &mut String) -> Result<(), Error>,
) -> Result<(), Error> {
    out.push(brackets.0);
    for i in 0..count {
        if i > 0 {
            out.push_str(&style.item_separator);
        }
        line_break(style, level + 1, out)?;
        item(i, out)?;
    }
    if count > 0 {
        line_break(style, level, out)?;
    }
    out.push(brackets.1);
    charge(2 + count * (style.item_separator.len() + style.key_separator.len()))
}

fn line_break(style: &JsonStyle, level: usize, out: &mut String) -> Result<(), Error> {
    if let Some(indent) = &style.indent {
        charge(1 + level * indent.len())?;
        out.push('\n');
        for _ in 0..level {
            out.push_str(indent);
        }
    }
    Ok(())
}

fn json_string(text: &str, ensure_ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if u32::from(c) < 0x20 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            // The mark stays what it is, so that it is found again.
            c if ensure_ascii && !c.is_ascii() && c != crate::marker::MARK => {
                let mut units = [0u16; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

// ---- strftime ------------------------------------------------------------------------------------------------------

mod libc_time {
    use std::ffi::{c_char, c_int, c_long};

    /// struct tm of glibc, musl and macOS.
    #[repr(C)]
    #[derive(Clone, Copy)]
    pub struct Tm {
        fields: [c_int; 9],
        gmtoff: c_long,
        zone: *const c_char,
    }

    extern "C" {
        fn localtime_r(time: *const i64, tm: *mut Tm) -> *mut Tm;
        fn strftime(out: *mut c_char, capacity: usize, format: *const c_char, tm: *const Tm) -> usize;
        fn tzset();
    }

    pub fn now_local(seconds: i64) -> Option<Tm> {
        let mut tm = Tm {
            fields: [0; 9],
            gmtoff: 0,
            zone: std::ptr::null(),
        };
        // SAFETY: tm has the platform's layout; localtime_r fills it or returns NULL.
        unsafe {
            tzset();
            (!localtime_r(&seconds, &mut tm).is_null()).then_some(tm)
        }
    }

    pub fn format(tm: &Tm, format: &std::ffi::CStr, out: &mut [u8]) -> usize {
        // SAFETY: out is writable for its length, format is zero-terminated.
        unsafe { strftime(out.as_mut_ptr().cast(), out.len(), format.as_ptr(), tm) }
    }
}

/// datetime.now().strftime(format)
pub fn strftime_now(format: &str) -> Result<String, Error> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    // What a naive datetime knows and C does not: microseconds, and no time zone.
    let mut rest = format;
    let mut prepared = String::new();
    while let Some(at) = rest.find('%') {
        prepared.push_str(&rest[..at]);
        let mut after = rest[at + 1..].chars();
        match after.next() {
            Some('f') => prepared.push_str(&format!("{:06}", now.subsec_micros())),
            Some('z' | 'Z') => {}
            Some(c) => {
                prepared.push('%');
                prepared.push(c);
            }
            None => prepared.push_str("%%"),
        }
        rest = after.as_str();
    }
    prepared.push_str(rest);
    prepared.push('.'); // an empty result and one that did not fit would look alike
    let failed = || wrong("strftime_now: the format cannot be used");
    let format = std::ffi::CString::new(prepared).map_err(|_| failed())?;
    let tm = libc_time::now_local(now.as_secs() as i64).ok_or_else(failed)?;
    let mut out = vec![0u8; 4096];
    let length = libc_time::format(&tm, &format, &mut out);
    let text = out
        .get(..length.saturating_sub(1))
        .filter(|_| length > 0)
        .ok_or_else(failed)?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_python() {
        for (x, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e22, "1e+22"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-2.5, "-2.5"),
        ] {
            assert_eq!(float(x), text);
        }
    }

    #[test]
    fn strings_print_as_in_python() {
        let mut out = String::new();
        string_repr("it's \"x\"\n\u{a0}é\u{0}", &mut out);
        assert_eq!(out, "'it\\'s \"x\"\\n\\xa0é\\x00'");
        out.clear();
        string_repr("it's", &mut out);
        assert_eq!(out, "\"it's\"");
    }
}
