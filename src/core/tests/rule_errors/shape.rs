//! The shape of conditions, unknown keys, and the order of the places.

use crate::common::valid;
use crate::{hint, refused, refused_where};

#[test]
fn the_examples_of_the_contract_are_valid() {
    for rule in [
        r#"{"did": "purchase", "where": [{"property": "brand", "operator": "eq", "value": "something"},
            {"property": "price", "operator": "gt", "value": 1000}]}"#,
        r#"{"and": [{"did": "install"}, {"did_not": ["signup", "subscribe"]}]}"#,
        r#"{"and": [{"did": "cart", "count": {"gte": 2}, "time": {"in_the_last": "7 days"}},
            {"did_not": "purchase", "time": {"in_the_last": "7 days"}},
            {"or": [{"profile": "city", "operator": "in", "value": ["pune", "mumbai"]}, {"cohort": "vip"}]}]}"#,
        r#"{"sequence": [{"did": "cart", "as": "c", "time": {"in_the_last": "7 days"}},
            {"did_not": "purchase", "where": [{"property": "productId", "operator": "eq", "ref": "c.productId"}]}],
            "within": "1 day"}"#,
    ] {
        valid(rule);
    }
}

#[test]
fn a_rule_is_one_condition_object() {
    refused("null", &[("$", "null is not allowed")]);
    refused("[]", &[("$", "found a list")]);
    refused("5", &[("$", "found a number")]);
    refused("{}", &[("$", "the key of the condition is missing")]);
    refused("", &[("$", "not JSON")]);
    refused("{", &[("$", "not JSON")]);
    refused(r#"{"did": "\ud800"}"#, &[("$", "not JSON")]);
    refused(r#"{"did": "a", "cohort": "b"}"#, &[("$", "exclude each other")]);
    refused(r#"{"did": "a", "did_not": "b"}"#, &[("$", "exclude each other")]);
    refused(
        r#"{"and": [{"did": "a"}], "or": [{"did": ""}]}"#,
        &[("$", "exclude each other"), ("$.or[0].did", "empty")],
    );
    refused(r#"{"and": {"did": "a"}}"#, &[("$.and", "found an object")]);
    refused(r#"{"not": [{"did": "a"}]}"#, &[("$.not", "found a list")]);
    refused(r#"{"cohort": 5}"#, &[("$.cohort", "found a number")]);
    refused(r#"{"did": 5}"#, &[("$.did", "found a number")]);
    refused(r#"{"did": ["a", 5]}"#, &[("$.did[1]", "found a number")]);
    refused(r#"{"did": ""}"#, &[("$.did", "empty")]);
    refused(r#"{"did_not": ["", "*"]}"#, &[("$.did_not[0]", "empty")]);
    valid(r#"{"did": ["*", "a*", " "]}"#);
}

#[test]
fn version_and_timezone_stand_at_the_top() {
    valid(r#"{"did": "e", "version": 1, "timezone": "Asia/Kolkata"}"#);
    valid(r#"{"did": "e", "version": 1.0}"#);
    refused(r#"{"did": "e", "version": 2}"#, &[("$.version", "unknown version 2")]);
    refused(r#"{"did": "e", "version": "1"}"#, &[("$.version", "found a string")]);
    refused(r#"{"did": "e", "version": null}"#, &[("$.version", "null")]);
    refused(r#"{"did": "e", "timezone": null}"#, &[("$.timezone", "null")]);
    refused(r#"{"did": "e", "timezone": "asia/kolkata"}"#, &[("$.timezone", "unknown time zone")]);
    hint(r#"{"did": "e", "timezone": "asia/kolkata"}"#, "Did you mean \"Asia/Kolkata\"?");
    refused(
        r#"{"not": {"did": "e", "timezone": "UTC", "version": 1}}"#,
        &[("$.not.timezone", "unknown key"), ("$.not.version", "unknown key")],
    );
    hint(r#"{"not": {"did": "e", "version": 1}}"#, "Move it to the top level of the rule.");
}

#[test]
fn unknown_keys_are_errors_everywhere() {
    refused(r#"{"and": [{"did": "e", "foo": 1}]}"#, &[("$.and[0].foo", "unknown key \"foo\"")]);
    refused(
        r#"{"did": "e", "a b": 1, "": 1, "é": 1, "1a": 1}"#,
        &[(r#"$[""]"#, ""), (r#"$["1a"]"#, ""), (r#"$["a b"]"#, ""), (r#"$["é"]"#, "")],
    );
    refused(r#"{"and": [{"did": "e"}], "where": []}"#, &[("$.where", "unknown key")]);
    refused(r#"{"did": "e", "within": "1 day"}"#, &[("$.within", "unknown key")]);
    refused(r#"{"cohort": "a", "time": {"this": "day"}}"#, &[("$.time", "unknown key")]);
    refused(r#"{"did": "e", "operator": "eq", "value": 1}"#, &[("$.operator", ""), ("$.value", "")]);
    refused_where(r#"{"property": "p", "operator": "eq", "value": 1, "x": 2}"#, &[("$.x", "unknown key")]);
    refused_where(r#"{"and": [{"property": "p", "operator": "exists"}], "x": 2}"#, &[("$.x", "unknown key")]);
    refused(r#"{"did": "e", "count": {"gte": 1, "x": 1}}"#, &[("$.count.x", "unknown key")]);
    refused(r#"{"did": "e", "time": {"this": "day", "x": 1}}"#, &[("$.time.x", "unknown key")]);
    refused(
        r#"{"did": "e", "aggregate": {"fn": "sum", "property": "p", "gte": 1, "x": 1}}"#,
        &[("$.aggregate.x", "unknown key")],
    );
    refused(r#"{"sequence": [{"did": "e", "count": {"gte": 1}}]}"#, &[("$.sequence[0].count", "unknown key")]);
    refused(r#"{"annd": [{"did": "e"}]}"#, &[("$", "missing"), ("$.annd", "unknown key")]);
    hint(r#"{"annd": [{"did": "e"}]}"#, "Did you mean \"and\" instead of \"annd\"?");
    hint(r#"{"did": "e", "wher": []}"#, "Did you mean \"where\"?");
    hint(
        r#"{"did": "e", "zzz": []}"#,
        "Use one of: did, version, timezone, where, count, time, aggregate, occurrence, among, per, periods.",
    );
}

#[test]
fn problems_are_sorted_by_place() {
    let item = |bad: &str| format!(r#"{{"did": "{bad}"}}"#);
    let items: Vec<String> = (0..12).map(|index| item(if [2, 10, 11].contains(&index) { "" } else { "e" })).collect();
    refused(
        &format!(r#"{{"and": [{}], "Z": 1, "zz": 1, "a-b": 1}}"#, items.join(",")),
        &[
            ("$.Z", ""),
            (r#"$["a-b"]"#, ""),
            ("$.and[2].did", ""),
            ("$.and[10].did", ""),
            ("$.and[11].did", ""),
            ("$.zz", ""),
        ],
    );
    // Parents before children, by every one of them in a single pass.
    refused(
        r#"{"not": {"and": [{"foo": 1, "did": ""}], "bar": 2}, "version": 3}"#,
        &[("$.not.and[0].did", ""), ("$.not.and[0].foo", ""), ("$.not.bar", ""), ("$.version", "")],
    );
}

#[test]
fn duplicate_keys_count_last() {
    valid(r#"{"did": "", "did": "e"}"#);
    refused(r#"{"did": "e", "did": ""}"#, &[("$.did", "empty")]);
}
