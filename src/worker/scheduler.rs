//! The scheduler of one database: makes runs of the syncs that are due, starts their workers and notices when one of
//! them is gone.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker,
    SignalWakeFlags,
};
use pgrx::{FromDatum, pg_guard, pg_sys};

use crate::pg::errors::Fallible;
use crate::pg::transaction::{Isolation, attempt};
use crate::pg::{databases, settings};
use crate::sync::queue::{self, Start};

/// How often it looks.
const NAP: Duration = Duration::from_millis(250);
/// How often it looks for runs whose worker it does not know.
const SEARCH: Duration = Duration::from_secs(5);

/// What is said of a run for which there is no worker, and what helps.
const NO_WORKER: &str = "no background worker is free";
const RAISE: &str =
    "It starts as soon as one is. Raise max_worker_processes, which needs a restart, if that takes long.";

/// The scheduler's main function; the argument is the database's OID.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_scheduler(database: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // SAFETY: the launcher gave an OID.
    let database = unsafe { pg_sys::Oid::from_datum(database, false) }.unwrap_or(pg_sys::InvalidOid);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    let mut runners: HashMap<i64, DynamicBackgroundWorker> = HashMap::new();
    let mut searched: Option<Instant> = None;
    let mut locked = false;
    while BackgroundWorker::wait_latch(Some(NAP)) {
        if BackgroundWorker::sighup_received() {
            settings::reload();
        }
        if !settings::enabled() {
            break;
        }
        if !locked {
            match tick(queue::take_lock) {
                Some(true) => locked = true,
                _ => break,
            }
        }
        let gone: Vec<i64> = runners
            .iter()
            .filter(|(_, runner)| matches!(runner.pid(), Err(BackgroundWorkerStatus::Stopped)))
            .map(|(run, _)| *run)
            .collect();
        runners.retain(|run, _| !gone.contains(run));
        let known: Vec<i64> = runners.keys().copied().collect();
        let search = searched.is_none_or(|at| at.elapsed() >= SEARCH);
        let found = tick(|| {
            if !databases::has_extension() {
                return Ok(None);
            }
            if !queue::writable()? {
                return Ok(Some(Vec::new()));
            }
            databases::as_owner(|| {
                if search || !gone.is_empty() {
                    queue::find_crashed(&gone, &known)?;
                }
                queue::claim()?;
                queue::start().map(Some)
            })
        });
        // The extension is gone, or something is wrong here: the launcher looks again after a rest.
        let Some(Some(starts)) = found else { break };
        if search {
            searched = Some(Instant::now());
        }
        for start in starts {
            if let Some(runner) = launch(database, start) {
                runners.insert(start.run, runner);
            } else {
                tick(|| databases::as_owner(|| queue::put_back(start.run, NO_WORKER, Some(RAISE))));
            }
        }
    }
    // SAFETY: ends the process; the launcher starts another one when there is need.
    unsafe { pg_sys::proc_exit(0) }
}

/// Runs something in a transaction; an error goes to the log.
fn tick<T>(work: impl FnOnce() -> Fallible<T>) -> Option<T> {
    attempt(Isolation::ReadCommitted, work)
        .inspect_err(|trouble| pgrx::log!("kursaha_cohort scheduler: {}", trouble.message))
        .ok()
}

fn launch(database: pg_sys::Oid, start: Start) -> Option<DynamicBackgroundWorker> {
    let extra =
        format!("{} {} {} {} {}", database.to_u32(), start.role.to_u32(), start.run, start.sync, start.destination);
    BackgroundWorkerBuilder::new("kursaha_cohort sync")
        .set_type("kursaha_cohort sync")
        .set_library("kursaha_cohort")
        .set_function("kursaha_cohort_runner")
        .enable_shmem_access(None)
        .enable_spi_access()
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(None)
        .set_extra(&extra)
        // SAFETY: reads a variable of this process.
        .set_notify_pid(unsafe { pg_sys::MyProcPid })
        .load_dynamic()
        .ok()
}
