//! The profiles of customers, read with the current user's rights: of a run, those of the sync's owner.

use std::collections::HashMap;

use cohort_core::destination::Destination;
use serde_json::{Map, Value};

use super::journal::place;
use crate::pg::errors::Fallible;
use crate::pg::extension;
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};

/// The stamps of the profiles of those customers for whom it matters; of those without one, none.
pub(super) fn stamps(ids: &[String], wanted: &HashMap<usize, Option<i64>>) -> Fallible<Vec<(usize, Option<i64>)>> {
    let mut places: Vec<usize> = wanted.keys().copied().collect();
    places.sort_unstable();
    let asked: Vec<String> = places.iter().map(|place| ids[*place].clone()).collect();
    let schema = extension::served_schema()?;
    spi::run(
        Snapshot::Callers,
        &format!(
            "SELECT u.place::int - 1, (SELECT c.stamp FROM {schema}.cohort_customer c WHERE c.customer_id = u.customer_id) \
             FROM unnest($1) WITH ORDINALITY u (customer_id, place)"
        ),
        &[asked.into()],
        |row| Ok((places[place(row)?], row.get::<i64>(2))),
    )
}

/// A customer's profile, and its stamp.
pub(super) type Profile = (Option<Map<String, Value>>, Option<i64>);

/// The profiles of some customers, in their order, read with the current user's rights; none where the destination wants
/// none.
pub(super) fn profiles(snapshot: Snapshot, destination: &dyn Destination, ids: &[&str]) -> Fallible<Vec<Profile>> {
    if !destination.wants_profile() {
        return Ok(vec![(None, None); ids.len()]);
    }
    let schema = extension::served_schema()?;
    let asked: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut found: Vec<Profile> = vec![(None, None); ids.len()];
    spi::each(
        snapshot,
        &format!(
            "SELECT u.place::int - 1, c.stamp, c.profile FROM unnest($1) WITH ORDINALITY u (customer_id, place) \
             CROSS JOIN LATERAL (SELECT p.stamp, p.profile FROM {schema}.cohort_customer p \
                 WHERE p.customer_id = u.customer_id OFFSET 0) c"
        ),
        &[asked.into()],
        |row| {
            let profile = row.get::<Jsonb>(3).and_then(|text| match serde_json::from_str(&text.0) {
                Ok(Value::Object(profile)) => Some(profile),
                // Not an object, or nested beyond what anyone renders: every property is missing.
                _ => None,
            });
            found[place(row)?] = (profile, row.get(2));
            Ok(())
        },
    )?;
    Ok(found)
}
