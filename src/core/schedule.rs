//! When a sync is due: phrases (`daily`), intervals (`every 6 hours`) and cron expressions, in a time zone. Pure: the
//! clock is an argument.
//!
//! A time of day that a change of the clocks skips is due once, at the first instant after the gap; one that comes twice
//! is due at the first. `hourly`, intervals below a day and cron expressions whose hour is `*` go by elapsed time.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Days, LocalResult, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use crate::text;
use crate::time::{Interval, SECOND};

/// The shortest interval, in seconds, unless a setting allows a shorter one.
pub const SHORTEST: i64 = 60;

/// The longest interval, in days: beyond it a sync would hardly ever run.
const LONGEST_DAYS: i64 = 366;

/// How far ahead a first run is looked for: a leap year's day comes within eight years.
const HORIZON_DAYS: i64 = 366 * 9;

/// Why a schedule was refused, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSchedule {
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub hint: String,
}

impl BadSchedule {
    fn new(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { problem: problem.into(), hint: hint.into() }
    }
}

impl fmt::Display for BadSchedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.problem)
    }
}

/// When a sync is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    zone: Tz,
    beat: Beat,
}

#[derive(Debug, Clone)]
enum Beat {
    /// Any of some cron expressions.
    Cron(Vec<Cron>),
    /// Seconds of elapsed time, counted from an instant.
    Every { seconds: i64, from: DateTime<Utc> },
    /// Days of the calendar, counted from a local time.
    Days { days: u64, from: NaiveDateTime },
}

impl Schedule {
    /// Reads a schedule.
    ///
    /// * `frequency`: `hourly`, `daily`, `weekly`, `monthly`, `every <interval>` or five fields of cron;
    /// * `at`: `HH:MM`; before it a weekday for `weekly` (`Monday 02:30`), a day of the month for `monthly` (`31 02:30`: the
    ///   last day of shorter months); for `hourly` minutes (`:15`);
    /// * `timezone`: an IANA name;
    /// * `anchor`: where intervals are counted from, microseconds since 1970;
    /// * `shortest`: the shortest interval in seconds.
    pub fn parse(
        frequency: &str,
        at: Option<&str>,
        timezone: &str,
        anchor: i64,
        shortest: i64,
    ) -> Result<Self, BadSchedule> {
        let zone = zone(timezone)?;
        let from = DateTime::from_timestamp_micros(anchor)
            .ok_or_else(|| BadSchedule::new("the schedule's start is out of range", "Use a date of this century."))?;
        let words = frequency.trim().to_ascii_lowercase();
        let beat = if let Some(interval) = words.strip_prefix("every ") {
            every(interval, at, zone, from, shortest)?
        } else if let Some(phrase) = Phrase::read(&words) {
            phrase.beat(at)?
        } else if words.split_whitespace().count() == 5 {
            if at.is_some() {
                return Err(BadSchedule::new(
                    "a cron expression includes its time",
                    "Omit at, or use daily, weekly or monthly.",
                ));
            }
            Beat::Cron(vec![cron(&words)?])
        } else {
            return Err(unknown(frequency));
        };
        let schedule = Self { zone, beat };
        match schedule.next(anchor) {
            Some(_) => Ok(schedule),
            None => Err(BadSchedule::new(
                format!("the schedule \"{frequency}\" never fires"),
                "Choose a day that exists in at least one month.",
            )),
        }
    }

    /// The first due instant after another one, both in microseconds since 1970. `None`: there is none within nine years.
    #[must_use]
    pub fn next(&self, after: i64) -> Option<i64> {
        let after = DateTime::from_timestamp_micros(after)?;
        let found = match &self.beat {
            Beat::Cron(crons) => {
                let local = after.with_timezone(&self.zone);
                let horizon = after + TimeDelta::days(HORIZON_DAYS);
                crons
                    .iter()
                    .filter_map(|cron| next_of(cron, &local))
                    .filter(|next| *next > after && *next < horizon)
                    .min()?
            }
            Beat::Every { seconds, from } => {
                let period = seconds.checked_mul(SECOND)?;
                let passed = after.timestamp_micros().checked_sub(from.timestamp_micros())?;
                // An instant before the start is followed by the start itself.
                let steps = (passed.div_euclid(period) + 1).max(0);
                DateTime::from_timestamp_micros(from.timestamp_micros().checked_add(steps.checked_mul(period)?)?)?
            }
            Beat::Days { days, from } => {
                let local = after.with_timezone(&self.zone).naive_local();
                let passed = u64::try_from((local.date() - from.date()).num_days().max(0)).ok()?;
                let step = passed / days;
                (step.saturating_sub(1)..=step.saturating_add(2)).find_map(|step| {
                    let date = from.date().checked_add_days(Days::new(step.checked_mul(*days)?))?;
                    let next = first_instant(self.zone, date.and_time(from.time()));
                    (next > after).then_some(next)
                })?
            }
        };
        Some(found.timestamp_micros())
    }
}

/// The next match of a cron expression: an absolute instant.
fn next_of(cron: &Cron, local: &DateTime<Tz>) -> Option<DateTime<Utc>> {
    cron.find_next_occurrence(local, false).ok().map(|next| next.with_timezone(&Utc))
}

/// The instant of a local time: the first one where it comes twice, the end of the gap where it is skipped.
fn first_instant(zone: Tz, local: NaiveDateTime) -> DateTime<Utc> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.with_timezone(&Utc),
        LocalResult::None => {
            // Minute by minute to the end of the gap: a day at the most, where a zone changed sides of the date line.
            let mut next = local.with_second(0).unwrap_or(local);
            for _ in 0..=26 * 60 {
                next += TimeDelta::minutes(1);
                if let LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) =
                    zone.from_local_datetime(&next)
                {
                    return instant.with_timezone(&Utc);
                }
            }
            Utc.from_utc_datetime(&local)
        }
    }
}

fn zone(name: &str) -> Result<Tz, BadSchedule> {
    Tz::from_str(name).map_err(|_| {
        let near = text::nearest(name, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()));
        BadSchedule::new(
            format!("unknown time zone \"{name}\""),
            near.map_or_else(
                || "Use an IANA name such as Europe/Berlin or UTC.".to_owned(),
                |near| format!("Did you mean \"{near}\"?"),
            ),
        )
    })
}

fn unknown(frequency: &str) -> BadSchedule {
    BadSchedule::new(
        format!("\"{frequency}\" is not a frequency"),
        "Write hourly, daily, weekly, monthly, every 6 hours, or five fields of cron such as 30 2 * * 1.",
    )
}

fn cron(expression: &str) -> Result<Cron, BadSchedule> {
    CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build().parse(expression).map_err(
        |error| {
            BadSchedule::new(
                format!("\"{expression}\" is not a cron expression: {error}"),
                "Five fields: minute (0-59), hour (0-23), day of month (1-31), month (1-12), day of week (0-7, 0 and 7 are Sunday).",
            )
        },
    )
}

fn every(interval: &str, at: Option<&str>, zone: Tz, from: DateTime<Utc>, shortest: i64) -> Result<Beat, BadSchedule> {
    let hint = "Write for example every 15 minutes, every 6 hours or every 2 days.";
    let counted = if interval.starts_with(|first: char| first.is_ascii_digit()) {
        interval.to_owned()
    } else {
        format!("1 {interval}")
    };
    let parsed = Interval::parse(&counted)
        .map_err(|error| BadSchedule::new(format!("\"every {interval}\" is not an interval: {}", error.0), hint))?;
    if parsed.months != 0 {
        return Err(BadSchedule::new("an interval has no months or years", "Use monthly, or a cron expression."));
    }
    let seconds = i64::from(parsed.days) * 86_400 + parsed.micros / SECOND;
    if parsed.micros % SECOND != 0 || seconds < shortest {
        return Err(BadSchedule::new(
            format!("\"every {interval}\" is shorter than {}", words_of(shortest)),
            format!("Use at least every {}.", words_of(shortest)),
        ));
    }
    if seconds > LONGEST_DAYS * 86_400 {
        return Err(BadSchedule::new(
            format!("\"every {interval}\" is longer than {LONGEST_DAYS} days"),
            "Use monthly, or a cron expression.",
        ));
    }
    let local = from.with_timezone(&zone).naive_local();
    let time = at.map(time_of_day).transpose()?;
    if parsed.micros == 0 {
        let start = local.date().and_time(time.unwrap_or(local.time()));
        return Ok(Beat::Days { days: u64::try_from(parsed.days).unwrap_or(1), from: start });
    }
    let from = time.map_or(from, |time| first_instant(zone, local.date().and_time(time)));
    Ok(Beat::Every { seconds, from })
}

fn words_of(seconds: i64) -> String {
    match seconds {
        60 => "1 minute".to_owned(),
        1 => "1 second".to_owned(),
        seconds if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

fn time_of_day(text: &str) -> Result<NaiveTime, BadSchedule> {
    NaiveTime::parse_from_str(text.trim(), "%H:%M")
        .or_else(|_| NaiveTime::parse_from_str(text.trim(), "%H:%M:00"))
        .map_err(|_| BadSchedule::new(format!("\"{text}\" is not a time of day"), "Write HH:MM, 00:00 to 23:59."))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phrase {
    Hourly,
    Daily,
    Weekly,
    Monthly,
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

impl Phrase {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "hourly" => Self::Hourly,
            "daily" => Self::Daily,
            "weekly" => Self::Weekly,
            "monthly" => Self::Monthly,
            _ => return None,
        })
    }

    fn beat(self, at: Option<&str>) -> Result<Beat, BadSchedule> {
        let at = at.map(str::trim).unwrap_or_default();
        if self == Self::Hourly {
            let minute = if at.is_empty() {
                0
            } else {
                at.rsplit(':')
                    .next()
                    .filter(|_| at.starts_with(':') || at.starts_with("00:"))
                    .and_then(|minute| minute.parse::<u32>().ok())
                    .filter(|minute| *minute < 60)
                    .ok_or_else(|| {
                        BadSchedule::new(
                            format!("\"{at}\" is not a minute of the hour"),
                            "Write for example at => ':15'.",
                        )
                    })?
            };
            return Ok(Beat::Cron(vec![cron(&format!("{minute} * * * *"))?]));
        }
        let (day, time) = match at.rsplit_once(' ') {
            Some((day, time)) => (Some(day.trim()), time),
            // A day alone stands for its midnight.
            None if !at.is_empty() && !at.contains(':') => (Some(at), ""),
            None => (None, at),
        };
        let time = if time.is_empty() { NaiveTime::MIN } else { time_of_day(time)? };
        let clock = format!("{} {}", time.minute(), time.hour());
        let crons = match (self, day) {
            (Self::Daily, None) => vec![format!("{clock} * * *")],
            (Self::Daily, Some(day)) => {
                return Err(BadSchedule::new(
                    format!("a daily schedule has no day: \"{day}\""),
                    "Write only the time, or use weekly or monthly.",
                ));
            }
            (Self::Weekly, day) => {
                let number = match day {
                    None => 1,
                    Some(day) => WEEKDAYS
                        .iter()
                        .position(|name| day.len() >= 3 && name.starts_with(&day.to_ascii_lowercase()))
                        .ok_or_else(|| {
                            BadSchedule::new(
                                format!("\"{day}\" is not a day of the week"),
                                "Write for example Monday 02:30.",
                            )
                        })?,
                };
                vec![format!("{clock} * * {number}")]
            }
            (_, day) => {
                let number = match day {
                    None => 1,
                    Some(day) => day.parse::<u32>().ok().filter(|day| (1..=31).contains(day)).ok_or_else(|| {
                        BadSchedule::new(
                            format!("\"{day}\" is not a day of a month"),
                            "Write 1 to 31; in a shorter month the last day is used.",
                        )
                    })?,
                };
                match number {
                    ..=28 => vec![format!("{clock} {number} * *")],
                    29 | 30 => vec![format!("{clock} {number} 1,3-12 *"), format!("{clock} L 2 *")],
                    _ => vec![format!("{clock} L * *")],
                }
            }
        };
        Ok(Beat::Cron(crons.iter().map(|expression| cron(expression)).collect::<Result<_, _>>()?))
    }
}
