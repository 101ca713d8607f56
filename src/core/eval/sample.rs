//! `sample`: the customers whose place lies in a range.

use roaring::RoaringBitmap;

use super::bits::Bits;
use super::source::Source;
use crate::rule;
use crate::sample::{Places, least_hash};
use crate::segment::{CHUNK_BITS, CHUNK_MASK};

/// A sample made ready.
pub(crate) struct SamplePlan {
    places: Places,
    /// From one hash to another, the latter not included.
    hashes: std::ops::Range<u128>,
}

impl SamplePlan {
    pub(crate) fn new(sample: &rule::Sample) -> Self {
        let rule::Sample { from, to, salt } = sample;
        Self { places: Places::new(salt), hashes: least_hash(from)..least_hash(to) }
    }

    /// Those of some customers of a chunk who are in.
    pub(crate) fn chunk(&self, chunk: u16, wanted: &Bits, source: &Source<'_>) -> Bits {
        let mut found = Bits::none();
        let Some(ids) = source.ids else { return found };
        let first = u32::from(chunk) << CHUNK_BITS;
        let wanted: RoaringBitmap = wanted.iter().map(|low| first | low).collect();
        ids.each(&wanted, &mut |ordinal, id| {
            if self.hashes.contains(&u128::from(self.places.hash(id))) {
                found.insert(ordinal & CHUNK_MASK);
            }
        });
        found
    }
}
