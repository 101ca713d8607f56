//! The worker of one run: connects as the sync's owner, performs the run, and exits.

use cohort_core::sync::Assignment;
use pgrx::bgworkers::BackgroundWorker;
use pgrx::{pg_guard, pg_sys};

use super::child::{Child, Start};
use super::process;
use crate::pg::databases;
use crate::pg::transaction::{Isolation, attempt};
use crate::sync::{queue, run};

/// The remark and the hint for a run that waits for a background worker.
pub(crate) const NO_WORKER: &str = "no background worker is free";
pub(crate) const RAISE: &str =
    "It starts as soon as one is. Raise max_worker_processes, which needs a restart, if that takes long.";

/// Starts the worker of a run; `None`: no background worker is free.
pub(crate) fn launch(assignment: Assignment) -> Option<Child> {
    Child::start(&Start {
        name: "kursaha_cohort sync",
        function: "kursaha_cohort_runner",
        argument: pg_sys::Datum::from(0_usize),
        extra: &assignment.to_string(),
    })
}

/// The runner's main function. The worker's extra text contains the run.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_runner(_argument: pg_sys::Datum) {
    let Assignment { database, role, run, sync, destination } = match BackgroundWorker::get_extra().parse() {
        Ok(assignment) => assignment,
        Err(refused) => {
            pgrx::warning!("kursaha_cohort sync: {refused}");
            process::end();
        }
    };
    process::begin(c"kursaha_cohort sync", database.into(), role.into());
    match attempt(Isolation::ReadCommitted, || queue::lock_run(sync, destination)) {
        Ok(true) => {
            process::show(c"running a sync");
            run::perform(run);
        }
        Ok(false) => {
            let why = "another run of this sync or its destination is in progress";
            if let Err(trouble) =
                attempt(Isolation::ReadCommitted, || databases::as_owner(|| queue::put_back(run, why, None)))
            {
                pgrx::warning!("kursaha_cohort sync: run {run} cannot be requeued: {}", trouble.message);
            }
        }
        Err(trouble) => pgrx::warning!("kursaha_cohort sync: run {run} cannot begin: {}", trouble.message),
    }
    process::end()
}
