//! Sequences and their steps.

use std::collections::BTreeSet;

use serde_json::Value;

use super::problem::quote;
use super::{Object, Reader};
use crate::rule::{Referred, Sequence, Step, StepKind};

impl<'a> Reader<'a> {
    pub(super) fn sequence(&mut self, object: &'a Object) -> Option<Sequence> {
        let within = self.optional(object, "within", Self::interval);
        self.step_names = Some(BTreeSet::new());
        let mut first = true;
        let steps = self.required(object, "sequence", |reader, value| {
            reader.list(value, "a list of steps", |reader, step| {
                let step = reader.step(step, first);
                first = false;
                step
            })
        });
        self.step_names = None;
        Some(Sequence { steps: steps?, within: within? })
    }

    fn step(&mut self, value: &'a Value, first: bool) -> Option<Step> {
        self.parts += 1;
        let object = self.object(value, "a step, as an object such as {\"did\": \"cart\"}")?;
        let did = object.contains_key("did");
        let mut allowed = vec!["did", "did_not", "where"];
        if did || !object.contains_key("did_not") {
            allowed.extend(["as", "time"]);
        }
        self.unknown_keys(object, &allowed);
        let words =
            self.exactly_one(object, &["did", "did_not"], "\"did\" or \"did_not\"", "Write one of them in each step.");
        if first && words == ["did_not"] {
            self.problem("the first step is a \"did_not\"", "Begin the sequence with a \"did\" step.");
        }
        let events = words.iter().fold(None, |_, word| self.required(object, word, Self::events));
        let filter = self.optional(object, "where", Self::filter);
        let name = if allowed.contains(&"as") { self.optional(object, "as", Self::step_name) } else { Some(None) };
        let time = if allowed.contains(&"time") { self.optional(object, "time", Self::times) } else { Some(None) };
        let [word] = words.as_slice() else {
            return None;
        };
        Some(Step {
            kind: if *word == "did" { StepKind::Did } else { StepKind::DidNot },
            events: events?,
            filter: filter?,
            name: name?,
            time: time?,
        })
    }

    /// `as`. The name is known to the steps after this one, because the step's own `where` has been read.
    fn step_name(&mut self, value: &'a Value) -> Option<String> {
        let name = self.string(value, "a name, as a string")?;
        if name.is_empty() || name.contains('.') {
            self.problem(
                format!("{} is not a name for a step", quote(name)),
                "Write a name that is not empty and has no dots; a ref reads up to the first dot.",
            );
            return None;
        }
        if Referred::RESERVED.contains(&name) {
            self.problem(
                format!("a step cannot be named {}", quote(name)),
                "A ref means something else by it; write another name.",
            );
            return None;
        }
        if !self.step_names.get_or_insert_default().insert(name) {
            self.problem(format!("another step is named {}", quote(name)), "Give each step a name of its own.");
            return None;
        }
        Some(name.to_owned())
    }
}
