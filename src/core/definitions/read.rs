//! Parses a JSON document into [`Definitions`], and reports all of its problems.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Cohort, Definitions, Members, Priority, Suppression, Sync};
use crate::rule::{self, Problem, Surroundings};
use crate::text::nearest;

type Object = Map<String, Value>;

/// Checks a document and reads it.
///
/// # Errors
/// Every problem, with its place.
pub fn parse(text: &str, within: &Surroundings<'_>) -> Result<Definitions, Vec<Problem>> {
    let mut reader = Reader { within: *within, problems: Vec::new() };
    match rule::read_json(text) {
        Ok(Value::Object(object)) => {
            let found = reader.document(&object);
            if reader.problems.is_empty() {
                return Ok(found);
            }
        }
        Ok(_) | Err(_) => {
            reader.problem(
                "$",
                "must be an object",
                "Pass a document as cohort_export returns it: {\"cohorts\": […], …}.",
            );
        }
    }
    Err(reader.problems)
}

struct Reader<'a> {
    within: Surroundings<'a>,
    problems: Vec<Problem>,
}

/// Whether a text must be there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Required,
    Optional,
}

impl Reader<'_> {
    fn problem(&mut self, path: &str, problem: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), problem: problem.into(), hint: Some(hint.into()) });
    }

    fn document(&mut self, object: &Object) -> Definitions {
        self.keys("$", object, &["version", "cohorts", "priorities", "suppressions", "syncs"]);
        if let Some(version) = object.get("version")
            && version.as_f64() != Some(1.0)
        {
            self.problem("$.version", "must be 1", "This version of kursaha_cohort reads definitions of version 1.");
        }
        Definitions {
            cohorts: self.items(object, "cohorts", Self::cohort, |cohort| cohort.name.clone()),
            priorities: self.items(object, "priorities", Self::priority, |list| list.name.clone()),
            suppressions: self
                .items(object, "suppressions", Self::suppression, |suppression| suppression.to_json().to_string()),
            syncs: self.items(object, "syncs", Self::sync, |sync| {
                format!("{} to {}", Value::from(sync.cohort.as_str()), Value::from(sync.destination.as_str()))
            }),
        }
    }

    /// The items of a list, of which no two may be the same by `identity`.
    fn items<T>(
        &mut self,
        object: &Object,
        key: &str,
        mut read: impl FnMut(&mut Self, &str, &Object) -> Option<T>,
        identity: impl Fn(&T) -> String,
    ) -> Option<Vec<T>> {
        let Value::Array(values) = object.get(key)? else {
            self.problem(&format!("$.{key}"), "must be a list", "Write a list of objects. It may be empty.");
            return None;
        };
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut found = Vec::with_capacity(values.len());
        for (place, value) in values.iter().enumerate() {
            (self.within.check)();
            let path = format!("$.{key}[{place}]");
            let Value::Object(item) = value else {
                self.problem(&path, "must be an object", "cohort_export shows the form.");
                continue;
            };
            let Some(item) = read(self, &path, item) else { continue };
            match seen.entry(identity(&item)) {
                std::collections::hash_map::Entry::Occupied(first) => {
                    let first = format!("$.{key}[{}]", first.get());
                    self.problem(&path, format!("is the same as {first}"), "Remove one of the two.");
                }
                std::collections::hash_map::Entry::Vacant(place_of) => {
                    place_of.insert(place);
                    found.push(item);
                }
            }
        }
        Some(found)
    }

    /// Refuses keys that mean nothing.
    fn keys(&mut self, path: &str, object: &Object, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = match nearest(key, known.iter().copied()) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => format!("Use one of: {}.", known.join(", ")),
            };
            let shown: String = key.chars().take(100).collect();
            self.problem(&format!("{path}.{shown}"), "unknown key", hint);
        }
    }

    fn text(&mut self, path: &str, object: &Object, key: &str, need: Text) -> Option<String> {
        let path = format!("{path}.{key}");
        match object.get(key) {
            Some(Value::String(text)) if !text.is_empty() || need == Text::Optional => Some(text.clone()),
            None | Some(Value::Null) if need == Text::Optional => None,
            None => {
                self.problem(&path, "is missing", "Write a string.");
                None
            }
            Some(_) => {
                let what =
                    if need == Text::Required { "must be a string that is not empty" } else { "must be a string" };
                self.problem(&path, what, "Write a string.");
                None
            }
        }
    }

    fn cohort(&mut self, path: &str, object: &Object) -> Option<Cohort> {
        self.keys(path, object, &["name", "description", "rule", "customer_ids", "query"]);
        let name = self.text(path, object, "name", Text::Required);
        let description = self.text(path, object, "description", Text::Optional);
        let members = match (object.get("rule"), object.get("customer_ids"), object.get("query")) {
            (Some(rule), None, None) => self.rule(&format!("{path}.rule"), rule),
            (None, Some(ids), None) => self.list(&format!("{path}.customer_ids"), ids),
            (None, None, Some(_)) => self.text(path, object, "query", Text::Required).map(Members::Query),
            (None, None, None) => {
                let hint = "Write \"rule\", \"customer_ids\" for a fixed list, or \"query\".";
                self.problem(path, "has none of \"rule\", \"customer_ids\" and \"query\"", hint);
                None
            }
            (rule, ids, query) => {
                let given = [("rule", rule), ("customer_ids", ids), ("query", query)];
                let given: Vec<String> =
                    given.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| format!("\"{key}\"")).collect();
                let hint = "A cohort is a rule, a fixed list or a query.";
                self.problem(path, format!("has both {}", given.join(" and ")), hint);
                None
            }
        };
        Some(Cohort { name: name?, description, members: members? })
    }

    fn rule(&mut self, path: &str, value: &Value) -> Option<Members> {
        match rule::parse_text_within(&value.to_string(), &self.within) {
            Ok(rule) => Some(Members::Rule(Box::new(rule))),
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|found| Problem {
                    path: format!("{path}{}", found.path.strip_prefix('$').unwrap_or(&found.path)),
                    ..found
                }));
                None
            }
        }
    }

    fn list(&mut self, path: &str, value: &Value) -> Option<Members> {
        const HINT: &str = "Write a list of customer ids, or null to leave the list's ids as they are.";
        let values = match value {
            Value::Null => return Some(Members::List(None)),
            Value::Array(values) => values,
            _ => {
                self.problem(path, "must be a list or null", HINT);
                return None;
            }
        };
        let mut ids = Vec::with_capacity(values.len());
        for (place, value) in values.iter().enumerate() {
            let Value::String(id) = value else {
                self.problem(&format!("{path}[{place}]"), "must be a string", HINT);
                continue;
            };
            ids.push(id.clone());
        }
        let whole = ids.len() == values.len();
        ids.sort_unstable();
        ids.dedup();
        whole.then_some(Members::List(Some(ids)))
    }

    fn priority(&mut self, path: &str, object: &Object) -> Option<Priority> {
        self.keys(path, object, &["name", "cohorts"]);
        let name = self.text(path, object, "name", Text::Required);
        let path = format!("{path}.cohorts");
        let Some(Value::Array(values)) = object.get("cohorts") else {
            self.problem(&path, "must be a list", "Write the names of cohorts in order of priority.");
            return None;
        };
        let mut cohorts: Vec<String> = Vec::with_capacity(values.len());
        for (place, value) in values.iter().enumerate() {
            let path = format!("{path}[{place}]");
            match value {
                Value::String(name) if cohorts.contains(name) => {
                    self.problem(&path, "is already in the list", "Remove one of the two.");
                }
                Value::String(name) => cohorts.push(name.clone()),
                _ => self.problem(&path, "must be a string", "Write the name of a cohort."),
            }
        }
        Some(Priority { name: name?, cohorts })
    }

    fn suppression(&mut self, path: &str, object: &Object) -> Option<Suppression> {
        self.keys(path, object, &["cohort", "destination"]);
        let cohort = self.text(path, object, "cohort", Text::Required);
        let destination = self.text(path, object, "destination", Text::Optional);
        Some(Suppression { cohort: cohort?, destination })
    }

    fn sync(&mut self, path: &str, object: &Object) -> Option<Sync> {
        self.keys(path, object, &["cohort", "destination", "frequency", "at", "timezone", "priority"]);
        let cohort = self.text(path, object, "cohort", Text::Required);
        let destination = self.text(path, object, "destination", Text::Required);
        let frequency = self.text(path, object, "frequency", Text::Required);
        let at = self.text(path, object, "at", Text::Optional);
        let timezone = self.text(path, object, "timezone", Text::Optional);
        let priority = self.text(path, object, "priority", Text::Optional);
        Some(Sync {
            cohort: cohort?,
            destination: destination?,
            frequency: frequency?,
            at,
            timezone: timezone.unwrap_or_else(|| "UTC".to_owned()),
            priority: priority.filter(|list| !list.is_empty()),
        })
    }
}
