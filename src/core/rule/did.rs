//! `did`: which events, how often, and what of them.

use std::cmp::Ordering;

use super::{CalendarUnit, Property, Times, Where};
use crate::value::{Number, Scalar};

/// The event types of a `did`, `did_not` or step, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventTypes {
    /// A single type, or `"*"`.
    One(String),
    /// Any of a non-empty list; a `"*"` in it means any event.
    Many(Vec<String>),
}

impl EventTypes {
    /// The exact types looked for, or `None` for any event.
    #[must_use]
    pub fn named(&self) -> Option<&[String]> {
        let names = match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names.as_slice(),
        };
        (!names.iter().any(|name| name == "*")).then_some(names)
    }
}

/// `did` or `did_not` with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Did {
    /// Which events.
    pub events: EventTypes,
    /// Conditions on one event's own data.
    pub filter: Option<Where>,
    /// How many matching events; absent: at least one.
    pub count: Option<Comparison<Whole>>,
    /// Which events count, by `occurred_at`.
    pub time: Option<Times>,
    /// A figure over the matching events.
    pub aggregate: Option<Aggregate>,
    /// Only one of the customer's events of these types is tested.
    pub occurrence: Option<Occurrence>,
    /// The events of which `occurrence` takes one.
    pub among: Option<Where>,
    /// By calendar units, and how many of these hold.
    pub periods: Option<Periods>,
}

impl Did {
    /// The comparison of `count` with plain numbers.
    #[must_use]
    pub fn count(&self) -> Option<Comparison<u64>> {
        self.count.map(|comparison| comparison.map(|whole| whole.value))
    }
}

/// One comparison with numbers of type `N`: `{"gte": 3}` or `{"between": [2, 5]}` (inclusive, lower first).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison<N> {
    /// `eq`.
    Eq(N),
    /// `neq`.
    Neq(N),
    /// `gt`.
    Gt(N),
    /// `gte`.
    Gte(N),
    /// `lt`.
    Lt(N),
    /// `lte`.
    Lte(N),
    /// `between`.
    Between(N, N),
}

impl<N> Comparison<N> {
    /// The same comparison with other numbers.
    #[must_use]
    pub fn map<M>(self, mut convert: impl FnMut(N) -> M) -> Comparison<M> {
        match self {
            Self::Eq(number) => Comparison::Eq(convert(number)),
            Self::Neq(number) => Comparison::Neq(convert(number)),
            Self::Gt(number) => Comparison::Gt(convert(number)),
            Self::Gte(number) => Comparison::Gte(convert(number)),
            Self::Lt(number) => Comparison::Lt(convert(number)),
            Self::Lte(number) => Comparison::Lte(convert(number)),
            Self::Between(low, high) => Comparison::Between(convert(low), convert(high)),
        }
    }
}

/// A whole number from 0 to 2^63-1, which may have been written `3.0`: a stored rule keeps that spelling, because only
/// operator names are rewritten. Two are equal when their values are.
#[derive(Debug, Clone, Copy)]
pub struct Whole {
    /// The number.
    pub value: u64,
    /// How many zeros stood behind the decimal point. `jsonb` has no other spelling of a whole number.
    pub decimals: u16,
}

impl From<u64> for Whole {
    fn from(value: u64) -> Self {
        Self { value, decimals: 0 }
    }
}

impl PartialEq for Whole {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialOrd for Whole {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

/// A figure over the matching events of one customer. No value at all means no match.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which property's values; through `[]` every element is a value of its own.
    pub property: Property,
    /// The figure and what it is compared with.
    pub figure: Figure,
}

/// `fn` of an aggregate with its comparison.
#[derive(Debug, Clone, PartialEq)]
pub enum Figure {
    /// `sum` of the numeric values.
    Sum(Comparison<Number>),
    /// `avg`, compared as sum against value times count.
    Avg(Comparison<Number>),
    /// `min` of the numeric values.
    Min(Comparison<Number>),
    /// `max` of the numeric values.
    Max(Comparison<Number>),
    /// `count_distinct` of the scalars (a comparison as in `sum`: any number).
    CountDistinct(Comparison<Number>),
    /// `most_frequent` scalar with `eq`.
    MostFrequentIs(Scalar),
    /// `most_frequent` scalar with `in`.
    MostFrequentIn(Vec<Scalar>),
}

/// `occurrence`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Occurrence {
    /// The earliest by (`occurred_at`, event id).
    First,
    /// The latest.
    Last,
    /// `{"nth": 3}`: from 1 to 1,000.
    Nth(Whole),
    /// `{"nth": -3}`: the same, counted from the last.
    NthLast(Whole),
}

/// `per` and `periods`: in how many calendar units `count` and `aggregate` hold for that unit's events alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Periods {
    /// The unit.
    pub unit: CalendarUnit,
    /// What the number is compared with.
    pub comparison: Comparison<Whole>,
    /// What is counted: all periods that hold, or those of one run.
    pub streak: Option<Streak>,
}

/// Which run of adjoining periods is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streak {
    /// The longest.
    Longest,
    /// The one that ends with the unit of `as_of`, or right before it.
    Current,
}

impl Streak {
    /// Both, with the names rules use.
    pub const ALL: [(&'static str, Self); 2] = [("longest", Self::Longest), ("current", Self::Current)];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Longest => "longest",
            Self::Current => "current",
        }
    }
}
