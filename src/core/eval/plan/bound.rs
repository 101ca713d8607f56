//! What the steps of a sequence keep of their events, because predicates refer to it.

use super::sequence::{Carried, Slot, SlotPlan};
use crate::rule::{Reference, Referred, Step};

/// The events of other steps that predicates refer to.
pub(super) trait OtherSteps {
    /// The place of a property of a step's event among what states carry.
    fn carried(&mut self, reference: &Reference) -> Option<usize>;
    /// The place of something that is kept of each event.
    fn slot(&mut self, slot: SlotPlan) -> usize;
}

/// Of predicates that refer to no step, as the parser has seen to.
pub(super) struct NoSteps;

impl OtherSteps for NoSteps {
    fn carried(&mut self, _: &Reference) -> Option<usize> {
        None
    }

    fn slot(&mut self, _: SlotPlan) -> usize {
        0
    }
}

/// Of the predicates of a step of a sequence.
pub(super) struct BoundEvents<'s> {
    pub(super) steps: &'s [Step],
    /// The step.
    pub(super) place: usize,
    pub(super) slots: Vec<SlotPlan>,
    pub(super) carried: Vec<Carried>,
}

impl OtherSteps for BoundEvents<'_> {
    fn carried(&mut self, reference: &Reference) -> Option<usize> {
        let Referred::Step(name) = &reference.of else { return None };
        let step = self.steps.iter().position(|step| step.name.as_ref() == Some(name))?;
        let slot = self.slot(SlotPlan::Values(Slot::new(&reference.steps)));
        let known = self.carried.iter().position(|known| known.step == step && known.slot == slot);
        let place = known.unwrap_or_else(|| {
            self.carried.push(Carried { step, slot, until: self.place });
            self.carried.len() - 1
        });
        self.carried[place].until = self.place;
        Some(place)
    }

    fn slot(&mut self, slot: SlotPlan) -> usize {
        self.slots.iter().position(|known| *known == slot).unwrap_or_else(|| {
            self.slots.push(slot);
            self.slots.len() - 1
        })
    }
}
