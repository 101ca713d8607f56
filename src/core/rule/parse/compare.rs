//! Figures, and `compare`.

use serde_json::Value;

use super::problem::{Hint, quote};
use super::{Object, Reader, Segment};
use crate::rule::operator::Operator;
use crate::rule::{Amount, Compare, EventAmount, Function, Measure};

const EXPECTED: &str = "a figure: an object such as {\"did\": \"purchase\"} or {\"profile\": \"age\"}, or a number";

impl<'a> Reader<'a> {
    pub(super) fn compare(&mut self, object: &'a Object, name: &'static str) -> Option<Compare> {
        let left = self.required(object, name, Self::amount);
        let operator = self.required(object, "operator", Self::comparing);
        let right = self.required(object, "to", Self::amount);
        let factor = self.optional(object, "factor", Self::number);
        let over = self.optional(object, "over", Self::single_property);
        if let (Some(Amount::Number(_)), Some(Amount::Number(_))) = (&left, &right) {
            self.problem("both figures are constants", "Write a figure of events or of the profile on one side.");
            return None;
        }
        let mut fits = true;
        if object.contains_key("over") {
            for (key, amount) in [(name, &left), ("to", &right)] {
                if matches!(amount, Some(Amount::Profile(_))) {
                    fits = false;
                    self.at(Segment::Key(key), |reader| {
                        reader.problem(
                            "a property of the profile cannot be a figure of a group",
                            "With \"over\" write a figure of events, or a number.",
                        );
                    });
                }
            }
        }
        let compare = Compare { left: left?, operator: operator?, right: right?, factor: factor?, over: over? };
        fits.then_some(compare)
    }

    fn comparing(&mut self, value: &'a Value) -> Option<Operator> {
        let name = self.string(value, "the name of an operator")?;
        let found = Operator::from_name(name).filter(|operator| operator.relation().is_some());
        if found.is_none() {
            let valid = Operator::all().filter(|one| one.relation().is_some()).map(Operator::name).collect();
            self.problem(format!("{} cannot compare figures", quote(name)), Hint::Name { wrong: name, valid });
        }
        found
    }

    /// `F`.
    pub(super) fn amount(&mut self, value: &'a Value) -> Option<Amount> {
        match value {
            Value::Number(_) => self.number(value).map(Amount::Number),
            Value::Object(object) => {
                let words = ["did", "profile"];
                let present: Vec<&'static str> = words.into_iter().filter(|word| object.contains_key(*word)).collect();
                let mut allowed = words.to_vec();
                let of_events = present.is_empty() || present.contains(&"did");
                if of_events {
                    allowed.extend(["where", "time", "aggregate"]);
                }
                self.unknown_keys(object, &allowed);
                self.exactly_one(object, &words, "the source of the figure", "Write exactly one of did and profile.");
                let mut amount = None;
                for word in &present {
                    amount = match *word {
                        "did" => self.event_amount(object).map(|amount| Amount::Events(Box::new(amount))),
                        _ => self.required(object, word, Self::single_property).map(Amount::Profile),
                    };
                }
                amount.filter(|_| present.len() == 1)
            }
            _ => {
                self.wrong_type(value, EXPECTED);
                None
            }
        }
    }

    fn event_amount(&mut self, object: &'a Object) -> Option<EventAmount> {
        let events = self.required(object, "did", Self::events);
        let filter = self.optional(object, "where", Self::filter);
        let time = self.optional(object, "time", Self::times);
        let measure = self.optional(object, "aggregate", Self::measure);
        Some(EventAmount { events: events?, filter: filter?, time: time?, measure: measure? })
    }

    /// `aggregate` without a comparison.
    fn measure(&mut self, value: &'a Value) -> Option<Measure> {
        let object = self.object(value, "an object such as {\"fn\": \"sum\", \"property\": \"price\"}")?;
        self.unknown_keys(object, &["fn", "property"]);
        let function = self.required(object, "fn", |reader, value| {
            let name = reader.string(value, "the name of a function")?;
            let known = Function::ALL.iter().find(|(word, _)| *word == name).map(|(_, function)| *function);
            if known.is_none() {
                let valid = Function::ALL.iter().map(|(word, _)| *word).collect();
                reader.problem(format!("unknown function {}", quote(name)), Hint::Name { wrong: name, valid });
            }
            known
        });
        let property = self.required(object, "property", Self::property);
        Some(Measure { function: function?, property: property? })
    }
}
