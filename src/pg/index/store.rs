//! The tables of the index: all SQL statements that change them, as typed functions.

use cohort_core::segment::{Corrupt, Key};
use pgrx::pg_sys;
use roaring::RoaringBitmap;

use super::scan::{Xid, Xid8};
use super::{damaged, sum};
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::spi::{self, Row, Snapshot};

/// The row of `index_state`.
pub(super) struct State {
    /// Rows with a lower stamp are in segments, all others in the tail.
    pub(super) watermark: u64,
    /// Number of assigned ordinals.
    pub(super) customers: u32,
    /// The key of the customer hashes.
    pub(super) key: Key,
    /// Whether events or profiles were ever removed.
    pub(super) removed: bool,
    /// Number of sealings that erased customers.
    pub(super) erasures: i64,
    /// The stored checksum of the state and of the segments.
    pub(super) sum: i32,
    /// Whether the current transaction changed it and can still roll it back.
    pub(super) own: bool,
}

impl State {
    fn read(row: &Row) -> Fallible<Self> {
        let key: Vec<u8> = row.need(3)?;
        Ok(Self {
            watermark: row.need::<Xid8>(1)?.0,
            customers: ordinals(row.need(2)?)?,
            key: key.try_into().map_err(|_| damaged(Corrupt::new("its key is not 16 bytes long")))?,
            removed: row.need(4)?,
            erasures: row.need(6)?,
            sum: row.need(7)?,
            // A savepoint has an id of its own, which this asks about too.
            // SAFETY: looks at the current transaction's state.
            own: unsafe { pg_sys::TransactionIdIsCurrentTransactionId(row.need::<Xid>(5)?.0) },
        })
    }
}

/// The number of assigned ordinals.
pub(super) fn ordinals(stored: i64) -> Fallible<u32> {
    u32::try_from(stored).map_err(|_| damaged(Corrupt::new("there are more customers than ordinals")))
}

const STATE: &str = "watermark, customers, hash_key, removed, xmin, erasures, sum";

/// Locks the state's row for this transaction, which serializes sealing, merging and clearing. A snapshot older than
/// the last change gets SQLSTATE 40001.
pub(super) fn lock_state() -> Fallible<State> {
    let sql = format!("UPDATE kursaha_cohort.index_state SET changes = changes + 1 RETURNING {STATE}");
    spi::one(Snapshot::Fresh, &sql, &[], State::read)
}

/// Writes the state back.
pub(super) fn set_state(state: &State) -> Fallible<()> {
    spi::touch(
        "UPDATE kursaha_cohort.index_state SET watermark = $1, customers = $2, removed = $3, sealed_at = pg_catalog.clock_timestamp()",
        &[Xid8(state.watermark).into(), i64::from(state.customers).into(), state.removed.into()],
    )?;
    Ok(())
}

/// Empties the index: all ordinals are assigned again, under a new key.
pub(super) fn reset() -> Fallible<State> {
    spi::touch("INSERT INTO kursaha_cohort.index_state DEFAULT VALUES ON CONFLICT (only_row) DO NOTHING", &[])?;
    let sql = format!(
        "UPDATE kursaha_cohort.index_state SET changes = changes + 1, watermark = '0', customers = 0, removed = false, \
         hash_key = pg_catalog.uuid_send(pg_catalog.gen_random_uuid()) RETURNING {STATE}"
    );
    let state = spi::one(Snapshot::Fresh, &sql, &[], State::read)?;
    for table in ["segment_dead", "segment_page", "segment"] {
        spi::touch(&format!("DELETE FROM kursaha_cohort.{table}"), &[])?;
    }
    Ok(state)
}

/// The kind of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    Profiles,
    Customers,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Profiles => "profiles",
            Self::Customers => "customers",
        }
    }

    pub(super) fn of(name: &str) -> Fallible<Self> {
        let all = [Self::Events, Self::Profiles, Self::Customers];
        let found = all.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| damaged(Corrupt::new(format!("there are no segments of {name}"))))
    }
}

/// One segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) id: i64,
    pub(super) kind: Kind,
    /// Newer segments have higher positions.
    pub(super) position: i64,
    /// The range of stamps of its rows; the upper bound is exclusive.
    pub(super) stamps: (u64, u64),
    pub(super) rows: i64,
    pub(super) dead: i64,
    pub(super) bytes: i64,
    /// The earliest and the latest time of its events, if known.
    pub(super) times: Option<(i64, i64)>,
}

impl Segment {
    /// Whether it can have events in a window; `None` is all time.
    pub(super) fn reaches_into(&self, window: Option<(i64, i64)>) -> bool {
        match (window, self.times) {
            (Some(window), Some(times)) => times.0 <= window.1 && times.1 >= window.0,
            _ => true,
        }
    }
}

/// Adds a segment. `position` is that of a segment that it replaces, or a new position.
pub(super) fn add_segment(
    kind: Kind,
    position: Option<i64>,
    stamps: (u64, u64),
    rows: u64,
    times: Option<(i64, i64)>,
    bytes: &[u8],
) -> Fallible<i64> {
    let id: i64 = spi::one(
        Snapshot::Fresh,
        "INSERT INTO kursaha_cohort.segment (segment_id, kind, position, stamp_from, stamp_to, rows, bytes, first_at, last_at) \
         SELECT n.id, $1, coalesce($2, n.id), $3, $4, $5, $6, $7, $8 \
         FROM (SELECT pg_catalog.nextval('kursaha_cohort.segment_id')) AS n (id) RETURNING segment_id",
        &[
            kind.name().into(),
            position.into(),
            Xid8(stamps.0).into(),
            Xid8(stamps.1).into(),
            rows.cast_signed().into(),
            (bytes.len() as u64).cast_signed().into(),
            times.map(|(first, _)| time(first)).transpose()?.into(),
            times.map(|(_, last)| time(last)).transpose()?.into(),
        ],
        |row| row.need(1),
    )?;
    super::pages::store(id, bytes)?;
    Ok(id)
}

/// The time of an event, converted for a column.
fn time(at: i64) -> Fallible<pgrx::prelude::TimestampWithTimeZone> {
    at.try_into().map_err(|_| failure(SqlState::ERRCODE_DATETIME_FIELD_OVERFLOW, "an event's time is out of range"))
}

/// Deletes segments with their pages and dead rows.
pub(super) fn remove_segments(ids: &[i64]) -> Fallible<()> {
    for table in ["segment_dead", "segment_page", "segment"] {
        let sql = format!("DELETE FROM kursaha_cohort.{table} WHERE segment_id = ANY ($1)");
        spi::touch(&sql, &[ids.to_vec().into()])?;
    }
    Ok(())
}

/// Deletes all segments of a kind and the removal log of its rows. With `all`, rows of every stamp belong to the tail
/// afterwards.
pub(super) fn clear(kind: Kind, all: bool) -> Fallible<()> {
    // The state first: a snapshot older than the last sealing would not see all segments, and is refused here.
    spi::touch(
        "UPDATE kursaha_cohort.index_state SET changes = changes + 1, removed = true, \
         watermark = CASE WHEN $1 THEN '0' ELSE watermark END",
        &[all.into()],
    )?;
    let of_kind = "SELECT segment_id FROM kursaha_cohort.segment WHERE kind = $1";
    let ids: Vec<i64> = spi::run(Snapshot::Fresh, of_kind, &[kind.name().into()], |row| row.need(1))?;
    remove_segments(&ids)?;
    let log = if kind == Kind::Profiles { "customer_removed" } else { "event_removed" };
    spi::touch(&format!("DELETE FROM kursaha_cohort.{log}"), &[])?;
    if kind == Kind::Profiles { count_removed_profiles() } else { Ok(()) }
}

/// Notes that entries of the log of removed profiles are gone: who knows the profiles as of an earlier snapshot cannot find
/// in the log which of them were removed since. The objects of 0.1.0 have nobody who does.
fn count_removed_profiles() -> Fallible<()> {
    let is_known = "SELECT pg_catalog.to_regclass('kursaha_cohort.sync_told') IS NOT NULL";
    if spi::one(Snapshot::Fresh, is_known, &[], |row| row.need(1))? {
        spi::touch("UPDATE kursaha_cohort.index_state SET profile_removals = profile_removals + 1", &[])?;
    }
    Ok(())
}

/// The dead rows of segments: segment, event type and rows.
pub(super) fn dead_rows(snapshot: Snapshot) -> Fallible<Vec<(i64, String, RoaringBitmap)>> {
    with_owners_rights(|| {
        spi::run(snapshot, "SELECT segment_id, event_type, rows FROM kursaha_cohort.segment_dead", &[], |row| {
            let (segment, event_type, stored): (i64, String, Vec<u8>) = (row.need(1)?, row.need(2)?, row.need(3)?);
            let rows = sum::open_dead(segment, &event_type, &stored)?;
            Ok((segment, event_type, rows))
        })
    })
}

/// Sets the dead rows of a group of a segment.
pub(super) fn set_dead_rows(segment: i64, event_type: &str, rows: &RoaringBitmap, more: u64) -> Fallible<()> {
    let mut bytes = Vec::new();
    rows.serialize_into(&mut bytes)
        .map_err(|error| failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("could not serialize a bitmap: {error}")))?;
    spi::touch(
        "INSERT INTO kursaha_cohort.segment_dead (segment_id, event_type, rows) VALUES ($1, $2, $3) \
         ON CONFLICT (segment_id, event_type) DO UPDATE SET rows = excluded.rows",
        &[segment.into(), event_type.into(), sum::seal_dead(segment, event_type, &bytes).into()],
    )?;
    spi::touch(
        "UPDATE kursaha_cohort.segment SET dead = dead + $2 WHERE segment_id = $1",
        &[segment.into(), i64::try_from(more).unwrap_or(i64::MAX).into()],
    )?;
    Ok(())
}

/// An entry of the log of removed events.
pub(super) struct Removals {
    /// Drawn at random.
    pub(super) id: i64,
    pub(super) event_type: String,
    /// The removed rows, in the format of `cohort_core::segment::removals`, if requested.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Every entry of a log in the active snapshot: tuple id and content.
fn log<T>(sql: &str, mut read: impl FnMut(&Row) -> Fallible<T>) -> Fallible<Log<T>> {
    let entries = spi::run(Snapshot::Callers, sql, &[], |row| Ok((row.need::<String>(1)?, read(row)?)))?;
    Ok(entries.into_iter().unzip())
}

/// The entries of a log: tuple ids and contents.
pub(super) type Log<T> = (Vec<String>, Vec<T>);

/// The log of removed profiles.
pub(super) fn removed_profiles_log() -> Fallible<Log<String>> {
    log("SELECT ctid::text, customer_id FROM kursaha_cohort.customer_removed", |row| row.need(2))
}

/// Deletes the given entries of both logs. Entries that are newer than the snapshot that read them are kept.
pub(super) fn forget_removed(events: Vec<i64>, profiles: Vec<String>) -> Fallible<()> {
    if !events.is_empty() {
        spi::touch("DELETE FROM kursaha_cohort.event_removed WHERE removal_id = ANY ($1)", &[events.into()])?;
    }
    if !profiles.is_empty() {
        spi::touch("DELETE FROM kursaha_cohort.customer_removed WHERE ctid = ANY ($1::tid[])", &[profiles.into()])?;
        count_removed_profiles()?;
    }
    Ok(())
}

/// The oldest running transaction of the active snapshot.
pub(super) fn snapshot_xmin() -> Fallible<u64> {
    let sql = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())";
    spi::one(Snapshot::Callers, sql, &[], |row| row.need::<Xid8>(1)).map(|xid| xid.0)
}

/// Forgotten customers: tuple id of the entry, and customer id.
pub(super) fn forgotten() -> Fallible<Log<String>> {
    log("SELECT ctid::text, customer_id FROM kursaha_cohort.forgotten", |row| row.need(2))
}

/// Deletes entries of forgotten customers, and counts the erasure, which invalidates cached ordinals.
pub(super) fn forget_forgotten(entries: Vec<String>) -> Fallible<()> {
    spi::touch("DELETE FROM kursaha_cohort.forgotten WHERE ctid = ANY ($1::tid[])", &[entries.into()])?;
    spi::touch("UPDATE kursaha_cohort.index_state SET erasures = erasures + 1", &[]).map(drop)
}

/// Number of rows in the removal log.
pub(super) fn removed_count() -> Fallible<usize> {
    let count: i64 = spi::one(
        Snapshot::Callers,
        "SELECT (SELECT coalesce(sum(entries), 0) FROM kursaha_cohort.event_removed)::bigint \
         + (SELECT count(*) FROM kursaha_cohort.customer_removed)",
        &[],
        |row| row.need(1),
    )?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Whether a customer is on a fixed list.
pub(super) fn on_list(cohort: i64, customer: &str) -> Fallible<bool> {
    spi::one(
        Snapshot::Callers,
        "SELECT EXISTS (SELECT 1 FROM kursaha_cohort.readable_list_member \
         WHERE cohort_id = $1 AND customer_id = $2 AND from_id <= $2 AND last_id >= $2)",
        &[cohort.into(), customer.into()],
        |row| row.need(1),
    )
}
