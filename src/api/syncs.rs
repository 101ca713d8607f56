//! Syncs: create, update, pause, resume, drop, now, resync, preview, arm.

use cohort_core::sync::{RunMove, RunState, SyncMove, SyncState};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::with_owners_rights;
use crate::pg::errors::invalid;
use crate::pg::jsonb::Jsonb;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};
use crate::sync::store::{MOVED, moved};
use crate::sync::{self, priority, setup, store};

/// This server and database, as syncs remember where they may run.
#[pg_extern(sql = false)]
fn home() -> String {
    store::home()
}

/// Makes a sync and gives its id. Its first run is at the first due time.
#[pg_extern(volatile, parallel_unsafe, name = "cohort_sync_create")]
fn cohort_sync_create_following(
    cohort: Option<&str>,
    destination: Option<&str>,
    frequency: default!(Option<&str>, "'daily'"),
    at: default!(Option<&str>, "NULL"),
    timezone: default!(Option<&str>, "'UTC'"),
    priority: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let (Some(cohort), Some(destination), Some(frequency)) = (cohort, destination, frequency) else { return Ok(None) };
    let id = setup::create(cohort, destination, frequency, at, timezone.unwrap_or("UTC"))?;
    if let Some(list) = priority {
        priority::follow(id, list)?;
    }
    Ok(Some(id))
}

/// The same as 0.1.0 declares it.
#[pg_extern(sql = false)]
fn cohort_sync_create(
    cohort: Option<&str>,
    destination: Option<&str>,
    frequency: Option<&str>,
    at: Option<&str>,
    timezone: Option<&str>,
) -> Result<Option<i64>, ErrorReport> {
    cohort_sync_create_following(cohort, destination, frequency, at, timezone, None)
}

/// Changes when a sync runs and which priority list it follows. With a frequency, `at` is as given; without one, what is
/// NULL stays. An empty `priority` ends it.
#[pg_extern(volatile, parallel_unsafe, name = "cohort_sync_update")]
fn cohort_sync_update_following(
    cohort: Option<&str>,
    destination: Option<&str>,
    frequency: default!(Option<&str>, "NULL"),
    at: default!(Option<&str>, "NULL"),
    timezone: default!(Option<&str>, "NULL"),
    priority: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(None) };
    let sync = store::get_own_sync(cohort, destination)?;
    if frequency.is_none() && at.is_none() && timezone.is_none() && priority.is_none() {
        return Err(invalid("nothing to change").set_hint("Pass frequency, at, timezone or priority."));
    }
    if let Some(list) = priority {
        priority::follow(sync.id, list)?;
    }
    if frequency.is_none() && at.is_none() && timezone.is_none() {
        return Ok(Some(sync.id));
    }
    let mut timing = sync.timing.clone();
    timing.anchor = store::now();
    if let Some(frequency) = frequency {
        frequency.clone_into(&mut timing.frequency);
        timing.at = at.map(str::to_owned);
    } else if let Some(at) = at {
        timing.at = Some(at.to_owned());
    }
    if let Some(timezone) = timezone {
        timezone.clone_into(&mut timing.timezone);
    }
    setup::set_timing(sync.id, &timing)?;
    Ok(Some(sync.id))
}

/// The same as 0.1.0 declares it.
#[pg_extern(sql = false)]
fn cohort_sync_update(
    cohort: Option<&str>,
    destination: Option<&str>,
    frequency: Option<&str>,
    at: Option<&str>,
    timezone: Option<&str>,
) -> Result<Option<i64>, ErrorReport> {
    cohort_sync_update_following(cohort, destination, frequency, at, timezone, None)
}

/// Keeps a sync from running; a run under way stops after its batch.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_pause(cohort: Option<&str>, destination: Option<&str>) -> Result<(), ErrorReport> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(()) };
    let sync = store::get_sync_to_operate(cohort, destination)?;
    store::set_sync(
        sync.id,
        &format!("{MOVED}, why = 'paused by ' || session_user, hint = 'cohort_sync_resume'"),
        moved(SyncMove::Pause).into(),
    )
}

/// Lets a sync run again after a pause or after it stopped by itself. What stopped it, or was missed, is made up for at
/// once.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_resume(cohort: Option<&str>, destination: Option<&str>) -> Result<(), ErrorReport> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(()) };
    let sync = store::get_sync_to_operate(cohort, destination)?;
    if sync.state == SyncState::Active {
        return Ok(());
    }
    store::set_sync(
        sync.id,
        &format!(
            "{MOVED}, why = NULL, hint = NULL, failures = 0, crashes = 0, requested = coalesce(s.requested, \
             CASE WHEN s.state <> 'paused' OR (SELECT r.state = 'cancelled' FROM kursaha_cohort.sync_run r \
                  WHERE r.sync_id = s.sync_id ORDER BY r.run_id DESC LIMIT 1) THEN 'resume' END)"
        ),
        moved(SyncMove::Resume).into(),
    )
}

/// Ends a sync. What the destination has stays there.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_drop(cohort: Option<&str>, destination: Option<&str>) -> Result<(), ErrorReport> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(()) };
    let sync = store::get_own_sync(cohort, destination)?;
    with_owners_rights(|| {
        spi::touch("DELETE FROM kursaha_cohort.sync WHERE sync_id = $1", &[sync.id.into()])?;
        Ok(())
    })
}

/// Asks for a run out of turn; `force` lets it pass the guards. Says what will happen.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_now(
    cohort: Option<&str>,
    destination: Option<&str>,
    force: default!(bool, "false"),
) -> Result<Option<String>, ErrorReport> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(None) };
    let sync = store::get_own_sync(cohort, destination)?;
    sync.request(force)?;
    let (armed, problem): (bool, Option<String>) = spi::one(
        Snapshot::Fresh,
        "SELECT s.home = kursaha_cohort.home(), (SELECT w.what || '. ' || w.remedy FROM kursaha_cohort.worker_problem() w) \
         FROM kursaha_cohort.sync s WHERE s.sync_id = $1",
        &[sync.id.into()],
        |row| Ok((row.need(1)?, row.get(2))),
    )?;
    Ok(Some(if !armed {
        "requested, but the sync is disarmed: it was created on another server or database; cohort_sync_arm() allows it to run here"
            .to_owned()
    } else if let Some(problem) = problem {
        format!("requested, but {problem}")
    } else if !settings::sync_enabled() {
        "requested, but kursaha_cohort.sync_enabled is off: the sync runs when the setting is on".to_owned()
    } else if sync.run.is_some() {
        "requested: another run follows when the current run has ended".to_owned()
    } else {
        "requested".to_owned()
    }))
}

/// Makes the next run, which is requested at once, send every member again.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_resync(cohort: Option<&str>, destination: Option<&str>) -> Result<Option<String>, ErrorReport> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(None) };
    let sync = store::get_own_sync(cohort, destination)?;
    store::set_sync(sync.id, "again_below = nextval('kursaha_cohort.sync_batch_batch_id_seq')", Vec::new())?;
    cohort_sync_now(Some(cohort), Some(destination), false)
}

/// What a run would do now: how many members it would add and remove, how many are there already, and how many cannot be
/// sent, by reason. Sends nothing.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_sync_preview(
    cohort: Option<&str>,
    destination: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(adds, i64),
            name!(removes, i64),
            name!(unchanged, i64),
            name!(skipped, Jsonb),
            name!(held, Option<String>),
        ),
    >,
    ErrorReport,
> {
    let (Some(cohort), Some(destination)) = (cohort, destination) else { return Ok(TableIterator::empty()) };
    let place = store::get_place(destination)?;
    let known = store::find_sync(cohort, destination)?;
    if known.is_some() {
        store::get_sync_to_operate(cohort, destination)?;
    }
    let preview = sync::preview(cohort, &place, known.map(|sync| sync.id))?;
    let skipped = serde_json::Value::Object(preview.skipped.into_iter().map(|(why, n)| (why, n.into())).collect());
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(TableIterator::once((
        number(preview.adds),
        number(preview.removes),
        number(preview.unchanged),
        Jsonb::from(&skipped),
        preview.held,
    )))
}

/// Lets every sync run on this server and database: after a restore, when no other server feeds the same audiences. Every
/// profile is compared again. Gives how many syncs were armed.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_arm() -> Result<i64, ErrorReport> {
    let here = store::home();
    with_owners_rights(|| {
        let armed = spi::touch(
            "UPDATE kursaha_cohort.sync SET home = $1, run_id = NULL, mapping = NULL, updated_at = now() WHERE home <> $1",
            &[here.into()],
        )?;
        // Runs that the other server had under way are not this one's.
        spi::touch(
            "UPDATE kursaha_cohort.sync_run r SET state = $1, ended_at = clock_timestamp(), \
                 error = 'it was under way on the server that this one was restored from' \
             WHERE r.state = ANY ($2) AND r.ended_at IS NULL \
               AND NOT EXISTS (SELECT FROM kursaha_cohort.sync s WHERE s.run_id = r.run_id)",
            &[RunState::Cancelled.name().into(), RunMove::Cancel.from().into()],
        )?;
        Ok(i64::try_from(armed).unwrap_or(i64::MAX))
    })
}
