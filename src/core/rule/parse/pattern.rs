//! Patterns of `regex`: compiled once the rest of the rule is read, because compiling is the one costly check.

use std::collections::HashMap;

use serde_json::Value;

use super::Reader;
use super::problem::quote;
use crate::rule::Argument;
use crate::rule::pattern::{KEPT_PATTERN_BYTES, LARGEST, MOST_PATTERN_BYTES, Refused, compile_pattern};

impl<'a> Reader<'a> {
    pub(super) fn pattern(&mut self, value: &'a Value, ignore_case: bool) -> Option<Argument> {
        let pattern = self.string(value, "a pattern, as a string")?;
        self.patterns.push((self.place.clone(), pattern, ignore_case));
        Some(Argument::Text(pattern.to_owned()))
    }

    /// Compiles the patterns of the rule, each once, until they take more than they may.
    pub(super) fn compile_patterns(&mut self) {
        let patterns = std::mem::take(&mut self.patterns);
        let mut left = MOST_PATTERN_BYTES;
        let mut faults: HashMap<(&str, bool), Option<String>> = HashMap::new();
        for (place, pattern, ignore_case) in patterns {
            let fault = match faults.get(&(pattern, ignore_case)) {
                Some(known) => known.clone(),
                None => match compile_pattern(pattern, ignore_case, left, KEPT_PATTERN_BYTES, self.check) {
                    Ok(compiled) => {
                        left -= compiled.bytes();
                        None
                    }
                    Err(Refused::Invalid(error)) => {
                        if matches!(error, regex::Error::CompiledTooBig(_)) {
                            left = left.saturating_sub(LARGEST);
                        }
                        Some(fault(&error))
                    }
                    Err(Refused::TooLarge) => {
                        let most = MOST_PATTERN_BYTES >> 20;
                        self.problems.push(
                            place,
                            format!("the compiled patterns of the rule take more than {most} MB"),
                            "Write fewer or smaller patterns: a repetition such as \\w{100} takes a hundred times what its class \
                             takes, and [a-z] takes less than \\w."
                                .into(),
                        );
                        return;
                    }
                },
            };
            if let Some(fault) = &fault {
                self.problems.push(
                    place,
                    format!("the pattern {} is not valid: {fault}", quote(pattern)),
                    "Write a regular expression of the Rust regex crate, which has no look-around or backreferences."
                        .into(),
                );
            }
            faults.insert((pattern, ignore_case), fault);
        }
    }
}

/// The last line of a syntax error says what is wrong; the lines before it draw the pattern with a marker.
fn fault(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
