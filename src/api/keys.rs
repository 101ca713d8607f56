//! API keys of the gateway.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use super::owners::Role;
use crate::pg::databases::{current_user, write};
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::spi::{self, Snapshot};

/// What every key begins with, so that one that is found in a repository or a log is known for what it is.
const PREFIX: &str = "kck_";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// How many digits 32 bytes have in base 62.
const LENGTH: usize = 43;
const LONGEST_LABEL: usize = 255;

/// A new key: 32 random bytes in base 62.
fn new_key() -> Fallible<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| {
        failure(SqlState::ERRCODE_INTERNAL_ERROR, format!("could not generate random bytes: {error}"))
    })?;
    let mut digits = [0; LENGTH];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut bytes {
            let number = rest * 256 + u32::from(*byte);
            // Less than 256: the remainder before it was less than 62.
            *byte = u8::try_from(number / 62).unwrap_or(0);
            rest = number % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    Ok(format!("{PREFIX}{}", String::from_utf8_lossy(&digits)))
}

/// Makes a key for a role that the caller may act as, and returns it this once.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_api_key_create(
    label: Option<&str>,
    role: Option<&str>,
    expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
) -> Result<Option<String>, ErrorReport> {
    let (Some(label), Some(role)) = (label, role) else { return Ok(None) };
    if label.is_empty() || label.chars().count() > LONGEST_LABEL {
        return Err(invalid(format!("the label of a key has 1 to {LONGEST_LABEL} characters"))
            .set_hint("Describe the purpose of the key, such as 'shop backend'."));
    }
    let role = Role::find(role)?;
    let facts = spi::one(
        Snapshot::Fresh,
        "SELECT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.oid = $1), coalesce($2 <= now(), false)",
        &[role.oid.into(), expires_at.into()],
        |row| Ok((row.need::<bool>(1)?, row.need::<bool>(2)?)),
    )?;
    if facts.0 {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("role \"{}\" is a superuser and cannot have API keys", role.name),
        )
        .set_hint("Create a role, and grant it the privilege set that the program needs with cohort_grant."));
    }
    if facts.1 {
        return Err(invalid("expires_at is in the past")
            .set_hint("Pass a time in the future, or NULL for a key that does not expire."));
    }
    role.must_be_mine("Requests with the key act as that role.")?;
    let key = new_key()?;
    let stored = write(
        "INSERT INTO kursaha_cohort.api_key (label, digest, role, created_by, expires_at) \
         VALUES ($1, sha256(convert_to($2, 'UTF8')), kursaha_cohort.owner_of($3), kursaha_cohort.owner_of($4), $5) \
         ON CONFLICT (label) DO NOTHING",
        &[label.into(), key.as_str().into(), role.oid.into(), current_user().into(), expires_at.into()],
    )?;
    if stored == 0 {
        return Err(failure(SqlState::ERRCODE_DUPLICATE_OBJECT, format!("API key \"{label}\" already exists"))
            .set_hint("Choose another label, or revoke that key with cohort_api_key_revoke."));
    }
    Ok(Some(key))
}

/// Ends a key.
#[pg_extern(volatile, parallel_unsafe)]
fn cohort_api_key_revoke(label: Option<&str>) -> Result<(), ErrorReport> {
    let Some(label) = label else { return Ok(()) };
    // The view shows what the caller may end. What is written is read again with the owner's rights.
    let schema = crate::pg::extension::served_schema()?;
    let found = spi::first(
        Snapshot::Fresh,
        &format!("SELECT label FROM {schema}.cohort_api_key WHERE label = $1"),
        &[label.into()],
        |row| row.need::<String>(1),
    )?;
    if found.is_none() {
        return Err(failure(
            SqlState::ERRCODE_UNDEFINED_OBJECT,
            format!("no API key \"{label}\" exists that you may revoke"),
        )
        .set_hint("The view cohort_api_key lists them."));
    }
    write("DELETE FROM kursaha_cohort.api_key WHERE label = $1", &[label.into()])?;
    Ok(())
}
