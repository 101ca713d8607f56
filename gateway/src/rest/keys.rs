//! API keys.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::shapes::{ApiKey, Items, NewKey};
use super::{Answer, Body, Path, answer, change};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

/// The keys of roles that the caller may act as.
#[utoipa::path(get, path = "/v1/api-keys", tag = "keys",
    responses((status = 200, body = Items<ApiKey>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Items<ApiKey>>> {
    let sql = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(k) ORDER BY k.label COLLATE \"C\"), '[]'))::text FROM {s}.cohort_api_key k";
    answer(&gateway, &caller, Mode::Read, sql, &[]).await
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    label: String,
    role: String,
    expires_at: Option<String>,
}

/// Makes a key, which is shown this once.
#[utoipa::path(post, path = "/v1/api-keys", tag = "keys", request_body = Wanted,
    responses((status = 201, body = NewKey), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn add(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Wanted>,
) -> Fallible<Answer<NewKey>> {
    let sql = "SELECT jsonb_build_object('key', {s}.cohort_api_key_create($1, $2, $3::text::timestamptz))::text";
    let made = answer(&gateway, &caller, Mode::Write, sql, &[&given.label, &given.role, &given.expires_at]).await?;
    made.created(&format!("/v1/api-keys/{}", super::segment(&given.label)))
}

/// Ends a key.
#[utoipa::path(delete, path = "/v1/api-keys/{label}", tag = "keys", params(("label" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn revoke(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(label): Path<String>,
) -> Fallible<StatusCode> {
    change(&gateway, &caller, "SELECT {s}.cohort_api_key_revoke($1)", &[&label]).await
}
