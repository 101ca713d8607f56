//! The index in this database: the conditions under which it can be used, and code that its files share.

mod about;
mod cache;
mod check;
mod direct;
mod directory;
mod evaluate;
mod events;
mod fetch;
mod hints;
mod lists;
mod log;
mod merge;
mod names;
mod pages;
mod pins;
mod removed;
mod scan;
mod seal;
mod shape;
mod sparse;
mod store;
mod sum;
mod threads;
mod values;
mod walk;

use std::cell::RefCell;

use cohort_core::segment::{Corrupt, Unwritable};
use pgrx::PgLogLevel;
use pgrx::pg_sys::panic::ErrorReport;

pub(crate) use about::{customers_about, size_about};
pub(crate) use check::check;
pub(crate) use direct::{
    Definition, definition, extension_owner, extension_version, has_query, knows_queries, public_schema,
};
pub(crate) use evaluate::{Ask, Evaluated, Named, cohorts_of, contains, evaluate};
pub(crate) use hints::HINTS;
pub(crate) use lists::keep_list;
pub(crate) use names::{Of, event_types, keys, properties};
pub(crate) use scan::Scratch;
pub(crate) use seal::{Sealed, clear, fold_removals, merge_next, pending, reindex, seal, seal_only, waits};
pub(crate) use shape::Defect;
pub(crate) use sum::current as current_sum;
pub(crate) use values::values;

use events::Tables;

use super::errors::{Fallible, SqlState, failure};
use super::here::check as interrupts;
use super::{extension, settings};

/// The error of an index that is damaged.
fn damaged(corrupt: Corrupt) -> ErrorReport {
    if let Corrupt::Foreign(what) = corrupt {
        return failure(SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, foreign(&what)).set_hint(REMAKE);
    }
    failure(SqlState::ERRCODE_INDEX_CORRUPTED, format!("the cohort index is damaged: {corrupt}"))
        .set_detail("The tables of events and customers are not affected; the index is built from them.")
        .set_hint(
            "SELECT cohort_reindex(); until then SET kursaha_cohort.engine = 'sql' evaluates rules without the index.",
        )
}

/// The message about an index in another format.
fn foreign(what: &str) -> String {
    format!("the cohort index was written by another version of kursaha_cohort: {what}")
}

/// The hint for an index in another format.
const REMAKE: &str = "SELECT cohort_reindex() rebuilds it; until then rules are evaluated with plain SQL.";

/// The error of values that exceed the limits of a segment.
#[expect(clippy::needless_pass_by_value, reason = "it is the end of every map_err")]
fn unwritable(what: Unwritable) -> ErrorReport {
    failure(
        SqlState::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("a segment of the cohort index cannot be written: {what}"),
    )
    .set_hint("Lower kursaha_cohort.segment_rows or kursaha_cohort.segment_size.")
}

/// Adds the segment to the error of a damaged segment.
trait Damaged<T> {
    fn in_segment(self, segment: i64) -> Fallible<T>;
}

impl<T> Damaged<T> for Result<T, Corrupt> {
    fn in_segment(self, segment: i64) -> Fallible<T> {
        self.map_err(|corrupt| damaged(corrupt.at(format_args!("segment {segment}"))))
    }
}

/// The reason why the index cannot be used for the current user; `None` if it can.
pub(crate) fn refusal() -> Fallible<Option<String>> {
    if !settings::engine_is_bitmap() {
        return Ok(Some("kursaha_cohort.engine is sql".to_owned()));
    }
    let tables = tables()?;
    for (oid, name) in tables.public() {
        if !scan::may_read(oid) {
            return Ok(Some(format!("no SELECT privilege on all columns of {name}")));
        }
        if scan::has_policies(oid) {
            return Ok(Some(format!("row-level security of {name}")));
        }
        if scan::has_subclass(oid) {
            return Ok(Some(format!("tables inherit from {name}")));
        }
    }
    let defect = shape::defect(&tables)?;
    warn(defect.as_ref());
    Ok(defect.map(|defect| defect.problem))
}

/// The defect that makes the index unusable, if there is one.
pub(crate) fn defect() -> Fallible<Option<Defect>> {
    shape::defect(&tables()?)
}

/// Warns of a defect once in a session, and again when another defect is found.
fn warn(defect: Option<&Defect>) {
    thread_local! {
        static WARNED: RefCell<Option<String>> = const { RefCell::new(None) };
    }
    let problem = defect.map(|defect| defect.problem.clone());
    let before = WARNED.replace(problem.clone());
    if problem != before
        && let Some(Defect { problem, remedy }) = defect
    {
        failure(
            SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the cohort index cannot be used; rules are evaluated with plain SQL: {problem}"),
        )
        .set_hint(remedy.clone())
        .report(PgLogLevel::WARNING);
    }
}

fn tables() -> Fallible<Tables> {
    let (schema, internals) = extension::schema_oids()?;
    Tables::new(schema, internals)
}
