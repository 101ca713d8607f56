//! Planner support of the evaluating functions: row estimates, and the members that a query needs.

mod call;
mod narrow;
mod node;

use pgrx::pg_sys;

use super::index;
use call::{Call, Kind};
use node::as_kind;

/// Has the planner ask [`narrow`] about each function in FROM. The support function of the questions loads the library
/// before the planner comes to that.
pub(crate) fn register() {
    narrow::register();
}

/// Rows where nothing is known: that of functions in general.
const UNKNOWN: f64 = 1_000.0;

/// Handles a request of the planner about an evaluating function. Returns whether it handled the request.
///
/// # Safety
/// The pointer is to a support request, as the planner passes it to a support function.
pub(crate) unsafe fn support(request: *mut pg_sys::Node) -> bool {
    // SAFETY: the caller vouches for the node; its tag says what it is.
    unsafe {
        let Some(request) = as_kind::<pg_sys::SupportRequestRows>(request) else { return false };
        let Some(call) = Call::of((*request).node) else { return false };
        (*request).rows = rows(&call);
        true
    }
}

/// About how many rows a call gives.
fn rows(call: &Call) -> f64 {
    // SAFETY: looks at the server's state.
    if !unsafe { pg_sys::ActiveSnapshotSet() } {
        return UNKNOWN;
    }
    let known = match call.kind {
        Kind::Run | Kind::Members => call.constant_text().and_then(|name| index::size_about(&name)),
        Kind::Evaluate => None,
    };
    known.or_else(index::customers_about).unwrap_or(UNKNOWN).max(1.0)
}
