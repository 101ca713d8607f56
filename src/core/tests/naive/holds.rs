//! Whether a condition holds of a customer.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use cohort_core::rule::{
    CalendarUnit, Condition, Did, EventTypes, Group, Occurrence, Periods, Quantifier, Streak, Where,
};
use serde_json::Value;

use super::figures::{aggregates, counts};
use super::predicate::{Names, all_hold, has_element, tests};
use super::rows::{text_of, values_of};
use super::when::{period_away, period_of};
use super::world::{Cohort, Event, World, is_of};
use crate::common::calendar::{day, day_start};

impl World {
    /// What the predicates of an event may name.
    pub fn names<'w>(&'w self, event: &'w Event, zone: &'w str) -> Names<'w> {
        Names { event: Some(&event.data), ..self.names_of(event.customer, zone) }
    }

    /// What the predicates of rows may name.
    pub fn names_of_rows<'w>(&'w self, zone: &'w str) -> Names<'w> {
        Names {
            event: None,
            profile: &Value::Null,
            element: None,
            row: None,
            table: &self.table,
            steps: HashMap::new(),
            as_of: self.as_of,
            zone,
        }
    }

    fn names_of<'w>(&'w self, customer: usize, zone: &'w str) -> Names<'w> {
        Names { profile: self.profile(customer), ..self.names_of_rows(zone) }
    }

    pub fn holds(&self, condition: &Condition, customer: usize, zone: &str) -> bool {
        match condition {
            Condition::And(list) => list.iter().all(|one| self.holds(one, customer, zone)),
            Condition::Or(list) => list.iter().any(|one| self.holds(one, customer, zone)),
            Condition::Not(one) => !self.holds(one, customer, zone),
            Condition::Did(did) => self.did(did, customer, zone),
            Condition::DidNot(did) => !self.did(did, customer, zone),
            Condition::Profile(test) => tests(test, self.profile(customer), &self.names_of(customer, zone)),
            Condition::ProfileElement(test) => {
                has_element(test, self.profile(customer), &self.names_of(customer, zone))
            }
            Condition::Cohort(name) => match &self.cohorts[name] {
                Cohort::Rule(rule) => self.members(rule).contains(&customer),
                Cohort::List(members) => members.contains(&customer) && self.is_known(customer),
            },
            Condition::Sequence(sequence) => self.follows(sequence, customer, zone),
            Condition::Sample(sample) => self.is_sampled(sample, customer),
            Condition::Group(group) => self.group_holds(group, customer, zone),
            Condition::Compare(compare) => self.compares(compare, customer, zone),
            Condition::Rank(rank) => self.is_ranked(rank, customer, zone),
            Condition::CustomerIn(rows) => {
                let ids = values_of(rows, &self.names_of(customer, zone));
                ids.iter().any(|id| text_of(id) == self.ids[customer])
            }
        }
    }

    fn group_holds(&self, group: &Group, customer: usize, zone: &str) -> bool {
        let groups = self.groups(&group.property);
        let Some(customers) = groups.values().find(|customers| customers.contains(&customer)) else { return false };
        let mut each = customers.iter().map(|other| self.holds(&group.condition, *other, zone));
        match group.quantifier {
            Quantifier::Any => each.any(|holds| holds),
            Quantifier::All => each.all(|holds| holds),
            Quantifier::None => !each.any(|holds| holds),
        }
    }

    /// The one of a customer's events of some types that `occurrence` selects.
    pub fn selected<'w>(
        &'w self,
        occurrence: Occurrence,
        among: Option<&'w Where>,
        types: &EventTypes,
        customer: usize,
        zone: &'w str,
    ) -> Option<&'w Event> {
        let candidates: Vec<&Event> = self
            .events_of(customer)
            .into_iter()
            .filter(|event| is_of(event, types) && all_hold(among, &event.data, &self.names(event, zone)))
            .collect();
        let place = |whole: cohort_core::rule::Whole| usize::try_from(whole.value).expect("a small number") - 1;
        match occurrence {
            Occurrence::First => candidates.first().copied(),
            Occurrence::Last => candidates.last().copied(),
            Occurrence::Nth(nth) => candidates.get(place(nth)).copied(),
            Occurrence::NthLast(nth) => candidates.iter().rev().nth(place(nth)).copied(),
        }
    }

    fn did(&self, did: &Did, customer: usize, zone: &str) -> bool {
        let matches = |event: &&Event| {
            all_hold(did.filter.as_ref(), &event.data, &self.names(event, zone))
                && self.in_times(did.time.as_ref(), event, zone)
        };
        if let Some(occurrence) = did.occurrence {
            let selected = self.selected(occurrence, did.among.as_ref(), &did.events, customer, zone);
            return selected.is_some_and(|event| matches(&event));
        }
        let events: Vec<&Event> =
            self.events_of(customer).into_iter().filter(|event| is_of(event, &did.events)).filter(matches).collect();
        match &did.periods {
            Some(periods) => self.in_periods(periods, did, &events, zone),
            None => enough(did, &events),
        }
    }

    fn in_periods(&self, periods: &Periods, did: &Did, events: &[&Event], zone: &str) -> bool {
        let mut by_period: BTreeMap<NaiveDate, Vec<&Event>> = BTreeMap::new();
        for event in events {
            by_period.entry(period_of(periods.unit, day(event.at, zone))).or_default().push(event);
        }
        by_period.retain(|_, events| enough(did, events));
        let held: Vec<NaiveDate> = by_period.into_keys().collect();
        let number = match periods.streak {
            None => held.len(),
            Some(Streak::Longest) => runs(periods.unit, &held, zone).iter().map(Vec::len).max().unwrap_or(0),
            Some(Streak::Current) => {
                let current = period_of(periods.unit, day(self.as_of, zone));
                runs(periods.unit, &held, zone)
                    .last()
                    .filter(|run| {
                        let last = run[run.len() - 1];
                        last == current || adjoin(periods.unit, last, current, zone)
                    })
                    .map_or(0, Vec::len)
            }
        };
        counts(&periods.comparison.map(|whole| whole.value), number)
    }
}

/// Whether some events satisfy `count` and `aggregate`.
fn enough(did: &Did, events: &[&Event]) -> bool {
    let counted = match did.count() {
        Some(comparison) => counts(&comparison, events.len()),
        None => !events.is_empty(),
    };
    counted && did.aggregate.as_ref().is_none_or(|aggregate| aggregates(aggregate, events))
}

/// Whether there is no instant between two periods.
fn adjoin(unit: CalendarUnit, earlier: NaiveDate, later: NaiveDate, zone: &str) -> bool {
    earlier < later && day_start(period_away(unit, earlier, 1), zone) == day_start(later, zone)
}

/// The runs of adjacent periods.
fn runs(unit: CalendarUnit, periods: &[NaiveDate], zone: &str) -> Vec<Vec<NaiveDate>> {
    let mut runs: Vec<Vec<NaiveDate>> = Vec::new();
    for period in periods {
        match runs.last_mut() {
            Some(run) if adjoin(unit, run[run.len() - 1], *period, zone) => run.push(*period),
            _ => runs.push(vec![*period]),
        }
    }
    runs
}
