//! Figures, and `compare`, as SQL.

use super::clock::Clock;
use super::did::{SCALAR, subquery};
use super::group;
use super::scan::{Scan, beside, existing, filter};
use super::time::timing;
use super::{Context, HELPERS, path, quote};
use crate::rule::{Amount, Compare, EventAmount, Function, Relation};

/// A figure: the source of its rows, and its value.
pub(super) struct Written {
    /// A statement that returns `key`, `total` and, for averages, `number`. `None` for a constant.
    statement: Option<String>,
    /// Its value if there is no row.
    otherwise: Option<&'static str>,
    /// Whether it is the total divided by the number.
    average: bool,
    number: String,
}

impl Written {
    pub(super) fn new(amount: &Amount, over: Option<&str>, cx: &Context, clock: &Clock) -> Self {
        let mut written = Self { statement: None, otherwise: None, average: false, number: String::new() };
        match amount {
            Amount::Number(number) => written.number = quote::number(number),
            Amount::Profile(property) => {
                let value = path::follow("p.profile", &property.steps, 0).value;
                let conditions = super::scan::only("p", cx).into_iter().collect();
                let scan = Scan { from: vec![format!("{}.cohort_customer p", cx.schema)], conditions };
                written.statement =
                    Some(scan.select(&format!("p.customer_id AS key, {HELPERS}.json_number({value}) AS total")));
            }
            Amount::Events(amount) => {
                let function = amount.measure.as_ref().map(|measure| measure.function);
                written.otherwise = match function {
                    None | Some(Function::Sum | Function::CountDistinct) => Some("0"),
                    Some(Function::Avg | Function::Min | Function::Max) => None,
                };
                written.average = function == Some(Function::Avg);
                written.statement = Some(of_events(amount, over, cx, clock));
            }
        }
        written
    }

    fn total(&self, alias: &str) -> String {
        match (&self.statement, self.otherwise) {
            (None, _) => self.number.clone(),
            (Some(_), Some(otherwise)) => format!("coalesce({alias}.total, {otherwise})"),
            (Some(_), None) => format!("{alias}.total"),
        }
    }

    /// Those with a value, to stand in `FROM`, and what puts them in order.
    pub(super) fn with_value(&self, alias: &str) -> (String, String) {
        let statement = self.statement.as_deref().unwrap_or("SELECT NULL::text AS key, NULL::numeric AS total LIMIT 0");
        let from = subquery(statement, alias);
        if !self.average {
            let some = format!("SELECT {alias}.key, {alias}.total\nFROM {from}\nWHERE {alias}.total IS NOT NULL");
            return (subquery(&some, alias), format!("{alias}.total"));
        }
        // Two averages of at most 10^19 numbers each differ by 10^-38 at least, at the scale of the sums, unless they are
        // equal: 40 digits more, cut off, put them in their exact order, where a quotient would be rounded.
        let digits = format!("('1e' || max(scale({alias}.total)) OVER () + 40)::numeric");
        let some = format!(
            "SELECT {alias}.key, {alias}.total, {alias}.number,\n  div({alias}.total * {digits}, {alias}.number) AS sorted\n\
             FROM {from}\nWHERE {alias}.total IS NOT NULL"
        );
        (subquery(&some, alias), format!("{alias}.sorted"))
    }

    fn join(&self, alias: &str, key: &str) -> String {
        self.statement.as_ref().map_or(String::new(), |statement| {
            format!("\nLEFT JOIN {} ON {alias}.key = {key}", subquery(statement, alias))
        })
    }

    /// By what the total is divided.
    pub(super) fn divisor(&self, alias: &str) -> String {
        if self.average { format!("{alias}.number") } else { "1".to_owned() }
    }

    /// What a person is shown: an average is rounded.
    pub(super) fn shown(&self, alias: &str) -> String {
        let total = self.total(alias);
        if self.average { format!("trim_scale({total} / nullif({alias}.number, 0))") } else { total }
    }
}

/// A figure of events for each customer, or for each value of the group `g` if there are groups.
fn of_events(amount: &EventAmount, over: Option<&str>, cx: &Context, clock: &Clock) -> String {
    let mut scan =
        Scan { from: vec![format!("{}.cohort_event e", cx.schema)], conditions: existing(&amount.events, "e", cx) };
    timing(amount.time.as_ref(), "e", cx, clock).add_to(&mut scan);
    scan.conditions.extend(filter(amount.filter.as_ref(), "e", clock, &beside("e", cx)));
    let key = match over {
        Some(groups) => {
            scan.from.push(subquery(groups, "g"));
            scan.conditions.push("g.customer_id = e.customer_id".to_owned());
            "g.value"
        }
        None => "e.customer_id",
    };
    let Some(measure) = &amount.measure else {
        return format!("{}\nGROUP BY {key}", scan.select(&format!("{key} AS key, count(*) AS total")));
    };
    let reached = path::follow("e.data", &measure.property.steps, 0);
    scan.from.extend(reached.elements);
    let value = reached.value;
    let number = format!("{HELPERS}.json_number({value})");
    let grouped = |total: &str| format!("{}\nGROUP BY {key}", scan.select(&format!("{key} AS key, {total}")));
    match measure.function {
        Function::Sum => grouped(&format!("sum({number}) AS total")),
        Function::Avg => grouped(&format!("sum({number}) AS total, count({number}) AS number")),
        Function::Min => grouped(&format!("min({number}) AS total")),
        Function::Max => grouped(&format!("max({number}) AS total")),
        Function::CountDistinct => format!(
            "SELECT s.key, count(DISTINCT s.value) AS total\nFROM {}\nWHERE {SCALAR}\nGROUP BY s.key",
            subquery(&scan.select(&format!("{key} AS key, {value} AS value")), "s")
        ),
    }
}

/// The statement's parts behind SELECT: everyone, or everyone with a group, as `u` with the figures `l` and `r`.
fn joined(compare: &Compare, cx: &Context, clock: &Clock, everyone: &str) -> (String, Written, Written) {
    let groups = compare.over.as_ref().map(|property| group::values(property, cx));
    let left = Written::new(&compare.left, groups.as_deref(), cx, clock);
    let right = Written::new(&compare.right, groups.as_deref(), cx, clock);
    let (from, key) = match &groups {
        Some(groups) => (subquery(groups, "u"), "u.value"),
        None => (format!("{everyone} u"), "u.customer_id"),
    };
    (format!("FROM {from}{}{}", left.join("l", key), right.join("r", key)), left, right)
}

/// The customers for whom the comparison holds; `everyone` names the universe.
pub(super) fn customers(compare: &Compare, cx: &Context, clock: &Clock, everyone: &str) -> String {
    let (from, left, right) = joined(compare, cx, clock, everyone);
    let mut sides = [left.total("l"), right.total("r")];
    if let Some(factor) = &compare.factor {
        sides[1] = format!("{} * {}", quote::number(factor), sides[1]);
    }
    // Both sides times both divisors: a quotient would be rounded.
    if left.average {
        sides[1].push_str(" * nullif(l.number, 0)");
    }
    if right.average {
        sides[0].push_str(" * nullif(r.number, 0)");
    }
    let sign = match compare.relation() {
        (Relation::Eq, false) => "=",
        (Relation::Eq, true) => "<>",
        (Relation::Gt, false) | (Relation::Lte, true) => ">",
        (Relation::Gte, false) | (Relation::Lt, true) => ">=",
        (Relation::Lt, false) | (Relation::Gte, true) => "<",
        (Relation::Lte, false) | (Relation::Gt, true) => "<=",
    };
    format!("SELECT u.customer_id\n{from}\nWHERE {} {sign} {}", sides[0], sides[1])
}

/// An object with the two figures of one customer, as an expression.
pub(super) fn evidence(compare: &Compare, customer: &str, cx: &Context, clock: &Clock) -> String {
    let whole = Context { only: if compare.over.is_some() { None } else { cx.only }, ..*cx };
    let everyone = format!("(SELECT {customer}::text AS customer_id)");
    let (from, left, right) = joined(compare, &whole, clock, &everyone);
    let shown = format!("jsonb_build_object('compare', {}, 'to', {})", left.shown("l"), right.shown("r"));
    format!("(\n{}\n)", quote::indent(&format!("SELECT {shown}\n{from}\nWHERE u.customer_id = {customer}")))
}
