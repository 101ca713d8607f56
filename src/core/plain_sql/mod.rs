//! Rule -> plain SQL over `cohort_event` and `cohort_customer` that returns the same members as the rule, whatever
//! the session's settings are, and reads well enough to be checked by hand.
//!
//! Besides PostgreSQL's own functions the SQL uses those of the schema `kursaha_cohort` that have the rule language's
//! meaning where `~`, `lower()` or a cast would have another: `json_number`, `json_text`, `json_elements`,
//! `json_instant`, `json_last_instant`, `json_day`, `local_time`, `simple_lower`, `regex_match`, `row_json`, `row_text`, `day_start`, `local_day`, `time_add`, `time_subtract`
//! and `anniversary_between`.

mod chain;
mod clock;
mod compare;
mod did;
mod evidence;
mod group;
mod path;
mod periods;
mod predicate;
mod quote;
mod rank;
mod rows;
mod sample;
mod scan;
mod sequence;
#[cfg(test)]
mod tests;
#[cfg(test)]
#[expect(clippy::similar_names, reason = "a test of a test is called what it is")]
mod tests_quoting;
mod time;

use std::fmt;

pub use evidence::{Evidence, evidence};
pub use rows::read as read_rows;

use crate::rule::{Amount, Condition, MAX_REACHED, Property, Rank, Rule};
use chain::{Place, below};
use clock::Clock;

/// The schema of the helper functions.
const HELPERS: &str = "kursaha_cohort";

/// What the SQL of a rule depends on besides the rule.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The extension's schema, as a quoted identifier.
    pub schema: &'a str,
    /// The instant, as an SQL expression without side effects: `timestamptz '…'`, `now()` or a parameter.
    pub as_of: &'a str,
    /// The definition of a named cohort; `None` if it does not exist.
    pub cohort: &'a dyn Fn(&str) -> Option<Source>,
    /// The SQL expression of one customer's id: only this customer's rows are read.
    pub only: Option<&'a str>,
}

/// The definition of a named cohort.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one is made per cohort and taken apart at once")]
pub enum Source {
    /// A saved rule.
    Rule(Rule),
    /// A fixed list: the rows of `kursaha_cohort.readable_list_member` with this `cohort_id`.
    List(i64),
}

/// Why a rule that names cohorts has no SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// There is no cohort of this name.
    Unknown {
        /// The name.
        name: String,
        /// The path in the rule (`$.and[0].cohort`), if the error is in the rule itself and not in a cohort that it
        /// references.
        path: Option<String>,
    },
    /// The cohort of this name is reached through itself.
    Cycle(String),
    /// The cohort of this name is reached through more than [`MAX_REACHED`] others.
    TooDeep(String),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name, .. } => write!(formatter, "there is no cohort \"{name}\""),
            Self::Cycle(name) => write!(formatter, "cohort \"{name}\" is reached through itself"),
            Self::TooDeep(name) => {
                write!(formatter, "cohort \"{name}\" is reached through more than {MAX_REACHED} cohorts")
            }
        }
    }
}

impl std::error::Error for Unresolved {}

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its path in the rule: `$`, `$.and[0]`.
    pub path: String,
    /// The condition in words.
    pub condition: String,
    /// A statement that returns the `customer_id` of each customer who satisfies this condition alone.
    pub members: String,
    /// Of `did` and `did_not`: a statement that counts the events that it counts.
    pub events: Option<String>,
}

/// The statement that returns the `customer_id` of each member, in no particular order.
///
/// # Errors
/// When a cohort that the rule names cannot be resolved.
pub fn members(rule: &Rule, cx: &Context) -> Result<String, Unresolved> {
    chain::members(&top(rule), &clock(rule, cx), cx)
}

/// The statement that returns the values of a property and, for each, the number of members. Values without members are
/// omitted.
///
/// # Errors
/// As [`members`].
pub fn groups(rule: &Rule, property: &Property, cx: &Context) -> Result<String, Unresolved> {
    Ok(format!(
        "SELECT s.value, count(*)\nFROM (\n{}\n) s\nJOIN (\n{}\n) m USING (customer_id)\nGROUP BY s.value",
        quote::indent(&group::values(property, cx)),
        quote::indent(&members(rule, cx)?)
    ))
}

/// The statement that returns the `customer_id` of each customer for whom a figure has a value, and the value; an
/// average is rounded.
#[must_use]
pub fn figures(figure: &Amount, zone: &str, cx: &Context) -> String {
    let clock = Clock { as_of: cx.as_of, zone: quote::text(zone) };
    let written = compare::Written::new(figure, None, cx, &clock);
    let (from, _) = written.with_value("f");
    format!("SELECT f.key AS customer_id, ({})::numeric AS value\nFROM {from}", written.shown("f"))
}

/// The statement that gives the ranked customers among `$1`, with the total, the number by which it is divided, and the value
/// of `by`.
#[must_use]
pub fn entrants(rank: &Rank, zone: &str, cx: &Context) -> String {
    rank::entrants(rank, cx, &Clock { as_of: cx.as_of, zone: quote::text(zone) })
}

/// The statement that gives the groups by a property with the number of their customers, the number of those among `$1`, and
/// one customer.
#[must_use]
pub fn numbers_of_groups(property: &Property, cx: &Context) -> String {
    group::numbers(property, cx)
}

/// The statement that returns the `customer_id` of each customer of the universe.
#[must_use]
pub fn universe(cx: &Context) -> String {
    let profiles = scan::only("p", cx).map_or(String::new(), |only| format!("\nWHERE {only}"));
    let events = scan::only("e", cx).map_or(String::new(), |only| format!("\n  AND {only}"));
    format!(
        "SELECT p.customer_id\nFROM {schema}.cohort_customer p{profiles}\nUNION\nSELECT e.customer_id\n\
         FROM {schema}.cohort_event e\nWHERE {exists}{events}",
        schema = cx.schema,
        exists = scan::exists("e", cx)
    )
}

/// Every condition of the rule by itself, in the order of the document, outer before inner.
///
/// # Errors
/// As [`members`].
pub fn parts(rule: &Rule, cx: &Context) -> Result<Vec<Part>, Unresolved> {
    let clock = clock(rule, cx);
    all(rule)
        .into_iter()
        .map(|place| {
            let events = match place.condition {
                Condition::Did(did) | Condition::DidNot(did) => {
                    Some(scan::matching(did, cx, &clock).select("count(*)"))
                }
                Condition::And(_)
                | Condition::Or(_)
                | Condition::Not(_)
                | Condition::Sequence(_)
                | Condition::Profile(_)
                | Condition::ProfileElement(_)
                | Condition::Cohort(_)
                | Condition::CustomerIn(_)
                | Condition::Sample(_)
                | Condition::Group(_)
                | Condition::Compare(_)
                | Condition::Rank(_) => None,
            };
            let members = chain::members(&place, &clock, cx)?;
            Ok(Part { condition: place.condition.describe(), path: place.path, members, events })
        })
        .collect()
}

fn top(rule: &Rule) -> Place<'_> {
    Place { condition: &rule.condition, path: "$".to_owned() }
}

fn clock<'a>(rule: &Rule, cx: &Context<'a>) -> Clock<'a> {
    Clock { as_of: cx.as_of, zone: quote::text(rule.zone()) }
}

/// Every condition of a rule with its place, outer before inner.
fn all(rule: &Rule) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    let mut ahead = vec![top(rule)];
    while let Some(place) = ahead.pop() {
        ahead.extend(below(&place).into_iter().rev());
        found.push(place);
    }
    found
}
