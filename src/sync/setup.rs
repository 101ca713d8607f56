//! Making syncs and changing when they run.

use pgrx::pg_sys::Oid;

use super::store::{self, Timing};
use crate::pg::databases::{current_user, with_owners_rights};
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::settings;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store as cohorts;

/// Refuses a role that may not own a sync: its runs connect as it.
pub(crate) fn may_own_sync(role: Oid) -> Fallible<()> {
    let (name, superuser, login): (String, bool, bool) = spi::one(
        Snapshot::Fresh,
        "SELECT r.rolname::text, r.rolsuper, r.rolcanlogin FROM pg_catalog.pg_roles r WHERE r.oid = $1",
        &[role.into()],
        |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?)),
    )?;
    if superuser && !settings::allow_superuser_syncs() {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("the superuser \"{name}\" cannot own a sync"),
        )
        .set_detail("A sync's runs connect as its owner and evaluate the cohort with that role's rights.")
        .set_hint(
            "SET ROLE to an ordinary role with cohort_grant('editor', …), or set kursaha_cohort.allow_superuser_syncs.",
        ));
    }
    if !login {
        return Err(failure(
            SqlState::ERRCODE_INVALID_PARAMETER_VALUE,
            format!("the role \"{name}\" cannot own a sync because it has no LOGIN"),
        )
        .set_hint(format!("ALTER ROLE {name} LOGIN, or SET ROLE to a role with LOGIN.")));
    }
    Ok(())
}

/// Makes a sync of the current user and gives its id.
pub(crate) fn create(
    cohort: &str,
    destination: &str,
    frequency: &str,
    at: Option<&str>,
    timezone: &str,
) -> Fallible<i64> {
    let owner = current_user();
    may_own_sync(owner)?;
    // The lock keeps the cohort from being dropped meanwhile.
    let saved = cohorts::get_for_change(cohort)?;
    let place = store::get_place(destination)?;
    let timing = Timing {
        frequency: frequency.to_owned(),
        at: at.map(str::to_owned),
        timezone: timezone.to_owned(),
        anchor: store::now(),
    };
    let schedule = timing.schedule().map_err(|bad| store::bad_schedule(&bad))?;
    let id = with_owners_rights(|| {
        spi::touch(
            "SELECT FROM kursaha_cohort.destination WHERE destination_id = $1 FOR KEY SHARE",
            &[place.id.into()],
        )?;
        spi::first(
            Snapshot::Fresh,
            "INSERT INTO kursaha_cohort.sync (cohort_id, destination_id, owner, frequency, at, timezone, anchor, due_at, home) \
             VALUES ($1, $2, kursaha_cohort.owner_of($3), $4, $5, $6, to_timestamp($7 / 1000000.0), to_timestamp($8 / 1000000.0), $9) \
             ON CONFLICT (cohort_id, destination_id) DO NOTHING RETURNING sync_id",
            &[
                saved.id.into(),
                place.id.into(),
                owner.into(),
                timing.frequency.clone().into(),
                timing.at.clone().into(),
                timing.timezone.clone().into(),
                timing.anchor.into(),
                schedule.next(timing.anchor).into(),
                store::home().into(),
            ],
            |row| row.need::<i64>(1),
        )
    })?;
    let Some(id) = id else {
        return Err(failure(
            SqlState::ERRCODE_UNIQUE_VIOLATION,
            format!("cohort \"{cohort}\" is already synced to \"{destination}\""),
        )
        .set_hint("cohort_sync_update changes its schedule, cohort_sync_drop drops it."));
    };
    store::tell(id, None)?;
    Ok(id)
}

/// Sets when a sync runs.
pub(crate) fn set_timing(sync: i64, timing: &Timing) -> Fallible<()> {
    let schedule = timing.schedule().map_err(|bad| store::bad_schedule(&bad))?;
    store::set_sync(
        sync,
        "frequency = $2, at = $3, timezone = $4, anchor = to_timestamp($5 / 1000000.0), due_at = to_timestamp($6 / 1000000.0)",
        vec![
            timing.frequency.clone().into(),
            timing.at.clone().into(),
            timing.timezone.clone().into(),
            timing.anchor.into(),
            schedule.next(timing.anchor).into(),
        ],
    )
}
