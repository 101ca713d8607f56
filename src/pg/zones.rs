//! The core's time zone functions, implemented with this server's zones.

use std::cell::RefCell;
use std::collections::HashSet;

use chrono::{NaiveDate, NaiveDateTime};
use cohort_core::text;
use cohort_core::time::{Micros, Zones};

use super::errors::Fallible;
use super::spi::{self, Snapshot};
use super::time;

thread_local! {
    /// Names found to exist. `pg_timezone_names` reads some 600 files, so a backend looks each name up once.
    static KNOWN: RefCell<HashSet<String>> = RefCell::new(HashSet::from(["UTC".to_owned()]));
}

/// The zones of this server.
pub(crate) struct ServerZones;

impl ServerZones {
    /// Every zone name that a rule may use, in byte order.
    pub(crate) fn names() -> Fallible<Vec<String>> {
        spi::run(
            Snapshot::Callers,
            "SELECT name FROM pg_catalog.pg_timezone_names \
             WHERE name !~ '^(posix|right)/' ORDER BY name COLLATE \"C\"",
            &[],
            |row| row.need(1),
        )
    }
}

impl Zones for ServerZones {
    fn contains(&self, name: &str) -> bool {
        if KNOWN.with_borrow(|known| known.contains(name)) {
            return true;
        }
        let found = Self::names().unwrap_or_else(|error| std::panic::panic_any(error));
        let exists = found.iter().any(|known| known == name);
        KNOWN.with_borrow_mut(|known| known.extend(found));
        exists
    }

    fn nearest(&self, wrong: &str) -> Option<String> {
        KNOWN.with_borrow(|known| {
            let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
            names.sort_unstable(); // the set's order is random, the hint must not be
            text::nearest(wrong, names).map(str::to_owned)
        })
    }

    fn day_start(&self, date: NaiveDate, zone: &str) -> Micros {
        time::day_start(date, zone).unwrap_or_else(|error| std::panic::panic_any(error))
    }

    fn instant(&self, local: NaiveDateTime, zone: &str) -> Micros {
        time::instant(local, zone).unwrap_or_else(|error| std::panic::panic_any(error))
    }
}
