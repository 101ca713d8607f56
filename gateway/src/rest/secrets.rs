//! Which destinations may use a secret. A secret itself is a file or an environment variable of the database server: no
//! request has one, and no response.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{Body, Query, change};
use crate::caller::Caller;
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

/// A binding of a secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binding {
    /// A reference: `file:NAME` or `env:KURSAHA_SECRET_NAME`.
    secret: String,
    /// Owners of destinations that may use it, and members of these roles.
    roles: Vec<String>,
    /// The kinds of destinations that may use it.
    kinds: Vec<String>,
    /// Null or absent: the API hosts of the kinds.
    hosts: Option<Vec<String>>,
}

/// Binds a secret to roles, kinds and hosts, instead of its previous binding.
#[utoipa::path(put, path = "/v1/secrets", tag = "destinations", request_body = Binding,
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Binding>,
) -> Fallible<StatusCode> {
    let sql = "SELECT {s}.cohort_secret_allow($1, $2, $3, $4)";
    change(&gateway, &caller, sql, &[&given.secret, &given.roles, &given.kinds, &given.hosts]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The reference.
    secret: String,
}

/// Withdraws a secret from all destinations until it is bound.
#[utoipa::path(delete, path = "/v1/secrets", tag = "destinations", params(Which),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<StatusCode> {
    change(&gateway, &caller, "SELECT {s}.cohort_secret_revoke($1)", &[&which.secret]).await
}
