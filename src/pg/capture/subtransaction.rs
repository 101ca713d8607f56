//! Work whose errors must not reach the statement around it.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys};

use super::super::errors::{Fallible, SqlState};

/// Runs something in a subtransaction. An error undoes it and comes back as its SQLSTATE, a deadlock and a serialization
/// failure too: what they stood in the way of is undone, and the statement around it has no part in it. A cancel or the
/// server's end goes on as an error.
pub(super) fn attempt<T>(work: impl FnOnce() -> Fallible<T>) -> Result<T, String> {
    // SAFETY: the subtransaction ends in each case; memory and resources of before are set again, as PL/pgSQL does.
    unsafe {
        let context = pg_sys::CurrentMemoryContext;
        let owner = pg_sys::CurrentResourceOwner;
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let work = AssertUnwindSafe(work);
        let outcome = PgTryBuilder::new(|| {
            let work = work;
            match work.0() {
                Ok(value) => {
                    pg_sys::ReleaseCurrentSubTransaction();
                    Ok(value)
                }
                Err(error) => std::panic::panic_any(error),
            }
        })
        .catch_others(|caught| Err(state_of(caught)))
        .execute();
        if outcome.is_err() {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::FlushErrorState();
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        outcome
    }
}

/// The SQLSTATE of an error that may be skipped; others are raised again.
fn state_of(caught: CaughtError) -> String {
    let code = match &caught {
        CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. } => report.sql_error_code(),
    };
    match code {
        SqlState::ERRCODE_QUERY_CANCELED
        | SqlState::ERRCODE_ADMIN_SHUTDOWN
        | SqlState::ERRCODE_CRASH_SHUTDOWN
        | SqlState::ERRCODE_DATABASE_DROPPED => caught.rethrow(),
        _ => spelled(code),
    }
}

/// The five characters of a SQLSTATE.
fn spelled(code: SqlState) -> String {
    let packed = code as i32;
    (0..5_u8).map(|n| char::from(((packed >> (6 * n)) & 0x3f) as u8 + b'0')).collect()
}
