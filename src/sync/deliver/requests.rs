//! Batches sent as requests: each is recorded, committed and sent, and its result is recorded.

use cohort_core::destination::{Action, Batch};

use super::Run;
use super::removals::Removals;
use crate::sync::batch::{Delivery, Intent};
use crate::sync::ending::Ending;
use crate::sync::spool::Spool;

/// How batches are sent as requests.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Requests {
    /// Whether a changed identity with keys is another row at the destination.
    pub(super) replaces: bool,
    /// Called with each batch, before its result is recorded.
    pub(super) delivered: Option<fn(&mut Run<'_>, Action, &Delivery)>,
}

impl Requests {
    /// Sends the additions. Records the next batch while the current one is in flight; there is never more than one request
    /// in flight.
    pub(super) fn add(self, run: &mut Run<'_>, adds: &mut Spool) -> Result<(), Ending> {
        let mut in_flight: Option<Intent> = None;
        loop {
            let next = match self.next(run, adds) {
                // The answer to the request in flight is waited for, so that whoever continues the sync is alone with the
                // destination.
                Err(ending @ (Ending::Paused | Ending::Changed | Ending::Interrupted)) => {
                    if in_flight.is_some() {
                        run.session.answer()?;
                    }
                    return Err(ending);
                }
                other => other?,
            };
            if let Some(intent) = in_flight.take() {
                let batch = Batch { action: Action::Add, rows: &intent.rows };
                let delivery = run.session.finish(run.destination, &run.context, &batch, run.batches)?;
                self.note(run, Action::Add, &delivery);
                run.journal.guarded(|| {
                    run.journal.acknowledge(&intent, &delivery)?;
                    run.journal.record(&delivery, Action::Add, &run.parts, Some(&run.counts.skipped))
                })?;
                delivery.arrival?;
            }
            let Some(intent) = next else { return Ok(()) };
            run.batches += 1;
            let batch = Batch { action: Action::Add, rows: &intent.rows };
            run.session.begin(run.destination, &run.context, &batch, run.batches.to_string())?;
            in_flight = Some(intent);
        }
    }

    /// The next batch that has rows, recorded.
    fn next(self, run: &mut Run<'_>, adds: &mut Spool) -> Result<Option<Intent>, Ending> {
        loop {
            match run.intend(adds, self.replaces, |_, _, _| Ok(()))? {
                Some((intent, ())) if intent.rows.is_empty() => {}
                next => return Ok(next.map(|(intent, ())| intent)),
            }
        }
    }

    /// Removes who is leaving; gives why some could not be removed.
    pub(super) fn remove(self, run: &mut Run<'_>) -> Result<Option<String>, Ending> {
        let Some(mut removals) = Removals::of(run)? else { return Ok(None) };
        while let Some(mut page) = removals.next(run)? {
            run.batches += 1;
            let batch = Batch { action: Action::Remove, rows: &page.rows };
            run.session.begin(run.destination, &run.context, &batch, run.batches.to_string())?;
            let delivery = run.session.finish(run.destination, &run.context, &batch, run.batches)?;
            self.note(run, Action::Remove, &delivery);
            run.journal.guarded(|| {
                if delivery.arrival.is_ok() {
                    // What the destination refuses to remove it does not have as we sent it.
                    page.settled.append(&mut page.sent);
                }
                run.journal.forget(page.settled)?;
                run.journal.record(&delivery, Action::Remove, &run.parts, None)
            })?;
            match delivery.arrival {
                // The audience would become too small: every further removal would be refused alike.
                Err(Ending::Partial { why }) => return Ok(Some(why)),
                arrival => arrival?,
            }
        }
        Ok(None)
    }

    fn note(self, run: &mut Run<'_>, action: Action, delivery: &Delivery) {
        if let Some(delivered) = self.delivered {
            delivered(run, action, delivery);
        }
    }
}
