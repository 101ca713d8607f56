//! Which one of a customer's events is tested.

use serde_json::Value;

use super::problem::{Hint, quote};
use super::value::decimals;
use super::{Object, Reader};
use crate::rule::{Occurrence, Where, Whole};

/// The most events counted from one end.
const MAX_NTH: u64 = 1_000;

const EXPECTED: &str = "\"first\", \"last\" or an object such as {\"nth\": 2}";

impl<'a> Reader<'a> {
    pub(super) fn occurrence(&mut self, value: &'a Value) -> Option<Occurrence> {
        match value {
            Value::Object(object) => {
                self.unknown_keys(object, &["nth"]);
                self.required(object, "nth", Self::nth)
            }
            Value::Number(number) => {
                self.problem(
                    format!("expected {EXPECTED}, found a number"),
                    format!("Write {{\"nth\": {}}}.", quote(number.as_str()).trim_matches('"')),
                );
                None
            }
            _ => match self.string(value, EXPECTED)? {
                "first" => Some(Occurrence::First),
                "last" => Some(Occurrence::Last),
                wrong => {
                    let hint = Hint::Name { wrong, valid: vec!["first", "last"] };
                    self.problem(format!("unknown occurrence {}", quote(wrong)), hint);
                    None
                }
            },
        }
    }

    fn nth(&mut self, value: &'a Value) -> Option<Occurrence> {
        let number = self.number(value)?;
        let found = number.whole().and_then(|whole| i64::try_from(whole).ok());
        let Some(nth) = found.filter(|nth| (1..=MAX_NTH).contains(&nth.unsigned_abs())) else {
            self.problem(
                format!("{} is not a whole number from 1 to {MAX_NTH}, or from -1 to -{MAX_NTH}", quote(number.text())),
                "Count from 1 for the first event, or from -1 for the last.",
            );
            return None;
        };
        let whole = Whole { value: nth.unsigned_abs(), decimals: decimals(&number) };
        Some(if nth > 0 { Occurrence::Nth(whole) } else { Occurrence::NthLast(whole) })
    }

    /// `among`, which goes with `occurrence` only.
    #[expect(clippy::option_option, reason = "a missing key and a wrong value are two outcomes")]
    pub(super) fn among(&mut self, object: &'a Object) -> Option<Option<Where>> {
        // References to other steps do not reach in here.
        let steps = self.step_names.take();
        let among = self.optional(object, "among", Self::filter);
        self.step_names = steps;
        if object.contains_key("among") && !object.contains_key("occurrence") {
            self.problem(
                "\"among\" requires \"occurrence\"",
                "Add \"occurrence\", or write the predicates in \"where\".",
            );
        }
        among
    }
}
