//! Events, their types and properties.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::shapes::{Event, EventType, Items, Page, Stored};
use super::{Answer, Body, Path, Query, Text, answer, change, cursor, limit, paged};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

pub(crate) const STORE: &str = "SELECT jsonb_build_object('stored', b.stored, 'duplicates', b.duplicates)::text FROM {s}.cohort_track_batch($1::text::jsonb) b";

/// Stores events, all or none.
#[utoipa::path(post, path = "/v1/events", tag = "data", request_body = serde_json::Value,
    responses((status = 200, body = Stored), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn store(
    State(gateway): State<Gateway>,
    caller: Caller,
    Text(body): Text,
) -> Fallible<Answer<Stored>> {
    let payload = crate::kursaha::payload(&body)?;
    answer(&gateway, &caller, Mode::Write, STORE, &[&payload]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    customer_id: Option<String>,
    event_type: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

/// Events, newest first.
#[utoipa::path(get, path = "/v1/events", tag = "data", params(Which),
    responses((status = 200, body = Page<Event>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<Answer<Page<Event>>> {
    let limit = limit(which.limit, 1000)?;
    let before: i64 = cursor(which.after.as_deref())?.unwrap_or(i64::MAX);
    paged(
        &gateway,
        &caller,
        "SELECT e.event_id::text, jsonb_build_object('event_id', e.event_id, 'customer_id', e.customer_id, 'event_type', e.event_type, \
                'occurred_at', e.occurred_at, 'data', e.data)::text \
         FROM {s}.cohort_event e \
         WHERE e.event_id < $1 AND ($2::text IS NULL OR e.customer_id = $2) AND ($3::text IS NULL OR e.event_type = $3) \
         ORDER BY e.event_id DESC LIMIT $4",
        &[&before, &which.customer_id, &which.event_type, &(limit + 1)],
        limit,
    )
    .await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Days {
    /// How many days are counted, up to today: 0 to 31.
    #[param(minimum = 0, maximum = 31)]
    days: Option<i32>,
}

/// The types of events, with exact counts from the index.
#[utoipa::path(get, path = "/v1/event-types", tag = "data", params(Days),
    responses((status = 200, body = Items<EventType>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn types(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(days): Query<Days>,
) -> Fallible<Answer<Items<EventType>>> {
    let days = days.days.unwrap_or(14);
    if !(0..=31).contains(&days) {
        return Err(Failure::bad_request("days must be 0 to 31"));
    }
    answer(
        &gateway,
        &caller,
        Mode::Read,
        "SELECT jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('event_type', t.event_type, 'description', t.description, \
             'customers', x.customers, 'events', x.events, 'days', d.days) ORDER BY t.event_type COLLATE \"C\"), '[]'))::text \
         FROM {s}.cohort_event_type t \
         CROSS JOIN LATERAL (SELECT c.customers, coalesce(c.events, 0) AS events \
             FROM {s}.cohort_explain(jsonb_build_object('did', t.event_type)) c WHERE c.path = '$') x \
         CROSS JOIN LATERAL (SELECT coalesce(jsonb_agg(jsonb_build_object('day', day.name, 'events', coalesce(c.events, 0)) ORDER BY day.name), '[]') AS days \
             FROM (SELECT to_char((now() AT TIME ZONE 'UTC')::date - n, 'YYYY-MM-DD') AS name FROM generate_series(0, $1::integer - 1) n) day \
             CROSS JOIN LATERAL {s}.cohort_explain(jsonb_build_object('did', t.event_type, 'time', jsonb_build_object('between', jsonb_build_array(day.name, day.name)))) c \
             WHERE c.path = '$') d",
        &[&days],
    )
    .await
}

/// What an event says, for people.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    description: Option<String>,
}

/// Describes a type of events.
#[utoipa::path(put, path = "/v1/event-types/{type}", tag = "data", params(("type" = String, Path)), request_body = Description,
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn describe(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(event_type): Path<String>,
    Body(given): Body<Description>,
) -> Fallible<StatusCode> {
    let sql = "INSERT INTO {s}.cohort_event_type (event_type, description) VALUES ($1, $2)";
    change(&gateway, &caller, sql, &[&event_type, &given.description]).await
}
