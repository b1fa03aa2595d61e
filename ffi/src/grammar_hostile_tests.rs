//! Grammars as attackers write them.

use std::time::{Duration, Instant};

use crate::grammar::{End, Grammar, Kind, MAX_GRAMMAR};
use crate::grammar_tests::{factory, Random, VOCAB};

/// Whatever comes, an answer comes soon: a refusal, or a grammar whose masks are quick.
#[test]
fn hostile_texts_cost_little() {
    let nested = |open: &str, close: &str, n: usize| open.repeat(n) + &close.repeat(n);
    let many = |n: usize, f: &dyn Fn(usize) -> String| (0..n).map(f).collect::<Vec<_>>().join(",");
    let chain = |n: usize| {
        let defs = many(n, &|i| format!(r##""d{i}":{{"$ref":"#/$defs/d{}"}}"##, i + 1));
        format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{defs},"d{n}":{{"type":"null"}}}}}}"##)
    };
    let siblings = |n: usize| {
        let defs = many(n, &|i| {
            format!(r##""d{i}":{{"minLength":{i},"$ref":"#/$defs/d{}"}}"##, i + 1)
        });
        format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{defs},"d{n}":{{"type":"string"}}}}}}"##)
    };
    let doubling = |n: usize| {
        let defs = many(n, &|i| {
            format!(
                r##""d{i}":{{"allOf":[{{"$ref":"#/$defs/d{0}"}},{{"$ref":"#/$defs/d{0}"}}]}}"##,
                i + 1
            )
        });
        format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{defs},"d{n}":{{"properties":{{"a":{{}}}}}}}}}}"##)
    };
    let any_of = |n: usize| {
        format!(
            r#"{{"anyOf":[{}]}}"#,
            many(n, &|i| format!(
                r#"{{"properties":{{"p{i}":{{"type":"null"}}}}}}"#
            ))
        )
    };
    let cases: Vec<(Kind, String)> = vec![
        (Kind::Regex, "(a{1000}){1000}".into()),
        (Kind::Regex, "((((a{100}){100}){100}){100}){100}".into()),
        (Kind::Regex, "(.*a){30}.*b".into()),
        (Kind::Regex, "(a?){5000}a{5000}".into()),
        (Kind::Regex, ".*a.{4000}".into()),
        (Kind::Regex, "(.*[ab].{20}|.*[bc].{21}|.*[cd].{22})".into()),
        (Kind::Regex, r"(\w{1,500}\s{1,500}){1,500}".into()),
        (Kind::Regex, r"\p{L}{5000}".into()),
        (Kind::Regex, nested("(", ")", 100_000)),
        (Kind::Regex, "x".repeat(MAX_GRAMMAR)),
        (Kind::Regex, "a|".repeat(MAX_GRAMMAR / 2 - 1) + "b"),
        (
            Kind::Lark,
            "start: ".to_string() + &nested("(", ")", 100_000) + "\"a\"",
        ),
        (
            Kind::Lark,
            "start: a\n".to_string()
                + &(0..10000)
                    .map(|i| format!("a{i}: a{}\n", i + 1))
                    .collect::<String>(),
        ),
        (Kind::Lark, "start: a a\na: a a a a | \"x\"?".into()),
        (Kind::Lark, "start: x{1000000}\nx: \"ab\" | \"a\" \"b\"".into()),
        (Kind::Lark, "start: start start | \"a\" | \"\"".into()),
        (
            Kind::Lark,
            format!("start: %json {}", nested("{\"a\":", "}", 50_000)),
        ),
        (Kind::Schema, nested("[", "]", 100_000)),
        (
            Kind::Schema,
            nested(r#"{"items":"#, "}", 120).replace(":}", ":{}}"),
        ),
        (Kind::Schema, r#"{"type":"string","minLength":1000000000}"#.into()),
        (
            Kind::Schema,
            r#"{"type":"string","maxLength":18446744073709551615}"#.into(),
        ),
        (
            Kind::Schema,
            r#"{"type":"string","minLength":20000,"maxLength":20001,"pattern":"(ab|cd)*e"}"#.into(),
        ),
        (Kind::Schema, r#"{"type":"array","minItems":1000000000}"#.into()),
        (
            Kind::Schema,
            r#"{"type":"array","maxItems":100000,"items":{"type":"array","maxItems":100000}}"#.into(),
        ),
        (Kind::Schema, r#"{"type":"number","multipleOf":1e-300}"#.into()),
        (
            Kind::Schema,
            r#"{"type":"number","multipleOf":1.7976931348623157e308}"#.into(),
        ),
        (
            Kind::Schema,
            r#"{"type":"integer","multipleOf":9007199254740993}"#.into(),
        ),
        (Kind::Schema, r#"{"type":"integer","multipleOf":0}"#.into()),
        (
            Kind::Schema,
            r#"{"type":"integer","minimum":-1e308,"maximum":1e308}"#.into(),
        ),
        (
            Kind::Schema,
            r#"{"type":"number","minimum":1e-308,"maximum":1e308}"#.into(),
        ),
        (Kind::Schema, r#"{"minProperties":1000000}"#.into()),
        (
            Kind::Schema,
            r#"{"type":"object","minProperties":50,"maxProperties":100000}"#.into(),
        ),
        (
            Kind::Schema,
            format!(r#"{{"enum":[{}]}}"#, many(20_000, &|i| format!("\"v{i}\""))),
        ),
        (
            Kind::Schema,
            format!(r#"{{"enum":[{}]}}"#, many(20_000, &|i| format!("[{i}]"))),
        ),
        (
            Kind::Schema,
            format!(
                r#"{{"type":"object","properties":{{{}}}}}"#,
                many(8_000, &|i| format!("\"p{i}\":{{}}"))
            ),
        ),
        (
            Kind::Schema,
            format!(
                r#"{{"type":"object","patternProperties":{{{}}}}}"#,
                many(2_000, &|i| format!("\"^p{i}\":{{}}"))
            ),
        ),
        (
            Kind::Schema,
            format!(
                r#"{{"type":"object","patternProperties":{{{}}}}}"#,
                many(200, &|i| format!("\"^(a|b)*{i}.{{30}}$\":{{}}"))
            ),
        ),
        (
            Kind::Schema,
            format!(r#"{{"allOf":[{0},{0},{0}]}}"#, any_of(1000)),
        ),
        (
            Kind::Schema,
            format!(r#"{{"allOf":[{}]}}"#, many(300, &|_| any_of(10))),
        ),
        (
            Kind::Schema,
            format!(
                r#"{{"oneOf":[{}]}}"#,
                many(3000, &|i| format!(
                    r#"{{"required":["a"],"properties":{{"a":{{"const":"{i}"}}}}}}"#
                ))
            ),
        ),
        (
            Kind::Schema,
            format!(
                r#"{{"allOf":[{}]}}"#,
                many(2000, &|i| format!(r#"{{"pattern":"^a{i}"}}"#))
            ),
        ),
        (
            Kind::Schema,
            format!(
                r#"{{"allOf":[{}]}}"#,
                many(100, &|i| format!(
                    r#"{{"type":"integer","multipleOf":{}}}"#,
                    1000003 + 2 * i
                ))
            ),
        ),
        (Kind::Schema, chain(6000)),
        (Kind::Schema, siblings(5000)),
        (Kind::Schema, doubling(40)),
        (Kind::Schema, r##"{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}"##.into()),
        (Kind::Schema, r##"{"$ref":"#"}"##.into()),
        (Kind::Schema, format!(r#"{{"const":"{}"}}"#, "日".repeat(50_000))),
        (Kind::Schema, format!(r#"{{"type":["{}"]}}"#, "日".repeat(50_000))),
        (Kind::Schema, r#"{"$id":"http://[","type":"null"}"#.into()),
    ];
    let factory = factory();
    let mut mask = [0u32; VOCAB.div_ceil(32)];
    let mut slow = vec![];
    for (kind, text) in cases {
        let shown: String = text.chars().take(90).collect();
        let start = Instant::now();
        let opened = Grammar::open(&factory, kind, text.as_bytes());
        let open_time = start.elapsed();
        let mut longest = Duration::ZERO;
        let outcome = opened.and_then(|mut grammar| {
            let mut random = Random(1);
            for _ in 0..60 {
                let start = Instant::now();
                grammar.mask(&mut mask)?;
                let ids: Vec<u32> = (0..VOCAB as u32)
                    .filter(|id| *id < 270 && mask[*id as usize / 32] >> (id % 32) & 1 == 1)
                    .collect();
                if ids.is_empty() {
                    break;
                }
                let end = grammar.accept(ids[random.below(ids.len())])?;
                longest = longest.max(start.elapsed());
                if end == End::Reached {
                    break;
                }
            }
            Ok(())
        });
        let said = outcome.err().map(|f| format!("{} {}", f.code, f.message));
        println!("{open_time:>10.1?} {longest:>10.1?} {shown} -> {said:?}");
        if open_time > Duration::from_secs(4) || longest > Duration::from_secs(1) {
            slow.push(shown);
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}
