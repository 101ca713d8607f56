//! The instant and the calendar of one rule. Times are microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts.

use chrono::{Datelike, Days, Months, NaiveDate};

use crate::rule::{CalendarUnit, Window};
use crate::time::{Interval, Micros, Reading};

/// A window that nothing lies in.
const NEVER: (i64, i64) = (i64::MAX, i64::MIN);

/// From 1970-01-01 to 2000-01-01 in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

/// What the server knows about time. Arithmetic beyond the range of `timestamptz` gives `i64::MAX` or `i64::MIN`.
pub trait Calendar {
    /// The first instant of a day.
    fn day_start(&self, day: NaiveDate, zone: &str) -> Micros;
    /// The instant of a local time.
    fn instant(&self, local: chrono::NaiveDateTime, zone: &str) -> Micros;
    /// The calendar day of an instant (microseconds since 2000); `None` beyond the calendar.
    fn day(&self, at: i64, zone: &str) -> Option<NaiveDate>;
    /// `at + interval` (microseconds since 2000).
    fn add(&self, at: i64, interval: &Interval, zone: &str) -> i64;
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

    fn day_start(&self, day: NaiveDate) -> i64 {
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

    /// The first and the last instant of a window, both included, none of it behind `as_of`.
    pub(crate) fn window(&self, window: Option<&Window>) -> (i64, i64) {
        let (first, last) = match window {
            None => (i64::MIN, i64::MAX),
            Some(Window::InTheLast(interval)) => (self.ago(interval).saturating_add(1), i64::MAX),
            Some(Window::MoreThanAgo(interval)) => (i64::MIN, self.ago(interval)),
            Some(Window::BetweenAgo(longer, shorter)) => (self.ago(longer).saturating_add(1), self.ago(shorter)),
            Some(Window::Since(date)) => (self.instant(date.reading), i64::MAX),
            Some(Window::Before(date)) => (i64::MIN, self.instant(date.reading).saturating_sub(1)),
            Some(Window::Between(first, last)) => {
                let end = match last.reading {
                    Reading::Day(day) => day.succ_opt().map_or(i64::MAX, |next| self.day_start(next).saturating_sub(1)),
                    reading => self.instant(reading),
                };
                (self.instant(first.reading), end)
            }
            Some(Window::This(unit)) => self.unit_start(*unit, false).map_or(NEVER, |start| (start, i64::MAX)),
            Some(Window::Previous(unit)) => self
                .unit_start(*unit, true)
                .zip(self.unit_start(*unit, false))
                .map_or(NEVER, |(start, next)| (start, next.saturating_sub(1))),
        };
        (first, last.min(self.as_of))
    }

    /// The first instant of the calendar unit that holds `as_of`, or of the one before; `None` beyond the calendar.
    fn unit_start(&self, unit: CalendarUnit, previous: bool) -> Option<i64> {
        let start = self.day(self.as_of).and_then(|today| {
            let month = |month: u32| NaiveDate::from_ymd_opt(today.year(), month, 1);
            let back =
                |day: NaiveDate, months| if previous { day.checked_sub_months(Months::new(months)) } else { Some(day) };
            let back_days =
                |day: NaiveDate, days| if previous { day.checked_sub_days(Days::new(days)) } else { Some(day) };
            match unit {
                CalendarUnit::Day => back_days(today, 1),
                CalendarUnit::Week => {
                    let monday = u64::from(today.weekday().num_days_from_monday());
                    back_days(today.checked_sub_days(Days::new(monday))?, 7)
                }
                CalendarUnit::Month => back(month(today.month())?, 1),
                CalendarUnit::Quarter => back(month(today.month0() / 3 * 3 + 1)?, 3),
                CalendarUnit::Year => back(month(1)?, 12),
            }
        });
        start.map(|day| self.day_start(day))
    }
}
