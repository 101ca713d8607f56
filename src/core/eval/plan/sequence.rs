//! `sequence` made ready.

use std::sync::Arc;

use super::super::needs::Needs;
use super::super::test::split;
use super::super::time::TimePlan;
use super::predicate::Pred;
use crate::rule::{Occurrence, PathStep, StepKind};
use crate::time::Interval;

/// A sequence.
pub(crate) struct SequencePlan {
    pub(crate) steps: Vec<StepPlan>,
    pub(crate) within: Option<Interval>,
    /// The properties that references compare: of the tested event, or of the events bound by earlier steps.
    pub(crate) slots: Vec<SlotPlan>,
    /// Properties of bound events that states carry.
    pub(crate) bound: Vec<Carried>,
    pub(crate) zone: Arc<str>,
}

impl SequencePlan {
    pub(super) fn needs<'p>(&'p self, needs: &mut Needs<'p>) {
        for step in &self.steps {
            let types = step.types.as_deref();
            needs.events(types, None);
            step.time.needs(needs);
            needs.filter(types, &step.filter);
            if let Some((_, among)) = &step.occurrence {
                needs.filter(types, among);
            }
            for slot in &self.slots {
                match slot {
                    SlotPlan::Values(slot) | SlotPlan::Arrays(slot) => needs.data(types, slot.keys.first()),
                    SlotPlan::Profile(slot) => needs.profile(slot.keys.first()),
                }
            }
        }
    }
}

/// A property that references compare.
#[derive(Clone, PartialEq)]
pub(crate) struct Slot {
    pub(crate) keys: Vec<String>,
    pub(crate) inside: Vec<PathStep>,
}

impl Slot {
    pub(super) fn new(path: &[PathStep]) -> Self {
        let (keys, inside) = split(path);
        Self { keys, inside }
    }

    /// The whole path.
    pub(crate) fn way(&self) -> Vec<PathStep> {
        self.keys.iter().cloned().map(PathStep::Key).chain(self.inside.iter().cloned()).collect()
    }
}

/// What is kept of each event of a sequence.
#[derive(PartialEq)]
pub(crate) enum SlotPlan {
    /// The scalars at a property.
    Values(Slot),
    /// The arrays at a property.
    Arrays(Slot),
    /// The scalars at a property of the customer's profile.
    Profile(Slot),
}

impl SlotPlan {
    /// Whether an event has one value of it at most.
    pub(crate) fn is_single(&self) -> bool {
        matches!(self, Self::Values(slot) if slot.inside.is_empty())
    }
}

/// A property of a bound event.
pub(crate) struct Carried {
    pub(crate) step: usize,
    pub(crate) slot: usize,
    pub(crate) until: usize,
}

/// One step.
pub(crate) struct StepPlan {
    pub(crate) kind: StepKind,
    pub(crate) types: Option<Vec<String>>,
    pub(crate) filter: Pred,
    pub(crate) time: TimePlan,
    /// Which one of the customer's events it takes, and of which events.
    pub(crate) occurrence: Option<(Occurrence, Pred)>,
    pub(crate) within: Option<Interval>,
    pub(crate) after: Option<Interval>,
}

impl StepPlan {
    /// Whether the time since the previous step's event matters.
    pub(crate) fn is_windowed(&self) -> bool {
        self.kind == StepKind::Did && (self.within.is_some() || self.after.is_some())
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &Pred> {
        let among = self.occurrence.iter().map(|(_, among)| among);
        [&self.filter].into_iter().chain(among).chain(self.time.filters())
    }
}
