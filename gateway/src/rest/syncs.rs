//! Syncs and their runs.

use axum::extract::{FromRequest, State};
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::destinations::Owner;
use super::shapes::{Items, Message, Page, Rejected, Sync, SyncPreview};
use super::{
    Answer, Body, Path, Query, Text, answer, check_version, cursor, limit, malformed, paged, retried, segment,
};
use crate::caller::Caller;
use crate::database::{Mode, Values, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// A sync of the view `v` as JSON.
macro_rules! sync_json {
    () => {
        "(to_jsonb(v) || jsonb_build_object('editable', (SELECT kursaha_cohort.owns(s.owner) FROM kursaha_cohort.sync s WHERE s.sync_id = v.sync_id)))"
    };
}

/// The `ETag` of a sync is of its schedule, priority list and owner, not of its state.
const SHOW: &str = concat!(
    "SELECT concat(v.sync_id, '-', left(md5(concat_ws('/', v.frequency, coalesce(v.at, '-'), v.timezone, v.owner, v.priority)), 12)), ",
    sync_json!(),
    "::text FROM {s}.cohort_sync_status v WHERE v.cohort = $1 AND v.destination = $2"
);

async fn row_of(work: &Work, cohort: &str, destination: &str) -> Fallible<tokio_postgres::Row> {
    work.row(SHOW, &[&cohort, &destination]).await?.ok_or_else(|| {
        Failure::not_found(format!("cohort \"{cohort}\" is not synced to \"{destination}\""))
            .hint("GET /v1/syncs lists the syncs.")
    })
}

async fn shown(work: &Work, cohort: &str, destination: &str) -> Fallible<Answer<Sync>> {
    let row = row_of(work, cohort, destination).await?;
    Answer::new(row.try_get(1)?).etag(row.try_get(0)?)
}

/// Begins a change of a sync. Where the request names a version, the sync must have it, and keeps it until the change.
async fn begin(gateway: &Gateway, caller: &Caller, headers: &HeaderMap, place: &(String, String)) -> Fallible<Work> {
    if !headers.contains_key(IF_MATCH) && !headers.contains_key(IF_NONE_MATCH) {
        return gateway.database.begin(&caller.role, Mode::Write).await;
    }
    let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
    let row = row_of(&work, &place.0, &place.1).await?;
    check_version(headers, Some(row.try_get(0)?))?;
    Ok(work)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    cohort: Option<String>,
    destination: Option<String>,
}

/// The syncs.
#[utoipa::path(get, path = "/v1/syncs", tag = "syncs", params(Which),
    responses((status = 200, body = Items<Sync>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<Answer<Items<Sync>>> {
    let sql = concat!(
        "SELECT jsonb_build_object('items', coalesce(jsonb_agg(",
        sync_json!(),
        " ORDER BY v.cohort COLLATE \"C\", v.destination COLLATE \"C\"), '[]'))::text FROM {s}.cohort_sync_status v \
         WHERE ($1::text IS NULL OR v.cohort = $1) AND ($2::text IS NULL OR v.destination = $2)"
    );
    answer(&gateway, &caller, Mode::Read, sql, &[&which.cohort, &which.destination]).await
}

/// A new sync.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSync {
    cohort: String,
    destination: String,
    frequency: Option<String>,
    at: Option<String>,
    timezone: Option<String>,
    /// The priority list that it follows.
    priority: Option<String>,
}

/// Keeps a cohort at a destination.
#[utoipa::path(post, path = "/v1/syncs", tag = "syncs", request_body = NewSync,
    responses((status = 201, body = Sync), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn add(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<NewSync>,
) -> Fallible<Answer<Sync>> {
    let NewSync { cohort, destination, frequency, at, timezone, priority } = given;
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    let sql = "SELECT {s}.cohort_sync_create($1, $2, frequency => coalesce($3, 'daily'), at => $4, timezone => coalesce($5, 'UTC'), priority => $6)";
    work.run(sql, &[&cohort, &destination, &frequency, &at, &timezone, &priority]).await?;
    let answer = shown(&work, &cohort, &destination).await?;
    work.commit().await?;
    answer.created(&format!("/v1/syncs/{}/{}", segment(&cohort), segment(&destination)))
}

/// A sync.
#[utoipa::path(get, path = "/v1/syncs/{cohort}/{destination}", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    responses((status = 200, body = Sync), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((cohort, destination)): Path<(String, String)>,
) -> Fallible<Answer<Sync>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let answer = shown(&work, &cohort, &destination).await?;
    work.commit().await?;
    Ok(answer)
}

/// When a sync runs.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Schedule {
    frequency: Option<String>,
    at: Option<String>,
    timezone: Option<String>,
    /// The priority list that it follows.
    priority: Option<String>,
}

/// Changes a sync and shows it.
async fn changed(
    gateway: &Gateway,
    caller: &Caller,
    headers: &HeaderMap,
    place: &(String, String),
    sql: &str,
    values: Values<'_>,
) -> Fallible<Answer<Sync>> {
    retried(|| async {
        let work = begin(gateway, caller, headers, place).await?;
        work.run(sql, values).await?;
        let answer = shown(&work, &place.0, &place.1).await?;
        work.commit().await?;
        Ok(answer)
    })
    .await
}

/// Changes when a sync runs; with a frequency, at is as given, without one what is left out stays.
#[utoipa::path(put, path = "/v1/syncs/{cohort}/{destination}", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    request_body = Schedule,
    responses((status = 200, body = Sync), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
    Body(given): Body<Schedule>,
) -> Fallible<Answer<Sync>> {
    let sql = "SELECT {s}.cohort_sync_update($1, $2, frequency => $3, at => $4, timezone => $5, priority => $6)";
    changed(
        &gateway,
        &caller,
        &headers,
        &place,
        sql,
        &[&place.0, &place.1, &given.frequency, &given.at, &given.timezone, &given.priority],
    )
    .await
}

/// Hands a sync over.
#[utoipa::path(patch, path = "/v1/syncs/{cohort}/{destination}", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    request_body = Owner,
    responses((status = 200, body = Sync), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn hand_over(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
    Body(given): Body<Owner>,
) -> Fallible<Answer<Sync>> {
    let sql = "SELECT {s}.cohort_sync_set_owner($1, $2, $3)";
    changed(&gateway, &caller, &headers, &place, sql, &[&place.0, &place.1, &given.owner]).await
}

/// Ends a sync; what the destination has stays there.
#[utoipa::path(delete, path = "/v1/syncs/{cohort}/{destination}", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(place): Path<(String, String)>,
) -> Fallible<StatusCode> {
    retried(|| async {
        let work = begin(&gateway, &caller, &headers, &place).await?;
        work.run("SELECT {s}.cohort_sync_drop($1, $2)", &[&place.0, &place.1]).await?;
        work.commit().await?;
        Ok(StatusCode::NO_CONTENT)
    })
    .await
}

/// What a run would do now; sends nothing.
#[utoipa::path(post, path = "/v1/syncs/{cohort}/{destination}/preview", tag = "syncs",
    params(("cohort" = String, Path), ("destination" = String, Path)),
    responses((status = 200, body = SyncPreview), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn preview(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((cohort, destination)): Path<(String, String)>,
) -> Fallible<Answer<SyncPreview>> {
    let sql = "SELECT to_jsonb(p)::text FROM {s}.cohort_sync_preview($1, $2) p";
    answer(&gateway, &caller, Mode::Write, sql, &[&cohort, &destination]).await
}

/// Whether a run may pass the guards.
#[derive(Deserialize, ToSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Force {
    force: Option<bool>,
}

/// Asks for a run out of turn.
#[utoipa::path(post, path = "/v1/syncs/{cohort}/{destination}/now", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    request_body = Option<Force>,
    responses((status = 200, body = Message), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn now(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((cohort, destination)): Path<(String, String)>,
    request: axum::extract::Request,
) -> Fallible<Answer<Message>> {
    let force = if request.headers().contains_key(axum::http::header::CONTENT_TYPE) {
        let Text(text) = Text::from_request(request, &gateway).await?;
        if text.trim().is_empty() {
            Force::default()
        } else {
            serde_json::from_str::<Force>(&text).map_err(|error| malformed(&error))?
        }
    } else {
        Force::default()
    };
    let sql = "SELECT jsonb_build_object('message', {s}.cohort_sync_now($1, $2, $3))::text";
    answer(&gateway, &caller, Mode::Write, sql, &[&cohort, &destination, &force.force.unwrap_or(false)]).await
}

/// Keeps a sync from running.
#[utoipa::path(post, path = "/v1/syncs/{cohort}/{destination}/pause", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    responses((status = 200, body = Sync), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn pause(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(place): Path<(String, String)>,
) -> Fallible<Answer<Sync>> {
    let any = HeaderMap::new();
    changed(&gateway, &caller, &any, &place, "SELECT {s}.cohort_sync_pause($1, $2)", &[&place.0, &place.1]).await
}

/// Lets a sync run again.
#[utoipa::path(post, path = "/v1/syncs/{cohort}/{destination}/resume", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    responses((status = 200, body = Sync), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn resume(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(place): Path<(String, String)>,
) -> Fallible<Answer<Sync>> {
    let any = HeaderMap::new();
    changed(&gateway, &caller, &any, &place, "SELECT {s}.cohort_sync_resume($1, $2)", &[&place.0, &place.1]).await
}

/// Asks for a run that sends every member again.
#[utoipa::path(post, path = "/v1/syncs/{cohort}/{destination}/resync", tag = "syncs", params(("cohort" = String, Path), ("destination" = String, Path)),
    responses((status = 200, body = Message), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn resync(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((cohort, destination)): Path<(String, String)>,
) -> Fallible<Answer<Message>> {
    let sql = "SELECT jsonb_build_object('message', {s}.cohort_sync_resync($1, $2))::text";
    answer(&gateway, &caller, Mode::Write, sql, &[&cohort, &destination]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<i64>,
    after: Option<String>,
}

/// Members that the destination refused, newest first.
#[utoipa::path(get, path = "/v1/syncs/{cohort}/{destination}/rejected", tag = "syncs",
    params(("cohort" = String, Path), ("destination" = String, Path), Paging),
    responses((status = 200, body = Page<Rejected>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn rejected(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((cohort, destination)): Path<(String, String)>,
    Query(paging): Query<Paging>,
) -> Fallible<Answer<Page<Rejected>>> {
    let limit = limit(paging.limit, 1000)?;
    let (before, last): (String, String) =
        cursor(paging.after.as_deref())?.unwrap_or_else(|| ("infinity".to_owned(), String::new()));
    paged(
        &gateway,
        &caller,
        "SELECT jsonb_build_array(r.rejected_at, r.customer_id)::text, \
                jsonb_build_object('customer_id', r.customer_id, 'reason', r.reason, 'run_id', r.run_id, 'rejected_at', r.rejected_at)::text \
         FROM {s}.cohort_sync_rejected r WHERE r.cohort = $1 AND r.destination = $2 \
           AND (r.rejected_at < $3::text::timestamptz OR r.rejected_at = $3::text::timestamptz AND r.customer_id COLLATE \"C\" > $4) \
         ORDER BY r.rejected_at DESC, r.customer_id COLLATE \"C\" LIMIT $5",
        &[&cohort, &destination, &before, &last, &(limit + 1)],
        limit,
    )
    .await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhichRuns {
    cohort: Option<String>,
    destination: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

/// The runs of syncs, newest first.
#[utoipa::path(get, path = "/v1/sync-runs", tag = "syncs", params(WhichRuns),
    responses((status = 200, body = Page<serde_json::Value>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn runs(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<WhichRuns>,
) -> Fallible<Answer<Page<serde_json::Value>>> {
    let limit = limit(which.limit, 1000)?;
    let before: i64 = cursor(which.after.as_deref())?.unwrap_or(i64::MAX);
    paged(
        &gateway,
        &caller,
        "SELECT r.run_id::text, to_jsonb(r)::text FROM {s}.cohort_sync_run r \
             WHERE r.run_id < $1 AND ($2::text IS NULL OR r.cohort = $2) AND ($3::text IS NULL OR r.destination = $3) \
             ORDER BY r.run_id DESC LIMIT $4",
        &[&before, &which.cohort, &which.destination, &(limit + 1)],
        limit,
    )
    .await
}
