//! The instant and the calendar of one rule. Times are microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts.

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::rule::{CalendarUnit, Units, Window};
use crate::time::{Interval, Micros, Reading};

/// A window that nothing lies in.
const NEVER: (i64, i64) = (i64::MAX, i64::MIN);

/// From 1970-01-01 to 2000-01-01 in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

/// What the server knows about time. Arithmetic beyond the range of `timestamptz` gives `i64::MAX` or `i64::MIN`.
pub trait Calendar: Sync {
    /// Called while one value takes long, by every thread that evaluates; it may end the evaluation by unwinding.
    fn check(&self) {}
    /// The first instant of a day.
    fn day_start(&self, day: NaiveDate, zone: &str) -> Micros;
    /// The instant of a local time.
    fn instant(&self, local: chrono::NaiveDateTime, zone: &str) -> Micros;
    /// The calendar day of an instant (microseconds since 2000); `None` beyond the calendar.
    fn day(&self, at: i64, zone: &str) -> Option<NaiveDate>;
    /// `at + interval` (microseconds since 2000).
    fn add(&self, at: i64, interval: &Interval, zone: &str) -> i64;
    /// The offset of a zone's clock from UTC at an instant, and the first instant at which it may be another (microseconds,
    /// instants since 2000).
    fn stretch(&self, at: i64, zone: &str) -> (i64, i64);
    /// `at - interval` (microseconds since 2000).
    fn subtract(&self, at: i64, interval: &Interval, zone: &str) -> i64;
}

/// The instant and the zone of a rule.
#[derive(Clone, Copy)]
pub(crate) struct Clock<'a> {
    pub(crate) as_of: i64,
    pub(crate) zone: &'a str,
    pub(crate) calendar: &'a dyn Calendar,
}

fn from_unix(at: Micros) -> i64 {
    at.0.saturating_sub(EPOCH)
}

impl Clock<'_> {
    /// The instant that a reading names.
    pub(crate) fn instant(&self, reading: Reading) -> i64 {
        match reading {
            Reading::Day(day) => self.day_start(day),
            Reading::Local(local) => from_unix(self.calendar.instant(local, self.zone)),
            Reading::Instant(at) => from_unix(at),
        }
    }

    /// The same, but of a date the last instant of its day.
    pub(crate) fn last_instant(&self, reading: Reading) -> i64 {
        match reading {
            Reading::Day(day) => day.succ_opt().map_or(i64::MAX, |next| self.day_start(next).saturating_sub(1)),
            reading => self.instant(reading),
        }
    }

    pub(crate) fn day_start(&self, day: NaiveDate) -> i64 {
        from_unix(self.calendar.day_start(day, self.zone))
    }

    /// The calendar day of an instant.
    pub(crate) fn day(&self, at: i64) -> Option<NaiveDate> {
        self.calendar.day(at, self.zone)
    }

    /// `as_of - I`.
    pub(crate) fn ago(&self, interval: &Interval) -> i64 {
        self.calendar.subtract(self.as_of, interval, self.zone)
    }

    /// `as_of + I`.
    pub(crate) fn ahead(&self, interval: &Interval) -> i64 {
        self.calendar.add(self.as_of, interval, self.zone)
    }

    /// `at + I`.
    pub(crate) fn after(&self, at: i64, interval: &Interval) -> i64 {
        if interval.months == 0 && interval.days == 0 {
            return at.saturating_add(interval.micros);
        }
        self.calendar.add(at, interval, self.zone)
    }

    /// `at - I`.
    pub(crate) fn before(&self, at: i64, interval: &Interval) -> i64 {
        if interval.months == 0 && interval.days == 0 {
            return at.saturating_sub(interval.micros);
        }
        self.calendar.subtract(at, interval, self.zone)
    }

    /// The first and the last instant of a window, both included, none of it behind `as_of`.
    pub(crate) fn window(&self, window: Option<&Window>) -> (i64, i64) {
        let (first, last) = match window {
            Some(Window::InTheLast(interval)) => (self.ago(interval).saturating_add(1), i64::MAX),
            Some(Window::MoreThanAgo(interval)) => (i64::MIN, self.ago(interval)),
            Some(Window::BetweenAgo(longer, shorter)) => (self.ago(longer).saturating_add(1), self.ago(shorter)),
            Some(Window::Since(date)) => (self.instant(date.reading), i64::MAX),
            Some(Window::Before(date)) => (i64::MIN, self.instant(date.reading).saturating_sub(1)),
            Some(Window::Between(first, last)) => (self.instant(first.reading), self.last_instant(last.reading)),
            Some(Window::This(unit)) => self.unit_start(*unit, 0).map_or(NEVER, |start| (start, i64::MAX)),
            Some(Window::Previous(units)) => self.units(units, -i32::from(units.count), 0).unwrap_or(NEVER),
            // These four are tested event by event.
            None | Some(Window::Weekday(_) | Window::Hours(_) | Window::From(..) | Window::Until(..)) => {
                (i64::MIN, i64::MAX)
            }
        };
        (first, last.min(self.as_of))
    }

    /// The first and the last instant of some calendar units, counted from the one that holds `as_of`; `None` beyond the
    /// calendar.
    pub(crate) fn units(&self, units: &Units, from: i32, to: i32) -> Option<(i64, i64)> {
        let ends = self.unit_start(units.unit, from).zip(self.unit_start(units.unit, to));
        ends.map(|(start, next)| (start, next.saturating_sub(1)))
    }

    /// The first instant of a calendar unit, counted from the one that holds `as_of`; `None` beyond the calendar.
    pub(crate) fn unit_start(&self, unit: CalendarUnit, moved: i32) -> Option<i64> {
        self.day(self.as_of)
            .and_then(|today| moved_units(unit_of(today, unit)?, unit, moved))
            .map(|day| self.day_start(day))
    }
}

/// The first day of the calendar unit that holds a day.
pub(crate) fn unit_of(day: NaiveDate, unit: CalendarUnit) -> Option<NaiveDate> {
    let month = |month: u32| NaiveDate::from_ymd_opt(day.year(), month, 1);
    match unit {
        CalendarUnit::Day => Some(day),
        CalendarUnit::Week => day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())),
        CalendarUnit::Month => month(day.month()),
        CalendarUnit::Quarter => month(day.month0() / 3 * 3 + 1),
        CalendarUnit::Year => month(1),
    }
}

/// The first day of a calendar unit some units on, or back, from the one with another first day.
pub(crate) fn moved_units(first: NaiveDate, unit: CalendarUnit, moved: i32) -> Option<NaiveDate> {
    let (forward, many) = (moved > 0, moved.unsigned_abs());
    let months = |each: u32| {
        let months = Months::new(many.checked_mul(each)?);
        if forward { first.checked_add_months(months) } else { first.checked_sub_months(months) }
    };
    let days = |each: u64| {
        let days = Days::new(u64::from(many) * each);
        if forward { first.checked_add_days(days) } else { first.checked_sub_days(days) }
    };
    match unit {
        CalendarUnit::Day => days(1),
        CalendarUnit::Week => days(7),
        CalendarUnit::Month => months(1),
        CalendarUnit::Quarter => months(3),
        CalendarUnit::Year => months(12),
    }
}
