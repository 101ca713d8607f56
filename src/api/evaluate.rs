//! Members: run, count, contains, evaluate, preview, overlap. All functions are STABLE: they use the caller's snapshot,
//! do not write, and work in a read-only transaction.

use std::collections::HashSet;

use cohort_core::time::Micros;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::answer;
use crate::pg::errors::{Fallible, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::notices;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::time;

type AsOf = Option<TimestampWithTimeZone>;

/// The most ids that a preview shows.
const MAX_SAMPLE: i32 = 10_000;
/// The most cohorts of one overlap: its result has 2^n - 1 rows.
const MAX_OVERLAP: usize = 10;
/// The most cohorts of one waterfall.
const MAX_WATERFALL: usize = 1_000;

/// A saved cohort, evaluated in the snapshot of the query that calls the function.
pub(super) fn question_of_cohort(name: &str, as_of: AsOf) -> Fallible<Question> {
    Question::of_cohort(Snapshot::Callers, name, time::as_of(as_of)?)
}

/// An unsaved rule, likewise.
pub(super) fn question_of_rule(rule: &Jsonb, as_of: AsOf) -> Fallible<Question> {
    Question::of_rule(Snapshot::Callers, store::parse_given(&rule.0)?, time::as_of(as_of)?)
}

/// The customer ids of a saved cohort's members at an instant, in no particular order.
#[pg_extern(stable, parallel_safe)]
fn cohort_run(
    name: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_id, String),)>, ErrorReport> {
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    let members = answer::members(&question_of_cohort(name, as_of)?)?;
    Ok(TableIterator::new(members.map(|id| (id,))))
}

/// How many members a saved cohort has at an instant.
#[pg_extern(stable, parallel_safe)]
fn cohort_count(name: Option<&str>, as_of: default!(AsOf, "NULL")) -> Result<Option<i64>, ErrorReport> {
    let Some(name) = name else { return Ok(None) };
    answer::size(&question_of_cohort(name, as_of)?).map(Some)
}

/// Whether one customer is in a saved cohort at an instant; reads that customer's rows only.
#[pg_extern(stable, parallel_safe)]
fn cohort_contains(
    name: Option<&str>,
    customer_id: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<Option<bool>, ErrorReport> {
    let (Some(name), Some(customer)) = (name, customer_id) else { return Ok(None) };
    answer::contains(&question_of_cohort(name, as_of)?, customer).map(Some)
}

/// The saved cohorts that one customer is in at an instant, by name; reads that customer's rows once.
#[pg_extern(stable, parallel_safe)]
fn cohort_of(
    customer_id: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(cohort, String),)>, ErrorReport> {
    let Some(customer) = customer_id else { return Ok(TableIterator::empty()) };
    let names = store::all_names(Snapshot::Callers)?;
    let found = answer::holding(&names, customer, time::as_of(as_of)?)?;
    Ok(TableIterator::new(found.into_iter().map(|name| (name,))))
}

/// The customer ids that an unsaved rule selects at an instant.
#[pg_extern(stable, parallel_safe)]
fn cohort_evaluate(
    rule: Option<Jsonb>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_id, String),)>, ErrorReport> {
    let Some(rule) = rule else { return Ok(TableIterator::empty()) };
    let members = answer::members(&question_of_rule(&rule, as_of)?)?;
    Ok(TableIterator::new(members.map(|id| (id,))))
}

/// What an unsaved rule would select: how many, of how many, and the first few ids in byte order.
#[pg_extern(stable, parallel_safe)]
fn cohort_preview(
    rule: Option<Jsonb>,
    sample: default!(Option<i32>, "10"),
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(size, i64), name!(universe, i64), name!(sample, Vec<String>))>, ErrorReport> {
    let (Some(rule), Some(sample)) = (rule, sample) else { return Ok(TableIterator::empty()) };
    if !(0..=MAX_SAMPLE).contains(&sample) {
        return Err(invalid(format!("sample must be 0 to {MAX_SAMPLE}, not {sample}"))
            .set_hint("cohort_evaluate returns all members of a rule."));
    }
    let question = question_of_rule(&rule, as_of)?;
    notices::tell(&question);
    Ok(TableIterator::once(answer::preview(&question, usize::try_from(sample).unwrap_or(0))?))
}

/// For every combination of some saved cohorts, how many customers are in all of them, and how many of those are in
/// none of the others.
#[pg_extern(stable, parallel_safe)]
fn cohort_overlap(
    names: Option<Vec<Option<String>>>,
    as_of: default!(AsOf, "NULL"),
) -> Result<
    TableIterator<'static, (name!(cohorts, Vec<String>), name!(customers, i64), name!(only_these, i64))>,
    ErrorReport,
> {
    let Some(names) = names else { return Ok(TableIterator::empty()) };
    let names = several("an overlap", MAX_OVERLAP, names)?;
    let as_of = time::as_of(as_of)?;
    let exact = match answer::overlap(&names, as_of)? {
        Some(exact) => exact,
        None => overlap_by_sql(&names, as_of)?,
    };
    let rows: Vec<_> = (1_usize..1 << names.len())
        .map(|mask| {
            let cohorts = names.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1).map(|(_, n)| n.clone());
            let total = |wanted: &dyn Fn(usize) -> bool| {
                exact.iter().filter(|(found, _)| wanted(*found)).map(|(_, count)| count).sum::<i64>()
            };
            (cohorts.collect(), total(&|found| found & mask == mask), total(&|found| found == mask))
        })
        .collect();
    Ok(TableIterator::new(rows))
}

/// The names of some cohorts, each there and named once.
fn several(what: &str, most: usize, names: Vec<Option<String>>) -> Fallible<Vec<String>> {
    if names.is_empty() || names.len() > most {
        return Err(invalid(format!("{what} takes 1 to {most} cohorts, not {}", names.len())));
    }
    let names: Vec<String> = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let place = index + 1;
            name.ok_or_else(|| invalid(format!("names[{place}] is null")).set_hint("Remove it from the array."))
        })
        .collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
        return Err(invalid(format!("cohort \"{twice}\" is given twice")));
    }
    for name in &names {
        store::get(Snapshot::Callers, name)?;
    }
    Ok(names)
}

/// Each customer that is in any of some saved cohorts, with the first of them.
#[pg_extern(stable, parallel_safe)]
fn cohort_waterfall(
    names: Option<Vec<Option<String>>>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_id, String), name!(cohort, String))>, ErrorReport> {
    let Some(names) = names else { return Ok(TableIterator::empty()) };
    let names = several("a waterfall", MAX_WATERFALL, names)?;
    let as_of = time::as_of(as_of)?;
    let found = match answer::waterfall(&names, as_of)? {
        Some(found) => found,
        None => waterfall_by_sql(&names, as_of)?,
    };
    Ok(TableIterator::new(found.into_iter().map(move |(id, place)| (id, names[place].clone()))))
}

fn waterfall_by_sql(names: &[String], as_of: Micros) -> Fallible<Vec<(String, usize)>> {
    let mut sets = Vec::new();
    for (place, name) in names.iter().enumerate() {
        let members = Question::of_cohort(Snapshot::Callers, name, as_of)?.members()?;
        sets.push(format!("SELECT customer_id, {place} AS place FROM (\n{members}\n) AS members"));
    }
    let sql = format!(
        "SELECT customer_id, min(place) FROM (\n{}\n) AS places GROUP BY customer_id",
        sets.join("\nUNION ALL\n")
    );
    spi::run(Snapshot::Callers, &sql, &[], |row| Ok((row.need(1)?, usize::try_from(row.need::<i32>(2)?).unwrap_or(0))))
}

fn overlap_by_sql(names: &[String], as_of: Micros) -> Fallible<Vec<(usize, i64)>> {
    let mut sets = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let bit = 1 << index;
        let members = Question::of_cohort(Snapshot::Callers, name, as_of)?.members()?;
        sets.push(format!("SELECT customer_id, {bit} AS bit FROM (\n{members}\n) AS members"));
    }
    let sql = format!(
        "SELECT mask, count(*) FROM (SELECT sum(bit)::integer AS mask FROM (\n{}\n) AS bits GROUP BY customer_id) AS masks GROUP BY mask",
        sets.join("\nUNION ALL\n")
    );
    spi::run(Snapshot::Callers, &sql, &[], |row| Ok((usize::try_from(row.need::<i32>(1)?).unwrap_or(0), row.need(2)?)))
}
