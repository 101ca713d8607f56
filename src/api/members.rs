//! Stored memberships: refresh, members, history, changes.

use std::time::Instant;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::{with_owners_rights, write};
use crate::pg::errors::{Fallible, invalid};
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Cohort, Question};
use crate::pg::{answer, settings, time};

/// Evaluates a saved cohort now and stores who is in, with who entered and who exited since the last refresh.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_refresh(
    name: Option<&str>,
) -> Result<
    TableIterator<'static, (name!(size, i64), name!(entered, i64), name!(exited, i64), name!(took, Interval))>,
    ErrorReport,
> {
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::once(refresh(name, None)?))
}

/// Evaluates a saved cohort at an instant and stores who is in, as of that instant.
#[pg_extern(name = "cohort_refresh", volatile, parallel_unsafe)]
fn cohort_refresh_at(
    name: Option<&str>,
    as_of: Option<TimestampWithTimeZone>,
) -> Result<
    TableIterator<'static, (name!(size, i64), name!(entered, i64), name!(exited, i64), name!(took, Interval))>,
    ErrorReport,
> {
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::once(refresh(name, as_of)?))
}

fn refresh(name: &str, as_of: Option<TimestampWithTimeZone>) -> Fallible<(i64, i64, i64, Interval)> {
    let began = Instant::now();
    // The lock is the cohort's own row: two refreshes of one cohort come one after the other, and each sees what the
    // other stored, because every statement here has a snapshot of its own.
    let cohort = store::get_for_refresh(name)?;
    let chosen = as_of.is_some();
    let as_of = time::as_of(as_of)?;
    let at = time::server(as_of)?;
    if chosen {
        refuse_earlier(&cohort, at)?;
    }
    // Members are evaluated with the caller's privileges, and stored with those of the extension's owner.
    let found: Vec<String> = spi::with_snapshot(|| {
        let question = Question::of_cohort(Snapshot::Callers, &cohort.name, as_of)?;
        Ok(answer::members(&question)?.collect())
    })?;
    let (refresh, size, entered, exited) = with_owners_rights(|| store_members(&cohort, at, found))?;
    let took = Interval::from_micros(i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX));
    write(
        "UPDATE kursaha_cohort.refresh SET size = $2, entered = $3, exited = $4, took = $5 WHERE refresh_id = $1",
        &[refresh.into(), size.into(), entered.into(), exited.into(), took.into()],
    )?;
    write(
        "UPDATE kursaha_cohort.cohort SET size = $2, refreshed_at = $3 WHERE cohort_id = $1",
        &[cohort.id.into(), size.into(), at.into()],
    )?;
    write(
        "DELETE FROM kursaha_cohort.refresh WHERE cohort_id = $1 \
         AND refreshed_at < now() - make_interval(mins => $2)",
        &[cohort.id.into(), settings::history_retention_minutes().into()],
    )?;
    Ok((size, entered, exited, took))
}

/// Refuses an instant before the last refresh: the history goes forward.
fn refuse_earlier(cohort: &Cohort, at: TimestampWithTimeZone) -> Fallible<()> {
    let last = spi::first(
        Snapshot::Fresh,
        "SELECT to_char(c.refreshed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US\"Z\"') \
         FROM kursaha_cohort.cohort c WHERE c.cohort_id = $1 AND c.refreshed_at > $2",
        &[cohort.id.into(), at.into()],
        |row| row.need::<String>(1),
    )?;
    let Some(last) = last else { return Ok(()) };
    Err(invalid(format!("cohort \"{}\" was already refreshed as of a later time: {last}", cohort.name))
        .set_hint("Pass a later time. cohort_run evaluates a cohort as of any time."))
}

/// Stores who is in, and who entered and who exited since the last refresh; gives the refresh and the three numbers.
fn store_members(cohort: &Cohort, at: TimestampWithTimeZone, found: Vec<String>) -> Fallible<(i64, i64, i64, i64)> {
    let refresh: i64 = spi::one(
        Snapshot::Fresh,
        "INSERT INTO kursaha_cohort.refresh (cohort_id, version, refreshed_at, size, entered, exited, took) \
         VALUES ($1, $2, $3, 0, 0, 0, '0') RETURNING refresh_id",
        &[cohort.id.into(), cohort.version.into(), at.into()],
        |row| row.need(1),
    )?;
    // One statement, so one snapshot: members, differences and log agree. The differences are set operations over what
    // was stored before: an anti-join with the table that the same statement fills may be planned as a nested loop,
    // which then reads every row just written, again and again. In the order of the indexes, rows go where the last ones
    // went.
    spi::one(
        Snapshot::Fresh,
        "WITH found AS MATERIALIZED (\
           SELECT f.customer_id FROM unnest($3) AS f (customer_id)\
         ), had AS MATERIALIZED (\
           SELECT customer_id FROM kursaha_cohort.member WHERE cohort_id = $1\
         ), gained AS MATERIALIZED (\
           SELECT customer_id FROM found EXCEPT SELECT customer_id FROM had\
         ), lost AS MATERIALIZED (\
           SELECT customer_id FROM had EXCEPT SELECT customer_id FROM found\
         ), gone AS (\
           DELETE FROM kursaha_cohort.member m USING lost \
           WHERE m.cohort_id = $1 AND m.customer_id = lost.customer_id\
         ), come AS (\
           INSERT INTO kursaha_cohort.member (cohort_id, customer_id, entered_at) \
           SELECT $1, customer_id, $4 FROM gained ORDER BY customer_id\
         ), logged AS (\
           INSERT INTO kursaha_cohort.membership_change (refresh_id, customer_id, entered) \
           SELECT $2, customer_id, true FROM gained UNION ALL SELECT $2, customer_id, false FROM lost ORDER BY 2\
         ) \
         SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM gained), (SELECT count(*) FROM lost)",
        &[cohort.id.into(), refresh.into(), found.into(), at.into()],
        |row| Ok((refresh, row.need(1)?, row.need(2)?, row.need(3)?)),
    )
}

/// The members that the last `cohort_refresh` stored, and since when.
#[pg_extern(stable, parallel_safe)]
fn cohort_members(
    name: Option<&str>,
) -> Result<TableIterator<'static, (name!(customer_id, String), name!(entered_at, TimestampWithTimeZone))>, ErrorReport>
{
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    let cohort = store::get(Snapshot::Callers, name)?;
    let rows = spi::run(
        Snapshot::Callers,
        "SELECT customer_id, entered_at FROM kursaha_cohort.readable_member WHERE cohort_id = $1",
        &[cohort.id.into()],
        |row| Ok((row.need(1)?, row.need(2)?)),
    )?;
    Ok(TableIterator::new(rows))
}

/// The refreshes of a cohort, newest first.
#[pg_extern(stable, parallel_safe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_history(
    name: Option<&str>,
) -> Result<
    TableIterator<
        'static,
        (
            name!(refreshed_at, TimestampWithTimeZone),
            name!(size, i64),
            name!(entered, i64),
            name!(exited, i64),
            name!(took, Interval),
            name!(version, i32),
        ),
    >,
    ErrorReport,
> {
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    let cohort = store::get(Snapshot::Callers, name)?;
    let rows = spi::run(
        Snapshot::Callers,
        "SELECT refreshed_at, size, entered, exited, took, version FROM kursaha_cohort.refresh \
         WHERE cohort_id = $1 ORDER BY refresh_id DESC",
        &[cohort.id.into()],
        |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?, row.need(4)?, row.need(5)?, row.need(6)?)),
    )?;
    Ok(TableIterator::new(rows))
}

/// Who entered and who exited at the refreshes of a cohort after an instant, oldest first.
#[pg_extern(stable, parallel_safe)]
fn cohort_changes(
    name: Option<&str>,
    since: default!(Option<TimestampWithTimeZone>, "'-infinity'"),
) -> Result<
    TableIterator<
        'static,
        (name!(customer_id, String), name!(change, String), name!(changed_at, TimestampWithTimeZone)),
    >,
    ErrorReport,
> {
    let (Some(name), Some(since)) = (name, since) else { return Ok(TableIterator::empty()) };
    let cohort = store::get(Snapshot::Callers, name)?;
    let rows = spi::run(
        Snapshot::Callers,
        "SELECT c.customer_id, CASE WHEN c.entered THEN 'entered' ELSE 'exited' END, r.refreshed_at \
         FROM kursaha_cohort.refresh r JOIN kursaha_cohort.readable_change c USING (refresh_id) \
         WHERE r.cohort_id = $1 AND r.refreshed_at > $2 \
         ORDER BY r.refresh_id, c.customer_id COLLATE \"C\"",
        &[cohort.id.into(), since.into()],
        |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?)),
    )?;
    Ok(TableIterator::new(rows))
}
