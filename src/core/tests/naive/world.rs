//! Customers with their events and profiles, as plain values.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cohort_core::rule::{Condition, EventTypes, Property, Rule};
use serde_json::Value;

use super::values::{Identity, reach};

/// One event. Times are microseconds since 1970.
#[derive(Debug, Clone)]
pub struct Event {
    pub customer: usize,
    pub kind: String,
    pub at: i64,
    pub id: i64,
    pub data: Value,
}

/// A cohort that rules may name.
#[derive(Debug, Clone)]
pub enum Cohort {
    Rule(Box<Rule>),
    List(BTreeSet<usize>),
}

/// Everything that a rule may ask.
#[derive(Debug)]
pub struct World {
    pub as_of: i64,
    pub ids: Vec<String>,
    /// Sorted by time and id.
    pub events: Vec<Event>,
    /// By customer; `None`: no row.
    pub profiles: Vec<Option<Value>>,
    pub cohorts: HashMap<String, Cohort>,
    /// The rows of the table beside the events.
    pub table: Vec<Value>,
}

impl World {
    pub fn customers(&self) -> impl Iterator<Item = usize> {
        0..self.ids.len()
    }

    /// The events of a customer up to `as_of`, in order.
    pub fn events_of(&self, customer: usize) -> Vec<&Event> {
        self.events.iter().filter(|event| event.customer == customer && event.at <= self.as_of).collect()
    }

    /// A profile; without a row an empty one.
    pub fn profile(&self, customer: usize) -> &Value {
        self.profiles[customer].as_ref().unwrap_or(&Value::Null)
    }

    /// The customers with a profile row, or with an event up to `as_of`.
    pub fn is_known(&self, customer: usize) -> bool {
        self.profiles[customer].is_some() || !self.events_of(customer).is_empty()
    }

    /// The members of a rule.
    pub fn members(&self, rule: &Rule) -> BTreeSet<usize> {
        self.satisfying(&rule.condition, rule.zone())
    }

    /// The customers of the universe who satisfy a condition.
    pub fn satisfying(&self, condition: &Condition, zone: &str) -> BTreeSet<usize> {
        self.customers().filter(|customer| self.is_known(*customer) && self.holds(condition, *customer, zone)).collect()
    }

    /// The customers by the scalar at a property of their profiles.
    pub fn groups(&self, property: &Property) -> BTreeMap<Identity, Vec<usize>> {
        let mut groups: BTreeMap<Identity, Vec<usize>> = BTreeMap::new();
        for customer in self.customers() {
            let values = reach(self.profile(customer), &property.steps);
            if let Some(identity) = values.first().and_then(|value| Identity::of(value)) {
                groups.entry(identity).or_default().push(customer);
            }
        }
        groups
    }
}

/// Whether an event is of some types.
pub fn is_of(event: &Event, types: &EventTypes) -> bool {
    types.named().is_none_or(|names| names.contains(&event.kind))
}
