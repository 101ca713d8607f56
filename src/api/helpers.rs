//! The helper functions of the plain SQL, in the schema `kursaha_cohort`. They implement operations whose result with
//! `~`, `lower()`, casts to `numeric` and `timestamptz`, or the session's time zone would differ from the rule
//! language. `sql/helpers.sql` declares them.

use chrono::{Datelike, NaiveDate};
use cohort_core::time::{Micros, Reading, read};
use cohort_core::{text, value};
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::jsonb::{JsonScalar, Scalar};
use crate::pg::time::{self, Direction};
use crate::pg::{here, patterns};

/// The value of a JSON number, or of a string that is wholly a JSON number; NULL for anything else and beyond an
/// exponent of ±5,000.
#[pg_extern(sql = false)]
fn json_number(value: JsonScalar) -> Option<AnyNumeric> {
    match value.0? {
        Scalar::Number(number) => number.within_exponent(),
        Scalar::String(string) => AnyNumeric::try_from(value::plain(&value::decimal(string)?).as_str()).ok(),
        Scalar::Bool => None,
    }
}

/// The characters of a JSON string; NULL for anything else.
#[pg_extern(sql = false)]
fn json_text(value: JsonScalar) -> Option<String> {
    match value.0? {
        Scalar::String(string) => Some(string.to_owned()),
        Scalar::Number(_) | Scalar::Bool => None,
    }
}

/// The instant that a JSON string in ISO 8601 names; without an offset the zone applies, a date is the first instant
/// of its day; NULL for anything else.
#[pg_extern(sql = false)]
fn json_instant(value: JsonScalar, zone: &str) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    let Some(reading) = value.into_string().and_then(read) else { return Ok(None) };
    Ok(TimestampWithTimeZone::try_from(time::to_postgres(instant_of(reading, zone)?)).ok())
}

fn instant_of(reading: Reading, zone: &str) -> Fallible<Micros> {
    match reading {
        Reading::Day(date) => time::day_start(date, zone),
        Reading::Local(local) => time::instant(local, zone),
        Reading::Instant(at) => Ok(at),
    }
}

/// The same, but of a date the last instant of its day.
#[pg_extern(sql = false)]
fn json_last_instant(value: JsonScalar, zone: &str) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    let Some(reading) = value.into_string().and_then(read) else { return Ok(None) };
    let at = match reading {
        Reading::Day(date) => match date.succ_opt() {
            Some(next) => Micros(time::day_start(next, zone)?.0 - 1),
            None => return Ok(None), // no year of four digits gets here
        },
        reading => instant_of(reading, zone)?,
    };
    Ok(TimestampWithTimeZone::try_from(time::to_postgres(at)).ok())
}

/// The local time of an instant in a zone.
#[pg_extern(sql = false)]
fn local_time(at: TimestampWithTimeZone, zone: &str) -> Result<Option<Timestamp>, ErrorReport> {
    let at = at.into_inner();
    if at == i64::MIN || at == i64::MAX {
        return Ok(None);
    }
    Ok(at.checked_add(time::stretch(at, zone)?.0).and_then(|local| Timestamp::try_from(local).ok()))
}

/// The calendar day in a zone of the instant that [`json_instant`] gives. (Of a date that is the date itself, but where
/// the zone skipped that whole day.)
#[pg_extern(sql = false)]
fn json_day(value: JsonScalar, zone: &str) -> Result<Option<Date>, ErrorReport> {
    match value.into_string().and_then(read) {
        Some(reading) => Ok(time::local_day(instant_of(reading, zone)?, zone)?.and_then(to_date)),
        None => Ok(None),
    }
}

/// The calendar day of an instant in a zone.
#[pg_extern(sql = false)]
fn local_day(at: TimestampWithTimeZone, zone: &str) -> Result<Option<Date>, ErrorReport> {
    Ok(time::local_day(time::from_postgres(at.into_inner()), zone)?.and_then(to_date))
}

/// Each code point by Unicode's simple lower-case mapping, without context or locale.
#[pg_extern(sql = false)]
fn simple_lower(value: &str) -> String {
    text::simple_lower(value)
}

/// Whether a pattern of the Rust crate `regex` matches anywhere in the text.
#[pg_extern(sql = false)]
fn regex_match(value: &str, pattern: &str, ignore_case: bool) -> Result<bool, ErrorReport> {
    Ok(patterns::compiled(pattern, ignore_case)?.matches(value, &here::check))
}

/// The first instant of a day in a zone: the earlier midnight where it comes twice, the end of the gap where it is
/// skipped.
#[pg_extern(sql = false)]
fn day_start(day: Date, zone: &str) -> Result<Option<TimestampWithTimeZone>, ErrorReport> {
    let day = from_date(day)?;
    Ok(TimestampWithTimeZone::try_from(time::to_postgres(time::day_start(day, zone)?)).ok())
}

/// `at + step` as PostgreSQL computes it when the session's time zone is `zone`.
#[pg_extern(sql = false)]
fn time_add(at: TimestampWithTimeZone, step: Interval, zone: &str) -> Result<TimestampWithTimeZone, ErrorReport> {
    time::shift(at, step, Direction::Forward, zone)
}

/// `at - step` as PostgreSQL computes it when the session's time zone is `zone`.
#[pg_extern(sql = false)]
fn time_subtract(at: TimestampWithTimeZone, step: Interval, zone: &str) -> Result<TimestampWithTimeZone, ErrorReport> {
    time::shift(at, step, Direction::Back, zone)
}

/// Whether the month and day of `day` come round in some year between two days, both included; 29 February is the
/// 28th in common years.
#[pg_extern(sql = false)]
fn anniversary_between(day: Date, first: Date, last: Date) -> Result<bool, ErrorReport> {
    let (day, first, last) = (from_date(day)?, from_date(first)?, from_date(last)?);
    let in_year = |year: i32| {
        NaiveDate::from_ymd_opt(year, day.month(), day.day())
            .or_else(|| NaiveDate::from_ymd_opt(year, day.month(), day.day() - 1))
            .is_some_and(|anniversary| first <= anniversary && anniversary <= last)
    };
    // From one year to the next every day of the calendar comes round, so the first two years decide.
    Ok(in_year(first.year()) || in_year(first.year() + 1))
}

fn from_date(date: Date) -> Fallible<NaiveDate> {
    let out_of_range = || failure(SqlState::ERRCODE_DATETIME_FIELD_OVERFLOW, "date out of range");
    if !date.is_finite() {
        return Err(invalid("the day must be finite"));
    }
    NaiveDate::from_num_days_from_ce_opt(date.to_unix_epoch_days().checked_add(719_163).ok_or_else(out_of_range)?)
        .ok_or_else(out_of_range)
}

/// By the number of the day: PostgreSQL's calendar has no year 0, which is the year before 1.
fn to_date(date: NaiveDate) -> Option<Date> {
    Date::try_from(time::postgres_day(date)).ok()
}
