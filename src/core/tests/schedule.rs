//! Schedules over years and zones: each next run is after the last, on the time of day that was asked for, and no day is
//! forgotten or comes twice.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::str::FromStr as _;

use chrono::{DateTime, Datelike as _, Days, LocalResult, NaiveDateTime, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use cohort_core::schedule::{SHORTEST, Schedule};
use proptest::prelude::*;

fn micros(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
}

fn text(micros: i64) -> String {
    DateTime::from_timestamp_micros(micros).unwrap().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn schedule(frequency: &str, at: Option<&str>, zone: &str) -> Schedule {
    Schedule::parse(frequency, at, zone, micros("2026-01-01T00:00:00Z"), SHORTEST).unwrap()
}

/// The first few runs after an instant.
fn runs(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let mut at = micros(after);
    (0..count)
        .map(|_| {
            at = schedule.next(at).unwrap();
            text(at)
        })
        .collect()
}

#[test]
fn a_time_in_the_gap_runs_once_right_after_it() {
    let daily = schedule("daily", Some("02:30"), "Europe/Berlin");
    assert_eq!(
        runs(&daily, "2026-03-27T12:00:00Z", 4),
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
    );
}

#[test]
fn a_time_that_comes_twice_runs_at_the_first() {
    let daily = schedule("daily", Some("02:30"), "Europe/Berlin");
    assert_eq!(
        runs(&daily, "2026-10-24T12:00:00Z", 3),
        ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-27T01:30:00Z"]
    );
}

#[test]
fn hours_go_on_through_the_change() {
    let hourly = schedule("hourly", Some(":15"), "Europe/Berlin");
    assert_eq!(
        runs(&hourly, "2026-10-24T23:00:00Z", 4),
        ["2026-10-24T23:15:00Z", "2026-10-25T00:15:00Z", "2026-10-25T01:15:00Z", "2026-10-25T02:15:00Z"]
    );
}

#[test]
fn months_without_the_day_have_their_last_one() {
    let monthly = schedule("monthly", Some("31 06:00"), "UTC");
    assert_eq!(
        runs(&monthly, "2028-01-15T00:00:00Z", 4),
        ["2028-01-31T06:00:00Z", "2028-02-29T06:00:00Z", "2028-03-31T06:00:00Z", "2028-04-30T06:00:00Z"]
    );
    let monthly = schedule("monthly", Some("30 06:00"), "UTC");
    assert_eq!(runs(&monthly, "2026-01-31T00:00:00Z", 2), ["2026-02-28T06:00:00Z", "2026-03-30T06:00:00Z"]);
    assert_eq!(runs(&schedule("monthly", None, "UTC"), "2026-01-31T00:00:00Z", 1), ["2026-02-01T00:00:00Z"]);
}

#[test]
fn the_29th_of_february_comes_every_four_years() {
    let leap = schedule("0 0 29 2 *", None, "UTC");
    assert_eq!(runs(&leap, "2026-01-01T00:00:00Z", 2), ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
}

#[test]
fn weeks_and_intervals() {
    assert_eq!(
        runs(&schedule("weekly", Some("Sun 23:00"), "UTC"), "2026-11-23T00:00:00Z", 1),
        ["2026-11-29T23:00:00Z"]
    );
    assert_eq!(
        runs(&schedule("every 6 hours", None, "UTC"), "2026-11-23T05:00:00Z", 3),
        ["2026-11-23T06:00:00Z", "2026-11-23T12:00:00Z", "2026-11-23T18:00:00Z"]
    );
    assert_eq!(runs(&schedule("every minute", None, "UTC"), "2026-11-23T05:00:00Z", 1), ["2026-11-23T05:01:00Z"]);
    assert_eq!(
        runs(&schedule("every 2 days", Some("09:00"), "Europe/Berlin"), "2026-03-27T12:00:00Z", 3),
        ["2026-03-28T08:00:00Z", "2026-03-30T07:00:00Z", "2026-04-01T07:00:00Z"]
    );
}

#[test]
fn what_is_refused_says_what_to_write() {
    for (frequency, at, zone, part) in [
        ("0 0 30 2 *", None, "UTC", "never fires"),
        ("every 59 seconds", None, "UTC", "shorter than 1 minute"),
        ("every 2 months", None, "UTC", "no months"),
        ("every 400 days", None, "UTC", "longer than"),
        ("every now and then", None, "UTC", "not an interval"),
        ("dayly", None, "UTC", "not a frequency"),
        ("* * * *", None, "UTC", "not a frequency"),
        ("61 * * * *", None, "UTC", "not a cron expression"),
        ("* * * * * *", None, "UTC", "not a frequency"),
        ("* * * * *", Some("02:00"), "UTC", "includes its time"),
        ("daily", Some("25:00"), "UTC", "not a time of day"),
        ("daily", Some("Monday 02:00"), "UTC", "has no day"),
        ("weekly", Some("Someday 02:00"), "UTC", "not a day of the week"),
        ("monthly", Some("32 02:00"), "UTC", "not a day of a month"),
        ("hourly", Some("02:30"), "UTC", "not a minute"),
        ("daily", None, "Europe/Berln", "unknown time zone"),
    ] {
        let error = Schedule::parse(frequency, at, zone, 0, SHORTEST).unwrap_err();
        assert!(error.problem.contains(part), "{frequency}: {error}");
        assert!(!error.hint.is_empty());
    }
}

/// What a daily run should be, worked out from the calendar alone.
fn expected(zone: Tz, day: NaiveDateTime) -> DateTime<Utc> {
    let mut local = day;
    loop {
        match zone.from_local_datetime(&local) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => return instant.with_timezone(&Utc),
            LocalResult::None => local += chrono::TimeDelta::minutes(1),
        }
    }
}

const ZONES: [&str; 12] = [
    "UTC",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Asia/Tehran",
    "America/Sao_Paulo",
    "Africa/Casablanca",
    "America/Havana",
    "Europe/Dublin",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn a_daily_run_comes_once_a_day(zone in 0..ZONES.len(), hour in 0_u32..24, minute in 0_u32..60, start in 0_i64..20 * 365) {
        let zone = Tz::from_str(ZONES[zone]).unwrap();
        let at = format!("{hour:02}:{minute:02}");
        let after = DateTime::from_timestamp(1_262_304_000 + start * 86_400 + 43_217, 0).unwrap();
        let daily = Schedule::parse("daily", Some(&at), zone.name(), 0, SHORTEST).unwrap();
        let first = after.with_timezone(&zone).date_naive();
        let mut wanted: Vec<i64> = (0..40)
            .map(|day| first.checked_add_days(Days::new(day)).unwrap().and_hms_opt(hour, minute, 0).unwrap())
            .map(|local| expected(zone, local).timestamp_micros())
            .filter(|instant| *instant > after.timestamp_micros())
            .collect();
        wanted.dedup();
        let mut last = after.timestamp_micros();
        for wanted in wanted.into_iter().take(30) {
            let next = daily.next(last).unwrap();
            prop_assert_eq!(text(next), text(wanted));
            last = next;
        }
    }

    #[test]
    fn nothing_is_due_twice_or_in_the_past(which in 0..8_usize, zone in 0..ZONES.len(), start in 0_i64..40 * 365 * 86_400) {
        let frequency = ["hourly", "daily", "weekly", "monthly", "every 7 minutes", "every 3 days", "*/20 1-3 * * *", "5 4 * * 1"][which];
        let schedule = Schedule::parse(frequency, None, ZONES[zone], 1_767_225_600_000_000, SHORTEST).unwrap();
        let mut last = (946_684_800 + start) * 1_000_000;
        for _ in 0..20 {
            let next = schedule.next(last).unwrap();
            prop_assert!(next > last, "{} {}", text(last), text(next));
            prop_assert!(next - last <= 32 * 86_400_000_000_i64 || last < 1_767_225_600_000_000, "{} {}", text(last), text(next));
            // Asked again a moment before it is due, it says the same: a restart forgets nothing.
            prop_assert_eq!(schedule.next(next - 1), Some(next));
            last = next;
        }
    }

    #[test]
    fn weekly_is_that_weekday_there(zone in 0..ZONES.len(), start in 0_i64..10 * 365) {
        let zone = Tz::from_str(ZONES[zone]).unwrap();
        let weekly = Schedule::parse("weekly", Some("Wed 12:30"), zone.name(), 0, SHORTEST).unwrap();
        let next = weekly.next((1_577_836_800 + start * 86_400) * 1_000_000).unwrap();
        let local = DateTime::from_timestamp_micros(next).unwrap().with_timezone(&zone);
        prop_assert_eq!((local.weekday(), local.hour(), local.minute()), (chrono::Weekday::Wed, 12, 30));
    }
}
