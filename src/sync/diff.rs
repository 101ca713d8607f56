//! What a run has to do: the members of the cohort, as one snapshot has them, against what the destination was told.

use std::collections::HashMap;

use cohort_core::destination::Destination;
use cohort_core::sync::Figures;
use roaring::RoaringTreemap;

use super::audience::Audience;
use super::journal::Told;
use super::profiles::stamps;
use super::store::Place;
use crate::pg::errors::Fallible;
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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Found {
    pub(super) figures: Figures,
    /// Members that are there and stay as they are.
    pub(super) unchanged: u64,
    /// Members that the destination refused, and would again.
    pub(super) rejected: u64,
    /// Members of the cohort that are left out because they are suppressed.
    pub(super) suppressed: u64,
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
    let mut found = Found::default();
    let mut seen = RoaringTreemap::new();
    let size = audience.in_slices(SLICE, destination.wants_profile(), &mut |ids, given| {
        let mut kinds: Vec<Option<Kind>> = vec![Some(Kind::New); ids.len()];
        // The stamp of the profile that was used last, where that decides.
        let mut used: HashMap<usize, Option<i64>> = HashMap::new();
        for (place, members) in told.members(ids)? {
            let Some(best) = members.iter().max_by_key(|member| (!member.leaving, member.id)) else { continue };
            seen.extend(
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
                found.rejected += 1;
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
        let others = (ids.len() - slice.len()) as u64;
        found.unchanged += others;
        found.figures.adds += slice.len() as u64;
        if slice.is_empty() { Ok(()) } else { add(&slice) }
    })?;
    found.unchanged -= found.rejected.min(found.unchanged);
    found.figures.size = size;
    found.suppressed = audience.suppressed(size)?;
    found.figures.present = told.present()?;
    if found.figures.present > seen.len() {
        found.figures.removes = told.others(&seen, remove)?;
    }
    Ok(found)
}
