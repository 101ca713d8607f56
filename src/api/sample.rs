//! The position of a customer in a sample.

use cohort_core::sample::{MAX_SALT, Places};
use cohort_core::value::plain;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::errors::{SqlState, failure, invalid};

/// Where a customer stands in the samples of a salt: from 0 to 100, exactly.
#[pg_extern(immutable, parallel_safe, strict)]
fn cohort_sample_place(customer_id: &str, salt: &str) -> Result<AnyNumeric, ErrorReport> {
    if salt.is_empty() || salt.chars().nth(MAX_SALT).is_some() {
        return Err(invalid(format!("salt must have 1 to {MAX_SALT} characters"))
            .set_hint("Write the name of the campaign or experiment, such as 'spring'."));
    }
    let place = plain(&Places::new(salt).percent(customer_id));
    AnyNumeric::try_from(place.as_str())
        .map_err(|error| failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("a place is no number: {error}")))
}
