//! The launcher: keeps one sealer and one scheduler per database that has the extension.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker,
    SignalWakeFlags,
};
use pgrx::pg_guard;
use pgrx::pg_sys;

use crate::pg::databases;
use crate::pg::settings;

/// How often databases are looked at.
const NAP: Duration = Duration::from_secs(2);
/// How long a database is left alone after its worker ended: it has no extension, or something is wrong there.
const REST: Duration = Duration::from_secs(10);
/// How long a sealer is there after which it has found the extension.
const STAYS: Duration = Duration::from_secs(1);

pub(super) fn register() {
    BackgroundWorkerBuilder::new("kursaha_cohort launcher")
        .set_type("kursaha_cohort launcher")
        .set_library("kursaha_cohort")
        .set_function("kursaha_cohort_launcher")
        .enable_shmem_access(None)
        .enable_spi_access()
        // Not on a standby, where nothing can be sealed; a promotion starts it.
        .set_start_time(BgWorkerStartTime::RecoveryFinished)
        .set_restart_time(Some(Duration::from_secs(5)))
        .load();
}

/// The launcher's main function.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_launcher(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // No database: the list of databases is shared.
    BackgroundWorker::connect_worker_to_spi(None, None);
    let mut sealers: HashMap<pg_sys::Oid, Started> = HashMap::new();
    let mut schedulers: HashMap<pg_sys::Oid, Started> = HashMap::new();
    // At once at first: after a crash syncs and sealing wait for it.
    let mut nap = Duration::from_millis(1);
    while BackgroundWorker::wait_latch(Some(nap)) {
        nap = NAP;
        if BackgroundWorker::sighup_received() {
            settings::reload();
        }
        if !settings::enabled() {
            continue;
        }
        let found = BackgroundWorker::transaction(databases::all);
        for workers in [&mut sealers, &mut schedulers] {
            workers.retain(|database, worker| found.contains(database) && !(worker.gone() && worker.rested()));
        }
        for database in found {
            // Without a free slot there is no worker now, and another try after the rest.
            let sealer = sealers.entry(database).or_insert_with(|| Started::new(database, "sealer"));
            // A sealer that stays is one that found the extension.
            if !sealer.gone() && sealer.at.elapsed() >= STAYS {
                schedulers.entry(database).or_insert_with(|| Started::new(database, "scheduler"));
            }
        }
    }
    // SAFETY: ends the process; the postmaster starts the launcher again unless the server shuts down.
    unsafe { pg_sys::proc_exit(1) }
}

/// A worker that was started, or could not be.
struct Started {
    worker: Option<DynamicBackgroundWorker>,
    at: Instant,
}

impl Started {
    fn new(database: pg_sys::Oid, what: &str) -> Self {
        let worker = BackgroundWorkerBuilder::new(&format!("kursaha_cohort {what}"))
            .set_type(&format!("kursaha_cohort {what}"))
            .set_library("kursaha_cohort")
            .set_function(&format!("kursaha_cohort_{what}"))
            .enable_shmem_access(None)
            .enable_spi_access()
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(None)
            .set_argument(Some(pg_sys::Datum::from(database)))
            .load_dynamic()
            .ok();
        Self { worker, at: Instant::now() }
    }

    fn gone(&self) -> bool {
        self.worker.as_ref().is_none_or(|worker| matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped)))
    }

    fn rested(&self) -> bool {
        self.at.elapsed() >= REST
    }
}
