//! Priority lists, and suppressed cohorts.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::errors::{Fallible, invalid};
use crate::sync::{priority, suppression};

fn names(cohorts: Vec<Option<String>>) -> Fallible<Vec<String>> {
    cohorts
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let place = index + 1;
            name.ok_or_else(|| invalid(format!("cohorts[{place}] is null")).set_hint("Remove it from the array."))
        })
        .collect()
}

/// Makes a priority list of cohorts, the first before the others, and gives its id.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_priority_create(
    list_name: Option<&str>,
    cohorts: Option<Vec<Option<String>>>,
) -> Result<Option<i64>, ErrorReport> {
    let (Some(list), Some(cohorts)) = (list_name, cohorts) else { return Ok(None) };
    priority::create(list, &names(cohorts)?).map(Some)
}

/// Sets the cohorts of a priority list.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_priority_update(
    list_name: Option<&str>,
    cohorts: Option<Vec<Option<String>>>,
) -> Result<Option<i64>, ErrorReport> {
    let (Some(list), Some(cohorts)) = (list_name, cohorts) else { return Ok(None) };
    priority::update(list, &names(cohorts)?).map(Some)
}

/// Removes a priority list that no sync follows.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_priority_drop(list_name: Option<&str>) -> Result<(), ErrorReport> {
    list_name.map_or(Ok(()), priority::drop)
}

/// Leaves the members of a cohort out of all syncs, or of those to one destination, and removes them where they are.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_suppress(name: Option<&str>, destination: default!(Option<&str>, "NULL")) -> Result<(), ErrorReport> {
    let Some(name) = name else { return Ok(()) };
    suppression::add(name, destination).map(|_| ())
}

/// Ends it.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_unsuppress(name: Option<&str>, destination: default!(Option<&str>, "NULL")) -> Result<(), ErrorReport> {
    name.map_or(Ok(()), |name| suppression::remove(name, destination))
}
