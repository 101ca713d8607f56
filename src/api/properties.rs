//! The properties of events, for pick lists.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::index;

/// The properties of sealed events: event type, path, types of its values, and how many events have it.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn indexed_properties() -> Result<
    TableIterator<
        'static,
        (name!(event_type, String), name!(property, String), name!(types, Vec<String>), name!(events, i64)),
    >,
    ErrorReport,
> {
    Ok(TableIterator::new(index::properties()?.into_iter().map(|property| {
        let types = property.kinds.names().into_iter().map(str::to_owned).collect();
        let events = i64::try_from(property.events).unwrap_or(i64::MAX);
        (property.event_type, property.path.join("."), types, events)
    })))
}
