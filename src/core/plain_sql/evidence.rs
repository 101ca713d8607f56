//! The evidence for one customer, for each condition.

use super::chain::{Place, below, members};
use super::clock::Clock;
use super::did::figure_of_one;
use super::scan::matching;
use super::{Context, Unresolved, all, clock, path, quote, sequence};
use crate::rule::{Condition, Did, Group, Property, Rank, Rule, Sequence, Times, Window};

/// One condition of a rule, as it is for one customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Its path in the rule: `$`, `$.and[0]`.
    pub path: String,
    /// The condition in words.
    pub condition: String,
    /// A statement that returns one row, `holds boolean, evidence jsonb`. The evidence is
    /// * of `did` and `did_not`: `count` of the matching events, `event_ids` of the first ten of them, and
    ///   `aggregate`, the figure, where one is asked for (null when there is no value; an average is rounded here), and
    ///   `anchors`, the instants of those of its `time`; with `per` the first days of the `periods` that hold, and no
    ///   `aggregate`;
    /// * of `profile`: the property's `value`, through `[]` a list of the elements' values;
    /// * of `cohort`: its name as `cohort`;
    /// * of `compare`: the figures `compare` and `to` (null without a value; an average is rounded here);
    /// * of `group`: the `group`, how many `customers` it has and how many of them satisfy the condition, as `members`; null
    ///   without a group;
    /// * of `rank`: the customer's `figure` (an average is rounded here), the place in the ranking as `rank`, how many
    ///   `customers` are ranked, and with `by` the `group`; null for a customer who is not ranked;
    /// * of `sample`: the customer's `place`;
    /// * of `sequence`: the `event_ids` of one assignment that satisfies it, null without one;
    /// * SQL null of `and`, `or`, `not` and `customer_in`.
    pub sql: String,
}

/// Every condition of the rule for the customer whose id is the SQL expression `customer`, in the order of the
/// document, outer before inner. A customer outside the universe satisfies none of them.
///
/// # Errors
/// As [`members`](super::members).
pub fn evidence(rule: &Rule, customer: &str, cx: &Context) -> Result<Vec<Evidence>, Unresolved> {
    let cx = &Context { only: Some(customer), ..*cx };
    let clock = clock(rule, cx);
    all(rule)
        .into_iter()
        .map(|place| {
            let evidence = match place.condition {
                Condition::And(_) | Condition::Or(_) | Condition::Not(_) | Condition::CustomerIn(_) => {
                    "NULL::jsonb".to_owned()
                }
                Condition::Did(did) | Condition::DidNot(did) => of_did(did, &clock, cx),
                Condition::Profile(test) => of_profile(&test.property, customer, cx),
                Condition::ProfileElement(test) => of_profile(&test.property, customer, cx),
                Condition::Cohort(name) => format!("jsonb_build_object('cohort', {})", typed(name)),
                Condition::Compare(compare) => super::compare::evidence(compare, customer, cx, &clock),
                Condition::Group(group) => of_group(group, &place, customer, &clock, cx)?,
                Condition::Rank(rank) => of_rank(rank, &place, customer, &clock, cx)?,
                Condition::Sample(sample) => {
                    object(&[format!("'place', {}", super::sample::place(sample, customer, cx))])
                }
                Condition::Sequence(steps) => of_sequence(steps, &clock, cx),
            };
            let sql =
                format!("SELECT\n{} AS holds,\n{} AS evidence", holds(&place, &clock, cx)?, quote::indent(&evidence));
            Ok(Evidence { condition: place.condition.describe(), path: place.path, sql })
        })
        .collect()
}

fn holds(place: &Place, clock: &Clock, cx: &Context) -> Result<String, Unresolved> {
    Ok(quote::indent(&format!("EXISTS (\n{}\n)", quote::indent(&members(place, clock, cx)?))))
}

fn of_did(did: &Did, clock: &Clock, cx: &Context) -> String {
    let scan = matching(did, cx, clock);
    let first = format!("{}\nORDER BY e.occurred_at, e.event_id\nLIMIT 10", scan.select("e.event_id, e.occurred_at"));
    let mut entries = vec![
        format!("'count', {}", scalar(&scan.select("count(*)"))),
        format!(
            "'event_ids', (\n  SELECT coalesce(jsonb_agg(f.event_id ORDER BY f.occurred_at, f.event_id), '[]')\n  FROM (\n{}\n  ) f\n)",
            quote::indent(&quote::indent(&first))
        ),
    ];
    if let Some(periods) = &did.periods {
        let holding = quote::indent(&super::periods::statement(did, periods.unit, &scan, clock));
        let all = format!("SELECT coalesce(jsonb_agg(h.period ORDER BY h.period), '[]')\nFROM (\n{holding}\n) h");
        entries.push(format!("'periods', {}", scalar(&all)));
    } else if let Some(aggregate) = &did.aggregate {
        entries.push(format!("'aggregate', {}", scalar(&figure_of_one(aggregate, &scan))));
    }
    let anchors: Vec<String> = did
        .time
        .iter()
        .flat_map(Times::forms)
        .filter_map(|form| match form {
            Window::From(anchor, _) => Some((anchor, false)),
            Window::Until(anchor, _) => Some((anchor, true)),
            Window::InTheLast(_)
            | Window::MoreThanAgo(_)
            | Window::BetweenAgo(..)
            | Window::Since(_)
            | Window::Before(_)
            | Window::Between(..)
            | Window::This(_)
            | Window::Previous(_)
            | Window::Weekday(_)
            | Window::Hours(_) => None,
        })
        .map(|(anchor, until)| {
            let instants = quote::indent(&super::time::instants(anchor, until, cx, clock));
            scalar(&format!("SELECT a.at\nFROM (\n{instants}\n) a"))
        })
        .collect();
    if !anchors.is_empty() {
        entries.push(format!("'anchors', {}", quote::call("jsonb_build_array", &anchors)));
    }
    object(&entries)
}

fn of_group(group: &Group, place: &Place, customer: &str, clock: &Clock, cx: &Context) -> Result<String, Unresolved> {
    let whole = Context { only: None, ..*cx };
    let mut satisfied = String::new();
    for inner in below(place) {
        satisfied = quote::indent(&members(&inner, clock, &whole)?);
    }
    let values = quote::indent(&super::group::values(&group.property, &whole));
    let counts = format!(
        "WITH s AS (\n{values}\n)\nSELECT jsonb_build_object(\n  'group', s.value,\n  'customers', count(*),\n  \
         'members', count(*) FILTER (WHERE s.customer_id IN (\n{satisfied}\n  ))\n)\nFROM s\n\
         WHERE s.value = (SELECT o.value FROM s o WHERE o.customer_id = {customer})\nGROUP BY s.value"
    );
    Ok(scalar(&counts))
}

fn of_rank(rank: &Rank, place: &Place, customer: &str, clock: &Clock, cx: &Context) -> Result<String, Unresolved> {
    let whole = Context { only: None, ..*cx };
    let mut satisfied = None;
    for of in below(place) {
        satisfied = Some(format!("f.key IN (\n{}\n)", quote::indent(&members(&of, clock, &whole)?)));
    }
    Ok(scalar(&super::rank::evidence(rank, satisfied.as_deref(), customer, &whole, clock)))
}

fn of_profile(property: &Property, customer: &str, cx: &Context) -> String {
    let reached = path::follow("p.profile", &property.steps, 0);
    let value = if reached.elements.is_empty() { reached.value } else { format!("jsonb_agg({})", reached.value) };
    let mut from = vec![format!("{}.cohort_customer p", cx.schema)];
    from.extend(reached.elements);
    let sql = format!("SELECT {value}\nFROM {}\nWHERE p.customer_id = {customer}", from.join(",\n  "));
    object(&[format!("'value', {}", scalar(&sql))])
}

fn of_sequence(steps: &Sequence, clock: &Clock, cx: &Context) -> String {
    let statements = sequence::statements(steps, cx, clock, "t", true);
    let tables: Vec<String> = statements
        .steps
        .iter()
        .map(|(name, sql)| format!("{name} AS MATERIALIZED (\n{}\n)", quote::indent(sql)))
        .collect();
    let sql = format!(
        "WITH\n{}\nSELECT s.event_ids\n{}\nORDER BY s.occurred_at, s.event_id\nLIMIT 1",
        tables.join(",\n"),
        statements.satisfied
    );
    object(&[format!("'event_ids', {}", scalar(&sql))])
}

fn scalar(sql: &str) -> String {
    format!("(\n{}\n)", quote::indent(sql))
}

fn object(entries: &[String]) -> String {
    format!("jsonb_build_object(\n{}\n)", quote::indent(&entries.join(",\n")))
}

/// A string literal that is known to be text where any type is taken.
fn typed(value: &str) -> String {
    format!("{}::text", quote::text(value))
}
