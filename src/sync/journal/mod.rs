//! The journal of a run: every statement about its members and its counts, with the extension's rights, and the
//! transaction in which they run, which first looks whether the run may go on.

mod members;
mod removals;
mod told;

use std::collections::BTreeMap;

use cohort_core::destination::Action;
use cohort_core::sync::{Figures, SyncState};
use serde_json::{Map, Value, json};

pub(super) use members::{Changes, Sent};
pub(super) use removals::Leaver;
pub(super) use told::{Told, had, page, place};

use super::batch::Delivery;
use super::ending::{Ending, step};
use crate::pg::databases::{with_owners_rights, write};
use crate::pg::errors::Fallible;
use crate::pg::jsonb::Jsonb;
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};

/// Whose journal it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Journal {
    pub(super) sync: i64,
    pub(super) run: i64,
    pub(super) destination: i64,
    /// The version of the destination that the run began with.
    pub(super) version: i32,
}

impl Journal {
    /// Runs a step in a transaction, if the sync is still there and may go on. Its statements have the rights of the sync's
    /// owner; those of the journal have the extension's.
    pub(super) fn guarded<T>(&self, work: impl FnOnce() -> Fallible<T>) -> Result<T, Ending> {
        let outcome = step(|| match self.obstacle()? {
            Some(ending) => Ok(Err(ending)),
            None => work().map(Ok),
        });
        outcome?
    }

    /// Why the run may not go on.
    fn obstacle(&self) -> Fallible<Option<Ending>> {
        let found: Option<(String, i32)> = with_owners_rights(|| {
            // The locks keep a cohort_sync_drop and a cohort_destination_update out until this transaction ended, so that
            // nothing is left behind, and nothing recorded for a place that is not the destination's any more.
            spi::first(
                Snapshot::Fresh,
                "SELECT s.state, d.version FROM kursaha_cohort.sync s JOIN kursaha_cohort.destination d USING (destination_id) \
                 WHERE s.sync_id = $1 AND s.run_id = $2 FOR KEY SHARE OF s FOR SHARE OF d",
                &[self.sync.into(), self.run.into()],
                |row| Ok((row.need(1)?, row.need(2)?)),
            )
        })?;
        let Some((state, version)) = found else { return Ok(Some(Ending::Gone)) };
        Ok(if version != self.version {
            Some(Ending::Changed)
        } else if SyncState::parse(&state) == Some(SyncState::Paused) {
            Some(Ending::Paused)
        } else if !settings::sync_enabled() {
            // It goes on when that is on again.
            Some(Ending::Interrupted)
        } else {
            None
        })
    }

    /// Records what the run found to do, as of an instant.
    pub(super) fn found(
        &self,
        at: i64,
        figures: Figures,
        adds: u64,
        suppressed: &'static str,
        skipped: &BTreeMap<String, u64>,
    ) -> Fallible<()> {
        write(
            "UPDATE kursaha_cohort.sync_run SET snapshot_at = to_timestamp($2 / 1000000.0), size = $3, adds = $4, \
                 removes = $5, skipped = (skipped - $6) || $7 WHERE run_id = $1",
            &[
                self.run.into(),
                at.into(),
                number(figures.size).into(),
                number(adds).into(),
                number(figures.removes).into(),
                suppressed.into(),
                Jsonb::from(&json!(skipped)).into(),
            ],
        )?;
        Ok(())
    }

    /// Records which members the run compared.
    pub(super) fn compared(&self, what: &str) -> Fallible<()> {
        write("UPDATE kursaha_cohort.sync_run SET compared = $2 WHERE run_id = $1", &[self.run.into(), what.into()])?;
        Ok(())
    }

    /// Whether the destination refused members in this run.
    pub(super) fn has_rejected(&self) -> Fallible<bool> {
        with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT EXISTS (SELECT FROM kursaha_cohort.sync_run WHERE run_id = $1 AND rejected > 0)",
                &[self.run.into()],
                |row| row.need(1),
            )
        })
    }

    /// Records that a first batch is about to be sent.
    pub(super) fn first_sent(&self) -> Fallible<()> {
        write(
            "UPDATE kursaha_cohort.sync_run SET first_sent_at = coalesce(first_sent_at, clock_timestamp()) \
             WHERE run_id = $1",
            &[self.run.into()],
        )?;
        Ok(())
    }

    /// Keeps what was learned at the destination.
    pub(super) fn keep_state(&self, state: &Map<String, Value>) -> Fallible<()> {
        write(
            "UPDATE kursaha_cohort.destination SET state = $2 WHERE destination_id = $1",
            &[self.destination.into(), Jsonb::from(&Value::Object(state.clone())).into()],
        )?;
        Ok(())
    }

    /// Records in the run what a batch did, the objects written so far, and who was skipped so far if that changed.
    pub(super) fn record(
        &self,
        delivery: &Delivery,
        action: Action,
        parts: &[Value],
        skipped: Option<&BTreeMap<String, u64>>,
    ) -> Fallible<()> {
        let arrived = delivery.arrival.is_ok();
        let rows = if arrived { number(delivery.rows) } else { 0 };
        let (added, removed) = match action {
            Action::Add => (rows, 0),
            Action::Remove => (0, rows),
        };
        write(
            "UPDATE kursaha_cohort.sync_run r SET added = added + $2, removed = removed + $3, \
                 batches = CASE WHEN $4 THEN batches + 1 ELSE batches END, \
                 attempts = CASE WHEN $4 THEN 0 ELSE attempts END, rejected = rejected + $5, skipped = coalesce($6, skipped), parts = $8, \
                 invalid = (SELECT coalesce(jsonb_object_agg(u.key, u.sum), '{}') FROM ( \
                     SELECT i.key, sum(i.value::bigint) FROM ( \
                         SELECT * FROM jsonb_each_text(r.invalid) UNION ALL SELECT * FROM jsonb_each_text($7)) i \
                     GROUP BY i.key ORDER BY sum(i.value::bigint) DESC LIMIT 50) u (key, sum)) \
             WHERE run_id = $1",
            &[
                self.run.into(),
                added.into(),
                removed.into(),
                arrived.into(),
                number(delivery.refused.len() as u64).into(),
                skipped.map(|skipped| Jsonb::from(&json!(skipped))).into(),
                Jsonb::from(&json!(delivery.invalid)).into(),
                Jsonb::from(&json!(parts)).into(),
            ],
        )?;
        Ok(())
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
