//! Predicates made ready.

use std::sync::Arc;

use super::super::clock::Clock;
use super::super::refer::{How, Other, Refer};
use super::super::test::Test;
use super::sequence::Slot;
use crate::rule::{Argument, ElementTest, Predicate, PropertyTest, Referred, Where};

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
    /// What compares elements with an event bound before: not answered here.
    Elsewhere,
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
            Self::Test(_) | Self::Refer(_) | Self::Elsewhere => false,
            Self::Same { .. } => true,
        }
    }
}

/// What predicates look at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Document {
    Event,
    Profile,
}

/// Makes a comparison with an event of another step ready.
pub(super) type ReferToStep<'r> = &'r mut dyn FnMut(&PropertyTest) -> Pred;

pub(super) fn element(test: &ElementTest, clock: &Clock, document: Document) -> Test {
    let predicates = test.filter.predicates().iter();
    let all = predicates.map(|one| predicate(one, clock, document, &mut |_| Pred::Elsewhere)).collect();
    Test::element(&test.property, Pred::And(all))
}

/// The predicates on an event.
pub(super) fn filter(filter: Option<&Where>, clock: &Clock, refer: ReferToStep<'_>) -> Pred {
    let predicates = filter.map_or(&[][..], Where::predicates);
    Pred::And(predicates.iter().map(|one| predicate(one, clock, Document::Event, refer)).collect())
}

fn predicate(one: &Predicate, clock: &Clock, document: Document, refer: ReferToStep<'_>) -> Pred {
    match one {
        Predicate::And(list) => Pred::And(list.iter().map(|one| predicate(one, clock, document, refer)).collect()),
        Predicate::Or(list) => Pred::Or(list.iter().map(|one| predicate(one, clock, document, refer)).collect()),
        Predicate::Not(inner) => Pred::Not(Box::new(predicate(inner, clock, document, refer))),
        Predicate::Element(test) => Pred::Test(Arc::new(element(test, clock, document))),
        Predicate::Test(test) => {
            let pred = positive(test, clock, document, refer);
            if test.operator.negates().is_some() { Pred::Not(Box::new(pred)) } else { pred }
        }
    }
}

/// The test, or the one that it negates.
pub(super) fn positive(test: &PropertyTest, clock: &Clock, document: Document, refer: ReferToStep<'_>) -> Pred {
    let Argument::Ref(reference) = &test.argument else {
        return Pred::Test(Arc::new(Test::new(test, clock)));
    };
    let other = match (&reference.of, document) {
        (Referred::Step(_), _) => return refer(test),
        (Referred::Element, _) => Other::Element(reference.steps.clone()),
        (Referred::Row, _) => return Pred::Elsewhere, // only the predicates of rows refer to one, which SQL answers
        (Referred::Profile, Document::Event) => Other::Profile(Slot::new(&reference.steps)),
        (Referred::Event, _) | (Referred::Profile, Document::Profile) => Other::Row(Slot::new(&reference.steps)),
    };
    Pred::Refer(Arc::new(Refer { own: Slot::new(&test.property.steps), other, how: how(test) }))
}

pub(super) fn how(test: &PropertyTest) -> How {
    How { family: test.operator.family(), ignore_case: test.ignore_case.unwrap_or(false) }
}
