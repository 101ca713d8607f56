//! Which run is next: what the scheduler does at each tick, in transactions of its own, with the extension's rights.

use cohort_core::sync::{Assignment, LONGEST_WAIT, RunMove, RunState, SyncMove};

use super::finish;
use super::store::{self, MOVED, Timing, moved};
use crate::pg::errors::Fallible;
use crate::pg::locks::Lock;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};

/// Claims of one tick: the others wait for the next.
const MOST: i64 = 100;

/// Seconds that a worker may take from its start to its first lock, and to its appearance among the processes.
const START: i32 = 20;
const APPEAR: i32 = 2;

/// Makes runs of the syncs that are due or were asked for; of one sync alone, if `only` names it.
pub(crate) fn claim(only: Option<i64>) -> Fallible<()> {
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
             AND ($3 IS NULL OR s.sync_id = $3) \
         ORDER BY s.due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
        &[store::home().into(), MOST.into(), only.into()],
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
                finish::attention(due.sync, &format!("invalid schedule: {}", bad.problem), &bad.hint)?;
                store::tell(due.sync, None)?;
                continue;
            }
        };
        let [from, to] = moved(SyncMove::Claim);
        spi::touch(
            &format!(
                "WITH run AS ( \
                     INSERT INTO kursaha_cohort.sync_run (sync_id, state, cause, forced) \
                     SELECT s.sync_id, $5, coalesce(s.requested, 'schedule'), s.forced \
                     FROM kursaha_cohort.sync s WHERE s.sync_id = $1 AND s.run_id IS NULL RETURNING run_id \
                 ) \
                 UPDATE kursaha_cohort.sync s SET run_id = run.run_id, due_at = to_timestamp($4 / 1000000.0), requested = NULL, \
                     forced = false, {MOVED} \
                 FROM run WHERE s.sync_id = $1 AND s.run_id IS NULL"
            ),
            &[due.sync.into(), from, to, next.into(), RunState::Queued.name().into()],
        )?;
    }
    Ok(())
}

/// A run that waits for a worker.
struct Waiting {
    start: Assignment,
    owner: String,
    may_connect: bool,
    superuser: bool,
}

impl Waiting {
    /// Why it cannot begin before someone acts, and what helps.
    fn refusal(&self) -> Option<(String, &'static str)> {
        let owner = &self.owner;
        if self.start.role == 0 {
            let hint = "Change its owner: SELECT cohort_sync_set_owner(cohort, destination, role).";
            return Some((format!("its owner, the role \"{owner}\", does not exist"), hint));
        }
        if !self.may_connect {
            let hint = "GRANT CONNECT, or ALTER ROLE … LOGIN.";
            return Some((format!("its owner, the role \"{owner}\", may not connect to this database"), hint));
        }
        if self.superuser && !settings::allow_superuser_syncs() {
            let hint = "Transfer it to an ordinary role: SELECT cohort_sync_set_owner(cohort, destination, role).";
            return Some((format!("its owner, the role \"{owner}\", is a superuser"), hint));
        }
        None
    }
}

/// Picks runs that may start now and marks them as running. Runs of one destination come one after the other: of each
/// destination that is free the oldest run, so that a long queue for one keeps no other waiting. `only`
/// names the one sync whose run may start.
pub(crate) fn start(only: Option<i64>) -> Fallible<Vec<Assignment>> {
    let running: i64 = spi::one(
        Snapshot::Fresh,
        "SELECT count(*) FROM kursaha_cohort.sync_run r WHERE r.state = 'running' AND r.ended_at IS NULL",
        &[],
        |row| row.need(1),
    )?;
    let free = settings::max_sync_workers().saturating_sub(usize::try_from(running).unwrap_or(usize::MAX));
    if free == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: a variable of this process, which is connected to a database.
    let database = unsafe { pgrx::pg_sys::MyDatabaseId }.to_u32();
    let waiting = spi::run(
        Snapshot::Fresh,
        "SELECT w.run_id, w.sync_id, w.destination_id, a.oid, w.owner::text, \
             coalesce(a.rolcanlogin AND pg_catalog.has_database_privilege(a.oid, pg_catalog.current_database(), 'CONNECT'), false), \
             coalesce(a.rolsuper, false) \
         FROM ( \
             SELECT DISTINCT ON (s.destination_id) r.run_id, s.sync_id, s.destination_id, s.owner, \
                 coalesce(r.resume_at, r.queued_at) AS since \
             FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
             WHERE r.ended_at IS NULL AND r.state IN ('queued', 'waiting') AND s.home = $1 \
               AND coalesce(r.resume_at, r.queued_at) NOT BETWEEN clock_timestamp() AND clock_timestamp() + $3 * interval '1 second' \
               AND ($4 IS NULL OR s.sync_id = $4) \
               AND s.destination_id <> ALL (ARRAY( \
                   SELECT b.destination_id FROM kursaha_cohort.sync_run o JOIN kursaha_cohort.sync b USING (run_id) \
                   WHERE o.state = 'running' AND o.ended_at IS NULL)) \
             ORDER BY s.destination_id, coalesce(r.resume_at, r.queued_at), r.run_id \
         ) w LEFT JOIN pg_catalog.pg_roles a ON a.oid = kursaha_cohort.owner_role(w.owner) \
         ORDER BY w.since, w.run_id LIMIT $2",
        // No wait is longer than that: beyond it the clock was set back, and what was to wait a moment would wait for hours.
        &[store::home().into(), MOST.into(), i64::try_from(LONGEST_WAIT + 60).unwrap_or(i64::MAX).into(), only.into()],
        |row| {
            let role = row.get::<pgrx::pg_sys::Oid>(4).map_or(0, pgrx::pg_sys::Oid::to_u32);
            let start = Assignment { database, role, run: row.need(1)?, sync: row.need(2)?, destination: row.need(3)? };
            Ok(Waiting { start, owner: row.need(5)?, may_connect: row.need(6)?, superuser: row.need(7)? })
        },
    )?;
    let mut starts = Vec::new();
    for waiting in waiting {
        let run = waiting.start.run;
        if let Some((why, hint)) = waiting.refusal() {
            finish::refuse(run, why, hint)?;
            continue;
        }
        if starts.len() == free {
            break;
        }
        // A scheduler and cohort_sync_execute may have found the same run.
        let taken = spi::touch(
            "UPDATE kursaha_cohort.sync_run SET state = $2, started_at = coalesce(started_at, clock_timestamp()), \
                 resume_at = clock_timestamp() WHERE run_id = $1 AND state = ANY ($3)",
            &[run.into(), RunState::Running.name().into(), RunMove::Start.from().into()],
        )?;
        if taken > 0 {
            starts.push(waiting.start);
        }
    }
    Ok(starts)
}

/// Puts a run back that could not be taken up now, and says why.
pub(crate) fn put_back(run: i64, why: &str, hint: Option<&str>) -> Fallible<()> {
    spi::touch(
        "UPDATE kursaha_cohort.sync_run SET state = $4, resume_at = clock_timestamp() + interval '5 seconds', \
             error = $2, hint = $3 WHERE run_id = $1 AND state = ANY ($5)",
        &[run.into(), why.into(), hint.into(), RunState::Queued.name().into(), RunMove::PutBack.from().into()],
    )?;
    Ok(())
}

/// Finds runs whose worker is gone although they did not end. `gone`: runs whose worker this scheduler saw end; `known`:
/// runs whose worker it knows to be there.
pub(crate) fn find_crashed(gone: &[i64], known: &[i64]) -> Fallible<()> {
    for run in gone {
        finish::crashed(*run)?;
    }
    // Those of a scheduler before this one: they hold their lock as long as they are at work. Where there is no worker at
    // all, as after a crash of the server, none of them can be about to take it.
    let strange: Vec<(i64, i64)> = spi::run(
        Snapshot::Fresh,
        "SELECT r.run_id, s.sync_id FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
         WHERE r.state = 'running' AND r.ended_at IS NULL AND r.run_id <> ALL ($1) AND s.home = $3 \
           AND (r.resume_at NOT BETWEEN clock_timestamp() - make_interval(secs => CASE WHEN EXISTS ( \
                   SELECT FROM pg_catalog.pg_stat_activity a \
                   WHERE a.backend_type = 'kursaha_cohort sync' AND a.datname = current_database()) THEN $2 ELSE $4 END) AND clock_timestamp() \
               OR r.resume_at < pg_postmaster_start_time()) \
         ORDER BY r.run_id",
        &[known.to_vec().into(), START.into(), store::home().into(), APPEAR.into()],
        |row| Ok((row.need(1)?, row.need(2)?)),
    )?;
    for (run, sync) in strange {
        // Taken and given back one by one: the server's table of locks is small.
        if Lock::Sync(sync).is_free()? {
            finish::crashed(run)?;
        }
    }
    Ok(())
}

/// Takes the locks of a run for as long as this process lives; false: another one is at work on the sync or on its
/// destination.
pub(crate) fn lock_run(sync: i64, destination: i64) -> Fallible<bool> {
    if !Lock::Sync(sync).try_take()? {
        return Ok(false);
    }
    let alone = Lock::Destination(destination).try_take()?;
    if !alone {
        Lock::Sync(sync).give_back()?;
    }
    Ok(alone)
}

/// What a scheduler has to wait for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Next {
    /// Whether a run is at work, or seems to be.
    pub(crate) running: bool,
    /// When the next run is due, in microseconds since 1970.
    pub(crate) due: Option<i64>,
}

/// What there is to wait for.
pub(crate) fn next() -> Fallible<Next> {
    spi::one(
        Snapshot::Fresh,
        "SELECT EXISTS (SELECT FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
                        WHERE r.state = 'running' AND r.ended_at IS NULL AND s.home = $1), \
             (extract(epoch FROM least( \
                 (SELECT min(s.due_at) FROM kursaha_cohort.sync s WHERE s.state = 'active' AND s.run_id IS NULL AND s.home = $1), \
                 (SELECT clock_timestamp() FROM kursaha_cohort.sync s WHERE s.requested IS NOT NULL AND s.run_id IS NULL AND s.home = $1 \
                      AND (s.state = 'active' OR s.state = 'held' AND s.forced) LIMIT 1), \
                 (SELECT min(coalesce(r.resume_at, r.queued_at)) FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s USING (run_id) \
                  WHERE r.ended_at IS NULL AND r.state IN ('queued', 'waiting') AND s.home = $1))) * 1000000)::bigint",
        &[store::home().into()],
        |row| Ok(Next { running: row.need(1)?, due: row.get(2) }),
    )
}
