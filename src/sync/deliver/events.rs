//! Destinations that keep nothing: they are told of each entry once.

use super::requests::Requests;
use super::{Run, Strategy};
use crate::sync::ending::{Ending, step};
use crate::sync::spool::Spool;

pub(super) struct Events;

const REQUESTS: Requests = Requests { replaces: false, delivered: None };

impl Strategy for Events {
    fn sends_changes(&self) -> bool {
        false
    }

    fn add(&self, run: &mut Run<'_>, adds: &mut Spool) -> Result<(), Ending> {
        REQUESTS.add(run, adds)
    }

    /// Forgets who is leaving, which cannot be taken back; who comes again has entered again.
    fn remove(&self, run: &mut Run<'_>) -> Result<Option<String>, Ending> {
        if step(|| run.journal.has_leavers())? {
            run.journal.guarded(|| run.journal.forget_leavers())?;
        }
        Ok(None)
    }
}
