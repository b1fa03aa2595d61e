//! Reading a JSON schema for `grammar.rs`: what would not be enforced is refused, by name and place.
//!
//! llguidance refuses most of what it does not know, but it looks at a keyword through the eyes of the schema's own
//! draft: one that another draft defines is to it an unknown word, and JSON Schema says to ignore those. Somebody who
//! writes `dependencies` or `uniqueItems` means it, so every keyword that any draft gives a meaning to is either enforced
//! or refused here. Words of no draft are annotations.

use std::collections::HashSet;

use serde_json::{json, Map, Value};

use crate::failure::{one_line, Failure, Outcome, UNSUPPORTED};

/// Keywords that restrict values in some draft and that llguidance does not enforce.
const NOT_ENFORCED: [&str; 20] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
    "extends",
    "disallow",
    "divisibleBy",
    "x-guidance",
];

/// What JSON looks like: no blanks, or one, or a line break and an indentation. Models that are lost write blanks for
/// ever; here they cannot.
const BLANKS: &str = r"[\x20\x09]|\x0D?\x0A[\x20\x09]{0,32}";

/// Members of one object. What a grammar costs grows with the square of their number, and each that may be left out is
/// one more way to go on.
const MAX_MEMBERS: usize = 2000;
const MAX_OPTIONAL: usize = 400;

fn child(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Values, not schemas, whatever they look like.
const DATA: [&str; 7] = [
    "const", "enum", "default", "examples", "example", "required", "type",
];

/// Looks at a schema and at the schemas inside it, also where only a $ref would find them. Takes out what restricts
/// nothing, which llguidance would refuse. The recursion is as deep as the JSON parser allows.
fn check(schema: &mut Value, path: &str) -> Outcome<()> {
    let Value::Object(fields) = schema else {
        return Ok(()); // true, false, or something that llguidance will refuse
    };
    fields.retain(|key, value| !means_nothing(key, value));
    check_members(fields, path)?;
    for (key, value) in fields {
        let path = &child(path, key);
        if NOT_ENFORCED.contains(&key.as_str()) {
            return Err(Failure::new(
                UNSUPPORTED,
                format!("the JSON schema cannot be used: {path} is not supported"),
            ));
        }
        match (key.as_str(), value) {
            (data, _) if DATA.contains(&data) => {}
            ("properties" | "patternProperties" | "$defs" | "definitions", Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    check(schema, &child(path, name))?;
                }
            }
            (_, Value::Array(schemas)) => {
                for (i, schema) in schemas.iter_mut().enumerate() {
                    check(schema, &child(path, &i.to_string()))?;
                }
            }
            (_, schema) => check(schema, path)?,
        }
    }
    Ok(())
}

fn check_members(fields: &Map<String, Value>, path: &str) -> Outcome<()> {
    let Some(Value::Object(members)) = fields.get("properties") else {
        return Ok(());
    };
    let required = fields.get("required").and_then(Value::as_array);
    let required: HashSet<&str> = required.into_iter().flatten().filter_map(Value::as_str).collect();
    let n_optional = members
        .keys()
        .filter(|name| !required.contains(name.as_str()))
        .count();
    if members.len() > MAX_MEMBERS || n_optional > MAX_OPTIONAL {
        return Err(Failure::limit(format!(
            "the JSON schema cannot be used: {path}/properties has {} members, {n_optional} of them not required; at most \
             {MAX_MEMBERS} and {MAX_OPTIONAL} are possible",
            members.len()
        )));
    }
    Ok(())
}

/// `"uniqueItems": false` and the like.
fn means_nothing(key: &str, value: &Value) -> bool {
    match key {
        "uniqueItems" => value == &Value::Bool(false),
        "unevaluatedItems" | "unevaluatedProperties" | "propertyNames" => value == &Value::Bool(true),
        _ => false,
    }
}

/// A schema that llguidance can compile, with our idea of blanks.
pub fn read(text: &str) -> Outcome<Value> {
    let mut schema: Value = serde_json::from_str(text).map_err(|e| {
        Failure::invalid(format!(
            "the JSON schema is not JSON: {}",
            one_line(&e.to_string())
        ))
    })?;
    match schema {
        Value::Object(_) => check(&mut schema, "#")?,
        Value::Bool(true) => schema = json!({}),
        Value::Bool(false) => {
            return Err(Failure::invalid(
                "the JSON schema cannot be used: no value fits \"false\"",
            ))
        }
        _ => return Err(Failure::invalid("the JSON schema is not an object")),
    }
    schema["x-guidance"] = json!({"whitespace_flexible": true, "whitespace_pattern": BLANKS});
    Ok(schema)
}
