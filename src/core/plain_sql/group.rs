//! `group` as SQL.

use super::did::{SCALAR, subquery};
use super::{Context, path, quote};
use crate::rule::{Group, Property, Quantifier};

/// A statement that returns the customers and the values that identify their groups, as `value`.
pub(super) fn values(property: &Property, cx: &Context) -> String {
    let value = path::follow("p.profile", &property.steps, 0).value;
    let rows = format!("SELECT p.customer_id, {value} AS value\nFROM {}.cohort_customer p", cx.schema);
    format!("SELECT s.customer_id, s.value\nFROM {}\nWHERE {SCALAR}", subquery(&rows, "s"))
}

/// The customers of the groups that satisfy the quantifier. `satisfied` is an expression: whether `s.customer_id`
/// satisfies the condition.
pub(super) fn customers(group: &Group, satisfied: &str, cx: &Context) -> String {
    let holds = match group.quantifier {
        Quantifier::Any => format!("bool_or({satisfied})"),
        Quantifier::All => format!("bool_and({satisfied})"),
        Quantifier::None => format!("bool_and(NOT ({satisfied}))"),
    };
    let groups = format!(
        "SELECT s.customer_id,\n  {holds} OVER (PARTITION BY s.value) AS holds\nFROM {}",
        subquery(&values(&group.property, cx), "s")
    );
    format!("SELECT g.customer_id\nFROM (\n{}\n) g\nWHERE g.holds", quote::indent(&groups))
}

/// The groups with the number of their customers, of those among `$1`, and one customer.
pub(super) fn numbers(property: &Property, cx: &Context) -> String {
    format!(
        "SELECT s.value, count(*), count(*) FILTER (WHERE s.customer_id = ANY ($1)), min(s.customer_id)\nFROM {}\nGROUP BY s.value",
        subquery(&values(property, cx), "s")
    )
}
