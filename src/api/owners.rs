//! Changing the owner of cohorts, destinations and syncs.

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::databases::write;
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::query;
use crate::pg::spi::{self, Snapshot};
use crate::pg::store::{self as cohorts, not_owner, operates};
use crate::sync::setup::may_own_sync;
use crate::sync::store;

/// What one must be able to do with a role to give something to it: to act as it.
const ACT_AS: &str = if cfg!(feature = "pg15") { "MEMBER" } else { "SET" };

/// A role that is to own something, or to be acted as.
pub(super) struct Role {
    pub(super) oid: pg_sys::Oid,
    pub(super) name: String,
    /// Whether the current user may act as it.
    mine: bool,
}

impl Role {
    pub(super) fn find(name: &str) -> Fallible<Self> {
        let found = spi::first(
            Snapshot::Fresh,
            "SELECT r.oid, r.rolname::text, pg_has_role(r.oid, $2) FROM pg_catalog.pg_roles r WHERE r.rolname = $1",
            &[name.into(), ACT_AS.into()],
            |row| Ok(Self { oid: row.need(1)?, name: row.need(2)?, mine: row.need(3)? }),
        )?;
        found.ok_or_else(|| failure(SqlState::ERRCODE_UNDEFINED_OBJECT, format!("role \"{name}\" does not exist")))
    }

    /// Refuses a role that the current user may not act as.
    pub(super) fn must_be_mine(&self, why: &str) -> Fallible<()> {
        if self.mine {
            return Ok(());
        }
        Err(failure(SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE, format!("must be a member of role \"{}\"", self.name))
            .set_detail(why.to_owned())
            .set_hint(format!("GRANT \"{}\" to yourself, or ask a superuser to change the owner.", self.name)))
    }

    /// Refuses a role to which the current user may not give a cohort or destination that is owned as said.
    fn must_be_fit(&self, what: &str, is_owned: bool, owner: &str) -> Fallible<()> {
        if operates()? {
            return Ok(());
        }
        if !is_owned {
            return Err(not_owner(what, owner));
        }
        self.must_be_mine("An owner can choose roles of which it is a member. An operator can choose any role.")
    }
}

/// Hands a cohort over to another role.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_set_owner(name: Option<&str>, role: Option<&str>) -> Result<(), ErrorReport> {
    let (Some(name), Some(role)) = (name, role) else { return Ok(()) };
    cohorts::lock_definitions()?;
    let cohort = cohorts::get(Snapshot::Fresh, name)?;
    let role = Role::find(role)?;
    role.must_be_fit(&format!("cohort \"{name}\""), cohort.owned, &cohort.owner)?;
    if cohort.is_query {
        role.must_be_mine("The query of a cohort runs with the rights of the owner of the cohort, for every caller.")?;
        query::may_own(role.oid)?;
    }
    write(
        "UPDATE kursaha_cohort.cohort SET owner = kursaha_cohort.owner_of($2) WHERE cohort_id = $1",
        &[cohort.id.into(), role.oid.into()],
    )?;
    Ok(())
}

/// Hands a destination over to another role.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_destination_set_owner(name: Option<&str>, role: Option<&str>) -> Result<(), ErrorReport> {
    let (Some(name), Some(role)) = (name, role) else { return Ok(()) };
    let place = store::get_place(name)?;
    let role = Role::find(role)?;
    role.must_be_fit(&format!("destination \"{name}\""), place.owned, &place.owner)?;
    write(
        "UPDATE kursaha_cohort.destination SET owner = kursaha_cohort.owner_of($2) WHERE destination_id = $1",
        &[place.id.into(), role.oid.into()],
    )?;
    Ok(())
}

/// Hands a sync over to another role: its runs connect as that one from the next on.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_sync_set_owner(
    cohort: Option<&str>,
    destination: Option<&str>,
    role: Option<&str>,
) -> Result<(), ErrorReport> {
    let (Some(cohort), Some(destination), Some(role)) = (cohort, destination, role) else { return Ok(()) };
    let sync = store::get_sync_to_operate(cohort, destination)?;
    let role = Role::find(role)?;
    role.must_be_mine(
        "A sync's runs connect as its owner: they read customers and write tables with that role's rights.",
    )?;
    may_own_sync(role.oid)?;
    store::set_sync(sync.id, "owner = kursaha_cohort.owner_of($2)", vec![role.oid.into()])
}
