//! Who comes first, and who is left out: priority lists and suppressions.

use axum::extract::State;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::customers::AsOf;
use super::shapes::{Items, Place, Priority, Suppression};
use super::{Answer, Body, Path, Query, answer, change, check_version, retried, segment};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// A list of the view `v` as JSON.
macro_rules! priority_json {
    () => {
        "jsonb_build_object('name', v.list_name, 'cohorts', v.cohorts, 'owner', v.owner, 'created_at', v.created_at, \
         'updated_at', v.updated_at, 'syncs', v.syncs, \
         'editable', (SELECT kursaha_cohort.owns(p.owner) FROM kursaha_cohort.priority p WHERE p.name = v.list_name))"
    };
}

/// The `ETag` of a list is of its cohorts, their order, and its owner.
const SHOW: &str = concat!(
    "SELECT concat(p.priority_id, '-', left(md5(concat_ws('/', p.updated_at, v.owner, to_jsonb(v.cohorts))), 12)), ",
    priority_json!(),
    "::text FROM {s}.cohort_priority v JOIN kursaha_cohort.priority p ON p.name = v.list_name WHERE v.list_name = $1"
);

async fn row_of(work: &Work, name: &str) -> Fallible<tokio_postgres::Row> {
    work.row(SHOW, &[&name]).await?.ok_or_else(|| no_list(name))
}

async fn shown(work: &Work, name: &str) -> Fallible<Answer<Priority>> {
    let row = row_of(work, name).await?;
    Answer::new(row.try_get(1)?).etag(row.try_get(0)?)
}

/// Begins a change of a list. Where the request names a version, the list must have it, and keeps it until the change.
async fn begin(gateway: &Gateway, caller: &Caller, headers: &HeaderMap, name: &str) -> Fallible<Work> {
    if !headers.contains_key(IF_MATCH) && !headers.contains_key(IF_NONE_MATCH) {
        return gateway.database.begin(&caller.role, Mode::Write).await;
    }
    let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
    let row = row_of(&work, name).await?;
    check_version(headers, Some(row.try_get(0)?))?;
    Ok(work)
}

fn no_list(name: &str) -> Failure {
    Failure::not_found(format!("priority list \"{name}\" does not exist")).hint("GET /v1/priorities lists them.")
}

/// The priority lists, by name.
#[utoipa::path(get, path = "/v1/priorities", tag = "priorities",
    responses((status = 200, body = Items<Priority>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Items<Priority>>> {
    let sql = concat!(
        "SELECT jsonb_build_object('items', coalesce(jsonb_agg(",
        priority_json!(),
        " ORDER BY v.list_name COLLATE \"C\"), '[]'))::text FROM {s}.cohort_priority v"
    );
    answer(&gateway, &caller, Mode::Read, sql, &[]).await
}

/// A new list: a member of several of its cohorts counts for the first of them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPriority {
    name: String,
    cohorts: Vec<String>,
}

/// Makes a priority list.
#[utoipa::path(post, path = "/v1/priorities", tag = "priorities", request_body = NewPriority,
    responses((status = 201, body = Priority), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn add(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<NewPriority>,
) -> Fallible<Answer<Priority>> {
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    work.run("SELECT {s}.cohort_priority_create($1, $2)", &[&given.name, &given.cohorts]).await?;
    let answer = shown(&work, &given.name).await?;
    work.commit().await?;
    answer.created(&format!("/v1/priorities/{}", segment(&given.name)))
}

/// A priority list.
#[utoipa::path(get, path = "/v1/priorities/{name}", tag = "priorities", params(("name" = String, Path)),
    responses((status = 200, body = Priority), (status = 304), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Fallible<Answer<Priority>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let answer = shown(&work, &name).await?;
    work.commit().await?;
    Ok(answer.unless_known(&headers))
}

/// The cohorts of a list, the first before the others.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    cohorts: Vec<String>,
}

/// Gives a priority list other cohorts.
#[utoipa::path(put, path = "/v1/priorities/{name}", tag = "priorities", params(("name" = String, Path)), request_body = Order,
    responses((status = 200, body = Priority), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(given): Body<Order>,
) -> Fallible<Answer<Priority>> {
    retried(|| async {
        let work = begin(&gateway, &caller, &headers, &name).await?;
        work.run("SELECT {s}.cohort_priority_update($1, $2)", &[&name, &given.cohorts]).await?;
        let answer = shown(&work, &name).await?;
        work.commit().await?;
        Ok(answer)
    })
    .await
}

/// Removes a priority list.
#[utoipa::path(delete, path = "/v1/priorities/{name}", tag = "priorities", params(("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Fallible<StatusCode> {
    retried(|| async {
        let work = begin(&gateway, &caller, &headers, &name).await?;
        work.run("SELECT {s}.cohort_priority_drop($1)", &[&name]).await?;
        work.commit().await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// How many customers each cohort of a list has once those of the cohorts above it are left out.
#[utoipa::path(get, path = "/v1/priorities/{name}/waterfall", tag = "priorities", params(("name" = String, Path), AsOf),
    responses((status = 200, body = Items<Place>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn waterfall(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Items<Place>>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let sql = "SELECT jsonb_build_object('items', coalesce((SELECT jsonb_agg(jsonb_build_object('cohort', p.cohort, 'customers', \
                   (SELECT count(*) FROM fall f WHERE f.cohort = p.cohort)) ORDER BY p.place) \
                   FROM unnest(v.cohorts) WITH ORDINALITY p (cohort, place)), '[]'))::text \
               FROM {s}.cohort_priority v WHERE v.list_name = $1";
    let sql = format!(
        "WITH fall AS MATERIALIZED (SELECT w.cohort FROM {{s}}.cohort_waterfall((SELECT l.cohorts FROM {{s}}.cohort_priority l \
         WHERE l.list_name = $1), $2::text::timestamptz) w) {sql}"
    );
    shown(&work, &name).await?;
    let body = super::text(&work, &sql, &[&name, &at.as_of]).await?;
    work.commit().await?;
    Ok(Answer::new(body))
}

/// The cohorts whose members syncs leave out.
#[utoipa::path(get, path = "/v1/suppressions", tag = "suppressions",
    responses((status = 200, body = Items<Suppression>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn suppressions(
    State(gateway): State<Gateway>,
    caller: Caller,
) -> Fallible<Answer<Items<Suppression>>> {
    let sql = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(v) ORDER BY v.cohort COLLATE \"C\", \
                   v.destination COLLATE \"C\" NULLS FIRST), '[]'))::text FROM {s}.cohort_suppression v";
    answer(&gateway, &caller, Mode::Read, sql, &[]).await
}

/// A cohort whose members syncs leave out: those to one destination, or all.
#[derive(Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suppressed {
    cohort: String,
    destination: Option<String>,
}

/// Has syncs leave out the members of a cohort.
#[utoipa::path(post, path = "/v1/suppressions", tag = "suppressions", request_body = Suppressed,
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn suppress(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Suppressed>,
) -> Fallible<StatusCode> {
    change(&gateway, &caller, "SELECT {s}.cohort_suppress($1, $2)", &[&given.cohort, &given.destination]).await
}

/// Ends that.
#[utoipa::path(delete, path = "/v1/suppressions", tag = "suppressions", params(Suppressed),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn unsuppress(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(given): Query<Suppressed>,
) -> Fallible<StatusCode> {
    change(&gateway, &caller, "SELECT {s}.cohort_unsuppress($1, $2)", &[&given.cohort, &given.destination]).await
}
