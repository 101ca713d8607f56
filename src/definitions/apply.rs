//! Making a document true, in one transaction and with the current user's rights.

use std::collections::{HashMap, HashSet};

use cohort_core::definitions::{Cohort, Definitions, Members, in_order};
use cohort_core::rule::Rule;
use pgrx::pg_sys::panic::ErrorReport;

use super::{beside, difference};
use crate::pg::databases::{current_user, write};
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::moment::Moment;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::{notices, query, save, time};

/// One line of what was done.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) name: String,
    pub(crate) action: String,
    /// Members that the cohort gains and loses; none of what is no cohort.
    pub(crate) members: Option<(i64, i64)>,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    Create,
    Update,
    Unchanged,
    Drop,
}

impl Done {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Unchanged => "unchanged",
            Self::Drop => "drop",
        }
    }
}

/// A cohort of the document, or one that is dropped.
struct Touched {
    id: i64,
    name: String,
    done: Done,
    /// Whether its rule or its ids are others now.
    redefined: bool,
}

/// Creates and updates what a document says; with `prune`, drops what the current user owns and the document does not have,
/// of the kinds that it mentions.
pub(crate) fn apply(wanted: &Definitions, prune: bool) -> Fallible<Vec<Change>> {
    store::lock_definitions()?;
    Moment::hold(|moment| {
        let mut edges = store::references(Snapshot::Fresh)?;
        let mut cohorts = match &wanted.cohorts {
            Some(cohorts) => set_cohorts(cohorts)?,
            None => Vec::new(),
        };
        let mut others = beside::set(wanted, prune)?;
        if let Some(kept) = wanted.cohorts.as_ref().filter(|_| prune) {
            cohorts.extend(drop_others(kept)?);
        }
        edges.extend(store::references(Snapshot::Fresh)?);
        let mut changes = compare(moment, &cohorts, &edges)?;
        changes.append(&mut others);
        Ok(changes)
    })
}

/// A line for each cohort that was touched, and for each other one whose members are others for that.
fn compare(moment: &Moment, touched: &[Touched], edges: &[(i64, i64)]) -> Fallible<Vec<Change>> {
    let redefined: HashSet<i64> = touched.iter().filter(|cohort| cohort.redefined).map(|cohort| cohort.id).collect();
    let mut reached = difference::reached(&redefined, edges);
    let as_of = time::as_of(None)?;
    let mut changes = Vec::new();
    for cohort in touched {
        let members = if reached.remove(&cohort.id) {
            let (was, is) = (cohort.done != Done::Create, cohort.done != Done::Drop);
            difference::difference(moment, &cohort.name, as_of, was, is)?
        } else {
            (0, 0)
        };
        changes.push(Change {
            name: cohort.name.clone(),
            action: cohort.done.name().to_owned(),
            members: Some(members),
        });
    }
    let others: Vec<String> = spi::run(
        Snapshot::Fresh,
        "SELECT c.name FROM kursaha_cohort.cohort c WHERE c.cohort_id = ANY ($1) ORDER BY c.name COLLATE \"C\"",
        &[reached.into_iter().collect::<Vec<i64>>().into()],
        |row| row.need(1),
    )?;
    for name in others {
        let members = difference::difference(moment, &name, as_of, true, true)?;
        if members != (0, 0) {
            changes.push(Change { name, action: Done::Unchanged.name().to_owned(), members: Some(members) });
        }
    }
    Ok(changes)
}

/// Sets the cohorts of a document; gives them in an order in which each stands behind those that it names.
fn set_cohorts(wanted: &[Cohort]) -> Fallible<Vec<Touched>> {
    let mut touched = Vec::with_capacity(wanted.len());
    for (place, cohort) in wanted.iter().enumerate() {
        pgrx::check_for_interrupts!();
        touched.push(set_cohort(cohort, place)?);
    }
    // Rules name one another, so that they are looked at when all are there.
    let rules = || {
        wanted.iter().zip(&touched).enumerate().filter_map(|(place, (cohort, touched))| match &cohort.members {
            Members::Rule(rule) if touched.redefined => Some((place, &**rule, touched)),
            Members::Rule(_) | Members::Query(_) | Members::List(_) => None,
        })
    };
    for (_, rule, cohort) in rules() {
        save::keep_references(cohort.id, Some(rule))?;
    }
    for (place, rule, cohort) in rules() {
        let saved = store::get(Snapshot::Fresh, &cohort.name)?;
        save::check_references(rule, Some(&saved)).map_err(|error| in_document(error, place))?;
        notices::tell(&Question::of_rule(Snapshot::Fresh, rule.clone(), time::as_of(None)?)?);
    }
    for cohort in touched.iter().filter(|cohort| cohort.redefined) {
        save::keep_version(cohort.id)?;
    }
    let order = dependency_order(wanted);
    let mut touched: Vec<Option<Touched>> = touched.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|place| touched[place].take()).collect())
}

/// The error of a rule with the place in the document: `$` of the rule is where the rule stands.
fn in_document(error: ErrorReport, place: usize) -> ErrorReport {
    let Some(rest) = error.message().strip_prefix("invalid cohort rule at $") else { return error };
    let mut found = invalid(format!("invalid definitions at $.cohorts[{place}].rule{rest}"));
    if let Some(detail) = error.detail() {
        found = found.set_detail(detail);
    }
    if let Some(hint) = error.hint() {
        found = found.set_hint(hint);
    }
    found
}

fn dependency_order(wanted: &[Cohort]) -> Vec<usize> {
    let names: Vec<&str> = wanted.iter().map(|cohort| cohort.name.as_str()).collect();
    let places: HashMap<&str, usize> = names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    let needs: Vec<Vec<usize>> = wanted
        .iter()
        .map(|cohort| match &cohort.members {
            Members::Rule(rule) => {
                store::named_by(rule).iter().filter_map(|name| places.get(name.as_str()).copied()).collect()
            }
            Members::Query(_) | Members::List(_) => Vec::new(),
        })
        .collect();
    in_order(&names, &needs)
}

fn set_cohort(cohort: &Cohort, place: usize) -> Fallible<Touched> {
    let name = &cohort.name;
    save::check_name(name)?;
    if let Members::List(Some(ids)) = &cohort.members {
        save::check_list(ids, |_| format!("invalid definitions at $.cohorts[{place}].customer_ids"))?;
    }
    let Some(found) = store::find(Snapshot::Fresh, name)? else {
        let id = create(cohort)?;
        return Ok(Touched { id, name: name.clone(), done: Done::Create, redefined: true });
    };
    let asked = match &cohort.members {
        Members::Rule(_) => "a rule",
        Members::Query(_) => "a query",
        Members::List(_) => "a fixed list",
    };
    let is = found.kind();
    if is != asked {
        return Err(failure(
            SqlState::ERRCODE_WRONG_OBJECT_TYPE,
            format!("invalid definitions at $.cohorts[{place}]: cohort \"{name}\" is {is}, not {asked}"),
        )
        .set_hint("Choose another name, or cohort_drop it first."));
    }
    let same_description: bool = spi::one(
        Snapshot::Fresh,
        "SELECT c.description IS NOT DISTINCT FROM $2 FROM kursaha_cohort.cohort c WHERE c.cohort_id = $1",
        &[found.id.into(), cohort.description.as_deref().into()],
        |row| row.need(1),
    )?;
    let same_members = match &cohort.members {
        Members::Rule(rule) => has_rule(found.id, rule)?,
        Members::Query(text) => query::text_of(Snapshot::Fresh, found.id)?.as_ref() == Some(text),
        Members::List(Some(ids)) => has_ids(found.id, ids)?,
        Members::List(None) => true,
    };
    let done = if same_description && same_members { Done::Unchanged } else { Done::Update };
    if done == Done::Update {
        let own = store::get_for_change(name)?;
        update(&own, cohort, !same_members)?;
    }
    Ok(Touched { id: found.id, name: name.clone(), done, redefined: !same_members })
}

fn create(cohort: &Cohort) -> Fallible<i64> {
    let description = cohort.description.as_deref();
    match &cohort.members {
        Members::Rule(rule) => save::add(&cohort.name, description, Some(rule)),
        Members::Query(text) => {
            query::may_own(current_user())?;
            let checked = query::check(text, current_user()).map_err(|error| in_query_of(&cohort.name, error))?;
            let id = save::add(&cohort.name, description, None)?;
            save::keep_query(id, &checked)?;
            Ok(id)
        }
        Members::List(ids) => {
            let id = save::add(&cohort.name, description, None)?;
            if ids.is_none() {
                failure(
                    SqlState::ERRCODE_SUCCESSFUL_COMPLETION,
                    format!("the fixed list \"{}\" is created without ids", cohort.name),
                )
                .set_hint("cohort_import sets its ids.")
                .report(pgrx::PgLogLevel::NOTICE);
            }
            save::set_ids(id, ids.as_deref().unwrap_or_default())?;
            Ok(id)
        }
    }
}

fn update(own: &store::Cohort, cohort: &Cohort, redefine: bool) -> Fallible<()> {
    write(
        "UPDATE kursaha_cohort.cohort SET description = $2, updated_at = now() WHERE cohort_id = $1",
        &[own.id.into(), cohort.description.as_deref().into()],
    )?;
    if !redefine {
        return Ok(());
    }
    let mut checked = None;
    let rule = match &cohort.members {
        Members::Rule(rule) => Some(Jsonb::from(&rule.to_json())),
        Members::Query(text) => {
            let found = query::check(text, query::owner_of(own)?).map_err(|error| in_query_of(&own.name, error))?;
            checked = Some(found);
            None
        }
        Members::List(ids) => {
            save::set_ids(own.id, ids.as_deref().unwrap_or_default())?;
            None
        }
    };
    write(
        "UPDATE kursaha_cohort.cohort SET rule = $2, version = version + 1 WHERE cohort_id = $1",
        &[own.id.into(), rule.into()],
    )?;
    checked.map_or(Ok(()), |checked| save::keep_query(own.id, &checked))
}

fn in_query_of(cohort: &str, error: ErrorReport) -> ErrorReport {
    error.set_detail(format!("This is in the query of cohort \"{cohort}\"."))
}

/// Whether a cohort's stored rule is a rule, compared as `jsonb`.
fn has_rule(id: i64, rule: &Rule) -> Fallible<bool> {
    spi::one(
        Snapshot::Fresh,
        "SELECT c.rule = $2 FROM kursaha_cohort.cohort c WHERE c.cohort_id = $1",
        &[id.into(), Jsonb::from(&rule.to_json()).into()],
        |row| row.need(1),
    )
}

/// Whether a fixed list has exactly some ids, as far as the current user sees it.
fn has_ids(id: i64, ids: &[String]) -> Fallible<bool> {
    let mut there: Vec<String> = spi::run(
        Snapshot::Fresh,
        "SELECT m.customer_id FROM kursaha_cohort.readable_list_member m WHERE m.cohort_id = $1",
        &[id.into()],
        |row| row.need(1),
    )?;
    there.sort_unstable();
    Ok(there == ids)
}

/// Drops the current user's cohorts that a document does not have.
fn drop_others(kept: &[Cohort]) -> Fallible<Vec<Touched>> {
    let kept: Vec<String> = kept.iter().map(|cohort| cohort.name.clone()).collect();
    let dropped = spi::run(
        Snapshot::Fresh,
        "SELECT c.cohort_id, c.name FROM kursaha_cohort.cohort c \
         WHERE kursaha_cohort.owns(c.owner) AND c.name <> ALL ($1) ORDER BY c.name COLLATE \"C\"",
        &[kept.into()],
        |row| Ok(Touched { id: row.need(1)?, name: row.need(2)?, done: Done::Drop, redefined: true }),
    )?;
    let ids: Vec<i64> = dropped.iter().map(|cohort| cohort.id).collect();
    // A trigger refuses it while a cohort that stays, or a sync, needs one of them.
    write("DELETE FROM kursaha_cohort.cohort WHERE cohort_id = ANY ($1)", &[ids.into()])?;
    Ok(dropped)
}
