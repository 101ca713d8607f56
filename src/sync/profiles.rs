//! The profiles of customers, read with the current user's rights: of a run, those of the sync's owner. Of a query cohort, those
//! that its query returns.

use std::collections::HashMap;

use cohort_core::destination::Destination;
use serde_json::{Map, Value};

use super::audience::query_with_profiles;
use super::journal::place;
use crate::pg::errors::Fallible;
use crate::pg::extension;
use crate::pg::jsonb::Jsonb;
use crate::pg::query::{Given, Wish};
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::Question;

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

/// The profile that a query returned, as `profiles` gives one.
pub(super) fn profile_of(given: &Given) -> Profile {
    (given.profile.as_deref().and_then(object), given.stamp)
}

/// A profile, where it is an object that is not nested beyond what anyone renders: elsewhere every property is missing.
fn object(text: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(profile)) => Some(profile),
        _ => None,
    }
}

/// The profiles of some members of a cohort, in their order: from its query, evaluated now, or from `cohort_customer`.
pub(super) fn profiles_in(cohort: &str, destination: &dyn Destination, ids: &[&str]) -> Fallible<Vec<Profile>> {
    let question = if destination.wants_profile() { query_with_profiles(cohort)? } else { None };
    let Some(query) = question.as_ref().and_then(Question::query) else {
        return profiles(Snapshot::Fresh, destination, ids);
    };
    let among: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    let mut found: HashMap<String, Profile> = HashMap::new();
    query.each(&Wish { profiles: true, among: Some(among) }, ids.len().max(1), &mut |members| {
        found.extend(members.into_iter().map(|member| (member.id, profile_of(&member.given))));
        Ok(())
    })?;
    Ok(ids.iter().map(|id| found.remove(*id).unwrap_or((None, None))).collect())
}

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
            let profile = row.get::<Jsonb>(3).and_then(|text| object(&text.0));
            found[place(row)?] = (profile, row.get(2));
            Ok(())
        },
    )?;
    Ok(found)
}
