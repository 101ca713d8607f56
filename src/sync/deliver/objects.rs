//! Destinations that keep objects: the difference, then the whole set, then the manifest that says it is complete.

use cohort_core::destination::{Action, Context, Outcome, Request, Row};
use serde_json::json;

use super::requests::Requests;
use super::{Run, Strategy};
use crate::pg::spi::Snapshot;
use crate::sync::batch::Delivery;
use crate::sync::ending::{Ending, step};
use crate::sync::journal::page;
use crate::sync::profiles::profiles_in;
use crate::sync::spool::Spool;

pub(super) struct Objects;

const REQUESTS: Requests = Requests { replaces: false, delivered: Some(note) };

impl Strategy for Objects {
    /// The whole set is written by each run.
    fn connects(&self, _idle: bool) -> bool {
        true
    }

    fn add(&self, run: &mut Run<'_>, adds: &mut Spool) -> Result<(), Ending> {
        REQUESTS.add(run, adds)
    }

    fn remove(&self, run: &mut Run<'_>) -> Result<Option<String>, Ending> {
        REQUESTS.remove(run)
    }

    fn complete(&self, run: &mut Run<'_>) -> Result<(), Ending> {
        let rows_at_once = run.destination.batch_rows(Action::Add);
        let mut last = (String::new(), 0_i64);
        let (mut part, mut total) = (0, 0);
        loop {
            let page = run.journal.guarded(|| page(Snapshot::Fresh, run.journal.sync, &last, rows_at_once))?;
            let Some(end) = page.last().cloned() else { break };
            last = end;
            let ids: Vec<&str> = page.iter().map(|(customer, _)| customer.as_str()).collect();
            let profiles = step(|| profiles_in(&run.context.cohort, run.destination, &ids))?;
            let mut rows = Vec::with_capacity(ids.len());
            for (id, (profile, _)) in ids.iter().zip(&profiles) {
                let Ok((_, properties)) = run.destination.render(id, profile.as_ref()) else { continue };
                rows.push(Row { customer: (*id).to_owned(), properties, ..Row::default() });
            }
            part += 1;
            total += rows.len();
            send(run, |run, context| run.destination.snapshot(&rows, part, context, &run.context.secret))?;
        }
        let parts = json!({"deltas": run.parts, "snapshot_parts": part, "members": total});
        send(run, |run, context| run.destination.manifest(&parts, context, &run.context.secret))
    }
}

/// Notes an object for the manifest.
fn note(run: &mut Run<'_>, action: Action, delivery: &Delivery) {
    if delivery.arrival.is_ok() {
        let batch = run.batches;
        run.parts.push(json!({"part": format!("delta-{batch:08}"), "action": action.name(), "rows": delivery.rows}));
    }
}

/// Sends one object.
fn send(run: &mut Run<'_>, request: impl FnOnce(&Run<'_>, &Context) -> Option<Request>) -> Result<(), Ending> {
    let context = run.context.of_request(String::new());
    let Some(request) = request(run, &context) else { return Ok(()) };
    let answer = run.session.exchange(request, &run.context)?;
    match run.destination.read(Action::Add, &answer, context.now) {
        Outcome::Done(_) => Ok(()),
        other => Err(Ending::of(other, &run.context)),
    }
}
