//! What runs by itself when the library is preloaded: one launcher for the server, which sends workers to the databases that
//! have the extension: a sealer where there is something to seal, a scheduler where syncs are due, and for each run of a
//! sync a worker of its own. All but the launcher end when they are done. Without preloading `cohort_seal()` does by hand
//! what the sealer does, and `cohort_sync_execute` starts the worker of one run.

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
