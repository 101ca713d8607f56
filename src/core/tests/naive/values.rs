//! Properties and their values, as docs/RULES.md describes them.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use cohort_core::rule::PathStep;
use cohort_core::value::{Scalar, decimal, plain};
use serde_json::Value;

/// The values that a path leads to; null is the same as missing.
pub fn reach<'v>(value: &'v Value, path: &[PathStep]) -> Vec<&'v Value> {
    match path.split_first() {
        None if value.is_null() => Vec::new(),
        None => vec![value],
        Some((PathStep::Key(key), rest)) => {
            value.as_object().and_then(|object| object.get(key)).map_or_else(Vec::new, |value| reach(value, rest))
        }
        Some((PathStep::Elements, rest)) => {
            value.as_array().into_iter().flatten().flat_map(|element| reach(element, rest)).collect()
        }
    }
}

/// The numeric value: of a JSON number, and of a string whose whole content is one.
pub fn numeric(value: &Value) -> Option<BigDecimal> {
    match value {
        Value::Number(number) => decimal(&number.to_string()),
        Value::String(text) => decimal(text),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The simple lower-case mapping of each code point.
pub fn lower(text: &str) -> String {
    // The only code point whose full mapping is longer than its simple one.
    text.chars().flat_map(|c| if c == 'İ' { 'i'.to_lowercase() } else { c.to_lowercase() }).collect()
}

/// A value of a rule, or one that a rule refers to; `None` for what compares with nothing.
pub fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::Bool(flag) => Some(Scalar::Bool(*flag)),
        Value::Number(number) => cohort_core::value::Number::parse(&number.to_string()).map(Scalar::Number),
        Value::String(text) => Some(Scalar::String(text.clone())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a value equals another one, whose type decides.
pub fn equals(own: &Value, other: &Scalar, ignore_case: bool) -> bool {
    match other {
        Scalar::Bool(other) => own.as_bool() == Some(*other),
        Scalar::Number(other) => numeric(own).is_some_and(|own| own == *other.value()),
        Scalar::String(other) => {
            own.as_str().is_some_and(|own| if ignore_case { lower(own) == lower(other) } else { own == other })
        }
    }
}

/// How a value compares with another one, whose type decides; strings by their bytes.
pub fn order(own: &Value, other: &Scalar) -> Option<Ordering> {
    match other {
        Scalar::Bool(_) => None,
        Scalar::Number(other) => Some(numeric(own)?.cmp(other.value())),
        Scalar::String(other) => Some(own.as_str()?.as_bytes().cmp(other.as_bytes())),
    }
}

/// What makes two scalars one value: of numbers the value, of others type and text. Ordered as ties of `most_frequent` are:
/// by text, then boolean before number before string.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    text: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Bool,
    Number,
    String,
}

impl Identity {
    pub fn of(value: &Value) -> Option<Self> {
        let (text, kind) = match value {
            Value::Bool(flag) => (flag.to_string(), Kind::Bool),
            Value::Number(number) => (plain(&decimal(&number.to_string())?), Kind::Number),
            Value::String(text) => (text.clone(), Kind::String),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some(Self { text: text.into_bytes(), kind })
    }
}
