//! `compare` and the figures that it compares.

use super::{EventTypes, Operator, Property, Relation, Times, Where};
use crate::value::Number;

/// `left operator factor × right`, of each customer, or of each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Compare {
    /// The figure under `compare`.
    pub left: Amount,
    /// One of `eq neq gt gte lt lte`.
    pub operator: Operator,
    /// The figure under `to`.
    pub right: Amount,
    /// What the right one is multiplied by; absent is 1.
    pub factor: Option<Number>,
    /// The property whose scalar value names the groups over which figures are taken; without `[]`.
    pub over: Option<Property>,
}

impl Compare {
    /// The relation of the figures, and whether it must not hold.
    ///
    /// # Panics
    /// If the operator has no relation, which the parser does not let stand here.
    #[must_use]
    pub fn relation(&self) -> (Relation, bool) {
        self.operator.relation().expect("an operator that compares figures has a relation")
    }
}

/// A figure.
#[derive(Debug, Clone, PartialEq)]
pub enum Amount {
    /// The same for everybody.
    Number(Number),
    /// A property's numeric value; without `[]`.
    Profile(Property),
    /// Over events.
    Events(Box<EventAmount>),
}

/// A figure over events: how many there are, or something of a property of theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct EventAmount {
    /// Which events.
    pub events: EventTypes,
    /// Conditions on one event's own data.
    pub filter: Option<Where>,
    /// Which events count, by `occurred_at`.
    pub time: Option<Times>,
    /// What of them; absent: how many there are.
    pub measure: Option<Measure>,
}

/// `aggregate` without a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Measure {
    /// `fn`.
    pub function: Function,
    /// Which property's values; through `[]` every element is a value of its own.
    pub property: Property,
}

/// What a figure makes of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The sum of the numeric values.
    Sum,
    /// Their average, never rounded.
    Avg,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many different scalars.
    CountDistinct,
}

impl Function {
    /// All of them, with the names rules use.
    pub const ALL: [(&'static str, Self); 5] = [
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("count_distinct", Self::CountDistinct),
    ];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::CountDistinct => "count_distinct",
        }
    }
}
