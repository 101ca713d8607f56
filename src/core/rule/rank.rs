//! `rank`: the customers between two places of a ranking.

use super::{Amount, Condition, Property, Whole};
use crate::value::Number;

/// The first customers by a figure, or a share of them, of everyone or within each group.
#[derive(Debug, Clone, PartialEq)]
pub struct Rank {
    /// What they are ranked by; no plain number.
    pub figure: Amount,
    /// Which end is first.
    pub order: Order,
    /// Who is in.
    pub cut: Cut,
    /// The property whose scalar values have rankings of their own; without `[]`.
    pub by: Option<Property>,
    /// Who is ranked; absent: everyone.
    pub of: Option<Box<Condition>>,
}

/// Which end of a ranking is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The largest figure.
    Most,
    /// The smallest figure.
    Least,
}

impl Order {
    /// Both, with the names rules use.
    pub const ALL: [(&'static str, Self); 2] = [("most", Self::Most), ("least", Self::Least)];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Most => "most",
            Self::Least => "least",
        }
    }
}

/// Which places of a ranking are in.
#[derive(Debug, Clone, PartialEq)]
pub enum Cut {
    /// As many from the first on.
    Top(Whole),
    /// From one share of the ranking to another, in percent; the latter is not included.
    Percent(Number, Number),
}
