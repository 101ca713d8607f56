//! Time with PostgreSQL's rules: calls of its time zone library and its timestamp arithmetic.

use std::borrow::Cow;
use std::ffi::CString;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};
use cohort_core::time::{DAY, Micros, Reading, SECOND, read};
use pgrx::prelude::TimestampWithTimeZone;
use pgrx::{IntoDatum, direct_function_call_as_datum, pg_sys};

use super::errors::{Fallible, SqlState, failure, invalid};

/// Seconds from 1970-01-01 to 2000-01-01, where PostgreSQL's timestamps begin.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// The day number (from 2000-01-01) of a date.
pub(crate) fn postgres_day(date: NaiveDate) -> i32 {
    const DAYS_TO_POSTGRES_EPOCH: i32 = 730_120; // 2000-01-01 in days from 0001-01-01, counted from 1
    date.num_days_from_ce() - DAYS_TO_POSTGRES_EPOCH
}

/// PostgreSQL's microseconds of an instant.
pub(crate) fn to_postgres(at: Micros) -> i64 {
    at.0 - POSTGRES_EPOCH * SECOND
}

/// The instant of PostgreSQL's microseconds.
pub(crate) fn from_postgres(at: i64) -> Micros {
    Micros(at.saturating_add(POSTGRES_EPOCH * SECOND))
}

/// The instant of an ISO 8601 date (midnight UTC) or time with offset in a batch of events; `None` when it is neither.
/// More lenient than rules: a blank may stand for the `T`, and the seconds may be left out.
pub(crate) fn signal_instant(written: &str) -> Option<Micros> {
    if !written.is_ascii() {
        return None;
    }
    let bytes = written.as_bytes();
    let mut text = Cow::Borrowed(written);
    if bytes.get(10) == Some(&b' ') {
        text.to_mut().replace_range(10..11, "T");
    }
    if bytes.get(16).is_some_and(|byte| *byte != b':') {
        text.to_mut().insert_str(16, ":00");
    }
    let at = match read(&text)? {
        Reading::Day(date) => Micros(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros()),
        Reading::Local(_) => return None,
        Reading::Instant(at) => at,
    };
    TimestampWithTimeZone::try_from(to_postgres(at)).is_ok().then_some(at)
}

/// The instant at which a rule is evaluated: the given one, or the transaction's `now()`.
pub(crate) fn as_of(asked: Option<TimestampWithTimeZone>) -> Fallible<Micros> {
    let at = match asked {
        Some(at) => at.into_inner(),
        // SAFETY: inside a transaction, as every function call is.
        None => unsafe { pg_sys::GetCurrentTransactionStartTimestamp() },
    };
    if at == i64::MIN || at == i64::MAX {
        return Err(invalid("as_of must be a finite timestamp")
            .set_hint("Omit as_of to evaluate now, or pass an instant such as '2026-11-01 00:00+00'."));
    }
    Ok(from_postgres(at))
}

/// The same as a value of the server's.
pub(crate) fn server(at: Micros) -> Fallible<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(to_postgres(at))
        .map_err(|_| failure(SqlState::ERRCODE_DATETIME_FIELD_OVERFLOW, "as_of is out of range"))
}

/// An SQL literal of an instant that means the same under every setting of `DateStyle` and `TimeZone`.
pub(crate) fn literal(at: Micros) -> Fallible<String> {
    let out_of_range = || failure(SqlState::ERRCODE_DATETIME_FIELD_OVERFLOW, "as_of is out of range");
    let time = DateTime::from_timestamp_micros(at.0).ok_or_else(out_of_range)?.naive_utc();
    let (year, era) = match time.year() {
        year @ 1.. => (year, ""),
        year => (1 - year, " BC"),
    };
    let fraction = match at.0.rem_euclid(SECOND) {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    Ok(format!("timestamptz '{year:04}-{}{fraction}+00{era}'", time.format("%m-%d %H:%M:%S")))
}

/// PostgreSQL's rules of a zone.
#[derive(Clone, Copy)]
struct Rules(*mut pg_sys::pg_tz);

impl Rules {
    fn of(zone: &str) -> Fallible<Self> {
        let unknown = || invalid(format!("time zone \"{zone}\" is not known"));
        let name = CString::new(zone).map_err(|_| unknown())?;
        // SAFETY: pg_tzset reads the name and gives a pointer into its cache, or null.
        let rules = unsafe { pg_sys::pg_tzset(name.as_ptr()) };
        if rules.is_null() {
            return Err(unknown());
        }
        Ok(Self(rules))
    }

    /// The first change of offset after an instant (in seconds): its instant, and the offset before it.
    fn next_change(self, after: i64) -> (Option<i64>, i64) {
        let (mut offset, mut is_dst, mut boundary, mut next_offset, mut next_is_dst) = (0_i64, 0, 0_i64, 0_i64, 0);
        // SAFETY: every pointer is to a live local; the zone lives as long as the backend.
        let found = unsafe {
            pg_sys::pg_next_dst_boundary(
                &raw const after,
                &raw mut offset,
                &raw mut is_dst,
                &raw mut boundary,
                &raw mut next_offset,
                &raw mut next_is_dst,
                self.0,
            )
        };
        ((found > 0).then_some(boundary), offset)
    }
}

/// The first instant of a day: the earlier midnight where it comes twice, the end of the gap where it is skipped.
pub(crate) fn day_start(date: NaiveDate, zone: &str) -> Fallible<Micros> {
    let rules = Rules::of(zone)?;
    let midnight = (i64::from(postgres_day(date)) * DAY) / SECOND + POSTGRES_EPOCH;
    // No zone is two days from UTC, so the search may begin there and go from one stretch of equal offset to the
    // next; the first instant whose local time is not before midnight is the answer.
    let mut from = midnight - 2 * DAY / SECOND;
    loop {
        let (until, offset) = rules.next_change(from);
        let candidate = from.max(midnight - offset);
        match until {
            Some(end) if candidate >= end => from = end,
            _ => return Ok(Micros(candidate * SECOND)),
        }
    }
}

/// The instant of a local time: one that is skipped is read with the offset before the change, one that comes twice
/// with the offset after it. (`timestamp AT TIME ZONE` would read names such as `CET` as abbreviations.)
pub(crate) fn instant(local: NaiveDateTime, zone: &str) -> Fallible<Micros> {
    let rules = Rules::of(zone)?;
    let part = |value: u32| i32::try_from(value).unwrap_or(0);
    let mut parts = pg_sys::pg_tm {
        tm_year: local.year(), // DetermineTimeZoneOffset counts years from 0 and months from 1
        tm_mon: part(local.month()),
        tm_mday: part(local.day()),
        tm_hour: part(local.hour()),
        tm_min: part(local.minute()),
        tm_sec: part(local.second()),
        ..pg_sys::pg_tm::default()
    };
    // SAFETY: reads the parts, sets tm_isdst, and reads the zone.
    let west = unsafe { pg_sys::DetermineTimeZoneOffset(&raw mut parts, rules.0) };
    Ok(Micros(local.and_utc().timestamp_micros() + i64::from(west) * SECOND))
}

/// The calendar day of an instant in a zone.
pub(crate) fn local_day(at: Micros, zone: &str) -> Fallible<Option<NaiveDate>> {
    let seconds = at.0.div_euclid(SECOND);
    let (_, offset) = Rules::of(zone)?.next_change(seconds);
    Ok(DateTime::from_timestamp(seconds + offset, 0).map(|time| time.date_naive()))
}

/// The offset of a zone's clock at an instant and the first instant at which it may be another, in microseconds as
/// PostgreSQL counts.
pub(crate) fn stretch(at: i64, zone: &str) -> Fallible<(i64, i64)> {
    let (until, offset) = Rules::of(zone)?.next_change(from_postgres(at).0.div_euclid(SECOND));
    let end = until.map_or(i64::MAX, |until| (until - POSTGRES_EPOCH).saturating_mul(SECOND));
    Ok((offset * SECOND, end))
}

/// Which way an interval is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `timestamptz + interval`.
    Forward,
    /// `timestamptz - interval`.
    Back,
}

/// PostgreSQL's `timestamptz ± interval` under a zone other than the session's.
pub(crate) fn shift(
    at: TimestampWithTimeZone,
    step: pgrx::datum::Interval,
    direction: Direction,
    zone: &str,
) -> Fallible<TimestampWithTimeZone> {
    /// Puts the session's zone back on every way out, an error's included.
    struct Restore(*mut pg_sys::pg_tz);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the pointer was read from the same variable; backends have one thread.
            unsafe { pg_sys::session_timezone = self.0 }
        }
    }
    // The last day that a timestamptz holds, and the first, from 2000-01-01.
    const LAST_DAY: i64 = 106_751_990;
    const FIRST_DAY: i64 = -2_451_540;

    let rules = Rules::of(zone)?;
    // An event or property near the end of time must not turn a rule into an error: what lies beyond is infinite.
    let days = i64::from(step.months()) * 31 + i64::from(step.days()) + step.micros() / DAY;
    let today = at.into_inner() / DAY;
    if direction == Direction::Forward && today + days > LAST_DAY - 3 {
        return Ok(TimestampWithTimeZone::positive_infinity());
    }
    if direction == Direction::Back && today - days < FIRST_DAY + 3 {
        return Ok(TimestampWithTimeZone::negative_infinity());
    }
    let function = match direction {
        Direction::Forward => pg_sys::timestamptz_pl_interval,
        Direction::Back => pg_sys::timestamptz_mi_interval,
    };
    // SAFETY: the arithmetic reads `session_timezone` only; Restore puts it back also when the call raises an error,
    // which pgrx carries through Rust as a panic.
    let shifted = unsafe {
        let _restore = Restore(pg_sys::session_timezone);
        pg_sys::session_timezone = rules.0;
        direct_function_call_as_datum(function, &[at.into_datum(), step.into_datum()])
    };
    let micros = shifted.map_or(0, |datum| datum.value().cast_signed() as i64);
    TimestampWithTimeZone::try_from(micros)
        .map_err(|_| failure(SqlState::ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range"))
}
