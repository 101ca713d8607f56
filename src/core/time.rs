//! Time as in rules: intervals, dates and instants. Operations that depend on a time zone use [`Zones`], which
//! PostgreSQL implements.

use chrono::{Datelike, NaiveDate, NaiveDateTime, TimeDelta};

/// Microseconds since 1970-01-01 00:00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub i64);

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a day of 24 hours.
pub const DAY: i64 = 86_400 * SECOND;

/// The longest interval a rule may name, in years of twelve months of thirty days.
const MAX_YEARS: i128 = 1_000;

/// What the server knows about time zones.
pub trait Zones {
    /// Whether this is the exact spelling of a zone in `pg_timezone_names` without `posix/` and `right/`.
    fn contains(&self, name: &str) -> bool;

    /// The zone name nearest to a wrong one, for a hint.
    fn nearest(&self, wrong: &str) -> Option<String>;

    /// The first instant of a day: the earlier midnight where it comes twice, the end of the gap where it is skipped.
    fn day_start(&self, date: NaiveDate, zone: &str) -> Micros;

    /// The instant of a local time: one that is skipped is read with the offset before the change, one that comes
    /// twice with the offset after it.
    fn instant(&self, local: NaiveDateTime, zone: &str) -> Micros;
}

/// A duration as a rule writes it, in PostgreSQL's three parts. Each is at least 0 and one is above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interval {
    /// As written.
    pub text: String,
    /// Months and years.
    pub months: i32,
    /// Days and weeks.
    pub days: i32,
    /// Everything shorter than a day.
    pub micros: i64,
}

/// Why a text is no interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadInterval(pub String);

/// Unit names with how many microseconds, days or months one of them is.
const UNITS: &[(&[&str], Unit)] = &[
    (&["microsecond", "microseconds"], Unit::Micros(1)),
    (&["millisecond", "milliseconds"], Unit::Micros(1_000)),
    (&["second", "seconds", "s", "sec", "secs"], Unit::Micros(SECOND)),
    (&["minute", "minutes", "m", "min", "mins"], Unit::Micros(60 * SECOND)),
    (&["hour", "hours", "h"], Unit::Micros(3_600 * SECOND)),
    (&["day", "days", "d"], Unit::Days(1)),
    (&["week", "weeks", "w"], Unit::Days(7)),
    (&["month", "months", "mon", "mons"], Unit::Months(1)),
    (&["year", "years", "y"], Unit::Months(12)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Micros(i64),
    Days(i128),
    Months(i128),
}

impl Interval {
    /// The words that may stand for a unit, for hints and the JSON Schema: one list per unit.
    pub fn unit_names() -> impl Iterator<Item = &'static [&'static str]> {
        UNITS.iter().map(|(names, _)| *names)
    }

    /// Reads `"30 days"`, `"1 month 15 days"`, `"36h"`: items of a whole number and a unit, separated by blanks, the
    /// blank before a unit optional, each unit at most once.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, BadInterval> {
        let bad = |what: String| Err(BadInterval(what));
        let (mut months, mut days, mut micros) = (0_i128, 0_i128, 0_i128);
        let mut seen: Vec<Unit> = Vec::new();
        if text.starts_with(' ') || text.ends_with(' ') {
            return bad("spaces are only allowed between the items".into());
        }
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            if digits == 0 {
                return bad(format!("expected a whole number at \"{}\"", clip(rest)));
            }
            // Eighteen digits are far beyond the largest interval and far within an i128.
            let Ok(number) = rest[..digits]
                .trim_start_matches('0')
                .parse::<i128>()
                .or_else(|error| if rest[..digits].bytes().all(|b| b == b'0') { Ok(0) } else { Err(error) })
            else {
                return bad("an interval is at most 1000 years".into());
            };
            if number > i128::from(i64::MAX) {
                return bad("an interval is at most 1000 years".into());
            }
            rest = rest[digits..].trim_start_matches(' ');
            let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
            let word = &rest[..letters];
            if letters == 0 {
                return bad(format!("the number {number} has no unit"));
            }
            let Some(&(_, unit)) = UNITS.iter().find(|(names, _)| names.contains(&word)) else {
                return bad(format!("unknown unit \"{}\"", clip(word)));
            };
            if seen.contains(&unit) {
                return bad(format!("the unit \"{word}\" is used twice"));
            }
            seen.push(unit);
            match unit {
                Unit::Micros(each) => micros += number * i128::from(each),
                Unit::Days(each) => days += number * each,
                Unit::Months(each) => months += number * each,
            }
            let after = &rest[letters..];
            rest = after.trim_start_matches(' ');
            if !rest.is_empty() && rest.len() == after.len() {
                return bad(format!("expected a space at \"{}\"", clip(rest)));
            }
        }
        if seen.is_empty() {
            return bad("an interval consists of whole numbers with units".into());
        }
        if months == 0 && days == 0 && micros == 0 {
            return bad("an interval must be greater than zero".into());
        }
        let day = i128::from(DAY);
        if months * 30 * day + days * day + micros > MAX_YEARS * 12 * 30 * day {
            return bad("an interval is at most 1000 years".into());
        }
        // All three are bounded by the check above: 12,000 months, 360,000 days, 3.2e16 microseconds.
        Ok(Self {
            text: text.to_owned(),
            months: i32::try_from(months).unwrap_or(i32::MAX),
            days: i32::try_from(days).unwrap_or(i32::MAX),
            micros: i64::try_from(micros).unwrap_or(i64::MAX),
        })
    }

    /// Its length for ordering two intervals: a month counts as 30 days, a day as 24 hours.
    #[must_use]
    pub fn nominal(&self) -> i128 {
        i128::from(DAY) * (i128::from(self.months) * 30 + i128::from(self.days)) + i128::from(self.micros)
    }
}

fn clip(text: &str) -> String {
    text.chars().take(20).collect()
}

/// A date or timestamp that a rule compares with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DateValue {
    /// As written.
    pub text: String,
    /// What it says.
    pub reading: Reading,
}

impl DateValue {
    /// Reads one, if the text is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self { text: text.to_owned(), reading: read(text)? })
    }
}

/// What an ISO 8601 text says about time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A calendar day, `2026-03-01`.
    Day(NaiveDate),
    /// A local time without offset; the rule's zone gives it an instant.
    Local(NaiveDateTime),
    /// A time with an offset.
    Instant(Micros),
}

/// Reads `YYYY-MM-DD`, or that with `T`, `hh:mm:ss`, an optional fraction (rounded to six digits, halves to even) and
/// an optional `Z`, `±hh`, `±hhmm` or `±hh:mm` up to 15:59; years 0001 to 9999. Nothing else.
#[must_use]
pub fn read(text: &str) -> Option<Reading> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let year = digits(&bytes[..4])?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, digits(&bytes[5..7])?, digits(&bytes[8..10])?)?;
    if date.year() < 1 {
        return None;
    }
    if bytes.len() == 10 {
        return Some(Reading::Day(date));
    }
    if bytes.len() < 19 || bytes[10] != b'T' || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let local = date.and_hms_opt(digits(&bytes[11..13])?, digits(&bytes[14..16])?, digits(&bytes[17..19])?)?;
    let mut rest = &text[19..];
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.len() - fraction.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        micros = rounded_micros(&fraction.as_bytes()[..length])?;
        rest = &fraction[length..];
    }
    let local = local.checked_add_signed(TimeDelta::microseconds(micros))?;
    if rest.is_empty() {
        return Some(Reading::Local(local));
    }
    Some(Reading::Instant(Micros(local.and_utc().timestamp_micros() - offset_seconds(rest.as_bytes())? * SECOND)))
}

/// Up to two (or four) ASCII digits as a number.
fn digits(bytes: &[u8]) -> Option<u32> {
    bytes.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u32::from(byte - b'0')))
}

/// A fraction's digits as microseconds, halves to even.
fn rounded_micros(fraction: &[u8]) -> Option<i64> {
    if fraction.is_empty() {
        return None;
    }
    let kept =
        (0..6).fold(0_i64, |number, place| number * 10 + fraction.get(place).map_or(0, |byte| i64::from(byte - b'0')));
    let rest = fraction.get(6..).unwrap_or_default();
    let up = match rest.first() {
        None | Some(b'0'..=b'4') => false,
        Some(b'5') if rest[1..].iter().all(|byte| *byte == b'0') => kept % 2 == 1,
        Some(_) => true,
    };
    Some(kept + i64::from(up))
}

/// Seconds east of UTC of `Z`, `±hh`, `±hhmm` or `±hh:mm`.
fn offset_seconds(bytes: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match bytes {
        [b'Z'] => return Some(0),
        [sign, h1, h2] => (sign, [*h1, *h2], [b'0', b'0']),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (digits(&hours)?, digits(&minutes)?);
    if hours > 15 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3_600 + minutes * 60);
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(i32, i32, i64)> {
        Interval::parse(text).ok().map(|interval| (interval.months, interval.days, interval.micros))
    }

    #[test]
    fn intervals_follow_the_grammar() {
        assert_eq!(parts("30 days"), Some((0, 30, 0)));
        assert_eq!(parts("1 month 15 days"), Some((1, 15, 0)));
        assert_eq!(parts("36h"), Some((0, 0, 36 * 3_600 * SECOND)));
        assert_eq!(parts("2w  1d"), Some((0, 15, 0)));
        assert_eq!(parts("1y 0 mon"), Some((12, 0, 0)));
        assert_eq!(parts("1000 years"), Some((12_000, 0, 0)));
        assert_eq!(parts("90 min 5 sec"), Some((0, 0, 5_405 * SECOND)));
        for bad in [
            "",
            " ",
            " 1 day",
            "1 day ",
            "0 days",
            "-1 day",
            "1.5 days",
            "day",
            "30",
            "30 days 30 days",
            "1 d 2 days",
            "1Day",
            "1 DAY",
            "1001 years",
            "1d2h",
            "1 fortnight",
            "1,000 days",
            "99999999999999999999999999999999999999999999 s",
            "1\tday",
        ] {
            assert_eq!(parts(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn dates_are_iso_8601_and_nothing_else() {
        let instant = |text| match read(text) {
            Some(Reading::Instant(micros)) => micros.0,
            other => panic!("{text}: {other:?}"),
        };
        assert!(matches!(read("2026-03-01"), Some(Reading::Day(_))));
        assert!(matches!(read("2026-03-01T10:00:00"), Some(Reading::Local(_))));
        assert_eq!(instant("1970-01-01T00:00:01Z"), SECOND);
        assert_eq!(instant("1970-01-01T05:30:00+05:30"), 0);
        assert_eq!(instant("1970-01-01T05:30:00+0530"), 0);
        assert_eq!(instant("1969-12-31T09:00:00-15"), 0);
        assert_eq!(instant("1970-01-01T00:00:00.0000005Z"), 0);
        assert_eq!(instant("1970-01-01T00:00:00.0000015Z"), 2);
        assert_eq!(instant("1970-01-01T00:00:00.00000051Z"), 1);
        assert_eq!(instant("1970-01-01T00:00:00.9999999Z"), SECOND);
        for bad in [
            "2026-3-1",
            "0000-01-01",
            "2026-02-29",
            "2026-03-01 10:00:00",
            "2026-03-01t10:00:00",
            "2026-03-01T24:00:00",
            "2026-03-01T10:00:60",
            "2026-03-01T10:00",
            "2026-W01-1",
            " 2026-03-01",
            "2026-03-01 ",
            "2026-03-01T10:00:00z",
            "2026-03-01T10:00:00.",
            "2026-03-01T10:00:00+16:00",
            "2026-03-01T10:00:00+05:60",
            "2026-03-01T10:00:00+5",
            "+2026-03-01",
            "20260301",
            "2026-03-01Z",
            "2026-03-01T10:00:00.5.5",
            "10000-01-01",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
