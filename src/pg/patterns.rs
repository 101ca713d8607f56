//! Patterns of plain SQL. They are compiled once for the rows of a statement, within a memory limit, and released at
//! the end of the transaction.

use std::cell::Cell;
use std::sync::Arc;

use cohort_core::rule::{
    KEPT_PATTERN_BYTES, MOST_PATTERN_BYTES, Pattern, Refused, compile_pattern, keep_patterns_within,
};
use pgrx::pg_sys;

use super::errors::{Fallible, SqlState, failure};
use super::here;

/// A pattern, compiled. All patterns of a rule can be kept at once.
pub(crate) fn compiled(pattern: &str, ignore_case: bool) -> Fallible<Arc<Pattern>> {
    give_up_at_the_end();
    let most = MOST_PATTERN_BYTES;
    compile_pattern(pattern, ignore_case, most, most, &here::check).map_err(|refused| {
        let why = match refused {
            Refused::Invalid(error) => error.to_string(),
            Refused::TooLarge => "it is too large".to_owned(),
        };
        failure(SqlState::ERRCODE_INVALID_REGULAR_EXPRESSION, format!("invalid pattern: {why}"))
    })
}

/// Sees to it that patterns which take much are forgotten when a transaction ends.
fn give_up_at_the_end() {
    thread_local! {
        static REGISTERED: Cell<bool> = const { Cell::new(false) };
    }
    if !REGISTERED.replace(true) {
        // SAFETY: the callback is a function of this library, which stays.
        unsafe { pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::null_mut()) }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _argument: *mut core::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if matches!(event, XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE) {
        keep_patterns_within(KEPT_PATTERN_BYTES);
    }
}
