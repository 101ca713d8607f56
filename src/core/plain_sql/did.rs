//! `did` as SQL.

use super::clock::Clock;
use super::predicate::equals_any;
use super::scan::{Scan, matching};
use super::{Context, HELPERS, path, periods, quote};
use crate::rule::{Aggregate, Comparison, Did, Figure};
use crate::value::{Number, Scalar};

/// The customers that a `did` finds.
pub(super) enum Found {
    /// The customers that the statement returns.
    These(String),
    /// Everyone but those.
    AllBut(String),
    /// Everyone.
    Everyone,
}

/// What events are grouped by.
#[derive(Clone, Copy)]
pub(super) struct Keys(&'static [&'static str]);

impl Keys {
    pub(super) const CUSTOMER: Self = Self(&["customer_id"]);
    pub(super) const PERIOD: Self = Self(&["customer_id", "period"]);

    /// The columns of a table.
    pub(super) fn of(self, alias: &str) -> String {
        self.0.iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ")
    }
}

/// The customers of a `did`.
pub(super) fn customers(did: &Did, cx: &Context, clock: &Clock) -> Found {
    let scan = matching(did, cx, clock);
    if let Some(periods) = &did.periods {
        return periods::customers(did, periods, &scan, clock);
    }
    match &did.aggregate {
        None => counted(&scan, did.count().as_ref()),
        Some(aggregate) => Found::These(figured(aggregate, did.count(), &scan, Keys::CUSTOMER)),
    }
}

/// Who has a figure that satisfies its comparison, and a number of events that does.
fn figured(aggregate: &Aggregate, count: Option<Comparison<u64>>, scan: &Scan, keys: Keys) -> String {
    // Without a matching event there is no figure, so everyone with a figure has a count above 0.
    let count = count.map(|comparison| compare("count(*)", comparison, &|count| count.to_string()));
    let figured = match figure(aggregate, scan, keys) {
        Figured::Having { scan, having, rows_are_events: true } => {
            let having = count.map_or(having.clone(), |count| quote::conjunction(&[count, having.clone()]));
            return grouped(&scan, Some(&having), keys);
        }
        Figured::Having { scan, having, .. } => grouped(&scan, Some(&having), keys),
        Figured::Statement(statement) => statement,
    };
    match count {
        Some(count) => format!("{}\nINTERSECT\n{figured}", grouped(scan, Some(&count), keys)),
        None => figured,
    }
}

/// A statement that returns the customers and the periods that satisfy the condition.
pub(super) fn holding(did: &Did, scan: &Scan) -> String {
    if let Some(aggregate) = &did.aggregate {
        return figured(aggregate, did.count(), scan, Keys::PERIOD);
    }
    let count = did.count().map(|comparison| compare("count(*)", comparison, &|count| count.to_string()));
    grouped(scan, count.as_deref(), Keys::PERIOD)
}

fn counted(scan: &Scan, count: Option<&Comparison<u64>>) -> Found {
    let write = |comparison: Comparison<u64>| {
        let having = compare("count(*)", comparison, &|count| count.to_string());
        grouped(scan, Some(&having), Keys::CUSTOMER)
    };
    match count {
        // At least one event, however it was said: no counting needed.
        None | Some(Comparison::Gte(1) | Comparison::Gt(0) | Comparison::Neq(0)) => {
            Found::These(grouped(scan, None, Keys::CUSTOMER))
        }
        Some(Comparison::Eq(0) | Comparison::Lt(1) | Comparison::Lte(0) | Comparison::Between(0, 0)) => {
            Found::AllBut(grouped(scan, None, Keys::CUSTOMER))
        }
        Some(Comparison::Gte(0)) => Found::Everyone,
        // True of 0 too, so of customers that no event names: say who is out instead.
        Some(Comparison::Lt(limit)) if *limit > 0 => Found::AllBut(write(Comparison::Gte(*limit))),
        Some(Comparison::Lte(limit)) => Found::AllBut(write(Comparison::Gt(*limit))),
        Some(Comparison::Neq(limit)) => Found::AllBut(write(Comparison::Eq(*limit))),
        Some(Comparison::Between(0, high)) => Found::AllBut(write(Comparison::Gt(*high))),
        Some(comparison) => Found::These(write(*comparison)),
    }
}

/// Each customer of the scan once, or each period.
fn grouped(scan: &Scan, having: Option<&str>, keys: Keys) -> String {
    let columns = keys.of("e");
    match having {
        None => scan.select(&format!("DISTINCT {columns}")),
        Some(having) => format!("{}\nGROUP BY {columns}\nHAVING {having}", scan.select(&columns)),
    }
}

/// `expression op number`.
pub(super) fn compare<N: Copy>(expression: &str, comparison: Comparison<N>, write: &dyn Fn(N) -> String) -> String {
    let (sign, number) = match comparison {
        Comparison::Eq(number) => ("=", number),
        Comparison::Neq(number) => ("<>", number),
        Comparison::Gt(number) => (">", number),
        Comparison::Gte(number) => (">=", number),
        Comparison::Lt(number) => ("<", number),
        Comparison::Lte(number) => ("<=", number),
        Comparison::Between(low, high) => {
            return format!("{expression} BETWEEN {} AND {}", write(low), write(high));
        }
    };
    format!("{expression} {sign} {}", write(number))
}

fn compare_exact(expression: &str, comparison: &Comparison<Number>, write: &dyn Fn(&Number) -> String) -> String {
    compare(expression, by_reference(comparison), write)
}

fn by_reference(comparison: &Comparison<Number>) -> Comparison<&Number> {
    match comparison {
        Comparison::Eq(number) => Comparison::Eq(number),
        Comparison::Neq(number) => Comparison::Neq(number),
        Comparison::Gt(number) => Comparison::Gt(number),
        Comparison::Gte(number) => Comparison::Gte(number),
        Comparison::Lt(number) => Comparison::Lt(number),
        Comparison::Lte(number) => Comparison::Lte(number),
        Comparison::Between(low, high) => Comparison::Between(low, high),
    }
}

/// The form in which an aggregate is computed.
enum Figured {
    /// By grouping the scan by customer.
    Having {
        scan: Scan,
        having: String,
        /// Through `[]` a row is one element, so rows cannot be counted as events.
        rows_are_events: bool,
    },
    /// By a statement of its own.
    Statement(String),
}

fn figure(aggregate: &Aggregate, scan: &Scan, keys: Keys) -> Figured {
    let (values, value) = values(aggregate, scan);
    let number = format!("{HELPERS}.json_number({value})");
    let having = match &aggregate.figure {
        Figure::Sum(comparison) => compare_exact(&format!("sum({number})"), comparison, &quote::number),
        Figure::Min(comparison) => compare_exact(&format!("min({number})"), comparison, &quote::number),
        Figure::Max(comparison) => compare_exact(&format!("max({number})"), comparison, &quote::number),
        // The average is never computed: a quotient would be rounded.
        Figure::Avg(comparison) => compare_exact(&format!("sum({number})"), comparison, &|limit| {
            format!("{}::numeric * count({number})", quote::number(limit))
        }),
        Figure::CountDistinct(comparison) => {
            let having = compare_exact("count(DISTINCT s.value)", comparison, &quote::number);
            return Figured::Statement(format!(
                "SELECT {0}\nFROM {1}\nWHERE {SCALAR}\nGROUP BY {0}\nHAVING {having}",
                keys.of("s"),
                subquery(&values.select(&format!("{}, {value} AS value", keys.of("e"))), "s")
            ));
        }
        Figure::MostFrequentIs(scalar) => {
            return Figured::Statement(most_frequent(&values, &value, std::slice::from_ref(scalar), keys));
        }
        Figure::MostFrequentIn(scalars) => {
            return Figured::Statement(most_frequent(&values, &value, scalars, keys));
        }
    };
    let rows_are_events = values.from.len() == scan.from.len();
    Figured::Having { scan: values, having, rows_are_events }
}

/// The scan with a row per value of the property, and the value.
fn values(aggregate: &Aggregate, scan: &Scan) -> (Scan, String) {
    let reached = path::follow("e.data", &aggregate.property.steps, 0);
    let mut scan = scan.clone();
    scan.from.extend(reached.elements);
    (scan, reached.value)
}

/// `s.value` is a scalar. A number with an exponent above the limit has no value.
pub(super) const SCALAR: &str =
    "(jsonb_typeof(s.value) IN ('string', 'boolean') OR kursaha_cohort.json_number(s.value) IS NOT NULL)";

pub(super) fn subquery(sql: &str, alias: &str) -> String {
    format!("(\n{}\n) {alias}", quote::indent(sql))
}

/// Each customer's most frequent value, or each period's, as `w.value`.
fn winners(values: &Scan, value: &str, keys: Keys) -> String {
    let counts = format!(
        "SELECT {0}, s.value, count(*) AS times\nFROM {1}\nWHERE {SCALAR}\nGROUP BY {0}, s.value",
        keys.of("s"),
        subquery(&values.select(&format!("{}, {value} AS value", keys.of("e"))), "s")
    );
    // The names of the types are in the order in which they win: boolean, number, string.
    format!(
        "SELECT DISTINCT ON ({0}) {0}, n.value\nFROM {1}\nORDER BY {0}, n.times DESC,\n  \
         CASE jsonb_typeof(n.value)\n    \
         WHEN 'number' THEN trim_scale({HELPERS}.json_number(n.value))::text\n    \
         ELSE n.value #>> '{{}}'\n  END COLLATE \"C\",\n  jsonb_typeof(n.value)",
        keys.of("n"),
        subquery(&counts, "n")
    )
}

fn most_frequent(values: &Scan, value: &str, wanted: &[Scalar], keys: Keys) -> String {
    format!(
        "SELECT {}\nFROM {}\nWHERE {}",
        keys.of("w"),
        subquery(&winners(values, value, keys), "w"),
        equals_any("w.value", wanted, false)
    )
}

/// A statement that returns one customer's aggregate as `jsonb`, for evidence; no row if it has no value.
pub(super) fn figure_of_one(aggregate: &Aggregate, scan: &Scan) -> String {
    let (values, value) = values(aggregate, scan);
    let number = format!("{HELPERS}.json_number({value})");
    match &aggregate.figure {
        Figure::Sum(_) => values.select(&format!("to_jsonb(sum({number}))")),
        Figure::Avg(_) => values.select(&format!("to_jsonb(trim_scale(avg({number})))")),
        Figure::Min(_) => values.select(&format!("to_jsonb(min({number}))")),
        Figure::Max(_) => values.select(&format!("to_jsonb(max({number}))")),
        Figure::CountDistinct(_) => format!(
            "SELECT to_jsonb(nullif(count(DISTINCT s.value), 0))\nFROM {}\nWHERE {SCALAR}",
            subquery(&values.select(&format!("{value} AS value")), "s")
        ),
        Figure::MostFrequentIs(_) | Figure::MostFrequentIn(_) => {
            format!("SELECT w.value\nFROM {}", subquery(&winners(&values, &value, Keys::CUSTOMER), "w"))
        }
    }
}
