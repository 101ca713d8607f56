//! `sequence`: events in order.

use super::{EventTypes, Occurrence, Times, Where, Whole};
use crate::time::Interval;

/// Steps that happened in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct Sequence {
    /// At least one; the first is a [`StepKind::Did`].
    pub steps: Vec<Step>,
    /// From the first event's time to the last one's, its end included.
    pub within: Option<Interval>,
}

impl Sequence {
    /// The same with each step that has `times` written as often: `within` and `after` are the first one's.
    #[must_use]
    pub fn expanded(&self) -> Self {
        let mut steps = Vec::new();
        for step in &self.steps {
            let times = step.times.map_or(1, |times| times.value);
            let first = Step { times: None, ..step.clone() };
            let more = Step { within: None, after: None, ..first.clone() };
            steps.push(first);
            steps.extend((1..times).map(|_| more.clone()));
        }
        Self { steps, within: self.within.clone() }
    }
}

/// One step of a sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Whether the event must be there or must not.
    pub kind: StepKind,
    /// Which events.
    pub events: EventTypes,
    /// Conditions on the event's data; may use [`Argument::Ref`](super::Argument::Ref) to earlier steps.
    pub filter: Option<Where>,
    /// The name that later steps may refer to; on `did` steps only.
    pub name: Option<String>,
    /// Which events it may take, by `occurred_at`; on `did` steps only.
    pub time: Option<Times>,
    /// Only one of the customer's events of these types may be taken; on `did` steps only.
    pub occurrence: Option<Occurrence>,
    /// The events of which `occurrence` takes one.
    pub among: Option<Where>,
    /// Of a `did` step the most time since the previous one's event; of a `did_not` how far it looks.
    pub within: Option<Interval>,
    /// The least time since the previous `did` step's event.
    pub after: Option<Interval>,
    /// How often the step stands in a row; on `did` steps only.
    pub times: Option<Whole>,
}

/// Whether a step demands an event or its absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// An event of its own, later than the previous one.
    Did,
    /// No such event in the gap.
    DidNot,
}
