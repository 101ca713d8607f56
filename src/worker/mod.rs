//! What runs by itself when the library is preloaded: one launcher for the server, and for each database that has the
//! extension one worker that seals and merges. Without preloading `cohort_seal()` does the same by hand.

mod launcher;
mod sealer;

/// Registers the launcher; called while the server starts with the library among `shared_preload_libraries`.
pub(crate) fn register() {
    launcher::register();
}
