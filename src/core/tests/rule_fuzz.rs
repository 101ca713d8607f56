//! Whatever JSON comes in, the answer comes back: soon, without a panic, the same each time, and in order.

mod common;

use std::time::{Duration, Instant};

use common::random::Random;
use common::read;
use proptest::prelude::*;
use serde_json::Value;

/// Whether the JSON has something at a place such as `$.and[0]["a b"]`.
fn exists(mut value: &Value, path: &str) -> bool {
    let mut rest = &path[1..];
    while !rest.is_empty() {
        let (next, after) = if let Some(quoted) = rest.strip_prefix("[\"") {
            let end = quoted.find("\"]").expect("a closed bracket");
            let key: String = serde_json::from_str(&rest[1..end + 3]).expect("a key");
            (value.get(key), &quoted[end + 2..])
        } else if let Some(index) = rest.strip_prefix('[') {
            let end = index.find(']').expect("a closed bracket");
            (value.get(index[..end].parse::<usize>().expect("a position")), &index[end + 1..])
        } else {
            let key = rest.strip_prefix('.').expect("a dot");
            let end = key.find(['.', '[']).unwrap_or(key.len());
            (value.get(&key[..end]), &key[end..])
        };
        let Some(next) = next else {
            return false;
        };
        value = next;
        rest = after;
    }
    true
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let first = read(text);
    prop_assert_eq!(&first, &read(text));
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    match first {
        Ok(rule) => {
            let stored = rule.to_json();
            prop_assert_eq!(read(&stored.to_string()), Ok(rule));
        }
        Err(problems) => {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(exists(&value, &problem.path), "{}\n{:#?}", text, problem);
                prop_assert!(problem.hint.is_some());
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_answered(seed in any::<u64>()) {
        check(&Random(seed).anything(4).to_string())?;
    }

    #[test]
    fn changed_rules_are_answered(seed in any::<u64>(), changes in 1..6_usize) {
        let mut random = Random(seed);
        let mut rule = random.rule();
        for _ in 0..changes {
            random.mutate(&mut rule);
        }
        check(&rule.to_string())?;
    }

    #[test]
    fn cut_and_garbled_texts_are_answered(seed in any::<u64>(), junk in "\\PC{0,3}") {
        let mut random = Random(seed);
        let mut text = random.rule().to_string();
        let at = text.floor_char_boundary(random.below(text.len()));
        if random.below(2) == 0 {
            text.truncate(at);
        }
        text.insert_str(text.len().min(at), &junk);
        let _ = read(&text);
    }

    #[test]
    fn any_text_is_answered(text in "[\\[\\]{}\",:0-9a-z\\\\ .\\-]{0,40}") {
        let _ = read(&text);
    }
}

/// Texts of the largest size that ask for the most work of each kind. Each takes about a second
/// unoptimised; what is not linear takes minutes.
#[test]
fn the_largest_texts_are_answered_soon() {
    let fill = |open: &str, item: &dyn Fn(usize) -> String, close: &str| {
        let mut text = open.to_owned();
        let mut index = 0;
        while text.len() < 1_040_000 {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&item(index));
            index += 1;
        }
        text + close
    };
    let texts = [
        "[".repeat(1_000_000),
        "{\"not\":".repeat(140_000),
        format!("{}{}", "[".repeat(500_000), "]".repeat(500_000)),
        format!("{}1{}", "{\"not\":".repeat(130_000), "}".repeat(130_000)),
        format!("{}1{}", "{\"and\":[".repeat(100_000), "]}".repeat(100_000)),
        fill("{", &|index| format!("\"k{index}\":1"), "}"),
        fill("{\"and\":[", &|_| "{}".into(), "]}"),
        fill("{\"and\":[", &|_| "{\"x\":1}".into(), "]}"),
        fill("{\"and\":[", &|_| "{\"annnnnd\":1,\"prophile\":2}".into(), "]}"),
        fill("{\"did\":[", &|_| "0".into(), "]}"),
        fill(
            "{\"did\":\"e\",\"where\":[",
            &|index| format!("{{\"property\":\"p\",\"operator\":\"regex\",\"value\":\"k{index}\"}}"),
            "]}",
        ),
        fill(
            "{\"did\":\"e\",\"where\":[",
            &|index| format!("{{\"property\":\"p\",\"operator\":\"op{index}\",\"value\":\"a\"}}"),
            "]}",
        ),
        fill("{\"sequence\":[", &|index| format!("{{\"did\":\"e\",\"as\":\"n{index}\"}}"), "]}"),
        fill(
            "{\"sequence\":[{\"did\":\"e\",\"as\":\"n\"},",
            &|index| {
                format!(
                    "{{\"did\":\"e\",\"as\":\"n{index}\",\"where\":{{\"property\":\"p\",\"operator\":\"eq\",\"ref\":\"m{index}.x\"}}}}"
                )
            },
            "]}",
        ),
        fill("{\"profile\":\"p\",\"operator\":\"in\",\"value\":[", &|_| "1e5000".into(), "]}"),
        format!("{{\"profile\":\"p\",\"operator\":\"eq\",\"value\":{}}}", "9".repeat(1_000_000)),
        format!("{{\"profile\":\"p\",\"operator\":\"eq\",\"value\":0.{}}}", "9".repeat(1_000_000)),
        format!("{{\"profile\":\"{}\",\"operator\":\"exists\"}}", "a.".repeat(500_000)),
        format!("{{\"profile\":\"a{}\",\"operator\":\"exists\"}}", "[]".repeat(500_000)),
        format!("{{\"did\":\"e\",\"time\":{{\"in_the_last\":\"{} d\"}}}}", "0".repeat(1_000_000)),
        format!("{{\"did\":\"e\",\"timezone\":\"{}\"}}", "A".repeat(1_000_000)),
        format!("{{\"{}\":1}}", "\\u0041".repeat(170_000)),
    ];
    for text in texts {
        assert!(text.len() <= 1_048_576);
        let start = Instant::now();
        let _ = read(&text);
        let taken = start.elapsed();
        assert!(taken < Duration::from_mins(1), "{taken:?} for {}", &text[..60]);
    }
}
