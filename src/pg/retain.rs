//! Retention: deletes events that are older than the interval of their policy, one range of pages at a time.
//!
//! A policy is carried out with the rights of the role that set it and no others, so that triggers on `cohort_event` run
//! as if that role had deleted the events itself. What is gone is taken out of the segments in the same transaction: the
//! log of removals keeps nothing of it.

use pgrx::datum::Interval;
use pgrx::pg_sys;
use pgrx::prelude::TimestampWithTimeZone;

use super::databases::{as_owner, current_user, with_owners_rights, with_rights_of, write};
use super::errors::{Fallible, SqlState, failure, invalid};
use super::index;
use super::progress::{Phase, Progress};
use super::spi::{self, Snapshot};
use super::stamp::check_event_type;
use super::transaction::{Isolation, attempt};

/// The name of the policy for all types without their own policy.
const ALL_OTHERS: &str = "*";
/// Number of table pages that one statement scans.
const SLICE: i64 = 512;
/// Number of events after which the worker ends a transaction.
const BATCH: u64 = 50_000;
/// Maximum number of pages that the worker scans in one transaction.
const PAGES: i64 = 16 * SLICE;

/// Sets or, without an interval, ends the policy of an event type, or of every type that has none of its own.
pub(crate) fn set(keep: Option<Interval>, event_type: Option<&str>) -> Fallible<()> {
    if let Some(name) = event_type {
        check_event_type(name)?;
    }
    let name = event_type.unwrap_or(ALL_OTHERS);
    let Some(keep) = keep else {
        let removed = write("DELETE FROM kursaha_cohort.retention WHERE event_type = $1", &[name.into()])?;
        if removed == 0 {
            pgrx::notice!("no such retention policy exists");
        }
        return Ok(());
    };
    let fits: bool = spi::one(
        Snapshot::Callers,
        "SELECT $1 > interval '0' AND $1 <= interval '1000 years'",
        &[keep.into()],
        |row| row.need(1),
    )?;
    if !fits {
        return Err(invalid("the retention interval must be positive and at most 1000 years")
            .set_hint("Pass an interval such as '13 months'; NULL removes the policy."));
    }
    let schema = super::extension::served_schema()?;
    let may: bool = spi::one(
        Snapshot::Callers,
        "SELECT has_table_privilege($1, 'SELECT') AND has_table_privilege($1, 'DELETE')",
        &[format!("{schema}.cohort_event").into()],
        |row| row.need(1),
    )?;
    if !may {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "permission denied for table cohort_event: a retention policy runs with the privileges of the role that sets it",
        )
        .set_hint("SELECT cohort_grant('operator', 'ROLE') grants the required privileges."));
    }
    write(
        "INSERT INTO kursaha_cohort.retention (event_type, keep, owner) VALUES ($1, $2, kursaha_cohort.owner_of($3)) \
         ON CONFLICT (event_type) DO UPDATE SET keep = excluded.keep, owner = excluded.owner, next_page = 0, \
             passed_at = NULL, last_error = NULL, failed_at = NULL",
        &[name.into(), keep.into(), current_user().into()],
    )?;
    // A worker visits this database where there is something to do.
    super::board::note_rows(1);
    Ok(())
}

/// A policy that has something to do.
struct Policy {
    event_type: String,
    /// The role that set it; invalid where it is gone.
    role: pg_sys::Oid,
    /// Where the pass through the table goes on.
    page: i64,
    /// Events before this time are deleted.
    before: TimestampWithTimeZone,
}

/// The next policy, in the order of types after the one given. `due`: only one whose pass is under way or due, and
/// which has not failed a moment ago. Its row is locked, and left out where another session has it locked.
fn next(due: bool, after: &str) -> Fallible<Option<Policy>> {
    spi::first(
        Snapshot::Fresh,
        "SELECT r.event_type, kursaha_cohort.owner_role(r.owner), r.next_page, now() - r.keep \
         FROM kursaha_cohort.retention r \
         WHERE r.event_type COLLATE \"C\" > $2 AND (NOT $1 OR (r.next_page > 0 OR r.passed_at IS NULL \
             OR r.passed_at < now() - greatest(interval '1 hour', least(r.keep / 20, interval '1 day'))) \
             AND (r.failed_at IS NULL OR r.failed_at < now() - interval '1 hour')) \
         ORDER BY r.event_type COLLATE \"C\" LIMIT 1 FOR UPDATE SKIP LOCKED",
        &[due.into(), after.into()],
        |row| Ok(Policy { event_type: row.need(1)?, role: row.need(2)?, page: row.need(3)?, before: row.need(4)? }),
    )
}

/// Deletes events of a policy in the current transaction: about `most` events, from up to `pages` pages. Returns the number
/// of deleted events, and whether the pass has reached the end of the table.
fn delete(policy: &Policy, most: u64, pages: i64, role: Option<pg_sys::Oid>) -> Fallible<(u64, bool)> {
    let schema = super::extension::served_schema()?;
    let end: i64 = spi::one(
        Snapshot::Fresh,
        "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::bigint",
        &[format!("{schema}.cohort_event").into()],
        |row| row.need(1),
    )?;
    let progress = Progress::begin(Phase::Deleting);
    progress.total(end.unsigned_abs());
    // A type with a policy of its own is left to that one.
    let others: Vec<String> = with_owners_rights(|| {
        let sql = "SELECT event_type FROM kursaha_cohort.retention WHERE event_type <> '*'";
        spi::run(Snapshot::Fresh, sql, &[], |row| row.need(1))
    })?;
    let (mut page, mut deleted) = (policy.page, 0_u64);
    while page < end && deleted < most && page - policy.page < pages {
        pgrx::check_for_interrupts!();
        progress.at(page.unsigned_abs());
        let slice = || {
            spi::one(
                Snapshot::Fresh,
                "SELECT kursaha_cohort.delete_old_events($1, $2, $3, $4, $5)",
                &[
                    policy.event_type.as_str().into(),
                    others.clone().into(),
                    policy.before.into(),
                    page.into(),
                    (page + SLICE).into(),
                ],
                |row| row.need::<i64>(1),
            )
        };
        let gone = match role {
            Some(role) => with_rights_of(role, slice)?,
            None => slice()?,
        };
        deleted += gone.unsigned_abs();
        page += SLICE;
    }
    let done = page >= end;
    with_owners_rights(|| {
        spi::touch(
            "UPDATE kursaha_cohort.retention SET next_page = $2, deleted = deleted + $3, last_error = NULL, failed_at = NULL, \
                 passed_at = CASE WHEN $4 THEN now() ELSE passed_at END WHERE event_type = $1",
            &[
                policy.event_type.as_str().into(),
                (if done { 0 } else { page }).into(),
                i64::try_from(deleted).unwrap_or(i64::MAX).into(),
                done.into(),
            ],
        )?;
        // A stricter isolation level cannot have the index's state after another sealing: the sealer does it then.
        // SAFETY: reads a variable of this process.
        if deleted > 0 && unsafe { pg_sys::XactIsoLevel } == pg_sys::XACT_READ_COMMITTED.cast_signed() {
            index::fold_removals()?;
        }
        Ok(())
    })?;
    Ok((deleted, done))
}

/// Applies the policies with the rights of the current user, in the current transaction, until `most` events are deleted or
/// none is left. Returns the number of deleted events.
pub(crate) fn now(most: i64) -> Fallible<i64> {
    let most = u64::try_from(most).ok().filter(|most| *most > 0).ok_or_else(|| {
        invalid("the number of events to delete must be positive").set_hint("Omit it to delete up to 50000.")
    })?;
    let (mut deleted, mut after) = (0, String::new());
    while deleted < most {
        let Some(mut policy) = with_owners_rights(|| next(false, &after))? else { break };
        loop {
            let (gone, done) = delete(&policy, most - deleted, i64::MAX, None)?;
            deleted += gone;
            if done && policy.page > 0 && deleted < most {
                // It began in the middle: what lies before is gone through as well.
                policy.page = 0;
                continue;
            }
            break;
        }
        after = policy.event_type;
    }
    Ok(i64::try_from(deleted).unwrap_or(i64::MAX))
}

/// Carries due policies out, each batch in a transaction of its own, while `go_on` says so. For a worker that is outside
/// of any transaction; says whether there was something to do.
pub(crate) fn work(go_on: &dyn Fn() -> bool) -> bool {
    let mut worked = false;
    let mut after = String::new();
    while go_on() {
        let mut current = None;
        let outcome = attempt(Isolation::ReadCommitted, || {
            let Some(policy) = as_owner(|| next(true, &after))? else { return Ok(None) };
            current = Some(policy.event_type.clone());
            if policy.role == pg_sys::InvalidOid || !role_is_there(policy.role) {
                return Err(failure(
                    SqlState::ERRCODE_UNDEFINED_OBJECT,
                    "the role that set the retention policy was dropped",
                )
                .set_hint("Call cohort_retain() as another role to take over the policy."));
            }
            delete(&policy, BATCH, PAGES, Some(policy.role)).map(Some)
        });
        match (outcome, current) {
            (Ok(Some((deleted, done))), Some(event_type)) => {
                worked |= deleted > 0;
                if done {
                    after = event_type;
                }
            }
            (Err(trouble), Some(event_type)) => {
                let message = trouble.shown();
                pgrx::warning!("kursaha_cohort retention of \"{event_type}\": {message}");
                let noted = attempt(Isolation::ReadCommitted, || {
                    as_owner(|| {
                        spi::touch(
                            "UPDATE kursaha_cohort.retention SET last_error = left($2, 1000), failed_at = now() \
                             WHERE event_type = $1",
                            &[event_type.as_str().into(), message.as_str().into()],
                        )
                    })
                });
                if noted.is_err() {
                    return worked;
                }
                after = event_type;
            }
            (_, None) | (Ok(None), _) => return worked,
        }
    }
    worked
}

fn role_is_there(role: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction; null where there is none.
    !unsafe { pg_sys::GetUserNameFromId(role, true) }.is_null()
}
