//! Destinations: create, update, drop, test.

use cohort_core::destination;
use cohort_core::sync::SyncMove;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::{current_user, with_owners_rights};
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::{self, Snapshot};
use crate::pg::stamp;
use crate::sync::binding::Use;
use crate::sync::store::{self, MOVED, Place, moved};
use crate::sync::test;
use crate::wire::secret;

/// Checks a secret's reference against what the kind needs and who may use it.
fn check_secret(
    kind: &str,
    owner: &str,
    destination: &dyn destination::Destination,
    reference: Option<&str>,
) -> Fallible<()> {
    match (destination.secret(), reference) {
        (None, None) => Ok(()),
        (Some(_), Some(reference)) => {
            secret::check(reference)?;
            let use_of = Use { secret: reference, owner, kind, destination };
            // A name without a secret behind it may be somebody's secret one day: it is nobody's yet.
            if secret::exists(reference) { use_of.claim() } else { use_of.check() }
        }
        (None, Some(_)) => Err(invalid(format!("a destination of kind \"{kind}\" does not use a secret"))
            .set_hint("Omit the argument secret.")),
        (Some(what), None) => Err(invalid(format!("a destination of kind \"{kind}\" needs a secret: {what}"))
            .set_hint("Store it in a file in kursaha_cohort.secrets_dir and pass secret => 'file:NAME'.")),
    }
}

/// The name of the role that is to own a new destination.
fn owner_name() -> Fallible<String> {
    spi::one(Snapshot::Fresh, "SELECT current_user::text", &[], |row| row.need(1))
}

fn parse(config: &Jsonb) -> Fallible<serde_json::Value> {
    serde_json::from_str(&config.0).map_err(|_| {
        invalid("invalid destination: the configuration is nested too deeply")
            .set_hint("A configuration is an object of a few keys.")
    })
}

/// Makes a destination and gives its id.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_destination_create(
    name: Option<&str>,
    kind: Option<&str>,
    config: Option<Jsonb>,
    secret: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let (Some(name), Some(kind), Some(config)) = (name, kind, config) else { return Ok(None) };
    stamp::check_length("destination name", name)?;
    let parsed = parse(&config)?;
    let opened = destination::open(kind, &parsed).map_err(|bad| store::bad_config(&bad))?;
    check_secret(kind, &owner_name()?, &*opened, secret)?;
    let owner = current_user();
    let id = with_owners_rights(|| {
        spi::first(
            Snapshot::Fresh,
            "INSERT INTO kursaha_cohort.destination (name, kind, config, secret, owner) VALUES ($1, $2, $3, $4, kursaha_cohort.owner_of($5)) \
             ON CONFLICT (name) DO NOTHING RETURNING destination_id",
            &[name.into(), kind.into(), config.into(), secret.into(), owner.into()],
            |row| row.need::<i64>(1),
        )
    })?;
    id.map(Some).ok_or_else(|| {
        failure(SqlState::ERRCODE_UNIQUE_VIOLATION, format!("destination \"{name}\" already exists"))
            .set_hint("cohort_destination_update changes it, cohort_destination_drop removes it.")
    })
}

/// Changes a destination; what is NULL stays. Its syncs that waited for that go on.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_destination_update(
    name: Option<&str>,
    config: default!(Option<Jsonb>, "NULL"),
    secret: default!(Option<&str>, "NULL"),
) -> Result<Option<i64>, ErrorReport> {
    let Some(name) = name else { return Ok(None) };
    let place = store::get_own_place(name)?;
    let parsed = config.as_ref().map_or_else(|| Ok(place.config.clone()), parse)?;
    let opened = destination::open(&place.kind, &parsed).map_err(|bad| store::bad_config(&bad))?;
    let reference = secret.or(place.secret.as_deref());
    check_secret(&place.kind, &place.owner, &*opened, reference)?;
    // A configuration that an older version took and this one does not is left behind like another place.
    let moved_away = !place.open().is_ok_and(|before| before.place() == opened.place());
    let config = config.unwrap_or_else(|| Jsonb::from(&place.config));
    with_owners_rights(|| {
        spi::touch(
            "UPDATE kursaha_cohort.destination SET config = $2, secret = $3, version = version + 1, updated_at = now(), \
                 state = CASE WHEN $4 THEN '{}' ELSE state END WHERE destination_id = $1",
            &[place.id.into(), config.into(), reference.into(), moved_away.into()],
        )?;
        // Another place has nobody yet: everyone is sent there. Runs under way hold the row just changed while they record a
        // batch, so that no batch for the old place has a number from here on.
        let [from, to] = moved(SyncMove::ChangeDestination);
        spi::touch(
            &format!(
                "UPDATE kursaha_cohort.sync s SET again_below = \
                         CASE WHEN $4 THEN nextval('kursaha_cohort.sync_batch_batch_id_seq') ELSE s.again_below END, \
                     requested = CASE WHEN s.state = ANY ($2) THEN coalesce(s.requested, 'resume') ELSE s.requested END, {MOVED}, \
                     why = CASE WHEN s.state = ANY ($2) THEN NULL ELSE s.why END, \
                     hint = CASE WHEN s.state = ANY ($2) THEN NULL ELSE s.hint END, failures = 0 \
                 WHERE s.destination_id = $1"
            ),
            &[place.id.into(), from, to, moved_away.into()],
        )?;
        Ok(())
    })?;
    for sync in store::syncs_of(None, Some(place.id))? {
        store::tell(sync.id, None)?;
    }
    Ok(Some(place.id))
}

/// Removes a destination that no sync uses. What it keeps stays there.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_destination_drop(name: Option<&str>) -> Result<(), ErrorReport> {
    let Some(name) = name else { return Ok(()) };
    let place = store::get_own_place(name)?;
    with_owners_rights(|| {
        // Locked, so that no sync is made to it meanwhile.
        spi::touch("SELECT FROM kursaha_cohort.destination WHERE destination_id = $1 FOR UPDATE", &[place.id.into()])
    })?;
    let syncs = store::syncs_of(None, Some(place.id))?;
    if !syncs.is_empty() {
        let list: Vec<String> =
            syncs.iter().map(|sync| format!("cohort \"{}\" is synced to it", sync.cohort)).collect();
        return Err(failure(
            SqlState::ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST,
            format!("cannot drop destination \"{name}\" because cohorts are synced to it"),
        )
        .set_detail(list.join("\n"))
        .set_hint("cohort_sync_drop drops a sync."));
    }
    with_owners_rights(|| {
        spi::touch("DELETE FROM kursaha_cohort.destination WHERE destination_id = $1", &[place.id.into()])?;
        Ok(())
    })
}

/// Tries whether a destination works: its secret, its address, and what it says to a harmless request.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_destination_test(
    name: Option<&str>,
) -> Result<TableIterator<'static, (name!(step, String), name!(ok, bool), name!(detail, Option<String>))>, ErrorReport>
{
    let Some(name) = name else { return Ok(TableIterator::empty()) };
    let place: Place = store::get_place_to_operate(name)?;
    Ok(TableIterator::new(test(&place)?.into_iter().map(|step| (step.what, step.ok, step.detail))))
}
