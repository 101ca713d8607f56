//! The data that a capture keeps until its backfill: previous versions of changed rows, and transactions with an old id
//! that wrote later.

use std::collections::HashSet;

use pgrx::{FromDatum, IntoDatum, pg_sys};

use super::super::errors::{Fallible, SqlState, failure};
use super::super::extension;
use super::event::Event;
use super::marks::{Marks, Sums, checksum};

/// A row that was kept.
pub(super) struct Kept {
    pub(super) place: i64,
    pub(super) writer: u64,
    pub(super) customer: String,
    pub(super) occurred_at: Option<i64>,
    pub(super) data: pg_sys::Datum,
    pub(super) sums: Sums,
}

/// Where a row version is in its table, as a number that has the order of a scan.
pub(super) fn place(tid: pg_sys::ItemPointerData) -> i64 {
    let block = (i64::from(tid.ip_blkid.bi_hi) << 16) | i64::from(tid.ip_blkid.bi_lo);
    (block << 16) | i64::from(tid.ip_posid)
}

/// A table of the extension, open.
struct Table(pg_sys::Relation);

impl Table {
    fn open(name: &std::ffi::CStr) -> Fallible<Self> {
        let (_, internals) = extension::schema_oids()?;
        // SAFETY: a catalog look-up; the lock is held until the transaction ends.
        unsafe {
            let table = pg_sys::get_relname_relid(name.as_ptr(), internals);
            if table == pg_sys::InvalidOid {
                return Err(failure(
                    SqlState::ERRCODE_UNDEFINED_TABLE,
                    format!("the table kursaha_cohort.{} is missing", name.to_string_lossy()),
                )
                .set_hint("DROP EXTENSION kursaha_cohort CASCADE and CREATE EXTENSION recreate it."));
            }
            Ok(Self(pg_sys::table_open(table, pg_sys::RowExclusiveLock.cast_signed())))
        }
    }

    fn insert(&self, values: &mut [pg_sys::Datum], nulls: &mut [bool]) {
        // SAFETY: the values are those of the table's columns.
        unsafe {
            let tuple = pg_sys::heap_form_tuple((*self.0).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::CatalogTupleInsert(self.0, tuple);
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open`; after an error the transaction closes it.
            unsafe { pg_sys::table_close(self.0, pg_sys::NoLock.cast_signed()) }
        }
    }
}

/// Saves a row as the event that the backfill records for it.
pub(super) fn keep(
    capture: i64,
    table: pg_sys::Oid,
    place: i64,
    writer: u64,
    event: &Event,
    sums: &Sums,
) -> Fallible<()> {
    let occurred_at = event.dated.then(|| pg_sys::Datum::from(event.occurred_at));
    insert(capture, table, place, writer, [Some(event.customer), occurred_at, Some(sums.added_to(event.data)), None])
}

/// Marks a row as recorded by a batch.
pub(super) fn mark(
    capture: i64,
    table: pg_sys::Oid,
    place: i64,
    writer: u64,
    event: &Event,
    sums: &Sums,
) -> Fallible<()> {
    let mark = pg_sys::Datum::from(checksum(event));
    insert(capture, table, place, writer, [None, None, Some(sums.object()), Some(mark)])
}

/// Adds a row to `kept_row`: `rest` is its customer, time, data and mark.
fn insert(capture: i64, table: pg_sys::Oid, place: i64, writer: u64, rest: [Option<pg_sys::Datum>; 4]) -> Fallible<()> {
    let known: [pg_sys::Datum; 4] = [capture.into(), table.into(), place.into(), writer.into()];
    let columns: Vec<Option<pg_sys::Datum>> = known.map(Some).into_iter().chain(rest).collect();
    let mut values: Vec<pg_sys::Datum> =
        columns.iter().map(|column| column.unwrap_or(pg_sys::Datum::from(0))).collect();
    let mut nulls: Vec<bool> = columns.iter().map(Option::is_none).collect();
    Table::open(c"kept_row")?.insert(&mut values, &mut nulls);
    Ok(())
}

/// Remembers that rows of a transaction are not older than a capture although its id is.
pub(super) fn note_writer(capture: i64, writer: u64) -> Fallible<()> {
    Table::open(c"kept_writer")?
        .insert(&mut [pg_sys::Datum::from(capture), pg_sys::Datum::from(writer)], &mut [false, false]);
    Ok(())
}

/// The transactions whose rows are not older than a capture, as a snapshot sees them.
pub(super) fn writers(capture: i64, snapshot: pg_sys::Snapshot) -> Fallible<HashSet<u64>> {
    let table = Table::open(c"kept_writer")?;
    let mut found = HashSet::new();
    scan(&table, snapshot, None, |values, _| {
        if values[0].value() as i64 == capture {
            found.insert(values[1].value() as u64);
        }
    });
    Ok(found)
}

/// The rows of a table that are kept, from a place on in the order of places; and the marks of recorded rows.
pub(super) fn rows(
    capture: i64,
    table: pg_sys::Oid,
    from: i64,
    snapshot: pg_sys::Snapshot,
) -> Fallible<(Vec<Kept>, Marks)> {
    let kept = Table::open(c"kept_row")?;
    let mut rows = Vec::new();
    let mut marks = Marks::default();
    scan(&kept, snapshot, Some((capture, table)), |values, nulls| {
        let (place, writer) = (values[2].value() as i64, values[3].value() as u64);
        let (sums, data) = if nulls[6] {
            (Sums::default(), values[6])
        } else {
            // SAFETY: the column is a jsonb, which is copied into the current context.
            Sums::taken_from(unsafe { pg_sys::Datum::from(pg_sys::pg_detoast_datum_copy(values[6].cast_mut_ptr())) })
        };
        if !nulls[7] {
            marks.add(writer, values[7].value() as i64, sums);
        } else if place >= from {
            // SAFETY: the column is a text.
            let customer = unsafe { String::from_datum(values[4], nulls[4]) }.unwrap_or_default();
            let occurred_at = (!nulls[5]).then(|| values[5].value() as i64);
            rows.push(Kept { place, writer, customer, occurred_at, data, sums });
        }
    });
    rows.sort_by_key(|row| row.place);
    Ok((rows, marks))
}

/// Scans a table, or the entries of one capture and table in it by the index.
fn scan(
    table: &Table,
    snapshot: pg_sys::Snapshot,
    only: Option<(i64, pg_sys::Oid)>,
    mut each: impl FnMut(&[pg_sys::Datum], &[bool]),
) {
    // SAFETY: the table is open; a row is valid until the next one.
    unsafe {
        let columns = (*(*table.0).rd_att).natts as usize;
        let mut values = vec![pg_sys::Datum::from(0); columns];
        let mut nulls = vec![true; columns];
        let mut keys = [pg_sys::ScanKeyData::default(); 2];
        let mut index = pg_sys::InvalidOid;
        if let Some((capture, of)) = only {
            let (_, internals) = extension::schema_oids().unwrap_or((pg_sys::InvalidOid, pg_sys::InvalidOid));
            index = pg_sys::get_relname_relid(c"kept_row_place".as_ptr(), internals);
            let equal = pg_sys::BTEqualStrategyNumber as u16;
            let by = |function| pg_sys::Oid::from(function);
            pg_sys::ScanKeyInit(&raw mut keys[0], 1, equal, by(pg_sys::F_INT8EQ), pg_sys::Datum::from(capture));
            pg_sys::ScanKeyInit(&raw mut keys[1], 2, equal, by(pg_sys::F_OIDEQ), pg_sys::Datum::from(of));
        }
        let count = if only.is_some() { 2 } else { 0 };
        let scan =
            pg_sys::systable_beginscan(table.0, index, index != pg_sys::InvalidOid, snapshot, count, keys.as_mut_ptr());
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            pg_sys::heap_deform_tuple(tuple, (*table.0).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            each(&values, &nulls);
        }
        pg_sys::systable_endscan(scan);
    }
}

/// Says that all unrecorded rows of a table are kept: `kept` names no transaction, and is not empty.
pub(super) fn all_kept(capture: i64, of: pg_sys::Oid) -> Fallible<()> {
    let table = Table::open(c"capture_leaf")?;
    // SAFETY: the table is open; the scan's row is replaced by one of the same columns.
    unsafe {
        let none = std::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(table.0, pg_sys::InvalidOid, false, std::ptr::null_mut(), 0, none);
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let mut is_null = false;
            let mut column = |n| pg_sys::heap_getattr(tuple, n, (*table.0).rd_att, &mut is_null);
            if column(1).value() as i64 == capture && column(2).value() as u32 == of.to_u32() {
                let mut columns = [3, 6];
                let kept = "kept".into_datum().unwrap_or(pg_sys::Datum::from(0));
                let changed = pg_sys::heap_modify_tuple_by_cols(
                    tuple,
                    (*table.0).rd_att,
                    2,
                    columns.as_mut_ptr(),
                    [kept, pg_sys::Datum::from(0)].as_mut_ptr(),
                    [false, true].as_mut_ptr(),
                );
                pg_sys::CatalogTupleUpdate(table.0, &raw mut (*tuple).t_self, changed);
            }
        }
        pg_sys::systable_endscan(scan);
    }
    super::plan::changed()
}
