//! `cohort_sync_execute`: requests a run of one sync and waits for its end. If the server's workers run syncs, they
//! perform the run. Otherwise the calling session starts the worker of this run.
//!
//! The procedure commits between these functions: a worker sees only what is committed.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use cohort_core::sync::{Assignment, RunState};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::board;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};
use crate::sync::queue;
use crate::sync::store::{self, Sync};
use crate::worker::child::Child;
use crate::worker::{process, runner};

/// The time between two looks.
const NAP: Duration = Duration::from_millis(250);

thread_local! {
    /// The run whose worker this session starts next. It is kept here and not in SQL, where a caller could name another role.
    static PENDING: Cell<Option<Assignment>> = const { Cell::new(None) };
    /// What became of the last worker that this session started. It is recorded in the next transaction: the one in which
    /// the session waited has an old snapshot where the isolation level is REPEATABLE READ.
    static LAST: Cell<Option<Last>> = const { Cell::new(None) };
    /// What was reported last.
    static REPORTED: RefCell<String> = const { RefCell::new(String::new()) };
}

/// What became of the worker of a run.
#[derive(Clone, Copy)]
enum Last {
    Ended(i64),
    NotStarted(i64),
}

/// Asks for a run of a sync and gives the sync's last run before it, 0 for none.
#[pg_extern(sql = false)]
fn sync_request(cohort: Option<&str>, destination: Option<&str>, force: Option<bool>) -> Result<i64, ErrorReport> {
    // SAFETY: reads the state of the transaction.
    if unsafe { pg_sys::IsTransactionBlock() } {
        return Err(failure(
            SqlState::ERRCODE_ACTIVE_SQL_TRANSACTION,
            "cohort_sync_execute cannot run inside a transaction block",
        )
        .set_hint("Call it outside a transaction block, or request a run with cohort_sync_now."));
    }
    let (Some(cohort), Some(destination)) = (cohort, destination) else {
        return Err(invalid("cohort and destination must not be null"));
    };
    let sync = store::get_own_sync(cohort, destination)?;
    if !settings::sync_enabled() {
        return Err(failure(
            SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "kursaha_cohort.sync_enabled is off: no sync runs",
        )
        .set_hint("Set it to on and reload the server's settings."));
    }
    let (armed, last): (bool, Option<i64>) = with_owners_rights(|| {
        spi::one(
            Snapshot::Fresh,
            "SELECT s.home = $2, \
                 (SELECT max(r.run_id) FROM kursaha_cohort.sync_run r WHERE r.sync_id = $1) \
             FROM kursaha_cohort.sync s WHERE s.sync_id = $1",
            &[sync.id.into(), store::home().into()],
            |row| Ok((row.need(1)?, row.get(2))),
        )
    })?;
    if !armed {
        return Err(failure(SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, format!("{sync} is disarmed"))
            .set_detail("It was created on another server or database, which may still run it.")
            .set_hint("When the other one no longer runs syncs: SELECT cohort_sync_arm()."));
    }
    sync.request(force.unwrap_or(false))?;
    PENDING.set(None);
    LAST.set(None);
    REPORTED.take();
    Ok(last.unwrap_or(0))
}

/// A run as its caller sees it.
struct Run {
    id: i64,
    state: String,
    has_ended: bool,
    added: i64,
    removed: i64,
    rejected: i64,
    error: Option<String>,
    hint: Option<String>,
}

impl Run {
    /// The first run of a sync after another one.
    fn find(sync: &Sync, after: i64) -> Fallible<Option<Self>> {
        with_owners_rights(|| {
            spi::first(
                Snapshot::Fresh,
                "SELECT r.run_id, r.state, r.ended_at IS NOT NULL, r.added, r.removed, r.rejected, r.error, r.hint \
                 FROM kursaha_cohort.sync_run r WHERE r.sync_id = $1 AND r.run_id > $2 ORDER BY r.run_id LIMIT 1",
                &[sync.id.into(), after.into()],
                |row| {
                    Ok(Self {
                        id: row.need(1)?,
                        state: row.need(2)?,
                        has_ended: row.need(3)?,
                        added: row.need(4)?,
                        removed: row.need(5)?,
                        rejected: row.need(6)?,
                        error: row.get(7),
                        hint: row.get(8),
                    })
                },
            )
        })
    }

    /// Reports a state that was not reported yet.
    fn report(&self) {
        let error = self.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let text = format!("run {} is {}{error}", self.id, self.state);
        if REPORTED.replace(text.clone()) != text {
            pgrx::notice!("{text}");
        }
    }
}

/// Looks at the run that was asked for, and prepares its start where no worker of the server does. A run that did not
/// arrive is an error.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "pgrx finds no type by the name of an alias")]
fn sync_advance(
    cohort: &str,
    destination: &str,
    after: i64,
) -> Result<
    TableIterator<
        'static,
        (
            name!(ended, bool),
            name!(run_id, Option<i64>),
            name!(state, Option<String>),
            name!(added, Option<i64>),
            name!(removed, Option<i64>),
            name!(rejected, Option<i64>),
            name!(remark, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let sync = store::get_own_sync(cohort, destination)?;
    let run = Run::find(&sync, after)?;
    if let Some(run) = &run
        && run.has_ended
    {
        if !RunState::parse(&run.state).is_some_and(RunState::arrived) {
            let why = run.error.as_deref().unwrap_or("see cohort_sync_run");
            let report = failure(
                SqlState::ERRCODE_EXTERNAL_ROUTINE_EXCEPTION,
                format!("run {} of {sync} ended as {}: {why}", run.id, run.state),
            );
            return Err(match run.hint.as_deref() {
                Some(hint) => report.set_hint(hint.to_owned()),
                None => report,
            });
        }
        return Ok(TableIterator::once(progress(true, Some(run))));
    }
    if let Some(run) = &run {
        run.report();
    }
    if !board::workers_come() {
        let started = with_owners_rights(|| {
            match LAST.take() {
                // It is still marked as running if the worker ended without a word.
                Some(Last::Ended(run)) => queue::find_crashed(&[run], &[])?,
                Some(Last::NotStarted(run)) => queue::put_back(run, runner::NO_WORKER, Some(runner::RAISE))?,
                None => queue::find_crashed(&[], &[])?,
            }
            queue::claim(Some(sync.id))?;
            queue::start(Some(sync.id))
        })?;
        PENDING.set(started.into_iter().next());
    }
    Ok(TableIterator::once(progress(false, run.as_ref())))
}

type Progress = (bool, Option<i64>, Option<String>, Option<i64>, Option<i64>, Option<i64>, Option<String>);

fn progress(ended: bool, run: Option<&Run>) -> Progress {
    (
        ended,
        run.map(|run| run.id),
        run.map(|run| run.state.clone()),
        run.map(|run| run.added),
        run.map(|run| run.removed),
        run.map(|run| run.rejected),
        run.and_then(|run| run.error.clone()),
    )
}

/// Starts the worker of the run that [`sync_advance`] prepared and waits for its end; waits a moment if there is none.
#[pg_extern(sql = false)]
fn sync_attend() {
    let Some(assignment) = PENDING.take() else {
        nap();
        return;
    };
    let run = assignment.run;
    let Some(child) = runner::launch(assignment) else {
        LAST.set(Some(Last::NotStarted(run)));
        return;
    };
    let attended = Attended(child);
    while !attended.0.has_ended() {
        nap();
    }
    LAST.set(Some(Last::Ended(run)));
}

/// The worker of a run whose caller waits for it: it ends with the wait.
struct Attended(Child);

impl Drop for Attended {
    fn drop(&mut self) {
        if !self.0.has_ended() {
            self.0.terminate();
        }
    }
}

fn nap() {
    process::rest(NAP);
    pgrx::check_for_interrupts!();
}
