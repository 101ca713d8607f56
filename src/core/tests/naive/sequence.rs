//! Sequences: every event is tried for every step.

use std::collections::HashMap;

use cohort_core::rule::{Sequence, Step, StepKind};
use serde_json::Value;

use super::predicate::{Names, all_hold};
use super::world::{Event, World, is_of};
use crate::common::calendar::shift;

/// One attempt: the customer's events, and what is the same for all of them.
struct Attempt<'w> {
    world: &'w World,
    customer: usize,
    zone: &'w str,
    events: Vec<&'w Event>,
    sequence: &'w Sequence,
}

impl World {
    pub fn follows(&self, sequence: &Sequence, customer: usize, zone: &str) -> bool {
        let attempt = Attempt { world: self, customer, zone, events: self.events_of(customer), sequence };
        // Each copy of a step, and whether it is the first one.
        let steps: Vec<(&Step, bool)> = sequence
            .steps
            .iter()
            .flat_map(|step| (0..step.times.map_or(1, |times| times.value)).map(move |copy| (step, copy == 0)))
            .collect();
        attempt.rest(&steps, &[], &HashMap::new())
    }
}

impl<'w> Attempt<'w> {
    /// Whether the steps can be satisfied behind the events that were chosen.
    fn rest(&self, steps: &[(&'w Step, bool)], chosen: &[usize], bound: &HashMap<&'w str, &'w Value>) -> bool {
        let next = steps.iter().position(|(step, _)| step.kind == StepKind::Did).unwrap_or(steps.len());
        let (absent, steps) = steps.split_at(next);
        let from = chosen.last().map_or(0, |last| last + 1);
        let Some((step, first_copy)) = steps.first().copied() else {
            let last = self.events[*chosen.last().expect("a sequence has a did step")].at;
            return !absent.iter().any(|(absence, _)| {
                let ends = absence.within.iter().chain(&self.sequence.within);
                let reaches =
                    |event: &Event| ends.clone().all(|within| event.at <= shift(last, within, true, self.zone));
                self.events[from..].iter().any(|event| reaches(event) && self.takes(absence, event, bound))
            });
        };
        (from..self.events.len()).any(|place| {
            let event = self.events[place];
            self.is_in_reach(step, first_copy, event, chosen)
                && self.takes(step, event, bound)
                && !absent.iter().any(|(absence, _)| {
                    // Of a leading absence, the time before the event that it looks back.
                    let reaches = |other: &Event| {
                        let within = absence.within.as_ref();
                        within.is_none_or(|within| other.at >= shift(event.at, within, false, self.zone))
                    };
                    self.events[from..place].iter().any(|other| reaches(other) && self.takes(absence, other, bound))
                })
                && {
                    let mut bound = bound.clone();
                    if let Some(name) = &step.name {
                        bound.insert(name, &event.data);
                    }
                    let chosen: Vec<usize> = chosen.iter().copied().chain([place]).collect();
                    self.rest(&steps[1..], &chosen, &bound)
                }
        })
    }

    /// Whether an event lies within the sequence's bound from the first one, and the step's from the one before.
    fn is_in_reach(&self, step: &Step, first_copy: bool, event: &Event, chosen: &[usize]) -> bool {
        let (Some(first), Some(last)) = (chosen.first(), chosen.last()) else { return true };
        let (first, last) = (self.events[*first].at, self.events[*last].at);
        let until = |from: i64, interval: &cohort_core::time::Interval| shift(from, interval, true, self.zone);
        self.sequence.within.as_ref().is_none_or(|within| event.at <= until(first, within))
            && (!first_copy
                || step.within.as_ref().is_none_or(|within| event.at <= until(last, within))
                    && step.after.as_ref().is_none_or(|after| event.at >= until(last, after)))
    }

    fn takes<'x>(&'x self, step: &'x Step, event: &'x Event, bound: &HashMap<&'x str, &'x Value>) -> bool {
        let is_candidate = match step.occurrence {
            None => is_of(event, &step.events),
            Some(occurrence) => self
                .world
                .selected(occurrence, step.among.as_ref(), &step.events, self.customer, self.zone)
                .is_some_and(|selected| selected.id == event.id),
        };
        let names = Names { steps: bound.clone(), ..self.world.names(event, self.zone) };
        is_candidate
            && all_hold(step.filter.as_ref(), &event.data, &names)
            && self.world.in_times(step.time.as_ref(), event, self.zone)
    }
}
