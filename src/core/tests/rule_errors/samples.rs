//! Samples, groups and comparisons of figures.

use crate::common::valid;
use crate::{hint, refused};

#[test]
fn samples_have_a_range_and_a_salt() {
    for sample in [
        r#"{"percent": [0, 10], "salt": "spring"}"#,
        r#"{"percent": [99.99, 1e2], "salt": "é\n"}"#,
        r#"{"percent": [-0, 1e-5000], "salt": " "}"#,
    ] {
        valid(&format!(r#"{{"sample": {sample}}}"#));
        valid(&format!(r#"{{"and": [{{"did": "e"}}, {{"not": {{"sample": {sample}}}}}]}}"#));
    }
    refused(r#"{"sample": {}}"#, &[("$.sample", "\"percent\" is missing"), ("$.sample", "\"salt\" is missing")]);
    refused(r#"{"sample": 10}"#, &[("$.sample", "found a number")]);
    refused(
        r#"{"sample": {"percent": [10, 10], "salt": ""}}"#,
        &[("$.sample.percent", "not below the second"), ("$.sample.salt", "1 to 255")],
    );
    refused(
        r#"{"sample": {"percent": [-1, 100.1], "salt": 5, "seed": 1}}"#,
        &[
            ("$.sample.percent[0]", "\"-1\" is not a percentage"),
            ("$.sample.percent[1]", "\"100.1\" is not a percentage"),
            ("$.sample.salt", "found a number"),
            ("$.sample.seed", "unknown key \"seed\""),
        ],
    );
    refused(r#"{"sample": {"percent": [1], "salt": "a"}}"#, &[("$.sample.percent", "a list of 1")]);
    refused(r#"{"sample": {"percent": [0, "5"], "salt": "a"}}"#, &[("$.sample.percent[1]", "found a string")]);
    let long = |length: usize| format!(r#"{{"sample": {{"percent": [0, 5], "salt": "{}"}}}}"#, "é".repeat(length));
    valid(&long(255));
    refused(&long(256), &[("$.sample.salt", "1 to 255")]);
    refused(r#"{"sample": {"percent": [0, 5], "salt": "a"}, "where": {}}"#, &[("$.where", "unknown key")]);
    refused(r#"{"did": "e", "sample": {"percent": [0, 5], "salt": "a"}}"#, &[("$", "exclude each other")]);
}

#[test]
fn hints_name_what_was_meant() {
    hint(r#"{"sample": {"percents": [0, 5], "salt": "a"}}"#, "Did you mean \"percent\" instead of \"percents\"?");
    hint(r#"{"smaple": {"percent": [0, 5], "salt": "a"}}"#, "Did you mean \"sample\" instead of \"smaple\"?");
}

#[test]
fn groups_have_one_quantifier() {
    for word in ["any", "all", "none"] {
        valid(&format!(r#"{{"group": "company.id", "{word}": {{"did_not": "login"}}}}"#));
        valid(&format!(r#"{{"not": {{"group": ["a.b"], "{word}": {{"group": "c", "{word}": {{"cohort": "x"}}}}}}}}"#));
    }
    refused(r#"{"group": "a"}"#, &[("$", "the quantifier of the group is missing")]);
    refused(
        r#"{"group": "a[]", "any": {"did": ""}}"#,
        &[("$.any.did", "empty"), ("$.group", "must lead to one value")],
    );
    refused(
        r#"{"group": "a", "any": {"did": "e"}, "none": {"did": "e"}, "where": 1}"#,
        &[("$", "exclude each other"), ("$.where", "unknown key")],
    );
    refused(r#"{"any": {"did": "e"}}"#, &[("$", "missing")]);
    hint(r#"{"group": "a", "nome": {"did": "e"}}"#, "Did you mean \"none\" instead of \"nome\"?");
}

#[test]
fn figures_are_compared() {
    let with = |left: &str, right: &str, more: &str| {
        format!(r#"{{"compare": {left}, "operator": "lt", "to": {right}{more}}}"#)
    };
    let sum = r#"{"did": "a", "time": {"this": "month"}, "aggregate": {"fn": "sum", "property": "p[].q"}}"#;
    for (left, right) in [(sum, r#"{"did": "*"}"#), (sum, "5"), ("-1.5", sum), (r#"{"profile": "a.b"}"#, sum)] {
        valid(&with(left, right, ""));
        valid(&with(left, right, r#", "factor": -0.5"#));
    }
    valid(&with(sum, r#"{"did": "b"}"#, r#", "over": "company""#));
    refused(&with("1", "2", ""), &[("$", "both figures are constants")]);
    refused(&with(sum, r#"{"profile": "a"}"#, r#", "over": "c""#), &[("$.to", "cannot be a figure of a group")]);
    refused(
        &with(r#"{"profile": "a[]"}"#, "1", r#", "over": "c[]""#),
        &[("$.compare.profile", "must lead to one value"), ("$.over", "must lead to one value")],
    );
    refused(
        &with(
            r#"{"did": "e", "count": {"gte": 1}, "aggregate": {"fn": "most_frequent", "property": "p", "eq": 1}}"#,
            "\"5\"",
            "",
        ),
        &[
            ("$.compare.aggregate.eq", "unknown key"),
            ("$.compare.aggregate.fn", "unknown function \"most_frequent\""),
            ("$.compare.count", "unknown key"),
            ("$.to", "found a string"),
        ],
    );
    refused(r#"{"compare": {"did": "e"}}"#, &[("$", "\"operator\" is missing"), ("$", "\"to\" is missing")]);
    refused(
        r#"{"compare": {}, "operator": "contains", "to": {"did": "e", "profile": "p"}, "factor": "2"}"#,
        &[
            ("$.compare", "missing"),
            ("$.factor", "found a string"),
            ("$.operator", "cannot compare figures"),
            ("$.to", "exclude each other"),
        ],
    );
}

#[test]
fn rankings_are_cut_once() {
    let with = |more: &str| format!(r#"{{"rank": {{"did": "purchase"}}, "order": "most"{more}}}"#);
    for cut in [r#", "top": 1"#, r#", "top": 1e9"#, r#", "percent": [0, 20]"#, r#", "percent": [79.5, 100]"#] {
        valid(&with(cut));
        valid(&with(&format!(r#"{cut}, "by": ["a.b"], "of": {{"profile": "c", "operator": "exists"}}"#)));
    }
    valid(r#"{"not": {"rank": {"profile": "a.b"}, "order": "least", "top": 5.0, "of": {"cohort": "x"}}}"#);
    refused(&with(""), &[("$", "\"top\" or \"percent\" is missing")]);
    refused(&with(r#", "top": 5, "percent": [0, 20]"#), &[("$", "exclude each other")]);
    refused(
        r#"{"rank": 5, "order": "up", "top": 0, "by": "a[]", "of": {"did": ""}, "where": 1}"#,
        &[
            ("$.by", "must lead to one value"),
            ("$.of.did", "empty"),
            ("$.order", "unknown order \"up\""),
            ("$.rank", "a constant is not a figure for a ranking"),
            ("$.top", "0 is not a number of customers"),
            ("$.where", "unknown key"),
        ],
    );
    refused(
        r#"{"rank": {"did": "e", "count": {"gte": 1}}, "percent": [20, 10]}"#,
        &[("$", "\"order\" is missing"), ("$.percent", "not below"), ("$.rank.count", "unknown key")],
    );
    refused(&with(r#", "top": 1000000001"#), &[("$.top", "1000000001 is not a number of customers")]);
    refused(&with(r#", "top": 1.5, "by": null"#), &[("$.by", "null"), ("$.top", "not a whole number")]);
    hint(&with(r#", "top": "10%""#), "For a share write \"percent\": [0, 10] in place of \"top\".");
    hint(&with(r#", "top": "ten""#), "Write a whole number, as in \"top\": 1000.");
    hint(r#"{"rank": {"did": "e"}, "order": "desc", "top": 5}"#, "\"most\" puts the largest figure first.");
    hint(r#"{"rank": {"did": "e"}, "order": "moast", "top": 5}"#, "Did you mean \"most\"?");
    hint(r#"{"rank": {"did": "e"}, "order": "most", "tip": 5}"#, "Did you mean \"top\" instead of \"tip\"?");
}
