//! The facts of a run, as it is taken up.

use serde_json::Value;

use super::journal::Journal;
use super::store::{self, Place};
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::Fallible;
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};

/// A run as it is taken up.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) journal: Journal,
    pub(super) cohort: String,
    pub(super) forced: bool,
    pub(super) again_below: i64,
    /// Fingerprint of how profiles are rendered.
    pub(super) mapping: i64,
    /// Whether they were rendered in another way before.
    pub(super) look: bool,
    /// Batches that arrived so far.
    pub(super) batches: u64,
    pub(super) place: Place,
    /// Objects that were written so far.
    pub(super) parts: Vec<Value>,
}

/// The run of a number, if a worker must go on with it.
pub(super) fn load(run: i64) -> Fallible<Option<Job>> {
    let found = with_owners_rights(|| {
        spi::first(
            Snapshot::Fresh,
            "SELECT r.sync_id, c.name, r.forced, s.again_below, s.mapping, r.batches, d.name, r.parts \
             FROM kursaha_cohort.sync_run r JOIN kursaha_cohort.sync s ON s.sync_id = r.sync_id AND s.run_id = r.run_id \
             JOIN kursaha_cohort.cohort c USING (cohort_id) JOIN kursaha_cohort.destination d USING (destination_id) \
             WHERE r.run_id = $1 AND r.state = 'running'",
            &[run.into()],
            |row| {
                let place = store::get_place(&row.need::<String>(7)?)?;
                let parts = serde_json::from_str(&row.need::<Jsonb>(8)?.0).unwrap_or_default();
                let sync = row.need(1)?;
                Ok((
                    row.get::<i64>(5),
                    Job {
                        journal: Journal { sync, run, destination: place.id, version: place.version },
                        cohort: row.need(2)?,
                        forced: row.need(3)?,
                        again_below: row.need(4)?,
                        mapping: 0,
                        look: false,
                        batches: u64::try_from(row.need::<i64>(6)?).unwrap_or(0),
                        place,
                        parts,
                    },
                ))
            },
        )
    })?;
    let Some((mapping, mut job)) = found else { return Ok(None) };
    job.mapping = job.place.open()?.fingerprint();
    job.look = mapping != Some(job.mapping);
    Ok(Some(job))
}
