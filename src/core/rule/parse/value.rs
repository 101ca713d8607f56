//! Strings, numbers, scalars and lists.

use serde_json::Value;

use super::problem::{Segment, quote};
use super::{MAX_LIST, Object, Reader};
use crate::rule::Whole;
use crate::value::{MAX_EXPONENT, Number, Scalar};

/// The keys that may be left out wherever they are allowed.
const OPTIONAL: [&str; 16] = [
    "where",
    "count",
    "time",
    "aggregate",
    "occurrence",
    "among",
    "per",
    "periods",
    "streak",
    "ignore_case",
    "within",
    "as",
    "by",
    "of",
    "version",
    "timezone",
];

impl<'a> Reader<'a> {
    /// Reports a value of the wrong JSON type.
    pub(super) fn wrong_type(&mut self, value: &Value, expected: &str) {
        let found = match value {
            Value::Null => {
                let hint = match self.place.last() {
                    Some(Segment::Key(key)) if OPTIONAL.contains(key) => {
                        format!("Write {expected}, or remove the key.")
                    }
                    _ if self.place.contains(&Segment::Key("value")) => {
                        format!("Write {expected}. To test for a missing or null property, use \"not_exists\".")
                    }
                    _ => format!("Write {expected}."),
                };
                self.problem("null is not allowed", hint);
                return;
            }
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.problem(format!("expected {expected}, found {found}"), format!("Write {expected}."));
    }

    pub(super) fn object(&mut self, value: &'a Value, expected: &str) -> Option<&'a Object> {
        let object = value.as_object();
        if object.is_none() {
            self.wrong_type(value, expected);
        }
        object
    }

    pub(super) fn string(&mut self, value: &'a Value, expected: &str) -> Option<&'a str> {
        let text = value.as_str();
        if text.is_none() {
            self.wrong_type(value, expected);
        }
        text
    }

    pub(super) fn boolean(&mut self, value: &'a Value) -> Option<bool> {
        let boolean = value.as_bool();
        if boolean.is_none() {
            self.wrong_type(value, "true or false");
        }
        boolean
    }

    pub(super) fn number(&mut self, value: &'a Value) -> Option<Number> {
        let Value::Number(written) = value else {
            self.wrong_type(value, "a number");
            return None;
        };
        let number = Number::parse(written.as_str());
        if number.is_none() {
            self.problem(
                "the number has too many digits before or after the decimal point",
                format!("Write a number with an exponent between -{MAX_EXPONENT} and {MAX_EXPONENT}."),
            );
        }
        number
    }

    /// A whole number, by value, from 0 to 2^63-1.
    pub(super) fn whole(&mut self, value: &'a Value) -> Option<Whole> {
        let number = self.number(value)?;
        let found = number.whole().and_then(|whole| i64::try_from(whole).ok()).and_then(|whole| whole.try_into().ok());
        if let Some(value) = found {
            return Some(Whole { value, decimals: decimals(&number) });
        }
        self.problem(
            format!("{} is not a whole number from 0 to 9223372036854775807", quote(number.text())),
            "Write a whole number from 0 to 9223372036854775807.",
        );
        None
    }

    pub(super) fn scalar(&mut self, value: &'a Value) -> Option<Scalar> {
        match value {
            Value::String(text) => Some(Scalar::String(text.clone())),
            Value::Bool(boolean) => Some(Scalar::Bool(*boolean)),
            Value::Number(_) => self.number(value).map(Scalar::Number),
            _ => {
                self.wrong_type(value, "a string, a number or a boolean");
                None
            }
        }
    }

    /// What has an order: a number or a string.
    pub(super) fn ordered(&mut self, value: &'a Value) -> Option<Scalar> {
        match value {
            Value::String(_) | Value::Number(_) => self.scalar(value),
            _ => {
                self.wrong_type(value, "a number or a string");
                None
            }
        }
    }

    /// A non-empty list of at most [`MAX_LIST`] values. All items are looked at, whatever is wrong with some.
    pub(super) fn list<T>(
        &mut self,
        value: &'a Value,
        expected: &str,
        mut read: impl FnMut(&mut Self, &'a Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Value::Array(items) = value else {
            self.wrong_type(value, expected);
            return None;
        };
        if items.is_empty() {
            self.problem("the list is empty", format!("Write {expected} with at least one item."));
        }
        if items.len() > MAX_LIST {
            self.problem(
                format!("the list has {} values, at most {MAX_LIST} are allowed", items.len()),
                "Shorten the list, or import it as a cohort and refer to it with {\"cohort\": …}.",
            );
        }
        let read_items = self.items(items, &mut read);
        read_items.filter(|_| (1..=MAX_LIST).contains(&items.len()))
    }

    /// `[low, high]`.
    pub(super) fn pair<T>(
        &mut self,
        value: &'a Value,
        expected: &'static str,
        mut read: impl FnMut(&mut Self, &'a Value) -> Option<T>,
    ) -> Option<(T, T)> {
        let Value::Array(items) = value else {
            self.wrong_type(value, expected);
            return None;
        };
        if items.len() != 2 {
            self.problem(format!("expected {expected}, found a list of {}", items.len()), format!("Write {expected}."));
        }
        let mut items = self.items(items, &mut read)?.into_iter();
        match (items.next(), items.next(), items.next()) {
            (Some(first), Some(second), None) => Some((first, second)),
            _ => None,
        }
    }

    fn items<T>(
        &mut self,
        items: &'a [Value],
        read: &mut impl FnMut(&mut Self, &'a Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut result = Some(Vec::with_capacity(items.len()));
        for (index, item) in items.iter().enumerate() {
            match self.at(Segment::Index(index), |reader| read(reader, item)) {
                Some(item) => {
                    if let Some(list) = &mut result {
                        list.push(item);
                    }
                }
                None => result = None,
            }
        }
        result
    }
}

/// How many zeros stand behind the point of a whole number. An exponent may move the point: then there is no telling.
pub(super) fn decimals(number: &Number) -> u16 {
    match number.text().split_once('.') {
        Some((_, zeros)) if !zeros.contains(['e', 'E']) => u16::try_from(zeros.len()).unwrap_or(u16::MAX),
        _ => 0,
    }
}
