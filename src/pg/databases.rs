//! Queries of the workers about databases and the extension in them.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;

use super::board::{Entry, Extension};
use super::errors::{Fallible, SqlState, failure};
use super::spi::{self, Snapshot};
use super::version::Fit;
use super::{extension, settings, version};

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

/// What a worker finds in its database.
pub(crate) fn look() -> Fallible<Extension> {
    Ok(if !settings::enabled() {
        Extension::SwitchedOff
    } else if !has_extension() {
        Extension::Absent
    } else if !writable()? {
        Extension::ReadOnly
    } else if version::fit() != Fit::Same {
        Extension::OtherVersion
    } else {
        Extension::Present
    })
}

/// Tells the launcher what a worker found, and the log where it is that library and extension do not fit together.
pub(crate) fn note(entry: &Entry, found: Extension) {
    if found == Extension::OtherVersion
        && entry.extension() != found
        && let Some((what, remedy)) = version::problem()
    {
        failure(SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, format!("no worker runs in this database: {what}"))
            .set_hint(remedy)
            .report(pgrx::PgLogLevel::WARNING);
    }
    entry.set_extension(found);
}

/// Whether this server and database may be written to.
fn writable() -> Fallible<bool> {
    spi::one(
        Snapshot::Fresh,
        "SELECT NOT pg_catalog.pg_is_in_recovery() AND pg_catalog.current_setting('transaction_read_only') = 'off'",
        &[],
        |row| row.need(1),
    )
}

/// Runs something with the rights of the extension's owner and no others; gives nothing when the extension was dropped a
/// moment ago. For workers.
pub(crate) fn as_owner<T: Default>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    if has_extension() { with_owners_rights(work) } else { Ok(T::default()) }
}

/// Runs something with the rights of the extension's owner and no others. What the caller may do was checked before.
///
/// Only statements on the extension's internal tables belong here, on which nobody else may put triggers. A statement on
/// any other table, `cohort_event` and `cohort_customer` included, would run code of the roles that hold TRIGGER on it
/// with the rights of the extension's owner.
pub(crate) fn with_owners_rights<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let owner = extension::owner()?;
    let before = Rights::now();
    let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    // SAFETY: the rights come back when `before` goes.
    unsafe { pg_sys::SetUserIdAndSecContext(owner, before.context | restricted.cast_signed()) };
    work()
}

/// Runs something with the rights of a role and no others, as if that role had called it. What it does may run code that
/// others planted, triggers for instance: it cannot take on the rights of the session's user, nor leave anything to the
/// end of the transaction, when those are back.
pub(crate) fn with_rights_of<T>(role: pg_sys::Oid, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let before = Rights::now();
    let restricted = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    // SAFETY: the rights come back when `before` goes.
    unsafe { pg_sys::SetUserIdAndSecContext(role, before.context | restricted.cast_signed()) };
    work()
}

/// Runs one statement on internal tables with the rights of the extension's owner; gives how many rows it touched.
pub(crate) fn write(sql: &str, args: &[DatumWithOid<'_>]) -> Fallible<u64> {
    with_owners_rights(|| spi::touch(sql, args))
}

/// The current role. Call it outside of [`with_owners_rights`].
pub(crate) fn current_user() -> pg_sys::Oid {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetUserId() }
}

/// The rights of a moment. They come back when this goes, also when an error unwinds.
struct Rights {
    user: pg_sys::Oid,
    context: i32,
}

impl Rights {
    fn now() -> Self {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        // SAFETY: writes to the two variables.
        unsafe { pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context) };
        Self { user, context }
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        // SAFETY: both were the process's own a moment ago.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
    }
}
