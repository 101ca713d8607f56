//! `kursaha_cohort`: customer cohorts inside PostgreSQL. This file is the table of contents; `docs/ARCHITECTURE.md`
//! says what lives where.

mod api;
mod pg;
mod sync;
mod wire;
mod worker;

pgrx::pg_module_magic!();

pgrx::extension_sql_file!("../sql/tables.sql", name = "tables", bootstrap);
pgrx::extension_sql_file!("../sql/helpers.sql", name = "helpers", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/index.sql", name = "index", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/triggers.sql", name = "triggers", requires = ["tables", "index"]);
pgrx::extension_sql_file!("../sql/cascade.sql", name = "cascade", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/views.sql", name = "views", requires = ["tables", "triggers"]);
pgrx::extension_sql_file!("../sql/status.sql", name = "status", requires = ["index", "views"]);
pgrx::extension_sql_file!("../sql/sync.sql", name = "sync", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/track.sql", name = "track", requires = ["tables", "triggers", "sync"]);
pgrx::extension_sql_file!("../sql/capture.sql", name = "capture", requires = ["tables", "triggers", "track"]);
pgrx::extension_sql_file!("../sql/finish.sql", name = "finish", finalize);

/// Runs once when the library is loaded into a backend or the postmaster.
#[pgrx::pg_guard]
pub extern "C-unwind" fn _PG_init() {
    pg::settings::register();
    // SAFETY: reads a variable of the server, which has one thread here.
    if unsafe { pgrx::pg_sys::process_shared_preload_libraries_in_progress } {
        pg::index::preload();
        worker::register();
    }
}
