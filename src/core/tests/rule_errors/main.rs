//! What a rule may not say: every sentence of the contract about shape, with the exact places of all problems.

#[path = "../common/mod.rs"]
mod common;
mod limits;
mod options;
mod predicates;
mod rows;
mod samples;
mod shape;
mod time_and_order;
mod times;

use common::problems;

/// Checks the exact list of places and a part of each message.
#[track_caller]
fn refused(rule: &str, expected: &[(&str, &str)]) {
    common::schema::compare_text(rule);
    let found = problems(rule);
    let places: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
    let expected_places: Vec<&str> = expected.iter().map(|(path, _)| *path).collect();
    let shown = &rule[..rule.floor_char_boundary(500)];
    assert_eq!(places, expected_places, "{shown}\n{found:#?}");
    for (problem, (_, fragment)) in found.iter().zip(expected) {
        assert!(problem.problem.contains(fragment), "{shown}\n{problem:#?}\nlacks {fragment:?}");
        assert!(problem.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{shown}\n{problem:#?}");
    }
}

/// As [`refused`], for a `where` of `{"did": "e"}`.
#[track_caller]
fn refused_where(predicate: &str, expected: &[(&str, &str)]) {
    let expected: Vec<(String, &str)> =
        expected.iter().map(|(path, fragment)| (path.replacen('$', "$.where", 1), *fragment)).collect();
    let expected: Vec<(&str, &str)> = expected.iter().map(|(path, fragment)| (path.as_str(), *fragment)).collect();
    refused(&format!(r#"{{"did": "e", "where": {predicate}}}"#), &expected);
}

/// Checks the hint of the first problem.
#[track_caller]
fn hint(rule: &str, expected: &str) {
    let found = problems(rule);
    assert_eq!(found[0].hint.as_deref(), Some(expected), "{rule}\n{found:#?}");
}
