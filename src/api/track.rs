//! The part of `cohort_track_batch` that is not SQL. `sql/track.sql` declares it.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::jsonb::{JsonBytes, OwnedJsonBytes};
use crate::pg::signals;

/// How many entries an events request has, and how many of them have a key; an error if anything in it is wrong.
#[pg_extern(sql = false)]
fn signal_check(
    payload: Option<JsonBytes>,
) -> Result<TableIterator<'static, (name!(entries, i64), name!(keyed, i64))>, ErrorReport> {
    let checked = signals::check(payload.map(JsonBytes::as_bytes))?;
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    Ok(TableIterator::once((number(checked.entries), number(checked.keyed))))
}

/// The entries of an events request that was checked, in their order.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn signal_rows(
    payload: JsonBytes,
) -> Result<
    TableIterator<
        'static,
        (
            name!(customer_id, String),
            name!(event_type, String),
            name!(occurred_at, Option<TimestampWithTimeZone>),
            name!(data, Option<OwnedJsonBytes>),
            name!(event_key, Option<String>),
        ),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(signals::rows(Some(payload.as_bytes()))?.into_iter().map(|signal| {
        let at = signal.occurred_at.and_then(|at| TimestampWithTimeZone::try_from(at).ok());
        (signal.customer_id, signal.event_type, at, signal.data.map(OwnedJsonBytes), signal.event_key)
    })))
}

/// What is wrong with a customer id in a payload; NULL when nothing is.
#[pg_extern(sql = false)]
fn customer_id_problem(written: Option<JsonBytes>) -> Option<String> {
    signals::customer_id_problem(written.map(JsonBytes::as_bytes))
}
