//! Customers.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::shapes::{ChangeOfCustomer, Customer, CustomerWithEvents, Forgotten, Items, Page};
use super::{Answer, Body, Path, Query, answer, change, cursor, limit, paged};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// The beginning of an id.
    search: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

/// Customers with a profile, in byte order of their ids.
#[utoipa::path(get, path = "/v1/customers", tag = "data", params(Which),
    responses((status = 200, body = Page<Customer>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<Answer<Page<Customer>>> {
    let limit = limit(which.limit, 1000)?;
    paged(
        &gateway,
        &caller,
        "SELECT c.customer_id, jsonb_build_object('customer_id', c.customer_id, 'profile', c.profile, 'created_at', c.created_at, \
                'updated_at', c.updated_at)::text \
         FROM {s}.cohort_customer c \
         WHERE ($1::text IS NULL OR c.customer_id COLLATE \"C\" > $1) AND ($2::text IS NULL OR starts_with(c.customer_id, $2)) \
         ORDER BY c.customer_id COLLATE \"C\" LIMIT $3",
        &[&which.after, &which.search, &(limit + 1)],
        limit,
    )
    .await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<i64>,
    after: Option<String>,
}

/// A customer's profile and latest events.
#[utoipa::path(get, path = "/v1/customers/{id}", tag = "data", params(("id" = String, Path), Paging),
    responses((status = 200, body = CustomerWithEvents), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Fallible<Answer<CustomerWithEvents>> {
    let limit = limit(paging.limit, 1000)?;
    let (before, last): (String, i64) =
        cursor(paging.after.as_deref())?.unwrap_or_else(|| ("infinity".to_owned(), i64::MAX));
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let body = work
        .text(
            "WITH page AS (SELECT e.* FROM {s}.cohort_event e WHERE e.customer_id = $1 \
                 AND (e.occurred_at, e.event_id) < ($2::text::timestamptz, $3) \
                 ORDER BY e.occurred_at DESC, e.event_id DESC LIMIT $4::bigint + 1), \
             shown AS (SELECT p.* FROM page p ORDER BY p.occurred_at DESC, p.event_id DESC LIMIT $4::bigint) \
             SELECT jsonb_build_object('customer_id', $1, 'profile', c.profile, 'created_at', c.created_at, 'updated_at', c.updated_at, \
                 'events', (SELECT coalesce(jsonb_agg(jsonb_build_object('event_id', s.event_id, 'customer_id', s.customer_id, \
                      'event_type', s.event_type, 'occurred_at', s.occurred_at, 'data', s.data) ORDER BY s.occurred_at DESC, s.event_id DESC), '[]') FROM shown s), \
                 'next', CASE WHEN (SELECT count(*) FROM page) > $4::bigint THEN (SELECT jsonb_build_array(s.occurred_at, s.event_id)::text \
                      FROM shown s ORDER BY s.occurred_at, s.event_id LIMIT 1) END)::text \
             FROM (SELECT) nothing LEFT JOIN {s}.cohort_customer c ON c.customer_id = $1 \
             WHERE c.customer_id IS NOT NULL OR EXISTS (SELECT FROM {s}.cohort_event e WHERE e.customer_id = $1)",
            &[&id, &before, &last, &limit],
        )
        .await?
        .ok_or_else(|| Failure::not_found("the customer does not exist"))?;
    work.commit().await?;
    Ok(Answer::new(body))
}

/// What is known of a customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    #[schema(value_type = Object)]
    profile: Box<RawValue>,
}

/// Merges into a customer's profile; a key set to null is removed.
#[utoipa::path(put, path = "/v1/customers/{id}", tag = "data", params(("id" = String, Path)), request_body = Profile,
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn merge(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    Body(given): Body<Profile>,
) -> Fallible<StatusCode> {
    let sql = "SELECT {s}.cohort_identify($1::text, $2::text::jsonb)";
    change(&gateway, &caller, sql, &[&id, &given.profile.get()]).await
}

/// Erases a customer.
#[utoipa::path(delete, path = "/v1/customers/{id}", tag = "data", params(("id" = String, Path)),
    responses((status = 200, body = Forgotten), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn forget(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
) -> Fallible<Answer<Forgotten>> {
    let sql = "SELECT to_jsonb(f)::text FROM {s}.cohort_forget($1::text) f";
    answer(&gateway, &caller, Mode::Write, sql, &[&id]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsOf {
    pub(crate) as_of: Option<String>,
}

/// The saved cohorts that a customer is in.
#[utoipa::path(get, path = "/v1/customers/{id}/cohorts", tag = "data", params(("id" = String, Path), AsOf),
    responses((status = 200, body = Items<String>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn cohorts(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Items<String>>> {
    let sql = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(o.cohort ORDER BY o.cohort COLLATE \"C\"), '[]'))::text \
               FROM {s}.cohort_of($1::text, $2::text::timestamptz) o";
    answer(&gateway, &caller, Mode::Read, sql, &[&id, &at.as_of]).await
}

/// The cohorts that a customer entered and exited, by refreshes, newest first.
#[utoipa::path(get, path = "/v1/customers/{id}/changes", tag = "data", params(("id" = String, Path), Paging),
    responses((status = 200, body = Page<ChangeOfCustomer>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn changes(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(id): Path<String>,
    Query(paging): Query<Paging>,
) -> Fallible<Answer<Page<ChangeOfCustomer>>> {
    let limit = limit(paging.limit, 1000)?;
    let (before, last): (String, i64) =
        cursor(paging.after.as_deref())?.unwrap_or_else(|| ("infinity".to_owned(), i64::MAX));
    paged(
        &gateway,
        &caller,
        "SELECT jsonb_build_array(r.refreshed_at, r.refresh_id)::text, jsonb_build_object('cohort', c.name, \
                'change', CASE WHEN m.entered THEN 'entered' ELSE 'exited' END, 'changed_at', r.refreshed_at)::text \
         FROM kursaha_cohort.readable_change m JOIN kursaha_cohort.refresh r USING (refresh_id) JOIN kursaha_cohort.cohort c USING (cohort_id) \
         WHERE m.customer_id = $1 AND (r.refreshed_at, r.refresh_id) < ($2::text::timestamptz, $3) \
         ORDER BY r.refreshed_at DESC, r.refresh_id DESC LIMIT $4",
        &[&id, &before, &last, &(limit + 1)],
        limit,
    )
    .await
}
