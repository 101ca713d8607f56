//! `kursaha_cohort`: customer cohorts inside PostgreSQL. This file is the table of contents; `docs/ARCHITECTURE.md`
//! says what lives where.

mod api;
mod pg;
mod sync;
mod wire;
mod worker;

pgrx::pg_module_magic!();

/// Runs once when the library is loaded into a backend or the postmaster.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::settings::register();
    pg::planner::register();
    pg::errors::leave_backtraces_out();
    // SAFETY: reads a variable of the server, which has one thread here.
    if unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress } {
        pg::index::preload();
        worker::register();
    }
}
