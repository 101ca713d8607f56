//! The state of one database in the launcher, and when the launcher starts a worker in it.

use std::time::Duration;

use pgrx::pg_sys;

use super::child::{Child, Start};
use crate::pg::board::{self, Entry, Extension, Outcome, Visits};
use crate::pg::settings;

/// Delay before a worker that failed, or that reported no outcome, is started again. It doubles each time.
const RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_mins(1);
/// Interval at which an idle database is checked. It doubles each time that there was nothing to do, between these
/// limits.
const LOOK: Duration = Duration::from_mins(1);
const LONGEST_LOOK: Duration = Duration::from_mins(16);
/// The same for a database without the extension. `CREATE EXTENSION` notifies the launcher.
const NO_EXTENSION: Duration = Duration::from_hours(1);
/// The same for a database whose settings exclude workers.
const SWITCHED_OFF: Duration = Duration::from_secs(10);

/// The kinds of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sealer,
    Scheduler,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Sealer => "kursaha_cohort sealer",
            Self::Scheduler => "kursaha_cohort scheduler",
        }
    }

    fn function(self) -> &'static str {
        match self {
            Self::Sealer => "kursaha_cohort_sealer",
            Self::Scheduler => "kursaha_cohort_scheduler",
        }
    }
}

/// A database that can be connected to.
pub(super) struct Database {
    pub(super) oid: pg_sys::Oid,
    entry: &'static Entry,
    /// The state of the extension at the last check.
    known: Extension,
    sealer: Visitor,
    scheduler: Visitor,
}

/// The worker of a kind, and the state of its visits.
struct Visitor {
    worker: Option<Child>,
    /// The earliest time of the next visit, in microseconds since 1970.
    rest: i64,
    /// The time of the next check of an idle database.
    look: i64,
    looks: Duration,
    failures: u32,
}

impl Visitor {
    fn new() -> Self {
        Self { worker: None, rest: 0, look: 0, looks: LOOK, failures: 0 }
    }

    fn is_there(&self) -> bool {
        self.worker.is_some()
    }

    /// Handles the end of a visit.
    fn reap(&mut self, visits: &Visits, extension: Extension, now: i64) {
        if !self.worker.as_ref().is_some_and(Child::has_ended) {
            return;
        }
        self.worker = None;
        match visits.take_outcome() {
            Outcome::Unsaid | Outcome::Failed => {
                let wait = RETRY.saturating_mul(1 << self.failures.min(6)).min(LONGEST_RETRY);
                self.failures += 1;
                self.rest = now + board::micros(wait);
                self.look = self.rest;
                return;
            }
            Outcome::Idle => self.looks = (self.looks * 2).min(LONGEST_LOOK),
            Outcome::Worked => self.looks = LOOK,
        }
        self.failures = 0;
        self.rest = 0;
        let looks = match extension {
            Extension::Absent => NO_EXTENSION,
            Extension::SwitchedOff | Extension::ReadOnly | Extension::OtherVersion => SWITCHED_OFF,
            Extension::Present | Extension::Unknown => self.looks,
        };
        self.look = now + board::micros(looks);
        if matches!(extension, Extension::SwitchedOff | Extension::ReadOnly | Extension::OtherVersion) {
            self.rest = self.look;
        }
    }
}

impl Database {
    pub(super) fn new(oid: pg_sys::Oid, entry: &'static Entry) -> Self {
        let known = Extension::Unknown;
        Self { oid, entry, known, sealer: Visitor::new(), scheduler: Visitor::new() }
    }

    /// Handles the end of visits.
    pub(super) fn reap(&mut self, now: i64) {
        let extension = self.entry.extension();
        if extension == Extension::Present && self.known != extension {
            // It was created, or switched on: both look at once.
            (self.sealer.look, self.scheduler.look) = (0, 0);
        }
        if matches!(extension, Extension::SwitchedOff | Extension::ReadOnly) && self.known != extension {
            // Nobody tells when it is over, and a sealer finds out: in time, whoever of the two noticed.
            self.sealer.look = self.sealer.look.min(now + board::micros(SWITCHED_OFF));
        }
        self.known = extension;
        self.sealer.reap(&self.entry.sealer, extension, now);
        self.scheduler.reap(&self.entry.scheduler, extension, now);
    }

    /// Resets all times, because the clock was set.
    pub(super) fn clock_was_set(&mut self) {
        for visitor in [&mut self.sealer, &mut self.scheduler] {
            (visitor.rest, visitor.look) = (0, 0);
        }
    }

    /// The time at which a worker of a kind is due, in microseconds since 1970; `None` while one runs.
    pub(super) fn due(&self, kind: Kind) -> Option<i64> {
        let entry = self.entry;
        let (visitor, visits) = match kind {
            Kind::Sealer => (&self.sealer, &entry.sealer),
            Kind::Scheduler => (&self.scheduler, &entry.scheduler),
        };
        if visitor.is_there() {
            return None;
        }
        let told = match kind {
            // What waits for a transaction to end is looked at when the last visit said, and not by its age.
            Kind::Sealer if entry.rows() == 0 => None,
            Kind::Sealer if entry.rows() >= settings::seal_rows() as u64 => Some(0),
            Kind::Sealer => entry.written_since().map(|since| since + board::micros(settings::seal_interval())),
            Kind::Scheduler if entry.is_asked() => Some(0),
            // A sealer finds out whether there is anything at all.
            Kind::Scheduler if entry.extension() != Extension::Present => return None,
            Kind::Scheduler => None,
        };
        let due = [told, visits.due()].into_iter().flatten().min().unwrap_or(i64::MAX);
        Some(due.min(visitor.look).max(visitor.rest))
    }

    /// Starts a worker. If no background worker is free, it is tried again soon. Returns a change of that state.
    pub(super) fn send(&mut self, kind: Kind) -> Option<bool> {
        let visitor = match kind {
            Kind::Sealer => &mut self.sealer,
            Kind::Scheduler => &mut self.scheduler,
        };
        visitor.worker = Child::start(&Start {
            name: kind.name(),
            function: kind.function(),
            argument: pg_sys::Datum::from(self.oid),
            extra: "",
        });
        let free = visitor.is_there();
        self.entry.note_worker(free).then_some(free)
    }

    pub(super) fn seals(&self) -> bool {
        self.sealer.is_there()
    }

    /// Terminates the sealer. Its transaction is rolled back, and another sealer is started later.
    pub(super) fn call_off(&self) {
        if let Some(worker) = &self.sealer.worker {
            worker.terminate();
        }
    }
}
