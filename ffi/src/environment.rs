//! The Jinja environment of transformers: its filters, tests and functions, metered.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{filters, functions, tests, AutoEscape, Environment, Error, ErrorKind, State, Value};

use crate::meter::{self, charge, charge_nodes};
use crate::methods;
use crate::python::{self, adopt, items, list, str_of, strftime_now, wrong, JsonStyle};

pub fn environment() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_keep_trailing_newline(true); // meter: the rewritten template has no text outside of tags
    env.set_fuel(Some(meter::FUEL));
    env.set_recursion_limit(400);
    env.set_unknown_method_callback(methods::call);
    env.set_formatter(|out, _, value| {
        let text = str_of(value)?;
        out.write_str(&text)
            .map_err(|_| Error::new(ErrorKind::OutOfFuel, "its output is too long"))
    });
    add_operators(&mut env);
    add_filters(&mut env);
    add_tests(&mut env);
    add_functions(&mut env);
    env
}

// ---- operators (rewrite.rs) ----------------------------------------------------------------------------------------

fn add_operators(env: &mut Environment<'static>) {
    env.add_filter("__add", add);
    env.add_filter("__mul", multiply);
    env.add_filter("__mod", modulo);
    env.add_filter("__cat", |a: &Value, b: &Value| -> Result<String, Error> {
        let mut text = str_of(a)?;
        python::write_str(b, &mut text)?;
        Ok(text)
    });
    env.add_filter("__slice", slice);
    env.add_filter("__list", |value: &Value| list(items(value)?));
    env.add_filter("__dict", |value: &Value| {
        let pairs = items(value)?;
        let pairs: Result<Vec<_>, Error> = pairs
            .iter()
            .map(|pair| {
                Ok((
                    adopt(pair.get_item_by_index(0)?, 0)?,
                    adopt(pair.get_item_by_index(1)?, 0)?,
                ))
            })
            .collect();
        python::dict(pairs?)
    });
    env.add_filter("__out", |value: Value| {
        charge(0)?;
        adopt(value, 0)
    });
    env.add_filter("__store", |value: Value| {
        python::check_storable(&value)?;
        Ok::<_, Error>(value)
    });
    env.add_filter("__iter", |value: Value| match value.kind() {
        ValueKind::None => Err(wrong("None is not iterable")),
        ValueKind::String => {
            charge_nodes(value.as_str().map_or(0, str::len))?;
            Ok(value)
        }
        _ => Ok(value),
    });
    env.add_filter("__tick", |_: &Value| -> Result<String, Error> {
        charge(8)?;
        Ok(String::new())
    });
}

enum Number {
    Int(i128),
    Float(f64),
}

fn number(value: &Value) -> Option<Number> {
    match value.kind() {
        ValueKind::Bool => Some(Number::Int(i128::from(value.is_true()))),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok().map(Number::Int),
        ValueKind::Number => f64::try_from(value.clone()).ok().map(Number::Float),
        _ => None,
    }
}

fn int_value(n: Option<i128>) -> Result<Value, Error> {
    let n = n.ok_or_else(|| wrong("a number becomes too large"))?;
    Ok(i64::try_from(n).map_or_else(|_| Value::from(n), Value::from))
}

fn mismatch(verb: &str, a: &Value, b: &Value) -> Error {
    if a.is_undefined() || b.is_undefined() {
        return Error::new(
            ErrorKind::UndefinedError,
            format!("cannot {verb} an undefined value"),
        );
    }
    wrong(format!("cannot {verb} {} and {}", a.kind(), b.kind()))
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq)
}

fn add(a: &Value, b: &Value) -> Result<Value, Error> {
    if let (Some(left), Some(right)) = (a.as_str(), b.as_str()) {
        charge(left.len() + right.len())?;
        return Ok(Value::from([left, right].concat()));
    }
    if is_list(a) && is_list(b) {
        let mut all = items(a)?;
        all.extend(items(b)?);
        return list(all);
    }
    match (number(a), number(b)) {
        (Some(Number::Int(a)), Some(Number::Int(b))) => int_value(a.checked_add(b)),
        (Some(a), Some(b)) => Ok(Value::from(as_float(a) + as_float(b))),
        _ => Err(mismatch("add", a, b)),
    }
}

fn as_float(n: Number) -> f64 {
    match n {
        Number::Int(i) => i as f64,
        Number::Float(f) => f,
    }
}

fn multiply(a: &Value, b: &Value) -> Result<Value, Error> {
    let repeatable = |value: &Value| value.as_str().is_some() || is_list(value);
    let (sequence, times) = match (repeatable(a), repeatable(b)) {
        (true, false) => (a, b),
        (false, true) => (b, a),
        _ => {
            return match (number(a), number(b)) {
                (Some(Number::Int(a)), Some(Number::Int(b))) => int_value(a.checked_mul(b)),
                (Some(a), Some(b)) => Ok(Value::from(as_float(a) * as_float(b))),
                _ => Err(mismatch("multiply", a, b)),
            }
        }
    };
    let Some(Number::Int(times)) = number(times) else {
        return Err(mismatch("multiply", a, b));
    };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    if let Some(text) = sequence.as_str() {
        charge(text.len().saturating_mul(times))?;
        return Ok(Value::from(if text.is_empty() {
            String::new()
        } else {
            text.repeat(times)
        }));
    }
    let once = items(sequence)?;
    charge_nodes(once.len().saturating_mul(times))?;
    if once.is_empty() {
        return list(once);
    }
    list(once.iter().cycle().take(once.len() * times).cloned().collect())
}

fn modulo(a: &Value, b: &Value) -> Result<Value, Error> {
    if let Some(format) = a.as_str() {
        let args = if is_list(b) { items(b)? } else { vec![b.clone()] };
        methods::check_format(format, &args)?;
        return minijinja::format_filter(minijinja::FormatStyle::Printf, format, &args).map(Value::from);
    }
    match (number(a), number(b)) {
        (Some(Number::Int(_)), Some(Number::Int(0))) => Err(wrong("division by zero")),
        (Some(Number::Int(a)), Some(Number::Int(b))) => {
            let rest = a.checked_rem(b);
            int_value(rest.map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r }))
        }
        (Some(a), Some(b)) => {
            let (a, b) = (as_float(a), as_float(b));
            Ok(Value::from(a - (a / b).floor() * b))
        }
        _ => Err(mismatch("take the remainder of", a, b)),
    }
}

/// value[start:stop:step]
fn slice(value: &Value, start: &Value, stop: &Value, step: &Value) -> Result<Value, Error> {
    let bound = |value: &Value| -> Result<Option<i64>, Error> {
        match value.kind() {
            ValueKind::None | ValueKind::Undefined => Ok(None),
            _ => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| wrong("a slice needs integers")),
        }
    };
    let (start, stop, step) = (bound(start)?, bound(stop)?, bound(step)?.unwrap_or(1));
    if step == 0 {
        return Err(wrong("a slice step cannot be zero"));
    }
    if value.is_undefined() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "cannot slice an undefined value",
        ));
    }
    let text = value.as_str().map(|text| text.chars().collect::<Vec<char>>());
    let whole = match &text {
        Some(_) => vec![],
        None if is_list(value) || value.kind() == ValueKind::Iterable => items(value)?,
        None => return Err(wrong(format!("{} cannot be sliced", value.kind()))),
    };
    let length = text.as_ref().map_or(whole.len(), Vec::len) as i64;
    charge(length as usize)?;
    // As Python's slice.indices().
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let clamp = |bound: i64| {
        let bound = if bound < 0 {
            bound.saturating_add(length)
        } else {
            bound
        };
        bound.clamp(low, high)
    };
    let first = start.map_or(if step > 0 { low } else { high }, clamp);
    let last = stop.map_or(if step > 0 { high } else { low }, clamp);
    let mut indices = vec![];
    let mut at = first;
    while (step > 0 && at < last) || (step < 0 && at > last) {
        indices.push(at as usize);
        at = at.saturating_add(step);
    }
    match text {
        Some(text) => Ok(Value::from(
            indices.into_iter().map(|i| text[i]).collect::<String>(),
        )),
        None => list(indices.into_iter().map(|i| whole[i].clone()).collect()),
    }
}

// ---- filters -------------------------------------------------------------------------------------------------------

fn text_of(value: &Value) -> Result<String, Error> {
    str_of(value)
}

fn add_filters(env: &mut Environment<'static>) {
    env.add_filter("tojson", tojson);
    env.add_filter("string", text_of);
    env.add_filter(
        "join",
        |value: &Value, separator: Option<String>, kwargs: Kwargs| {
            let separator = separator.or(kwargs.get("d")?).unwrap_or_default();
            let attribute: Option<Value> = kwargs.get("attribute")?;
            let mut out = String::new();
            for (i, item) in items(value)?.iter().enumerate() {
                charge(separator.len())?;
                if i > 0 {
                    out.push_str(&separator);
                }
                match &attribute {
                    Some(attribute) => python::write_str(&item.get_item(attribute)?, &mut out)?,
                    None => python::write_str(item, &mut out)?,
                }
            }
            Ok::<_, Error>(out)
        },
    );
    env.add_filter(
        "replace",
        |value: &Value, from: &Value, to: &Value, count: Option<i64>| {
            let most = count.and_then(|n| usize::try_from(n).ok());
            methods::replace(&str_of(value)?, &str_of(from)?, &str_of(to)?, most)
        },
    );
    env.add_filter("trim", |value: &Value, chars: Option<String>| {
        let text = str_of(value)?;
        Ok::<_, Error>(match chars {
            Some(chars) => text.trim_matches(|c| chars.contains(c)).to_string(),
            None => text.trim_matches(methods::is_space).to_string(),
        })
    });
    env.add_filter("indent", indent);
    env.add_filter("format", |format: &Value, args: Rest<Value>| {
        let format = str_of(format)?;
        methods::check_format(&format, &args)?;
        minijinja::format_filter(minijinja::FormatStyle::Printf, &format, &args)
    });
    env.add_filter("upper", |value: &Value| {
        Ok::<_, Error>(str_of(value)?.to_uppercase())
    });
    env.add_filter("lower", |value: &Value| {
        Ok::<_, Error>(str_of(value)?.to_lowercase())
    });
    env.add_filter("list", |value: &Value| list(items(value)?));
    env.add_filter("items", |value: &Value| match python::pairs(value) {
        Some(pairs) => {
            let pairs: Result<Vec<_>, Error> = pairs
                .iter()
                .map(|(k, v)| python::tuple(vec![k.clone(), v.clone()]))
                .collect();
            list(pairs?)
        }
        None if value.is_undefined() => list(vec![]),
        None => Err(wrong("items: not a mapping")),
    });
    env.add_filter("default", default);
    env.add_filter("d", default);
    env.add_filter("abs", filters::abs);
    env.add_filter("attr", filters::attr);
    env.add_filter("batch", |value: &Value, count: usize, fill: Option<Value>| {
        if !(1..=10_000).contains(&count) {
            return Err(wrong("batch: the count is not a small number"));
        }
        let all = items(value)?;
        let mut rows = vec![];
        for row in all.chunks(count) {
            let mut row = row.to_vec();
            if let Some(fill) = &fill {
                row.resize(count, fill.clone());
            }
            rows.push(list(row)?);
        }
        list(rows)
    });
    env.add_filter("capitalize", filters::capitalize);
    env.add_filter("count", filters::length);
    env.add_filter("length", filters::length);
    env.add_filter("dictsort", |value: &Value, kwargs: Kwargs| {
        let pairs: Result<Vec<_>, Error> = filters::dictsort(value, kwargs)?
            .try_iter()?
            .map(|pair| python::tuple(items(&pair)?))
            .collect();
        list(pairs?)
    });
    env.add_filter("escape", filters::escape);
    env.add_filter("e", filters::escape);
    env.add_filter("first", filters::first);
    env.add_filter("float", filters::float);
    env.add_filter("groupby", filters::groupby);
    env.add_filter("int", filters::int);
    env.add_filter("last", filters::last);
    env.add_filter("map", filters::map);
    env.add_filter("max", filters::max);
    env.add_filter("min", filters::min);
    env.add_filter("reject", filters::reject);
    env.add_filter("rejectattr", filters::rejectattr);
    env.add_filter("reverse", filters::reverse);
    env.add_filter("round", filters::round);
    env.add_filter("safe", text_of);
    env.add_filter("select", filters::select);
    env.add_filter("selectattr", filters::selectattr);
    env.add_filter("sort", filters::sort);
    env.add_filter("sum", filters::sum);
    env.add_filter("title", filters::title);
    env.add_filter("unique", filters::unique);
}

fn default(
    value: &Value,
    other: Option<Value>,
    boolean: Option<bool>,
    kwargs: Kwargs,
) -> Result<Value, Error> {
    let other = match other {
        Some(other) => other,
        None => kwargs
            .get::<Option<Value>>("default_value")?
            .unwrap_or_else(|| Value::from("")),
    };
    let boolean = boolean.or(kwargs.get("boolean")?).unwrap_or(false);
    Ok(if value.is_undefined() || (boolean && !value.is_true()) {
        other
    } else {
        value.clone()
    })
}

fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let width = width.or(kwargs.get("width")?).unwrap_or_else(|| Value::from(4));
    let first = first.or(kwargs.get("first")?).unwrap_or(false);
    let blank = blank.or(kwargs.get("blank")?).unwrap_or(false);
    let indention = match (width.as_str(), width.as_usize()) {
        (Some(text), _) => text.to_string(),
        (None, Some(width)) if width <= 1000 => " ".repeat(width),
        _ => return Err(wrong("indent: the width is not a small number")),
    };
    let text = str_of(value)? + "\n"; // as jinja2 does
    let lines = methods::split_lines(&text);
    charge(text.len() + lines.len() * indention.len())?;
    let mut out = if first { indention.clone() } else { String::new() };
    for (i, line) in lines.iter().enumerate() {
        if i > 0 {
            out.push('\n');
            if blank || !line.is_empty() {
                out.push_str(&indention);
            }
        }
        out.push_str(line);
    }
    Ok(out)
}

fn tojson(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let indent = match kwargs.get::<Option<Value>>("indent")? {
        None => None,
        Some(value) if value.is_none() => None,
        Some(value) => match (value.as_str(), value.as_usize()) {
            (Some(text), _) => Some(text.to_string()),
            (None, Some(width)) if width <= 1000 => Some(" ".repeat(width)),
            _ => return Err(wrong("tojson: the indent is not a small number")),
        },
    };
    let separators = match kwargs.get::<Option<Value>>("separators")? {
        Some(value) if !value.is_none() => Some((
            str_of(&value.get_item_by_index(0)?)?,
            str_of(&value.get_item_by_index(1)?)?,
        )),
        _ => None,
    };
    let (item_separator, key_separator) = separators.unwrap_or_else(|| {
        (
            if indent.is_some() { "," } else { ", " }.to_string(),
            ": ".to_string(),
        )
    });
    let style = JsonStyle {
        ensure_ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort_keys: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item_separator,
        key_separator,
    };
    kwargs.assert_all_used()?;
    let mut out = String::new();
    python::json(value, &style, 0, &mut out)?;
    Ok(out)
}

// ---- tests ---------------------------------------------------------------------------------------------------------

fn add_tests(env: &mut Environment<'static>) {
    let sequence =
        |value: &Value| matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map);
    env.add_test("sequence", sequence);
    env.add_test("iterable", move |value: &Value| {
        sequence(value) || matches!(value.kind(), ValueKind::Iterable | ValueKind::Undefined)
    });
    env.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("even", tests::is_even);
    env.add_test("odd", tests::is_odd);
    env.add_test("false", tests::is_false);
    env.add_test("true", tests::is_true);
    env.add_test("float", tests::is_float);
    env.add_test("in", tests::is_in);
    env.add_test("integer", tests::is_integer);
    env.add_test("lower", tests::is_lower);
    env.add_test("upper", tests::is_upper);
    env.add_test("mapping", tests::is_mapping);
    env.add_test("none", tests::is_none);
    env.add_test("number", |value: &Value| {
        matches!(value.kind(), ValueKind::Number | ValueKind::Bool)
    });
    env.add_test("sameas", tests::is_sameas);
    env.add_test("string", tests::is_string);
    env.add_test("filter", tests::is_filter);
    env.add_test("test", tests::is_test);
    for name in ["eq", "equalto", "=="] {
        env.add_test(name, tests::is_eq);
    }
    for name in ["ne", "!="] {
        env.add_test(name, tests::is_ne);
    }
    for name in ["lt", "lessthan", "<"] {
        env.add_test(name, tests::is_lt);
    }
    for name in ["le", "<="] {
        env.add_test(name, tests::is_le);
    }
    for name in ["gt", "greaterthan", ">"] {
        env.add_test(name, tests::is_gt);
    }
    for name in ["ge", ">="] {
        env.add_test(name, tests::is_ge);
    }
}

// ---- functions -----------------------------------------------------------------------------------------------------

/// How template.rs recognises what raise_exception said.
pub const RAISED: &str = "\u{1}";

fn add_functions(env: &mut Environment<'static>) {
    env.add_function("raise_exception", |message: &Value| -> Result<Value, Error> {
        Err(wrong(format!("{RAISED}{}", str_of(message)?)))
    });
    env.add_function("strftime_now", |format: &str| strftime_now(format));
    env.add_function("range", |a: i64, b: Option<i64>, step: Option<i64>| {
        let (start, stop, step) = (if b.is_some() { a } else { 0 }, b.unwrap_or(a), step.unwrap_or(1));
        if step == 0 {
            return Err(wrong("range: the step cannot be zero"));
        }
        let span = if step > 0 {
            i128::from(stop) - i128::from(start)
        } else {
            i128::from(start) - i128::from(stop)
        };
        let count = (span + i128::from(step.unsigned_abs()) - 1) / i128::from(step.unsigned_abs());
        if count > 100_000 {
            return Err(wrong("range: more than 100000 numbers"));
        }
        list(
            (0..count.max(0) as i64)
                .map(|i| Value::from(start + i * step))
                .collect(),
        )
    });
    env.add_function("dict", |args: Rest<Value>| {
        let (kwargs, first) = match args.split_last() {
            Some((last, rest)) if last.is_kwargs() => (Some(Kwargs::try_from(last.clone())?), rest.first()),
            _ => (None, args.first()),
        };
        let mut all = match first {
            Some(first) => match python::pairs(first) {
                Some(pairs) => pairs.to_vec(),
                None => items(first)?
                    .iter()
                    .map(|pair| Ok((pair.get_item_by_index(0)?, pair.get_item_by_index(1)?)))
                    .collect::<Result<Vec<_>, Error>>()?,
            },
            None => vec![],
        };
        if let Some(kwargs) = kwargs {
            for name in kwargs.args() {
                all.push((Value::from(name), kwargs.get(name)?));
            }
        }
        python::dict(all)
    });
    env.add_function("namespace", |state: &State, args: Rest<Value>| {
        let _ = state;
        charge_nodes(4)?;
        for arg in args.iter() {
            for key in arg.try_iter()? {
                python::check_storable(&arg.get_item(&key)?)?;
            }
        }
        match args.first() {
            Some(first) if !first.is_kwargs() => {
                let pairs = python::pairs(first).ok_or_else(|| wrong("namespace: not a mapping"))?;
                functions::namespace(Some(Value::from_iter(pairs.iter().cloned())))
            }
            first => functions::namespace(first.cloned()),
        }
    });
}
