//! Writes the tables of saved cohorts, with the checks that every change of a definition needs.

use std::collections::{HashMap, HashSet};

use cohort_core::plain_sql;
use cohort_core::rule::{MAX_CHAIN, Rule};

use super::databases::{current_user, with_owners_rights, write};
use super::errors::{Fallible, SqlState, failure, invalid};
use super::jsonb::Jsonb;
use super::query::Checked;
use super::spi::{self, Snapshot};
use super::stamp;
use super::store::{self, Cohort, Question};
use super::{index, lists};

/// The most ids of a fixed list in one call.
const MAX_LIST: usize = 10_000_000;

/// Refuses what is no name of a cohort.
pub(crate) fn check_name(name: &str) -> Fallible<()> {
    stamp::check_length("cohort name", name)?;
    if name.trim_start().starts_with('{') {
        return Err(invalid("a cohort name must not begin with \"{\"")
            .set_hint("cohort_explain, cohort_sql and cohort_why read a text that begins with \"{\" as a rule."));
    }
    Ok(())
}

/// Refuses a name that another cohort has.
pub(crate) fn check_free(name: &str) -> Fallible<()> {
    match store::find(Snapshot::Fresh, name)? {
        None => Ok(()),
        Some(_) => Err(failure(SqlState::ERRCODE_UNIQUE_VIOLATION, format!("cohort \"{name}\" already exists"))
            .set_hint("cohort_update changes its rule, cohort_drop removes it.")),
    }
}

/// Adds a cohort of the current user; gives its id. Without a rule it is a fixed list, or a query once `keep_query` has stored that.
pub(crate) fn add(name: &str, description: Option<&str>, rule: Option<&Rule>) -> Fallible<i64> {
    let owner = current_user();
    with_owners_rights(|| {
        spi::one(
            Snapshot::Fresh,
            "INSERT INTO kursaha_cohort.cohort (name, description, rule, owner) \
             VALUES ($1, $2, $3, kursaha_cohort.owner_of($4)) RETURNING cohort_id",
            &[name.into(), description.into(), rule.map(|rule| Jsonb::from(&rule.to_json())).into(), owner.into()],
            |row| row.need(1),
        )
    })
}

/// Stores the query of the current version of a cohort.
pub(crate) fn keep_query(id: i64, query: &Checked) -> Fallible<()> {
    write(
        "INSERT INTO kursaha_cohort.cohort_query (cohort_id, version, query, has_profile, takes_instant) \
         SELECT c.cohort_id, c.version, $2, $3, $4 FROM kursaha_cohort.cohort c WHERE c.cohort_id = $1",
        &[id.into(), query.text.as_str().into(), query.has_profile.into(), query.takes_instant.into()],
    )?;
    Ok(())
}

/// Stores what a cohort's rule names. `id` is the cohort's own.
pub(crate) fn keep_references(id: i64, rule: Option<&Rule>) -> Fallible<()> {
    write("DELETE FROM kursaha_cohort.reference WHERE cohort_id = $1", &[id.into()])?;
    let Some(rule) = rule else { return Ok(()) };
    write(
        "INSERT INTO kursaha_cohort.reference (cohort_id, referenced_id) \
         SELECT $1, c.cohort_id FROM kursaha_cohort.cohort c WHERE c.name = ANY ($2)",
        &[id.into(), store::named_by(rule).into()],
    )?;
    Ok(())
}

/// Keeps the version that was just set.
pub(crate) fn keep_version(id: i64) -> Fallible<()> {
    write(
        "INSERT INTO kursaha_cohort.cohort_version (cohort_id, version, rule, list_size, changed_by) \
         SELECT c.cohort_id, c.version, c.rule, CASE WHEN c.rule IS NULL THEN \
             (SELECT sum(cardinality(l.customer_ids)) FROM kursaha_cohort.list_chunk l WHERE l.cohort_id = c.cohort_id) END, pg_get_userbyid($2) \
         FROM kursaha_cohort.cohort c WHERE c.cohort_id = $1",
        &[id.into(), current_user().into()],
    )?;
    Ok(())
}

/// Refuses a rule that names what does not exist, names its own cohort again, or makes a chain too long, counted from
/// the outermost cohort that names this one.
pub(crate) fn check_references(rule: &Rule, own: Option<&Cohort>) -> Fallible<()> {
    let question = Question::new(Snapshot::Fresh, rule.clone(), "now()".to_owned())?;
    question.ask(None, plain_sql::members)?;
    let own_id = own.map(|own| own.id);
    let mut named: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut naming: HashMap<i64, Vec<i64>> = HashMap::new();
    for (from, to) in store::references(Snapshot::Fresh)? {
        if Some(from) != own_id {
            named.entry(from).or_default().push(to);
            naming.entry(to).or_default().push(from);
        }
    }
    let mut below = 0;
    for name in store::named_by(rule) {
        let target = store::get(Snapshot::Fresh, &name)?;
        if let Some(own) = own
            && (target.id == own.id || reaches(target.id, own.id, &named))
        {
            let places = rule.cohort_names();
            let place = places.iter().find(|(_, found)| *found == name).map_or("$", |(path, _)| path.as_str());
            return Err(invalid(format!(
                "invalid cohort rule at {place}: cohort \"{}\" would refer to itself",
                own.name
            ))
            .set_hint("Refer only to cohorts that do not refer to this one, directly or through other cohorts."));
        }
        below = below.max(1 + longest(target.id, &named, &mut HashMap::new()));
    }
    let above = own_id.map_or(0, |own| longest(own, &naming, &mut HashMap::new()));
    if above + below > MAX_CHAIN {
        let place = rule.cohort_names().first().map_or_else(|| "$".to_owned(), |(path, _)| path.clone());
        return Err(invalid(format!(
            "invalid cohort rule at {place}: the chain of references would have more than {MAX_CHAIN} cohorts"
        ))
        .set_detail(format!("{above} cohorts refer to this one in a chain, and it would refer to a chain of {below}."))
        .set_hint("Replace a reference by the conditions of the referenced cohort."));
    }
    Ok(())
}

fn reaches(from: i64, to: i64, edges: &HashMap<i64, Vec<i64>>) -> bool {
    let mut seen = HashSet::new();
    let mut open = vec![from];
    while let Some(id) = open.pop() {
        if id == to {
            return true;
        }
        if seen.insert(id) {
            open.extend(edges.get(&id).into_iter().flatten());
        }
    }
    false
}

/// The most steps that a way from a cohort has. The graph has no cycle and its ways at most [`MAX_CHAIN`] steps, so the
/// recursion is that deep.
fn longest(from: i64, edges: &HashMap<i64, Vec<i64>>, known: &mut HashMap<i64, usize>) -> usize {
    if let Some(length) = known.get(&from) {
        return *length;
    }
    let length = edges.get(&from).into_iter().flatten().map(|next| 1 + longest(*next, edges, known)).max().unwrap_or(0);
    known.insert(from, length);
    length
}

/// Refuses ids that a fixed list cannot have; `place` names the one at a place.
pub(crate) fn check_list(ids: &[String], place: impl Fn(usize) -> String) -> Fallible<()> {
    if ids.len() > MAX_LIST {
        return Err(invalid(format!("a fixed list takes at most {MAX_LIST} ids at once, not {}", ids.len())));
    }
    for (index, id) in ids.iter().enumerate() {
        if let Err(error) = stamp::check_customer_id(id) {
            return Err(
                invalid(format!("{}: {}", place(index), error.message())).set_hint("Remove this id from the list.")
            );
        }
    }
    Ok(())
}

/// Sets the ids of a fixed list, which are given in byte order and each once.
pub(crate) fn set_ids(id: i64, ids: &[String]) -> Fallible<()> {
    with_owners_rights(|| {
        lists::set(id, ids)?;
        index::keep_list(id)
    })
}
