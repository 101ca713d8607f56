//! Predicates made ready.

use std::sync::Arc;

use super::super::clock::Clock;
use super::super::refer::{How, Other, Refer};
use super::super::test::Test;
use super::bound::OtherSteps;
use super::elements::{ElementsPlan, elements};
use super::sequence::{Slot, SlotPlan};
use crate::rule::{Argument, Predicate, PropertyTest, Referred, Where};

/// Predicates on one event.
#[derive(Clone)]
pub(crate) enum Pred {
    And(Vec<Pred>),
    Or(Vec<Pred>),
    Not(Box<Pred>),
    /// The positive test.
    Test(Arc<Test>),
    /// A comparison with another property of what is at hand.
    Refer(Arc<Refer>),
    /// A comparison with a property of an event bound before; places in the sequence's slots.
    Same {
        own: usize,
        other: usize,
        how: How,
    },
    /// A test of elements that refers to events bound before.
    Elements(Arc<ElementsPlan>),
}

impl Pred {
    /// Whether it asks nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::And(list) if list.is_empty())
    }

    /// Whether it looks at other events.
    pub(crate) fn refers(&self) -> bool {
        match self {
            Self::And(list) | Self::Or(list) => list.iter().any(Self::refers),
            Self::Not(inner) => inner.refers(),
            Self::Test(_) | Self::Refer(_) => false,
            Self::Same { .. } | Self::Elements(_) => true,
        }
    }

    /// What no event satisfies.
    pub(super) fn never() -> Self {
        Self::Or(Vec::new())
    }
}

/// What predicates look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    Event,
    Profile,
    /// An element in one of the former.
    ElementOfEvent,
    ElementOfProfile,
}

impl Document {
    pub(super) fn element(self) -> Self {
        match self {
            Self::Event | Self::ElementOfEvent => Self::ElementOfEvent,
            Self::Profile | Self::ElementOfProfile => Self::ElementOfProfile,
        }
    }

    pub(super) fn is_element(self) -> bool {
        matches!(self, Self::ElementOfEvent | Self::ElementOfProfile)
    }

    pub(super) fn is_of_event(self) -> bool {
        matches!(self, Self::Event | Self::ElementOfEvent)
    }
}

/// The predicates on an event.
pub(super) fn filter(filter: Option<&Where>, clock: &Clock, steps: &mut dyn OtherSteps) -> Pred {
    let predicates = filter.map_or(&[][..], Where::predicates);
    Pred::And(predicates.iter().map(|one| predicate(one, clock, Document::Event, steps)).collect())
}

pub(super) fn predicate(one: &Predicate, clock: &Clock, document: Document, steps: &mut dyn OtherSteps) -> Pred {
    match one {
        Predicate::And(list) => Pred::And(list.iter().map(|one| predicate(one, clock, document, steps)).collect()),
        Predicate::Or(list) => Pred::Or(list.iter().map(|one| predicate(one, clock, document, steps)).collect()),
        Predicate::Not(inner) => Pred::Not(Box::new(predicate(inner, clock, document, steps))),
        Predicate::Element(test) => elements(test, clock, document, steps),
        Predicate::Test(test) => {
            let pred = positive(test, clock, document, steps);
            if test.operator.negates().is_some() { Pred::Not(Box::new(pred)) } else { pred }
        }
    }
}

/// The test, or the one that it negates.
pub(super) fn positive(test: &PropertyTest, clock: &Clock, document: Document, steps: &mut dyn OtherSteps) -> Pred {
    let Argument::Ref(reference) = &test.argument else {
        return Pred::Test(Arc::new(Test::new(test, clock)));
    };
    let other = match &reference.of {
        Referred::Step(_) => {
            let Some(bound) = steps.carried(reference) else { return Pred::never() };
            if !document.is_element() {
                let own = steps.slot(SlotPlan::Values(Slot::new(&test.property.steps)));
                return Pred::Same { own, other: bound, how: how(test) };
            }
            Other::Step(bound)
        }
        Referred::Element => Other::Element(reference.steps.clone()),
        Referred::Row => return Pred::never(), // only the predicates of rows refer to one, which SQL answers
        Referred::Profile if document.is_of_event() => Other::Profile(Slot::new(&reference.steps)),
        Referred::Event | Referred::Profile => Other::Row(Slot::new(&reference.steps)),
    };
    Pred::Refer(Arc::new(Refer { own: Slot::new(&test.property.steps), other, how: how(test) }))
}

fn how(test: &PropertyTest) -> How {
    How { family: test.operator.family(), ignore_case: test.ignore_case.unwrap_or(false) }
}
