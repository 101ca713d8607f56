//! Samples.

use bigdecimal::BigDecimal;
use serde_json::Value;

use super::problem::quote;
use super::{Object, Reader};
use crate::rule::Sample;
use crate::sample::MAX_SALT;
use crate::value::Number;

const SAMPLE_KEYS: [&str; 2] = ["percent", "salt"];

impl<'a> Reader<'a> {
    pub(super) fn sample(&mut self, value: &'a Value) -> Option<Sample> {
        let object = self.object(value, "an object such as {\"percent\": [0, 10], \"salt\": \"spring\"}")?;
        self.unknown_keys(object, &SAMPLE_KEYS);
        let percent = self.percent(object);
        let salt = self.required(object, "salt", Self::salt);
        let (from, to) = percent?;
        Some(Sample { from, to, salt: salt? })
    }

    /// `"percent": [0, 10]`.
    pub(super) fn percent(&mut self, object: &'a Object) -> Option<(Number, Number)> {
        self.required(object, "percent", |reader, value| {
            let (from, to) = reader.pair(value, "a list of two numbers from 0 to 100", Self::percentage)?;
            if from >= to {
                reader.problem("the first percentage is not below the second", "Write the smaller number first.");
                return None;
            }
            Some((from, to))
        })
    }

    fn percentage(&mut self, value: &'a Value) -> Option<Number> {
        let number = self.number(value)?;
        if !(BigDecimal::from(0)..=BigDecimal::from(100)).contains(number.value()) {
            self.problem(format!("{} is not a percentage", quote(number.text())), "Write a number from 0 to 100.");
            return None;
        }
        Some(number)
    }

    fn salt(&mut self, value: &'a Value) -> Option<String> {
        let salt = self.string(value, "a text that identifies the sample")?;
        if salt.is_empty() || salt.chars().nth(MAX_SALT).is_some() {
            self.problem(
                format!("a salt has 1 to {MAX_SALT} characters"),
                "Write the name of the campaign or experiment, such as \"spring\".",
            );
            return None;
        }
        Some(salt.to_owned())
    }
}
