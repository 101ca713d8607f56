//! Destinations.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::shapes::{Destination, Items, Trial};
use super::{Answer, Body, Path, answer, change, check_version, retried, segment};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// A destination `d` of the table, `v` of the view, as JSON.
macro_rules! destination_json {
    () => {
        "(to_jsonb(v) || jsonb_build_object('editable', kursaha_cohort.owns(d.owner)))"
    };
}

/// What an `ETag` says of a destination `d`.
macro_rules! etag {
    () => {
        "concat(d.destination_id, '-', d.version, '-', left(md5(concat(d.updated_at, '/', d.owner::text)), 12))"
    };
}

macro_rules! from {
    () => {
        " FROM kursaha_cohort.destination d JOIN {s}.cohort_destination v USING (name)"
    };
}

const SHOW: &str = concat!("SELECT ", etag!(), ", ", destination_json!(), "::text", from!(), " WHERE d.name = $1");

async fn shown(work: &Work, name: &str) -> Fallible<Answer<Destination>> {
    let row = work.row(SHOW, &[&name]).await?.ok_or_else(|| no_destination(name))?;
    Answer::new(row.try_get(1)?).etag(row.try_get(0)?)
}

fn no_destination(name: &str) -> Failure {
    Failure::not_found(format!("destination \"{name}\" does not exist")).hint("GET /v1/destinations lists them.")
}

/// The destinations, by name.
#[utoipa::path(get, path = "/v1/destinations", tag = "destinations",
    responses((status = 200, body = Items<Destination>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Items<Destination>>> {
    let sql = concat!(
        "SELECT jsonb_build_object('items', coalesce(jsonb_agg(",
        destination_json!(),
        " ORDER BY d.name COLLATE \"C\"), '[]'))::text",
        from!()
    );
    answer(&gateway, &caller, Mode::Read, sql, &[]).await
}

/// A destination.
#[utoipa::path(get, path = "/v1/destinations/{name}", tag = "destinations", params(("name" = String, Path)),
    responses((status = 200, body = Destination), (status = 304), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Fallible<Answer<Destination>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let answer = shown(&work, &name).await?;
    work.commit().await?;
    Ok(answer.unless_known(&headers))
}

/// A new destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDestination {
    name: String,
    kind: String,
    #[schema(value_type = Object)]
    config: Box<RawValue>,
    /// A reference: `file:NAME` or `env:KURSAHA_SECRET_NAME`.
    secret: Option<String>,
}

/// Makes a destination.
#[utoipa::path(post, path = "/v1/destinations", tag = "destinations", request_body = NewDestination,
    responses((status = 201, body = Destination), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn add(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<NewDestination>,
) -> Fallible<Answer<Destination>> {
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    let sql = "SELECT {s}.cohort_destination_create($1, $2, $3::text::jsonb, $4)";
    work.run(sql, &[&given.name, &given.kind, &given.config.get(), &given.secret]).await?;
    let answer = shown(&work, &given.name).await?;
    work.commit().await?;
    answer.created(&format!("/v1/destinations/{}", segment(&given.name)))
}

/// What of a destination changes; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[schema(value_type = Option<Object>)]
    config: Option<Box<RawValue>>,
    secret: Option<String>,
}

/// Changes a destination.
#[utoipa::path(put, path = "/v1/destinations/{name}", tag = "destinations", params(("name" = String, Path)), request_body = Settings,
    responses((status = 200, body = Destination), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(given): Body<Settings>,
) -> Fallible<Answer<Destination>> {
    let config = given.config.as_ref().map(|config| config.get());
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [&name, &config, &given.secret];
    guarded(
        &gateway,
        &caller,
        &headers,
        &name,
        "SELECT {s}.cohort_destination_update($1, $2::text::jsonb, $3)",
        &values,
    )
    .await
}

/// A new owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    pub(crate) owner: String,
}

/// Hands a destination over.
#[utoipa::path(patch, path = "/v1/destinations/{name}", tag = "destinations", params(("name" = String, Path)), request_body = Owner,
    responses((status = 200, body = Destination), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn hand_over(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(given): Body<Owner>,
) -> Fallible<Answer<Destination>> {
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&name, &given.owner];
    guarded(&gateway, &caller, &headers, &name, "SELECT {s}.cohort_destination_set_owner($1, $2)", &values).await
}

async fn guarded(
    gateway: &Gateway,
    caller: &Caller,
    headers: &HeaderMap,
    name: &str,
    sql: &str,
    values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Fallible<Answer<Destination>> {
    retried(|| async {
        let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
        check(&work, headers, name).await?;
        work.run(sql, values).await?;
        let answer = shown(&work, name).await?;
        work.commit().await?;
        Ok(answer)
    })
    .await
}

async fn check(work: &Work, headers: &HeaderMap, name: &str) -> Fallible<()> {
    let row = work.row(SHOW, &[&name]).await?.ok_or_else(|| no_destination(name))?;
    check_version(headers, Some(row.try_get(0)?))
}

/// Removes a destination.
#[utoipa::path(delete, path = "/v1/destinations/{name}", tag = "destinations", params(("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Fallible<StatusCode> {
    if headers.contains_key(axum::http::header::IF_MATCH) {
        let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
        check(&work, &headers, &name).await?;
        work.run("SELECT {s}.cohort_destination_drop($1)", &[&name]).await?;
        work.commit().await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    change(&gateway, &caller, "SELECT {s}.cohort_destination_drop($1)", &[&name]).await
}

/// Tries whether a destination works.
#[utoipa::path(post, path = "/v1/destinations/{name}/test", tag = "destinations", params(("name" = String, Path)),
    responses((status = 200, body = Trial), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn test(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
) -> Fallible<Answer<Trial>> {
    let sql = "SELECT jsonb_build_object('ok', coalesce(bool_and(t.ok), false), 'items', coalesce(jsonb_agg(to_jsonb(t)), '[]'))::text \
               FROM {s}.cohort_destination_test($1) t";
    answer(&gateway, &caller, Mode::Write, sql, &[&name]).await
}
