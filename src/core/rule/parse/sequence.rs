//! Sequences and their steps.

use std::collections::BTreeSet;

use serde_json::Value;

use super::problem::quote;
use super::{Object, Reader, Segment};
use crate::rule::{Occurrence, Referred, Sequence, Step, StepKind, Times, Where, Whole};
use crate::time::Interval;

/// The most times that one step stands in a row.
const MAX_TIMES: u64 = 100;

/// Where a step stands among the `did` steps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Before all of them, or the first.
    Leading,
    /// Behind the first and before the last, or one of them.
    Between,
    /// Behind all of them.
    Last,
}

/// What only a `did` step has.
#[derive(Default)]
struct Options {
    name: Option<String>,
    time: Option<Times>,
    occurrence: Option<Occurrence>,
    among: Option<Where>,
    after: Option<Interval>,
    times: Option<Whole>,
}

const STEP_KEYS: [&str; 10] =
    ["did", "did_not", "where", "as", "time", "occurrence", "among", "within", "after", "times"];
const ABSENCE_KEYS: [&str; 4] = ["did", "did_not", "where", "within"];

impl<'a> Reader<'a> {
    pub(super) fn sequence(&mut self, object: &'a Object) -> Option<Sequence> {
        let within = self.optional(object, "within", Self::interval);
        self.step_names = Some(BTreeSet::new());
        let steps = self.required(object, "sequence", |reader, value| {
            let is_did = |step: &Value| step.get("did").is_some();
            let all = value.as_array().map_or(&[][..], Vec::as_slice);
            let (first, last) = (all.iter().position(is_did), all.iter().rposition(is_did));
            let only_absences = first.is_none() && all.iter().any(|step| step.get("did_not").is_some());
            if only_absences {
                reader.problem("the sequence has no \"did\" step", "Write a \"did\" step, or a \"did_not\" condition.");
            }
            let mut place = 0;
            let steps = reader.list(value, "a list of steps", |reader, step| {
                let role = match (first, last) {
                    (Some(first), _) if place <= first => Role::Leading,
                    (_, Some(last)) if place <= last => Role::Between,
                    _ => Role::Last,
                };
                place += 1;
                reader.step(step, role)
            });
            steps.filter(|_| !only_absences)
        });
        self.step_names = None;
        Some(Sequence { steps: steps?, within: within? })
    }

    fn step(&mut self, value: &'a Value, role: Role) -> Option<Step> {
        self.parts += 1;
        let object = self.object(value, "a step, as an object such as {\"did\": \"cart\"}")?;
        let absent = object.contains_key("did_not") && !object.contains_key("did");
        self.unknown_keys(object, if absent { &ABSENCE_KEYS } else { &STEP_KEYS });
        let words =
            self.exactly_one(object, &["did", "did_not"], "\"did\" or \"did_not\"", "Write one of them in each step.");
        let events = words.iter().fold(None, |_, word| self.required(object, word, Self::events));
        let filter = self.optional(object, "where", Self::filter);
        let within = self.optional(object, "within", Self::interval);
        let between = absent && role == Role::Between && object.contains_key("within");
        if between {
            self.at(Segment::Key("within"), |reader| {
                reader.problem(
                    "\"within\" is not allowed in a \"did_not\" step between two \"did\" steps",
                    "Remove it, or write it in the next \"did\" step. The \"did_not\" step tests the time between the events of the two steps.",
                );
            });
        }
        let options =
            if absent { Some(Options::default()) } else { self.options_of_did(object, role, within.as_ref()) };
        let Options { name, time, occurrence, among, after, times } = options?;
        let kind = if absent { StepKind::DidNot } else { StepKind::Did };
        let (events, filter, within) = (events?, filter?, within?);
        let step = Step { kind, events, filter, name, time, occurrence, among, within, after, times };
        (words.len() == 1 && !between).then_some(step)
    }

    /// What only a `did` step has.
    fn options_of_did(&mut self, object: &'a Object, role: Role, within: Option<&Option<Interval>>) -> Option<Options> {
        let name = self.optional(object, "as", Self::step_name);
        let time = self.optional(object, "time", Self::times);
        let occurrence = self.optional(object, "occurrence", Self::occurrence);
        let among = self.among(object);
        let after = self.optional(object, "after", Self::interval);
        let times = self.optional(object, "times", Self::number_of_times);
        let mut fits = true;
        for other in ["as", "occurrence"] {
            if object.contains_key("times") && object.contains_key(other) {
                fits = false;
                self.problem(
                    format!("\"times\" cannot be combined with \"{other}\""),
                    "Remove one of them, or repeat the step.",
                );
            }
        }
        for key in ["within", "after"] {
            if role == Role::Leading && object.contains_key(key) {
                fits = false;
                self.at(Segment::Key(key), |reader| {
                    reader.problem(
                        "not allowed in the first \"did\" step",
                        "Write it in a later step, or write \"within\" next to \"sequence\". \"time\" restricts the time of the first step.",
                    );
                });
            }
        }
        if let (Some(Some(within)), Some(Some(after))) = (within, &after)
            && after.nominal() > within.nominal()
        {
            fits = false;
            self.problem(
                "\"after\" is longer than \"within\"",
                "Write the shorter interval in \"after\"; a month counts as 30 days.",
            );
        }
        let options =
            Options { name: name?, time: time?, occurrence: occurrence?, among: among?, after: after?, times: times? };
        fits.then_some(options)
    }

    fn number_of_times(&mut self, value: &'a Value) -> Option<Whole> {
        let number = self.whole(value)?;
        if !(2..=MAX_TIMES).contains(&number.value) {
            self.problem(
                format!("{} is not a number of times from 2 to {MAX_TIMES}", number.value),
                format!("Write a whole number from 2 to {MAX_TIMES}."),
            );
            return None;
        }
        Some(number)
    }

    /// `as`. The name is known to the steps after this one, because the step's own `where` has been read.
    fn step_name(&mut self, value: &'a Value) -> Option<String> {
        let name = self.string(value, "a name, as a string")?;
        if name.is_empty() || name.contains('.') {
            self.problem(
                format!("{} is not a name for a step", quote(name)),
                "The name must not be empty or contain dots: in \"ref\", it ends at the first dot.",
            );
            return None;
        }
        if Referred::RESERVED.contains(&name) {
            self.problem(
                format!("a step cannot be named {}", quote(name)),
                "The name is reserved in \"ref\". Use another name.",
            );
            return None;
        }
        if !self.step_names.get_or_insert_default().insert(name) {
            self.problem(format!("the step name {} is not unique", quote(name)), "Give each step a unique name.");
            return None;
        }
        Some(name.to_owned())
    }
}
