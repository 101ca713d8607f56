//! What a sequence asks for, step by step: its `did` steps with the absences before each, and which properties of
//! bound events have to be kept for later steps.

use crate::rule::{Argument, PathStep, Predicate, Reference, Referred, Sequence, Step, StepKind, Where};

/// A property of a bound event that later steps refer to.
pub(super) struct Carried<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a str,
    /// The step that binds the event.
    pub(super) from: usize,
    /// The last step that refers to it.
    pub(super) until: usize,
}

/// A `did` step with the `did_not` steps that stand right before it.
pub(super) struct Leg<'a> {
    pub(super) place: usize,
    pub(super) did: &'a Step,
    pub(super) absent: Vec<&'a Step>,
}

/// The `did` steps, and the `did_not` steps behind the last one.
pub(super) fn legs(sequence: &Sequence) -> (Vec<Leg<'_>>, Vec<&Step>) {
    let (mut legs, mut absent) = (Vec::new(), Vec::new());
    for (place, step) in sequence.steps.iter().enumerate() {
        match step.kind {
            StepKind::Did => legs.push(Leg { place, did: step, absent: std::mem::take(&mut absent) }),
            StepKind::DidNot => absent.push(step),
        }
    }
    (legs, absent)
}

/// What later steps refer to, each property once.
pub(super) fn carried(sequence: &Sequence) -> Vec<Carried<'_>> {
    let mut carried: Vec<Carried> = Vec::new();
    for (place, step) in sequence.steps.iter().enumerate() {
        let mut references = Vec::new();
        collect(step.filter.as_ref().map_or(&[], Where::predicates), &mut references);
        for reference in references {
            let Referred::Step(name) = &reference.of else { continue };
            let (name, key) = (name.as_str(), first_key(reference));
            if let Some(known) = carried.iter_mut().find(|known| known.name == name && known.key == key) {
                known.until = place;
            } else if let Some(from) = sequence.steps.iter().position(|step| step.name.as_deref() == Some(name)) {
                carried.push(Carried { name, key, from, until: place });
            }
        }
    }
    carried
}

/// The references to other steps.
pub(super) fn collect<'a>(predicates: &'a [Predicate], references: &mut Vec<&'a Reference>) {
    for predicate in predicates {
        match predicate {
            Predicate::And(list) | Predicate::Or(list) => collect(list, references),
            Predicate::Not(inner) => collect(std::slice::from_ref(inner), references),
            Predicate::Element(test) => collect(test.filter.predicates(), references),
            Predicate::Test(test) => {
                if let Argument::Ref(reference @ Reference { of: Referred::Step(_), .. }) = &test.argument {
                    references.push(reference);
                }
            }
        }
    }
}

pub(super) fn first_key(reference: &Reference) -> &str {
    match reference.steps.first() {
        Some(PathStep::Key(key)) => key,
        _ => "",
    }
}
