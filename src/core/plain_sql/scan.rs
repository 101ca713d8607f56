//! One `SELECT` over events or profiles, in parts that several kinds of statements use.

use super::clock::Clock;
use super::predicate::{Bound, predicate};
use super::time::timing;
use super::{Context, quote};
use crate::rule::{Did, EventTypes, Occurrence, Reference, Referred, Where};

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

/// The condition that restricts a scan of `alias` to one customer, if only one is evaluated.
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

/// What references of a predicate on the event `alias` name, besides elements and events of other steps.
pub(super) fn beside(alias: &str, cx: &Context) -> impl Fn(&Reference) -> String {
    let event = format!("{alias}.data");
    let profile =
        format!("(SELECT p.profile FROM {}.cohort_customer p WHERE p.customer_id = {alias}.customer_id)", cx.schema);
    move |reference| match reference.of {
        Referred::Event => event.clone(),
        Referred::Profile => profile.clone(),
        Referred::Element | Referred::Row | Referred::Step(_) => String::from("NULL::jsonb"),
    }
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
    let beside = beside("e", cx);
    asked.extend(filter(did.filter.as_ref(), "e", clock, &beside));
    match did.occurrence {
        None => {
            let mut scan = existing;
            scan.from.extend(anchors);
            scan.conditions.extend(asked);
            scan
        }
        Some(occurrence) => {
            let mut candidates = existing;
            candidates.conditions.extend(filter(did.among.as_ref(), "e", clock, &beside));
            let (one, place) = taken(&candidates, occurrence);
            let from = format!("(\n{}\n) e", quote::indent(&one));
            let conditions = place.into_iter().chain(asked).collect();
            Scan { from: [from].into_iter().chain(anchors).collect(), conditions }
        }
    }
}

/// A statement that has each customer's one event, and what must still hold of its place.
pub(super) fn taken(candidates: &Scan, occurrence: Occurrence) -> (String, Option<String>) {
    let (descending, number) = match occurrence {
        Occurrence::First => ("", None),
        Occurrence::Last => (" DESC", None),
        Occurrence::Nth(number) => ("", Some(number.value)),
        Occurrence::NthLast(number) => (" DESC", Some(number.value)),
    };
    let order = format!("e.occurred_at{descending}, e.event_id{descending}");
    let columns = "e.customer_id, e.occurred_at, e.event_id, e.data";
    let Some(number) = number else {
        let one = candidates.select(&format!("DISTINCT ON (e.customer_id) {columns}"));
        return (format!("{one}\nORDER BY e.customer_id, {order}"), None);
    };
    let place = format!("row_number() OVER (PARTITION BY e.customer_id ORDER BY {order}) AS place");
    (candidates.select(&format!("{columns},\n  {place}")), Some(format!("e.place = {number}")))
}
