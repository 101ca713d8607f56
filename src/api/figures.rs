//! Figures of customers, as rows: the numbers that rules compare and rank by.

use cohort_core::plain_sql;
use cohort_core::rule::{self, Condition, Rule};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::inspect::rule_of_text;
use crate::pg::answer;
use crate::pg::errors::{Fallible, invalid_at};
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self, Question};
use crate::pg::time;

type AsOf = Option<TimestampWithTimeZone>;

/// A figure, in the zone of the rule that selects the customers, or UTC.
fn figures(figure: &Jsonb, members: Option<Rule>, as_of: AsOf) -> Fallible<Vec<(String, AnyNumeric)>> {
    let figure =
        rule::parse_figure(&figure.0, &store::SURROUNDINGS).map_err(|problems| invalid_at("figure", &problems))?;
    let as_of = time::as_of(as_of)?;
    let asks = members.is_some();
    // Without one, the figure is computed for all customers.
    let rule = members.unwrap_or_else(|| Rule { version: None, timezone: None, condition: Condition::Or(Vec::new()) });
    let zone = rule.zone().to_owned();
    let question = Question::of_rule(Snapshot::Callers, rule, as_of)?;
    let sql = question.ask(None, |_, context| Ok(plain_sql::figures(&figure, &zone, context)))?;
    let mut read = |row: &spi::Row| Ok((row.need(1)?, row.need(2)?));
    if !asks {
        return spi::run(Snapshot::Callers, &sql, &[], &mut read);
    }
    let ids: Vec<String> = answer::members(&question)?.collect();
    let sql = format!("SELECT v.customer_id, v.value FROM (\n{sql}\n) AS v WHERE v.customer_id = ANY ($1)");
    spi::run(Snapshot::Callers, &sql, &[ids.into()], &mut read)
}

/// A figure of every customer with a value, or of the members of a saved cohort.
#[pg_extern(stable, parallel_restricted, name = "cohort_figures")]
fn cohort_figures_name(
    figure: Option<Jsonb>,
    name: default!(Option<&str>, "NULL"),
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_id, String), name!(value, AnyNumeric))>, ErrorReport> {
    let Some(figure) = figure else { return Ok(TableIterator::empty()) };
    let members = name.map(rule_of_text).transpose()?;
    Ok(TableIterator::new(figures(&figure, members, as_of)?))
}

/// The same of the members of an unsaved rule.
#[pg_extern(stable, parallel_restricted, name = "cohort_figures")]
fn cohort_figures_rule(
    figure: Option<Jsonb>,
    rule: Option<Jsonb>,
    as_of: default!(AsOf, "NULL"),
) -> Result<TableIterator<'static, (name!(customer_id, String), name!(value, AnyNumeric))>, ErrorReport> {
    let (Some(figure), Some(rule)) = (figure, rule) else { return Ok(TableIterator::empty()) };
    Ok(TableIterator::new(figures(&figure, Some(store::parse_given(&rule.0)?), as_of)?))
}
