//! Samples and groups.

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
    hint(r#"{"sample": {"percents": [0, 5], "salt": "a"}}"#, "Did you mean \"percent\" where \"percents\" stands?");
    hint(r#"{"smaple": {"percent": [0, 5], "salt": "a"}}"#, "Did you mean \"sample\" where \"smaple\" stands?");
}

#[test]
fn groups_have_one_quantifier() {
    for word in ["any", "all", "none"] {
        valid(&format!(r#"{{"group": "company.id", "{word}": {{"did_not": "login"}}}}"#));
        valid(&format!(r#"{{"not": {{"group": ["a.b"], "{word}": {{"group": "c", "{word}": {{"cohort": "x"}}}}}}}}"#));
    }
    refused(r#"{"group": "a"}"#, &[("$", "what must hold in the group is missing")]);
    refused(r#"{"group": "a[]", "any": {"did": ""}}"#, &[("$.any.did", "empty"), ("$.group", "many values")]);
    refused(
        r#"{"group": "a", "any": {"did": "e"}, "none": {"did": "e"}, "where": 1}"#,
        &[("$", "exclude each other"), ("$.where", "unknown key")],
    );
    refused(r#"{"any": {"did": "e"}}"#, &[("$", "missing")]);
    hint(r#"{"group": "a", "nome": {"did": "e"}}"#, "Did you mean \"none\" where \"nome\" stands?");
}
