//! The options of `did`.

use crate::common::{problems, valid};
use crate::{hint, refused};

#[test]
fn counts_are_whole_and_compared_once() {
    let with = |count: &str| format!(r#"{{"did": "e", "count": {count}}}"#);
    for count in [
        r#"{"eq": 0}"#,
        r#"{"neq": 3.0}"#,
        r#"{"gt": 1e2}"#,
        r#"{"gte": 9223372036854775807}"#,
        r#"{"lt": 0}"#,
        r#"{"lte": 2.5e1}"#,
        r#"{"between": [2, 2]}"#,
        r#"{"between": [0, 5]}"#,
        r#"{"eq": -0}"#,
    ] {
        valid(&with(count));
    }
    refused(&with("3"), &[("$.count", "found a number")]);
    refused(&with("{}"), &[("$.count", "the comparison is missing")]);
    refused(&with(r#"{"gte": 1, "lte": 2}"#), &[("$.count", "exclude each other")]);
    refused(
        &with(r#"{"gte": 1, "lte": 2, "between": [1, -1]}"#),
        &[("$.count", "exclude each other"), ("$.count.between[1]", "not a whole number")],
    );
    for value in ["-1", "1.5", "9223372036854775808", "1e-1", "1e100"] {
        refused(&with(&format!(r#"{{"gte": {value}}}"#)), &[("$.count.gte", "not a whole number")]);
    }
    refused(&with(r#"{"gte": "3"}"#), &[("$.count.gte", "found a string")]);
    refused(&with(r#"{"gte": null}"#), &[("$.count.gte", "null")]);
    refused(&with(r#"{"between": [5, 2]}"#), &[("$.count.between", "above the second")]);
    refused(&with(r#"{"between": 5}"#), &[("$.count.between", "found a number")]);
    refused(&with(r#"{"between": [1, 2, 3]}"#), &[("$.count.between", "a list of 3")]);
    for (wrong, right) in [(">=", "gte"), ("=", "eq"), ("!=", "neq"), ("greater_than", "gt"), ("gtee", "gte")] {
        let rule = with(&format!(r#"{{"{wrong}": 1, "eq": 1}}"#));
        assert_eq!(problems(&rule)[0].hint, Some(format!("Did you mean \"{right}\"?")), "{rule}");
    }
    refused(&with(r#"{">=": 1}"#), &[("$.count", "missing"), (r#"$.count[">="]"#, "unknown key")]);
    refused(&with(r#"{"in": [1]}"#), &[("$.count", "missing"), ("$.count.in", "unknown key")]);
}

#[test]
fn occurrence_stands_alone() {
    valid(
        r#"{"did": "e", "occurrence": "first", "time": {"this": "day"}, "where": {"property": "p", "operator": "exists"}}"#,
    );
    refused(r#"{"did": "e", "occurrence": "second"}"#, &[("$.occurrence", "unknown occurrence \"second\"")]);
    refused(r#"{"did": "e", "occurrence": 1}"#, &[("$.occurrence", "found a number")]);
    refused(
        r#"{"did": "e", "occurrence": "last", "count": {"gte": 1}}"#,
        &[("$", "cannot be combined with \"count\"")],
    );
    refused(
        r#"{"not": {"did_not": "e", "occurrence": "last", "count": {"gte": 1},
            "aggregate": {"fn": "sum", "property": "p", "gt": 1}}}"#,
        &[("$.not", "cannot be combined with \"aggregate\""), ("$.not", "cannot be combined with \"count\"")],
    );
}

#[test]
fn aggregates_have_one_function_and_one_comparison() {
    let with = |rest: &str| format!(r#"{{"did_not": "e", "aggregate": {{{rest}}}}}"#);
    for function in ["sum", "avg", "min", "max", "count_distinct"] {
        valid(&with(&format!(r#""fn": "{function}", "property": "items[].price", "between": [-1.5, 100.10]"#)));
        refused(
            &with(&format!(r#""fn": "{function}", "property": "p", "in": [1]"#)),
            &[("$.aggregate", "missing"), ("$.aggregate.in", "unknown key")],
        );
        refused(
            &with(&format!(r#""fn": "{function}", "property": "p", "eq": "1""#)),
            &[("$.aggregate.eq", "found a string")],
        );
    }
    valid(&with(r#""fn": "most_frequent", "property": "p", "eq": true"#));
    valid(&with(r#""fn": "most_frequent", "property": ["a.b"], "in": ["a", 1, false]"#));
    refused(
        &with(r#""fn": "most_frequent", "property": "p", "gt": 1"#),
        &[("$.aggregate", "missing"), ("$.aggregate.gt", "unknown key")],
    );
    refused(&with(r#""fn": "most_frequent", "property": "p", "eq": 1, "in": [1]"#), &[("$.aggregate", "exclude")]);
    refused(&with(r#""fn": "most_frequent", "property": "p", "eq": null"#), &[("$.aggregate.eq", "null")]);
    refused(
        &with(r#""fn": "median", "property": "p", "eq": null"#),
        &[("$.aggregate.eq", "null"), ("$.aggregate.fn", "unknown function \"median\"")],
    );
    refused(&with(r#""fn": "sum", "property": "p", "gt": 1, "lt": 5"#), &[("$.aggregate", "exclude each other")]);
    refused(&with(r#""fn": "sum", "property": "p""#), &[("$.aggregate", "the comparison is missing")]);
    refused(&with(r#""fn": "sum", "gt": 1"#), &[("$.aggregate", "\"property\" is missing")]);
    refused(&with(r#""property": "p", "gt": 1"#), &[("$.aggregate", "\"fn\" is missing")]);
    refused(&with(r#""fn": "sum", "property": "[]", "gt": 1"#), &[("$.aggregate.property", "brackets without a name")]);
    refused(
        &with(r#""fn": "sum", "property": "p", "between": [2, 1]"#),
        &[("$.aggregate.between", "above the second")],
    );
    refused(
        &with(r#""fn": "sum", "property": "p", ">": 1"#),
        &[("$.aggregate", "missing"), (r#"$.aggregate[">"]"#, "unknown key")],
    );
    refused(r#"{"did": "e", "aggregate": "sum"}"#, &[("$.aggregate", "found a string")]);
}

#[test]
fn occurrence_counts_from_either_end_among_some() {
    let with = |occurrence: &str| format!(r#"{{"did": "e", "occurrence": {occurrence}}}"#);
    for occurrence in [r#"{"nth": 1}"#, r#"{"nth": -1000}"#, r#"{"nth": 3.00}"#, r#""last""#] {
        valid(&with(occurrence));
    }
    valid(r#"{"did": "e", "occurrence": {"nth": 2}, "among": [{"property": "p", "operator": "exists"}]}"#);
    for nth in ["0", "1001", "-1001", "1.5", "99999999999999999999"] {
        refused(
            &with(&format!(r#"{{"nth": {nth}}}"#)),
            &[("$.occurrence.nth", "is not a whole number from 1 to 1000")],
        );
    }
    refused(&with(r#"{"nth": "2"}"#), &[("$.occurrence.nth", "found a string")]);
    refused(&with("{}"), &[("$.occurrence", "\"nth\" is missing")]);
    refused(&with(r#"{"nth": 1, "of": 2}"#), &[("$.occurrence.of", "unknown key")]);
    refused(&with("2"), &[("$.occurrence", "found a number")]);
    hint(&with("2"), "Write {\"nth\": 2}.");
    let among = r#"{"property": "p", "operator": "exists"}"#;
    refused(&format!(r#"{{"did": "e", "among": {among}}}"#), &[("$", "\"among\" requires \"occurrence\"")]);
    refused(
        r#"{"did": "e", "occurrence": "first", "among": {"propety": "p", "operator": "exists"}}"#,
        &[("$.among", "missing"), ("$.among.propety", "unknown key")],
    );
    refused(
        &format!(r#"{{"did": "e", "occurrence": {{"nth": 2}}, "among": {among}, "count": {{"gte": 2}}}}"#),
        &[("$", "cannot be combined")],
    );
}

#[test]
fn periods_have_a_unit_and_a_number() {
    let with = |options: &str| format!(r#"{{"did": "e", {options}}}"#);
    for options in [
        r#""per": "day", "periods": {"gte": 5}"#,
        r#""per": "quarter", "periods": {"between": [0, 3], "streak": "longest"}, "count": {"neq": 0}"#,
        r#""per": "week", "periods": {"eq": 0, "streak": "current"}, "aggregate": {"fn": "sum", "property": "p", "gt": 5}"#,
    ] {
        valid(&with(options));
        valid(&with(options).replace("did", "did_not"));
    }
    refused(&with(r#""per": "day""#), &[("$", "\"per\" requires \"periods\"")]);
    refused(&with(r#""periods": {"gte": 1}"#), &[("$", "\"periods\" requires \"per\"")]);
    refused(
        &with(r#""per": "day", "periods": {"gte": 1}, "occurrence": "first""#),
        &[("$", "cannot be combined with \"per\""), ("$", "cannot be combined with \"periods\"")],
    );
    for count in [r#"{"eq": 0}"#, r#"{"lt": 1}"#, r#"{"lte": 0.0}"#, r#"{"between": [0, 0]}"#] {
        let options = format!(r#""per": "day", "periods": {{"gte": 1}}, "count": {count}"#);
        refused(&with(&options), &[("$.count", "a count of 0 never holds")]);
    }
    refused(
        &with(r#""per": "days", "periods": {"streak": "now"}"#),
        &[("$.per", "unknown calendar unit"), ("$.periods", "missing"), ("$.periods.streak", "unknown streak \"now\"")],
    );
    refused(
        &with(r#""per": "day", "periods": {"gte": 1.5, "x": 1}"#),
        &[("$.periods.gte", ""), ("$.periods.x", "unknown key")],
    );
    refused(&with(r#""per": "day", "periods": 3"#), &[("$.periods", "found a number")]);
    hint(&with(r#""per": "days", "periods": {"gte": 1}"#), "Did you mean \"day\"?");
    hint(&with(r#""per": "day", "period": {"gte": 1}"#), "Did you mean \"periods\" instead of \"period\"?");
}
