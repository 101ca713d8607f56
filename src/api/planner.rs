//! Functions that the planner calls: the support function of the evaluating functions, and the functions that replace
//! them in a plan. `sql/planner.sql` declares them.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use pgrx::{Internal, pg_sys};

use super::evaluate::{question_of_cohort, question_of_rule};
use crate::pg::answer;
use crate::pg::jsonb::Jsonb;
use crate::pg::planner;

type AsOf = Option<TimestampWithTimeZone>;
type Ids = TableIterator<'static, (String,)>;
type Among = Option<Vec<Option<String>>>;

/// The planner support function of the evaluating functions that return customers.
#[pg_extern(sql = false)]
fn plan_question(request: Internal) -> Internal {
    let node = request.unwrap().filter(|node| {
        // SAFETY: only the planner makes a value of type internal, and passes a request.
        unsafe { planner::support(node.cast_mut_ptr::<pg_sys::Node>()) }
    });
    // An unhandled request returns a null pointer, which is not SQL NULL.
    Internal::from(Some(node.unwrap_or(pg_sys::Datum::null())))
}

/// The members of a saved cohort that are among some ids, or any of them up to a number.
#[pg_extern(sql = false)]
fn members_of_cohort(name: Option<&str>, as_of: AsOf, among: Among, most: Option<i64>) -> Result<Ids, ErrorReport> {
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    let question = question_of_cohort(name, as_of)?;
    Ok(TableIterator::new(answer::some_members(&question, among, most)?.map(|id| (id,))))
}

/// The same of an unsaved rule.
#[pg_extern(sql = false)]
fn members_of_rule(rule: Option<Jsonb>, as_of: AsOf, among: Among, most: Option<i64>) -> Result<Ids, ErrorReport> {
    let Some(rule) = rule else { return Ok(TableIterator::empty()) };
    let question = question_of_rule(&rule, as_of)?;
    Ok(TableIterator::new(answer::some_members(&question, among, most)?.map(|id| (id,))))
}
