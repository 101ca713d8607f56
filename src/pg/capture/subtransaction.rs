//! Runs code whose errors must not reach the surrounding statement.

use super::super::errors::{Code as _, Fallible};
use super::super::transaction::subtransaction;

/// Runs something in a subtransaction. An error undoes it and comes back as its SQLSTATE, a deadlock and a serialization
/// failure too: what they stood in the way of is undone, and the statement around it has no part in it. A cancel or the
/// server's end goes on as an error.
pub(super) fn attempt<T>(work: impl FnOnce() -> Fallible<T>) -> Result<T, String> {
    subtransaction(work).map_err(|trouble| trouble.state.code())
}
