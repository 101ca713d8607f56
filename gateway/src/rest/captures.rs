//! Captures: tables of the application whose rows become events or profiles.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::shapes::{Backfilled, Capture, Items};
use super::{Answer, Body, Query, answer, text};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// The captures, by table.
#[utoipa::path(get, path = "/v1/captures", tag = "data",
    responses((status = 200, body = Items<Capture>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Items<Capture>>> {
    let sql = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.source::text COLLATE \"C\", \
                   v.event_type COLLATE \"C\" NULLS FIRST), '[]'))::text FROM {s}.cohort_capture_status v";
    answer(&gateway, &caller, Mode::Read, sql, &[]).await
}

/// A table whose rows become events of a type, or profiles.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCapture {
    /// The table, with its schema.
    source: String,
    /// Null or absent: the rows are merged into profiles.
    event_type: Option<String>,
    customer_column: String,
    /// Of events.
    occurred_at_column: Option<String>,
    data_columns: Option<Vec<String>>,
    when_condition: Option<String>,
    on: Option<String>,
    timezone: Option<String>,
    /// Of events.
    backfill_within: Option<String>,
}

const EVENTS: &str = "SELECT {s}.cohort_capture($1::text::regclass, $2, $3::text::name, $4::text::name, $5::text[]::name[], $6, \
     coalesce($7, 'insert'), $8, coalesce($9::text::interval, '7 days'))";
const PROFILES: &str = "SELECT {s}.cohort_capture_profile($1::text::regclass, $2::text::name, $3::text[]::name[], $4, \
     coalesce($5, 'insert, update'), $6)";
const SHOW: &str = "SELECT to_jsonb(v)::text FROM {s}.cohort_capture_status v \
     WHERE v.source = $1::text::regclass AND v.event_type IS NOT DISTINCT FROM $2::text";

/// Begins a change of the captures of a table, which must exist.
async fn begin(gateway: &Gateway, caller: &Caller, source: &str) -> Fallible<Work> {
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    if work.text("SELECT to_regclass($1)::text", &[&source]).await?.is_none() {
        return Err(Failure::not_found(format!("table \"{source}\" does not exist"))
            .hint("source is the name of a table with its schema, such as public.orders."));
    }
    Ok(work)
}

/// Starts a capture.
#[utoipa::path(post, path = "/v1/captures", tag = "data", request_body = NewCapture,
    responses((status = 201, body = Capture), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn add(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(new): Body<NewCapture>,
) -> Fallible<Answer<Capture>> {
    let work = begin(&gateway, &caller, &new.source).await?;
    if new.event_type.is_some() {
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 9] = [
            &new.source,
            &new.event_type,
            &new.customer_column,
            &new.occurred_at_column,
            &new.data_columns,
            &new.when_condition,
            &new.on,
            &new.timezone,
            &new.backfill_within,
        ];
        work.run(EVENTS, &values).await?;
    } else {
        if new.occurred_at_column.is_some() || new.backfill_within.is_some() {
            return Err(Failure::bad_request("occurred_at_column and backfill_within require event_type")
                .hint("Rows that are merged into profiles have no time of their own."));
        }
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&new.source, &new.customer_column, &new.data_columns, &new.when_condition, &new.on, &new.timezone];
        work.run(PROFILES, &values).await?;
    }
    let body = text(&work, SHOW, &[&new.source, &new.event_type]).await?;
    work.commit().await?;
    Answer::new(body).created("/v1/captures")
}

/// A capture.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The table, with its schema.
    source: String,
    /// Absent: the capture of profiles.
    event_type: Option<String>,
}

/// Ends a capture; what it recorded stays.
#[utoipa::path(delete, path = "/v1/captures", tag = "data", params(Which),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<StatusCode> {
    let work = begin(&gateway, &caller, &which.source).await?;
    match &which.event_type {
        Some(event_type) => {
            work.run("SELECT {s}.cohort_release($1::text::regclass, $2)", &[&which.source, event_type]).await?;
        }
        None => work.run("SELECT {s}.cohort_release_profile($1::text::regclass)", &[&which.source]).await?,
    }
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rows older than a capture.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Older {
    source: String,
    /// Null or absent: the capture of profiles.
    event_type: Option<String>,
    /// The most rows of one request; repeat it until the response has 0. Of events.
    at_most: Option<i64>,
}

/// Records the rows that a table had before its capture, each once.
#[utoipa::path(post, path = "/v1/captures/backfill", tag = "data", request_body = Older,
    responses((status = 200, body = Backfilled), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn backfill(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(older): Body<Older>,
) -> Fallible<Answer<Backfilled>> {
    let work = begin(&gateway, &caller, &older.source).await?;
    let body = match &older.event_type {
        Some(event_type) => {
            let sql = "SELECT jsonb_build_object('rows', {s}.cohort_backfill($1::text::regclass, $2, $3))::text";
            text(&work, sql, &[&older.source, event_type, &older.at_most]).await?
        }
        None if older.at_most.is_some() => return Err(Failure::bad_request("at_most requires event_type")),
        None => {
            let sql = "SELECT jsonb_build_object('rows', {s}.cohort_backfill_profile($1::text::regclass))::text";
            text(&work, sql, &[&older.source]).await?
        }
    };
    work.commit().await?;
    Ok(Answer::new(body))
}
