//! Forms of time that depend on the calendar or on an anchor.

use chrono::Weekday;
use serde_json::Value;

use super::Reader;
use super::problem::{Hint, quote};
use crate::rule::{Anchor, AnchorEvent, CalendarUnit, Hours, PathStep, Property, Units, WEEKDAYS, Weekdays};

/// The most calendar units.
const MAX_UNITS: u16 = 1_000;

/// The minutes of a day.
const DAY: u16 = 1_440;

/// The word that says what an anchor is.
const ANCHORS: [&str; 3] = ["first", "last", "profile"];

impl<'a> Reader<'a> {
    /// `"month"`, or `"3 months"`.
    pub(super) fn units(&mut self, value: &'a Value) -> Option<Units> {
        let text = self.string(value, "a calendar unit such as \"month\" or \"3 months\"")?;
        let word = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &text[..text.len() - word.len()];
        if digits.is_empty() {
            let unit = self.calendar_unit(value)?;
            return Some(Units { text: text.to_owned(), count: 1, unit });
        }
        let word = word.trim_start_matches(' ');
        let plain = |name: &str| word == name || word.strip_suffix('s') == Some(name);
        let unit = CalendarUnit::ALL.iter().find(|(name, _)| plain(name)).map(|(_, unit)| *unit);
        let Some(unit) = unit else {
            let valid = vec!["days", "weeks", "months", "quarters", "years"];
            self.problem(format!("unknown calendar unit {}", quote(word)), Hint::Name { wrong: word, valid });
            return None;
        };
        let count = digits.trim_start_matches('0').parse().ok().filter(|count| (1..=MAX_UNITS).contains(count));
        let Some(count) = count else {
            self.problem(
                format!("{} is not a number from 1 to {MAX_UNITS}", quote(digits)),
                format!("Write a number from 1 to {MAX_UNITS}."),
            );
            return None;
        };
        Some(Units { text: text.to_owned(), count, unit })
    }

    /// `"month"`.
    pub(super) fn one_unit(&mut self, value: &'a Value) -> Option<Units> {
        let unit = self.calendar_unit(value)?;
        Some(Units { text: unit.name().to_owned(), count: 1, unit })
    }

    /// The same, not longer than a month: of a quarter or a year an anniversary says little.
    pub(super) fn short_unit(&mut self, value: &'a Value) -> Option<Units> {
        let units = self.one_unit(value)?;
        match units.unit {
            CalendarUnit::Day | CalendarUnit::Week | CalendarUnit::Month => Some(units),
            CalendarUnit::Quarter | CalendarUnit::Year => {
                self.problem(
                    format!("\"anniversary_this\" does not accept {}", quote(&units.text)),
                    "Write one of day, week, month.",
                );
                None
            }
        }
    }

    pub(super) fn weekdays(&mut self, value: &'a Value) -> Option<Weekdays> {
        match value {
            Value::Array(_) => self.list(value, "a list of weekdays", Self::weekday).map(Weekdays::Many),
            _ => self.weekday(value).map(Weekdays::One),
        }
    }

    fn weekday(&mut self, value: &'a Value) -> Option<Weekday> {
        let name = self.string(value, "a weekday such as \"saturday\"")?;
        let day = WEEKDAYS.iter().find(|(word, _)| *word == name).map(|(_, day)| *day);
        if day.is_none() {
            let lower = name.to_lowercase();
            let short = WEEKDAYS.iter().find(|(word, _)| lower.len() > 1 && word.starts_with(&lower));
            let hint = match short {
                Some((word, _)) => format!("Did you mean \"{word}\"?").into(),
                None => Hint::Name { wrong: name, valid: WEEKDAYS.iter().map(|(word, _)| *word).collect() },
            };
            self.problem(format!("unknown weekday {}", quote(name)), hint);
        }
        day
    }

    pub(super) fn hours(&mut self, value: &'a Value) -> Option<Hours> {
        let mut first = true;
        let (from, to) =
            self.pair(value, "a list of two times of day such as [\"18:00\", \"24:00\"]", |reader, value| {
                let most = if std::mem::take(&mut first) { DAY - 1 } else { DAY };
                reader.time_of_day(value, most)
            })?;
        if from == to {
            self.problem(
                format!("the two times of day are the same: {}", quote(&Hours::text(from))),
                "Write two different times. The whole day is [\"00:00\", \"24:00\"].",
            );
            return None;
        }
        Some(Hours { from, to })
    }

    fn time_of_day(&mut self, value: &'a Value, most: u16) -> Option<u16> {
        let text = self.string(value, "a time of day such as \"18:00\"")?;
        let bytes = text.as_bytes();
        let two = |at: usize| {
            let digits = text.get(at..at + 2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
            digits.parse::<u16>().ok()
        };
        let minute = (bytes.len() == 5 && bytes[2] == b':')
            .then(|| two(0).zip(two(3)))
            .flatten()
            .filter(|(_, minutes)| *minutes < 60)
            .map(|(hours, minutes)| hours * 60 + minutes)
            .filter(|minute| *minute <= most);
        if minute.is_none() {
            self.problem(
                format!("{} is not a time of day", quote(text)),
                if most == DAY {
                    "Write hours and minutes as in \"18:00\", up to \"24:00\"."
                } else {
                    "Write hours and minutes as in \"18:00\", from \"00:00\" to \"23:59\"."
                },
            );
        }
        minute
    }

    /// An anchor; `instead` is the form of time that takes a date.
    pub(super) fn anchor(&mut self, value: &'a Value, instead: &'static str) -> Option<Anchor> {
        let Value::Object(object) = value else {
            if value.is_string() {
                self.problem(
                    "expected an anchor, found a string",
                    format!(
                        "For a date write {{\"{instead}\": …}}; an anchor is {{\"first\": …}}, {{\"last\": …}} or {{\"profile\": …}}."
                    ),
                );
            } else {
                self.wrong_type(value, "an anchor such as {\"first\": \"signup\"}");
            }
            return None;
        };
        let present: Vec<&'static str> = ANCHORS.into_iter().filter(|word| object.contains_key(*word)).collect();
        let of_events = present.is_empty() || present.iter().any(|word| *word != "profile");
        self.unknown_keys(object, &[ANCHORS.as_slice(), &["where"]].concat());
        if !of_events && object.contains_key("where") {
            self.unknown_key("where", "\"where\" goes with \"first\" and \"last\".".into());
        }
        self.exactly_one(object, &ANCHORS, "the anchor", "Write exactly one of first, last, profile.");
        // References to other steps do not reach in here.
        let steps = self.step_names.take();
        let filter = if of_events { self.optional(object, "where", Self::filter) } else { Some(None) };
        self.step_names = steps;
        let mut anchor = None;
        for word in &present {
            anchor = if *word == "profile" {
                self.required(object, word, Self::single_property).map(Anchor::Profile)
            } else {
                let events = self.required(object, word, Self::events);
                let event = events.zip(filter.clone()).map(|(events, filter)| AnchorEvent { events, filter });
                event.map(if *word == "first" { Anchor::First } else { Anchor::Last })
            };
        }
        anchor.filter(|_| present.len() == 1)
    }

    /// A property that has one value.
    pub(super) fn single_property(&mut self, value: &'a Value) -> Option<Property> {
        let property = self.property(value)?;
        if property.steps.contains(&PathStep::Elements) {
            self.problem("the path must lead to one value", "Write a path without [].");
            return None;
        }
        Some(property)
    }
}
