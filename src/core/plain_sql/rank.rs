//! `rank` as SQL.

use super::clock::Clock;
use super::compare::Written;
use super::did::subquery;
use super::{Context, group, quote};
use crate::rule::{Cut, Order, Rank};

/// A statement that returns the ranked customers with `figure`, `place` and the number of ranked `customers`; with
/// groups, also their `value`. `satisfied` is an expression: whether `f.key` satisfies `of`.
fn ranked(rank: &Rank, satisfied: Option<&str>, cx: &Context, clock: &Clock) -> String {
    let figure = Written::new(&rank.figure, None, cx, clock);
    let (from, sorted) = figure.with_value("f");
    let mut columns = vec!["f.key AS customer_id".to_owned(), format!("{} AS figure", figure.shown("f"))];
    let (mut groups, mut partition) = (String::new(), "");
    if let Some(by) = &rank.by {
        groups = format!("\nJOIN {} ON g.customer_id = f.key", subquery(&group::values(by, cx), "g"));
        columns.push("g.value".to_owned());
        partition = "PARTITION BY g.value";
    }
    let descending = match rank.order {
        Order::Most => " DESC",
        Order::Least => "",
    };
    let order = format!("{sorted}{descending}, f.key COLLATE \"C\"");
    let window = [partition, &format!("ORDER BY {order}")].join(" ");
    columns.push(format!("row_number() OVER ({}) AS place", window.trim_start()));
    columns.push(format!("count(*) OVER ({partition}) AS customers"));
    let filter = satisfied.map_or(String::new(), |satisfied| format!("\nWHERE {satisfied}"));
    format!("SELECT {}\nFROM {from}{groups}{filter}", columns.join(",\n  "))
}

/// The customers between the places.
pub(super) fn customers(rank: &Rank, satisfied: Option<&str>, cx: &Context, clock: &Clock) -> String {
    let within = match &rank.cut {
        Cut::Top(top) => format!("r.place <= {}", top.value),
        Cut::Percent(from, to) => {
            let share = |number| format!("{} * r.customers", quote::number(number));
            let place = "(r.place - 1) * 100";
            format!("{place} >= {}\n  AND {place} < {}", share(from), share(to))
        }
    };
    format!("SELECT r.customer_id\nFROM {}\nWHERE {within}", subquery(&ranked(rank, satisfied, cx, clock), "r"))
}

/// The customers among `$1` with a figure: the total, the number by which it is divided, and the value of `by`.
pub(super) fn entrants(rank: &Rank, cx: &Context, clock: &Clock) -> String {
    let figure = Written::new(&rank.figure, None, cx, clock);
    let (from, _) = figure.with_value("f");
    let (groups, value) = rank.by.as_ref().map_or((String::new(), "NULL::jsonb"), |by| {
        (format!("\nJOIN {} ON g.customer_id = f.key", subquery(&group::values(by, cx), "g")), "g.value")
    });
    format!(
        "SELECT f.key, f.total::numeric, {}::numeric, {value}\nFROM {from}{groups}\nWHERE f.key = ANY ($1)",
        figure.divisor("f")
    )
}

/// An object with one customer's figure, place and the number of customers ranked; null for one who is not ranked.
pub(super) fn evidence(rank: &Rank, satisfied: Option<&str>, customer: &str, cx: &Context, clock: &Clock) -> String {
    let group = if rank.by.is_some() { ", 'group', r.value" } else { "" };
    format!(
        "SELECT jsonb_build_object('figure', r.figure, 'rank', r.place, 'customers', r.customers{group})\n\
         FROM {}\nWHERE r.customer_id = {customer}",
        subquery(&ranked(rank, satisfied, cx, clock), "r")
    )
}
