//! The launcher: starts a sealer or a scheduler in each database that needs one, in the order in which they are due.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, SignalWakeFlags};
use pgrx::pg_guard;
use pgrx::pg_sys;

use super::database::{Database, Kind};
use crate::pg::board;
use crate::pg::databases;
use crate::pg::locks;
use crate::pg::settings;

/// The longest sleep. The launcher is not notified when the clock is set or when databases are created and dropped.
const NAP: Duration = Duration::from_secs(2);
/// The same while a sealer runs, which can block a command on its database.
const WATCH: Duration = Duration::from_millis(500);
/// The shortest sleep, used when no background worker is free.
const SHORTEST: Duration = Duration::from_millis(100);
/// Deviation from the expected time beyond which the clock is assumed to have been set.
const CLOCK: i64 = 1_000_000;

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
    board::become_launcher();
    let mut launcher = Launcher::default();
    // At once at first: after a crash syncs and sealing wait for it.
    let mut nap = Duration::from_millis(1);
    while BackgroundWorker::wait_latch(Some(nap)) {
        if BackgroundWorker::sighup_received() {
            settings::reload();
        }
        let round = std::panic::AssertUnwindSafe(&mut launcher);
        nap = BackgroundWorker::transaction(move || {
            let round = round;
            round.0.round()
        });
    }
    // SAFETY: ends the process; the postmaster starts the launcher again unless the server shuts down.
    unsafe { pg_sys::proc_exit(1) }
}

#[derive(Default)]
struct Launcher {
    databases: HashMap<pg_sys::Oid, Database>,
    listed: Option<Instant>,
    /// The last time, by the clock and by the monotonic clock.
    clock: Option<(i64, Instant)>,
}

impl Launcher {
    /// Checks every database once. Returns the time to sleep.
    fn round(&mut self) -> Duration {
        let now = board::now();
        if self.clock_was_set(now) {
            self.databases.values_mut().for_each(Database::clock_was_set);
        }
        if board::take_unlisted() || self.listed.is_none_or(|at| at.elapsed() >= NAP) {
            self.list();
        }
        self.databases.values_mut().for_each(|database| database.reap(now));
        for database in self.databases.values().filter(|database| database.seals()) {
            if locks::is_wanted(database.oid) {
                database.call_off();
            }
        }
        if !settings::enabled() {
            return NAP;
        }
        self.send_all(now);
        let next = self
            .databases
            .values()
            .flat_map(|database| [database.due(Kind::Sealer), database.due(Kind::Scheduler)])
            .flatten()
            .min()
            .unwrap_or(i64::MAX);
        let longest = if self.sealers() > 0 { WATCH } else { NAP };
        Duration::from_micros(next.saturating_sub(board::now()).max(0).unsigned_abs()).clamp(SHORTEST, longest)
    }

    fn clock_was_set(&mut self, now: i64) -> bool {
        let was_set =
            self.clock.is_some_and(|(then, since)| (now - then - board::micros(since.elapsed())).abs() > CLOCK);
        self.clock = Some((now, Instant::now()));
        was_set
    }

    fn list(&mut self) {
        let found: HashSet<pg_sys::Oid> = databases::all().into_iter().collect();
        board::keep_entries(|oid| found.contains(&oid));
        self.databases.retain(|oid, _| found.contains(oid));
        let mut full = false;
        for oid in found {
            if let std::collections::hash_map::Entry::Vacant(place) = self.databases.entry(oid) {
                match board::entry(oid) {
                    Some(entry) => drop(place.insert(Database::new(oid, entry))),
                    None => full = true,
                }
            }
        }
        if board::note_full(full) && full {
            pgrx::ereport!(
                pgrx::PgLogLevel::WARNING,
                pgrx::PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                format!("kursaha_cohort launcher: the limit of {} databases is reached", self.databases.len()),
                "cohort_problem reports it in each database without workers. Call cohort_seal() there, or drop databases."
            );
        }
        self.listed = Some(Instant::now());
    }

    fn sealers(&self) -> usize {
        self.databases.values().filter(|database| database.seals()).count()
    }

    /// Starts workers in the databases that are due, in the order of their waiting time. The number of sealers is
    /// limited, so that other workers can start. Schedulers do not wait for sealers.
    fn send_all(&mut self, now: i64) {
        let mut due: Vec<(i64, pg_sys::Oid, Kind)> = self
            .databases
            .values()
            .flat_map(|database| {
                [Kind::Scheduler, Kind::Sealer]
                    .into_iter()
                    .filter_map(|kind| Some((database.due(kind)?, database.oid, kind)))
            })
            .filter(|(at, ..)| *at <= now)
            .collect();
        due.sort_by_key(|(at, oid, _)| (*at, oid.to_u32()));
        let mut turns = settings::max_sealers().saturating_sub(self.sealers());
        for (_, oid, kind) in due {
            if kind == Kind::Sealer && turns == 0 {
                continue;
            }
            let Some(database) = self.databases.get_mut(&oid) else { continue };
            // A new process would wait for the command, and keep others from their turn.
            if locks::is_wanted(oid) {
                continue;
            }
            if let Some(free) = database.send(kind) {
                tell(free);
            }
            if database.seals() && kind == Kind::Sealer {
                turns -= 1;
            }
        }
    }
}

/// Logs that no background worker is free, or that one is free again.
fn tell(free: bool) {
    if free {
        pgrx::log!("kursaha_cohort launcher: a background worker is free again");
    } else {
        pgrx::ereport!(
            pgrx::PgLogLevel::WARNING,
            pgrx::PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            "kursaha_cohort launcher: no background worker is free for a database",
            "Raise max_worker_processes, which needs a restart."
        );
    }
}
