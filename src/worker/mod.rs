//! Background workers, if the library is preloaded. One launcher for the server starts workers in the databases with
//! the extension: a sealer if there are rows to seal, a scheduler if syncs are due, and a runner for each run of a
//! sync. All of them except the launcher exit when their work is done. Without preloading, `cohort_seal()` seals, and
//! `cohort_sync_execute` starts the worker of one run.

pub(crate) mod child;
mod database;
mod launcher;
mod problems;
pub(crate) mod process;
pub(crate) mod runner;
mod scheduler;
mod sealer;
mod trouble;

/// Registers the launcher; called while the server starts with the library among `shared_preload_libraries`.
pub(crate) fn register() {
    launcher::register();
}
