//! The worker of one run: connects as the sync's owner, takes the run up, and ends.

use pgrx::bgworkers::BackgroundWorker;
use pgrx::{pg_guard, pg_sys};

use crate::pg::databases;
use crate::pg::transaction::{Isolation, attempt};
use crate::sync::{queue, run};

// PostgreSQL 18 gave the server's function a name of its own, beside that of its programs.
#[cfg(not(feature = "pg18"))]
use pg_sys::pqsignal;
#[cfg(feature = "pg18")]
use pg_sys::pqsignal_be as pqsignal;

/// The runner's main function. What it is to do stands in the worker's extra text: the OIDs of database and role, the
/// run, the sync and the destination.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_runner(_argument: pg_sys::Datum) {
    // SAFETY: handlers that set flags and nothing else: a termination or a cancellation is heard wherever interrupts are
    // checked.
    unsafe {
        pqsignal(libc::SIGHUP, Some(on_reload));
        pqsignal(libc::SIGTERM, Some(on_terminate));
        pqsignal(libc::SIGINT, Some(on_cancel));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let extra = BackgroundWorker::get_extra();
    let mut words = extra.split(' ');
    let mut number = || words.next().and_then(|word| word.parse::<i64>().ok()).unwrap_or(0);
    let (database, role, run, sync, destination) = (number(), number(), number(), number(), number());
    let oid = |number: i64| pg_sys::Oid::from(u32::try_from(number).unwrap_or(0));
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(oid(database)), Some(oid(role)));
    match attempt(Isolation::ReadCommitted, || queue::lock_run(sync, destination)) {
        Ok(true) => run::perform(run),
        Ok(false) => {
            let why = "another run of this sync or its destination is at work";
            if let Err(trouble) =
                attempt(Isolation::ReadCommitted, || databases::as_owner(|| queue::put_back(run, why, None)))
            {
                pgrx::log!("kursaha_cohort: run {run} cannot be put back: {}", trouble.message);
            }
        }
        Err(trouble) => pgrx::log!("kursaha_cohort: run {run} cannot begin: {}", trouble.message),
    }
    // SAFETY: ends the process. With code 0 or 1 the server goes on.
    unsafe { pg_sys::proc_exit(0) }
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
