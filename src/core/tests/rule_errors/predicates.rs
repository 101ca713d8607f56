//! Operators, values, numbers and paths.

use crate::common::{problems, valid};
use crate::{hint, refused, refused_where};

#[test]
fn null_is_no_value_and_lists_are_not_empty() {
    refused(
        r#"{"did": "e", "where": null, "count": null, "time": null, "aggregate": null}"#,
        &[("$.aggregate", "null"), ("$.count", "null"), ("$.time", "null"), ("$.where", "null")],
    );
    refused(r#"{"did": "e", "occurrence": null}"#, &[("$.occurrence", "null")]);
    refused(
        r#"{"sequence": [{"did": "e", "as": null}], "within": null}"#,
        &[("$.sequence[0].as", "null"), ("$.within", "null")],
    );
    refused_where(r#"{"property": "p", "operator": "eq", "value": null}"#, &[("$.value", "null")]);
    refused_where(
        r#"{"property": "p", "operator": "eq", "value": 1, "ignore_case": null}"#,
        &[("$.ignore_case", "null")],
    );
    refused_where(r#"{"property": "p", "operator": "in", "value": [1, null, "x"]}"#, &[("$.value[1]", "null")]);
    refused(r#"{"and": []}"#, &[("$.and", "empty")]);
    refused(r#"{"or": []}"#, &[("$.or", "empty")]);
    refused(r#"{"did": []}"#, &[("$.did", "empty")]);
    refused(r#"{"sequence": []}"#, &[("$.sequence", "empty")]);
    refused_where("[]", &[("$", "empty")]);
    refused_where(r#"{"and": []}"#, &[("$.and", "empty")]);
    refused_where(r#"{"property": [], "operator": "exists"}"#, &[("$.property", "empty")]);
    for operator in ["in", "not_in", "contains_any", "contains_all", "contains_none"] {
        refused_where(
            &format!(r#"{{"property": "p", "operator": "{operator}", "value": []}}"#),
            &[("$.value", "empty")],
        );
    }
    refused(
        r#"{"did": "e", "aggregate": {"fn": "most_frequent", "property": "p", "in": []}}"#,
        &[("$.aggregate.in", "empty")],
    );
}

#[test]
fn predicates_have_one_form() {
    refused_where("5", &[("$", "found a number")]);
    refused_where("{}", &[("$", "\"property\" is missing"), ("$", "\"operator\" is missing")]);
    refused_where(r#"[{"property": "p", "operator": "exists"}, 1]"#, &[("$[1]", "found a number")]);
    refused_where(r#"{"property": "p"}"#, &[("$", "\"operator\" is missing")]);
    refused_where(r#"{"property": "p", "operator": "eq"}"#, &[("$", "\"value\" is missing")]);
    refused_where(r#"{"operator": "eq", "value": 1}"#, &[("$", "\"property\" is missing")]);
    refused_where(r#"{"property": "p", "operator": 5, "value": 1}"#, &[("$.operator", "found a number")]);
    refused_where(
        r#"{"property": "p", "operator": "exists", "not": {"property": "p", "operator": "exists"}}"#,
        &[("$", "exclude each other")],
    );
    refused_where(r#"{"not": [{"property": "p", "operator": "exists"}]}"#, &[("$.not", "found a list")]);
    refused_where(r#"{"did": "e"}"#, &[("$", "property"), ("$", "operator"), ("$.did", "unknown key")]);
    refused(r#"{"property": "p", "operator": "exists"}"#, &[("$", "missing"), ("$.property", "unknown key")]);
    refused(r#"{"profile": "p"}"#, &[("$", "\"operator\" is missing")]);
    refused(r#"{"profile": null, "operator": "exists"}"#, &[("$.profile", "null")]);
    refused(
        r#"{"operator": "gtt", "within": "x"}"#,
        &[("$", "missing"), ("$.operator", "gtt"), ("$.within", "not an interval")],
    );
}

#[test]
fn operators_are_those_listed() {
    refused(
        r#"{"and": [{"did": "e", "where": [{"property": "a", "operator": "exists"},
            {"property": "p", "operator": "gtt", "value": 1}]}]}"#,
        &[("$.and[0].where[1].operator", "unknown operator \"gtt\"")],
    );
    let with = |operator: &str| format!(r#"{{"profile": "p", "operator": "{operator}", "value": 1}}"#);
    hint(&with("gtt"), "Did you mean \"gt\"?");
    hint(&with("GT"), "Did you mean \"gt\"?");
    hint(&with("greater_then"), "Did you mean \"greater_than\"?");
    let unlike = problems(&with("frobnicate"));
    assert!(unlike[0].hint.as_ref().is_some_and(|hint| hint.starts_with("Use one of: eq, neq, gt, ")), "{unlike:?}");
    refused(r#"{"profile": "p", "operator": "after", "value": "2026-01-01"}"#, &[("$.operator", "after")]);
    assert!(problems(&with("after"))[0].hint.as_ref().is_some_and(|hint| hint.contains("\"since\"")));
    for wrong in ["at_least", "is not", "not_gt", "===", "not_matches", "birthday_in_the_last", "not_icontains", ""] {
        refused(&with(wrong), &[("$.operator", "unknown operator")]);
    }
}

#[test]
fn problems_are_looked_for_below_a_wrong_operator() {
    refused(
        r#"{"profile": "a..b", "operator": "gtt", "value": null}"#,
        &[("$.operator", "gtt"), ("$.profile", "empty key"), ("$.value", "null")],
    );
    refused(
        r#"{"profile": "a", "operator": "gtt", "value": [1, {}, 1e6000]}"#,
        &[("$.operator", "gtt"), ("$.value[1]", "found an object"), ("$.value[2]", "too many digits")],
    );
    refused(
        r#"{"profile": "a", "operator": "after", "value": "soon", "ignore_case": 1}"#,
        &[
            ("$", "does not accept \"ignore_case\""),
            ("$.ignore_case", "found a number"),
            ("$.operator", "after"),
            ("$.value", "not a date"),
        ],
    );
}

#[test]
fn values_fit_their_operators() {
    let with =
        |operator: &str, value: &str| format!(r#"{{"property": "p", "operator": "{operator}", "value": {value}}}"#);
    for operator in ["eq", "neq", "=", "is_not"] {
        refused_where(&with(operator, "[1]"), &[("$.value", "found a list")]);
        refused_where(&with(operator, "{}"), &[("$.value", "found an object")]);
    }
    for operator in ["gt", "gte", "lt", "lte", ">=", "less_than_or_equal"] {
        refused_where(&with(operator, "true"), &[("$.value", "found a boolean")]);
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(operator, "\"text\"")));
    }
    for operator in ["between", "not_between"] {
        refused_where(&with(operator, "1"), &[("$.value", "found a number")]);
        refused_where(&with(operator, "[1]"), &[("$.value", "a list of 1")]);
        refused_where(&with(operator, "[]"), &[("$.value", "a list of 0")]);
        refused_where(&with(operator, "[1, 2, null]"), &[("$.value", "a list of 3"), ("$.value[2]", "null")]);
        refused_where(&with(operator, "[1, \"2\"]"), &[("$.value", "cannot be compared")]);
        refused_where(&with(operator, "[false, true]"), &[("$.value[0]", "boolean"), ("$.value[1]", "boolean")]);
        refused_where(&with(operator, "[2, 1]"), &[("$.value", "above the second")]);
        refused_where(&with(operator, "[9007199254740993, 9007199254740992]"), &[("$.value", "above the second")]);
        refused_where(&with(operator, r#"["b", "a"]"#), &[("$.value", "above the second")]);
        refused_where(&with(operator, r#"["a", "Z"]"#), &[("$.value", "above the second")]);
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(operator, r#"["é", "é"]"#)));
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(operator, "[1.0, 1]")));
    }
    for operator in ["in", "none_of", "contains_any", "contains_all", "contains_none"] {
        refused_where(&with(operator, "\"a\""), &[("$.value", "found a string")]);
        refused_where(
            &with(operator, "[[1], {}]"),
            &[("$.value[0]", "found a list"), ("$.value[1]", "found an object")],
        );
    }
    for operator in ["contains", "not_contains", "icontains", "starts_with", "not_ends_with", "regex", "matches"] {
        refused_where(&with(operator, "5"), &[("$.value", "found a number")]);
        refused_where(&with(operator, "[\"a\"]"), &[("$.value", "found a list")]);
    }
}

#[test]
fn dates_intervals_and_the_absence_of_values_fit_their_operators() {
    let with =
        |operator: &str, value: &str| format!(r#"{{"property": "p", "operator": "{operator}", "value": {value}}}"#);
    for operator in ["before", "since", "on"] {
        refused_where(&with(operator, "\"yesterday\""), &[("$.value", "not a date")]);
        refused_where(&with(operator, "20260101"), &[("$.value", "found a number")]);
    }
    for operator in ["in_the_last", "in_the_next", "more_than_ago", "anniversary_in_the_next", "birthday_in_the_next"] {
        refused_where(&with(operator, "\"soon\""), &[("$.value", "not an interval")]);
        refused_where(&with(operator, "30"), &[("$.value", "found a number")]);
    }
    for operator in ["exists", "not_exists", "is_set", "is_not_set"] {
        refused_where(&with(operator, "true"), &[("$", "does not accept a value")]);
        refused_where(&with(operator, "null"), &[("$", "does not accept a value")]);
    }
    refused(
        r#"{"profile": "p", "operator": "eq", "value": {"$serde_json::private::Number": "1"}}"#,
        &[("$.value", "found an object")],
    );
}

#[test]
fn patterns_are_those_of_the_regex_crate() {
    let with = |pattern: &str| format!(r#"{{"property": "p", "operator": "regex", "value": {pattern}}}"#);
    refused_where(&with(r#""(""#), &[("$.value", "unclosed group")]);
    refused_where(&with(r#""(?=a)""#), &[("$.value", "look-around")]);
    refused_where(&with(r#""(a)\\1""#), &[("$.value", "backreferences")]);
    refused_where(&with(r#""\\w{5000}""#), &[("$.value", "size limit")]);
    refused_where(&with(r#""a\n(""#), &[("$.value", "unclosed group")]);
    valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(r#""^\\p{Greek}+$""#)));
    // The i flag doubles what each letter costs, and this pattern then passes the size limit.
    let large = r#"{"profile": "p", "operator": "regex", "value": "a{300000}""#;
    valid(&format!("{large}}}"));
    valid(&format!("{large}, \"ignore_case\": false}}"));
    refused(&format!("{large}, \"ignore_case\": true}}"), &[("$.value", "size limit")]);
}

#[test]
fn patterns_of_a_rule_are_bounded() {
    let with = |letters: &str, more: &str| {
        let one = |letter: char| format!(r#"{{"profile": "p", "operator": "regex", "value": "{letter}{{300000}}"}}"#);
        let all: Vec<String> = letters.chars().map(one).collect();
        format!(r#"{{"or": [{}{more}]}}"#, all.join(", "))
    };
    // The same pattern is compiled once.
    refused(&with("aaabcdefgh", ""), &[("$.or[7].value", "more than 64 MB")]);
    // Of a rule with too many parts none is compiled.
    let parts = r#", {"did": "e"}"#.repeat(1_000);
    refused(&with("abcdefgh", &parts), &[("$", "at most 1000 are allowed")]);
}

#[test]
fn ignore_case_goes_with_the_text_operators() {
    let with = |operator: &str, value: &str, ignore: &str| {
        format!(r#"{{"property": "p", "operator": "{operator}", "value": {value}, "ignore_case": {ignore}}}"#)
    };
    for operator in [
        "eq",
        "neq",
        "contains",
        "not_contains",
        "starts_with",
        "not_starts_with",
        "ends_with",
        "not_ends_with",
        "regex",
        "not_regex",
    ] {
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(operator, "\"a\"", "true")));
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(operator, "\"a\"", "false")));
        refused_where(&with(operator, "\"a\"", "1"), &[("$.ignore_case", "found a number")]);
    }
    for operator in ["in", "not_in"] {
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(operator, "[\"a\", 1]", "true")));
    }
    for (operator, value) in [
        ("gt", "1"),
        ("between", "[1, 2]"),
        ("contains_any", "[1]"),
        ("contains_all", "[1]"),
        ("contains_none", "[1]"),
        ("since", "\"2026-01-01\""),
        ("in_the_last", "\"1 day\""),
        ("birthday_in_the_next", "\"1 day\""),
    ] {
        refused_where(&with(operator, value, "true"), &[("$", "does not accept \"ignore_case\"")]);
        refused_where(&with(operator, value, "false"), &[("$", "does not accept \"ignore_case\"")]);
    }
    refused_where(
        r#"{"property": "p", "operator": "exists", "ignore_case": true}"#,
        &[("$", "does not accept \"ignore_case\"")],
    );
    valid(&format!(r#"{{"did": "e", "where": {}}}"#, with("icontains", "\"a\"", "true")));
    refused_where(&with("icontains", "\"a\"", "false"), &[("$.ignore_case", "\"icontains\" always ignores case")]);
}

#[test]
fn numbers_are_bounded_and_exact() {
    let with = |value: &str| format!(r#"{{"property": "p", "operator": "eq", "value": {value}}}"#);
    for value in ["1e5000", "-9.9e5000", "1e-5000", "0e99999999", "9007199254740993", "0.1e5001"] {
        valid(&format!(r#"{{"did": "e", "where": {}}}"#, with(value)));
    }
    for value in ["1e5001", "-10e5000", "1e-5001", "1e999999999999999999999"] {
        refused_where(&with(value), &[("$.value", "too many digits")]);
    }
    refused(
        r#"{"did": "e", "aggregate": {"fn": "sum", "property": "p", "gt": 1e5001}}"#,
        &[("$.aggregate.gt", "too many digits")],
    );
    refused(r#"{"did": "e", "count": {"gt": 1e5001}}"#, &[("$.count.gt", "too many digits")]);
}

#[test]
fn paths_follow_their_grammar() {
    for path in [r#""a""#, r#""a.b[].c[][].0""#, r#""list.0""#, r#"["a.b", "", "c[]"]"#, r#"" ""#, r#""$ü-x""#] {
        valid(&format!(r#"{{"profile": {path}, "operator": "exists"}}"#));
    }
    for (path, fragment) in [
        (r#""""#, "an empty key"),
        (r#"".a""#, "an empty key"),
        (r#""a.""#, "an empty key"),
        (r#""a..b""#, "an empty key"),
        (r#""[]""#, "brackets without a name"),
        (r#""a.[].b""#, "brackets without a name"),
        (r#""[].b""#, "brackets without a name"),
        (r#""a[0]""#, "misplaced brackets"),
        (r#""a[""#, "misplaced brackets"),
        (r#""a]""#, "misplaced brackets"),
        (r#""[]a""#, "misplaced brackets"),
        (r#""a[]b""#, "misplaced brackets"),
        ("5", "found a number"),
        ("{}", "found an object"),
        ("null", "null"),
    ] {
        refused(&format!(r#"{{"profile": {path}, "operator": "exists"}}"#), &[("$.profile", fragment)]);
    }
    refused(r#"{"profile": ["a", 0], "operator": "exists"}"#, &[("$.profile[1]", "found a number")]);
}

#[test]
fn elements_have_predicates_of_their_own() {
    let exists = r#"{"property": "p", "operator": "exists"}"#;
    for predicate in [
        format!(r#"{{"element": "items", "where": {exists}}}"#),
        format!(r#"{{"element": "a[].b", "where": [{exists}, {{"not": {exists}}}]}}"#),
        r#"{"element": "m", "where": {"element": ".", "where": {"property": ".", "operator": "gt", "value": 1}}}"#
            .to_owned(),
    ] {
        valid(&format!(r#"{{"did": "e", "where": {predicate}}}"#));
        valid(&format!(r#"{{"did": "e", "where": {{"or": [{predicate}, {{"not": {predicate}}}]}}}}"#));
    }
    valid(&format!(r#"{{"profile": "p[]", "element": true, "where": {exists}}}"#));
    refused_where(r#"{"element": "items"}"#, &[("$", "\"where\" is missing")]);
    refused_where(r#"{"element": ".", "where": []}"#, &[("$.element", "an empty key"), ("$.where", "empty")]);
    refused_where(r#"{"property": ".", "operator": "exists"}"#, &[("$.property", "an empty key")]);
    refused_where(
        &format!(r#"{{"element": "a", "property": "b", "operator": "exists", "where": {exists}}}"#),
        &[("$", "exclude each other")],
    );
    refused_where(
        r#"{"element": "a", "where": {"property": "b", "operator": "exsts", "value": 1}, "value": 2}"#,
        &[("$.value", "unknown key"), ("$.where.operator", "unknown operator")],
    );
    refused(
        &format!(r#"{{"profile": "p", "element": false, "where": {exists}}}"#),
        &[("$.element", "can only be true")],
    );
    refused(r#"{"profile": "p", "element": true}"#, &[("$", "\"where\" is missing")]);
    refused(
        &format!(r#"{{"profile": "p", "element": true, "operator": "exists", "where": {exists}}}"#),
        &[("$.operator", "unknown key")],
    );
}
