//! Rows of a table beside the events.

use std::sync::Arc;

use cohort_core::rule::{Rows, Rule, Use};
use cohort_core::value::Scalar;
use serde_json::{Map, Value, json};

use super::predicate::{Names, all_hold};
use super::rules::{date, scalar as any_scalar};
use super::values::scalar;
use super::world::World;
use crate::common::random::Random;

/// Rows with a scalar or an array in `v`, a scalar in `w`, a date in `d`, and the id of a customer or of nobody in `id`.
pub fn table(random: &mut Random, ids: &[String], as_of: i64) -> Vec<Value> {
    let row = |random: &mut Random| {
        let mut row = Map::new();
        row.insert("v".to_owned(), if random.chance(6) { json!([any_scalar(random)]) } else { any_scalar(random) });
        row.insert("w".to_owned(), if random.chance(4) { Value::Null } else { any_scalar(random) });
        row.insert("d".to_owned(), json!(date(random, as_of)));
        let id = if random.chance(4) { "nobody" } else { &ids[random.below(ids.len())] };
        row.insert("id".to_owned(), json!(id));
        Value::Object(row)
    };
    (0..random.below(7)).map(|_| row(random)).collect()
}

/// The scalars in a column of the rows that satisfy the predicates.
pub fn values_of(rows: &Rows, names: &Names<'_>) -> Vec<Scalar> {
    let chosen = names.table.iter().filter(|row| {
        let names = Names { event: None, element: None, row: Some(row), ..names.clone() };
        all_hold(rows.filter.as_ref(), row, &names)
    });
    chosen.filter_map(|row| row.get(&rows.column).and_then(scalar)).collect()
}

/// The text of an id. Only texts are ids in these tests.
pub fn text_of(id: &Scalar) -> &str {
    match id {
        Scalar::String(id) => id,
        Scalar::Number(_) | Scalar::Bool(_) => "",
    }
}

impl World {
    /// The rule with the values of the rows that it reads, as an evaluation has them.
    pub fn with_values(&self, mut rule: Rule) -> Rule {
        let zone = rule.zone().to_owned();
        let read: Result<(), ()> = rule.each_rows(&mut |rows: &mut Rows, _: Use| {
            let values = values_of(rows, &self.names_of_rows(&zone));
            rows.values = Some(Arc::new(values));
            Ok(())
        });
        read.expect("nothing fails");
        rule
    }
}
