//! Paths of properties, and references to earlier steps.

use serde_json::Value;

use super::Reader;
use super::problem::{Hint, quote};
use crate::rule::{PathStep, Property, Reference, WrittenPath};

const EXPECTED: &str = "the path of a property: \"cart.total\", \"items[].sku\" or a list of keys";

/// How many names of steps are considered for what was meant by a wrong one: each costs a comparison for each problem.
const NAMES_CONSIDERED: usize = 50;

impl<'a> Reader<'a> {
    pub(super) fn property(&mut self, value: &'a Value) -> Option<Property> {
        match value {
            Value::String(path) if path == Property::ELEMENT && self.elements > 0 => {
                Some(Property { written: WrittenPath::Dotted(path.clone()), steps: Vec::new() })
            }
            Value::String(path) => self.dotted(path),
            Value::Array(_) => {
                let keys = self.list(value, "a list of keys", |reader, key| {
                    reader.string(key, "a key, as a string").map(str::to_owned)
                })?;
                let steps = keys.iter().cloned().map(PathStep::Key).collect();
                Some(Property { written: WrittenPath::Keys(keys), steps })
            }
            _ => {
                self.wrong_type(value, EXPECTED);
                None
            }
        }
    }

    fn dotted(&mut self, path: &str) -> Option<Property> {
        let mut steps = Vec::new();
        for part in path.split('.') {
            let key = part.trim_end_matches("[]");
            if key.is_empty() {
                let problem = if part.is_empty() { "an empty key" } else { "brackets without a name" };
                self.problem(
                    format!("{problem} in the path {}", quote(path)),
                    "Write names separated by single dots, each perhaps with [] behind it; \
                     a key that has dots in it goes in a list of keys.",
                );
                return None;
            }
            if key.contains(['[', ']']) {
                self.problem(
                    format!("misplaced brackets in the path {}", quote(path)),
                    "Write [] behind a name for any element; positions cannot be addressed; \
                     a key that has brackets in it goes in a list of keys.",
                );
                return None;
            }
            steps.push(PathStep::Key(key.to_owned()));
            steps.extend((0..(part.len() - key.len()) / 2).map(|_| PathStep::Elements));
        }
        Some(Property { written: WrittenPath::Dotted(path.to_owned()), steps })
    }

    /// `"c.product_id"`: an earlier step and a path.
    pub(super) fn reference(&mut self, value: &'a Value) -> Option<Reference> {
        let text = self.string(value, "a step's name, a dot and the path of a property")?;
        let Some((step, path)) = text.split_once('.') else {
            self.problem(
                format!("{} names no property", quote(text)),
                "Write a step's name, a dot and the path of a property, such as \"c.product_id\".",
            );
            return None;
        };
        let property = self.dotted(path);
        let names = self.step_names.as_ref();
        if names.is_some_and(|names| !names.contains(step)) {
            let valid: Vec<&'a str> = names.into_iter().flatten().take(NAMES_CONSIDERED).copied().collect();
            let hint = if valid.is_empty() {
                "Give an earlier \"did\" step a name with \"as\".".into()
            } else {
                Hint::Name { wrong: step, valid }
            };
            self.problem(format!("no earlier step is named {}", quote(step)), hint);
            return None;
        }
        Some(Reference { step: step.to_owned(), property: property? })
    }
}
