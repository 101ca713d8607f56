//! The caller of a request: the role of a key, of a session, or of a header that a proxy sets.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::problem::{Failure, Fallible};
use crate::serve::Gateway;
use crate::session;

/// What a role has set for itself of the extension's settings that any role may set. `SET ROLE` does not bring them.
macro_rules! settings_of {
    ($role:literal) => {
        concat!(
            "ARRAY(SELECT c.setting FROM (SELECT DISTINCT ON (split_part(u.setting, '=', 1)) u.setting \
             FROM pg_db_role_setting s CROSS JOIN unnest(s.setconfig) u (setting) \
             WHERE s.setrole = ",
            $role,
            " AND s.setdatabase IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) \
             AND split_part(u.setting, '=', 1) IN ('kursaha_cohort.profile_from_events', 'kursaha_cohort.engine', \
                 'kursaha_cohort.eval_memory', 'kursaha_cohort.history_retention') \
             ORDER BY split_part(u.setting, '=', 1), s.setdatabase DESC) c)"
        )
    };
}

/// A role that a request runs as.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) name: String,
    /// `name=value` each.
    pub(crate) settings: Vec<String>,
}

/// A role by its OID; none if it may not sign in any more.
pub(crate) const BY_OID: &str = concat!(
    "SELECT r.rolname::text, ",
    settings_of!("r.oid"),
    " FROM pg_roles r WHERE r.oid = $1 AND r.rolcanlogin AND NOT r.rolsuper \
     AND coalesce(r.rolvaliduntil, 'infinity') > now()"
);
/// A role by its name.
pub(crate) const BY_NAME: &str = concat!(
    "SELECT r.rolname::text, ",
    settings_of!("r.oid"),
    ", r.oid FROM pg_roles r WHERE r.rolname = $1::text::name AND NOT r.rolsuper"
);
const BY_KEY: &str = concat!(
    "SELECT k.role::text, ",
    settings_of!("(SELECT r.oid FROM pg_roles r WHERE r.rolname = k.role)"),
    " FROM kursaha_cohort.cohort_api_key_role($1) k (role) WHERE k.role IS NOT NULL"
);

/// A caller with a key or a session.
pub(crate) struct Caller {
    pub(crate) role: Role,
}

impl FromRequestParts<Gateway> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Fallible<Self> {
        if parts.headers.contains_key(AUTHORIZATION) {
            return Ok(Self { role: by_key(&parts.headers, gateway).await? });
        }
        let person = session::person(parts, gateway).await?;
        if !parts.method.is_safe() {
            let token = parts.headers.get("x-csrf-token").map_or(&b""[..], |value| value.as_bytes());
            if !bool::from(token.ct_eq(person.csrf.as_bytes())) {
                return Err(Failure::new(StatusCode::FORBIDDEN, "the header X-CSRF-Token is missing or wrong")
                    .hint("Send the value of csrf in the response of GET /v1/session."));
            }
        }
        Ok(Self { role: person.role })
    }
}

/// A caller with a key. A session is not accepted.
pub(crate) struct Program {
    pub(crate) role: Role,
}

impl FromRequestParts<Gateway> for Program {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, gateway: &Gateway) -> Fallible<Self> {
        Ok(Self { role: by_key(&parts.headers, gateway).await? })
    }
}

async fn by_key(headers: &HeaderMap, gateway: &Gateway) -> Fallible<Role> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else {
        return Err(no_key());
    };
    let key = value.to_str().ok().and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let Some(key) = key.filter(|key| key.starts_with("kck_") && key.len() <= 64) else {
        return Err(no_key());
    };
    let digest = Sha256::digest(key.as_bytes());
    let own = gateway.database.own().await?;
    let row = own.row(BY_KEY, &[&digest.as_slice()]).await?.ok_or_else(no_key)?;
    Ok(Role { name: row.try_get(0)?, settings: row.try_get(1)? })
}

fn no_key() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "no valid key")
        .hint("Send Authorization: Bearer with a key that cohort_api_key_create returned.")
}

/// Where a request comes from: the peer, or what a proxy that is believed says.
pub(crate) fn address(parts: &Parts, proxies: &[IpAddr]) -> IpAddr {
    let peer = peer(parts);
    if !proxies.contains(&peer) {
        return peer;
    }
    // The last entry is set by the proxy itself. The entries before it come from the client.
    let forwarded = parts.headers.get_all("x-forwarded-for").iter().next_back().and_then(|value| value.to_str().ok());
    // Before what is no address, or is not of a proxy, stands what whoever asked made up.
    let entries = forwarded.into_iter().flat_map(|value| value.rsplit(',')).map(|entry| entry.trim().parse().ok());
    let last: Option<Option<IpAddr>> =
        entries.into_iter().find(|entry| !entry.is_some_and(|entry| proxies.contains(&entry)));
    last.flatten().unwrap_or(peer)
}

pub(crate) fn peer(parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.ip().to_canonical())
}
