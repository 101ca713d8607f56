//! `kursaha_cohort`: customer cohorts inside PostgreSQL. This file is the table of contents; `docs/ARCHITECTURE.md`
//! says what lives where.

mod api;
mod definitions;
mod pg;
mod sync;
mod wire;
mod worker;

pgrx::pg_module_magic!();

/// Shared memory, where the library is preloaded.
static AREAS: [&pg::shared::Area; 3] = [&pg::index::HINTS, &pg::board::BOARD, &pg::seats::SEATS];

/// Runs once when the library is loaded into a backend or the postmaster.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::settings::register();
    pg::planner::register();
    pg::errors::leave_backtraces_out();
    // SAFETY: reads variables of the server, which has one thread here. pg_upgrade has read which transaction comes next
    // when it starts a server: nothing may write then. A single-user server has no workers.
    let preloads = unsafe {
        pgrx::pg_sys::process_shared_preload_libraries_in_progress
            && pgrx::pg_sys::IsPostmasterEnvironment
            && !pgrx::pg_sys::IsBinaryUpgrade
    };
    if preloads {
        pg::shared::register(&AREAS);
        worker::register();
    }
}
