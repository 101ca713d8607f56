//! Saving cohorts: create, update, rename, drop, import.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::{current_user, write};
use crate::pg::errors::{SqlState, failure, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::notices;
use crate::pg::query;
use crate::pg::save::{
    add, check_free, check_list, check_name, check_references, keep_query, keep_references, keep_version, set_ids,
};
use crate::pg::spi::Snapshot;
use crate::pg::store::{self, Question};
use crate::pg::time;
use crate::sync;

/// Saves a rule under a name and gives the cohort's id.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_create(
    name: Option<&str>,
    rule: Option<Jsonb>,
    description: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(text)) = (name, rule) else { return Ok(None) };
    check_name(name)?;
    let rule = store::parse_given(&text.0)?;
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
    let rule = store::parse_given(&text.0)?;
    let cohort = store::get_for_change(name)?;
    if cohort.rule.is_none() {
        let hint =
            if cohort.is_query { "cohort_update_query replaces its query." } else { "cohort_import replaces its ids." };
        return Err(failure(
            SqlState::ERRCODE_WRONG_OBJECT_TYPE,
            format!("cohort \"{name}\" is {}, not a rule", cohort.kind()),
        )
        .set_hint(hint));
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

/// Saves a query under a name and gives the cohort's id. The query runs with the rights of the cohort's owner, who is the
/// current user.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_create_query(
    name: Option<&str>,
    query: Option<&str>,
    description: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(text)) = (name, query) else { return Ok(None) };
    check_name(name)?;
    query::may_own(current_user())?;
    let checked = query::check(text, current_user())?;
    store::lock_definitions()?;
    check_free(name)?;
    let id = add(name, description, None)?;
    keep_query(id, &checked)?;
    keep_version(id)?;
    Ok(Some(id))
}

/// Gives a query cohort a new query; the old one stays as a version.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_update_query(name: Option<&str>, query: Option<&str>) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(text)) = (name, query) else { return Ok(None) };
    let cohort = store::get_for_change(name)?;
    if !cohort.is_query {
        return Err(failure(
            SqlState::ERRCODE_WRONG_OBJECT_TYPE,
            format!("cohort \"{name}\" is {}, not a query", cohort.kind()),
        )
        .set_hint("cohort_update changes a rule, cohort_import a fixed list."));
    }
    let checked = query::check(text, query::owner_of(&cohort)?)?;
    write(
        "UPDATE kursaha_cohort.cohort SET version = version + 1, updated_at = now() WHERE cohort_id = $1",
        &[cohort.id.into()],
    )?;
    keep_query(cohort.id, &checked)?;
    keep_version(cohort.id)?;
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
        .set_hint("The owners must change these rules first."));
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
    let mut list: Vec<String> = others.iter().map(|other| format!("cohort \"{}\" refers to it", other.name)).collect();
    list.extend(syncs.iter().map(|sync| format!("it is synced to \"{}\"", sync.destination)));
    let suppresses = sync::suppression::has(cohort.id)?;
    if suppresses && list.is_empty() {
        return Err(failure(
            SqlState::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop cohort \"{name}\" because it is suppressed"),
        )
        .set_hint("cohort_unsuppress ends the suppression."));
    }
    if !list.is_empty() {
        let why = if others.is_empty() { "syncs use it" } else { "other cohorts refer to it" };
        let hint = match (others.is_empty(), syncs.is_empty()) {
            (true, _) => "cohort_sync_drop drops a sync.",
            (_, true) => "Drop or change these cohorts first.",
            _ => "Drop or change these cohorts first; cohort_sync_drop drops a sync.",
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

/// Saves a fixed list of customer ids under a name, or replaces the ids of an existing list. Ids without a customer are kept:
/// they count once their customers are in the universe.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_import(name: Option<&str>, customer_ids: Option<Vec<Option<String>>>) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(ids)) = (name, customer_ids) else { return Ok(None) };
    check_name(name)?;
    let mut list = Vec::with_capacity(ids.len());
    for (index, id) in ids.into_iter().enumerate() {
        list.push(id.ok_or_else(|| invalid(format!("customer_ids[{}] is null", index + 1)))?);
    }
    check_list(&list, |index| format!("customer_ids[{}]", index + 1))?;
    store::lock_definitions()?;
    let id = match store::find(Snapshot::Fresh, name)? {
        None => add(name, None, None)?,
        Some(cohort) => {
            let cohort = store::get_for_change(&cohort.name)?;
            if cohort.rule.is_some() || cohort.is_query {
                return Err(failure(
                    SqlState::ERRCODE_UNIQUE_VIOLATION,
                    format!("cohort \"{name}\" already exists and is {}, not a fixed list", cohort.kind()),
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
    set_ids(id, &list)?;
    keep_version(id)?;
    Ok(Some(id))
}
