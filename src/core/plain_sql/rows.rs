//! Rows of tables beside the events, as SQL.

use super::clock::Clock;
use super::predicate::of_row;
use super::scan::Scan;
use super::{Context, HELPERS, quote};
use crate::rule::{Rows, Use};

/// The statement that returns the values of rows as text: of `jsonb`, or of ids.
#[must_use]
pub fn read(rows: &Rows, used: Use, zone: &str, cx: &Context) -> String {
    let clock = Clock { as_of: cx.as_of, zone: quote::text(zone) };
    let value = match used {
        Use::Values => format!("{}::text", value(&rows.column)),
        Use::Ids => id(&rows.column),
    };
    let mut scan = scan(rows, &clock);
    scan.conditions.insert(0, format!("r.{} IS NOT NULL", quote::name(&rows.column)));
    scan.select(&value)
}

/// The value of a column of the row `r`, converted by `to_jsonb` with the default output settings.
pub(super) fn value(column: &str) -> String {
    format!("{HELPERS}.row_json(r.{})", quote::name(column))
}

/// The same as the text of an id.
fn id(column: &str) -> String {
    format!("{HELPERS}.row_text(r.{})", quote::name(column))
}

fn scan(rows: &Rows, clock: &Clock) -> Scan {
    let table = format!("{}.{} r", quote::name(&rows.table.schema), quote::name(&rows.table.table));
    Scan { from: vec![table], conditions: of_row(rows.filter.as_ref(), clock) }
}

/// Whether a value equals one of the values of rows. Both sides are normalized first, so that the rows are read once
/// and hashed: a value with a numeric value becomes that number, and a string is converted to lower case if case is
/// ignored. Arrays and objects equal nothing.
pub(super) fn contain(rows: &Rows, value: &str, names: usize, ignore_case: bool, clock: &Clock) -> String {
    let alike = |side: &str| {
        if ignore_case {
            format!("coalesce(to_jsonb({HELPERS}.simple_lower({HELPERS}.json_text({side}))), {side})")
        } else {
            side.to_owned()
        }
    };
    let one = format!("v{}", names + 1);
    let select = scan(rows, clock).select(&alike(&self::value(&rows.column)));
    let itself = format!("CASE WHEN jsonb_typeof({value}) IN ('string', 'boolean') THEN {} END", alike(value));
    let both = format!("{itself},\n  to_jsonb({HELPERS}.json_number({value}))");
    let lines =
        format!("SELECT 1\nFROM unnest(ARRAY[\n  {both}\n]) AS {one}\nWHERE {one} IN (\n{}\n)", quote::indent(&select));
    format!("EXISTS (\n{}\n)", quote::indent(&lines))
}

/// The statement that returns the customers of the universe whose ids occur in rows.
pub(super) fn customers(rows: &Rows, everyone: &str, clock: &Clock) -> String {
    let ids = scan(rows, clock).select(&format!("{} COLLATE \"C\"", id(&rows.column)));
    format!("SELECT u.customer_id\nFROM {everyone} u\nWHERE u.customer_id IN (\n{}\n)", quote::indent(&ids))
}
