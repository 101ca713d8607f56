//! The forms of `time`, and calendar units.

use chrono::{Datelike as _, Days, Months, NaiveDate, Timelike as _};
use cohort_core::rule::{Anchor, AnchorEvent, CalendarUnit, Hours, Times, Window};
use cohort_core::time::read;
use serde_json::Value;

use super::predicate::{all_hold, instant_of, last_instant_of};
use super::values::reach;
use super::world::{Event, World, is_of};
use crate::common::calendar::{day, day_start, shift, wall};

/// The first day of the unit around a day; weeks start on Monday.
pub fn period_of(unit: CalendarUnit, day: NaiveDate) -> NaiveDate {
    let month = match unit {
        CalendarUnit::Day => return day,
        CalendarUnit::Week => return day - Days::new(u64::from(day.weekday().num_days_from_monday())),
        CalendarUnit::Month => day.month(),
        CalendarUnit::Quarter => day.month() - (day.month() - 1) % 3,
        CalendarUnit::Year => 1,
    };
    NaiveDate::from_ymd_opt(day.year(), month, 1).expect("a day")
}

/// The first day of the unit a number of units away from the one that starts on a day.
pub fn period_away(unit: CalendarUnit, start: NaiveDate, number: i64) -> NaiveDate {
    let size = u32::try_from(number.unsigned_abs()).expect("a small number");
    let days = |each: u32| {
        let days = Days::new(u64::from(size * each));
        if number < 0 { start - days } else { start + days }
    };
    let months = |each: u32| {
        let months = Months::new(size * each);
        if number < 0 { start - months } else { start + months }
    };
    match unit {
        CalendarUnit::Day => days(1),
        CalendarUnit::Week => days(7),
        CalendarUnit::Month => months(1),
        CalendarUnit::Quarter => months(3),
        CalendarUnit::Year => months(12),
    }
}

impl World {
    /// Whether all forms hold of an event.
    pub fn in_times(&self, times: Option<&Times>, event: &Event, zone: &str) -> bool {
        times.is_none_or(|times| times.forms().iter().all(|form| self.in_time(form, event, zone)))
    }

    fn in_time(&self, form: &Window, event: &Event, zone: &str) -> bool {
        let (t, as_of) = (event.at, self.as_of);
        match form {
            Window::InTheLast(interval) => shift(as_of, interval, false, zone) < t && t <= as_of,
            Window::MoreThanAgo(interval) => t <= shift(as_of, interval, false, zone),
            Window::BetweenAgo(longer, shorter) => {
                shift(as_of, longer, false, zone) < t && t <= shift(as_of, shorter, false, zone)
            }
            Window::Since(date) => t >= instant_of(date.reading, zone),
            Window::Before(date) => t < instant_of(date.reading, zone),
            Window::Between(first, last) => {
                instant_of(first.reading, zone) <= t && t <= last_instant_of(last.reading, zone)
            }
            Window::This(unit) => {
                let current = period_of(*unit, day(as_of, zone));
                day_start(current, zone) <= t && t < day_start(period_away(*unit, current, 1), zone)
            }
            Window::Previous(units) => {
                let current = period_of(units.unit, day(as_of, zone));
                let first = period_away(units.unit, current, -i64::from(units.count));
                day_start(first, zone) <= t && t < day_start(current, zone)
            }
            Window::Weekday(days) => days.days().contains(&day(t, zone).weekday()),
            Window::Hours(Hours { from, to }) => {
                let minute =
                    u16::try_from(wall(t, zone).num_seconds_from_midnight() / 60).expect("a minute of the day");
                if from < to { *from <= minute && minute < *to } else { *from <= minute || minute < *to }
            }
            Window::From(anchor, within) => self.anchor(anchor, event.customer, zone, true).is_some_and(|anchor| {
                anchor <= t && within.as_ref().is_none_or(|within| t <= shift(anchor, within, true, zone))
            }),
            Window::Until(anchor, within) => self.anchor(anchor, event.customer, zone, false).is_some_and(|anchor| {
                t <= anchor && within.as_ref().is_none_or(|within| t >= shift(anchor, within, false, zone))
            }),
        }
    }

    /// The anchor of a customer; of a date without a time the first instant of its day, or the last one.
    fn anchor(&self, anchor: &Anchor, customer: usize, zone: &str, first: bool) -> Option<i64> {
        match anchor {
            Anchor::First(events) => self.anchors(events, customer, zone).first().copied(),
            Anchor::Last(events) => self.anchors(events, customer, zone).last().copied(),
            Anchor::Profile(property) => {
                let values = reach(self.profile(customer), &property.steps);
                let reading = read(values.first().and_then(|value| Value::as_str(value))?)?;
                Some(if first { instant_of(reading, zone) } else { last_instant_of(reading, zone) })
            }
        }
    }

    fn anchors(&self, anchor: &AnchorEvent, customer: usize, zone: &str) -> Vec<i64> {
        let matches = |event: &&Event| {
            is_of(event, &anchor.events) && all_hold(anchor.filter.as_ref(), &event.data, &self.names(event, zone))
        };
        self.events_of(customer).into_iter().filter(matches).map(|event| event.at).collect()
    }
}
