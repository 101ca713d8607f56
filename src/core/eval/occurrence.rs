//! `did` with `occurrence`: one event of each customer is taken, then asked.

use super::bits::Bits;
use super::did::Did;
use super::limits::{Budget, Stop};
use super::matching::Matching;
use super::rows::ones;
use crate::rule::Occurrence;
use crate::segment::{CHUNK, PACK};

/// One candidate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    at: i64,
    id: i64,
    /// Whether it satisfies what is asked.
    holds: bool,
}

/// The candidates of a chunk's customers, as far as they are needed.
enum Taken<'b> {
    /// By ordinal: the best so far.
    Best(Vec<Option<Candidate>>),
    /// All of them.
    All { candidates: Vec<(u32, Candidate)>, paid: usize, budget: &'b Budget<'b> },
}

impl Taken<'_> {
    fn add(&mut self, ordinal: u32, new: Candidate, occurrence: Occurrence) -> Result<(), Stop> {
        match self {
            Self::Best(best) => {
                let slot = &mut best[ordinal as usize];
                let better = slot.is_none_or(|old| match occurrence {
                    Occurrence::Last => (new.at, new.id) > (old.at, old.id),
                    Occurrence::First | Occurrence::Nth(_) | Occurrence::NthLast(_) => {
                        (new.at, new.id) < (old.at, old.id)
                    }
                });
                if better {
                    *slot = Some(new);
                }
            }
            Self::All { candidates, paid, budget } => {
                candidates.push((ordinal, new));
                if let Some(more) = candidates.capacity().checked_sub(*paid) {
                    budget.take((more * size_of::<(u32, Candidate)>()) as u64)?;
                    *paid += more;
                }
            }
        }
        Ok(())
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Self::All { paid, budget, .. } = self {
            budget.give((*paid * size_of::<(u32, Candidate)>()) as u64);
        }
    }
}

impl Did<'_> {
    /// The customers of a chunk whose one event satisfies what is asked.
    pub(super) fn one(&mut self, chunk: u16, wanted: Option<&Bits>, occurrence: Occurrence) -> Result<Bits, Stop> {
        let mut taken = match occurrence {
            Occurrence::First | Occurrence::Last => Taken::Best(vec![None; CHUNK]),
            Occurrence::Nth(_) | Occurrence::NthLast(_) => {
                Taken::All { candidates: Vec::new(), paid: 0, budget: self.budget }
            }
        };
        let timed = &mut self.timed;
        for matching in &mut self.groups {
            let Matching { rows, filter, times, one: Some((ids, among)) } = matching else { continue };
            rows.scan(chunk, wanted, None, |pack, ordinals, rows| {
                let candidates = among.mask(pack, rows)?;
                if candidates == 0 {
                    return Ok(());
                }
                let matches = filter.mask(pack, candidates)?;
                let at = times.pack(pack)?;
                let mut id = [0_i64; PACK];
                ids.pack(pack, &at, &mut id)?;
                for place in ones(candidates) {
                    let holds = matches >> place & 1 == 1 && timed.holds(at[place], ordinals[place]);
                    let candidate = Candidate { at: at[place], id: id[place], holds };
                    taken.add(ordinals[place], candidate, occurrence)?;
                }
                Ok::<(), Stop>(())
            })?;
        }
        Ok(match &mut taken {
            Taken::Best(best) => Bits::of_values(best, |one| one.is_some_and(|one| one.holds)),
            Taken::All { candidates, .. } => nth(candidates, occurrence),
        })
    }
}

/// The customers whose nth candidate satisfies what is asked.
fn nth(candidates: &mut [(u32, Candidate)], occurrence: Occurrence) -> Bits {
    candidates.sort_unstable();
    let mut bits = Bits::none();
    for one in candidates.chunk_by(|left, right| left.0 == right.0) {
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let taken = match occurrence {
            Occurrence::Nth(number) => one.get(place(number.value) - 1),
            Occurrence::NthLast(number) => one.len().checked_sub(place(number.value)).and_then(|place| one.get(place)),
            Occurrence::First => one.first(),
            Occurrence::Last => one.last(),
        };
        if taken.is_some_and(|(_, candidate)| candidate.holds) {
            bits.insert(one[0].0);
        }
    }
    bits
}
