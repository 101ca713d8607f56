//! What is saved, as a document.

use std::collections::HashMap;

use cohort_core::definitions::{Cohort, Definitions, Members, Priority, Suppression, Sync, in_order};

use crate::pg::errors::Fallible;
use crate::pg::jsonb::Jsonb;
use crate::pg::query;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store;

/// Lists with more ids are exported without them, so that a document stays readable.
const MOST_IDS: i64 = 10_000;

/// All that is saved, or one cohort and what it needs: the list that it is in, and the cohorts that these name, directly or
/// through others. Read with the current user's rights.
pub(crate) fn export(snapshot: Snapshot, name: Option<&str>) -> Fallible<Definitions> {
    let only = match name {
        None => None,
        Some(name) => Some(store::get(snapshot, name)?.id),
    };
    Ok(Definitions {
        cohorts: Some(cohorts(snapshot, only)?),
        priorities: Some(priorities(snapshot, only)?),
        suppressions: Some(suppressions(snapshot, only)?),
        syncs: Some(syncs(snapshot, only)?),
    })
}

/// Cohorts in an order in which each stands behind those that it names.
fn cohorts(snapshot: Snapshot, only: Option<i64>) -> Fallible<Vec<Cohort>> {
    let mut found: Vec<(i64, Option<Cohort>)> = spi::run(
        snapshot,
        "WITH RECURSIVE wanted (cohort_id) AS ( \
             SELECT c.cohort_id FROM kursaha_cohort.cohort c WHERE $1 IS NULL OR c.cohort_id = $1 \
             UNION SELECT o.cohort_id FROM kursaha_cohort.priority_cohort m \
                 JOIN kursaha_cohort.priority_cohort o USING (priority_id) WHERE m.cohort_id = $1 \
             UNION SELECT r.referenced_id FROM wanted w JOIN kursaha_cohort.reference r USING (cohort_id) \
         ) \
         SELECT c.cohort_id, c.name, c.description, c.rule FROM kursaha_cohort.cohort c JOIN wanted USING (cohort_id)",
        &[only.into()],
        |row| {
            let members = match row.get::<Jsonb>(4) {
                Some(rule) => Members::Rule(Box::new(store::parse(&rule.0)?)),
                None => Members::List(None),
            };
            Ok((row.need(1)?, Some(Cohort { name: row.need(2)?, description: row.get(3), members })))
        },
    )?;
    for (id, cohort) in &mut found {
        let Some(Cohort { members, .. }) = cohort else { continue };
        if let Members::List(ids) = members {
            match query::text_of(snapshot, *id)? {
                Some(text) => *members = Members::Query(text),
                None => *ids = list(snapshot, *id)?,
            }
        }
    }
    let places: HashMap<i64, usize> = found.iter().enumerate().map(|(place, (id, _))| (*id, place)).collect();
    let mut needs: Vec<Vec<usize>> = vec![Vec::new(); found.len()];
    for (from, to) in store::references(snapshot)? {
        if let (Some(from), Some(to)) = (places.get(&from), places.get(&to)) {
            needs[*from].push(*to);
        }
    }
    let names: Vec<&str> = found.iter().filter_map(|(_, cohort)| Some(cohort.as_ref()?.name.as_str())).collect();
    let order = in_order(&names, &needs);
    Ok(order.into_iter().filter_map(|place| found[place].1.take()).collect())
}

/// The ids of a fixed list, unless they are many or the current user may not see all of them.
fn list(snapshot: Snapshot, id: i64) -> Fallible<Option<Vec<String>>> {
    let hidden: bool = spi::one(snapshot, "SELECT kursaha_cohort.hides_rows()", &[], |row| row.need(1))?;
    if hidden {
        return Ok(None);
    }
    let mut ids: Vec<String> = spi::run(
        snapshot,
        "SELECT m.customer_id FROM kursaha_cohort.readable_list_member m WHERE m.cohort_id = $1 LIMIT $2",
        &[id.into(), (MOST_IDS + 1).into()],
        |row| row.need(1),
    )?;
    if i64::try_from(ids.len()).unwrap_or(i64::MAX) > MOST_IDS {
        return Ok(None);
    }
    ids.sort_unstable();
    Ok(Some(ids))
}

/// Lists with any cohort, or the one that a cohort is in.
pub(super) fn priorities(snapshot: Snapshot, only: Option<i64>) -> Fallible<Vec<Priority>> {
    spi::run(
        snapshot,
        "SELECT p.name, array_agg(c.name ORDER BY m.place) FROM kursaha_cohort.priority p \
         JOIN kursaha_cohort.priority_cohort m USING (priority_id) JOIN kursaha_cohort.cohort c ON c.cohort_id = m.cohort_id \
         GROUP BY p.priority_id, p.name HAVING $1 IS NULL OR bool_or(m.cohort_id = $1) ORDER BY p.name COLLATE \"C\"",
        &[only.into()],
        |row| Ok(Priority { name: row.need(1)?, cohorts: row.need(2)? }),
    )
}

pub(super) fn suppressions(snapshot: Snapshot, only: Option<i64>) -> Fallible<Vec<Suppression>> {
    spi::run(
        snapshot,
        "SELECT c.name, d.name FROM kursaha_cohort.suppression s JOIN kursaha_cohort.cohort c USING (cohort_id) \
         LEFT JOIN kursaha_cohort.destination d USING (destination_id) \
         WHERE $1 IS NULL OR s.cohort_id = $1 ORDER BY c.name COLLATE \"C\", d.name COLLATE \"C\" NULLS FIRST",
        &[only.into()],
        |row| Ok(Suppression { cohort: row.need(1)?, destination: row.get(2) }),
    )
}

fn syncs(snapshot: Snapshot, only: Option<i64>) -> Fallible<Vec<Sync>> {
    spi::run(
        snapshot,
        "SELECT c.name, d.name, s.frequency, s.at, s.timezone, \
             (SELECT p.name FROM kursaha_cohort.priority p WHERE p.priority_id = s.priority_id) FROM kursaha_cohort.sync s \
         JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) \
         WHERE $1 IS NULL OR s.cohort_id = $1 ORDER BY c.name COLLATE \"C\", d.name COLLATE \"C\"",
        &[only.into()],
        |row| {
            Ok(Sync {
                cohort: row.need(1)?,
                destination: row.need(2)?,
                frequency: row.need(3)?,
                at: row.get(4),
                timezone: row.need(5)?,
                priority: row.get(6),
            })
        },
    )
}
