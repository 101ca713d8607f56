//! How the end of an attempt is recorded: in which state it leaves the run and its sync.

use cohort_core::sync::{self as rules, MOST_ATTEMPTS, RunMove, RunState, SyncMove};
use pgrx::pg_sys::panic::ErrorReport;
use serde_json::json;

use super::batch::Counts;
use super::ending::Ending;
use super::store::{self, MOVED, moved};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::jsonb::Jsonb;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};

/// A run whose attempt ended.
struct Ended {
    run: i64,
    sync: i64,
    state: RunState,
    /// Attempts in a row at the same batch.
    attempts: i32,
    /// Runs of the sync in a row that failed.
    failures: i32,
}

/// Writes how an attempt ended.
pub(super) fn conclude(run: i64, ending: &Ending, counts: &Counts) -> Fallible<()> {
    let Some(ended) = Ended::find(run)? else { return Ok(()) };
    let attempts = ended.attempts;
    let seed = run.unsigned_abs();
    let nth = u32::try_from(attempts).unwrap_or(0);
    match ending {
        Ending::Gone => return Ok(()),
        Ending::Interrupted | Ending::Changed => return ended.later(RunMove::PutBack, None, 0, attempts),
        Ending::Throttled { why, seconds } => {
            let millis = rules::throttle(*seconds, settings::retry_base(), nth, seed);
            // Not a failure; but where it does not say for how long, the waits grow.
            let attempts = if seconds.is_some() { attempts } else { (attempts + 1).min(MOST_ATTEMPTS - 1) };
            return ended.later(RunMove::Wait, Some(why), millis, attempts);
        }
        Ending::Retry { why } if attempts + 1 < MOST_ATTEMPTS => {
            let millis = rules::backoff(settings::retry_base(), nth, seed);
            return ended.later(RunMove::Wait, Some(why), millis, attempts + 1);
        }
        Ending::Retry { why } => {
            ended.end(RunMove::Fail, Some(why), None, counts)?;
            ended.log("failed", why, None)?;
        }
        Ending::Failed { why, hint } => {
            ended.end(RunMove::Fail, Some(why), hint.as_deref(), counts)?;
            ended.log("failed", why, hint.as_deref())?;
        }
        Ending::Attention { why, hint } => {
            ended.end(RunMove::Fail, Some(why), Some(hint), counts)?;
            attention(ended.sync, why, hint)?;
            ended.log("failed", why, Some(hint))?;
        }
        Ending::Success { remark } => ended.succeed(remark.as_deref(), counts)?,
        Ending::Partial { why } => ended.end(RunMove::Defer, Some(why), None, counts)?,
        Ending::Held { why } => {
            let hint = "If this is intended, call cohort_sync_now(…, force => true). Otherwise correct the cohort, then call cohort_sync_resume.";
            ended.end(RunMove::Hold, Some(why), Some(hint), counts)?;
        }
        Ending::Cancelled { why } => ended.end(RunMove::Cancel, Some(why), None, counts)?,
        Ending::Paused => ended.end(RunMove::Cancel, Some("the sync was paused"), None, counts)?,
    }
    store::tell(ended.sync, Some(run))
}

/// Ends a run that cannot even begin before someone acts.
pub(super) fn refuse(run: i64, why: String, hint: &str) -> Fallible<()> {
    conclude(run, &Ending::Attention { why, hint: hint.to_owned() }, &Counts::default())
}

/// Leaves a sync to a person, unless one has paused it.
pub(super) fn attention(sync: i64, why: &str, hint: &str) -> Fallible<()> {
    let [from, to] = moved(SyncMove::NeedAttention);
    spi::touch(
        &format!(
            "UPDATE kursaha_cohort.sync s SET {MOVED}, why = $4, hint = $5 WHERE s.sync_id = $1 AND s.state = ANY ($2)"
        ),
        &[sync.into(), from, to, why.into(), hint.into()],
    )?;
    Ok(())
}

impl Ended {
    fn find(run: i64) -> Fallible<Option<Self>> {
        spi::first(
            Snapshot::Fresh,
            "SELECT s.sync_id, r.state, r.attempts, s.failures FROM kursaha_cohort.sync_run r \
             JOIN kursaha_cohort.sync s ON s.run_id = r.run_id WHERE r.run_id = $1 FOR UPDATE OF s",
            &[run.into()],
            |row| {
                let state = row.need::<String>(2)?;
                let state = RunState::parse(&state).ok_or_else(|| unexpected(run, &state))?;
                Ok(Self { run, sync: row.need(1)?, state, attempts: row.need(3)?, failures: row.need(4)? })
            },
        )
    }

    fn after(&self, by: RunMove) -> Fallible<RunState> {
        self.state.after(by).ok_or_else(|| unexpected(self.run, self.state.name()))
    }

    /// Leaves the run to be taken up again.
    fn later(&self, by: RunMove, why: Option<&str>, millis: u64, attempts: i32) -> Fallible<()> {
        spi::touch(
            "UPDATE kursaha_cohort.sync_run SET state = $2, error = $3, attempts = $4, \
                 resume_at = clock_timestamp() + $5 * interval '1 millisecond' WHERE run_id = $1",
            &[
                self.run.into(),
                self.after(by)?.name().into(),
                why.into(),
                attempts.into(),
                i64::try_from(millis).unwrap_or(i64::MAX).into(),
            ],
        )?;
        Ok(())
    }

    fn succeed(&self, remark: Option<&str>, counts: &Counts) -> Fallible<()> {
        let refused: i64 = spi::one(
            Snapshot::Fresh,
            "SELECT rejected FROM kursaha_cohort.sync_run WHERE run_id = $1",
            &[self.run.into()],
            |row| row.need(1),
        )?;
        if refused == 0 {
            return self.end(RunMove::Succeed, remark, None, counts);
        }
        let why = format!("the destination refused {refused} of the members; the others were sent");
        let hint = "cohort_sync_rejected shows the members and the reasons. They are sent again when their profile changes, or after cohort_sync_resync.";
        self.end(RunMove::Succeed, Some(&why), Some(hint), counts)
    }

    /// Ends the run, and says of its sync what that means.
    fn end(&self, by: RunMove, why: Option<&str>, hint: Option<&str>, counts: &Counts) -> Fallible<()> {
        let Self { run, sync, .. } = *self;
        let state = self.after(by)?;
        spi::touch(
            "UPDATE kursaha_cohort.sync_run SET state = $2, ended_at = clock_timestamp(), resume_at = NULL, \
                 error = CASE WHEN $6 THEN NULL ELSE $3 END, hint = $4, \
                 skipped = CASE WHEN $5 = '{}' THEN skipped ELSE $5 END WHERE run_id = $1",
            &[
                run.into(),
                state.name().into(),
                why.into(),
                hint.into(),
                Jsonb::from(&json!(counts.skipped)).into(),
                (state == RunState::Success).into(),
            ],
        )?;
        if state.arrived() {
            // Whatever was uncertain has been sent again, or taken away.
            spi::touch("DELETE FROM kursaha_cohort.sync_batch WHERE sync_id = $1", &[sync.into()])?;
            spi::touch(
                "UPDATE kursaha_cohort.sync SET mapping = $2 WHERE sync_id = $1",
                &[sync.into(), counts.mapping.into()],
            )?;
        }
        let failures = if state.arrived() {
            0
        } else if state == RunState::Failed {
            self.failures + 1
        } else {
            self.failures
        };
        let [from, to] = moved(SyncMove::Ended(state));
        spi::touch(
            &format!(
                "UPDATE kursaha_cohort.sync s SET run_id = NULL, crashes = 0, failures = $4, why = $5, hint = $6, {MOVED}, \
                     delivered = CASE WHEN (SELECT r.batches = 0 FROM kursaha_cohort.sync_run r WHERE r.run_id = $7) THEN s.delivered \
                         WHEN $8 IS NOT NULL THEN $8 \
                         ELSE (SELECT count(*) FROM kursaha_cohort.sync_member m WHERE m.sync_id = s.sync_id AND NOT m.leaving \
                             AND m.batch_id <> ALL (ARRAY(SELECT b.batch_id FROM kursaha_cohort.sync_batch b WHERE b.sync_id = s.sync_id))) END \
                 WHERE s.sync_id = $1"
            ),
            &[sync.into(), from, to, failures.into(), why.into(), hint.into(), run.into(), counts.delivered.into()],
        )?;
        if failures >= rules::MOST_FAILURES {
            let why = format!("{failures} runs failed in a row; the last: {}", why.unwrap_or_default());
            attention(sync, &why, hint.unwrap_or("See cohort_sync_run, then cohort_sync_resume."))?;
        }
        spi::touch(
            "DELETE FROM kursaha_cohort.sync_run r WHERE r.sync_id = $1 AND r.ended_at < now() - make_interval(mins => $2)",
            &[sync.into(), settings::history_retention_minutes().into()],
        )?;
        Ok(())
    }

    /// One line in the server's log: which sync, what happened, and what to do.
    fn log(&self, what: &str, why: &str, hint: Option<&str>) -> Fallible<()> {
        let names = spi::first(
            Snapshot::Fresh,
            "SELECT format('cohort %s to %s', to_json(c.name), to_json(d.name)) FROM kursaha_cohort.sync s \
             JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) WHERE s.sync_id = $1",
            &[self.sync.into()],
            |row| row.need::<String>(1),
        )?
        .unwrap_or_default();
        let hint = hint.unwrap_or("See cohort_sync_status.");
        pgrx::log!("kursaha_cohort: the sync of {names} {what} (run {}): {why}. {hint}", self.run);
        Ok(())
    }
}

fn unexpected(run: i64, state: &str) -> ErrorReport {
    failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("run {run} is in the unexpected state \"{state}\""))
}

/// Records that the worker of a run ended without a word; after some such ends in a row the sync is left alone.
pub(crate) fn crashed(run: i64) -> Fallible<()> {
    let Some((crashes, ended)) = spi::first(
        Snapshot::Fresh,
        "UPDATE kursaha_cohort.sync s SET crashes = crashes + 1 FROM kursaha_cohort.sync_run r \
         WHERE r.run_id = $1 AND s.run_id = r.run_id AND r.state = $2 \
         RETURNING s.crashes, s.sync_id, r.attempts, s.failures",
        &[run.into(), RunState::Running.name().into()],
        |row| {
            let ended = Ended {
                run,
                sync: row.need(2)?,
                state: RunState::Running,
                attempts: row.need(3)?,
                failures: row.need(4)?,
            };
            Ok((row.need::<i32>(1)?, ended))
        },
    )?
    else {
        return Ok(());
    };
    let why = "the worker of the run exited unexpectedly: it was terminated, or it or the server crashed";
    if crashes < rules::MOST_CRASHES {
        let nth = u32::try_from(crashes - 1).unwrap_or(0);
        let millis = rules::backoff(settings::retry_base() / 10, nth, run.unsigned_abs());
        return ended.later(RunMove::Wait, Some(why), millis, ended.attempts);
    }
    spi::touch(
        "UPDATE kursaha_cohort.sync_run SET state = $2, ended_at = clock_timestamp(), error = $3 WHERE run_id = $1",
        &[run.into(), ended.after(RunMove::Crash)?.name().into(), why.into()],
    )?;
    let [from, to] = moved(SyncMove::Quarantine);
    spi::touch(
        &format!("UPDATE kursaha_cohort.sync s SET {MOVED}, run_id = NULL, why = $4, hint = $5 WHERE s.sync_id = $1"),
        &[
            ended.sync.into(),
            from,
            to,
            format!("its runs crashed {crashes} times in a row").into(),
            "See the server's log, then call cohort_sync_resume.".into(),
        ],
    )?;
    ended.log("was left alone", why, Some("Find out why its workers ended, then call cohort_sync_resume."))?;
    store::tell(ended.sync, Some(run))
}
