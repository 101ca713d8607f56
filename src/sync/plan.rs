//! What a run has to do: the members of the cohort, as one snapshot has them, against what the destination was told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use cohort_core::destination::{self, Destination, Keeps, Skip};
use cohort_core::sync::{Figures, guard};
use cohort_core::text;
use pgrx::PgLogLevel;
use pgrx::pg_sys::panic::ErrorReport;
use roaring::RoaringTreemap;
use serde_json::{Map, Value};

use super::audience::Audience;
use super::store::Place;
use crate::pg::answer;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Fallible, SqlState};
use crate::pg::extension;
use crate::pg::index::Scratch;
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};

/// Members that are looked at together.
///
/// What is known of them is looked up one by one in an index (`LATERAL … OFFSET 0`): a join would read a large table from
/// end to end for each slice.
const SLICE: usize = 16_384;

/// The reason under which members that are suppressed are counted.
pub(super) const SUPPRESSED: &str = "suppressed";

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
    pub(super) fn of(number: i64) -> Self {
        match number {
            0 => Self::New,
            1 => Self::Again,
            _ => Self::Look,
        }
    }
}

/// What is known about a sync before its members are compared.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    /// The sync; none for a pair without one.
    pub(super) sync: Option<i64>,
    /// Members whose batch lies below are sent again.
    pub(super) again_below: i64,
    /// Whether every profile is looked at, changed or not.
    pub(super) look: bool,
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

/// What takes slices of members to be sent.
pub(super) type Sink<'a> = dyn FnMut(&[(Kind, &str)]) -> Fallible<()> + 'a;

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
    let told = Told::open(facts)?;
    let looks = destination.wants_profile() && destination.keeps() != Keeps::Nothing;
    let mut found = Found::default();
    let mut seen = RoaringTreemap::new();
    let size = answer::in_slices(&audience.question, SLICE, &mut |ids| {
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
            for (place, stamp) in stamps(ids, &used)? {
                if used.get(&place).is_some_and(|source| *source != stamp) {
                    kinds[place] = Some(Kind::Look);
                }
            }
        }
        let slice: Vec<(Kind, &str)> =
            kinds.iter().zip(ids).filter_map(|(kind, id)| Some(((*kind)?, id.as_str()))).collect();
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

/// What the destination was told.
struct Told {
    sync: Option<i64>,
    /// Batches without an answer.
    open: HashSet<i64>,
    any: bool,
    any_rejected: bool,
}

struct Member {
    id: i64,
    batch: i64,
    source: Option<i64>,
    leaving: bool,
}

impl Told {
    fn open(facts: Facts) -> Fallible<Self> {
        let Some(sync) = facts.sync else {
            return Ok(Self { sync: None, open: HashSet::new(), any: false, any_rejected: false });
        };
        with_owners_rights(|| {
            let open = spi::run(
                Snapshot::Callers,
                "SELECT batch_id FROM kursaha_cohort.sync_batch WHERE sync_id = $1",
                &[sync.into()],
                |row| row.need::<i64>(1),
            )?;
            let (any, any_rejected) = spi::one(
                Snapshot::Callers,
                "SELECT EXISTS (SELECT FROM kursaha_cohort.sync_member WHERE sync_id = $1), \
                     EXISTS (SELECT FROM kursaha_cohort.sync_rejected WHERE sync_id = $1)",
                &[sync.into()],
                |row| Ok((row.need(1)?, row.need(2)?)),
            )?;
            Ok(Self { sync: Some(sync), open: open.into_iter().collect(), any, any_rejected })
        })
    }

    /// What was told about some customers, by their places.
    fn members(&self, ids: &[String]) -> Fallible<HashMap<usize, Vec<Member>>> {
        let mut found: HashMap<usize, Vec<Member>> = HashMap::new();
        let Some(sync) = self.sync.filter(|_| self.any) else { return Ok(found) };
        with_owners_rights(|| {
            spi::each(
                Snapshot::Callers,
                "SELECT u.place::int - 1, m.member_id, m.batch_id, m.source, m.leaving \
                 FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
                 CROSS JOIN LATERAL (SELECT s.member_id, s.batch_id, s.source, s.leaving FROM kursaha_cohort.sync_member s \
                     WHERE s.sync_id = $2 AND s.customer_id = u.customer_id OFFSET 0) m",
                &[ids.to_vec().into(), sync.into()],
                |row| {
                    let member =
                        Member { id: row.need(2)?, batch: row.need(3)?, source: row.get(4), leaving: row.need(5)? };
                    found.entry(place(row)?).or_default().push(member);
                    Ok(())
                },
            )
        })?;
        Ok(found)
    }

    /// Which of some customers the destination refused, with the stamp of the profile that it refused and the batch.
    fn rejected(&self, ids: &[String]) -> Fallible<Vec<(usize, Option<i64>, i64)>> {
        let Some(sync) = self.sync.filter(|_| self.any_rejected) else { return Ok(Vec::new()) };
        with_owners_rights(|| {
            spi::run(
                Snapshot::Callers,
                "SELECT u.place::int - 1, r.source, r.batch_id FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
                 CROSS JOIN LATERAL (SELECT j.source, j.batch_id FROM kursaha_cohort.sync_rejected j \
                     WHERE j.sync_id = $2 AND j.customer_id = u.customer_id OFFSET 0) r",
                &[ids.to_vec().into(), sync.into()],
                |row| Ok((place(row)?, row.get(2), row.need(3)?)),
            )
        })
    }

    /// How many the destination was told to have.
    fn present(&self) -> Fallible<u64> {
        let Some(sync) = self.sync.filter(|_| self.any) else { return Ok(0) };
        let count = with_owners_rights(|| {
            spi::one(
                Snapshot::Callers,
                "SELECT count(*) FROM kursaha_cohort.sync_member WHERE sync_id = $1 AND NOT leaving",
                &[sync.into()],
                |row| row.need::<i64>(1),
            )
        })?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Calls `each` with the members of the ledger that were not seen. Returns their number.
    fn others(&self, seen: &RoaringTreemap, each: &mut dyn FnMut(i64, &str) -> Fallible<()>) -> Fallible<u64> {
        const PAGE: usize = 20_000;
        let Some(sync) = self.sync else { return Ok(0) };
        let scratch = Scratch::new();
        let mut last = (String::new(), 0_i64);
        let mut count = 0;
        loop {
            pgrx::check_for_interrupts!();
            let rows = scratch.run(|| page(Snapshot::Callers, sync, &last, PAGE))?;
            scratch.clear();
            let Some(end) = rows.last().cloned() else { return Ok(count) };
            for (customer, member) in &rows {
                let number = u64::try_from(*member).unwrap_or(0);
                if !seen.contains(number) {
                    each(*member, customer)?;
                    count += 1;
                }
            }
            last = end;
        }
    }
}

/// The next of the members that stay, after a customer and a member's number, in that order.
pub(super) fn page(snapshot: Snapshot, sync: i64, after: &(String, i64), most: usize) -> Fallible<Vec<(String, i64)>> {
    with_owners_rights(|| {
        spi::run(
            snapshot,
            "SELECT customer_id, member_id FROM kursaha_cohort.sync_member \
             WHERE sync_id = $1 AND (customer_id, member_id) > ($2, $3) AND NOT leaving \
             ORDER BY customer_id, member_id LIMIT $4",
            &[sync.into(), after.0.as_str().into(), after.1.into(), i64::try_from(most).unwrap_or(1).into()],
            |row| Ok((row.need(1)?, row.need(2)?)),
        )
    })
}

fn place(row: &spi::Row) -> Fallible<usize> {
    Ok(usize::try_from(row.need::<i32>(1)?).unwrap_or(0))
}

/// The stamps of the profiles of those customers for whom it matters; of those without one, none.
fn stamps(ids: &[String], wanted: &HashMap<usize, Option<i64>>) -> Fallible<Vec<(usize, Option<i64>)>> {
    let mut places: Vec<usize> = wanted.keys().copied().collect();
    places.sort_unstable();
    let asked: Vec<String> = places.iter().map(|place| ids[*place].clone()).collect();
    let schema = extension::served_schema()?;
    spi::run(
        Snapshot::Callers,
        &format!(
            "SELECT u.place::int - 1, (SELECT c.stamp FROM {schema}.cohort_customer c WHERE c.customer_id = u.customer_id) \
             FROM unnest($1) WITH ORDINALITY u (customer_id, place)"
        ),
        &[asked.into()],
        |row| Ok((places[place(row)?], row.get::<i64>(2))),
    )
}

/// A customer's profile, and its stamp.
pub(super) type Profile = (Option<Map<String, Value>>, Option<i64>);

/// The profiles of some customers, in their order, read with the current user's rights; none where the destination wants
/// none.
pub(super) fn profiles(snapshot: Snapshot, destination: &dyn Destination, ids: &[&str]) -> Fallible<Vec<Profile>> {
    if !destination.wants_profile() {
        return Ok(vec![(None, None); ids.len()]);
    }
    let schema = extension::served_schema()?;
    let asked: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut found: Vec<Profile> = vec![(None, None); ids.len()];
    spi::each(
        snapshot,
        &format!(
            "SELECT u.place::int - 1, c.stamp, c.profile FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
             CROSS JOIN LATERAL (SELECT p.stamp, p.profile FROM {schema}.cohort_customer p \
                 WHERE p.customer_id = u.customer_id OFFSET 0) c"
        ),
        &[asked.into()],
        |row| {
            let profile = row.get::<Jsonb>(3).and_then(|text| match serde_json::from_str(&text.0) {
                Ok(Value::Object(profile)) => Some(profile),
                // Not an object, or nested beyond what anyone renders: every property is missing.
                _ => None,
            });
            found[place(row)?] = (profile, row.get(2));
            Ok(())
        },
    )?;
    Ok(found)
}

/// What a run would do.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    pub(crate) adds: u64,
    pub(crate) removes: u64,
    pub(crate) unchanged: u64,
    /// By reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Why it would be held.
    pub(crate) held: Option<String>,
}

/// What a run would do now, with the current user's rights.
pub(crate) fn preview(cohort: &str, place: &Place, sync: Option<i64>) -> Fallible<Preview> {
    let destination = place.open()?;
    let facts = match sync {
        None => Facts::default(),
        Some(sync) => with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT s.again_below, s.mapping IS DISTINCT FROM $2 FROM kursaha_cohort.sync s WHERE s.sync_id = $1",
                &[sync.into(), destination.fingerprint().into()],
                |row| Ok(Facts { sync: Some(sync), again_below: row.need(1)?, look: row.need(2)? }),
            )
        })?,
    };
    let mut preview = Preview::default();
    let mut looked = Looked::new(&*destination);
    let mut same = 0;
    let found = spi::with_snapshot(|| {
        compare(
            cohort,
            place,
            &*destination,
            facts,
            &mut |slice| {
                let ids: Vec<&str> = slice.iter().map(|(_, id)| *id).collect();
                let profiles = profiles(Snapshot::Callers, &*destination, &ids)?;
                let had = match sync {
                    Some(sync) if slice.iter().any(|(kind, _)| *kind == Kind::Look) => {
                        had(Snapshot::Callers, sync, &ids)?
                    }
                    _ => HashMap::new(),
                };
                for (index, ((kind, id), (profile, _))) in slice.iter().zip(&profiles).enumerate() {
                    looked.at(profile.as_ref());
                    match destination.render(id, profile.as_ref()) {
                        Err(Skip(reason)) => *preview.skipped.entry(reason.to_owned()).or_default() += 1,
                        Ok((identity, _)) => {
                            if *kind == Kind::Look && had.get(&index).is_some_and(|had| had.identity == identity.bytes)
                            {
                                same += 1;
                            } else {
                                preview.adds += 1;
                            }
                        }
                    }
                }
                Ok(())
            },
            &mut |_, _| Ok(()),
        )
    })?;
    looked.tell();
    preview.removes = found.figures.removes;
    preview.unchanged = found.unchanged + same;
    if found.rejected > 0 {
        preview.skipped.insert("rejected".to_owned(), found.rejected);
    }
    if found.suppressed > 0 {
        preview.skipped.insert(SUPPRESSED.to_owned(), found.suppressed);
    }
    preview.held = guard(found.figures);
    Ok(preview)
}

/// Which of the properties that a configuration names were found in the profiles that were looked at.
struct Looked {
    profiles: u64,
    missing: Vec<String>,
    /// Names of properties that are there.
    keys: BTreeSet<String>,
}

impl Looked {
    fn new(destination: &dyn Destination) -> Self {
        let missing = destination.properties().into_iter().map(str::to_owned).collect();
        Self { profiles: 0, missing, keys: BTreeSet::new() }
    }

    fn at(&mut self, profile: Option<&Map<String, Value>>) {
        const MOST_KEYS: usize = 1_000;
        let Some(profile) = profile else { return };
        self.profiles += 1;
        if self.missing.is_empty() {
            return;
        }
        self.missing.retain(|path| !destination::has_property(profile, path));
        for key in profile.keys().take(MOST_KEYS - self.keys.len().min(MOST_KEYS)) {
            if !self.keys.contains(key) {
                self.keys.insert(key.clone());
            }
        }
    }

    /// Says which properties nobody has.
    fn tell(&self) {
        if self.profiles == 0 {
            return;
        }
        for path in &self.missing {
            let message =
                format!("none of the {} profiles that were looked at has the property \"{path}\"", self.profiles);
            let report = ErrorReport::new(SqlState::ERRCODE_WARNING, message, "cohort_sync_preview");
            let hint = match text::nearest(path, self.keys.iter().map(String::as_str)) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => "Correct mapping or include with cohort_destination_update.".to_owned(),
            };
            report.set_hint(hint).report(PgLogLevel::NOTICE);
        }
    }
}

/// What was there of a customer before.
pub(super) struct Had {
    pub(super) member: i64,
    pub(super) identity: Vec<u8>,
    pub(super) leaving: bool,
    pub(super) entered_at: i64,
}

/// What the destination was told about some customers, by their places: of each the row that stays, else the last one
/// that leaves.
pub(super) fn had(snapshot: Snapshot, sync: i64, ids: &[&str]) -> Fallible<HashMap<usize, Had>> {
    let asked: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut found: HashMap<usize, Had> = HashMap::new();
    with_owners_rights(|| {
        spi::each(
            snapshot,
            "SELECT u.place::int - 1, m.member_id, m.identity, m.leaving, (extract(epoch FROM m.entered_at) * 1000000)::bigint \
             FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
             CROSS JOIN LATERAL (SELECT s.member_id, s.identity, s.leaving, s.entered_at FROM kursaha_cohort.sync_member s \
                 WHERE s.sync_id = $2 AND s.customer_id = u.customer_id OFFSET 0) m",
            &[asked.into(), sync.into()],
            |row| {
                let place = place(row)?;
                let next = Had {
                    member: row.need(2)?,
                    identity: row.need(3)?,
                    leaving: row.need(4)?,
                    entered_at: row.need(5)?,
                };
                // Who stays before who leaves, and the latest of those.
                if found.get(&place).is_none_or(|had| (!had.leaving, had.member) < (!next.leaving, next.member)) {
                    found.insert(place, next);
                }
                Ok(())
            },
        )
    })?;
    Ok(found)
}
