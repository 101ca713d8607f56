//! A calendar of one zone, for segments in memory.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use cohort_core::eval::Calendar;
use cohort_core::time::{Interval, Micros, Zones};

/// From 1970 to 2000, in microseconds.
const EPOCH: i64 = 946_684_800_000_000;

/// UTC alone: what a zone makes of times is tested elsewhere.
pub struct Utc;

impl Zones for Utc {
    fn contains(&self, name: &str) -> bool {
        name == "UTC"
    }

    fn nearest(&self, _: &str) -> Option<String> {
        Some("UTC".to_owned())
    }

    fn day_start(&self, date: NaiveDate, _: &str) -> Micros {
        Micros(date.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
    }

    fn instant(&self, local: NaiveDateTime, _: &str) -> Micros {
        Micros(local.and_utc().timestamp_micros())
    }
}

impl Calendar for Utc {
    fn day_start(&self, day: NaiveDate, zone: &str) -> Micros {
        Zones::day_start(self, day, zone)
    }

    fn instant(&self, local: NaiveDateTime, zone: &str) -> Micros {
        Zones::instant(self, local, zone)
    }

    fn day(&self, at: i64, _: &str) -> Option<NaiveDate> {
        Some(DateTime::from_timestamp_micros(at.checked_add(EPOCH)?)?.date_naive())
    }

    fn add(&self, at: i64, interval: &Interval, _: &str) -> i64 {
        at.saturating_add(i64::try_from(interval.nominal()).unwrap_or(i64::MAX))
    }

    fn stretch(&self, _: i64, _: &str) -> (i64, i64) {
        (0, i64::MAX)
    }

    fn subtract(&self, at: i64, interval: &Interval, _: &str) -> i64 {
        at.saturating_sub(i64::try_from(interval.nominal()).unwrap_or(i64::MAX))
    }
}
