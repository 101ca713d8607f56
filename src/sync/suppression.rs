//! Cohorts whose members syncs leave out.

use crate::pg::databases::{current_user, with_owners_rights};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::spi::{self, Snapshot};
use crate::pg::store as cohorts;
use crate::sync::store;

/// A destination's number in the table; 0 for all destinations.
fn number(destination: Option<&str>) -> Fallible<i64> {
    destination.map_or(Ok(0), |name| Ok(store::get_place(name)?.id))
}

/// Refuses who is no operator: what is suppressed is left out of the syncs of all owners.
pub(crate) fn must_operate() -> Fallible<()> {
    if cohorts::operates()? {
        return Ok(());
    }
    Err(failure(SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE, "only an operator may suppress cohorts")
        .set_detail("Suppressed members are excluded from the syncs of all owners.")
        .set_hint("cohort_grant('operator', role) makes a role an operator."))
}

/// Leaves a cohort's members out of all syncs, or of those to one destination, which are asked to run at once; says
/// whether they were not yet.
pub(crate) fn add(cohort: &str, destination: Option<&str>) -> Fallible<bool> {
    cohorts::lock_definitions()?;
    let cohort = cohorts::get(Snapshot::Fresh, cohort)?;
    let destination = number(destination)?;
    let user = current_user();
    with_owners_rights(|| {
        // Locked, so that the destination is not dropped meanwhile.
        spi::touch(
            "SELECT FROM kursaha_cohort.destination WHERE destination_id = $1 FOR KEY SHARE",
            &[destination.into()],
        )?;
        let is_new = spi::touch(
            "INSERT INTO kursaha_cohort.suppression (cohort_id, destination_id, set_by) VALUES ($1, $2, pg_get_userbyid($3)) \
             ON CONFLICT (cohort_id, destination_id) DO NOTHING",
            &[cohort.id.into(), destination.into(), user.into()],
        )? > 0;
        if is_new {
            // A run under way may be about to send them: the sync runs again after it.
            spi::touch(
                "UPDATE kursaha_cohort.sync SET requested = coalesce(requested, 'now') WHERE $1 = 0 OR destination_id = $1",
                &[destination.into()],
            )?;
        }
        Ok(is_new)
    })
}

/// Ends it.
pub(crate) fn remove(cohort: &str, destination: Option<&str>) -> Fallible<()> {
    cohorts::lock_definitions()?;
    let found = cohorts::get(Snapshot::Fresh, cohort)?;
    let number = number(destination)?;
    let removed = with_owners_rights(|| {
        spi::touch(
            "DELETE FROM kursaha_cohort.suppression WHERE cohort_id = $1 AND destination_id = $2",
            &[found.id.into(), number.into()],
        )
    })?;
    if removed > 0 {
        return Ok(());
    }
    let place = destination.map_or_else(|| "at all destinations".to_owned(), |name| format!("at \"{name}\""));
    Err(failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("cohort \"{cohort}\" is not suppressed {place}"))
        .set_hint("The view cohort_suppression lists the suppressed cohorts."))
}

/// Whether the extension's objects know of suppression and priority lists: those of 0.1.0 do not.
pub(super) fn is_known() -> Fallible<bool> {
    spi::one(Snapshot::Callers, "SELECT to_regclass('kursaha_cohort.suppression') IS NOT NULL", &[], |row| row.need(1))
}

/// The cohorts whose members are left out at a destination, as the active snapshot has them.
pub(super) fn at(destination: i64) -> Fallible<Vec<String>> {
    with_owners_rights(|| {
        spi::run(
            Snapshot::Callers,
            "SELECT DISTINCT c.name FROM kursaha_cohort.suppression s JOIN kursaha_cohort.cohort c USING (cohort_id) \
             WHERE s.destination_id IN (0, $1)",
            &[destination.into()],
            |row| row.need(1),
        )
    })
}

/// Whether syncs leave a cohort's members out.
pub(crate) fn has(cohort: i64) -> Fallible<bool> {
    if !is_known()? {
        return Ok(false);
    }
    with_owners_rights(|| {
        spi::one(
            Snapshot::Fresh,
            "SELECT EXISTS (SELECT FROM kursaha_cohort.suppression WHERE cohort_id = $1)",
            &[cohort.into()],
            |row| row.need(1),
        )
    })
}
