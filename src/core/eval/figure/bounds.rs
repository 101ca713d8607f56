//! What a figure is compared with, at the scale of its values.

use std::cmp::Ordering;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

use crate::rule::{Comparison, Figure};
use crate::value::Number;

/// The comparison of a figure of numbers.
pub(super) fn comparison(figure: &Figure) -> Option<&Comparison<Number>> {
    match figure {
        Figure::Sum(comparison)
        | Figure::Avg(comparison)
        | Figure::Min(comparison)
        | Figure::Max(comparison)
        | Figure::CountDistinct(comparison) => Some(comparison),
        Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => None,
    }
}

/// A comparison with a number at a scale, as whole numbers.
pub(super) struct Bounds {
    /// From one to another, both included.
    pub(super) low: i128,
    pub(super) high: i128,
    /// Whether it is the numbers outside that satisfy it.
    pub(super) outside: bool,
    pub(super) exact: Comparison<BigDecimal>,
    pub(super) scale: u8,
}

impl Bounds {
    pub(super) fn new(comparison: &Comparison<Number>, scale: u8) -> Self {
        let exact = match comparison {
            Comparison::Eq(number) => Comparison::Eq(number.value().clone()),
            Comparison::Neq(number) => Comparison::Neq(number.value().clone()),
            Comparison::Gt(number) => Comparison::Gt(number.value().clone()),
            Comparison::Gte(number) => Comparison::Gte(number.value().clone()),
            Comparison::Lt(number) => Comparison::Lt(number.value().clone()),
            Comparison::Lte(number) => Comparison::Lte(number.value().clone()),
            Comparison::Between(low, high) => Comparison::Between(low.value().clone(), high.value().clone()),
        };
        let (low, high, outside) = match &exact {
            Comparison::Eq(number) => (ceiling(number, scale), floor(number, scale), false),
            Comparison::Neq(number) => (ceiling(number, scale), floor(number, scale), true),
            Comparison::Gt(number) => (floor(number, scale).saturating_add(1), i128::MAX, false),
            Comparison::Gte(number) => (ceiling(number, scale), i128::MAX, false),
            Comparison::Lt(number) => (i128::MIN, ceiling(number, scale).saturating_sub(1), false),
            Comparison::Lte(number) => (i128::MIN, floor(number, scale), false),
            Comparison::Between(low, high) => (ceiling(low, scale), floor(high, scale), false),
        };
        Self { low, high, outside, exact, scale }
    }

    pub(super) fn holds(&self, value: i128) -> bool {
        (self.low <= value && value <= self.high) != self.outside
    }

    /// The same of `sum / count`: the sum is compared with the number times the count, so that nothing is rounded.
    pub(super) fn average(&self, sum: i128, count: u32) -> bool {
        // Where the sum divides without remainder, whole numbers decide.
        let (quotient, remainder) = (sum.div_euclid(i128::from(count)), sum.rem_euclid(i128::from(count)));
        if remainder == 0 {
            return self.holds(quotient);
        }
        let sum = BigDecimal::new(BigInt::from(sum), i64::from(self.scale));
        compare_average(&self.exact, &sum, u64::from(count))
    }
}

/// The smallest whole number not below `number × 10^scale`, as far as 128 bits go.
fn ceiling(number: &BigDecimal, scale: u8) -> i128 {
    rounded(number, scale, true)
}

/// The largest whole number not above it.
fn floor(number: &BigDecimal, scale: u8) -> i128 {
    rounded(number, scale, false)
}

fn rounded(number: &BigDecimal, scale: u8, up: bool) -> i128 {
    let (digits, exponent) = number.normalized().into_bigint_and_exponent();
    let shift = i64::from(scale) - exponent;
    let negative = digits < BigInt::from(0);
    let saturated = if negative { i128::MIN } else { i128::MAX };
    if shift >= 0 {
        if digits == BigInt::from(0) {
            return 0;
        }
        // 10^39 exceeds 128 bits: no need to compute what a rule with a huge exponent says.
        let Some(power) = u32::try_from(shift).ok().filter(|shift| *shift < 60) else { return saturated };
        return i128::try_from(digits * BigInt::from(10).pow(power)).unwrap_or(saturated);
    }
    let divisor = BigInt::from(10).pow(u32::try_from(-shift).unwrap_or(u32::MAX));
    let quotient = &digits / &divisor;
    let exact = &quotient * &divisor == digits;
    let quotient = i128::try_from(quotient).unwrap_or(saturated);
    match (exact, up, negative) {
        (false, true, false) => quotient.saturating_add(1),
        (false, false, true) => quotient.saturating_sub(1),
        _ => quotient,
    }
}

pub(super) fn compare_average(comparison: &Comparison<BigDecimal>, sum: &BigDecimal, count: u64) -> bool {
    let times = |number: &BigDecimal| sum.cmp(&(number * BigDecimal::from(count)));
    satisfies(comparison, times)
}

pub(super) fn satisfies(comparison: &Comparison<BigDecimal>, compare: impl Fn(&BigDecimal) -> Ordering) -> bool {
    match comparison {
        Comparison::Eq(number) => compare(number).is_eq(),
        Comparison::Neq(number) => compare(number).is_ne(),
        Comparison::Gt(number) => compare(number).is_gt(),
        Comparison::Gte(number) => compare(number).is_ge(),
        Comparison::Lt(number) => compare(number).is_lt(),
        Comparison::Lte(number) => compare(number).is_le(),
        Comparison::Between(low, high) => compare(low).is_ge() && compare(high).is_le(),
    }
}
