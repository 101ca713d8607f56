//! `time`, intervals and dates; what depends on the calendar or on an anchor is in [`super::calendar`].

use serde_json::Value;

use super::Reader;
use super::problem::{Hint, quote};
use crate::rule::{CalendarUnit, Times, Window};
use crate::time::{DateValue, Interval, Micros, Reading};

/// The word that says what form a time has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    InTheLast,
    MoreThanAgo,
    BetweenAgo,
    Since,
    Before,
    Between,
    This,
    Previous,
    Weekday,
    Hours,
    From,
    Until,
}

impl Form {
    const ALL: [(&'static str, Self); 12] = [
        ("in_the_last", Self::InTheLast),
        ("more_than_ago", Self::MoreThanAgo),
        ("between_ago", Self::BetweenAgo),
        ("since", Self::Since),
        ("before", Self::Before),
        ("between", Self::Between),
        ("this", Self::This),
        ("previous", Self::Previous),
        ("weekday", Self::Weekday),
        ("hours", Self::Hours),
        ("from", Self::From),
        ("until", Self::Until),
    ];

    fn is_anchored(self) -> bool {
        matches!(self, Self::From | Self::Until)
    }
}

const ONE_FORM: &str = "Write exactly one of in_the_last, more_than_ago, between_ago, since, before, between, this, \
                        previous, weekday, hours, from, until in one object; join several in a list.";

impl<'a> Reader<'a> {
    /// `time`.
    pub(super) fn times(&mut self, value: &'a Value) -> Option<Times> {
        match value {
            Value::Array(_) => self.list(value, "a list of time forms", Self::window).map(Times::All),
            _ => self.window(value).map(Times::One),
        }
    }

    fn window(&mut self, value: &'a Value) -> Option<Window> {
        let object = self.object(value, "an object such as {\"in_the_last\": \"30 days\"}")?;
        let names: Vec<&'static str> = Form::ALL.iter().map(|(name, _)| *name).collect();
        let forms: Vec<(&'static str, Form)> =
            Form::ALL.into_iter().filter(|(name, _)| object.contains_key(*name)).collect();
        let mut allowed = names.clone();
        // An object without any form may stand for a form that takes the key.
        if forms.is_empty() || forms.iter().any(|(_, form)| form.is_anchored()) {
            allowed.push("within");
        }
        self.unknown_keys(object, &allowed);
        self.exactly_one(object, &names, "the form of the time window", ONE_FORM);
        let within =
            if allowed.contains(&"within") { self.optional(object, "within", Self::interval) } else { Some(None) };
        let mut window = None;
        for (name, form) in &forms {
            window = self.required(object, name, |reader, value| reader.window_form(*form, value));
        }
        let window = match (window.filter(|_| forms.len() == 1)?, within?) {
            (Window::From(anchor, _), within) => Window::From(anchor, within),
            (Window::Until(anchor, _), within) => Window::Until(anchor, within),
            (window, _) => window,
        };
        Some(window)
    }

    fn window_form(&mut self, form: Form, value: &'a Value) -> Option<Window> {
        match form {
            Form::InTheLast => self.interval(value).map(Window::InTheLast),
            Form::MoreThanAgo => self.interval(value).map(Window::MoreThanAgo),
            Form::BetweenAgo => self.between_ago(value),
            Form::Since => self.date(value).map(Window::Since),
            Form::Before => self.date(value).map(Window::Before),
            Form::Between => self.between_dates(value),
            Form::This => self.calendar_unit(value).map(Window::This),
            Form::Previous => self.units(value).map(Window::Previous),
            Form::Weekday => self.weekdays(value).map(Window::Weekday),
            Form::Hours => self.hours(value).map(Window::Hours),
            Form::From => self.anchor(value, "since").map(|anchor| Window::From(anchor, None)),
            Form::Until => self.anchor(value, "before").map(|anchor| Window::Until(anchor, None)),
        }
    }

    fn between_ago(&mut self, value: &'a Value) -> Option<Window> {
        let (longer, shorter) = self.pair(value, "a list of two intervals, the longer first", Self::interval)?;
        if longer.nominal() <= shorter.nominal() {
            self.problem(
                "the first interval is not longer than the second",
                "Write the longer interval first, as in [\"90 days\", \"30 days\"]; a month counts as 30 days.",
            );
            return None;
        }
        Some(Window::BetweenAgo(longer, shorter))
    }

    fn between_dates(&mut self, value: &'a Value) -> Option<Window> {
        let (first, last) = self.pair(value, "a list of two dates, the earlier first", Self::date)?;
        if self.within_limits() && self.begins_after(&first, &last) {
            self.problem(
                format!("no instant is between {} and {}", quote(&first.text), quote(&last.text)),
                "Write the earlier date or timestamp first.",
            );
            return None;
        }
        Some(Window::Between(first, last))
    }

    /// Whether the first instant comes after the last one covered.
    fn begins_after(&self, first: &DateValue, last: &DateValue) -> bool {
        let Some(zone) = self.zone else {
            // In an unknown zone only readings of one kind can be compared.
            return match (first.reading, last.reading) {
                (Reading::Day(first), Reading::Day(last)) => first > last,
                (Reading::Local(first), Reading::Local(last)) => first > last,
                (Reading::Instant(first), Reading::Instant(last)) => first > last,
                _ => false,
            };
        };
        let start = match first.reading {
            Reading::Day(day) => self.zones.day_start(day, zone),
            Reading::Local(local) => self.zones.instant(local, zone),
            Reading::Instant(instant) => instant,
        };
        let end = match last.reading {
            Reading::Day(day) => match day.succ_opt() {
                Some(next) => Micros(self.zones.day_start(next, zone).0 - 1),
                None => return false, // no year of four digits gets here
            },
            Reading::Local(local) => self.zones.instant(local, zone),
            Reading::Instant(instant) => instant,
        };
        start > end
    }

    pub(super) fn calendar_unit(&mut self, value: &'a Value) -> Option<CalendarUnit> {
        let name = self.string(value, "one of day, week, month, quarter, year")?;
        let unit = CalendarUnit::ALL.iter().find(|(word, _)| *word == name).map(|(_, unit)| *unit);
        if unit.is_none() {
            let valid = CalendarUnit::ALL.iter().map(|(word, _)| *word).collect();
            self.problem(format!("unknown calendar unit {}", quote(name)), Hint::Name { wrong: name, valid });
        }
        unit
    }

    pub(super) fn interval(&mut self, value: &'a Value) -> Option<Interval> {
        let text = self.string(value, "an interval such as \"30 days\"")?;
        match Interval::parse(text) {
            Ok(interval) => Some(interval),
            Err(error) => {
                self.problem(
                    format!("{} is not an interval: {}", quote(text), error.0),
                    "Write whole numbers with units, such as \"30 days\" or \"1 month 15 days\". The units are \
                     microseconds, milliseconds, seconds, minutes, hours, days, weeks, months and years.",
                );
                None
            }
        }
    }

    pub(super) fn date(&mut self, value: &'a Value) -> Option<DateValue> {
        let text = self.string(value, "a date such as \"2026-03-01\"")?;
        let date = DateValue::parse(text);
        if date.is_none() {
            self.problem(
                format!("{} is not a date", quote(text)),
                "Write \"2026-03-01\" or \"2026-03-01T10:00:00\", optionally with a fraction and with Z or an offset \
                 such as +05:30.",
            );
        }
        date
    }
}
