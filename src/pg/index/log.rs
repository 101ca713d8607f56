//! The triggers that write the old rows of an UPDATE or DELETE to the removal log, about a hundred rows in one entry.
//!
//! A statement trigger reads the rows from its transition table. Logical replication fires only row triggers.
//! Therefore, if `session_replication_role` is `replica`, each row is also logged by a row trigger; a duplicate entry
//! is harmless. Both triggers write without a check of the current user's privileges: a user who may delete events
//! needs no privilege on the log.

use cohort_core::segment::{Removal, RemovalsBuilder};
use pgrx::{IntoDatum, pg_sys};

use super::scan::{bytes_of, find};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::{extension, trigger};

/// Columns of `cohort_event`, counted from 1, as `sql/tables.sql` creates it.
mod event {
    pub(super) const EVENT_ID: i32 = 1;
    pub(super) const CUSTOMER_ID: i32 = 2;
    pub(super) const EVENT_TYPE: i32 = 3;
    pub(super) const STAMP: i32 = 6;
}

trigger::row_trigger!(kursaha_log_removed_rows, pg_finfo_kursaha_log_removed_rows, log_rows);
trigger::row_trigger!(kursaha_log_removed_row, pg_finfo_kursaha_log_removed_row, log_row);

fn wrong() -> pg_sys::panic::ErrorReport {
    failure(
        SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "this function is an AFTER UPDATE or AFTER DELETE trigger of cohort_event",
    )
}

/// Raises an error if the columns of the table differ from the expected ones.
fn must_fit(relation: pg_sys::Relation) -> Fallible<()> {
    const COLUMNS: [(i32, bool); 4] =
        [(event::EVENT_ID, true), (event::CUSTOMER_ID, false), (event::EVENT_TYPE, false), (event::STAMP, true)];
    // SAFETY: the relation is open, and its descriptor has the number of columns that it says.
    let fits = unsafe {
        let descriptor = (*relation).rd_att;
        COLUMNS.iter().all(|(column, by_value)| {
            if *column > (*descriptor).natts {
                return false;
            }
            #[cfg(not(feature = "pg18"))]
            let attribute = (*descriptor).attrs.as_ptr().add(usize::try_from(column - 1).unwrap_or(0));
            #[cfg(feature = "pg18")]
            let attribute = pg_sys::TupleDescAttr(descriptor, column - 1);
            (*attribute).attbyval == *by_value && (*by_value || (*attribute).attlen == -1)
        })
    };
    if fits {
        return Ok(());
    }
    Err(failure(
        SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the columns of cohort_event are not as the extension created them",
    )
    .set_hint("Restore their names and types, or restore a dump into a new database."))
}

/// Logs the rows of a statement.
fn log_rows(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<pg_sys::HeapTuple> {
    // SAFETY: fcinfo comes from the function manager.
    let data = unsafe { trigger::data(fcinfo) }.filter(|data| !data.tg_oldtable.is_null()).ok_or_else(wrong)?;
    must_fit(data.tg_relation)?;
    // SAFETY: the transition table and the relation live as long as the call; the store's other readers have read
    // pointers of their own, as this one has. The slot is freed here, or by the abort that an error leads to.
    unsafe {
        let store = data.tg_oldtable;
        let pointer = pg_sys::tuplestore_alloc_read_pointer(store, pg_sys::EXEC_FLAG_REWIND.cast_signed());
        pg_sys::tuplestore_select_read_pointer(store, pointer);
        pg_sys::tuplestore_rescan(store);
        let slot = pg_sys::MakeSingleTupleTableSlot((*data.tg_relation).rd_att, &raw const pg_sys::TTSOpsMinimalTuple);
        let mut log = Log::new();
        let mut rows = 0_usize;
        while pg_sys::tuplestore_gettupleslot(store, true, false, slot) {
            rows += 1;
            if rows.is_multiple_of(1024) {
                pgrx::check_for_interrupts!();
            }
            pg_sys::slot_getsomeattrs_int(slot, event::STAMP);
            log.push(|column| {
                let place = usize::try_from(column - 1).unwrap_or(0);
                (!*(*slot).tts_isnull.add(place)).then(|| *(*slot).tts_values.add(place))
            })?;
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        log.write_all()?;
    }
    Ok(std::ptr::null_mut())
}

/// Logs one row.
fn log_row(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<pg_sys::HeapTuple> {
    // SAFETY: fcinfo comes from the function manager; the row has the relation's descriptor.
    unsafe {
        let data = trigger::data(fcinfo).filter(|data| !data.tg_trigtuple.is_null()).ok_or_else(wrong)?;
        must_fit(data.tg_relation)?;
        let mut log = Log::new();
        log.push(|column| {
            let mut is_null = false;
            let datum = pg_sys::heap_getattr(data.tg_trigtuple, column, (*data.tg_relation).rd_att, &mut is_null);
            (!is_null).then_some(datum)
        })?;
        log.write_all()?;
    }
    Ok(std::ptr::null_mut())
}

/// Entries that are being filled, one for each event type.
struct Log {
    /// The current transaction. A row that it wrote itself was never visible to a sealing, and needs no entry.
    own: u64,
    open: Vec<(String, RemovalsBuilder)>,
    /// The entry that got the previous row.
    last: usize,
}

impl Log {
    fn new() -> Self {
        // SAFETY: inside a transaction that has written a row.
        let own = unsafe { pg_sys::GetTopFullTransactionIdIfAny() }.value;
        Self { own, open: Vec::new(), last: 0 }
    }

    /// Adds a row, given by its columns.
    fn push(&mut self, column: impl Fn(i32) -> Option<pg_sys::Datum>) -> Fallible<()> {
        /// A full entry with the longest type and customer id fits into a page of the table.
        const FULL: usize = 5_500;
        let word = |number| column(number).map_or(0, |datum| datum.value() as u64);
        let stamp = word(event::STAMP);
        if stamp == self.own {
            return Ok(());
        }
        // SAFETY: the columns are texts that live as long as the row.
        let (customer, event_type) = unsafe {
            let text = |number| bytes_of(column(number).unwrap_or(pg_sys::Datum::from(0_usize)));
            (text(event::CUSTOMER_ID), text(event::EVENT_TYPE))
        };
        let name = event_type.as_str();
        if self.open.get(self.last).is_none_or(|(of, _)| of != name) {
            self.last = self.open.iter().position(|(of, _)| of == name).unwrap_or_else(|| {
                self.open.push((name.to_owned(), RemovalsBuilder::default()));
                self.open.len() - 1
            });
        }
        let (_, builder) = &mut self.open[self.last];
        let event_id = word(event::EVENT_ID).cast_signed();
        builder.push(Removal { event_id, stamp, customer: customer.as_str() });
        if builder.bytes().len() > FULL {
            let full = std::mem::take(builder);
            write(&[(name, &full)])?;
        }
        Ok(())
    }

    fn write_all(self) -> Fallible<()> {
        let left: Vec<(&str, &RemovalsBuilder)> = self
            .open
            .iter()
            .filter(|(_, builder)| builder.entries() > 0)
            .map(|(name, builder)| (name.as_str(), builder))
            .collect();
        write(&left)
    }
}

/// Writes entries with the command id of the UPDATE or DELETE, so that a snapshot sees both or neither.
fn write(entries: &[(&str, &RemovalsBuilder)]) -> Fallible<()> {
    if entries.is_empty() {
        return Ok(());
    }
    crate::pg::board::note_rows(1);
    let table = find(extension::schema_oids()?.1, c"event_removed")?;
    // SAFETY: inside a transaction that writes; the table has these columns, as `sql/tables.sql` creates it.
    unsafe {
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock.cast_signed());
        for (event_type, builder) in entries {
            let mut id = [0_u8; 8];
            if !pg_sys::pg_strong_random(id.as_mut_ptr().cast(), id.len()) {
                return Err(failure(SqlState::ERRCODE_INTERNAL_ERROR, "could not generate a random number"));
            }
            let entries = i32::try_from(builder.entries()).unwrap_or(i32::MAX);
            let values = [
                i64::from_ne_bytes(id).into_datum(),
                event_type.into_datum(),
                entries.into_datum(),
                builder.bytes().into_datum(),
            ];
            let mut values = values.map(|value| value.unwrap_or(pg_sys::Datum::from(0_usize)));
            let mut nulls = [false; 4];
            let tuple = pg_sys::heap_form_tuple((*relation).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::simple_heap_insert(relation, tuple);
            pg_sys::heap_freetuple(tuple);
            pg_sys::pfree(values[1].cast_mut_ptr());
            pg_sys::pfree(values[3].cast_mut_ptr());
        }
        pg_sys::table_close(relation, pg_sys::NoLock.cast_signed());
    }
    Ok(())
}
