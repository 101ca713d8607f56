//! What is stored of a rule, and the helpers that go through one.

mod common;

use cohort_core::rule::{Condition, Operator, parse, parse_text_checking};
use common::random::Random;
use common::{IanaZones, read, valid};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the stored JSON must be, told without the parser: operator names rewritten and nothing else.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Object(members) => {
            let mut members: serde_json::Map<_, _> =
                members.iter().map(|(key, member)| (key.clone(), canonical(member))).collect();
            let operator = members.get("operator").and_then(Value::as_str).map(str::to_owned);
            match operator.as_deref() {
                Some("icontains") => {
                    members.insert("operator".into(), json!("contains"));
                    members.insert("ignore_case".into(), json!(true));
                }
                Some(name) => {
                    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
                    members.insert("operator".into(), json!(name));
                }
                None => {}
            }
            Value::Object(members)
        }
        _ => value.clone(),
    }
}

const ALIASES: [(&str, &str); 24] = [
    ("=", "eq"),
    ("==", "eq"),
    ("equals", "eq"),
    ("is", "eq"),
    ("!=", "neq"),
    ("<>", "neq"),
    ("ne", "neq"),
    ("not_equals", "neq"),
    ("is_not", "neq"),
    (">", "gt"),
    (">=", "gte"),
    ("<", "lt"),
    ("<=", "lte"),
    ("greater_than", "gt"),
    ("greater_than_or_equal", "gte"),
    ("less_than", "lt"),
    ("less_than_or_equal", "lte"),
    ("any_of", "in"),
    ("none_of", "not_in"),
    ("matches", "regex"),
    ("is_set", "exists"),
    ("is_not_set", "not_exists"),
    ("birthday_in_the_next", "anniversary_in_the_next"),
    ("icontains", "contains"),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stored_rule_differs_in_operator_names_only(seed in any::<u64>()) {
        let written = Random(seed).rule();
        let rule = match parse(&written, &IanaZones) {
            Ok(rule) => rule,
            Err(problems) => return Err(TestCaseError::fail(format!("{written}\n{problems:#?}"))),
        };
        let stored = rule.to_json();
        prop_assert_eq!(&stored, &canonical(&written));
        prop_assert_eq!(stored.to_string().parse::<Value>().ok(), Some(stored.clone()));
        prop_assert_eq!(parse(&stored, &IanaZones), Ok(rule.clone()));
        prop_assert_eq!(read(&written.to_string()), Ok(rule.clone()));
        for (_, condition) in rule.walk() {
            let line = condition.describe();
            prop_assert!(!line.is_empty() && line.chars().count() <= 200 && !line.contains(char::is_control), "{line:?}");
        }
    }
}

#[test]
fn the_aliases_are_those_of_the_contract() {
    let mut known: Vec<(&str, &str)> = Operator::all()
        .flat_map(|operator| operator.aliases().iter().map(move |alias| (*alias, operator.name())))
        .chain([("icontains", "contains")])
        .collect();
    let mut listed = ALIASES.to_vec();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(known, listed);
}

#[test]
fn numbers_keep_their_digits() {
    let text = r#"{"and":[{"count":{"between":[1.0,2.00]},"did":"e","where":{"operator":"eq","property":"p","value":9007199254740993.10}}],"version":1.0}"#;
    assert_eq!(valid(text).to_json().to_string(), text);
}

#[test]
fn a_single_predicate_stays_single() {
    for text in [
        r#"{"did":"e","where":{"operator":"exists","property":"p"}}"#,
        r#"{"did":["e"],"where":[{"operator":"exists","property":["p"]}]}"#,
        r#"{"did_not":"e"}"#,
        r#"{"not":{"did":"e"}}"#,
        r#"{"profile":"p","ignore_case":false,"operator":"eq","value":1}"#,
    ] {
        assert_eq!(valid(text).to_json(), serde_json::from_str::<Value>(text).expect("JSON"));
    }
    assert_eq!(
        valid(r#"{"profile": "p", "operator": "icontains", "value": "x"}"#).to_json(),
        json!({"profile": "p", "operator": "contains", "value": "x", "ignore_case": true})
    );
}

#[test]
fn conditions_are_walked_in_order() {
    let rule = valid(
        r#"{"and": [{"cohort": "a"}, {"not": {"or": [{"cohort": "b"}, {"did": "e"}, {"cohort": "a"}]}}], "version": 1}"#,
    );
    let places: Vec<String> = rule.walk().into_iter().map(|(path, _)| path).collect();
    assert_eq!(
        places,
        ["$", "$.and[0]", "$.and[1]", "$.and[1].not", "$.and[1].not.or[0]", "$.and[1].not.or[1]", "$.and[1].not.or[2]",]
    );
    assert_eq!(
        rule.cohort_names(),
        [
            ("$.and[0].cohort".to_owned(), "a"),
            ("$.and[1].not.or[0].cohort".to_owned(), "b"),
            ("$.and[1].not.or[2].cohort".to_owned(), "a"),
        ]
    );
    let mut renamed = rule.clone();
    assert!(!renamed.rename_cohort("c", "d"));
    assert_eq!(renamed, rule);
    assert!(renamed.rename_cohort("a", "new"));
    assert_eq!(renamed.cohort_names().into_iter().map(|(_, name)| name).collect::<Vec<_>>(), ["new", "b", "new"]);
    assert_eq!(valid(r#"{"cohort": "a"}"#).cohort_names(), [("$.cohort".to_owned(), "a")]);
}

#[test]
fn conditions_are_described() {
    for (rule, line) in [
        (
            r#"{"did": "purchase", "where": [{"property": "brand", "operator": "eq", "value": "something"},
                {"property": "price", "operator": ">", "value": 1000}], "count": {"gte": 3}, "time": {"in_the_last": "30 days"}}"#,
            r#"did purchase where brand eq "something" and price gt 1000, at least 3 times, in the last 30 days"#,
        ),
        (r#"{"and": [{"did": "e"}]}"#, "all of"),
        (r#"{"or": [{"did": "e"}]}"#, "any of"),
        (r#"{"not": {"did": "e"}}"#, "not"),
        (r#"{"cohort": "vip"}"#, r#"in cohort "vip""#),
        (
            r#"{"did_not": ["signup", "*", "a b"], "count": {"eq": 1}}"#,
            r#"did not signup or any event or "a b", exactly 1 time"#,
        ),
        (
            r#"{"did": "e", "occurrence": "first", "time": {"previous": "week"}}"#,
            "did e (the first one), the previous week",
        ),
        (
            r#"{"did": "e", "count": {"between": [2, 5]}, "aggregate": {"fn": "sum", "property": "price", "gte": 10.50}}"#,
            "did e, 2 to 5 times, sum of price at least 10.50",
        ),
        (
            r#"{"did": "e", "aggregate": {"fn": "most_frequent", "property": ["a.b"], "in": [1, "x", true]}}"#,
            r#"did e, most frequent ["a.b"] in (1, "x", true)"#,
        ),
        (
            r#"{"profile": "city", "operator": "icontains", "value": "pu\nne"}"#,
            r#"profile city contains "pu ne" ignoring case"#,
        ),
        (
            r#"{"did": "e", "where": {"or": [{"property": "p", "operator": "exists"}, {"not": {"property": "q", "operator": "between", "value": [1, 2]}}]}}"#,
            "did e where (p exists or not (q between 1 and 2))",
        ),
        (
            r#"{"sequence": [{"did": "cart", "as": "c"}, {"did_not": "purchase", "where": {"property": "id", "operator": "eq", "ref": "c.id"}}], "within": "1 day"}"#,
            "cart as c then no purchase where id eq c.id within 1 day",
        ),
    ] {
        assert_eq!(valid(rule).condition.describe(), line);
    }
    let Condition::Sequence(sequence) = valid(r#"{"sequence": [{"did": "a"}, {"did_not": "b"}]}"#).condition else {
        panic!("a sequence");
    };
    assert_eq!(sequence.steps[1].describe(), "no b");
}

#[test]
fn descriptions_of_large_rules_are_cut() {
    let rule = format!(r#"{{"did": [{}]}}"#, vec!["\"event\""; 90_000].join(","));
    let line = valid(&rule).condition.describe();
    assert_eq!(line.chars().count(), 200);
    assert!(line.ends_with('…') && line.starts_with("did event or event"), "{line}");
}

#[test]
fn compiling_patterns_can_be_cancelled() {
    let text = r#"{"did": "e", "where": [{"property": "p", "operator": "regex", "value": "a"}, {"property": "p", "operator": "regex", "value": "a"},
        {"property": "p", "operator": "regex", "value": "a", "ignore_case": true}]}"#;
    let calls = std::cell::Cell::new(0);
    assert!(parse_text_checking(text, &IanaZones, &|| calls.set(calls.get() + 1)).is_ok());
    assert_eq!(calls.get(), 2); // the second is known already
}
