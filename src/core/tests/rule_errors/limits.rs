//! How large a rule may be, and how its messages stay readable.

use crate::common::{problems, valid};
use crate::refused;

fn nested(levels: usize, innermost: &str) -> String {
    format!("{}{innermost}{}", r#"{"not":"#.repeat(levels), "}".repeat(levels))
}

#[test]
fn depth_is_at_most_32() {
    valid(&nested(31, r#"{"did": "e"}"#));
    refused(&nested(32, r#"{"did": ""}"#), &[(&format!("${}", ".not".repeat(32)), "too deep")]);
    // A predicate is one level below its condition; a step is no level.
    let predicate = |levels: usize| nested(levels, r#"{"property": "p", "operator": "exists"}"#);
    valid(&format!(r#"{{"did": "e", "where": {}}}"#, predicate(30)));
    valid(&format!(r#"{{"sequence": [{{"did": "e", "where": [{}]}}]}}"#, predicate(30)));
    refused(
        &format!(r#"{{"did": "e", "where": [{}]}}"#, predicate(31)),
        &[(&format!("$.where[0]{}", ".not".repeat(31)), "too deep")],
    );
    // Each object that is the first too deep on its way down.
    refused(
        &nested(31, r#"{"and": [{"did": ""}, {"did": "e"}, 5]}"#),
        &[
            (&format!("${}.and[0]", ".not".repeat(31)), "too deep"),
            (&format!("${}.and[1]", ".not".repeat(31)), "too deep"),
            (&format!("${}.and[2]", ".not".repeat(31)), "found a number"),
        ],
    );
    // As deep as jsonb can be, and deeper; what lies beside it is still found.
    for levels in [200, 6_000, 100_000] {
        refused(
            &format!(r#"{{"and": [{}, {{"did": ""}}]}}"#, nested(levels, "1")),
            &[(&format!("$.and[0]{}", ".not".repeat(31)), "too deep"), ("$.and[1].did", "empty")],
        );
        let list = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        refused(&format!(r#"{{"profile": "p", "operator": "eq", "value": {list}}}"#), &[("$.value", "found a list")]);
        refused(
            &format!(r#"{{"profile": "p", "operator": "in", "value": [{list}]}}"#),
            &[("$.value[0]", "found a list")],
        );
        refused(&format!(r#"{{"did": "e", "x": {list}}}"#), &[("$.x", "unknown key")]);
    }
}

#[test]
fn parts_are_at_most_1000() {
    let rule = |events: usize| format!(r#"{{"and": [{}]}}"#, vec![r#"{"did":"e"}"#; events].join(","));
    valid(&rule(999));
    refused(&rule(1_000), &[("$", "1001 conditions, predicates and steps")]);
    let steps = |steps: usize| {
        let step = r#"{"did":"e","where":{"property":"p","operator":"exists"}}"#;
        format!(r#"{{"sequence": [{}]}}"#, vec![step; steps].join(","))
    };
    valid(&steps(499));
    refused(&steps(500), &[("$", "1001 conditions, predicates and steps")]);
}

#[test]
fn lists_are_at_most_100000_long() {
    let with =
        |values: usize| format!(r#"{{"profile":"p","operator":"in","value":[{}]}}"#, vec!["1"; values].join(","));
    valid(&with(100_000));
    refused(&with(100_001), &[("$.value", "100001 values")]);
    let events = |values: usize| format!(r#"{{"did":[{}]}}"#, vec!["\"e\""; values].join(","));
    valid(&events(100_000));
    refused(&events(100_001), &[("$.did", "100001 values")]);
}

#[test]
fn a_text_is_at_most_one_mebibyte_long() {
    let padded = |length: usize| {
        let rule = r#"{"did":"e"}"#;
        format!("{rule}{}", " ".repeat(length - rule.len()))
    };
    valid(&padded(1_048_576));
    refused(&padded(1_048_577), &[("$", "too long")]);
}

#[test]
fn of_very_many_problems_the_first_thousand_are_listed() {
    let nulls = format!(r#"{{"did": [{}], "a": 1}}"#, vec!["0"; 200_000].join(","));
    let found = problems(&nulls);
    assert_eq!(found.len(), 1_000);
    assert_eq!((found[0].path.as_str(), found[1].path.as_str(), found[2].path.as_str()), ("$.a", "$.did", "$.did[0]"));
    assert_eq!(found[999].path, "$.did[997]");
    assert!(found[999].problem.ends_with("(and 199002 more problems; fix these to see them)"), "{:?}", found[999]);
    assert!(!found[998].problem.contains("more problems"));
}

#[test]
fn messages_are_short_and_on_one_line() {
    let long = "x".repeat(500_000);
    for rule in [
        format!(r#"{{"{long}": 1, "\n\u0007": 2}}"#),
        format!(r#"{{"profile": "p", "operator": "{long}", "value": 1}}"#),
        format!(r#"{{"profile": "p", "operator": "regex", "value": "({long}\n"}}"#),
        format!(r#"{{"profile": "{long}..\n", "operator": "in_the_last", "value": "1\n{long}"}}"#),
        format!(r#"{{"did": "e", "timezone": "{long}"}}"#),
    ] {
        for problem in problems(&rule) {
            let all = format!("{}{}{}", problem.path, problem.problem, problem.hint.unwrap_or_default());
            assert!(all.len() < 1_000 && !all.contains(char::is_control), "{all:?}");
        }
    }
}
