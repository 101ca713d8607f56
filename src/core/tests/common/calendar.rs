//! Calendars of the zones of the IANA database: wall clocks and arithmetic as PostgreSQL's `timestamptz ± interval`.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveDateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use cohort_core::eval::Calendar;
use cohort_core::time::{Interval, Micros, Zones};

use super::IanaZones;

/// From 1970-01-01 to 2000-01-01 in microseconds: segments and plans count from 2000.
pub const EPOCH: i64 = 946_684_800_000_000;

/// What a clock in a zone shows at an instant (microseconds since 1970).
pub fn wall(at: i64, zone: &str) -> NaiveDateTime {
    let zone: Tz = zone.parse().expect("a known zone");
    DateTime::from_timestamp_micros(at).expect("within the calendar").with_timezone(&zone).naive_local()
}

/// The calendar day of an instant (microseconds since 1970).
pub fn day(at: i64, zone: &str) -> NaiveDate {
    wall(at, zone).date()
}

/// The first instant of a day (microseconds since 1970).
pub fn day_start(day: NaiveDate, zone: &str) -> i64 {
    Zones::day_start(&IanaZones, day, zone).0
}

/// The instant of a local time (microseconds since 1970).
pub fn instant(local: NaiveDateTime, zone: &str) -> i64 {
    Zones::instant(&IanaZones, local, zone).0
}

/// An instant (microseconds since 1970) plus or minus an interval: months, then days, then the rest.
pub fn shift(at: i64, interval: &Interval, forward: bool, zone: &str) -> i64 {
    let mut at = at;
    if interval.months > 0 {
        let (local, months) = (wall(at, zone), Months::new(interval.months.unsigned_abs()));
        at = instant(if forward { local + months } else { local - months }, zone);
    }
    if interval.days > 0 {
        let (local, days) = (wall(at, zone), Days::new(u64::from(interval.days.unsigned_abs())));
        at = instant(if forward { local + days } else { local - days }, zone);
    }
    if forward { at + interval.micros } else { at - interval.micros }
}

impl Calendar for IanaZones {
    fn day_start(&self, day: NaiveDate, zone: &str) -> Micros {
        Zones::day_start(self, day, zone)
    }

    fn instant(&self, local: NaiveDateTime, zone: &str) -> Micros {
        Zones::instant(self, local, zone)
    }

    fn day(&self, at: i64, zone: &str) -> Option<NaiveDate> {
        Some(day(at.checked_add(EPOCH)?, zone)).filter(|day| day.year().abs() < 200_000)
    }

    fn add(&self, at: i64, interval: &Interval, zone: &str) -> i64 {
        shift(at + EPOCH, interval, true, zone) - EPOCH
    }

    fn stretch(&self, at: i64, zone: &str) -> (i64, i64) {
        // Clocks change at quarters of an hour.
        const QUARTER: i64 = 900_000_000;
        let zone: Tz = zone.parse().expect("a known zone");
        let utc = DateTime::from_timestamp_micros(at + EPOCH).expect("within the calendar").naive_utc();
        let offset = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000;
        (offset, at.div_euclid(QUARTER) * QUARTER + QUARTER)
    }

    fn subtract(&self, at: i64, interval: &Interval, zone: &str) -> i64 {
        shift(at + EPOCH, interval, false, zone) - EPOCH
    }
}
