//! The sealer of one database: seals when the tail is long or old, and merges.

use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, SignalWakeFlags};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{FromDatum, pg_guard, pg_sys};

use crate::pg::errors::Fallible;
use crate::pg::{databases, index, retain, settings};

/// The sealer's main function; the argument is the database's OID.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_sealer(database: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // SAFETY: the launcher gave an OID.
    let database = unsafe { pg_sys::Oid::from_datum(database, false) };
    BackgroundWorker::connect_worker_to_spi_by_oid(database, None);
    let mut sealed = Instant::now();
    while BackgroundWorker::wait_latch(Some(settings::seal_interval().min(Duration::from_secs(1)))) {
        if BackgroundWorker::sighup_received() {
            settings::reload();
        }
        // Ended, and not asleep: the launcher looks again, and an idle connection would keep the database from being
        // dropped.
        if !settings::enabled() || !BackgroundWorker::transaction(databases::has_extension) {
            break;
        }
        retain::work(&BackgroundWorker::worker_continue);
        let due = sealed.elapsed() >= settings::seal_interval();
        let pending = transaction(|| index::pending(settings::seal_rows()));
        if pending >= settings::seal_rows() || (due && pending > 0) {
            transaction(index::seal_only);
            sealed = Instant::now();
            // One merge a transaction: nobody waits for more than one.
            while transaction(index::merge_next) {
                if !BackgroundWorker::worker_continue() {
                    break;
                }
            }
        }
    }
    // SAFETY: ends the process; the launcher starts another one when there is need.
    unsafe { pg_sys::proc_exit(0) }
}

/// Runs something in a transaction of its own, as the extension's owner. An error ends the process: what it wrote is
/// undone, the launcher starts another one after a rest, and the log says why.
fn transaction<T: Default>(work: impl FnOnce() -> Fallible<T>) -> T {
    let work = std::panic::AssertUnwindSafe(work);
    BackgroundWorker::transaction(|| {
        let work = work;
        let result = databases::as_owner(work.0);
        result.unwrap_or_else(|error: ErrorReport| std::panic::panic_any(error))
    })
}
