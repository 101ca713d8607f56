//! What every request of a run needs.

use cohort_core::destination::{Context, Destination, Hidden, Row};
use serde_json::{Map, Value};

use super::store;

/// What every request of a run needs.
pub(super) struct RunContext {
    pub(super) cohort: String,
    pub(super) sync: i64,
    pub(super) run: i64,
    pub(super) state: Map<String, Value>,
    pub(super) secret: String,
}

impl RunContext {
    /// What must not be seen of a request with these rows.
    pub(super) fn hidden(&self, destination: Option<&dyn Destination>, rows: &[Row]) -> Hidden {
        let mut hidden = Hidden::secret(&self.secret);
        for value in destination.iter().flat_map(|destination| rows.iter().flat_map(|row| destination.sent(row))) {
            hidden.value(&value);
        }
        hidden
    }

    /// The context of one request; `batch` is the number of its batch, or empty.
    pub(super) fn of_request(&self, batch: String) -> Context {
        Context {
            cohort: self.cohort.clone(),
            sync: self.sync,
            run: self.run,
            batch,
            now: store::now() / 1_000_000,
            random: random(),
        }
    }
}

/// A random number.
pub(super) fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| store::now().unsigned_abs())
}
