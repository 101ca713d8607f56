//! Retention.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::retain;

/// Keeps events of a type, or of every type without a policy of its own, for so long; without an interval for ever.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_retain(keep: Option<Interval>, event_type: default!(Option<&str>, "NULL")) -> Result<(), ErrorReport> {
    retain::set(keep, event_type)
}

/// Deletes up to so many events that are older than they are kept, and says how many.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_retain_now(most: default!(i64, "50000")) -> Result<i64, ErrorReport> {
    retain::now(most)
}
