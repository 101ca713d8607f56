//! The reasons why no background worker serves this database.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::pg::board::{self, Extension};
use crate::pg::settings;
use crate::pg::time;
use crate::pg::version;

/// Whether the library is preloaded.
#[pg_extern(sql = false)]
fn is_preloaded() -> bool {
    board::is_preloaded()
}

/// Whether syncs run.
#[pg_extern(sql = false)]
fn sync_enabled() -> bool {
    settings::sync_enabled()
}

/// When the first row was committed that no worker has sealed yet.
#[pg_extern(sql = false)]
fn unsealed_since() -> Option<TimestampWithTimeZone> {
    board::mine().and_then(board::Entry::written_since).and_then(timestamp)
}

/// The version of this library.
#[pg_extern(sql = false)]
fn library_version() -> &'static str {
    version::LIBRARY
}

/// The version of the format in which this library writes segments. `sql/version.sql` declares it.
#[pg_extern(sql = false)]
fn segment_format() -> i32 {
    i32::from(cohort_core::segment::FORMAT)
}

/// The first reason why no worker comes here, or none does its work: what, since when, and what helps. No row where all
/// is well.
#[pg_extern(sql = false)]
fn worker_problem()
-> TableIterator<'static, (name!(what, String), name!(since, Option<TimestampWithTimeZone>), name!(remedy, String))> {
    TableIterator::new(problem().map(|(what, since, remedy)| (what, since.and_then(timestamp), remedy)))
}

fn problem() -> Option<(String, Option<i64>, String)> {
    let say = |what: &str, since, remedy: &str| Some((what.to_owned(), since, remedy.to_owned()));
    if !board::is_preloaded() {
        let remedy = "Add kursaha_cohort to shared_preload_libraries and restart the server. Until then cohort_seal() seals, and \
                      CALL cohort_sync_execute(cohort, destination) runs a sync.";
        return say("no worker runs: kursaha_cohort is not among shared_preload_libraries", None, remedy);
    }
    if !settings::enabled() {
        let remedy = "Set it to on in postgresql.conf and reload, or ALTER DATABASE … RESET kursaha_cohort.enabled.";
        return say("no worker runs: kursaha_cohort.enabled is off", None, remedy);
    }
    if !board::has_launcher() {
        // SAFETY: a variable of the server.
        return if unsafe { pg_sys::RecoveryInProgress() } {
            say("no worker runs: this server is a standby", None, "The primary seals, and runs syncs.")
        } else {
            say(
                "no worker runs: the launcher is not running",
                None,
                "The server restarts it within seconds. If it does not, see the server's log.",
            )
        };
    }
    let Some(entry) = board::mine() else {
        let most = board::too_many()?;
        let what = format!("no worker runs in this database: the server has more than {most} databases");
        return say(&what, None, "Call cohort_seal() here, or drop databases that are not needed.");
    };
    if let Some(since) = entry.no_worker_since() {
        let most = max_worker_processes();
        let remedy = format!("Raise max_worker_processes (now {most}), which needs a restart.");
        return Some(("no worker runs in this database: no background worker is free".to_owned(), Some(since), remedy));
    }
    if entry.extension() == Extension::ReadOnly {
        let remedy = "ALTER DATABASE … RESET default_transaction_read_only.";
        return say("no worker runs in this database: its transactions are read-only", None, remedy);
    }
    if entry.extension() == Extension::OtherVersion {
        let remedy = "ALTER EXTENSION kursaha_cohort UPDATE; if the library is older, restart the server.";
        return say(
            "no worker runs in this database: the library and the extension have different versions",
            None,
            remedy,
        );
    }
    for (visits, name) in [(&entry.sealer, "sealer"), (&entry.scheduler, "scheduler")] {
        if let Some(since) = visits.failing_since() {
            let what = format!("the {name} fails");
            return say(&what, Some(since), "SELECT * FROM cohort_problem; the server's log may say more.");
        }
    }
    None
}

/// Microseconds since 1970 as a timestamp.
fn timestamp(at: i64) -> Option<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(time::to_postgres(cohort_core::time::Micros(at))).ok()
}

fn max_worker_processes() -> i32 {
    // SAFETY: a variable of the server.
    unsafe { pg_sys::max_worker_processes }
}
