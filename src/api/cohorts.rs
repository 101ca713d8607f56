//! Saving cohorts: create, update, rename, drop, import.

use std::collections::{HashMap, HashSet};

use cohort_core::plain_sql;
use cohort_core::rule::Rule;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::{current_user, with_owners_rights, write};
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::notices;
use crate::pg::spi::{self, Snapshot};
use crate::pg::stamp;
use crate::pg::store::{self, Cohort, MAX_CHAIN, Question};
use crate::pg::time;
use crate::pg::{index, lists};
use crate::sync;

/// The most ids of a fixed list in one call.
const MAX_LIST: usize = 10_000_000;

fn check_name(name: &str) -> Fallible<()> {
    stamp::check_length("cohort name", name)?;
    if name.trim_start().starts_with('{') {
        return Err(invalid("a cohort name must not begin with \"{\"")
            .set_hint("cohort_explain, cohort_sql and cohort_why take a text that begins so for a rule."));
    }
    Ok(())
}

fn check_free(name: &str) -> Fallible<()> {
    match store::find(Snapshot::Fresh, name)? {
        None => Ok(()),
        Some(_) => Err(failure(SqlState::ERRCODE_UNIQUE_VIOLATION, format!("cohort \"{name}\" exists already"))
            .set_hint("cohort_update changes its rule, cohort_drop removes it.")),
    }
}

/// Adds a cohort of the current user; gives its id. Without a rule it is a fixed list.
fn add(name: &str, description: Option<&str>, rule: Option<&Rule>) -> Fallible<i64> {
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

/// Stores what a cohort's rule names. `id` is the cohort's own.
fn keep_references(id: i64, rule: Option<&Rule>) -> Fallible<()> {
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
fn keep_version(id: i64) -> Fallible<()> {
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
fn check_references(rule: &Rule, own: Option<&Cohort>) -> Fallible<()> {
    let question = Question::new(Snapshot::Fresh, rule.clone(), "now()".to_owned())?;
    question.ask(None, plain_sql::members)?;
    let Some(own) = own else { return Ok(()) };
    let mut named: HashMap<i64, Vec<i64>> = HashMap::new();
    let mut naming: HashMap<i64, Vec<i64>> = HashMap::new();
    for (from, to) in store::references()? {
        if from != own.id {
            named.entry(from).or_default().push(to);
            naming.entry(to).or_default().push(from);
        }
    }
    let mut below = 0;
    for name in store::named_by(rule) {
        let target = store::get(Snapshot::Fresh, &name)?;
        if target.id == own.id || reaches(target.id, own.id, &named) {
            let places = rule.cohort_names();
            let place = places.iter().find(|(_, found)| *found == name).map_or("$", |(path, _)| path.as_str());
            return Err(invalid(format!("invalid cohort rule at {place}: cohort \"{}\" would name itself", own.name))
                .set_hint("Name only cohorts that do not name this one, directly or through others."));
        }
        below = below.max(1 + longest(target.id, &named, &mut HashMap::new()));
    }
    let above = longest(own.id, &naming, &mut HashMap::new());
    if above + below > MAX_CHAIN {
        let place = rule.cohort_names().first().map_or_else(|| "$".to_owned(), |(path, _)| path.clone());
        return Err(invalid(format!(
            "invalid cohort rule at {place}: more than {MAX_CHAIN} cohorts would be reached one through another"
        ))
        .set_detail(format!("{above} cohorts name this one in a row, and it would reach {below}."))
        .set_hint("Write the conditions of a deeper cohort into a shallower one."));
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

/// Saves a rule under a name and gives the cohort's id.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_create(
    name: Option<&str>,
    rule: Option<Jsonb>,
    description: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(text)) = (name, rule) else { return Ok(None) };
    check_name(name)?;
    let rule = store::parse(&text.0)?;
    store::lock_definitions()?;
    check_free(name)?;
    check_references(&rule, None)?;
    let id = add(name, description, Some(&rule))?;
    keep_references(id, Some(&rule))?;
    keep_version(id)?;
    notices::tell(&Question::of_rule(Snapshot::Fresh, rule, time::as_of(None)?)?);
    Ok(Some(id))
}

/// Gives a saved cohort a new rule; the old one stays as a version.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_update(name: Option<&str>, rule: Option<Jsonb>) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(text)) = (name, rule) else { return Ok(None) };
    let rule = store::parse(&text.0)?;
    let cohort = store::get_for_change(name)?;
    if cohort.rule.is_none() {
        return Err(failure(
            SqlState::ERRCODE_WRONG_OBJECT_TYPE,
            format!("cohort \"{name}\" is a fixed list, not a rule"),
        )
        .set_hint("cohort_import sets its ids anew."));
    }
    check_references(&rule, Some(&cohort))?;
    write(
        "UPDATE kursaha_cohort.cohort SET rule = $2, version = version + 1, updated_at = now() WHERE cohort_id = $1",
        &[cohort.id.into(), Jsonb::from(&rule.to_json()).into()],
    )?;
    keep_references(cohort.id, Some(&rule))?;
    keep_version(cohort.id)?;
    notices::tell(&Question::of_rule(Snapshot::Fresh, rule, time::as_of(None)?)?);
    Ok(Some(cohort.id))
}

/// Renames a cohort, and rewrites the rules that name it.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_rename(name: Option<&str>, new_name: Option<&str>) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(new_name)) = (name, new_name) else { return Ok(None) };
    check_name(new_name)?;
    let cohort = store::get_for_change(name)?;
    if name == new_name {
        return Ok(Some(cohort.id));
    }
    check_free(new_name)?;
    let others = store::referrers(cohort.id)?;
    let foreign: Vec<&str> = others.iter().filter(|other| !other.owned).map(|other| other.name.as_str()).collect();
    if !foreign.is_empty() {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("cohort \"{name}\" cannot be renamed: rules of other owners name it"),
        )
        .set_detail(foreign.join(", "))
        .set_hint("Their owners must change these rules first."));
    }
    write(
        "UPDATE kursaha_cohort.cohort SET name = $2, updated_at = now() WHERE cohort_id = $1",
        &[cohort.id.into(), new_name.into()],
    )?;
    for other in others {
        let Some(text) = &other.rule else { continue };
        let mut rule = store::parse(text)?;
        rule.rename_cohort(name, new_name);
        write(
            "UPDATE kursaha_cohort.cohort SET rule = $2, version = version + 1, updated_at = now() \
             WHERE cohort_id = $1",
            &[other.id.into(), Jsonb::from(&rule.to_json()).into()],
        )?;
        keep_version(other.id)?;
    }
    Ok(Some(cohort.id))
}

/// Removes a cohort with its versions, refreshes and memberships, unless another cohort names it or it is synced.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_drop(name: Option<&str>) -> Result<(), ErrorReport> {
    let Some(name) = name else { return Ok(()) };
    let cohort = store::get_for_change(name)?;
    let others = store::referrers(cohort.id)?;
    let syncs = sync::store::syncs_of(Some(cohort.id), None)?;
    let mut list: Vec<String> = others.iter().map(|other| format!("cohort \"{}\" names it", other.name)).collect();
    list.extend(syncs.iter().map(|sync| format!("it is synced to \"{}\"", sync.destination)));
    if !list.is_empty() {
        let why = if others.is_empty() { "it is synced" } else { "other cohorts name it" };
        let hint = match (others.is_empty(), syncs.is_empty()) {
            (true, _) => "cohort_sync_drop ends a sync.",
            (_, true) => "Drop or change these cohorts first.",
            _ => "Drop or change these cohorts first; cohort_sync_drop ends a sync.",
        };
        return Err(failure(
            SqlState::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop cohort \"{name}\" because {why}"),
        )
        .set_detail(list.join("\n"))
        .set_hint(hint));
    }
    write("DELETE FROM kursaha_cohort.cohort WHERE cohort_id = $1", &[cohort.id.into()])?;
    Ok(())
}

/// Saves a fixed list of customer ids under a name, or sets the ids of one anew. Ids that nobody has yet are kept: they
/// count once their customers are in the universe.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_import(name: Option<&str>, customer_ids: Option<Vec<Option<String>>>) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(ids)) = (name, customer_ids) else { return Ok(None) };
    check_name(name)?;
    if ids.len() > MAX_LIST {
        return Err(invalid(format!("a fixed list takes at most {MAX_LIST} ids at once, not {}", ids.len())));
    }
    let mut list = Vec::with_capacity(ids.len());
    for (index, id) in ids.into_iter().enumerate() {
        let place = index + 1;
        let Some(id) = id else { return Err(invalid(format!("customer_ids[{place}] is null"))) };
        if let Err(error) = stamp::check_customer_id(&id) {
            return Err(invalid(format!("customer_ids[{place}]: {}", error.message()))
                .set_hint("Leave this id out of the list."));
        }
        list.push(id);
    }
    store::lock_definitions()?;
    let id = match store::find(Snapshot::Fresh, name)? {
        None => add(name, None, None)?,
        Some(cohort) => {
            let cohort = store::get_for_change(&cohort.name)?;
            if cohort.rule.is_some() {
                return Err(failure(
                    SqlState::ERRCODE_UNIQUE_VIOLATION,
                    format!("cohort \"{name}\" exists already and is a rule, not a fixed list"),
                )
                .set_hint("Choose another name, or cohort_drop it first."));
            }
            write(
                "UPDATE kursaha_cohort.cohort SET version = version + 1, updated_at = now() WHERE cohort_id = $1",
                &[cohort.id.into()],
            )?;
            cohort.id
        }
    };
    list.sort_unstable();
    list.dedup();
    with_owners_rights(|| {
        lists::set(id, &list)?;
        index::keep_list(id)
    })?;
    keep_version(id)?;
    Ok(Some(id))
}
