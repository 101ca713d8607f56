//! Sealing: writes the tail into segments.
//!
//! Let S be the snapshot and X its oldest running transaction. The transaction of every row with a stamp below X has ended,
//! so the row is visible to S or dead. In one transaction, the visible rows from the old watermark to X are written into
//! segments, and X becomes the watermark. Log entries that S sees refer to rows of older segments: they are applied to these
//! and deleted. Later log entries refer to rows that S saw, and are kept for the next sealing.

use std::rc::Rc;

use cohort_core::segment::{CustomersBuilder, Header};
use pgrx::pg_sys;

use super::direct;
use super::directory::{ByHash, Directory};
use super::events::{self, Customers, Intake, Wanted};
use super::pages::{PageStream, Pages};
use super::removed::{Buried, bury, dead_by_segment};
use super::scan::must_read;
use super::store::{self, Kind, State};
use super::{Damaged, cache, damaged, interrupts, lists, merge, shape, sum, tables, unwritable};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::progress::{Phase, Progress};
use crate::pg::settings;
use crate::pg::spi;

/// The result of a sealing.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sealed {
    /// Number of events written to segments.
    pub(crate) events: u64,
    /// Number of profiles written to segments.
    pub(crate) profiles: u64,
    /// Number of removed events and profiles.
    pub(crate) removed: u64,
    /// Number of segments after it.
    pub(crate) segments: u64,
}

/// Empties the index and seals all rows.
pub(crate) fn reindex() -> Fallible<Sealed> {
    lock_tables()?;
    let state = store::reset()?;
    shape::must_be_sound(&tables()?)?;
    let sealed = with_merges(seal_locked(state)?)?;
    sum::write()?;
    Ok(sealed)
}

/// Changes the index: verifies its checksum first, and sets the new checksum afterwards.
fn changing<T>(change: impl FnOnce(State) -> Fallible<T>) -> Fallible<T> {
    lock_tables()?;
    let state = lock_state()?;
    let segments = all_segments()?;
    sum::compare(&state, &segments)?;
    let done = change(state)?;
    sum::write()?;
    Ok(done)
}

/// Seals all rows that can be sealed, and merges.
pub(crate) fn seal() -> Fallible<Sealed> {
    changing(|state| with_merges(seal_locked(state)?))
}

/// Seals all rows that can be sealed.
pub(crate) fn seal_only() -> Fallible<()> {
    changing(|state| seal_locked(state).map(drop))
}

/// Merges once, if there are segments to merge, and returns whether it did.
pub(crate) fn merge_next() -> Fallible<bool> {
    // Taken only when there is something to do: an idle server's row is left alone.
    if !merge::is_due()? {
        return Ok(false);
    }
    changing(|state| merge::next(&state))
}

/// The segments, including changes of this transaction.
fn all_segments() -> Fallible<Vec<store::Segment>> {
    let internals = tables()?.internals;
    spi::with_snapshot(|| direct::segments(internals))
}

fn with_merges((mut sealed, state): (Sealed, State)) -> Fallible<Sealed> {
    while merge::next(&state)? {}
    sealed.segments = all_segments()?.len() as u64;
    Ok(sealed)
}

/// Number of rows of the tail that can be sealed. Counting ends at a limit.
pub(crate) fn pending(most: usize) -> Fallible<usize> {
    spi::with_snapshot(|| {
        let tables = tables()?;
        if shape::defect(&tables)?.is_some() {
            return Ok(0);
        }
        let state = direct::state(tables.internals)?;
        let tail = (state.watermark, store::snapshot_xmin()?);
        let rows = events::count(&tables, tail, most)?;
        let removed = if rows < most { store::removed_count()? } else { 0 };
        Ok(rows + removed)
    })
}

/// Whether rows wait for the end of a transaction before they can be sealed, or a prepared transaction may have written
/// rows.
pub(crate) fn waits() -> Fallible<bool> {
    spi::with_snapshot(|| {
        let tables = tables()?;
        if events::count(&tables, (store::snapshot_xmin()?, u64::MAX), 1)? > 0 {
            return Ok(true);
        }
        spi::one(
            spi::Snapshot::Callers,
            "SELECT EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts p WHERE p.database = pg_catalog.current_database())",
            &[],
            |row| row.need(1),
        )
    })
}

/// Locks are taken in the order in which TRUNCATE takes them: the tables first, then the index's state.
fn lock_tables() -> Fallible<()> {
    let tables = tables()?;
    for (oid, name) in tables.public() {
        must_read(oid, name)?;
        // SAFETY: inside a transaction; the lock is kept until it ends.
        unsafe { pg_sys::LockRelationOid(oid, pg_sys::AccessShareLock.cast_signed()) }
    }
    Ok(())
}

/// Locks the row of `index_state` for a sealing, and then checks the tables. DDL that affects the triggers of the
/// tables locks the same row. Therefore it either commits before and is seen by the sealing, or waits for the sealing.
fn lock_state() -> Fallible<State> {
    let state = store::lock_state()?;
    shape::must_be_sound(&tables()?)?;
    Ok(state)
}

/// Deletes all segments of a kind, with the log entries of their rows. With `all`, rows of every stamp belong to the
/// tail afterwards.
pub(crate) fn clear(kind: &str, all: bool) -> Fallible<()> {
    // What was damaged before stays so until cohort_reindex().
    let whole = sum::is_right();
    store::clear(Kind::of(kind)?, all)?;
    if whole { sum::write() } else { Ok(()) }
}

fn seal_locked(mut state: State) -> Fallible<(Sealed, State)> {
    let progress = Progress::begin(Phase::Sealing);
    let mut sealed = Sealed::default();
    let forgotten = spi::with_snapshot(|| {
        let from = state.watermark;
        let to = store::snapshot_xmin()?;
        let tables = tables()?;
        let old = direct::segments(tables.internals)?;
        let pages = Pages::open(tables.internals)?;
        let mut register = Register {
            directory: Directory::open(&state, &old, &pages)?,
            new: ByHash::default(),
            builder: CustomersBuilder::new(state.customers),
            stamps: (from, to),
        };

        // What is gone from the segments that are there.
        let (profile_entries, removed_profiles) = store::removed_profiles_log()?;
        let (event_entries, removed) = bury_all(tables.internals, &old, &pages, &register.directory)?;
        sealed.removed += removed;

        // Events.
        let batch = if from == 0 { settings::segment_rows() } else { settings::seal_batch() };
        let size = settings::segment_size();
        let paths = settings::max_indexed_paths();
        let key = state.key;
        let mut events = Intake::new(paths, key).in_batches(batch);
        progress.total(if from == 0 { tables.events_about() } else { 0 });
        let mut full = |intake: &mut Intake| {
            progress.done(sealed.events + intake.len() as u64);
            if intake.len() >= batch || intake.bytes() >= size {
                sealed.events += write(intake.take(), Kind::Events, &mut register)?;
            }
            Ok(true)
        };
        if from == 0 {
            events::read_all_events(&tables, to, &mut events, &mut full)?;
        } else {
            events::read_events(&tables, (from, to), &Wanted::ALL, &mut events, &mut full)?;
        }
        sealed.events += write(events, Kind::Events, &mut register)?;

        // Profiles. Removals come first: they must not lie in a newer segment than a row of the same customer.
        let mut profiles = Intake::new(paths, key);
        let known = if from > 0 { removed_profiles } else { Vec::new() };
        let present: Vec<bool> = register.directory.find(&known)?.iter().map(Option::is_some).collect();
        let gone: Vec<String> =
            known.into_iter().zip(present).filter(|(_, present)| *present).map(|(id, _)| id).collect();
        sealed.removed += gone.len() as u64;
        state.removed |= sealed.removed > 0;
        events::remove_profiles(&gone, &mut profiles);
        let mut full = |intake: &mut Intake| {
            if intake.bytes() >= size {
                sealed.profiles += write(intake.take(), Kind::Profiles, &mut register)?;
            }
            Ok(true)
        };
        events::read_profiles(&tables, (from, to), None, &mut profiles, &mut full)?;
        sealed.profiles += write(profiles, Kind::Profiles, &mut register)?;
        register.write()?;
        state.customers = register.builder.next();
        store::forget_removed(event_entries, profile_entries)?;
        state.watermark = to;
        store::set_state(&state)?;
        forgotten(&tables)
    })?;
    drop(progress);
    erase(&state, forgotten)?;
    lists::keep_all()?;
    Ok((sealed, state))
}

/// Applies the log of removed events to the segments without sealing. Call it at READ COMMITTED.
///
/// Unsealed rows need no mark: the next sealing follows this transaction and does not see them.
pub(crate) fn fold_removals() -> Fallible<()> {
    changing(|state| {
        spi::with_snapshot(|| {
            let internals = tables()?.internals;
            let segments = direct::segments(internals)?;
            let pages = Pages::open(internals)?;
            let directory = Directory::open(&state, &segments, &pages)?;
            let (entries, removed) = bury_all(internals, &segments, &pages, &directory)?;
            store::forget_removed(entries, Vec::new())?;
            if removed > 0 {
                spi::touch("UPDATE kursaha_cohort.index_state SET removed = true", &[])?;
            }
            Ok(())
        })
    })
}

/// Marks the rows in the log as dead in the existing segments. Returns the log entries and the number of rows.
fn bury_all(
    internals: pg_sys::Oid,
    segments: &[store::Segment],
    pages: &Rc<Pages>,
    directory: &Directory,
) -> Fallible<(Vec<i64>, u64)> {
    if direct::removals(internals, None, &|_| false)?.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let mut opened = Vec::new();
    for segment in segments.iter().filter(|segment| segment.kind == Kind::Events) {
        let stream = PageStream::new(pages, segment.id);
        opened.push((segment.clone(), cache::header(&stream).in_segment(segment.id)?, stream));
    }
    let mut dead = dead_by_segment(segments)?;
    let Buried { entries, rows } = bury(internals, None, &opened, directory, &mut dead)?;
    let mut removed = 0;
    for ((segment, event_type), more) in rows {
        if let Some(rows) = dead.get(&segment).and_then(|groups| groups.get(&event_type)).filter(|_| more > 0) {
            store::set_dead_rows(segment, &event_type, rows, more)?;
            removed += more;
        }
    }
    Ok((entries, removed))
}

/// Customers to erase from all segments.
struct Forgotten {
    /// The tuple ids of their entries.
    entries: Vec<String>,
    /// The customers, and whether new rows of them exist.
    customers: Vec<(String, bool)>,
}

/// The forgotten customers in the snapshot of the sealing. Customers who are forgotten later wait for the next sealing,
/// because this one still sees their rows.
fn forgotten(tables: &events::Tables) -> Fallible<Forgotten> {
    let (entries, ids) = store::forgotten()?;
    let mut customers = Vec::new();
    for id in ids {
        // Not by a statement: policies must not hide rows that are sealed all the same.
        let back = events::are_there(tables, &id)?;
        customers.push((id, back));
    }
    Ok(Forgotten { entries, customers })
}

/// Erases forgotten customers from all segments.
fn erase(state: &State, forgotten: Forgotten) -> Fallible<()> {
    let Forgotten { entries, customers } = forgotten;
    if entries.is_empty() {
        return Ok(());
    }
    // Newer than the sealing's snapshot, to see the segments that it wrote.
    spi::with_snapshot(|| {
        let internals = tables()?.internals;
        let segments = direct::segments(internals)?;
        let directory = Directory::open(state, &segments, &Pages::open(internals)?)?;
        let ids: Vec<&str> = customers.iter().map(|(id, _)| id.as_str()).collect();
        let found = directory.find(&ids)?;
        let held = found.iter().flatten().copied().collect();
        // Who has come back keeps the ordinal, which rows have by now.
        let gone = customers.iter().zip(&found).filter(|((_, back), _)| !back).filter_map(|(_, ordinal)| *ordinal);
        merge::rewrite(state, &held, &gone.collect())?;
        store::forget_forgotten(entries)
    })
}

/// Writes an intake as a segment, and returns its number of rows.
fn write(mut intake: Intake, kind: Kind, register: &mut Register) -> Fallible<u64> {
    let rows = intake.len() as u64;
    if intake.customers.is_empty() {
        return Ok(0);
    }
    let ordinals = register.ordinals(&intake.customers)?;
    intake.builder.renumber(&ordinals);
    let bytes = intake.builder.finish_checking(&interrupts).map_err(unwritable)?;
    let times = Header::open(&bytes).map_err(damaged)?.times();
    store::add_segment(kind, None, register.stamps, rows, times, &bytes)?;
    if register.builder.bytes() >= settings::segment_size() {
        register.write()?;
    }
    Ok(rows)
}

/// Assigns ordinals to customers: the existing ones, or the next ones.
struct Register {
    directory: Directory,
    /// Ordinals that this sealing assigned.
    new: ByHash<u32>,
    /// Assigned ordinals that are not written yet.
    builder: CustomersBuilder,
    stamps: (u64, u64),
}

impl Register {
    /// Writes the customers that are not written yet.
    fn write(&mut self) -> Fallible<()> {
        /// Maximum number of ordinals: the last chunk is not used.
        const MOST: u32 = u32::MAX - 0xffff;
        if self.builder.next() > MOST {
            return Err(failure(
                SqlState::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                format!("the index cannot have more than {MOST} customers"),
            )
            .set_hint("SELECT cohort_reindex() assigns new ordinals to the remaining customers."));
        }
        if !self.builder.is_empty() {
            let builder = CustomersBuilder::new(self.builder.next());
            let builder = std::mem::replace(&mut self.builder, builder);
            let count = builder.len() as u64;
            let bytes = builder.finish_checking(&interrupts).map_err(unwritable)?;
            store::add_segment(Kind::Customers, None, self.stamps, count, None, &bytes)?;
        }
        Ok(())
    }

    fn ordinals(&mut self, customers: &Customers) -> Fallible<Vec<u32>> {
        let known = self.directory.find_hashes(&customers.hashes)?;
        Ok(customers
            .iter()
            .zip(known)
            .map(|((id, hash), known)| {
                known.unwrap_or_else(|| {
                    *self.new.entry(hash).or_insert_with(|| {
                        let ordinal = self.builder.next();
                        self.builder.push(id, hash);
                        ordinal
                    })
                })
            })
            .collect())
    }
}
