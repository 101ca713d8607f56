//! Bindings of secrets: the roles, kinds and hosts that may use them.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::sync::binding;

/// The texts of an array without nulls.
fn texts(what: &str, given: Option<Vec<Option<String>>>) -> Fallible<Vec<String>> {
    given
        .unwrap_or_default()
        .into_iter()
        .collect::<Option<Vec<String>>>()
        .ok_or_else(|| failure(SqlState::ERRCODE_NULL_VALUE_NOT_ALLOWED, format!("{what} must not contain NULL")))
}

/// Lets destinations of some roles and kinds use a secret, at some hosts: those, and no others.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_secret_allow(
    secret: Option<&str>,
    roles: Option<Vec<Option<String>>>,
    kinds: Option<Vec<Option<String>>>,
    hosts: default!(Option<Vec<Option<String>>>, "NULL"),
) -> Result<(), ErrorReport> {
    let Some(secret) = secret else { return Ok(()) };
    let (roles, kinds) = (texts("roles", roles)?, texts("kinds", kinds)?);
    if roles.is_empty() || kinds.is_empty() {
        return Err(invalid("the lists of roles and kinds must not be empty")
            .set_hint("cohort_secret_revoke withdraws it from everyone."));
    }
    binding::allow(secret, &roles, &kinds, &texts("hosts", hosts)?)
}

/// Lets no destination use a secret until `cohort_secret_allow` says which.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_secret_revoke(secret: Option<&str>) -> Result<(), ErrorReport> {
    let Some(secret) = secret else { return Ok(()) };
    binding::allow(secret, &[], &[], &[])
}
