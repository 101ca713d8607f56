//! The result of a comparison, kept for the next one: which members need no look as long as nothing of theirs changes.
//!
//! `sync_member` is authoritative. `sync_told` is derived from it, as ordinals of the index, and is valid under the
//! conditions that [`Compared::find`] checks. All conditions are read under the snapshot of the comparison, so whatever
//! commits between two comparisons is seen by the second one. Changes of the ledger need no entry: a run changes the rows
//! of the members that it found to send or remove, and of no others, and these are not settled.

use roaring::RoaringBitmap;

use super::store;
use crate::pg::databases::{with_owners_rights, write};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::spi::{self, Snapshot};

/// Ids of customers without an ordinal that are kept: with more, the next run compares all members.
const MOST_OTHERS: usize = 20_000;

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Compared {
    /// Members with one acknowledged row in the ledger, which is made of their current profile.
    pub(super) settled: RoaringBitmap,
    /// Other customers with a row in the ledger, or of whom the run may write one.
    pub(super) unsettled: RoaringBitmap,
    /// Those of them who have no ordinal.
    pub(super) others: Vec<String>,
}

/// The state from which a comparison was made, besides what the run knows.
#[derive(Debug)]
pub(super) struct Basis {
    /// The oldest transaction that was running.
    since: u64,
    forgets: i64,
    hash_key: Vec<u8>,
    erasures: i64,
    profile_removals: i64,
}

/// What the caller knows of a comparison.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) sync: i64,
    pub(super) again_below: i64,
    pub(super) mapping: i64,
}

/// The last comparison and its oldest running transaction, or why there is none to build on.
pub(super) type Last = Result<(Compared, u64), String>;

/// Whether the extension's objects know this table: those of 0.1.0 do not.
pub(super) fn is_known() -> Fallible<bool> {
    let sql = "SELECT to_regclass('kursaha_cohort.sync_told') IS NOT NULL";
    spi::one(Snapshot::Callers, sql, &[], |row| row.need(1))
}

impl Compared {
    /// The last comparison of a sync, if it is valid under the active snapshot, and the basis of the next.
    pub(super) fn find(given: Given) -> Fallible<(Last, Basis)> {
        let Given { sync, again_below, mapping } = given;
        with_owners_rights(|| {
            spi::one(
                Snapshot::Callers,
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text, s.forgets, i.hash_key, i.erasures, i.profile_removals, \
                     CASE WHEN t.sync_id IS NULL THEN 'the results of the last run are not known' \
                         WHEN t.home <> $2 OR t.hash_key <> i.hash_key OR t.erasures <> i.erasures \
                             THEN 'the index assigned ordinals again' \
                         WHEN t.again_below <> $3 THEN 'all members are sent again' \
                         WHEN t.mapping <> $4 THEN 'the mapping of profiles changed' \
                         WHEN t.forgets <> s.forgets THEN 'customers were erased' \
                         WHEN t.profile_removals <> i.profile_removals THEN 'deleted profiles were sealed' \
                         WHEN EXISTS (SELECT FROM kursaha_cohort.sync_run r \
                             WHERE r.sync_id = s.sync_id AND r.run_id >= t.run_id AND r.snapshot_at IS NOT NULL \
                               AND (r.run_id, r.snapshot_at) IS DISTINCT FROM (t.run_id, t.snapshot_at)) \
                             THEN 'the results of the last run are not known' END, \
                     t.since::text, t.settled, t.unsettled, t.others, t.checksum \
                 FROM kursaha_cohort.sync s CROSS JOIN kursaha_cohort.index_state i \
                 LEFT JOIN kursaha_cohort.sync_told t ON t.sync_id = s.sync_id WHERE s.sync_id = $1",
                &[sync.into(), store::home().into(), again_below.into(), mapping.into()],
                |row| {
                    let basis = Basis {
                        since: stamp(&row.need::<String>(1)?)?,
                        forgets: row.need(2)?,
                        hash_key: row.need(3)?,
                        erasures: row.need(4)?,
                        profile_removals: row.need(5)?,
                    };
                    if let Some(why) = row.get::<String>(6) {
                        return Ok((Err(why), basis));
                    }
                    let since = stamp(&row.need::<String>(7)?)?;
                    let (settled, unsettled): (Vec<u8>, Vec<u8>) = (row.need(8)?, row.need(9)?);
                    let others: Vec<String> = row.need(10)?;
                    // What else the checksum covers equals what was just compared.
                    let at_start = Basis { since, ..basis };
                    let sum = checksum(given, &at_start, [&settled, &unsettled], &others);
                    let basis = Basis { since: stamp(&row.need::<String>(1)?)?, ..at_start };
                    let read = |bytes: &[u8]| RoaringBitmap::deserialize_from(bytes).ok();
                    let last = match (read(&settled), read(&unsettled)) {
                        (Some(settled), Some(unsettled)) if i64::from(sum) == row.need::<i64>(11)? => {
                            Ok((Self { settled, unsettled, others }, since))
                        }
                        _ => Err("the stored results of the last run are damaged".to_owned()),
                    };
                    Ok((last, basis))
                },
            )
        })
    }

    /// Keeps it as that of a run, in a transaction before the run changes the ledger. `at`: when it was made, microseconds
    /// since 1970.
    pub(super) fn keep(&self, given: Given, basis: &Basis, run: i64, at: i64) -> Fallible<()> {
        if self.others.len() > MOST_OTHERS {
            return drop_of(given.sync);
        }
        let (settled, unsettled) = (bytes(&self.settled)?, bytes(&self.unsettled)?);
        let sum = i64::from(checksum(given, basis, [&settled, &unsettled], &self.others));
        // A bitmap that did not change is not written again.
        write(
            "INSERT INTO kursaha_cohort.sync_told AS t (sync_id, run_id, snapshot_at, since, home, again_below, mapping, \
                 forgets, hash_key, erasures, profile_removals, settled, unsettled, others, checksum) \
             VALUES ($1, $2, to_timestamp($3 / 1000000.0), ($4::text)::xid8, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (sync_id) DO UPDATE SET run_id = excluded.run_id, snapshot_at = excluded.snapshot_at, \
                 since = excluded.since, home = excluded.home, again_below = excluded.again_below, mapping = excluded.mapping, \
                 forgets = excluded.forgets, hash_key = excluded.hash_key, erasures = excluded.erasures, \
                 profile_removals = excluded.profile_removals, others = excluded.others, checksum = excluded.checksum, \
                 settled = CASE WHEN t.settled = excluded.settled THEN t.settled ELSE excluded.settled END, \
                 unsettled = CASE WHEN t.unsettled = excluded.unsettled THEN t.unsettled ELSE excluded.unsettled END",
            &[
                given.sync.into(),
                run.into(),
                at.into(),
                basis.since.to_string().into(),
                store::home().into(),
                given.again_below.into(),
                given.mapping.into(),
                basis.forgets.into(),
                basis.hash_key.clone().into(),
                basis.erasures.into(),
                basis.profile_removals.into(),
                settled.into(),
                unsettled.into(),
                self.others.clone().into(),
                sum.into(),
            ],
        )?;
        Ok(())
    }
}

/// Drops what is kept of a sync: the next run compares all members.
pub(super) fn drop_of(sync: i64) -> Fallible<()> {
    write("DELETE FROM kursaha_cohort.sync_told WHERE sync_id = $1", &[sync.into()])?;
    Ok(())
}

fn stamp(text: &str) -> Fallible<u64> {
    text.parse()
        .map_err(|_| failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("\"{text}\" is not the id of a transaction")))
}

fn bytes(ordinals: &RoaringBitmap) -> Fallible<Vec<u8>> {
    let mut ordinals = ordinals.clone();
    ordinals.optimize();
    let mut bytes = Vec::with_capacity(ordinals.serialized_size());
    ordinals
        .serialize_into(&mut bytes)
        .map_err(|error| failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("could not serialize a bitmap: {error}")))?;
    Ok(bytes)
}

fn checksum(given: Given, basis: &Basis, bitmaps: [&[u8]; 2], others: &[String]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    let numbers = [given.sync, given.again_below, given.mapping, basis.forgets, basis.erasures, basis.profile_removals];
    for number in numbers {
        sum.update(&number.to_le_bytes());
    }
    sum.update(&basis.since.to_le_bytes());
    sum.update(&basis.hash_key);
    for part in bitmaps.into_iter().chain(others.iter().map(String::as_bytes)) {
        sum.update(&(part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize()
}
