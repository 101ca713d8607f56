//! The connection of a run to its destination: requests and their answers, one in flight at a time.

use std::time::Instant;

use cohort_core::destination::{Batch, Destination, Outcome, Request, Response, Row, redact};
use cohort_core::sync::halves;
use pgrx::pg_sys;

use super::batch::Delivery;
use super::context::RunContext;
use super::ending::Ending;
use super::store;
use crate::pg::errors::Fallible;
use crate::pg::settings;
use crate::wire::{Failure, Limits, Wire};

/// Rows that were refused one by one, with none taken, after which the fault is not with the rows.
const MOST_REFUSED: u64 = 100;

/// The connection to a destination, opened when it is needed first.
#[derive(Default)]
pub(super) struct Session {
    wire: Option<Wire>,
    /// Requests answered well, in this attempt.
    good: u64,
    refused: u64,
}

impl Session {
    /// Sends one request outside of a batch and waits for its answer.
    pub(super) fn exchange(&mut self, request: Request, context: &RunContext) -> Result<Response, Ending> {
        self.open()?.start(request)?;
        match self.answer()? {
            None => Err(Ending::of_wait()),
            Some(Ok(response)) => Ok(response),
            Some(Err(failure)) => Err(Ending::of(failure.into(), context)),
        }
    }

    /// Sends one request and waits for its answer until an instant. `None`: the wait was given up.
    pub(super) fn exchange_until(
        &mut self,
        request: Request,
        end: Instant,
    ) -> Fallible<Option<Result<Response, Failure>>> {
        let wire = self.open()?;
        wire.start(request)?;
        let answer = wire.wait(&mut || !interrupted() && Instant::now() < end);
        if answer.is_none() {
            self.wire = None;
        }
        Ok(answer)
    }

    fn open(&mut self) -> Fallible<&mut Wire> {
        Ok(match &mut self.wire {
            Some(wire) => wire,
            none => none.insert(Wire::open(Limits::from_settings())?),
        })
    }

    /// Waits for the answer to the request that was begun last.
    pub(super) fn answer(&mut self) -> Fallible<Option<Result<Response, Failure>>> {
        let answer = self.open()?.wait(&mut || !interrupted());
        if answer.is_none() {
            self.wire = None;
        }
        Ok(answer)
    }

    /// Sends a request of a batch and returns at once: [`Self::finish`] waits for its answer.
    pub(super) fn begin(
        &mut self,
        destination: &dyn Destination,
        context: &RunContext,
        batch: &Batch<'_>,
        label: String,
    ) -> Fallible<()> {
        let request = destination.request(batch, &context.state, &context.of_request(label), &context.secret);
        self.open()?.start(request)
    }

    /// Waits for the answer to a batch that was begun. One that has bad rows, or is too large, is sent again in halves,
    /// until the bad rows stand alone.
    pub(super) fn finish(
        &mut self,
        destination: &dyn Destination,
        context: &RunContext,
        batch: &Batch<'_>,
        number: u64,
    ) -> Fallible<Delivery> {
        let action = batch.action;
        let mut delivery = Delivery::arrived(0);
        let mut open: Vec<(usize, &[Row], String)> = vec![(0, batch.rows, number.to_string())];
        let mut begun = true;
        while let Some((first, part, label)) = open.pop() {
            if !std::mem::take(&mut begun) {
                self.begin(destination, context, &Batch { action, rows: part }, label.clone())?;
            }
            let outcome = match self.answer()? {
                None => {
                    delivery.arrival = Err(Ending::of_wait());
                    return Ok(delivery);
                }
                Some(Ok(answer)) => destination.read(action, &answer, store::now() / 1_000_000),
                Some(Err(failure)) => failure.into(),
            };
            // What it says may repeat what it was sent; only here both are known.
            let outcome = if outcome == Outcome::done() {
                outcome
            } else {
                let hidden = context.hidden(Some(destination), part);
                outcome.reworded(|why| redact(why, &hidden))
            };
            let divide = |why: String, open: &mut Vec<_>, delivery: &mut Delivery| {
                if part.len() == 1 {
                    delivery.refused.push((first, why));
                    return true;
                }
                let (left, right) = halves(part);
                open.push((first + left.len(), right, format!("{label}.2")));
                open.push((first, left, format!("{label}.1")));
                false
            };
            match outcome {
                Outcome::Done(receipt) => {
                    self.good += 1;
                    delivery.rows += part.len() as u64;
                    for (reason, count) in receipt.reasons {
                        *delivery.invalid.entry(reason).or_default() += count;
                    }
                }
                Outcome::BadRows { why } | Outcome::Again { why, smaller: true } => {
                    if divide(why.clone(), &mut open, &mut delivery) {
                        self.refused += 1;
                        if self.good == 0 && self.refused >= MOST_REFUSED {
                            let hint = "Every row is refused: check the mapping and the version of the API.";
                            delivery.arrival = Err(Ending::of(Outcome::attention(why, hint), context));
                            delivery.refused.clear();
                            return Ok(delivery);
                        }
                    }
                }
                other => {
                    delivery.arrival = Err(Ending::of(other, context));
                    return Ok(delivery);
                }
            }
        }
        Ok(delivery)
    }
}

/// Whether to stop waiting for a response.
fn interrupted() -> bool {
    // SAFETY: flags that signal handlers set.
    unsafe {
        if (&raw const pg_sys::ProcDiePending).read_volatile() != 0
            || (&raw const pg_sys::QueryCancelPending).read_volatile() != 0
        {
            return true;
        }
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            pg_sys::ConfigReloadPending = 0;
            settings::reload();
        }
    }
    // What other processes wait for, such as the end of a dropped database's files.
    pgrx::check_for_interrupts!();
    false
}
