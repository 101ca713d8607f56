//! What a batch is to hold: its members, rendered and recorded before it is sent.

use std::collections::{BTreeMap, HashMap};

use cohort_core::destination::{Destination, Identity, Row, Skip};

use super::batch::Intent;
use super::diff::Kind;
use super::journal::{Changes, Journal, Sent, had};
use super::profiles::{profile_of, profiles};
use super::spool::Entry;
use super::store;
use crate::pg::errors::Fallible;
use crate::pg::spi::Snapshot;

/// What is known of a run's batches before their members are.
pub(super) struct Frame<'a> {
    pub(super) journal: &'a Journal,
    pub(super) destination: &'a dyn Destination,
    /// When the cohort was evaluated, microseconds since 1970.
    pub(super) snapshot_at: i64,
    /// Whether a changed identity with keys is another row at the destination, so that the old one must be removed;
    /// elsewhere it replaces what was sent.
    pub(super) replaces: bool,
}

impl Frame<'_> {
    /// Records the members of a batch: renders each from its profile as it is now, which the sync's owner may read, or from
    /// the one that the cohort's query returned when the run began.
    pub(super) fn intend(&self, entries: &[Entry], skipped: &mut BTreeMap<String, u64>) -> Fallible<Intent> {
        let Self { journal, destination, snapshot_at, replaces } = *self;
        let ids: Vec<&str> = entries.iter().map(|entry| entry.customer.as_str()).collect();
        let profiles = match entries.iter().map(|entry| entry.given.as_ref().map(profile_of)).collect() {
            Some(given) => given,
            None => profiles(Snapshot::Fresh, destination, &ids)?,
        };
        let mut had = if entries.iter().any(|entry| Kind::of(entry.number) != Kind::New) {
            had(Snapshot::Fresh, journal.sync, &ids)?
        } else {
            HashMap::new()
        };
        let oldest = destination.oldest_seconds();
        let mut changes = Changes::default();
        let mut intent = Intent::default();
        for (index, (entry, (profile, source))) in entries.iter().zip(&profiles).enumerate() {
            let Entry { number, customer, .. } = entry;
            let before = had.remove(&index);
            let (Identity { bytes, keys }, properties) = match destination.render(customer, profile.as_ref()) {
                Ok(rendered) => rendered,
                Err(Skip(reason)) => {
                    *skipped.entry(reason.to_owned()).or_default() += 1;
                    // Nothing identifies them any more: what was sent is taken back.
                    if let Some(before) = before.filter(|before| !before.leaving) {
                        changes.removes(before.member, customer);
                    }
                    continue;
                }
            };
            let entered_at = before.as_ref().map_or(snapshot_at, |before| before.entered_at);
            if oldest.is_some_and(|oldest| entered_at / 1_000_000 < store::now() / 1_000_000 - oldest) {
                *skipped.entry("too_old".to_owned()).or_default() += 1;
                if let Some(before) = &before {
                    // Never sent any more, and settled thereby.
                    changes.keeps(before.member, customer, *source);
                }
                continue;
            }
            let sent = Sent { customer, identity: &bytes, keys: &keys, source: *source };
            match &before {
                Some(before) if before.identity == bytes && Kind::of(*number) == Kind::Look => {
                    changes.keeps(before.member, customer, *source);
                    continue;
                }
                Some(before) if before.identity == bytes || !replaces || keys.is_empty() => {
                    changes.sends_again(before.member, &sent);
                }
                Some(before) => {
                    if !before.leaving {
                        changes.removes(before.member, customer);
                    }
                    changes.adds(&sent);
                }
                None => changes.adds(&sent),
            }
            intent.known.push(before.is_some());
            intent.sources.push(*source);
            intent.rows.push(Row { customer: customer.clone(), identity: bytes, properties, entered_at });
        }
        intent.batch = journal.intend(changes, intent.rows.len(), snapshot_at, oldest.is_some())?;
        Ok(intent)
    }
}
