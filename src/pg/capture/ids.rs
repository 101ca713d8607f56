//! Ids of captured events: they are taken from the sequence of `cohort_event`, and ids that exist in the table are
//! skipped.

use pgrx::pg_sys;

use super::server;

/// Where ids come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ids {
    pub(super) sequence: pg_sys::Oid,
    /// The primary key, whose entries show which ids are taken.
    pub(super) key: pg_sys::Oid,
    /// Ids up to this one may be taken: the greatest in the table when an id of the sequence was found to be.
    pub(super) taken: i64,
}

/// The sequence's next id that is not known to be taken. After a restore of data alone the sequence may be behind.
///
/// # Safety
/// The relation is the event table, open.
pub(super) unsafe fn free(ids: &Ids, relation: pg_sys::Relation) -> i64 {
    loop {
        pgrx::check_for_interrupts!();
        let id = server::next_value(ids.sequence);
        // SAFETY: as the caller says.
        if id > ids.taken || !unsafe { taken(ids.key, relation, id) } {
            return id;
        }
    }
}

/// The greatest id in the primary key, whether its row is visible or not.
///
/// # Safety
/// The relation is open, and the index its primary key.
pub(super) unsafe fn highest(key: pg_sys::Oid, relation: pg_sys::Relation) -> i64 {
    // SAFETY: the index is a b-tree on the id alone; its tuples are valid until the scan's next step.
    unsafe {
        let index = pg_sys::index_open(key, pg_sys::AccessShareLock.cast_signed());
        let scan = begin_scan(relation, index, 0);
        (*scan).xs_want_itup = true;
        pg_sys::index_rescan(scan, std::ptr::null_mut(), 0, std::ptr::null_mut(), 0);
        let found = pg_sys::index_getnext_tid(scan, pg_sys::ScanDirection::BackwardScanDirection);
        let mut highest = i64::MIN;
        if !found.is_null() && !(*scan).xs_itup.is_null() {
            // The only column, which is never NULL, follows the tuple's header.
            highest = (*scan).xs_itup.add(1).cast::<i64>().read_unaligned();
        }
        pg_sys::index_endscan(scan);
        pg_sys::index_close(index, pg_sys::AccessShareLock.cast_signed());
        highest
    }
}

/// Whether an id has an entry in the primary key.
unsafe fn taken(key: pg_sys::Oid, relation: pg_sys::Relation, id: i64) -> bool {
    // SAFETY: as in `highest`.
    unsafe {
        let index = pg_sys::index_open(key, pg_sys::AccessShareLock.cast_signed());
        let scan = begin_scan(relation, index, 1);
        let mut wanted = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &raw mut wanted,
            1,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::Oid::from(pg_sys::F_INT8EQ),
            pg_sys::Datum::from(id),
        );
        pg_sys::index_rescan(scan, &raw mut wanted, 1, std::ptr::null_mut(), 0);
        let found = pg_sys::index_getnext_tid(scan, pg_sys::ScanDirection::ForwardScanDirection);
        pg_sys::index_endscan(scan);
        pg_sys::index_close(index, pg_sys::AccessShareLock.cast_signed());
        !found.is_null()
    }
}

unsafe fn begin_scan(relation: pg_sys::Relation, index: pg_sys::Relation, keys: i32) -> pg_sys::IndexScanDesc {
    // SAFETY: both are open; the snapshot is not used, since only the index is read.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return pg_sys::index_beginscan(relation, index, &raw mut pg_sys::SnapshotAnyData, keys, 0);
        #[cfg(feature = "pg18")]
        return pg_sys::index_beginscan(
            relation,
            index,
            &raw mut pg_sys::SnapshotAnyData,
            std::ptr::null_mut(),
            keys,
            0,
        );
    }
}
