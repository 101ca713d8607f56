//! What a node of a cluster contributes to a ranking or a group whose customers are on several nodes. The coordinator puts
//! the contributions together (cluster/crossing.sql).

use cohort_core::plain_sql;
use cohort_core::rule::{Condition, Cut, Rule};
use cohort_core::value::Number;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::answer;
use crate::pg::errors::{Fallible, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::time;

type AsOf = Option<TimestampWithTimeZone>;
type Entrant = (String, AnyNumeric, AnyNumeric, Option<Jsonb>);
type Group = (Jsonb, i64, i64, String);

fn question(rule: Rule, as_of: AsOf) -> Fallible<Question> {
    Question::of_rule(Snapshot::Callers, rule, time::as_of(as_of)?)
}

fn rank_entrants(rule: Rule, as_of: AsOf) -> Fallible<Vec<Entrant>> {
    let mut rule = rule;
    let Condition::Rank(rank) = &mut rule.condition else { return Err(invalid("the rule is not a rank")) };
    // A place among all customers is not known here, so that a share of them is all of them. The first are among the first
    // of each node.
    if let (Cut::Percent(..), Some(none), Some(all)) = (&rank.cut, Number::parse("0"), Number::parse("100")) {
        rank.cut = Cut::Percent(none, all);
    }
    let zone = rule.zone().to_owned();
    let question = question(rule, as_of)?;
    let ids: Vec<String> = answer::members(&question)?.collect();
    let sql = question.ask(None, |rule, context| {
        let Condition::Rank(rank) = &rule.condition else { return Ok(String::new()) };
        Ok(plain_sql::entrants(rank, &zone, context))
    })?;
    spi::run(Snapshot::Callers, &sql, &[ids.into()], |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?, row.get(4))))
}

fn numbers_of_groups(rule: Rule, as_of: AsOf) -> Fallible<Vec<Group>> {
    let Condition::Group(group) = rule.condition else { return Err(invalid("the rule is not a group")) };
    let of = Rule { version: None, timezone: rule.timezone, condition: *group.condition };
    let question = question(of, as_of)?;
    let ids: Vec<String> = answer::members(&question)?.collect();
    let sql = question.ask(None, |_, context| Ok(plain_sql::numbers_of_groups(&group.property, context)))?;
    spi::run(Snapshot::Callers, &sql, &[ids.into()], |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?, row.need(4)?)))
}

/// The customers who can be in a ranking of this and other databases, with the total and the number by which it is divided,
/// and the value of `by`.
#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn entrants(
    rule: Option<Jsonb>,
    as_of: AsOf,
) -> Result<
    TableIterator<
        'static,
        (name!(customer_id, String), name!(total, AnyNumeric), name!(number, AnyNumeric), name!(value, Option<Jsonb>)),
    >,
    ErrorReport,
> {
    let Some(rule) = rule else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::new(rank_entrants(store::parse_given(&rule.0)?, as_of)?))
}

/// Each group with the number of its customers, of those who satisfy the condition, and one of them all.
#[pg_extern(sql = false)]
fn group_numbers(
    rule: Option<Jsonb>,
    as_of: AsOf,
) -> Result<
    TableIterator<'static, (name!(value, Jsonb), name!(customers, i64), name!(satisfied, i64), name!(one, String))>,
    ErrorReport,
> {
    let Some(rule) = rule else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::new(numbers_of_groups(store::parse_given(&rule.0)?, as_of)?))
}
