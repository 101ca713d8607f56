//! A cohort rule: the types that every other part reads, after [`parse()`] has checked them.
//!
//! `serde_json::Value` --[`parse()`]--> [`Rule`] --[`Rule::to_json`]--> canonical `serde_json::Value`.
//! A [`Rule`] keeps whatever its JSON said (`did_not` stays `did_not`, a single predicate stays single), so that the
//! canonical JSON differs from what was given in operator names only.

mod compare;
mod describe;
mod did;
mod group;
mod operator;
mod parse;
mod pattern;
mod predicate;
mod rank;
mod rows;
mod schema;
mod sequence;
mod to_json;
mod walk;
mod window;

pub use compare::{Amount, Compare, EventAmount, Function, Measure};
pub use did::{Aggregate, Comparison, Did, EventTypes, Figure, Occurrence, Periods, Streak, Whole};
pub use group::{Group, Quantifier};
pub use operator::{CalendarWindow, DateOrder, Elements, Family, IntervalWindow, Operator, Relation, Takes, TextMatch};
pub use parse::{
    MAX_TEXT, Problem, Surroundings, parse, parse_figure, parse_text, parse_text_checking, parse_text_within, read_json,
};
pub use pattern::{KEPT_PATTERN_BYTES, MOST_PATTERN_BYTES, Pattern, Refused, compile_pattern, keep_patterns_within};
pub use predicate::{
    Argument, ElementTest, PathStep, Predicate, Property, PropertyTest, Reference, Referred, Where, WrittenPath,
};
pub use rank::{Cut, Order, Rank};
pub use rows::{Column, Rows, Table, TableName, Tables, Unreadable, Use};
pub use schema::json_schema;
pub use sequence::{Sequence, Step, StepKind};
pub use window::{Anchor, AnchorEvent, CalendarUnit, Hours, Times, Units, WEEKDAYS, Weekdays, Window, weekday_name};

use crate::value::Number;

/// The most cohorts that a saved rule may reach, one through another.
pub const MAX_CHAIN: usize = 32;

/// The most that an evaluation may reach: the longest chain that can be saved, and the cohort at its beginning, where an
/// evaluation names it (a sync that leaves out suppressed cohorts, an overlap).
pub const MAX_REACHED: usize = MAX_CHAIN + 1;

/// One whole rule: a condition, and the zone in which its calendar is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// `"version"` if it was written; 1 is the only one.
    pub version: Option<Whole>,
    /// The IANA name that was written; [`Rule::zone`] gives the one in force.
    pub timezone: Option<String>,
    /// What a customer must satisfy.
    pub condition: Condition,
}

impl Rule {
    /// The rule's time zone: what it says, or `UTC`.
    #[must_use]
    pub fn zone(&self) -> &str {
        self.timezone.as_deref().unwrap_or("UTC")
    }
}

/// What decides about one customer.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// All of a non-empty list.
    And(Vec<Condition>),
    /// Any of a non-empty list.
    Or(Vec<Condition>),
    /// The universe without these.
    Not(Box<Condition>),
    /// Did the event.
    Did(Did),
    /// Exactly `not` of [`Condition::Did`].
    DidNot(Did),
    /// A property of the customer's profile; no profile row reads as an empty profile.
    Profile(PropertyTest),
    /// One element of an array in the profile satisfies all of some predicates.
    ProfileElement(ElementTest),
    /// Member of another saved cohort, by name.
    Cohort(String),
    /// Steps in order.
    Sequence(Sequence),
    /// Customers whose ids are values of a column.
    CustomerIn(Rows),
    /// Part of all customers, by the hash of the id.
    Sample(Sample),
    /// Something holds in the customer's group.
    Group(Group),
    /// Two figures are held against one another.
    Compare(Box<Compare>),
    /// The first of a ranking.
    Rank(Box<Rank>),
}

/// The customers whose place lies in a range: [`crate::sample`].
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The first place, in percent, included.
    pub from: Number,
    /// The last, not included.
    pub to: Number,
    /// What makes one sample independent of another.
    pub salt: String,
}
