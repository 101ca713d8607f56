//! Retention.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::retain;

/// Keeps events of a type, or of every type without a policy of its own, for an interval; without an interval, always.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_retain(keep: Option<Interval>, event_type: default!(Option<&str>, "NULL")) -> Result<(), ErrorReport> {
    retain::set(keep, event_type)
}

/// Deletes at most a given number of expired events and returns how many.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_retain_now(most: default!(i64, "50000")) -> Result<i64, ErrorReport> {
    retain::now(most)
}
