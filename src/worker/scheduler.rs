//! The scheduler: starts in a database with a due or requested sync. It creates runs, starts their workers, detects
//! workers that ended, and exits when no run is active.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cohort_core::sync::Assignment;
use pgrx::{FromDatum, pg_guard, pg_sys};

use super::child::Child;
use super::problems::{self, Problems};
use super::{process, runner, trouble};
use crate::pg::board::{self, Entry, Extension, Outcome};
use crate::pg::databases::{self, as_owner};
use crate::pg::errors::Fallible;
use crate::pg::locks::{Lock, keep_extension};
use crate::pg::settings;
use crate::pg::transaction::{Isolation, Trouble, attempt};
use crate::sync::queue::{self, Next};

/// Interval of the checks for due syncs.
const NAP: Duration = Duration::from_millis(250);
/// Interval of the checks for runs whose worker is not a child of this scheduler.
const SEARCH: Duration = Duration::from_secs(5);
/// How long the scheduler stays without work, and how close the next due run must be for it to stay.
const LINGER: Duration = Duration::from_secs(1);

/// Interval of the checks while syncs are switched off.
const SWITCHED_OFF: Duration = Duration::from_secs(10);

/// The scheduler's main function; the argument is the database's OID.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_scheduler(database: pg_sys::Datum) {
    // SAFETY: the launcher gave an OID.
    let database = unsafe { pg_sys::Oid::from_datum(database, false) }.unwrap_or(pg_sys::InvalidOid);
    process::begin(c"kursaha_cohort scheduler", database, pg_sys::InvalidOid);
    if let Some(entry) = board::mine() {
        let outcome = visit(entry);
        if !process::is_to_end() {
            entry.scheduler.say(outcome);
        }
    }
    process::end()
}

fn visit(entry: &Entry) -> Outcome {
    let begun = attempt(Isolation::ReadCommitted, || {
        let extension = databases::look()?;
        databases::note(entry, extension);
        let may = extension == Extension::Present;
        Ok((may, may && keep_extension() && Lock::Scheduler.try_take()?))
    });
    match begun {
        Ok((_, true)) => {}
        // Another scheduler is here, or the extension is being dropped: another look, soon.
        Ok((true, false)) => return Outcome::Unsaid,
        Ok((false, _)) => {
            // Whoever asked for a run is heard when workers may come again.
            entry.take_asked();
            return Outcome::Idle;
        }
        Err(trouble) => return failed(entry, &trouble),
    }
    let mut runners: HashMap<i64, Child> = HashMap::new();
    let mut searched: Option<Instant> = None;
    let mut busy_at = Instant::now();
    let mut worked = false;
    let mut problems = Problems::default();
    loop {
        let gone: Vec<i64> = runners.iter().filter(|(_, runner)| runner.has_ended()).map(|(run, _)| *run).collect();
        runners.retain(|run, _| !gone.contains(run));
        let known: Vec<i64> = runners.keys().copied().collect();
        let search = searched.is_none_or(|at| at.elapsed() >= SEARCH);
        let asked = entry.take_asked();
        let round = match attempt(Isolation::ReadCommitted, || round(&gone, &known, search || !gone.is_empty())) {
            Ok(Some(round)) => round,
            Ok(None) => return Outcome::Idle,
            Err(trouble) => return failed(entry, &trouble),
        };
        trouble::clear("scheduler");
        problems.look();
        if search {
            searched = Some(Instant::now());
        }
        if asked || !round.starts.is_empty() {
            busy_at = Instant::now();
        }
        for start in round.starts {
            worked = true;
            if let Some(runner) = runner::launch(start) {
                runners.insert(start.run, runner);
            } else {
                put_back(start.run);
            }
        }
        // There is no notification when syncs are switched on again.
        let earliest = if settings::sync_enabled() { 0 } else { board::now() + board::micros(SWITCHED_OFF) };
        let due = round.next.due.map(|due| due.max(earliest));
        entry.scheduler.set_due(due);
        let near = due.is_some_and(|due| due <= board::now() + board::micros(LINGER));
        if !round.next.running && !near && busy_at.elapsed() >= LINGER || process::is_to_leave() || !settings::enabled()
        {
            problems::tell();
            return if worked { Outcome::Worked } else { Outcome::Idle };
        }
        process::wait(NAP);
    }
}

struct Round {
    starts: Vec<Assignment>,
    next: Next,
}

/// Checks the syncs once; `None` if none can run.
fn round(gone: &[i64], known: &[i64], search: bool) -> Fallible<Option<Round>> {
    let extension = databases::look()?;
    if extension != Extension::Present || !keep_extension() {
        return Ok(None);
    }
    process::show(c"looking for syncs that are due");
    as_owner(|| {
        if search {
            queue::find_crashed(gone, known)?;
        }
        let mut starts = Vec::new();
        if settings::sync_enabled() {
            queue::claim(None)?;
            starts = queue::start(None)?;
        }
        Ok(Some(Round { starts, next: queue::next()? }))
    })
}

fn put_back(run: i64) {
    let done =
        attempt(Isolation::ReadCommitted, || as_owner(|| queue::put_back(run, runner::NO_WORKER, Some(runner::RAISE))));
    if let Err(trouble) = done {
        pgrx::warning!("kursaha_cohort scheduler: run {run} cannot be requeued: {}", trouble.message);
    }
}

fn failed(entry: &Entry, trouble: &Trouble) -> Outcome {
    trouble::keep("scheduler", trouble, entry.scheduler.failing_since().is_some());
    Outcome::Failed
}
