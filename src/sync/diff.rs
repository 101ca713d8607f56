//! What a run has to do: the members of the cohort, as one snapshot has them, against what the destination was told.

use std::collections::{HashMap, HashSet};

use cohort_core::destination::Destination;
use cohort_core::sync::Figures;
use roaring::{RoaringBitmap, RoaringTreemap};

use super::audience::Audience;
use super::journal::Told;
use super::profiles::stamps;
use super::settled::{self, Basis, Compared};
use super::store::Place;
use crate::pg::errors::Fallible;
use crate::pg::index::{Evaluated, Scratch};
use crate::pg::query::Given;

/// Members that are looked at together.
///
/// What is known of them is looked up one by one in an index (`LATERAL … OFFSET 0`): a join would read a large table from
/// end to end for each slice.
const SLICE: usize = 16_384;

/// The reason under which members that are suppressed are counted.
pub(super) const SUPPRESSED: &str = "suppressed";

/// The reason under which members that the destination refused before are counted in a preview.
pub(super) const REJECTED: &str = "rejected";

/// Why a member is sent. The numbers are those of a spool's entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The destination was not told of them.
    New = 0,
    /// It may or may not have them, or everyone is sent again.
    Again = 1,
    /// Their profile changed: to be sent if they look different now.
    Look = 2,
}

impl Kind {
    const ALL: [Self; 3] = [Self::New, Self::Again, Self::Look];

    /// The kind of an entry; of a number that no kind has, the one that compares.
    pub(super) fn of(number: i64) -> Self {
        Self::ALL.into_iter().find(|kind| *kind as i64 == number).unwrap_or(Self::Look)
    }
}

/// What is known about a sync before its members are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// The sync; none for a pair without one.
    pub(super) sync: Option<i64>,
    /// Members whose batch lies below are sent again.
    pub(super) again_below: i64,
    /// Whether every profile is looked at, changed or not.
    pub(super) look: bool,
    /// Whether a member whose profile changed is sent again.
    pub(super) sends_changes: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) figures: Figures,
    /// Members that are there and stay as they are.
    pub(super) unchanged: u64,
    /// Members that the destination refused, and would again.
    pub(super) rejected: u64,
    /// Members of the cohort that are left out because they are suppressed.
    pub(super) suppressed: u64,
    /// Which members were compared, and why all, if it was all.
    pub(super) compared: String,
    /// What is kept for the next comparison; none where it cannot build on this one.
    pub(super) kept: Option<Kept>,
}

/// What is kept of a comparison.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) settled: Compared,
    /// The members that are settled once everyone to be sent was sent, and everyone to be removed was removed.
    pub(super) arriving: RoaringBitmap,
    pub(super) given: settled::Given,
    pub(super) basis: Basis,
}

/// A member to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addition<'a> {
    pub(super) kind: Kind,
    pub(super) customer: &'a str,
    /// What a query returned of the member.
    pub(super) given: Option<&'a Given>,
}

/// What takes slices of members to be sent.
pub(super) type Sink<'a> = dyn FnMut(&[Addition<'_>]) -> Fallible<()> + 'a;

/// Compares the cohort's members with what the destination was told. `add` gets slices of members to be sent, `remove`
/// the members to be taken away. Everything is read under the active snapshot; the cohort and the profiles with the
/// current user's rights.
pub(super) fn compare(
    cohort: &str,
    place: &Place,
    destination: &dyn Destination,
    facts: Facts,
    add: &mut Sink<'_>,
    remove: &mut dyn FnMut(i64, &str) -> Fallible<()>,
) -> Fallible<Found> {
    let audience = Audience::of(cohort, place.id, facts.sync)?;
    let told = Told::open(facts.sync)?;
    let looks = destination.wants_profile() && facts.sends_changes;
    let mut comparison =
        Comparison { told, facts, looks, found: Found::default(), seen: RoaringTreemap::new(), add, remove };
    let size = if let Some(members) = audience.ordinals()? {
        comparison.by_ordinals(&members, destination.fingerprint())?
    } else {
        comparison.found.compared = all("plain SQL evaluated the cohort");
        let size = audience.in_slices(SLICE, destination.wants_profile(), &mut |ids, given| {
            comparison.slice(ids, given)?;
            Ok(())
        })?;
        comparison.removals(&mut |_| Ok(()))?;
        size
    };
    let mut found = comparison.found;
    found.unchanged = size.saturating_sub(found.figures.adds + found.rejected);
    found.figures.size = size;
    found.suppressed = audience.suppressed(size)?;
    Ok(found)
}

/// What is recorded of a run that compared all members.
fn all(why: &str) -> String {
    format!("all members: {why}")
}

/// A comparison under way.
struct Comparison<'a, 'b> {
    told: Told,
    facts: Facts,
    /// Whether it matters that a profile changed.
    looks: bool,
    found: Found,
    /// Numbers of the ledger's rows of the members that stay.
    seen: RoaringTreemap,
    add: &'a mut Sink<'b>,
    remove: &'a mut dyn FnMut(i64, &str) -> Fallible<()>,
}

/// What is known of a member after it was compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The ledger has one row, and it stays as it is.
    Settled,
    /// The ledger has rows, or the run may write one.
    Unsettled,
    /// Neither: the destination refused it.
    Absent,
}

impl Comparison<'_, '_> {
    /// Compares a slice of the members.
    fn slice(&mut self, ids: &[String], given: Option<&[Given]>) -> Fallible<Vec<Standing>> {
        let Self { told, facts, looks, .. } = self;
        let (facts, looks) = (*facts, *looks);
        let mut kinds: Vec<Option<Kind>> = vec![Some(Kind::New); ids.len()];
        let mut rows = vec![0_usize; ids.len()];
        // The stamp of the profile that was used last, where that decides.
        let mut used: HashMap<usize, Option<i64>> = HashMap::new();
        for (place, members) in told.members(ids)? {
            let Some(best) = members.iter().max_by_key(|member| (!member.leaving, member.id)) else { continue };
            rows[place] = members.len();
            self.seen.extend(
                members.iter().filter(|member| !member.leaving).filter_map(|member| u64::try_from(member.id).ok()),
            );
            kinds[place] = if best.leaving || told.open.contains(&best.batch) || best.batch < facts.again_below {
                Some(Kind::Again)
            } else if looks && facts.look {
                Some(Kind::Look)
            } else {
                if looks {
                    used.insert(place, best.source);
                }
                None
            };
        }
        for (place, source, batch) in told.rejected(ids)? {
            if kinds[place] == Some(Kind::New) && !facts.look && batch >= facts.again_below {
                kinds[place] = None;
                self.found.rejected += 1;
                // Where no profile goes along, none that changed would help.
                if looks {
                    used.insert(place, source);
                }
            }
        }
        if !used.is_empty() {
            let stamps = match given {
                Some(given) => used.keys().map(|place| (*place, given[*place].stamp)).collect(),
                None => stamps(ids, &used)?,
            };
            for (place, stamp) in stamps {
                if used.get(&place).is_some_and(|source| *source != stamp) {
                    kinds[place] = Some(Kind::Look);
                }
            }
        }
        let slice: Vec<Addition<'_>> = kinds
            .iter()
            .zip(ids)
            .enumerate()
            .filter_map(|(place, (kind, id))| {
                Some(Addition { kind: (*kind)?, customer: id, given: given.and_then(|given| given.get(place)) })
            })
            .collect();
        self.found.figures.adds += slice.len() as u64;
        if !slice.is_empty() {
            (self.add)(&slice)?;
        }
        let standing = kinds.iter().zip(&rows).map(|(kind, rows)| match (kind, rows) {
            (None, 0) => Standing::Absent,
            (None, 1) => Standing::Settled,
            _ => Standing::Unsettled,
        });
        Ok(standing.collect())
    }

    /// Finds in the whole ledger the members to remove, and passes their ids to `each`.
    fn removals(&mut self, each: &mut dyn FnMut(&str) -> Fallible<()>) -> Fallible<()> {
        let Self { told, seen, found, remove, .. } = self;
        found.figures.present = told.present()?;
        if found.figures.present > seen.len() {
            found.figures.removes = told.others(seen, &mut |member, customer| {
                each(customer)?;
                remove(member, customer)
            })?;
        }
        Ok(())
    }

    /// Compares the members that an evaluation by the index found: those that changed since the last comparison, or all.
    /// Returns their number.
    fn by_ordinals(&mut self, members: &Evaluated, mapping: i64) -> Fallible<u64> {
        let all_members = &members.answer.members;
        let given = match self.facts.sync {
            Some(sync) if settled::is_known()? => {
                Some(settled::Given { sync, again_below: self.facts.again_below, mapping })
            }
            _ => None,
        };
        let (last, basis) = match given {
            Some(given) => {
                let (last, basis) = Compared::find(given)?;
                (last, Some(basis))
            }
            None => (Err("the sync is new".to_owned()), None),
        };
        let last = if self.facts.look { Err("the mapping of profiles changed".to_owned()) } else { last };
        let mut now = Now { members, kept: Compared::default() };
        match last {
            Err(why) => {
                self.found.compared = all(&why);
                self.look_at(all_members, &mut now)?;
                let mut gone = Vec::new();
                self.removals(&mut |customer| {
                    gone.push(customer.to_owned());
                    if gone.len() < SLICE { Ok(()) } else { now.unsettled(&std::mem::take(&mut gone)) }
                })?;
                now.unsettled(&gone)?;
            }
            Ok((last, since)) => {
                "changes".clone_into(&mut self.found.compared);
                let mut looked_at = all_members - &last.settled;
                if self.looks {
                    looked_at |= members.changed_profiles(since)? & all_members;
                }
                now.kept.settled = (&last.settled & all_members) - &looked_at;
                let untouched = now.kept.settled.len();
                self.look_at(&looked_at, &mut now)?;
                self.left(&last, &mut now)?;
                self.found.figures.present = untouched + self.seen.len() + self.found.figures.removes;
            }
        }
        self.found.kept = given.zip(basis).map(|(given, basis)| Kept {
            arriving: &now.kept.unsettled & all_members,
            settled: now.kept,
            given,
            basis,
        });
        Ok(all_members.len())
    }

    /// Compares some of the members.
    fn look_at(&mut self, wanted: &RoaringBitmap, now: &mut Now<'_>) -> Fallible<()> {
        now.in_slices(wanted, &mut |now, ids, ordinals| {
            let standing = self.slice(ids, None)?;
            for ((standing, id), ordinal) in standing.into_iter().zip(ids).zip(ordinals) {
                now.note(standing, *ordinal, id);
            }
            Ok(())
        })
    }

    /// Finds the members to remove among the customers of the last comparison who are not members now.
    fn left(&mut self, last: &Compared, now: &mut Now<'_>) -> Fallible<()> {
        let members = now.members;
        let wanted = (&last.settled | &last.unsettled) - &members.answer.members;
        now.in_slices(&wanted, &mut |now, ids, ordinals| self.take_away(ids, ordinals, now))?;
        let ids: Vec<&str> = last.others.iter().map(String::as_str).collect();
        let still: HashSet<String> = members.members_among(&ids)?.into_iter().collect();
        let gone: Vec<String> = last.others.iter().filter(|id| !still.contains(*id)).cloned().collect();
        let (ids, ordinals): (Vec<String>, Vec<Option<u32>>) = gone
            .iter()
            .cloned()
            .zip(members.ordinals_of(&gone)?)
            .filter(|(_, ordinal)| ordinal.is_none_or(|ordinal| !wanted.contains(ordinal)))
            .unzip();
        self.take_away(&ids, &ordinals, now)
    }

    /// Removes customers who are no members, as far as the ledger has them.
    fn take_away(&mut self, ids: &[String], ordinals: &[Option<u32>], now: &mut Now<'_>) -> Fallible<()> {
        for (place, rows) in self.told.members(ids)? {
            now.note(Standing::Unsettled, ordinals[place], &ids[place]);
            for row in rows.iter().filter(|row| !row.leaving) {
                (self.remove)(row.id, &ids[place])?;
                self.found.figures.removes += 1;
            }
        }
        Ok(())
    }
}

/// What of a comparison is kept.
struct Now<'a> {
    members: &'a Evaluated,
    kept: Compared,
}

/// What takes slices of ids with their ordinals, where they have lasting ones.
type Slice<'a, 'b> = dyn FnMut(&mut Now<'b>, &[String], &[Option<u32>]) -> Fallible<()> + 'a;

impl<'b> Now<'b> {
    /// Passes on the ids of some ordinals in slices, each in the order of the ids.
    fn in_slices(&mut self, wanted: &RoaringBitmap, each: &mut Slice<'_, 'b>) -> Fallible<()> {
        let scratch = Scratch::new();
        let sealed = self.members.sealed();
        let mut left = wanted.iter();
        loop {
            pgrx::check_for_interrupts!();
            let some: RoaringBitmap = left.by_ref().take(SLICE).collect();
            if some.is_empty() {
                return Ok(());
            }
            let mut named: Vec<(String, Option<u32>)> = Vec::with_capacity(SLICE);
            self.members.named(&some, &mut |ordinal, id| {
                named.push((id.to_owned(), Some(ordinal).filter(|ordinal| *ordinal < sealed)));
            })?;
            named.sort_unstable();
            let (ids, ordinals): (Vec<String>, Vec<Option<u32>>) = named.into_iter().unzip();
            let result = scratch.run(|| each(self, &ids, &ordinals));
            scratch.clear();
            result?;
        }
    }

    fn note(&mut self, standing: Standing, ordinal: Option<u32>, id: &str) {
        match (standing, ordinal) {
            (Standing::Absent, _) => {}
            (Standing::Settled, Some(ordinal)) => drop(self.kept.settled.insert(ordinal)),
            (Standing::Unsettled, Some(ordinal)) => drop(self.kept.unsettled.insert(ordinal)),
            (Standing::Settled | Standing::Unsettled, None) => self.kept.others.push(id.to_owned()),
        }
    }

    fn unsettled(&mut self, ids: &[String]) -> Fallible<()> {
        for (ordinal, id) in self.members.ordinals_of(ids)?.into_iter().zip(ids) {
            self.note(Standing::Unsettled, ordinal, id);
        }
        Ok(())
    }
}
