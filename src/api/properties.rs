//! The properties of events, for pick lists.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::index;
use crate::pg::jsonb::Jsonb;

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

/// A path as rules write it: keys joined by dots, or the JSON text of a list where a key would be read as something else.
fn written(path: &[String]) -> String {
    if path.iter().any(|key| key.is_empty() || key.contains(['.', '[', ']'])) {
        serde_json::json!(path).to_string()
    } else {
        path.join(".")
    }
}

/// The properties that occur in events of a type, or in all events and profiles, with examples of their values.
#[pg_extern(stable, parallel_restricted)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_property(
    of_type: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(event_type, Option<String>),
            name!(path, String),
            name!(types, Vec<String>),
            name!(events, i64),
            name!(distinct_values, i64),
            name!(examples, Jsonb),
        ),
    >,
    ErrorReport,
> {
    /// Values that are shown of a property.
    const EXAMPLES: usize = 20;
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let mut rows: Vec<_> = index::values(of_type)?.into_iter().filter(|(_, tally)| tally.rows() > 0).collect();
    // Properties of profiles come last.
    rows.sort_by(|((first, _), _), ((second, _), _)| (first.is_none(), first).cmp(&(second.is_none(), second)));
    Ok(TableIterator::new(rows.into_iter().map(move |((event_type, path), tally)| {
        let types = tally.kinds().names().into_iter().map(str::to_owned).collect();
        let examples = Jsonb(format!("[{}]", tally.examples(EXAMPLES).join(", ")));
        (event_type, written(&path), types, count(tally.rows()), count(tally.distinct()), examples)
    })))
}
