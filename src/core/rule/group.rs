//! `group`: how many customers of a group a condition must hold of.

use super::{Condition, Property};

/// A condition on the customers that share a value of their profiles.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The property whose scalar value names the group; without `[]`.
    pub property: Property,
    /// Of how many of them the condition must hold.
    pub quantifier: Quantifier,
    /// The condition.
    pub condition: Box<Condition>,
}

/// Of how many customers of a group a condition must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// All.
    All,
    /// None.
    None,
}

impl Quantifier {
    /// All of them, with the names rules use.
    pub const ALL: [(&'static str, Self); 3] = [("any", Self::Any), ("all", Self::All), ("none", Self::None)];

    /// The name rules use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
            Self::None => "none",
        }
    }
}
