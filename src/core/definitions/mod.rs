//! Definitions as a document: cohorts, priority lists, suppressions and syncs, to be kept as files under version control.
//!
//! ```json
//! {"version": 1,
//!  "cohorts": [{"name": "buyers", "description": "who bought", "rule": {"did": "purchase"}},
//!              {"name": "staff", "customer_ids": ["ana", "ben"]},
//!              {"name": "leads", "query": "SELECT customer_id FROM crm.lead"}],
//!  "priorities": [{"name": "spring", "cohorts": ["buyers", "staff"]}],
//!  "suppressions": [{"cohort": "staff", "destination": "fb-main"}],
//!  "syncs": [{"cohort": "buyers", "destination": "fb-main", "frequency": "daily", "at": "02:30", "timezone": "UTC"}]}
//! ```

mod read;

use serde_json::{Map, Value, json};

use crate::rule::Rule;

pub use read::parse;

/// What a document says. A kind that it does not mention is `None`: nothing of it is changed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Definitions {
    /// Cohorts, in the order of the document.
    pub cohorts: Option<Vec<Cohort>>,
    /// Priority lists.
    pub priorities: Option<Vec<Priority>>,
    /// Cohorts that syncs leave out.
    pub suppressions: Option<Vec<Suppression>>,
    /// Syncs.
    pub syncs: Option<Vec<Sync>>,
}

/// A cohort.
#[derive(Debug, Clone, PartialEq)]
pub struct Cohort {
    /// Its name.
    pub name: String,
    /// What it is for, in words.
    pub description: Option<String>,
    /// Who is in.
    pub members: Members,
}

/// Who is in a cohort.
#[derive(Debug, Clone, PartialEq)]
pub enum Members {
    /// Whom a rule selects.
    Rule(Box<Rule>),
    /// Whom a query returns.
    Query(String),
    /// A fixed list's ids, in byte order and each once; without them the list has what it has.
    List(Option<Vec<String>>),
}

/// A priority list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    /// Its name.
    pub name: String,
    /// The names of its cohorts, the first before the others.
    pub cohorts: Vec<String>,
}

/// A cohort whose members syncs leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// The cohort's name.
    pub cohort: String,
    /// The destination's name; none for all destinations.
    pub destination: Option<String>,
}

/// A sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// The cohort's name.
    pub cohort: String,
    /// The destination's name.
    pub destination: String,
    /// How often it runs.
    pub frequency: String,
    /// At which time.
    pub at: Option<String>,
    /// In which zone.
    pub timezone: String,
    /// The priority list that it follows.
    pub priority: Option<String>,
}

fn with(object: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    if let Some(text) = text {
        object.insert(key.to_owned(), text.into());
    }
}

impl Cohort {
    /// As it stands in a document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        with(&mut object, "name", Some(&self.name));
        with(&mut object, "description", self.description.as_deref());
        match &self.members {
            Members::Rule(rule) => object.insert("rule".to_owned(), rule.to_json()),
            Members::Query(query) => object.insert("query".to_owned(), json!(query)),
            Members::List(ids) => object.insert("customer_ids".to_owned(), json!(ids)),
        };
        Value::Object(object)
    }
}

impl Sync {
    /// As it stands in a document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        with(&mut object, "cohort", Some(&self.cohort));
        with(&mut object, "destination", Some(&self.destination));
        with(&mut object, "frequency", Some(&self.frequency));
        with(&mut object, "at", self.at.as_deref());
        with(&mut object, "timezone", Some(&self.timezone));
        with(&mut object, "priority", self.priority.as_deref());
        Value::Object(object)
    }
}

impl Priority {
    /// As it stands in a document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"name": self.name, "cohorts": self.cohorts})
    }
}

impl Suppression {
    /// As it stands in a document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        with(&mut object, "cohort", Some(&self.cohort));
        with(&mut object, "destination", self.destination.as_deref());
        Value::Object(object)
    }
}

impl Definitions {
    /// The document.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("version".to_owned(), 1.into());
        let mut list = |key: &str, items: Option<Vec<Value>>| {
            if let Some(items) = items {
                object.insert(key.to_owned(), Value::Array(items));
            }
        };
        list("cohorts", self.cohorts.as_ref().map(|cohorts| cohorts.iter().map(Cohort::to_json).collect()));
        list("priorities", self.priorities.as_ref().map(|lists| lists.iter().map(Priority::to_json).collect()));
        list(
            "suppressions",
            self.suppressions.as_ref().map(|cohorts| cohorts.iter().map(Suppression::to_json).collect()),
        );
        list("syncs", self.syncs.as_ref().map(|syncs| syncs.iter().map(Sync::to_json).collect()));
        Value::Object(object)
    }
}

/// Puts items into an order in which each stands behind those that it needs; among those that could come next, the first
/// by name. `needs` gives the places of what one needs. What needs itself stands last.
#[must_use]
pub fn in_order(names: &[&str], needs: &[Vec<usize>]) -> Vec<usize> {
    let mut waits: Vec<usize> = vec![0; names.len()];
    let mut wanted: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for (item, needed) in needs.iter().enumerate() {
        for other in needed {
            waits[item] += 1;
            wanted[*other].push(item);
        }
    }
    let mut ready: std::collections::BTreeSet<(&str, usize)> =
        (0..names.len()).filter(|item| waits[*item] == 0).map(|item| (names[item], item)).collect();
    let mut order = Vec::with_capacity(names.len());
    while let Some((_, item)) = ready.pop_first() {
        order.push(item);
        for other in &wanted[item] {
            waits[*other] -= 1;
            if waits[*other] == 0 {
                ready.insert((names[*other], *other));
            }
        }
    }
    let mut left: Vec<usize> = (0..names.len()).filter(|item| waits[*item] > 0).collect();
    left.sort_by_key(|item| names[*item]);
    order.extend(left);
    order
}
