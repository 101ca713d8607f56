//! Reading tables through their access methods, under the active snapshot: several times faster than statements, and
//! with the predicate locks that SERIALIZABLE needs.

use std::ffi::CStr;

use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;
use pgrx::{FromDatum, IntoDatum, pg_sys};

use crate::pg::errors::{Fallible, SqlState, failure};

/// An open table or index, closed with its lock kept until the transaction ends.
pub(super) struct Relation(pub(super) pg_sys::Relation);

impl Relation {
    /// Opens a table of a schema.
    pub(super) fn table(oid: pg_sys::Oid) -> Self {
        // SAFETY: inside a transaction; an unknown OID raises an error.
        Self(unsafe { pg_sys::table_open(oid, pg_sys::AccessShareLock.cast_signed()) })
    }

    /// Opens an index. Its table must be open: the table is locked before its index.
    pub(super) fn index(oid: pg_sys::Oid) -> Fallible<Self> {
        // SAFETY: as above.
        let index = Self(unsafe { pg_sys::index_open(oid, pg_sys::AccessShareLock.cast_signed()) });
        // SAFETY: the relation is open, and an index has this form.
        if unsafe { (*(*index.0).rd_index).indisvalid } {
            return Ok(index);
        }
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr((*(*index.0).rd_rel).relname.data.as_ptr()) }.to_string_lossy();
        Err(failure(
            SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the index {name} is not valid: it is being built, or building it failed"),
        )
        .set_hint(format!(
            "REINDEX INDEX {name}; until then SET kursaha_cohort.engine = 'sql' evaluates rules without it."
        )))
    }

    /// How many rows the last VACUUM or ANALYZE counted.
    pub(super) fn rows_about(&self) -> u64 {
        // SAFETY: the relation is open.
        let rows = unsafe { (*(*self.0).rd_rel).reltuples };
        // Whole, and -1 where nothing was counted.
        format!("{rows:.0}").parse().unwrap_or(0)
    }

    fn collation(&self, column: usize) -> pg_sys::Oid {
        // SAFETY: an index relation has a collation for each of its columns.
        unsafe { *(*self.0).rd_indcollation.add(column) }
    }
}

impl Drop for Relation {
    fn drop(&mut self) {
        // During an error the transaction's end releases everything; calling into the server then could fail again.
        if !std::thread::panicking() {
            // SAFETY: opened above.
            unsafe { pg_sys::relation_close(self.0, pg_sys::NoLock.cast_signed()) }
        }
    }
}

/// The OID of a relation in a schema.
pub(super) fn find(schema: pg_sys::Oid, name: &CStr) -> Fallible<pg_sys::Oid> {
    // SAFETY: reads the catalog inside a transaction.
    let oid = unsafe { pg_sys::get_relname_relid(name.as_ptr(), schema) };
    if oid == pg_sys::InvalidOid {
        return Err(failure(
            SqlState::ERRCODE_UNDEFINED_TABLE,
            format!("the table or index {} of kursaha_cohort is missing", name.to_string_lossy()),
        ));
    }
    Ok(oid)
}

/// Whether the current user may read all columns of a table.
pub(super) fn may_read(table: pg_sys::Oid) -> bool {
    // Its type is wider from PostgreSQL 16 on.
    const SELECT: pg_sys::AclMode = pg_sys::ACL_SELECT as pg_sys::AclMode;
    // SAFETY: a catalog look-up inside a transaction.
    unsafe { pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), SELECT) == pg_sys::AclResult::ACLCHECK_OK }
}

/// The error for a user without this privilege.
pub(super) fn must_read(table: pg_sys::Oid, name: &str) -> Fallible<()> {
    if may_read(table) {
        return Ok(());
    }
    Err(failure(SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE, format!("permission denied for table {name}")))
}

/// Whether policies decide which rows of a table the current user sees.
pub(super) fn has_policies(table: pg_sys::Oid) -> bool {
    // SAFETY: as above.
    let found = unsafe { pg_sys::check_enable_rls(table, pg_sys::InvalidOid, true) };
    found == pg_sys::CheckEnableRlsResult::RLS_ENABLED.cast_signed()
}

/// Whether other tables inherit from a table, or did so before. Opening the table to find out would take longer in a
/// new session.
pub(super) fn has_subclass(table: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction; the row has this form and is there until it is released.
    unsafe {
        let row = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID.cast_signed(), table.into());
        if row.is_null() {
            return false;
        }
        #[expect(clippy::cast_ptr_alignment, reason = "rows are aligned")]
        let found = (*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_class>()).relhassubclass;
        pg_sys::ReleaseSysCache(row);
        found
    }
}

mod raw {
    unsafe extern "C-unwind" {
        pub(super) fn has_superclass(table: pgrx::pg_sys::Oid) -> bool;
    }
}

/// Whether a table is a partition of another one, or inherits from it.
pub(super) fn has_superclass(table: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction; an error leaves by the guard.
    unsafe { pg_guard_ffi_boundary(|| raw::has_superclass(table)) }
}

/// The comparison of an index column.
pub(super) enum Sought<'a> {
    TextEquals(&'a str),
    TextAbove(&'a str),
    Int8Equals(i64),
    Int4From(i32),
    /// An upper bound for the same column as the previous key.
    Int4To(i32),
    Xid8From(u64),
}

/// An index scan of a table.
pub(super) struct IndexScan {
    index: Relation,
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    keys: Vec<pg_sys::ScanKeyData>,
    /// Texts that the keys point to.
    texts: Vec<pg_sys::Datum>,
    table: Relation,
}

impl IndexScan {
    /// Opens a scan by the first `columns` columns of an index. [`IndexScan::seek`] sets the keys.
    pub(super) fn new(table: Relation, index: pg_sys::Oid, columns: usize) -> Fallible<Self> {
        // SAFETY: the active snapshot outlives the scan.
        unsafe { Self::under(pg_sys::GetActiveSnapshot(), table, index, columns) }
    }

    /// The same under a snapshot.
    ///
    /// # Safety
    /// The snapshot outlives the scan.
    pub(super) unsafe fn under(
        snapshot: pg_sys::Snapshot,
        table: Relation,
        index: pg_sys::Oid,
        columns: usize,
    ) -> Fallible<Self> {
        let index = Relation::index(index)?;
        let count = i32::try_from(columns).unwrap_or(0);
        // SAFETY: both relations are open; the scan ends with this value.
        unsafe {
            let slot = pg_sys::table_slot_create(table.0, std::ptr::null_mut());
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(table.0, index.0, snapshot, count, 0);
            #[cfg(feature = "pg18")]
            let scan = pg_sys::index_beginscan(table.0, index.0, snapshot, std::ptr::null_mut(), count, 0);
            Ok(Self { index, scan, slot, keys: Vec::new(), texts: Vec::new(), table })
        }
    }

    /// Starts the scan for rows whose first index columns satisfy the keys.
    pub(super) fn seek(&mut self, keys: &[Sought<'_>]) {
        // SAFETY: the keys are as many as the scan was begun with; the procedures fit the columns' operator classes.
        unsafe {
            for text in self.texts.drain(..) {
                pg_sys::pfree(text.cast_mut_ptr());
            }
            self.keys.clear();
            for (column, key) in keys.iter().enumerate() {
                let (strategy, procedure, argument) = match key {
                    Sought::TextEquals(text) => (pg_sys::BTEqualStrategyNumber, pg_sys::F_TEXTEQ, text.into_datum()),
                    Sought::TextAbove(text) => (pg_sys::BTGreaterStrategyNumber, pg_sys::F_TEXT_GT, text.into_datum()),
                    Sought::Int8Equals(number) => {
                        (pg_sys::BTEqualStrategyNumber, pg_sys::F_INT8EQ, number.into_datum())
                    }
                    Sought::Int4From(number) => {
                        (pg_sys::BTGreaterEqualStrategyNumber, pg_sys::F_INT4GE, number.into_datum())
                    }
                    Sought::Int4To(number) => {
                        (pg_sys::BTLessEqualStrategyNumber, pg_sys::F_INT4LE, number.into_datum())
                    }
                    Sought::Xid8From(stamp) => {
                        (pg_sys::BTGreaterEqualStrategyNumber, pg_sys::F_XID8GE, Some(pg_sys::Datum::from(*stamp)))
                    }
                };
                let argument = argument.unwrap_or(pg_sys::Datum::from(0_usize));
                if matches!(key, Sought::TextEquals(_) | Sought::TextAbove(_)) {
                    self.texts.push(argument);
                }
                let column = if matches!(key, Sought::Int4To(_)) { column - 1 } else { column };
                let mut entry = pg_sys::ScanKeyData::default();
                pg_sys::ScanKeyInit(
                    &raw mut entry,
                    i16::try_from(column + 1).unwrap_or(1),
                    u16::try_from(strategy).unwrap_or(0),
                    pg_sys::Oid::from(procedure),
                    argument,
                );
                entry.sk_collation = self.index.collation(column);
                self.keys.push(entry);
            }
            let count = i32::try_from(self.keys.len()).unwrap_or(0);
            pg_sys::index_rescan(self.scan, self.keys.as_mut_ptr(), count, std::ptr::null_mut(), 0);
        }
    }

    /// The table that is read.
    pub(super) fn table(&self) -> &Relation {
        &self.table
    }

    /// The tuple id (block and offset) of the next row, or of the first row of its HOT chain.
    pub(super) fn next_place(&mut self) -> Option<(u32, u16)> {
        // SAFETY: the scan is open; what it points to stays until the next call.
        unsafe {
            let place = pg_sys::index_getnext_tid(self.scan, pg_sys::ScanDirection::ForwardScanDirection);
            place.as_ref().map(|place| pgrx::itemptr::item_pointer_get_both(*place))
        }
    }

    /// Unpins the page of the last row. Call it before work that takes time, so that VACUUM is not blocked.
    pub(super) fn unpin(&mut self) {
        // SAFETY: the scan and its slot are open; the next row's page is pinned when that is asked for.
        unsafe {
            pg_sys::ExecClearTuple(self.slot);
            if let Some(reset) = (*(*self.table.0).rd_tableam).index_fetch_reset {
                pg_guard_ffi_boundary(|| reset((*self.scan).xs_heapfetch));
            }
        }
    }

    /// The next row, valid until the next call.
    pub(super) fn next(&mut self) -> Option<Tuple<'_>> {
        // SAFETY: the scan and its slot are open.
        let found =
            unsafe { pg_sys::index_getnext_slot(self.scan, pg_sys::ScanDirection::ForwardScanDirection, self.slot) };
        found.then(|| Tuple::new(self.slot))
    }
}

impl Drop for IndexScan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: both were made in `new`; the relations are closed after this by their own drops.
            unsafe {
                pg_sys::index_endscan(self.scan);
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                for text in self.texts.drain(..) {
                    pg_sys::pfree(text.cast_mut_ptr());
                }
            }
        }
    }
}

/// A scan of all rows of a table in physical order.
pub(super) struct TableScan {
    table: Relation,
    scan: pg_sys::TableScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    snapshot: pg_sys::Snapshot,
    /// Whether the scan started after a given row.
    behind: bool,
}

impl TableScan {
    pub(super) fn new(table: Relation) -> Fallible<Self> {
        // SAFETY: the relation is open and has an access method; the flags are those of `table_beginscan`, without
        // synchronised scans, so that rows come in the order in which they lie.
        unsafe {
            let begin = (*(*table.0).rd_tableam).scan_begin;
            let begin =
                begin.ok_or_else(|| failure(SqlState::ERRCODE_INTERNAL_ERROR, "the table cannot be scanned"))?;
            let flags = pg_sys::ScanOptions::SO_TYPE_SEQSCAN
                | pg_sys::ScanOptions::SO_ALLOW_STRAT
                | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
            let slot = pg_sys::table_slot_create(table.0, std::ptr::null_mut());
            let snapshot = pg_sys::GetActiveSnapshot();
            // pgrx guards functions, not pointers to them: an error must not skip the code that frees memory here.
            let scan = pg_guard_ffi_boundary(|| {
                begin(table.0, snapshot, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags)
            });
            Ok(Self { table, scan, slot, snapshot, behind: false })
        }
    }

    /// Unpins the page of the last row, like [`IndexScan::unpin`]. A new scan continues after that row. Does nothing if
    /// the table's access method cannot start a scan there.
    pub(super) fn unpin(&mut self, (block, offset): (u32, u16)) {
        // SAFETY: the scan and its slot are open; the snapshot is that of the scan. The callbacks and flags are those of
        // `table_beginscan_tidrange`, with the buffers of a large scan.
        unsafe {
            let access = (*self.table.0).rd_tableam;
            let (Some(begin), Some(end)) = ((*access).scan_begin, (*access).scan_end) else { return };
            let (Some(set), Some(_)) = ((*access).scan_set_tidrange, (*access).scan_getnextslot_tidrange) else {
                return;
            };
            let flags = pg_sys::ScanOptions::SO_TYPE_TIDRANGESCAN
                | pg_sys::ScanOptions::SO_ALLOW_STRAT
                | pg_sys::ScanOptions::SO_ALLOW_PAGEMODE;
            let (mut first, mut last) = (pg_sys::ItemPointerData::default(), pg_sys::ItemPointerData::default());
            pgrx::itemptr::item_pointer_set_all(&mut first, block, offset.saturating_add(1));
            pgrx::itemptr::item_pointer_set_all(&mut last, pg_sys::InvalidBlockNumber - 1, u16::MAX);
            pg_sys::ExecClearTuple(self.slot);
            self.scan = pg_guard_ffi_boundary(|| {
                let next = begin(self.table.0, self.snapshot, 0, std::ptr::null_mut(), std::ptr::null_mut(), flags);
                set(next, &raw mut first, &raw mut last);
                end(self.scan);
                next
            });
            self.behind = true;
        }
    }

    pub(super) fn next(&mut self) -> Option<Tuple<'_>> {
        // SAFETY: the scan and its slot are open.
        let found = unsafe {
            let access = (*self.table.0).rd_tableam;
            let next = if self.behind { (*access).scan_getnextslot_tidrange } else { (*access).scan_getnextslot }?;
            let forward = pg_sys::ScanDirection::ForwardScanDirection;
            pg_guard_ffi_boundary(|| next(self.scan, forward, self.slot))
        };
        found.then(|| Tuple::new(self.slot))
    }
}

impl Drop for TableScan {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: both were made in `new`.
            unsafe {
                if let Some(end) = (*(*self.table.0).rd_tableam).scan_end {
                    pg_guard_ffi_boundary(|| end(self.scan));
                }
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
            }
        }
    }
}

/// The columns of one row.
pub(super) struct Row<'a> {
    values: &'a [pg_sys::Datum],
    nulls: &'a [bool],
}

impl<'a> Row<'a> {
    /// The columns of a deformed row.
    ///
    /// # Safety
    /// The values are those of a row of the table that the caller reads, and live as long as the slices.
    pub(super) unsafe fn new(values: &'a [pg_sys::Datum], nulls: &'a [bool]) -> Self {
        Self { values, nulls }
    }

    /// The datum of a column, counted from 1.
    pub(super) fn datum(&self, column: usize) -> Option<pg_sys::Datum> {
        let is_null = self.nulls.get(column - 1).copied().unwrap_or(true);
        if is_null { None } else { self.values.get(column - 1).copied() }
    }

    /// A column of four bytes.
    pub(super) fn int4(&self, column: usize) -> i32 {
        // SAFETY: the column is of type integer.
        self.datum(column).and_then(|datum| unsafe { i32::from_datum(datum, false) }).unwrap_or(0)
    }

    /// A boolean column.
    pub(super) fn bool(&self, column: usize) -> bool {
        self.datum(column).is_some_and(|datum| datum.value() & 0xff != 0)
    }

    /// A column of eight bytes.
    pub(super) fn word(&self, column: usize) -> u64 {
        self.datum(column).map_or(0, |datum| datum.value() as u64)
    }

    /// The bytes of a text or bytea column. A detoasted copy is freed when the guard is dropped.
    pub(super) fn bytes(&self, column: usize) -> Bytes<'a> {
        // SAFETY: the column is a varlena, which lives as long as the row.
        unsafe { bytes_of(self.datum(column).unwrap_or(pg_sys::Datum::from(0_usize))) }
    }
}

/// One row of a scan.
pub(super) struct Tuple<'a> {
    slot: &'a pg_sys::TupleTableSlot,
    row: Row<'a>,
}

impl<'a> std::ops::Deref for Tuple<'a> {
    type Target = Row<'a>;

    fn deref(&self) -> &Self::Target {
        &self.row
    }
}

impl Tuple<'_> {
    fn new(slot: *mut pg_sys::TupleTableSlot) -> Self {
        // SAFETY: the slot holds a row; its columns are taken apart here and stay valid until the scan goes on.
        unsafe {
            let columns = (*(*slot).tts_tupleDescriptor).natts;
            if i32::from((*slot).tts_nvalid) < columns {
                pg_sys::slot_getsomeattrs_int(slot, columns);
            }
            let columns = usize::try_from(columns).unwrap_or(0);
            let values = std::slice::from_raw_parts((*slot).tts_values, columns);
            Self { slot: &*slot, row: Row::new(values, std::slice::from_raw_parts((*slot).tts_isnull, columns)) }
        }
    }

    /// The tuple id of the row: block and offset.
    pub(super) fn place(&self) -> (u32, u16) {
        pgrx::itemptr::item_pointer_get_both(self.slot.tts_tid)
    }

    /// The transaction, or the subtransaction, that wrote the row.
    pub(super) fn writer(&self) -> pg_sys::TransactionId {
        let slot = std::ptr::from_ref(self.slot).cast_mut();
        let attribute = pg_sys::MinTransactionIdAttributeNumber;
        let mut is_null = false;
        // SAFETY: the slot holds a row of a table; rows of tables have this attribute.
        let writer = unsafe {
            let read = (*self.slot.tts_ops).getsysattr;
            read.map(|read| pg_guard_ffi_boundary(|| read(slot, attribute, &raw mut is_null)))
        };
        writer.map_or(pg_sys::InvalidTransactionId, |datum| Xid::of(datum).0)
    }
}

/// The bytes of a varlena; none of a null pointer.
///
/// # Safety
/// The datum is a varlena that lives as long as the result.
pub(super) unsafe fn bytes_of<'a>(datum: pg_sys::Datum) -> Bytes<'a> {
    let stored = datum.cast_mut_ptr::<pg_sys::varlena>();
    if stored.is_null() {
        return Bytes { bytes: &[], owned: None };
    }
    // SAFETY: as the caller vouches; a detoasted copy lives as long as the guard.
    unsafe {
        // What is stored as it is needs no call.
        let plain = if pgrx::varatt_is_4b_u(stored) || (pgrx::varatt_is_1b(stored) && !pgrx::varatt_is_1b_e(stored)) {
            stored
        } else {
            pg_sys::pg_detoast_datum_packed(stored)
        };
        let length = pgrx::varsize_any_exhdr(plain);
        let bytes = std::slice::from_raw_parts(pgrx::vardata_any(plain).cast::<u8>(), length);
        Bytes { bytes, owned: (plain != stored).then_some(plain) }
    }
}

/// The bytes of a varlena.
pub(super) struct Bytes<'a> {
    bytes: &'a [u8],
    owned: Option<*mut pg_sys::varlena>,
}

impl<'a> Bytes<'a> {
    /// The bytes in place, if they are stored uncompressed and in line.
    pub(super) fn in_place(&self) -> Option<&'a [u8]> {
        self.owned.is_none().then_some(self.bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes
    }

    pub(super) fn as_str(&self) -> &str {
        // The extension lives in UTF8 databases only, whose text the server has checked.
        std::str::from_utf8(self.bytes).unwrap_or_default()
    }
}

impl Drop for Bytes<'_> {
    fn drop(&mut self) {
        if let Some(owned) = self.owned.filter(|_| !std::thread::panicking()) {
            // SAFETY: palloc'd by the detoasting.
            unsafe { pg_sys::pfree(owned.cast()) }
        }
    }
}

/// A datum of type `xid`. In a row its four bytes are sign-extended; pgrx's conversion rejects such a datum for
/// transaction ids of 2,147,483,648 and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Xid(pub(super) pg_sys::TransactionId);

impl Xid {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is the sign's")]
    fn of(datum: pg_sys::Datum) -> Self {
        Self(pg_sys::TransactionId::from(datum.value() as u32))
    }
}

impl FromDatum for Xid {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        (!is_null).then(|| Self::of(datum))
    }
}

/// A datum that SPI returns as 64 bits: `xid8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Xid8(pub(super) u64);

impl FromDatum for Xid8 {
    unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: pg_sys::Oid) -> Option<Self> {
        (!is_null).then_some(Self(datum.value() as u64))
    }
}

impl IntoDatum for Xid8 {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(pg_sys::Datum::from(self.0))
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::XID8OID
    }
}

/// A memory context for the values of a row, which is reset during a scan.
pub(crate) struct Scratch {
    context: pg_sys::MemoryContext,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        // SAFETY: a child of the current context, deleted with it at the latest.
        let context = unsafe {
            pg_sys::AllocSetContextCreateExtended(
                pg_sys::CurrentMemoryContext,
                c"kursaha_cohort row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            )
        };
        Self { context }
    }

    /// Calls a function with this context as the current one.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        // SAFETY: an error leaves the current context to the server's error handling, which sets its own.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.context);
            let result = work();
            pg_sys::MemoryContextSwitchTo(before);
            result
        }
    }

    pub(crate) fn clear(&self) {
        // SAFETY: nothing outside `run` points into it.
        unsafe { pg_sys::MemoryContextReset(self.context) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made in `new`, current nowhere.
            unsafe { pg_sys::MemoryContextDelete(self.context) }
        }
    }
}
