//! The values in the index: the scalars and arrays at the paths of `data` or of a profile.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::value;

/// Maximum scale of a [`Decimal`]: any two decimals can be converted to one scale within an `i128`.
pub const MAX_SCALE: u8 = 18;

/// A number as `mantissa / 10^scale`, with the smallest possible scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// The digits.
    pub mantissa: i64,
    /// The number of digits after the decimal point, at most [`MAX_SCALE`].
    pub scale: u8,
}

impl Decimal {
    /// The number with its smallest scale; `None` if that is above [`MAX_SCALE`].
    #[must_use]
    pub fn new(mut mantissa: i64, mut scale: u32) -> Option<Self> {
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        let scale = u8::try_from(scale).ok().filter(|scale| *scale <= MAX_SCALE)?;
        Some(Self { mantissa, scale: if mantissa == 0 { 0 } else { scale } })
    }

    /// Reads a plain decimal (`-12.50`), as PostgreSQL writes a `numeric`; `None` when it does not fit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text),
        };
        let (mut mantissa, mut scale, mut point) = (0_i64, 0_u32, false);
        for byte in digits.bytes() {
            match byte {
                b'0'..=b'9' => {
                    mantissa = mantissa.checked_mul(10)?.checked_sub(i64::from(byte - b'0'))?;
                    scale += u32::from(point);
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        Self::new(if negative { mantissa } else { mantissa.checked_neg()? }, scale)
    }

    /// Converts an exact decimal, if it fits.
    #[must_use]
    pub fn from_exact(value: &BigDecimal) -> Option<Self> {
        let (digits, exponent) = value.normalized().into_bigint_and_exponent();
        let digits = i64::try_from(digits).ok()?;
        match u32::try_from(exponent) {
            Ok(scale) => Self::new(digits, scale),
            Err(_) => Self::new(digits.checked_mul(10_i64.checked_pow(u32::try_from(-exponent).ok()?)?)?, 0),
        }
    }

    /// The exact value.
    #[must_use]
    pub fn exact(self) -> BigDecimal {
        BigDecimal::new(BigInt::from(self.mantissa), i64::from(self.scale))
    }

    /// The mantissa at a scale not below the number's own.
    pub(crate) fn at_scale(self, scale: u8) -> i128 {
        i128::from(self.mantissa) * 10_i128.pow(u32::from(scale.saturating_sub(self.scale)))
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        self.at_scale(scale).cmp(&other.at_scale(scale))
    }
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Item<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A number that fits a [`Decimal`].
    Number(Decimal),
    /// Any other number, as a plain decimal.
    Big(&'a str),
    /// A string.
    Text(&'a str),
    /// The JSON text of an array, of an empty object, or of an object beyond the depth limit.
    Json(&'a str),
}

impl Item<'_> {
    /// The numeric value in rules: of a number, or of a string whose whole content is a number.
    #[must_use]
    pub fn numeric(&self) -> Option<Numeric> {
        match self {
            Self::Number(number) => Some(Numeric::Small(*number)),
            Self::Big(text) | Self::Text(text) => {
                if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
                    return None;
                }
                if let (Some(number), Self::Big(_)) = (Decimal::parse(text), self) {
                    return Some(Numeric::Small(number));
                }
                let exact = value::decimal(text)?;
                Some(Decimal::from_exact(&exact).map_or_else(|| Numeric::Large(exact), Numeric::Small))
            }
            Self::Bool(_) | Self::Json(_) => None,
        }
    }
}

/// A numeric value.
#[derive(Debug, Clone, PartialEq)]
pub enum Numeric {
    /// A number that fits a [`Decimal`].
    Small(Decimal),
    /// Any other number.
    Large(BigDecimal),
}

impl Numeric {
    /// The exact value.
    #[must_use]
    pub fn exact(&self) -> BigDecimal {
        match self {
            Self::Small(number) => number.exact(),
            Self::Large(number) => number.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(Decimal::parse("12.50"), Some(Decimal { mantissa: 125, scale: 1 }));
        assert_eq!(Decimal::parse("-0.000"), Some(Decimal { mantissa: 0, scale: 0 }));
        assert_eq!(Decimal::parse("-9223372036854775808"), Some(Decimal { mantissa: i64::MIN, scale: 0 }));
        assert_eq!(Decimal::parse("9223372036854775808"), None);
        assert_eq!(Decimal::parse("0.0000000000000000001"), None);
        assert!(Decimal::parse("1.5") > Decimal::parse("1.49"));
        assert!(Decimal::parse("-1.5") < Decimal::parse("-1.49"));
    }

    #[test]
    fn strings_have_the_value_of_the_number_they_are() {
        let value = |text: &str| Item::Text(text).numeric();
        assert_eq!(value("1e2"), Item::Number(Decimal { mantissa: 100, scale: 0 }).numeric());
        assert_eq!(value("10.50"), Decimal::parse("10.5").map(Numeric::Small));
        for none in ["", "x", "1 ", "01", ".5", "1e9999", "NaN"] {
            assert_eq!(value(none), None, "{none}");
        }
        assert_eq!(Item::Json("[1]").numeric(), None);
        assert!(matches!(value("123456789012345678901234567890"), Some(Numeric::Large(_))));
    }
}
