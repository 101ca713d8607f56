//! Paths of properties, and references to other properties.

use serde_json::Value;

use super::problem::{Hint, quote};
use super::{Document, Reader};
use crate::rule::{PathStep, Property, Reference, Referred, WrittenPath};

const EXPECTED: &str = "the path of a property: \"cart.total\", \"items[].sku\" or a list of keys";

/// How many names of steps are considered for what was meant by a wrong one: each costs a comparison for each problem.
const NAMES_CONSIDERED: usize = 50;

impl<'a> Reader<'a> {
    pub(super) fn property(&mut self, value: &'a Value) -> Option<Property> {
        let property = self.path(value)?;
        if self.document == Document::Row && self.elements == 0 {
            self.column_of(&property.steps)?;
        }
        Some(property)
    }

    /// Checks that a path within a row begins with a column.
    fn column_of(&mut self, steps: &[PathStep]) -> Option<()> {
        let Some(PathStep::Key(name)) = steps.first() else { return Some(()) };
        let table = self.row.clone();
        self.column(name, table.as_deref())
    }

    fn path(&mut self, value: &'a Value) -> Option<Property> {
        match value {
            Value::String(path) if path == Property::ELEMENT && self.elements > 0 => {
                Some(Property { written: WrittenPath::Dotted(path.clone()), steps: Vec::new() })
            }
            Value::String(path) => self.dotted(path),
            Value::Array(_) => {
                let keys = self.list(value, "a list of keys", |reader, key| {
                    reader.string(key, "a key, as a string").map(str::to_owned)
                })?;
                let steps = keys.iter().cloned().map(PathStep::Key).collect();
                Some(Property { written: WrittenPath::Keys(keys), steps })
            }
            _ => {
                self.wrong_type(value, EXPECTED);
                None
            }
        }
    }

    fn dotted(&mut self, path: &str) -> Option<Property> {
        let mut steps = Vec::new();
        for part in path.split('.') {
            let key = part.trim_end_matches("[]");
            if key.is_empty() {
                let problem = if part.is_empty() { "an empty key" } else { "brackets without a name" };
                self.problem(
                    format!("{problem} in the path {}", quote(path)),
                    "Write names separated by single dots, each optionally followed by []. If a key contains dots, write the path as a list of keys.",
                );
                return None;
            }
            if key.contains(['[', ']']) {
                self.problem(
                    format!("misplaced brackets in the path {}", quote(path)),
                    "Write [] after a name for any element. Positions cannot be addressed. If a key contains brackets, write the path as a list of keys.",
                );
                return None;
            }
            steps.push(PathStep::Key(key.to_owned()));
            steps.extend((0..(part.len() - key.len()) / 2).map(|_| PathStep::Elements));
        }
        Some(Property { written: WrittenPath::Dotted(path.to_owned()), steps })
    }

    /// `"event.price"`: a name and a path.
    pub(super) fn reference(&mut self, value: &'a Value) -> Option<Reference> {
        const EXPECTED: &str = "a name, a dot and the path of a property, or a list of a name and keys";
        let (name, written, steps) = match value {
            Value::String(text) => {
                let (name, path) = match text.split_once('.') {
                    Some((name, path)) => (name, Some(path)),
                    None => (text.as_str(), None),
                };
                let steps = match path {
                    Some(path) => self.dotted(path).map(|property| property.steps),
                    None => Some(Vec::new()),
                };
                (name, WrittenPath::Dotted(text.clone()), steps)
            }
            Value::Array(_) => {
                let keys = self
                    .list(value, "a list of a name and keys", |reader, key| reader.string(key, "a key, as a string"))?;
                let steps = keys[1..].iter().map(|key| PathStep::Key((*key).to_owned())).collect();
                (keys[0], WrittenPath::Keys(keys.iter().map(|key| (*key).to_owned()).collect()), Some(steps))
            }
            _ => {
                self.wrong_type(value, EXPECTED);
                return None;
            }
        };
        if steps.as_ref().is_some_and(Vec::is_empty) && !(name == "element" && self.elements > 0) {
            self.problem(
                format!("{} does not name a property", quote(name)),
                "Write a name, a dot and the path of a property, such as \"event.price\" or \"profile.city\".",
            );
            return None;
        }
        let of = self.referred(name);
        if let (Some(Referred::Row), Some(steps)) = (&of, &steps) {
            self.column_of(steps)?;
        }
        Some(Reference { written, of: of?, steps: steps? })
    }

    /// What a reference's name means here.
    fn referred(&mut self, name: &'a str) -> Option<Referred> {
        let names = self.step_names.as_ref();
        match name {
            "profile" if self.document != Document::Row => return Some(Referred::Profile),
            "row" if self.document == Document::Row => return Some(Referred::Row),
            "event" if self.document == Document::Event => return Some(Referred::Event),
            "element" if self.elements > 0 => return Some(Referred::Element),
            step if names.is_some_and(|names| names.contains(step)) => return Some(Referred::Step(step.to_owned())),
            _ => {}
        }
        let mut valid: Vec<&'a str> = names.into_iter().flatten().take(NAMES_CONSIDERED).copied().collect();
        let in_steps = names.is_some();
        match self.document {
            Document::Event => valid.extend(["profile", "event"]),
            Document::Profile => valid.push("profile"),
            Document::Row => valid.push("row"),
        }
        if self.elements > 0 {
            valid.push("element");
        }
        let (problem, hint) = match name {
            "event" | "profile" if self.document == Document::Row => (
                format!("\"{name}\" cannot be used here"),
                "A predicate on rows can only refer to the same row: write \"row.…\".".into(),
            ),
            "event" => (
                "\"event\" cannot be used here".to_owned(),
                "A condition on the profile can only refer to the profile: write \"profile.…\".".into(),
            ),
            "element" => (
                "\"element\" cannot be used here".to_owned(),
                "\"element\" is only allowed in the predicates of an \"element\".".into(),
            ),
            "row" => ("\"row\" cannot be used here".to_owned(), Hint::Name { wrong: name, valid }),
            name if in_steps => (
                format!("no earlier step is named {}", quote(name)),
                if valid.len() > 2 + usize::from(self.elements > 0) {
                    Hint::Name { wrong: name, valid }
                } else {
                    "Give an earlier \"did\" step a name with \"as\", or refer to the \"event\" or the \"profile\"."
                        .into()
                },
            ),
            name => (format!("unknown reference {}", quote(name)), Hint::Name { wrong: name, valid }),
        };
        self.problem(problem, hint);
        None
    }
}
