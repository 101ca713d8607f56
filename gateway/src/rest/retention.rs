//! How long events are kept.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::shapes::{Items, Retention};
use super::{Answer, Body, Query, answer, change, text};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

/// The retention policies; the one of types without their own policy comes first.
#[utoipa::path(get, path = "/v1/retention", tag = "data",
    responses((status = 200, body = Items<Retention>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Items<Retention>>> {
    let sql = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.event_type COLLATE \"C\" NULLS FIRST), '[]'))::text \
               FROM {s}.cohort_retention v";
    answer(&gateway, &caller, Mode::Read, sql, &[]).await
}

/// A retention policy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    /// Null or absent: every type without its own policy.
    event_type: Option<String>,
    /// An interval, such as `13 months`. Older events are deleted.
    keep: String,
}

/// Sets a retention policy.
#[utoipa::path(put, path = "/v1/retention", tag = "data", request_body = Policy,
    responses((status = 200, body = Retention), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Policy>,
) -> Fallible<Answer<Retention>> {
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    work.run("SELECT {s}.cohort_retain($1::text::interval, $2)", &[&given.keep, &given.event_type]).await?;
    let sql = "SELECT to_jsonb(v)::text FROM {s}.cohort_retention v WHERE v.event_type IS NOT DISTINCT FROM $1::text";
    let body = text(&work, sql, &[&given.event_type]).await?;
    work.commit().await?;
    Ok(Answer::new(body))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Absent: the policy of every type without its own.
    event_type: Option<String>,
}

/// Removes a retention policy.
#[utoipa::path(delete, path = "/v1/retention", tag = "data", params(Which),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<StatusCode> {
    change(&gateway, &caller, "SELECT {s}.cohort_retain(NULL, $1)", &[&which.event_type]).await
}
