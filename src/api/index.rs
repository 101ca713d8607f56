//! Functions of the index: seal, reindex, check.

use std::time::Instant;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::with_owners_rights;
use crate::pg::errors::Fallible;
use crate::pg::extension;
use crate::pg::index::{self, Sealed};
use crate::pg::version;

type SealedRow = (i64, i64, i64, i64, Interval);

/// Whoever may call these reads and writes the index's tables through them only, and may be behind policies, which must
/// not keep rows out of the index: it is made with the rights of the extension's owner.
fn row(work: impl FnOnce() -> Fallible<Sealed>) -> Fallible<SealedRow> {
    version::refuse_newer_objects()?;
    let began = Instant::now();
    let sealed = with_owners_rights(work)?;
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let took = Interval::from_micros(i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX));
    Ok((number(sealed.events), number(sealed.profiles), number(sealed.removed), number(sealed.segments), took))
}

/// Folds what is new into the index, as far as the transactions that wrote it have ended, and merges segments.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_seal() -> Result<
    TableIterator<
        'static,
        (name!(events, i64), name!(profiles, i64), name!(removed, i64), name!(segments, i64), name!(took, Interval)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::once(row(index::seal)?))
}

/// Rebuilds the index from the tables.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_reindex() -> Result<
    TableIterator<
        'static,
        (name!(events, i64), name!(profiles, i64), name!(removed, i64), name!(segments, i64), name!(took, Interval)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::once(row(index::reindex)?))
}

/// Compares the whole index with the tables; no row when they agree.
#[pg_extern(stable, parallel_restricted)]
fn cohort_check() -> Result<TableIterator<'static, (name!(place, String), name!(problem, String))>, ErrorReport> {
    version::refuse_newer_objects()?;
    let problems = index::check()?;
    Ok(TableIterator::new(problems.into_iter().map(|found| (found.place, found.problem))))
}

/// The checksum of what the index's small tables hold, NULL where they make no sense; `sql/index.sql` declares it.
#[pg_extern(sql = false)]
fn index_sum() -> Option<i32> {
    index::current_sum()
}

/// Takes all segments of a kind out of the index; `sql/triggers.sql` declares it.
#[pg_extern(sql = false)]
fn drop_segments(kind: &str) -> Result<(), ErrorReport> {
    index::clear(kind, false)
}

/// Takes all rows out of the index.
#[pg_extern(sql = false)]
fn empty_index() -> Result<(), ErrorReport> {
    index::clear("events", true)?;
    index::clear("profiles", true)
}

/// What keeps the index from being used for anyone, and the remedy; no row when nothing does. `sql/ddl.sql` declares it.
#[pg_extern(sql = false)]
fn index_problem() -> Result<TableIterator<'static, (name!(problem, String), name!(remedy, String))>, ErrorReport> {
    Ok(TableIterator::new(index::defect()?.into_iter().map(|defect| (defect.problem, defect.remedy))))
}

/// Has `DROP EXTENSION` drop an object that is no member of the extension. `sql/additions.sql` declares it.
#[pg_extern(sql = false)]
fn goes_with_extension(class: pg_sys::Oid, object: pg_sys::Oid) {
    extension::adopt(class, object);
}

/// Has an object be dropped with another one, in place of standing in its way.
#[pg_extern(sql = false)]
fn goes_with(class: pg_sys::Oid, object: pg_sys::Oid, other_class: pg_sys::Oid, other: pg_sys::Oid) {
    extension::goes_with((class, object), (other_class, other));
}
