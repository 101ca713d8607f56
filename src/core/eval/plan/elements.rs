//! Tests of the elements of arrays made ready.

use std::sync::Arc;

use super::super::clock::Clock;
use super::super::refer::Other;
use super::super::test::{Kind, Test};
use super::bound::OtherSteps;
use super::predicate::{Document, Pred, predicate};
use super::sequence::{Slot, SlotPlan};
use crate::rule::{ElementTest, PathStep};

/// A test of the elements of arrays that refers to events bound before.
pub(crate) struct ElementsPlan {
    /// The test, which is of elements.
    pub(crate) test: Test,
    /// The place of the arrays among the sequence's slots.
    pub(crate) arrays: usize,
    /// What the predicates refer to outside of the elements, and where a sequence has it.
    pub(crate) outside: Vec<(Other, Held)>,
    /// Equalities of a property of any element with one of a bound event, without which no element satisfies the test: places
    /// among slots and among what states carry, and whether case is ignored.
    pub(crate) equal: Vec<(usize, usize, bool)>,
}

/// Where a sequence has the values of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// Among the slots of the event that is tested.
    Slot(usize),
    /// Among what states carry.
    Bound(usize),
}

/// A test of elements.
pub(super) fn elements(test: &ElementTest, clock: &Clock, document: Document, steps: &mut dyn OtherSteps) -> Pred {
    let property = &test.property;
    let predicates = test.filter.predicates().iter();
    let all: Vec<Pred> = predicates.map(|one| predicate(one, clock, document.element(), steps)).collect();
    let mut equal = Vec::new();
    for refer in all.iter().filter_map(Pred::as_equality) {
        if let Other::Step(bound) = refer.other {
            let path = [property.steps.as_slice(), &[PathStep::Elements], &refer.own.way()].concat();
            equal.push((SlotPlan::Values(Slot::new(&path)), bound, refer.how.ignore_case));
        }
    }
    let test = Test::element(property, Pred::And(all));
    let Kind::Element(pred) = &test.kind else { return Pred::never() };
    let mut outside = Vec::new();
    pred.outside(true, &mut outside);
    // Within elements of an element, the outermost test looks at the events.
    if document.is_element() || !outside.iter().any(|other| matches!(other, Other::Step(_))) {
        return Pred::Test(Arc::new(test));
    }
    let outside: Vec<(Other, Held)> = outside
        .into_iter()
        .map(|other| {
            let held = match other {
                Other::Row(slot) => Held::Slot(steps.slot(SlotPlan::Values(slot.clone()))),
                Other::Profile(slot) => Held::Slot(steps.slot(SlotPlan::Profile(slot.clone()))),
                Other::Step(bound) => Held::Bound(*bound),
                Other::Element(_) => Held::Slot(0), // is inside
            };
            (other.clone(), held)
        })
        .collect();
    let arrays = steps.slot(SlotPlan::Arrays(Slot::new(&property.steps)));
    let equal = equal.into_iter().map(|(slot, bound, ignore_case)| (steps.slot(slot), bound, ignore_case)).collect();
    Pred::Elements(Arc::new(ElementsPlan { test, arrays, outside, equal }))
}
