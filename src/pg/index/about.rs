//! Approximate sizes for the planner, which are cheap to read. A user without the privilege to evaluate never sees
//! them.

use super::scan::{IndexScan, Relation, Sought, find, has_policies, may_read};
use super::{direct, extension, lists};
use crate::pg::errors::Fallible;

/// Columns of `cohort`, as `sql/tables.sql` creates it.
mod cohort {
    pub(super) const ID: usize = 1;
    pub(super) const RULE: usize = 4;
    pub(super) const SIZE: usize = 9;
}

/// The size of a saved cohort: at its last refresh, or for a fixed list the number of its customers in the index.
pub(crate) fn size_about(name: &str) -> Option<f64> {
    stored_size(name).ok().flatten().map(float)
}

fn stored_size(name: &str) -> Fallible<Option<u64>> {
    let (_, internals) = extension::schema_oids()?;
    let oid = find(internals, c"cohort")?;
    if !may_read(oid) || has_policies(oid) {
        return Ok(None);
    }
    let mut scan = IndexScan::new(Relation::table(oid), find(internals, c"cohort_name_key")?, 1)?;
    scan.seek(&[Sought::TextEquals(name)]);
    let Some(row) = scan.next() else { return Ok(None) };
    let stored = row.datum(cohort::SIZE).map(|_| row.word(cohort::SIZE));
    let is_list = row.datum(cohort::RULE).is_none();
    let known = if is_list { lists::known_about(internals, row.word(cohort::ID).cast_signed()) } else { None };
    Ok(known.or(stored))
}

/// Estimated number of members of an unknown rule: a tenth of the customers in the index.
pub(crate) fn customers_about() -> Option<f64> {
    let (_, internals) = extension::schema_oids().ok()?;
    let customers = direct::state(internals).ok()?.customers;
    (customers > 0).then(|| f64::from(customers) / 10.0)
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(rows: u64) -> f64 {
    rows as f64
}
