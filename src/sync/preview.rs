//! `cohort_sync_preview`: what a run would do.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cohort_core::destination::{self, Destination, Skip};
use cohort_core::sync::guard;
use cohort_core::text;
use pgrx::PgLogLevel;
use pgrx::pg_sys::panic::ErrorReport;
use serde_json::{Map, Value};

use super::deliver;
use super::diff::{Facts, Kind, REJECTED, SUPPRESSED, compare};
use super::journal::had;
use super::profiles::{profile_of, profiles};
use super::store::Place;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Fallible, SqlState};
use crate::pg::spi::{self, Snapshot};

/// What a run would do.
#[derive(Debug, Default)]
pub(crate) struct Preview {
    pub(crate) adds: u64,
    pub(crate) removes: u64,
    pub(crate) unchanged: u64,
    /// By reason.
    pub(crate) skipped: BTreeMap<String, u64>,
    /// Why it would be held.
    pub(crate) held: Option<String>,
}

/// What a run would do now, with the current user's rights.
pub(crate) fn preview(cohort: &str, place: &Place, sync: Option<i64>) -> Fallible<Preview> {
    let destination = place.open()?;
    let sends_changes = deliver::strategy(&*destination).sends_changes();
    let facts = match sync {
        None => Facts { sync: None, again_below: 0, look: false, sends_changes },
        Some(sync) => with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT s.again_below, s.mapping IS DISTINCT FROM $2 FROM kursaha_cohort.sync s WHERE s.sync_id = $1",
                &[sync.into(), destination.fingerprint().into()],
                |row| Ok(Facts { sync: Some(sync), again_below: row.need(1)?, look: row.need(2)?, sends_changes }),
            )
        })?,
    };
    let mut preview = Preview::default();
    let mut looked = Looked::new(&*destination);
    let mut same = 0;
    let found = spi::with_snapshot(|| {
        compare(
            cohort,
            place,
            &*destination,
            facts,
            &mut |slice| {
                let ids: Vec<&str> = slice.iter().map(|member| member.customer).collect();
                let profiles = match slice.iter().map(|member| member.given.map(profile_of)).collect() {
                    Some(given) => given,
                    None => profiles(Snapshot::Callers, &*destination, &ids)?,
                };
                let had = match sync {
                    Some(sync) if slice.iter().any(|member| member.kind == Kind::Look) => {
                        had(Snapshot::Callers, sync, &ids)?
                    }
                    _ => HashMap::new(),
                };
                for (index, (member, (profile, _))) in slice.iter().zip(&profiles).enumerate() {
                    looked.at(profile.as_ref());
                    match destination.render(member.customer, profile.as_ref()) {
                        Err(Skip(reason)) => *preview.skipped.entry(reason.to_owned()).or_default() += 1,
                        Ok((identity, _)) => {
                            if member.kind == Kind::Look
                                && had.get(&index).is_some_and(|had| had.identity == identity.bytes)
                            {
                                same += 1;
                            } else {
                                preview.adds += 1;
                            }
                        }
                    }
                }
                Ok(())
            },
            &mut |_, _| Ok(()),
        )
    })?;
    looked.tell();
    preview.removes = found.figures.removes;
    preview.unchanged = found.unchanged + same;
    if found.rejected > 0 {
        preview.skipped.insert(REJECTED.to_owned(), found.rejected);
    }
    if found.suppressed > 0 {
        preview.skipped.insert(SUPPRESSED.to_owned(), found.suppressed);
    }
    preview.held = guard(found.figures);
    Ok(preview)
}

/// Which of the properties that a configuration names were found in the profiles that were looked at.
struct Looked {
    profiles: u64,
    missing: Vec<String>,
    /// Names of properties that are there.
    keys: BTreeSet<String>,
}

impl Looked {
    fn new(destination: &dyn Destination) -> Self {
        let missing = destination.properties().into_iter().map(str::to_owned).collect();
        Self { profiles: 0, missing, keys: BTreeSet::new() }
    }

    fn at(&mut self, profile: Option<&Map<String, Value>>) {
        const MOST_KEYS: usize = 1_000;
        let Some(profile) = profile else { return };
        self.profiles += 1;
        if self.missing.is_empty() {
            return;
        }
        self.missing.retain(|path| !destination::has_property(profile, path));
        for key in profile.keys().take(MOST_KEYS - self.keys.len().min(MOST_KEYS)) {
            if !self.keys.contains(key) {
                self.keys.insert(key.clone());
            }
        }
    }

    /// Says which properties nobody has.
    fn tell(&self) {
        if self.profiles == 0 {
            return;
        }
        for path in &self.missing {
            let message = format!("none of the {} inspected profiles has the property \"{path}\"", self.profiles);
            let report = ErrorReport::new(SqlState::ERRCODE_WARNING, message, "cohort_sync_preview");
            let hint = match text::nearest(path, self.keys.iter().map(String::as_str)) {
                Some(near) => format!("Did you mean \"{near}\"?"),
                None => "Correct mapping or include with cohort_destination_update.".to_owned(),
            };
            report.set_hint(hint).report(PgLogLevel::NOTICE);
        }
    }
}
