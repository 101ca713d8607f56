//! How a run delivers: a strategy for each way in which a destination keeps members.

mod events;
mod objects;
mod removals;
mod requests;
mod rows;
mod set;

use cohort_core::destination::{Action, Destination, Keeps};
use serde_json::Value;

use super::batch::{Counts, Intent};
use super::context::RunContext;
use super::ending::{Ending, step};
use super::intent::Frame;
use super::journal::Journal;
use super::probe::{self, Step};
use super::session::Session;
use super::spool::Spool;
use super::store::Place;
use crate::pg::errors::Fallible;

/// A run that delivers.
pub(super) struct Run<'a> {
    pub(super) journal: Journal,
    pub(super) destination: &'a dyn Destination,
    pub(super) context: RunContext,
    pub(super) session: Session,
    pub(super) counts: &'a mut Counts,
    /// When the cohort was evaluated, microseconds since 1970.
    pub(super) snapshot_at: i64,
    /// The number of the last batch.
    pub(super) batches: u64,
    /// Objects that were written so far, for the manifest.
    pub(super) parts: Vec<Value>,
}

/// What a run does by what its destination keeps.
pub(super) trait Strategy {
    /// Whether a member whose profile changed is sent again.
    fn sends_changes(&self) -> bool {
        true
    }

    /// Whether the run needs the destination's secret and its set; `idle`: nobody is added or removed.
    fn connects(&self, idle: bool) -> bool {
        !idle
    }

    /// Sends the additions.
    fn add(&self, run: &mut Run<'_>, adds: &mut Spool) -> Result<(), Ending>;

    /// Removes who is leaving, of this run and of earlier ones; gives why some could not be removed.
    fn remove(&self, run: &mut Run<'_>) -> Result<Option<String>, Ending>;

    /// Sends what ends the run.
    fn complete(&self, _run: &mut Run<'_>) -> Result<(), Ending> {
        Ok(())
    }

    /// Tries whether the destination works; stops at the first step that makes the next ones pointless.
    fn test(&self, place: &Place, destination: &dyn Destination) -> Fallible<Vec<Step>> {
        probe::by_requests(place, destination)
    }
}

/// The strategy of a destination.
pub(super) fn strategy(destination: &dyn Destination) -> &'static dyn Strategy {
    match destination.keeps() {
        Keeps::Set => &set::Set,
        Keeps::Nothing => &events::Events,
        Keeps::Objects => &objects::Objects,
        Keeps::Rows => &rows::Rows,
    }
}

/// `cohort_destination_test`: whether a destination works, step by step.
pub(crate) fn test(place: &Place) -> Fallible<Vec<Step>> {
    let destination = place.open()?;
    let mut steps = vec![Step::good("the configuration is complete")];
    steps.extend(strategy(&*destination).test(place, &*destination)?);
    Ok(steps)
}

impl Run<'_> {
    /// Records the next members to add, a batch at most, and does `more` in the same transaction; `None` when there are no
    /// more. `replaces`: see [`Frame::replaces`].
    fn intend<T>(
        &mut self,
        adds: &mut Spool,
        replaces: bool,
        more: impl FnOnce(&Self, &Intent, &Counts) -> Fallible<T>,
    ) -> Result<Option<(Intent, T)>, Ending> {
        let rows_at_once = self.destination.batch_rows(Action::Add);
        let entries = step(|| adds.take(rows_at_once))?;
        if entries.is_empty() {
            return Ok(None);
        }
        let mut counts = self.counts.clone();
        let done = self.journal.guarded(|| {
            let frame = Frame {
                journal: &self.journal,
                destination: self.destination,
                snapshot_at: self.snapshot_at,
                replaces,
            };
            let intent = frame.intend(&entries, &mut counts.skipped)?;
            if self.batches == 0 {
                self.journal.first_sent()?;
            }
            let more = more(self, &intent, &counts)?;
            Ok((intent, more))
        })?;
        *self.counts = counts;
        Ok(Some(done))
    }
}
