//! `time`, intervals and dates.

use serde_json::Value;

use super::Reader;
use super::problem::{Hint, quote};
use crate::rule::{CalendarUnit, Window};
use crate::time::{DateValue, Interval, Micros, Reading};

const FORMS: [&str; 8] =
    ["in_the_last", "more_than_ago", "between_ago", "since", "before", "between", "this", "previous"];

impl<'a> Reader<'a> {
    /// `time`.
    pub(super) fn window(&mut self, value: &'a Value) -> Option<Window> {
        let object = self.object(value, "an object such as {\"in_the_last\": \"30 days\"}")?;
        self.unknown_keys(object, &FORMS);
        let present = self.exactly_one(
            object,
            &FORMS,
            "the form of the time",
            "Write exactly one of in_the_last, more_than_ago, between_ago, since, before, between, this, previous.",
        );
        let mut window = None;
        for form in &present {
            window = self.required(object, form, |reader, value| reader.window_form(form, value));
        }
        window.filter(|_| present.len() == 1)
    }

    fn window_form(&mut self, form: &str, value: &'a Value) -> Option<Window> {
        match form {
            "in_the_last" => self.interval(value).map(Window::InTheLast),
            "more_than_ago" => self.interval(value).map(Window::MoreThanAgo),
            "between_ago" => self.between_ago(value),
            "since" => self.date(value).map(Window::Since),
            "before" => self.date(value).map(Window::Before),
            "between" => self.between_dates(value),
            "this" => self.calendar_unit(value).map(Window::This),
            _ => self.calendar_unit(value).map(Window::Previous),
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
                format!("nothing lies between {} and {}", quote(&first.text), quote(&last.text)),
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

    fn calendar_unit(&mut self, value: &'a Value) -> Option<CalendarUnit> {
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
                    "Write whole numbers with units, such as \"30 days\" or \"1 month 15 days\"; the units are \
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
                "Write \"2026-03-01\" or \"2026-03-01T10:00:00\", perhaps with a fraction and with Z or an offset \
                 such as +05:30.",
            );
        }
        date
    }
}
