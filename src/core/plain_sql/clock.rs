//! Instants and days as SQL, under one rule's time zone.

use chrono::{DateTime, Datelike};

use super::HELPERS;
use super::quote;
use crate::rule::{CalendarUnit, Units, Window};
use crate::time::{DateValue, Interval, Micros, Reading, SECOND};

/// The instant and the zone of a rule.
pub(super) struct Clock<'a> {
    /// The SQL expression of the instant.
    pub(super) as_of: &'a str,
    /// The zone's name as a literal.
    pub(super) zone: String,
}

impl Clock<'_> {
    /// An expression of constants and `as_of`. Unless `as_of` is a literal, PostgreSQL would compute it again for
    /// every row; as a subquery it is computed once.
    fn once(&self, expression: String) -> String {
        let as_of = self.as_of.trim_start();
        let literal = as_of.starts_with('\'') || as_of.to_ascii_lowercase().starts_with("timestamptz '");
        if literal { expression } else { format!("(SELECT {expression})") }
    }

    fn subtract(&self, interval: &Interval) -> String {
        format!("{HELPERS}.time_subtract({}, {}, {})", self.as_of, quote::interval(interval), self.zone)
    }

    fn add(&self, interval: &Interval) -> String {
        format!("{HELPERS}.time_add({}, {}, {})", self.as_of, quote::interval(interval), self.zone)
    }

    fn day_of(&self, instant: &str) -> String {
        format!("{HELPERS}.local_day({instant}, {})", self.zone)
    }

    /// The first instant of a day.
    fn day_start(&self, day: &str) -> String {
        format!("{HELPERS}.day_start({day}, {})", self.zone)
    }

    /// `as_of - I`.
    pub(super) fn ago(&self, interval: &Interval) -> String {
        self.once(self.subtract(interval))
    }

    /// `as_of + I`.
    pub(super) fn ahead(&self, interval: &Interval) -> String {
        self.once(self.add(interval))
    }

    /// The calendar days of `as_of` and of `as_of + I`.
    pub(super) fn days_ahead(&self, interval: &Interval) -> (String, String) {
        (self.once(self.day_of(self.as_of)), self.once(self.day_of(&self.add(interval))))
    }

    /// The calendar days of `as_of - I` and of `as_of`.
    pub(super) fn days_ago(&self, interval: &Interval) -> (String, String) {
        (self.once(self.day_of(&self.subtract(interval))), self.once(self.day_of(self.as_of)))
    }

    /// The instant of a date as rules compare with it: a day's first.
    pub(super) fn instant(&self, date: &DateValue) -> String {
        match date.reading {
            Reading::Day(_) => self.day_start(&format!("date {}", quote::text(&date.text))),
            // Read by the function that reads the data, so that the two agree where the clock is set forward or back.
            Reading::Local(_) => format!(
                "{HELPERS}.json_instant({}, {})",
                quote::json(&serde_json::Value::from(date.text.as_str())),
                self.zone
            ),
            Reading::Instant(at) => instant(at),
        }
    }

    /// What the window demands of a time, as conditions that must all hold.
    pub(super) fn window(&self, window: &Window, time: &str) -> Vec<String> {
        match window {
            Window::InTheLast(interval) => vec![format!("{time} > {}", self.ago(interval))],
            Window::MoreThanAgo(interval) => vec![format!("{time} <= {}", self.ago(interval))],
            Window::BetweenAgo(longer, shorter) => {
                vec![format!("{time} > {}", self.ago(longer)), format!("{time} <= {}", self.ago(shorter))]
            }
            Window::Since(date) => vec![format!("{time} >= {}", self.instant(date))],
            Window::Before(date) => vec![format!("{time} < {}", self.instant(date))],
            Window::Between(first, last) => {
                let until = match last.reading {
                    Reading::Day(_) => {
                        format!("< {}", self.day_start(&format!("date {} + 1", quote::text(&last.text))))
                    }
                    Reading::Local(_) | Reading::Instant(_) => format!("<= {}", self.instant(last)),
                };
                vec![format!("{time} >= {}", self.instant(first)), format!("{time} {until}")]
            }
            // It has no end: events after as_of do not exist.
            Window::This(unit) => vec![format!("{time} >= {}", self.unit_start(*unit, 0))],
            Window::Previous(units) => self.units(units, -i32::from(units.count), 0, time),
            // Asked of every event by itself: see super::time.
            Window::Weekday(_) | Window::Hours(_) | Window::From(..) | Window::Until(..) => Vec::new(),
        }
    }

    /// The conditions for a time to lie in some calendar units, counted from the one that holds `as_of`; the last is not
    /// included.
    pub(super) fn units(&self, units: &Units, from: i32, to: i32, time: &str) -> Vec<String> {
        vec![
            format!("{time} >= {}", self.unit_start(units.unit, from)),
            format!("{time} < {}", self.unit_start(units.unit, to)),
        ]
    }

    /// The first and the last day of the calendar unit that holds the day of `as_of`.
    pub(super) fn days_of_unit(&self, unit: CalendarUnit) -> (String, String) {
        (self.once(self.unit_day(unit, 0)), self.once(format!("{} - 1", self.unit_day(unit, 1))))
    }

    /// The first instant of the calendar unit that holds the day of `as_of`, or of one some units from it.
    pub(super) fn unit_start(&self, unit: CalendarUnit, moved: i32) -> String {
        self.once(self.day_start(&self.unit_day(unit, moved)))
    }

    /// Its first day.
    fn unit_day(&self, unit: CalendarUnit, moved: i32) -> String {
        // The cast to timestamp keeps date_trunc from going through the session's time zone.
        let first = format!("date_trunc({}, {}::timestamp)", quote::text(unit.name()), self.day_of(self.as_of));
        match moved {
            0 => format!("{first}::date"),
            1.. => format!("({first} + {})::date", length(unit, moved)),
            ..0 => format!("({first} - {})::date", length(unit, -moved)),
        }
    }
}

/// The length of some calendar units.
pub(super) fn length(unit: CalendarUnit, count: i32) -> String {
    let (each, name) = match unit {
        CalendarUnit::Day => (1, "day"),
        CalendarUnit::Week => (7, "day"),
        CalendarUnit::Month => (1, "month"),
        CalendarUnit::Quarter => (3, "month"),
        CalendarUnit::Year => (1, "year"),
    };
    let many = count * each;
    format!("interval '{many} {name}{}'", if many == 1 { "" } else { "s" })
}

/// A literal of an instant, the same under every setting of the session.
fn instant(at: Micros) -> String {
    // Dates of rules lie within years 0 to 10,000, which chrono covers many times over.
    let time = DateTime::from_timestamp_micros(at.0).unwrap_or_default().naive_utc();
    let (year, era) = if time.year() > 0 { (time.year(), "") } else { (1 - time.year(), " BC") };
    let fraction = match at.0.rem_euclid(SECOND) {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    format!("timestamptz '{year:04}-{}{fraction}+00{era}'", time.format("%m-%d %H:%M:%S"))
}
