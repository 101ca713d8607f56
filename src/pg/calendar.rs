//! The core's calendar functions, implemented with PostgreSQL's rules.

use chrono::{NaiveDate, NaiveDateTime};
use cohort_core::eval::Calendar;
use cohort_core::time::{Interval, Micros};
use pgrx::prelude::TimestampWithTimeZone;

use super::errors::or_raise;
use super::here::{self, only_here};
use super::time::{self, Direction};

/// The calendar of this server.
pub(crate) struct ServerCalendar;

/// A timestamp as PostgreSQL counts, the two infinities included.
fn timestamp(at: i64) -> TimestampWithTimeZone {
    match at {
        i64::MAX => TimestampWithTimeZone::positive_infinity(),
        i64::MIN => TimestampWithTimeZone::negative_infinity(),
        at => TimestampWithTimeZone::try_from(at).unwrap_or_else(|_| TimestampWithTimeZone::positive_infinity()),
    }
}

fn shift(at: i64, interval: &Interval, direction: Direction, zone: &str) -> i64 {
    if at == i64::MAX || at == i64::MIN {
        return at;
    }
    only_here();
    let step = or_raise(
        pgrx::datum::Interval::new(interval.months, interval.days, interval.micros)
            .map_err(|error| super::errors::invalid(format!("invalid interval: {error}"))),
    );
    or_raise(time::shift(timestamp(at), step, direction, zone)).into_inner()
}

impl Calendar for ServerCalendar {
    fn check(&self) {
        here::check();
    }

    fn day_start(&self, day: NaiveDate, zone: &str) -> Micros {
        only_here();
        or_raise(time::day_start(day, zone))
    }

    fn instant(&self, local: NaiveDateTime, zone: &str) -> Micros {
        only_here();
        or_raise(time::instant(local, zone))
    }

    fn day(&self, at: i64, zone: &str) -> Option<NaiveDate> {
        if at == i64::MAX || at == i64::MIN {
            return None;
        }
        only_here();
        or_raise(time::local_day(time::from_postgres(at), zone))
    }

    fn add(&self, at: i64, interval: &Interval, zone: &str) -> i64 {
        shift(at, interval, Direction::Forward, zone)
    }

    fn stretch(&self, at: i64, zone: &str) -> (i64, i64) {
        only_here();
        or_raise(time::stretch(at, zone))
    }

    fn subtract(&self, at: i64, interval: &Interval, zone: &str) -> i64 {
        shift(at, interval, Direction::Back, zone)
    }
}
