//! Holds the JSON Schema against the parser.

use std::sync::LazyLock;

use cohort_core::rule::{json_schema, parse};
use jsonschema::Validator;
use serde_json::Value;

use super::IanaZones;

/// Parts of the problems that a schema cannot find, as its `$comment` lists them.
const BEYOND: [&str; 23] = [
    "is not valid: ",                                    // patterns
    "the first bound is above the second",               // between
    "no instant is between",                             // between dates
    "times of day are the same",                         // hours
    "the first percentage is not below",                 // sample
    "a count of 0 never holds",                          // per
    "the first interval is not longer",                  // between_ago
    "at most 1000 years",                                // intervals
    "too many digits before or after the decimal point", // numbers
    "is not unique",                                     // as
    "no earlier step is named",                          // ref
    "not allowed in the first",                          // within, after
    "is longer than \"within\"",                         // after
    "is not allowed in a \"did_not\" step",              // did_not between two steps
    "nested too deeply",                                 // depth
    "conditions, predicates and steps",                  // totals
    "the compiled patterns of the rule",                 //
    "a temporary table cannot be read",                  // rows
    "longer than 63 bytes",                              //
    "is not the name of a column",                       //
    "is a system column",                                //
    "does not contain customer ids",                     //
    // The validator of these tests compares with the nearest double, which is 2^63 for the largest count.
    "\"9223372036854775808\" is not a whole number",
];

/// The names of all zones.
pub fn zone_names() -> Vec<String> {
    chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name().to_owned()).collect()
}

/// The schema with all zones.
pub static VALIDATOR: LazyLock<Validator> =
    LazyLock::new(|| jsonschema::validator_for(&json_schema(&zone_names())).expect("a valid schema"));

/// Says what is wrong when schema and parser do not judge a rule alike, so far as a schema can.
pub fn compare(rule: &Value) -> Result<(), String> {
    let accepted = VALIDATOR.is_valid(rule);
    match parse(rule, &IanaZones) {
        Ok(_) if !accepted => Err(format!("the parser accepts, the schema refuses {rule}")),
        Err(problems) if accepted => {
            let beyond = |problem: &str| BEYOND.iter().any(|fragment| problem.contains(fragment));
            match problems.iter().find(|problem| !beyond(&problem.problem)) {
                Some(problem) => Err(format!("the schema accepts {rule}\n{problem:#?}")),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// As [`compare`], for a text that may be too large or too deep to ask.
#[track_caller]
pub fn compare_text(text: &str) {
    if text.len() < 100_000
        && let Ok(rule) = serde_json::from_str(text)
        && !text.contains("$serde_json")
    {
        compare(&rule).expect("one verdict");
    }
}
