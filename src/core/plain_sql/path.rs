//! Properties inside `jsonb`, as SQL.

use std::fmt::Write as _;

use super::HELPERS;
use super::quote;
use crate::rule::PathStep;

/// Where a path leads from one `jsonb` expression.
pub(super) struct Reached {
    /// The items of `FROM` for each `[]` of the path: the elements of the arrays. Empty if the path has no `[]`.
    pub(super) elements: Vec<String>,
    /// The property itself, null if it is missing (JSON `null` is a value here).
    pub(super) value: String,
    /// How many element names are in use now.
    pub(super) names: usize,
}

/// Follows a path. `->` and not `#>`, which would take the key `"0"` for a position in an array. The elements are
/// called `v1`, `v2`, … from `names` on, those used outside already.
pub(super) fn follow(root: &str, steps: &[PathStep], names: usize) -> Reached {
    let mut reached = Reached { elements: Vec::new(), value: root.to_owned(), names };
    for step in steps {
        match step {
            // Writing to a String cannot fail.
            PathStep::Key(key) => {
                let _ = write!(reached.value, " -> {}", quote::text(key));
            }
            PathStep::Elements => {
                reached.names += 1;
                let name = format!("v{}", reached.names);
                reached.elements.push(format!("{HELPERS}.json_elements({}) AS {name}", reached.value));
                reached.value = name;
            }
        }
    }
    reached
}

/// True when `test` is true of the property, through `[]` of any element. `test` is given the property and how many
/// element names are in use.
pub(super) fn any(root: &str, steps: &[PathStep], names: usize, test: impl FnOnce(&str, usize) -> String) -> String {
    let reached = follow(root, steps, names);
    let test = test(&reached.value, reached.names);
    exists(&reached.elements, &test)
}

/// The test itself, or, when there are elements, that one of them passes it.
pub(super) fn exists(elements: &[String], test: &str) -> String {
    if elements.is_empty() {
        return test.to_owned();
    }
    let from = elements.join(", ");
    if from.len() + test.len() < quote::WIDTH && !test.contains('\n') {
        return format!("EXISTS (SELECT 1 FROM {from} WHERE {test})");
    }
    let lines = format!("SELECT 1\nFROM {}\nWHERE {test}", elements.join(",\n  "));
    format!("EXISTS (\n{}\n)", quote::indent(&lines))
}
