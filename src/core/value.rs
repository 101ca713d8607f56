//! The values a rule compares with, and which JSON values have a numeric value.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

/// The largest exponent, up or down, in normalised scientific notation. Beyond it a JSON number or numeric string
/// has no numeric value: the cap keeps `"1e1000000000"` from costing a gigabyte.
pub const MAX_EXPONENT: i64 = 5_000;

/// The most digits after the decimal point that PostgreSQL's `numeric` holds.
const MAX_FRACTION_DIGITS: i64 = 16_383;

/// A string, number or boolean.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A JSON string.
    String(String),
    /// A JSON number.
    Number(Number),
    /// `true` or `false`.
    Bool(bool),
}

/// An exact decimal, with the JSON text it was written as.
///
/// Two numbers are equal when their values are: `1` equals `1.0`.
#[derive(Debug, Clone)]
pub struct Number {
    text: String,
    value: BigDecimal,
}

impl Number {
    /// Reads a text that follows the JSON grammar of a number exactly and lies within [`MAX_EXPONENT`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { text: text.to_owned(), value: decimal(text)? })
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The exact value.
    #[must_use]
    pub fn value(&self) -> &BigDecimal {
        &self.value
    }

    /// The shortest plain decimal of the value, without exponent, trailing zeros or a needless point: `100`, `0.5`.
    #[must_use]
    pub fn plain(&self) -> String {
        plain(&self.value)
    }

    /// The value as a whole number, if it is one: `3`, `3.0` and `3e0` are all three.
    #[must_use]
    pub fn whole(&self) -> Option<BigInt> {
        let (digits, scale) = self.value.normalized().into_bigint_and_exponent();
        (scale <= 0).then(|| digits * BigInt::from(10).pow(u32::try_from(-scale).unwrap_or(0)))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// The exact value of a text that is wholly a JSON number within [`MAX_EXPONENT`] and within what `numeric` holds;
/// `None` for anything else. This is what makes a string numeric.
#[must_use]
pub fn decimal(text: &str) -> Option<BigDecimal> {
    let parts = Parts::split(text)?;
    let digits: String = parts.whole.chars().chain(parts.fraction.chars()).collect();
    let significant = digits.trim_start_matches('0');
    let kept = significant.trim_end_matches('0');
    if kept.is_empty() {
        return Some(BigDecimal::from(0)); // zero, whatever its exponent says
    }
    let leading_zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let dropped = i64::try_from(significant.len() - kept.len()).ok()?;
    let exponent = parts.exponent?;
    let normalised = exponent + i64::try_from(parts.whole.len()).ok()? - 1 - leading_zeros;
    let scale = i64::try_from(parts.fraction.len()).ok()? - exponent - dropped;
    if normalised.abs() > MAX_EXPONENT || scale > MAX_FRACTION_DIGITS {
        return None;
    }
    let magnitude: BigInt = kept.parse().ok()?;
    Some(BigDecimal::new(if parts.negative { -magnitude } else { magnitude }, scale))
}

/// The shortest plain decimal of a value.
#[must_use]
pub fn plain(value: &BigDecimal) -> String {
    value.normalized().to_plain_string()
}

/// A JSON number's text, taken apart by its grammar.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    /// `None` when it is too large for an `i64` that can still be added to.
    exponent: Option<i64>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
            None => (unsigned, None),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if is_digits(fraction) => (whole, fraction),
            Some(_) => return None,
            None => (mantissa, ""),
        };
        if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let exponent = match exponent {
            None => Some(0),
            Some(written) => {
                let digits = written.strip_prefix(['+', '-']).unwrap_or(written);
                if !is_digits(digits) {
                    return None;
                }
                written.parse::<i64>().ok().filter(|value| value.abs() < i64::MAX / 4)
            }
        };
        Some(Self { negative, whole, fraction, exponent })
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_grammar_is_followed_exactly() {
        for good in ["0", "-0", "10", "1.50", "1e3", "1E+3", "-2.5e-3", "100.10"] {
            assert!(decimal(good).is_some(), "{good}");
        }
        for bad in ["", "-", "+1", "01", "1.", ".5", " 1", "1 ", "1e", "1e+", "0x10", "NaN", "Infinity", "1_000", "१"]
        {
            assert!(decimal(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn values_are_exact_and_equal_by_value() {
        assert_ne!(Number::parse("9007199254740993"), Number::parse("9007199254740992"));
        assert_eq!(Number::parse("1"), Number::parse("1.000"));
        assert_eq!(Number::parse("-0"), Number::parse("0e999999999999999999999"));
        assert_eq!(Number::parse("3.0").and_then(|number| number.whole()), Some(BigInt::from(3)));
        assert_eq!(Number::parse("3e2").and_then(|number| number.whole()), Some(BigInt::from(300)));
        assert_eq!(Number::parse("3.5").and_then(|number| number.whole()), None);
        assert_eq!(Number::parse("1e2").map(|number| number.plain()).as_deref(), Some("100"));
        assert_eq!(Number::parse("0.50").map(|number| number.plain()).as_deref(), Some("0.5"));
    }

    #[test]
    fn the_exponent_is_that_of_normalised_notation() {
        assert!(decimal("1e5000").is_some());
        assert!(decimal("9.99e5000").is_some());
        assert!(decimal("10e5000").is_none());
        assert!(decimal("0.1e5001").is_some());
        assert!(decimal("1e-5000").is_some());
        assert!(decimal("0.1e-5000").is_none());
        assert!(decimal("1e99999999999999999999").is_none());
    }
}
