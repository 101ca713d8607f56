//! What runs by itself when the library is preloaded: one launcher for the server, and for each database that has the
//! extension one worker that seals and merges, one that schedules syncs, and one for each run of a sync. Without
//! preloading `cohort_seal()` does by hand what the sealer does, and no sync runs.

mod launcher;
mod runner;
mod scheduler;
mod sealer;

/// Registers the launcher; called while the server starts with the library among `shared_preload_libraries`.
pub(crate) fn register() {
    launcher::register();
}
