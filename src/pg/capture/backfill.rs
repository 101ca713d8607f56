//! Rows older than their capture: recorded by `cohort_backfill`, or kept for it when they are about to change.
//!
//! A batch reads a range of places in one table under one snapshot. An old row there is recorded as it stands, unless
//! the snapshot sees that it was changed: then it sees what was kept of it. What is kept of a place that a batch has
//! passed was recorded before it changed. `docs/ARCHITECTURE.md` says why each row is recorded once.

use std::collections::HashSet;

use pgrx::{IntoDatum, pg_sys};

use super::super::errors::Fallible;
use super::super::progress::{Phase, Progress};
use super::super::spi::{self, Snapshot};
use super::age;
use super::condition::{self, Condition};
use super::event::Event;
use super::kept::{self, Kept};
use super::leaf::{AsOwner, Leaf, Newest, may_read};
use super::marks::{Marks, Sums};
use super::old_rows::updated_in_gap;
use super::plan::{self, Plan};
use super::read::{self, Row};
use super::subtransaction::attempt;
use super::tally::{Outcome, count};
use super::{profile, trigger};

/// One table of a capture, as `capture_leaf` has it.
struct Place {
    table: pg_sys::Oid,
    from: i64,
    file: Option<pg_sys::Oid>,
    /// Whether the table is there and captured; of others only what was kept is recorded.
    captured: bool,
}

/// Records rows older than a capture, at most a number; gives how many.
pub(super) fn run(id: i64, at_most: i64) -> Fallible<i64> {
    let Some(capture) = plan::load(id)? else { return Ok(0) };
    may_read(capture.source)?;
    let progress = Progress::begin(Phase::Backfilling);
    let mut left = at_most;
    let mut done = 0_u64;
    for place in places(id, capture.source, capture.profile)? {
        if left == 0 {
            break;
        }
        let mut batch = Batch { id, left, limited: at_most != i64::MAX, done, progress: &progress };
        if capture.profile {
            batch.profiles(&place)?;
        } else {
            batch.events(&place)?;
        }
        (left, done) = (batch.left, batch.done);
    }
    Ok(i64::try_from(done).unwrap_or(i64::MAX))
}

fn places(id: i64, source: pg_sys::Oid, profile: bool) -> Fallible<Vec<Place>> {
    let sql = if profile {
        "SELECT leaf, 0::bigint, NULL::oid, true FROM kursaha_cohort.capture_leaves($2) leaf WHERE $1 IS NOT NULL"
    } else {
        "SELECT l.relation, l.place, l.file, l.ended IS NULL FROM kursaha_cohort.capture_leaf l \
         WHERE l.capture_id = $1 AND $2 IS NOT NULL AND (l.ended IS NULL AND l.unrecorded <> '' OR EXISTS \
             (SELECT FROM kursaha_cohort.kept_row k WHERE k.capture_id = $1 AND k.relation = l.relation \
              AND l.ended IS NOT NULL AND l.unrecorded <> '')) \
         ORDER BY l.relation"
    };
    spi::run(Snapshot::Fresh, sql, &[id.into(), source.into()], |row| {
        Ok(Place { table: row.need(1)?, from: row.need(2)?, file: row.get(3), captured: row.need(4)? })
    })
}

/// What one call records of one table.
struct Batch<'a> {
    id: i64,
    left: i64,
    /// Whether the call may end before the table does.
    limited: bool,
    done: u64,
    progress: &'a Progress,
}

/// What the rows of a table are compared with.
struct Against {
    kept: std::iter::Peekable<std::vec::IntoIter<Kept>>,
    /// Rows that batches recorded before their places changed.
    marks: Option<Marks>,
    not_old: HashSet<u64>,
    mark: bool,
}

impl Against {
    /// Whether a batch recorded a row before, where places do not tell.
    fn recorded(&mut self, writer: u64, sums: &Sums, event: &Event) -> bool {
        self.marks.as_mut().is_some_and(|marks| marks.take(writer, sums, event))
    }
}

impl Batch<'_> {
    fn counted(&mut self) {
        self.left -= 1;
        self.done += 1;
        self.progress.done(self.done);
    }

    fn profiles(&mut self, place: &Place) -> Fallible<()> {
        let Some(leaf) = Leaf::open(place.table) else { return Ok(()) };
        let Some(plan) = plan::plan(leaf.0, self.id)? else { return Ok(()) };
        let snapshot = Newest::take();
        let _owner = AsOwner::of(leaf.owner());
        let condition = self.condition(&leaf);
        leaf.scan(0, snapshot.0, |tuple| {
            if self.holds(condition.as_ref(), tuple) && profile::backfill(&plan, leaf.0, tuple)? {
                self.counted();
            }
            Ok(true)
        })
    }

    fn condition(&self, leaf: &Leaf) -> Option<Condition> {
        // SAFETY: the table is open for longer than the condition lives.
        unsafe {
            Condition::of(leaf.0, self.id, condition::Event::Insert)
                .or_else(|| Condition::of(leaf.0, self.id, condition::Event::Update))
        }
    }

    /// Whether the trigger's condition holds for a row. An error of it skips the row.
    fn holds(&self, condition: Option<&Condition>, tuple: pg_sys::HeapTuple) -> bool {
        let Some(condition) = condition else { return false };
        if condition.is_always() {
            return true;
        }
        // SAFETY: the tuple is one of the condition's table.
        match attempt(|| Ok(unsafe { condition.holds(std::ptr::null_mut(), tuple) })) {
            Ok(holds) => holds,
            Err(state) => {
                count(self.id, Outcome::Condition, Some(state));
                false
            }
        }
    }

    fn events(&mut self, place: &Place) -> Fallible<()> {
        let leaf = if place.captured { Leaf::open(place.table) } else { None };
        let file = leaf.as_ref().map(Leaf::file);
        // Places are those of the file that was read; in another one rows are known by marks, and the table is done at once.
        let by_mark = place.file.is_some_and(|read| Some(read) != file);
        let from = if by_mark { 0 } else { place.from };
        let snapshot = Newest::take();
        let (rows, marks) = kept::rows(self.id, place.table, from, snapshot.0)?;
        let not_old = kept::writers(self.id, snapshot.0)?;
        let mut marks = by_mark.then_some(marks);
        let kept = match &mut marks {
            Some(marks) => self.unmarked(rows, marks, &not_old)?,
            None => rows,
        };
        let mut against = Against { kept: kept.into_iter().peekable(), marks, not_old, mark: self.limited && !by_mark };
        let limit = self.left;
        if by_mark {
            self.left = i64::MAX;
        }
        let before = self.done;
        let end = match &leaf {
            Some(leaf) => self.table(leaf, from, snapshot.0, &mut against)?,
            None => self.kept_before(i64::MAX, None, &mut against)?,
        };
        if by_mark {
            self.left = limit.saturating_sub(i64::try_from(self.done - before).unwrap_or(i64::MAX)).max(0);
        }
        drop(snapshot);
        self.remember(place, file, from, end)
    }

    /// Records the old rows of a table; gives the place where it stopped, or `None` at the end.
    fn table(
        &mut self,
        leaf: &Leaf,
        from: i64,
        snapshot: pg_sys::Snapshot,
        against: &mut Against,
    ) -> Fallible<Option<i64>> {
        let Some(plan) = plan::plan(leaf.0, self.id)? else { return Ok(None) };
        let _owner = AsOwner::of(leaf.owner());
        let condition = self.condition(leaf);
        let next = age::next();
        let mut stopped = None;
        if !plan.unrecorded.is_empty() {
            leaf.scan(from, snapshot, |tuple| {
                // SAFETY: the tuple is one of the open table.
                let (place, writer) = unsafe { (kept::place((*tuple).t_self), age::writer(tuple, next)) };
                stopped = self.kept_before(place, Some(&plan), against)?;
                if stopped.is_some() {
                    return Ok(false);
                }
                if !plan.unrecorded.has(writer) || against.not_old.contains(&writer) {
                    return Ok(true);
                }
                if self.left == 0 {
                    stopped = Some(place);
                    return Ok(false);
                }
                // SAFETY: as above.
                if unsafe { updated_in_gap(&plan, tuple, writer) } {
                    count(self.id, Outcome::UpdatedWhileReleased, None);
                } else if self.holds(condition.as_ref(), tuple) {
                    self.row(&plan, leaf, tuple, place, writer, against)?;
                }
                Ok(true)
            })?;
        }
        match stopped {
            Some(place) => Ok(Some(place)),
            None => self.kept_before(i64::MAX, Some(&plan), against),
        }
    }

    fn row(
        &mut self,
        plan: &Plan,
        leaf: &Leaf,
        tuple: pg_sys::HeapTuple,
        place: i64,
        writer: u64,
        against: &mut Against,
    ) -> Fallible<()> {
        // SAFETY: the table is open.
        let (table, descriptor) = unsafe { ((*leaf.0).rd_id, (*leaf.0).rd_att) };
        let Some(event) = read::safely(plan, Row { tuple, descriptor }, true)? else { return Ok(()) };
        let compared = against.mark || against.marks.is_some();
        let sums = if compared { Sums::of(plan, Row { tuple, descriptor }) } else { Sums::default() };
        if against.recorded(writer, &sums, &event) {
            return Ok(());
        }
        if trigger::write(self.id, &event, Outcome::Backfilled)? {
            self.counted();
        }
        if against.mark {
            kept::mark(self.id, table, place, writer, &event, &sums)?;
        }
        Ok(())
    }

    /// The kept rows that no batch recorded. They are compared before the rows of the table, because they may have values
    /// of columns that the table has lost; those with the most columns first.
    fn unmarked(&self, mut rows: Vec<Kept>, marks: &mut Marks, not_old: &HashSet<u64>) -> Fallible<Vec<Kept>> {
        rows.sort_by_key(|row| std::cmp::Reverse(row.sums.len()));
        let mut left = Vec::new();
        for row in rows {
            if !not_old.contains(&row.writer) && !marks.take(row.writer, &row.sums, &self.kept_event(&row, None)?) {
                left.push(row);
            }
        }
        left.sort_by_key(|row| row.place);
        Ok(left)
    }

    /// Records what was kept of rows before a place; gives the place of the first that is left over, if any.
    fn kept_before(&mut self, place: i64, plan: Option<&Plan>, against: &mut Against) -> Fallible<Option<i64>> {
        while let Some(row) = against.kept.next_if(|row| row.place < place) {
            if self.left == 0 {
                return Ok(Some(row.place));
            }
            if against.not_old.contains(&row.writer) {
                continue;
            }
            let event = self.kept_event(&row, plan)?;
            if trigger::write(self.id, &event, Outcome::Backfilled)? {
                self.counted();
            }
        }
        Ok(None)
    }

    fn kept_event(&self, row: &Kept, plan: Option<&Plan>) -> Fallible<Event> {
        let nothing = pg_sys::Datum::from(0);
        let event_type = match plan {
            Some(plan) => plan.event_type,
            None => plan::load(self.id)?.and_then(|capture| capture.event_type.into_datum()).unwrap_or(nothing),
        };
        Ok(Event {
            customer: row.customer.as_str().into_datum().unwrap_or(nothing),
            kind: event_type,
            // SAFETY: inside a transaction.
            occurred_at: row.occurred_at.unwrap_or_else(|| unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }),
            dated: row.occurred_at.is_some(),
            data: row.data,
        })
    }

    /// Writes down how far the table is done.
    fn remember(&self, place: &Place, file: Option<pg_sys::Oid>, from: i64, end: Option<i64>) -> Fallible<()> {
        let (id, table) = (self.id, place.table);
        if let Some(end) = end {
            spi::touch(
                "DELETE FROM kursaha_cohort.kept_row WHERE capture_id = $1 AND relation = $2 \
                 AND mark IS NULL AND place >= $3 AND place < $4",
                &[id.into(), table.into(), from.into(), end.into()],
            )?;
            spi::touch(
                "UPDATE kursaha_cohort.capture_leaf SET place = $3, file = $4 \
                 WHERE capture_id = $1 AND relation = $2",
                &[id.into(), table.into(), end.into(), file.into()],
            )?;
        } else {
            spi::touch(
                "DELETE FROM kursaha_cohort.kept_row WHERE capture_id = $1 AND relation = $2",
                &[id.into(), table.into()],
            )?;
            spi::touch(
                "UPDATE kursaha_cohort.capture_leaf SET unrecorded = '', place = 0, file = NULL \
                 WHERE capture_id = $1 AND relation = $2",
                &[id.into(), table.into()],
            )?;
        }
        Ok(())
    }
}
