//! Which run is next: what the scheduler does at each tick, in transactions of its own, with the extension's rights.

use std::collections::HashSet;

use cohort_core::sync::LONGEST_WAIT;

use super::run;
use super::store::{self, Timing};
use crate::pg::errors::Fallible;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};

/// Claims of one tick: the others wait for the next.
const MOST: i64 = 100;

/// Seconds that a worker may take from its start to its first lock, and to its appearance among the processes.
const START: i32 = 20;
const APPEAR: i32 = 2;

/// Takes the lock that says a scheduler runs here; false: another one has it.
pub(crate) fn take_lock() -> Fallible<bool> {
    spi::one(Snapshot::Fresh, "SELECT pg_catalog.pg_try_advisory_lock($1, 0)", &[store::LOCKS.into()], |row| {
        row.need(1)
    })
}

/// Whether this server and database may be written to.
pub(crate) fn writable() -> Fallible<bool> {
    spi::one(
        Snapshot::Fresh,
        "SELECT NOT pg_catalog.pg_is_in_recovery() AND pg_catalog.current_setting('transaction_read_only') = 'off'",
        &[],
        |row| row.need(1),
    )
}

/// Makes runs of the syncs that are due or were asked for.
pub(crate) fn claim() -> Fallible<()> {
    struct Due {
        sync: i64,
        timing: Timing,
        at: Option<i64>,
        now: i64,
    }
    let due = spi::run(
        Snapshot::Fresh,
        "SELECT s.sync_id, s.frequency, s.at, s.timezone, (extract(epoch FROM s.anchor) * 1000000)::bigint, \
             (extract(epoch FROM s.due_at) * 1000000)::bigint, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint \
         FROM kursaha_cohort.sync s \
         WHERE s.run_id IS NULL AND (s.state = 'active' AND s.due_at <= clock_timestamp() \
             OR s.requested IS NOT NULL AND (s.state = 'active' OR s.state = 'held' AND s.forced)) AND s.home = $1 \
         ORDER BY s.due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        &[store::home().into(), MOST.into()],
        |row| Ok(Due { sync: row.need(1)?, timing: Timing::read(row, 2)?, at: row.get(6), now: row.need(7)? }),
    )?;
    for due in due {
        // The time that is claimed is moved on in the same statement: it cannot be claimed twice, whatever the clock does.
        // One that was missed is made up for once.
        let next = match due.timing.schedule() {
            Ok(schedule) => match due.at {
                Some(at) if at > due.now => Some(at),
                _ => schedule.next(due.now),
            },
            Err(bad) => {
                run::attention(due.sync, &format!("invalid schedule: {}", bad.problem), &bad.hint)?;
                store::tell(due.sync, None)?;
                continue;
            }
        };
        spi::touch(
            "WITH run AS ( \
                 INSERT INTO kursaha_cohort.sync_run (sync_id, state, cause, forced) \
                 SELECT s.sync_id, 'queued', coalesce(s.requested, 'schedule'), s.forced \
                 FROM kursaha_cohort.sync s WHERE s.sync_id = $1 AND s.run_id IS NULL RETURNING run_id \
             ) \
             UPDATE kursaha_cohort.sync s SET run_id = run.run_id, due_at = to_timestamp($2 / 1000000.0), requested = NULL, \
                 forced = false, state = 'active' \
             FROM run WHERE s.sync_id = $1 AND s.run_id IS NULL",
            &[due.sync.into(), next.into()],
        )?;
    }
    Ok(())
}

/// A run that a worker is to take up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) run: i64,
    pub(crate) sync: i64,
    pub(crate) destination: i64,
    /// The role that it connects as.
    pub(crate) role: pgrx::pg_sys::Oid,
}

/// Picks runs that may start now and marks them as running. Runs of one destination come one after the other.
pub(crate) fn start() -> Fallible<Vec<Start>> {
    let busy: Vec<i64> = spi::run(
        Snapshot::Fresh,
        "SELECT s.destination_id FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
         WHERE r.state = 'running' AND r.ended_at IS NULL",
        &[],
        |row| row.need(1),
    )?;
    let mut free = settings::max_sync_workers().saturating_sub(busy.len());
    let mut busy: HashSet<i64> = busy.into_iter().collect();
    if free == 0 {
        return Ok(Vec::new());
    }
    let waiting = spi::run(
        Snapshot::Fresh,
        "SELECT r.run_id, s.sync_id, s.destination_id, a.oid, s.owner::text, \
             coalesce(a.rolcanlogin AND pg_catalog.has_database_privilege(a.oid, pg_catalog.current_database(), 'CONNECT'), false), \
             coalesce(a.rolsuper, false) \
         FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
         LEFT JOIN pg_catalog.pg_roles a ON a.oid = kursaha_cohort.owner_role(s.owner) \
         WHERE r.ended_at IS NULL AND r.state IN ('queued', 'waiting') AND s.home = $1 \
           AND coalesce(r.resume_at, r.queued_at) NOT BETWEEN clock_timestamp() AND clock_timestamp() + $3 * interval '1 second' \
         ORDER BY coalesce(r.resume_at, r.queued_at), r.run_id LIMIT $2",
        // No wait is longer than that: beyond it the clock was set back, and what was to wait a moment would wait for hours.
        &[store::home().into(), MOST.into(), i64::try_from(LONGEST_WAIT + 60).unwrap_or(i64::MAX).into()],
        |row| {
            let role = row.get(4).unwrap_or(pgrx::pg_sys::InvalidOid);
            let start = Start { run: row.need(1)?, sync: row.need(2)?, destination: row.need(3)?, role };
            Ok((start, row.need::<String>(5)?, row.need::<bool>(6)?, row.need::<bool>(7)?))
        },
    )?;
    let mut starts = Vec::new();
    for (start, owner, allowed, superuser) in waiting {
        let refusal = if start.role == pgrx::pg_sys::InvalidOid {
            Some((
                format!("its owner, the role \"{owner}\", does not exist"),
                "Hand it over: SELECT cohort_sync_set_owner(cohort, destination, role).",
            ))
        } else if !allowed {
            Some((
                format!("its owner, the role \"{owner}\", may not connect to this database"),
                "GRANT CONNECT, or ALTER ROLE … LOGIN.",
            ))
        } else if superuser && !settings::allow_superuser_syncs() {
            Some((
                format!("its owner, the role \"{owner}\", is a superuser"),
                "Hand it over to an ordinary role: SELECT cohort_sync_set_owner(cohort, destination, role).",
            ))
        } else {
            None
        };
        if let Some((why, hint)) = refusal {
            run::refuse(start.run, why, hint)?;
            continue;
        }
        if free == 0 || !busy.insert(start.destination) {
            continue;
        }
        spi::touch(
            "UPDATE kursaha_cohort.sync_run SET state = 'running', started_at = coalesce(started_at, clock_timestamp()), \
                 resume_at = clock_timestamp() WHERE run_id = $1",
            &[start.run.into()],
        )?;
        free -= 1;
        starts.push(start);
    }
    Ok(starts)
}

/// Puts a run back that could not be taken up now, and says why.
pub(crate) fn put_back(run: i64, why: &str, hint: Option<&str>) -> Fallible<()> {
    spi::touch(
        "UPDATE kursaha_cohort.sync_run SET state = 'queued', resume_at = clock_timestamp() + interval '5 seconds', \
             error = $2, hint = $3 WHERE run_id = $1 AND state = 'running'",
        &[run.into(), why.into(), hint.into()],
    )?;
    Ok(())
}

/// Finds runs whose worker is gone although they did not end. `gone`: runs whose worker this scheduler saw end; `known`:
/// runs whose worker it knows to be there.
pub(crate) fn find_crashed(gone: &[i64], known: &[i64]) -> Fallible<()> {
    for run in gone {
        run::crashed(*run)?;
    }
    // Those of a scheduler before this one: they hold their lock as long as they are at work. Where there is no worker at
    // all, as after a crash of the server, none of them can be about to take it.
    let strange: Vec<i64> = spi::run(
        Snapshot::Fresh,
        "SELECT r.run_id FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
         WHERE r.state = 'running' AND r.ended_at IS NULL AND r.run_id <> ALL ($1) AND s.home = $3 \
           AND (r.resume_at NOT BETWEEN clock_timestamp() - make_interval(secs => CASE WHEN EXISTS ( \
                   SELECT FROM pg_catalog.pg_stat_activity a \
                   WHERE a.backend_type = 'kursaha_cohort sync' AND a.datname = current_database()) THEN $2 ELSE $5 END) AND clock_timestamp() \
               OR r.resume_at < pg_postmaster_start_time()) \
           AND pg_catalog.pg_try_advisory_xact_lock(($4::bigint << 32) | (s.sync_id & 4294967295))",
        &[known.to_vec().into(), START.into(), store::home().into(), store::LOCKS.into(), APPEAR.into()],
        |row| row.need(1),
    )?;
    for run in strange {
        run::crashed(run)?;
    }
    Ok(())
}

/// Takes the locks of a run for as long as this process lives; false: another one is at work on the sync or on its
/// destination.
pub(crate) fn lock_run(sync: i64, destination: i64) -> Fallible<bool> {
    spi::one(
        Snapshot::Fresh,
        "SELECT pg_catalog.pg_try_advisory_lock($1) AND pg_catalog.pg_try_advisory_lock($2)",
        &[store::sync_lock(sync).into(), store::destination_lock(destination).into()],
        |row| row.need(1),
    )
}
