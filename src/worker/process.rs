//! The start of every worker of a database, and the signals that end it.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use crate::pg::locks;
use crate::pg::transaction::{Isolation, attempt};

// PostgreSQL 18 gave the server's function a name of its own, beside that of its programs.
#[cfg(not(feature = "pg18"))]
use pg_sys::pqsignal;
#[cfg(feature = "pg18")]
use pg_sys::pqsignal_be as pqsignal;

/// Connects to a database as a role (OID 0: as the bootstrap superuser). Shows the worker's name and database in
/// `pg_stat_activity` and in the list of processes.
pub(super) fn begin(name: &CStr, database: pg_sys::Oid, role: pg_sys::Oid) {
    // SAFETY: handlers that set flags and nothing else: a termination or a cancellation is heard wherever interrupts are
    // checked. The name is a setting of this process alone; the database has a name while it is connected to.
    unsafe {
        pqsignal(libc::SIGHUP, Some(on_reload));
        pqsignal(libc::SIGTERM, Some(on_terminate));
        pqsignal(libc::SIGINT, Some(on_cancel));
        pg_sys::BackgroundWorkerUnblockSignals();
        pg_sys::BackgroundWorkerInitializeConnectionByOid(database, role, 0);
        let (context, source) = (pg_sys::GucContext::PGC_USERSET, pg_sys::GucSource::PGC_S_OVERRIDE);
        pg_sys::SetConfigOption(c"application_name".as_ptr(), name.as_ptr(), context, source);
    }
    let database = attempt(Isolation::ReadCommitted, || {
        // SAFETY: inside a transaction; null or a string in its memory.
        let name = unsafe { pg_sys::get_database_name(database) };
        // SAFETY: as above.
        Ok(if name.is_null() { CString::default() } else { unsafe { CStr::from_ptr(name) }.to_owned() })
    });
    if let Ok(database) = database {
        // SAFETY: copies the text.
        unsafe { pg_sys::set_ps_display(database.as_ptr()) }
    }
}

/// Shows the current task in `pg_stat_activity`, without names and values.
pub(super) fn show(what: &CStr) {
    // SAFETY: copies the text.
    unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, what.as_ptr()) }
}

/// Whether this process was signalled to end.
pub(super) fn is_to_end() -> bool {
    // SAFETY: a flag that a signal handler sets.
    unsafe { (&raw const pg_sys::ProcDiePending).read_volatile() != 0 }
}

/// Whether this process was signalled to end, or blocks a command on its database. Called outside of any transaction.
pub(super) fn is_to_leave() -> bool {
    // SAFETY: a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId };
    is_to_end() || attempt(Isolation::ReadCommitted, || Ok(locks::is_wanted(database))).unwrap_or(true)
}

/// Waits until this process is woken, but at most for a moment.
pub(crate) fn rest(moment: std::time::Duration) {
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let timeout = core::ffi::c_long::try_from(moment.as_millis()).unwrap_or(core::ffi::c_long::MAX);
    // SAFETY: this process's latch.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events.cast_signed(), timeout, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
}

/// Waits for a moment, and rereads the configuration file if it was signalled to.
pub(super) fn wait(moment: std::time::Duration) {
    rest(moment);
    // SAFETY: a flag of this process.
    unsafe {
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            pg_sys::ConfigReloadPending = 0;
            crate::pg::settings::reload();
        }
    }
    if !is_to_end() {
        // What other processes wait for, such as the end of a dropped database's files.
        pgrx::check_for_interrupts!();
    }
}

/// Exits the process. The server continues.
pub(super) fn end() -> ! {
    // SAFETY: ends the process.
    unsafe { pg_sys::proc_exit(0) };
    // The declaration of 18 does not say so.
    #[cfg(feature = "pg18")]
    unreachable!("proc_exit returned")
}

unsafe extern "C-unwind" fn on_reload(_signal: core::ffi::c_int) {
    // SAFETY: a flag and this process's latch.
    unsafe {
        (&raw mut pg_sys::ConfigReloadPending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}

unsafe extern "C-unwind" fn on_terminate(_signal: core::ffi::c_int) {
    // SAFETY: as above.
    unsafe {
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
        (&raw mut pg_sys::ProcDiePending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}

unsafe extern "C-unwind" fn on_cancel(_signal: core::ffi::c_int) {
    // SAFETY: as above.
    unsafe {
        (&raw mut pg_sys::InterruptPending).write_volatile(1);
        (&raw mut pg_sys::QueryCancelPending).write_volatile(1);
        pg_sys::SetLatch(pg_sys::MyLatch);
    }
}
