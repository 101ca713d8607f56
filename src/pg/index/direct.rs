//! Reads the small tables of the index through the access methods. With SQL, the overhead of a few statements would be
//! most of the time of a short evaluation.

use std::ffi::CStr;

use cohort_core::segment::Corrupt;
use pgrx::{FromDatum, pg_sys};

use super::scan::{IndexScan, Relation, Sought, TableScan, Tuple, find, has_policies, may_read};
use super::store::{Kind, Removals, Segment, State, ordinals};
use super::{damaged, sum};
use crate::pg::errors::Fallible;
use crate::pg::jsonb::Jsonb;

/// Columns of `index_state`, counted from 1, as `sql/index.sql` creates it.
mod state {
    pub(super) const WATERMARK: usize = 2;
    pub(super) const CUSTOMERS: usize = 3;
    pub(super) const HASH_KEY: usize = 4;
    pub(super) const REMOVED: usize = 5;
    pub(super) const ERASURES: usize = 6;
    pub(super) const SUM: usize = 9;
}

/// Columns of `segment`.
mod segment {
    pub(super) const ID: usize = 1;
    pub(super) const KIND: usize = 2;
    pub(super) const POSITION: usize = 3;
    pub(super) const STAMP_FROM: usize = 4;
    pub(super) const STAMP_TO: usize = 5;
    pub(super) const ROWS: usize = 6;
    pub(super) const DEAD: usize = 7;
    pub(super) const BYTES: usize = 8;
    pub(super) const FIRST_AT: usize = 9;
    pub(super) const LAST_AT: usize = 10;
}

/// Columns of `event_removed`, as `sql/tables.sql` creates it.
mod removed {
    pub(super) const ID: usize = 1;
    pub(super) const EVENT_TYPE: usize = 2;
    pub(super) const BYTES: usize = 4;
}

/// Columns of `customer_removed`.
mod removed_profile {
    pub(super) const CUSTOMER_ID: usize = 1;
}

/// Columns of `cohort`.
mod cohort {
    pub(super) const ID: usize = 1;
    pub(super) const RULE: usize = 4;
}

/// The OID of the schema of the extension's public objects, if the extension is in this database.
pub(crate) fn public_schema() -> Option<pg_sys::Oid> {
    of_extension(|row, _| Some(row.extnamespace))
}

/// The role that owns the extension, if it is in this database.
pub(crate) fn extension_owner() -> Option<pg_sys::Oid> {
    of_extension(|row, _| Some(row.extowner))
}

/// The version of the extension's objects, if it is in this database.
pub(crate) fn extension_version() -> Option<String> {
    of_extension(|_, (tuple, descriptor)| {
        let mut is_null = false;
        let column = pg_sys::Anum_pg_extension_extversion.cast_signed();
        // SAFETY: the row is one of the catalog; the text is copied.
        unsafe { String::from_datum(pg_sys::heap_getattr(tuple, column, descriptor, &mut is_null), is_null) }
    })
}

/// A column of the extension's row in `pg_extension`. In a new backend, the first SQL statement would take longer than
/// a short evaluation.
fn of_extension<T>(
    take: impl Fn(&pg_sys::FormData_pg_extension, (pg_sys::HeapTuple, pg_sys::TupleDesc)) -> Option<T>,
) -> Option<T> {
    let table = Relation::table(pg_sys::ExtensionRelationId);
    let mut found = None;
    // SAFETY: the catalog is open, and its rows are of this form; a row is valid until the next one.
    unsafe {
        let scan = pg_sys::systable_beginscan(
            table.0,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            #[expect(clippy::cast_ptr_alignment, reason = "rows are aligned")]
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_extension>();
            if CStr::from_ptr(row.extname.data.as_ptr()) == c"kursaha_cohort" {
                found = take(row, (tuple, (*table.0).rd_att));
            }
        }
        pg_sys::systable_endscan(scan);
    }
    found
}

/// The result of looking up a cohort by name.
pub(crate) enum Definition {
    /// A saved cohort's id, and its rule unless it is a fixed list.
    Is(i64, Option<String>),
    /// The cohort does not exist.
    None,
    /// It must be read by SQL: row-level security or privileges restrict the current user.
    Ask,
}

/// The cohort of a name as the active snapshot sees it.
pub(crate) fn definition(name: &str) -> Fallible<Definition> {
    let (_, internals) = crate::pg::extension::schema_oids()?;
    let oid = find(internals, c"cohort")?;
    if !may_read(oid) || has_policies(oid) {
        return Ok(Definition::Ask);
    }
    let mut scan = IndexScan::new(Relation::table(oid), find(internals, c"cohort_name_key")?, 1)?;
    scan.seek(&[Sought::TextEquals(name)]);
    let Some(row) = scan.next() else { return Ok(Definition::None) };
    // SAFETY: the column is a jsonb.
    let rule = row.datum(cohort::RULE).and_then(|datum| unsafe { Jsonb::from_datum(datum, false) });
    Ok(Definition::Is(row.word(cohort::ID).cast_signed(), rule.map(|rule| rule.0)))
}

/// Whether the extension's objects support query cohorts. Those of version 0.1.0 do not.
pub(crate) fn knows_queries() -> Fallible<bool> {
    Ok(query_table()? != pg_sys::InvalidOid)
}

fn query_table() -> Fallible<pg_sys::Oid> {
    let (_, internals) = crate::pg::extension::schema_oids()?;
    // SAFETY: reads the catalog inside a transaction.
    Ok(unsafe { pg_sys::get_relname_relid(c"cohort_query".as_ptr(), internals) })
}

/// Whether a cohort is a query, as the active snapshot sees it.
pub(crate) fn has_query(cohort: i64) -> Fallible<bool> {
    let table = query_table()?;
    if table == pg_sys::InvalidOid {
        return Ok(false);
    }
    let (_, internals) = crate::pg::extension::schema_oids()?;
    let mut scan = IndexScan::new(Relation::table(table), find(internals, c"cohort_query_pkey")?, 1)?;
    scan.seek(&[Sought::Int8Equals(cohort)]);
    Ok(scan.next().is_some())
}

/// Passes to a function the rows of a table of the schema `kursaha_cohort` that the active snapshot sees. The
/// privileges of the current user on the table are not checked: EXECUTE on the calling functions is required, and they
/// check what the user may see.
fn each(internals: pg_sys::Oid, table: &CStr, mut take: impl FnMut(&Tuple<'_>) -> Fallible<()>) -> Fallible<()> {
    let oid = find(internals, table)?;
    let mut scan = TableScan::new(Relation::table(oid))?;
    let mut rows = 0_usize;
    while let Some(row) = scan.next() {
        rows += 1;
        if rows.is_multiple_of(1024) {
            pgrx::check_for_interrupts!();
        }
        take(&row)?;
    }
    Ok(())
}

/// The state in the active snapshot.
pub(super) fn state(internals: pg_sys::Oid) -> Fallible<State> {
    let mut found = None;
    each(internals, c"index_state", |row| {
        let key = row.bytes(state::HASH_KEY).as_bytes().try_into();
        found = Some(State {
            watermark: row.word(state::WATERMARK),
            customers: ordinals(row.word(state::CUSTOMERS).cast_signed())?,
            key: key.map_err(|_| damaged(Corrupt::new("its key is not 16 bytes long")))?,
            removed: row.bool(state::REMOVED),
            erasures: row.word(state::ERASURES).cast_signed(),
            sum: row.int4(state::SUM),
            // A savepoint has an id of its own, which this asks about too.
            // SAFETY: looks at the current transaction's state.
            own: unsafe { pg_sys::TransactionIdIsCurrentTransactionId(row.writer()) },
        });
        Ok(())
    })?;
    found.ok_or_else(|| damaged(Corrupt::new("it has no state")))
}

/// All segments that the active snapshot sees, oldest first.
pub(super) fn segments(internals: pg_sys::Oid) -> Fallible<Vec<Segment>> {
    let mut all = Vec::new();
    each(internals, c"segment", |row| {
        let time = |column| row.datum(column).map(|_| row.word(column).cast_signed());
        all.push(Segment {
            id: row.word(segment::ID).cast_signed(),
            kind: Kind::of(row.bytes(segment::KIND).as_str())?,
            position: row.word(segment::POSITION).cast_signed(),
            stamps: (row.word(segment::STAMP_FROM), row.word(segment::STAMP_TO)),
            rows: row.word(segment::ROWS).cast_signed(),
            dead: row.word(segment::DEAD).cast_signed(),
            bytes: row.word(segment::BYTES).cast_signed(),
            times: time(segment::FIRST_AT).zip(time(segment::LAST_AT)),
        });
        Ok(())
    })?;
    all.sort_by_key(|segment| segment.position);
    Ok(all)
}

/// The state and all segments, without a check of their checksum.
pub(super) fn state_and_segments(internals: pg_sys::Oid) -> Fallible<(State, Vec<Segment>)> {
    let (state, segments) = (state(internals)?, segments(internals)?);
    sum::compare(&state, &segments)?;
    Ok((state, segments))
}

/// The entries of the removal log for the given event types, or for all types if none are given; the bytes are read only for
/// the entries whose ids are in `wanted`.
pub(super) fn removals(
    internals: pg_sys::Oid,
    types: Option<&[&str]>,
    wanted: &dyn Fn(i64) -> bool,
) -> Fallible<Vec<Removals>> {
    let mut all = Vec::new();
    each(internals, c"event_removed", |row| {
        let event_type = row.bytes(removed::EVENT_TYPE);
        let event_type = event_type.as_str();
        if types.is_none_or(|types| types.contains(&event_type)) {
            let id = row.word(removed::ID).cast_signed();
            let bytes = wanted(id).then(|| row.bytes(removed::BYTES).as_bytes().to_vec());
            all.push(Removals { id, event_type: event_type.to_owned(), bytes });
        }
        Ok(())
    })?;
    Ok(all)
}

/// Customers whose profile was removed since the last sealing.
pub(super) fn removed_profiles(internals: pg_sys::Oid) -> Fallible<Vec<String>> {
    let mut all = Vec::new();
    each(internals, c"customer_removed", |row| {
        all.push(row.bytes(removed_profile::CUSTOMER_ID).as_str().to_owned());
        Ok(())
    })?;
    Ok(all)
}
