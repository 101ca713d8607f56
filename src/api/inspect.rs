//! Inspection: explain, why, sql, validate, the JSON Schema.

use std::time::Instant;

use cohort_core::plain_sql;
use cohort_core::rule;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::evaluate::question_of_cohort;
use crate::pg::answer;
use crate::pg::errors::Fallible;
use crate::pg::extension;
use crate::pg::jsonb::Jsonb;
use crate::pg::notices;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::time;
use crate::pg::zones::ServerZones;

type AsOf = Option<TimestampWithTimeZone>;
type Explained = (String, String, i64, Option<i64>, Interval, String);

/// The rule that a text means: the JSON of a rule where it begins with `{` (which no name does), else a cohort's name.
/// `SELECT cohort_sql('{…}')` arrives here because an untyped literal is text.
pub(super) fn rule_of_text(text: &str) -> Fallible<rule::Rule> {
    if text.trim_start().starts_with('{') {
        store::parse_given(text)
    } else {
        Question::rule_of(&store::get(Snapshot::Callers, text)?)
    }
}

/// The question of a text that names a query cohort.
fn query_of_text(text: &str, as_of: AsOf) -> Fallible<Option<Question>> {
    if text.trim_start().starts_with('{') || !store::is_query(text)? {
        return Ok(None);
    }
    question_of_cohort(text, as_of).map(Some)
}

/// The words for the one condition of a query cohort.
const RETURNED: &str = "is returned by the query";

/// A query cohort has one condition.
fn explain_query(question: &Question) -> Fallible<Vec<Explained>> {
    let began = Instant::now();
    let customers = answer::size(question)?;
    let took = Interval::from_micros(i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX));
    Ok(vec![(RETURNED.to_owned(), "$".to_owned(), customers, None, took, "query of the owner".to_owned())])
}

fn explain(rule: rule::Rule, as_of: AsOf) -> Fallible<Vec<Explained>> {
    let question = Question::of_rule(Snapshot::Callers, rule, time::as_of(as_of)?)?;
    let count = |sql: &str| spi::one(Snapshot::Callers, sql, &[], |row| row.need::<i64>(1));
    let mut rows = Vec::new();
    let conditions = question.rule.walk();
    for (part, (_, condition)) in question.ask(None, plain_sql::parts)?.into_iter().zip(conditions) {
        let began = Instant::now();
        let (customers, events, how, took) = match answer::explain(&question, condition)? {
            Ok(found) => (found.customers, found.events, found.how, began.elapsed()),
            Err(reason) => {
                let customers = count(&format!("SELECT count(*) FROM (\n{}\n) AS members", part.members))?;
                let took = began.elapsed();
                (customers, part.events.as_deref().map(count).transpose()?, format!("plain SQL: {reason}"), took)
            }
        };
        let took = Interval::from_micros(i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
        rows.push((part.condition, part.path, customers, events, took, how));
    }
    Ok(rows)
}

/// One row for each condition of a saved cohort: exact counts, and how it was evaluated.
#[pg_extern(stable, parallel_restricted, name = "cohort_explain")]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_explain_name(
    name: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(condition, String),
            name!(path, String),
            name!(customers, i64),
            name!(events, Option<i64>),
            name!(took, Interval),
            name!(how, String),
        ),
    >,
    ErrorReport,
> {
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    if let Some(question) = query_of_text(name, as_of)? {
        return Ok(TableIterator::new(explain_query(&question)?));
    }
    Ok(TableIterator::new(explain(rule_of_text(name)?, as_of)?))
}

/// One row for each condition of a rule: exact counts, and how it was evaluated.
#[pg_extern(stable, parallel_restricted, name = "cohort_explain")]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_explain_rule(
    rule: Option<Jsonb>,
    as_of: default!(AsOf, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(condition, String),
            name!(path, String),
            name!(customers, i64),
            name!(events, Option<i64>),
            name!(took, Interval),
            name!(how, String),
        ),
    >,
    ErrorReport,
> {
    let Some(rule) = rule else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::new(explain(store::parse_given(&rule.0)?, as_of)?))
}

/// For each condition of a saved cohort, whether one customer satisfies it, and by which events or values.
#[pg_extern(stable, parallel_restricted)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_why(
    name: Option<&str>,
    customer_id: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (name!(path, String), name!(condition, String), name!(holds, bool), name!(evidence, Option<Jsonb>)),
    >,
    ErrorReport,
> {
    let (Some(name), Some(customer)) = (name, customer_id) else { return Ok(TableIterator::empty()) };
    if let Some(question) = query_of_text(name, as_of)? {
        let holds = answer::contains(&question, customer)?;
        return Ok(TableIterator::new(vec![("$".to_owned(), RETURNED.to_owned(), holds, None)]));
    }
    let question = Question::of_rule(Snapshot::Callers, rule_of_text(name)?, time::as_of(as_of)?)?;
    let mut rows = Vec::new();
    for part in question.ask(Some("$1"), |rule, context| plain_sql::evidence(rule, "$1", context))? {
        let (holds, evidence) = spi::one(Snapshot::Callers, &part.sql, &[customer.into()], |row| {
            Ok((row.need::<bool>(1)?, row.get::<Jsonb>(2)))
        })?;
        rows.push((part.path, part.condition, holds, evidence));
    }
    if !answer::is_known(&question, customer)? {
        pgrx::notice!("customer \"{customer}\" has no profile, and no event up to that instant, and is in no cohort");
    }
    Ok(TableIterator::new(rows))
}

/// Without an instant the text says `now()`, so that it stays true when it is run later or made a view.
fn instant(as_of: AsOf) -> Fallible<String> {
    match as_of {
        Some(_) => time::literal(time::as_of(as_of)?),
        None => Ok("now()".to_owned()),
    }
}

fn sql(rule: rule::Rule, as_of: AsOf) -> Fallible<String> {
    Question::new(Snapshot::Callers, rule, instant(as_of)?)?.members()
}

/// Plain SQL that gives the members of a saved cohort.
#[pg_extern(stable, parallel_restricted, name = "cohort_sql")]
fn cohort_sql_name(name: Option<&str>, as_of: default!(AsOf, "NULL")) -> Result<Option<String>, ErrorReport> {
    let Some(name) = name else { return Ok(None) };
    if let Some(query) = query_of_text(name, as_of)?.as_ref().and_then(Question::query) {
        return Ok(Some(query.statement(&extension::served_schema()?, &instant(as_of)?)));
    }
    sql(rule_of_text(name)?, as_of).map(Some)
}

/// Plain SQL that gives the members of a rule.
#[pg_extern(stable, parallel_restricted, name = "cohort_sql")]
fn cohort_sql_rule(rule: Option<Jsonb>, as_of: default!(AsOf, "NULL")) -> Result<Option<String>, ErrorReport> {
    let Some(rule) = rule else { return Ok(None) };
    sql(store::parse_given(&rule.0)?, as_of).map(Some)
}

/// Every problem of a rule; no row for a valid one. The names of other cohorts are looked up too.
#[pg_extern(stable, parallel_restricted)]
fn cohort_validate(
    rule: Option<Jsonb>,
) -> Result<
    TableIterator<'static, (name!(path, String), name!(problem, String), name!(hint, Option<String>))>,
    ErrorReport,
> {
    let Some(rule) = rule else { return Ok(TableIterator::empty()) };
    let rows: Vec<_> = match rule::parse_text_within(&rule.0, &store::SURROUNDINGS) {
        Err(problems) => problems.into_iter().map(|found| (found.path, found.problem, found.hint)).collect(),
        Ok(rule) => {
            let mut rows = Vec::new();
            for (path, name) in rule.cohort_names() {
                match store::find(Snapshot::Callers, name)? {
                    None => {
                        let hint = "Save it first with cohort_create.".to_owned();
                        rows.push((path, format!("cohort \"{name}\" does not exist"), Some(hint)));
                    }
                    Some(cohort) if cohort.is_query => {
                        let hint = store::QUERY_IN_RULE.to_owned();
                        rows.push((
                            path,
                            format!("cohort \"{name}\" is a query, which a rule cannot name"),
                            Some(hint),
                        ));
                    }
                    Some(_) => {}
                }
            }
            if rows.is_empty()
                && let Ok(question) = Question::of_rule(Snapshot::Callers, rule, time::as_of(None)?)
            {
                notices::tell(&question);
            }
            rows
        }
    };
    Ok(TableIterator::new(rows))
}

/// The JSON Schema (draft 2020-12) of rules, with this server's time zones.
#[pg_extern(stable, parallel_restricted)]
fn cohort_rule_schema() -> Result<Jsonb, ErrorReport> {
    Ok(Jsonb::from(&rule::json_schema(&ServerZones::names()?)))
}
