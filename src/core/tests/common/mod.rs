//! What the tests of rules share: time zones without a server.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod calendar;
pub mod damage;
pub mod random;
pub mod schema;
pub mod utc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use cohort_core::eval::Limits;
use cohort_core::rule::{Problem, Rule, parse_text};
use cohort_core::text::nearest;
use cohort_core::time::{Micros, Zones};

/// No limits.
pub const LIMITS: Limits<'static> = Limits { memory: u64::MAX, check: &|| () };

/// The zones of the IANA database, as the chrono-tz crate has them.
pub struct IanaZones;

impl Zones for IanaZones {
    fn contains(&self, name: &str) -> bool {
        chrono_tz::TZ_VARIANTS.iter().any(|zone| zone.name() == name)
    }

    fn nearest(&self, wrong: &str) -> Option<String> {
        nearest(wrong, chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name())).map(str::to_owned)
    }

    fn day_start(&self, date: NaiveDate, zone: &str) -> Micros {
        let zone: Tz = zone.parse().expect("a known zone");
        let mut local = date.and_time(NaiveTime::MIN);
        loop {
            match zone.from_local_datetime(&local).earliest() {
                Some(found) => return Micros(found.timestamp_micros()),
                None => local += TimeDelta::seconds(1),
            }
        }
    }

    fn instant(&self, local: NaiveDateTime, zone: &str) -> Micros {
        let zone: Tz = zone.parse().expect("a known zone");
        if let Some(found) = zone.from_local_datetime(&local).latest() {
            return Micros(found.timestamp_micros());
        }
        let before = zone.offset_from_utc_datetime(&(local - TimeDelta::days(1))).fix().local_minus_utc();
        Micros(local.and_utc().timestamp_micros() - i64::from(before) * 1_000_000)
    }
}

/// Reads a rule with [`IanaZones`].
pub fn read(text: &str) -> Result<Rule, Vec<Problem>> {
    parse_text(text, &IanaZones)
}

/// The rule of a text that must be valid, for the schema too.
pub fn valid(text: &str) -> Rule {
    schema::compare_text(text);
    read(text).unwrap_or_else(|problems| panic!("{}\n{problems:#?}", &text[..text.floor_char_boundary(500)]))
}

/// The problems of a text that must not be valid.
pub fn problems(text: &str) -> Vec<Problem> {
    match read(text) {
        Ok(_) => panic!("no problem was found in {}", &text[..text.floor_char_boundary(500)]),
        Err(problems) => problems,
    }
}
