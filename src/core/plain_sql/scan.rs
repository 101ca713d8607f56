//! One `SELECT` over events or profiles, taken apart so that its parts can be put to several uses.

use super::clock::Clock;
use super::predicate::{Bound, predicate};
use super::time::timing;
use super::{Context, quote};
use crate::rule::{Did, EventTypes, Occurrence, Where};

/// `FROM … WHERE …` of one statement.
#[derive(Clone)]
pub(super) struct Scan {
    /// What is read.
    pub(super) from: Vec<String>,
    /// What must all be true.
    pub(super) conditions: Vec<String>,
}

impl Scan {
    /// `SELECT what FROM … WHERE …`.
    pub(super) fn select(&self, what: &str) -> String {
        let mut sql = format!("SELECT {what}\nFROM {}", self.from.join(",\n  "));
        if !self.conditions.is_empty() {
            sql.push('\n');
            sql.push_str(&quote::wheres(&self.conditions));
        }
        sql
    }
}

/// The condition that keeps a scan of `alias` to one customer, if only one is asked about.
pub(super) fn only(alias: &str, cx: &Context) -> Option<String> {
    cx.only.map(|customer| format!("{alias}.customer_id = {customer}"))
}

/// The condition that an event is of one of these types.
pub(super) fn types(events: &EventTypes, alias: &str) -> Option<String> {
    let types: Vec<String> = events.named()?.iter().map(|name| quote::text(name)).collect();
    Some(quote::one_of(&format!("{alias}.event_type"), &types))
}

/// The condition for an event to exist for a rule.
pub(super) fn exists(alias: &str, cx: &Context) -> String {
    format!("{alias}.occurred_at <= {}", cx.as_of)
}

/// The conditions for `alias`, a `cohort_event`, to be an event of these types that exists.
pub(super) fn existing(events: &EventTypes, alias: &str, cx: &Context) -> Vec<String> {
    let mut conditions: Vec<String> = only(alias, cx).into_iter().chain(types(events, alias)).collect();
    conditions.push(exists(alias, cx));
    conditions
}

/// The conditions of a `where` on the data of `alias`.
pub(super) fn filter(filter: Option<&Where>, alias: &str, clock: &Clock, bound: Bound) -> Vec<String> {
    let predicates = filter.map_or(&[][..], Where::predicates);
    predicates.iter().map(|item| predicate(item, &format!("{alias}.data"), clock, bound)).collect()
}

/// The events that a `did` counts, called `e`.
pub(super) fn matching(did: &Did, cx: &Context, clock: &Clock) -> Scan {
    let table = format!("{}.cohort_event e", cx.schema);
    let existing = Scan { from: vec![table], conditions: existing(&did.events, "e", cx) };
    let timing = timing(did.time.as_ref(), "e", cx, clock);
    let (anchors, mut asked) = (timing.from, timing.conditions);
    // Only a step of a sequence may refer to another one.
    asked.extend(filter(did.filter.as_ref(), "e", clock, &|_| String::from("NULL::jsonb")));
    match did.occurrence {
        None => {
            let mut scan = existing;
            scan.from.extend(anchors);
            scan.conditions.extend(asked);
            scan
        }
        Some(occurrence) => {
            let descending = match occurrence {
                Occurrence::First => "",
                Occurrence::Last => " DESC",
            };
            let one = existing.select("DISTINCT ON (e.customer_id) e.customer_id, e.occurred_at, e.event_id, e.data");
            let order = format!("ORDER BY e.customer_id, e.occurred_at{descending}, e.event_id{descending}");
            let from = format!("(\n{}\n) e", quote::indent(&format!("{one}\n{order}")));
            Scan { from: [from].into_iter().chain(anchors).collect(), conditions: asked }
        }
    }
}
