//! The number of members in each group of customers.

use cohort_core::plain_sql;
use cohort_core::rule::{Condition, Rule};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::inspect::rule_of_text;
use crate::pg::errors::Fallible;
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::time;

type AsOf = Option<TimestampWithTimeZone>;

fn groups(rule: Rule, property: &str, as_of: AsOf) -> Fallible<Vec<(Jsonb, i64)>> {
    // The property is read and refused as in a rule.
    let asked = serde_json::json!({"group": property, "any": {"did": "*"}});
    let asked = store::parse(&asked.to_string())?;
    let Condition::Group(group) = &asked.condition else { return Ok(Vec::new()) };
    let question = Question::of_rule(Snapshot::Callers, rule, time::as_of(as_of)?)?;
    let sql = question.ask(None, |rule, context| plain_sql::groups(rule, &group.property, context))?;
    spi::run(Snapshot::Callers, &sql, &[], |row| Ok((row.need(1)?, row.need(2)?)))
}

/// The groups that a property of profiles names, with how many of their customers are members of a saved cohort.
#[pg_extern(stable, parallel_restricted, name = "cohort_groups")]
fn cohort_groups_name(
    name: Option<&str>,
    property: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_group, Jsonb), name!(members, i64))>, ErrorReport> {
    let (Some(name), Some(property)) = (name, property) else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::new(groups(rule_of_text(name)?, property, as_of)?))
}

/// The same of an unsaved rule.
#[pg_extern(stable, parallel_restricted, name = "cohort_groups")]
fn cohort_groups_rule(
    rule: Option<Jsonb>,
    property: Option<&str>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_group, Jsonb), name!(members, i64))>, ErrorReport> {
    let (Some(rule), Some(property)) = (rule, property) else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::new(groups(store::parse_given(&rule.0)?, property, as_of)?))
}
