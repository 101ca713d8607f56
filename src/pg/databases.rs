//! What the workers ask about databases and the extension in them.

use pgrx::pg_sys;

use super::errors::Fallible;
use super::spi::{self, Snapshot};

/// The databases that a worker may connect to. Needs no database of its own: the table is shared.
pub(crate) fn all() -> Vec<pg_sys::Oid> {
    let mut found = Vec::new();
    // SAFETY: inside a transaction of a process that has no database; the scan reads rows of pg_database as the
    // struct that describes them.
    unsafe {
        let table = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock.cast_signed());
        let scan = pg_sys::table_beginscan_catalog(table, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            #[expect(clippy::cast_ptr_alignment, reason = "a row's columns begin aligned for any of them")]
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if row.datallowconn && !row.datistemplate {
                found.push(row.oid);
            }
        }
        pg_sys::heap_endscan(scan);
        pg_sys::table_close(table, pg_sys::AccessShareLock.cast_signed());
    }
    found
}

/// Whether the extension is in the current database.
pub(crate) fn has_extension() -> bool {
    // SAFETY: a catalog look-up inside a transaction; missing_ok avoids an error.
    unsafe { pg_sys::get_extension_oid(c"kursaha_cohort".as_ptr(), true) != pg_sys::InvalidOid }
}

/// Runs something with the rights of the extension's owner and no others; gives nothing when the extension was dropped a
/// moment ago. For workers.
pub(crate) fn as_owner<T: Default>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    if has_extension() { with_owners_rights(work) } else { Ok(T::default()) }
}

/// Runs something with the rights of the extension's owner and no others. What the caller may do was checked before.
pub(crate) fn with_owners_rights<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let owner = spi::one(
        Snapshot::Callers,
        "SELECT extowner FROM pg_catalog.pg_extension WHERE extname = 'kursaha_cohort'",
        &[],
        |row| row.need::<pg_sys::Oid>(1),
    )?;
    // SAFETY: an error that unwinds puts the rights back with the (sub)transaction that it aborts.
    unsafe {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
        let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
        pg_sys::SetUserIdAndSecContext(owner, context | restricted.cast_signed());
        let result = work();
        pg_sys::SetUserIdAndSecContext(user, context);
        result
    }
}
