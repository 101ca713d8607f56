//! Which group each customer is in: a property's scalar values as numbers, in the order in which they are met.

use std::collections::HashMap;

use super::figure::Scalar;
use super::limits::{Budget, Stop};
use super::profiles::ProfileValues;
use super::source::Source;

/// Bytes that an entry of a map takes besides what it holds, about.
const ENTRY: usize = 64;

/// The groups that a property of profiles names.
pub(crate) struct Naming<'a> {
    values: ProfileValues<'a>,
    numbers: HashMap<Scalar, u32>,
    budget: &'a Budget<'a>,
    /// Bytes that its user keeps for a group.
    beside: usize,
}

impl<'a> Naming<'a> {
    /// `beside` is how many bytes the caller keeps for each group: they are paid for with the group.
    pub(crate) fn new(
        keys: &'a [String],
        source: &'a Source<'a>,
        budget: &'a Budget<'a>,
        beside: usize,
    ) -> Result<Self, Stop> {
        let values = ProfileValues::new(keys, &[], source, budget)?;
        Ok(Self { values, numbers: HashMap::new(), budget, beside })
    }

    /// Passes on the customers of a chunk who have a group, with its number.
    pub(crate) fn chunk(&mut self, chunk: u16, each: &mut dyn FnMut(u32, u32)) -> Result<(), Stop> {
        let (numbers, beside, mut bytes) = (&mut self.numbers, self.beside, 0);
        self.values.chunk(chunk, None, &mut |low, item| {
            let Some(scalar) = Scalar::of(item) else { return };
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let text = scalar.text().len();
            let number = *numbers.entry(scalar).or_insert_with(|| {
                bytes += text + size_of::<Scalar>() + beside + ENTRY;
                next
            });
            each(low, number);
        })?;
        self.budget.take(bytes as u64)
    }

    /// How many groups were met.
    pub(crate) fn count(&self) -> usize {
        self.numbers.len()
    }
}
