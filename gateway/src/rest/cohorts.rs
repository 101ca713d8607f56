//! Saved cohorts: their definitions.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::customers::AsOf;
use super::shapes::{Cohort, Page, Refreshed};
use super::{Answer, Body, Path, Query, answer, check_version, limit, paged, retried, segment};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// A cohort `c` as JSON; `$1` says whether its members are counted now.
macro_rules! cohort_json {
    () => {
        "jsonb_build_object('name', c.name, 'kind', (SELECT d.kind FROM {s}.cohort_definition d WHERE d.cohort_id = c.cohort_id), 'description', c.description, \
         'rule', c.rule, 'version', c.version, 'owner', c.owner::text, 'editable', kursaha_cohort.owns(c.owner), \
         'created_at', c.created_at, 'updated_at', c.updated_at, 'size', c.size, \
         'size_now', CASE WHEN $1::boolean THEN {s}.cohort_count(c.name) END, 'refreshed_at', c.refreshed_at, \
         'entered', (SELECT h.entered FROM {s}.cohort_history(c.name) h LIMIT 1), \
         'exited', (SELECT h.exited FROM {s}.cohort_history(c.name) h LIMIT 1), \
         'history', (SELECT coalesce(jsonb_agg(jsonb_build_object('at', h.refreshed_at, 'size', h.size) ORDER BY h.refreshed_at), '[]') \
             FROM (SELECT * FROM {s}.cohort_history(c.name) LIMIT 30) h), \
         'used_by', (SELECT coalesce(jsonb_agg(u.name ORDER BY u.name COLLATE \"C\"), '[]') FROM kursaha_cohort.reference r \
             JOIN kursaha_cohort.cohort u USING (cohort_id) WHERE r.referenced_id = c.cohort_id), \
         'syncs', (SELECT coalesce(jsonb_agg(jsonb_build_object('destination', s.destination, 'state', s.state, 'why', s.why, \
             'next_run', s.next_run) ORDER BY s.destination COLLATE \"C\"), '[]') FROM {s}.cohort_sync_status s WHERE s.cohort = c.name))::text"
    };
}

/// What an `ETag` says of a cohort `c`.
macro_rules! etag {
    () => {
        "concat(c.cohort_id, '-', c.version, '-', (extract(epoch FROM c.updated_at) * 1000000)::bigint, '-', left(md5(concat(c.name, '/', c.owner::text)), 8))"
    };
}

const SHOW: &str = concat!("SELECT ", etag!(), ", ", cohort_json!(), " FROM kursaha_cohort.cohort c WHERE c.name = $2");
const PRESENT: &str = concat!("SELECT ", etag!(), " FROM kursaha_cohort.cohort c WHERE c.name = $1");

/// The cohort of a name as a response with its `ETag`.
async fn shown(work: &Work, name: &str) -> Fallible<Answer<Cohort>> {
    let row = work.row(SHOW, &[&false, &name]).await?.ok_or_else(|| no_cohort(name))?;
    Answer::new(row.try_get(1)?).etag(row.try_get(0)?)
}

fn no_cohort(name: &str) -> Failure {
    Failure::not_found(format!("cohort \"{name}\" does not exist")).hint("GET /v1/cohorts lists the saved cohorts.")
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// A part of the name, in any case.
    search: Option<String>,
    /// Whether members are counted now.
    now: Option<bool>,
    limit: Option<i64>,
    after: Option<String>,
}

/// The saved cohorts, by name.
#[utoipa::path(get, path = "/v1/cohorts", tag = "cohorts", params(Which),
    responses((status = 200, body = Page<Cohort>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<Answer<Page<Cohort>>> {
    let now = which.now.unwrap_or(false);
    let limit = limit(which.limit, if now { 100 } else { 1000 })?;
    paged(
        &gateway,
        &caller,
        concat!(
            "SELECT c.name, ",
            cohort_json!(),
            " FROM (SELECT * FROM kursaha_cohort.cohort c \
               WHERE ($2::text IS NULL OR c.name COLLATE \"C\" > $2) AND ($3::text IS NULL OR strpos(lower(c.name), lower($3)) > 0) \
               ORDER BY c.name COLLATE \"C\" LIMIT $4) c ORDER BY c.name COLLATE \"C\""
        ),
        &[&now, &which.after, &which.search, &(limit + 1)],
        limit,
    )
    .await
}

/// A saved cohort.
#[utoipa::path(get, path = "/v1/cohorts/{name}", tag = "cohorts", params(("name" = String, Path)),
    responses((status = 200, body = Cohort), (status = 304), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Fallible<Answer<Cohort>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let answer = shown(&work, &name).await?;
    work.commit().await?;
    Ok(answer.unless_known(&headers))
}

/// A rule, or the ids of a fixed list.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition {
    #[schema(value_type = Option<Object>)]
    rule: Option<Box<RawValue>>,
    customer_ids: Option<Vec<String>>,
    description: Option<String>,
}

/// A new cohort.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCohort {
    name: String,
    #[schema(value_type = Option<Object>)]
    rule: Option<Box<RawValue>>,
    customer_ids: Option<Vec<String>>,
    description: Option<String>,
}

async fn create(work: &Work, name: &str, definition: &Definition) -> Fallible<()> {
    match (&definition.rule, &definition.customer_ids) {
        (Some(rule), None) => {
            let sql = "SELECT {s}.cohort_create($1, $2::text::jsonb, $3)";
            work.run(sql, &[&name, &rule.get(), &definition.description]).await
        }
        (None, Some(ids)) if definition.description.is_none() => {
            work.run("SELECT {s}.cohort_import($1, $2)", &[&name, ids]).await
        }
        (None, Some(_)) => Err(Failure::bad_request("a fixed list cannot have a description")),
        _ => Err(Failure::bad_request("the body must have either rule or customer_ids")),
    }
}

async fn update(work: &Work, name: &str, definition: &Definition) -> Fallible<()> {
    if definition.description.is_some() {
        return Err(Failure::bad_request("the description of an existing cohort cannot be changed"));
    }
    match (&definition.rule, &definition.customer_ids) {
        (Some(rule), None) => work.run("SELECT {s}.cohort_update($1, $2::text::jsonb)", &[&name, &rule.get()]).await,
        (None, Some(ids)) => work.run("SELECT {s}.cohort_import($1, $2)", &[&name, ids]).await,
        _ => Err(Failure::bad_request("the body must have either rule or customer_ids")),
    }
}

fn location(name: &str) -> String {
    format!("/v1/cohorts/{}", segment(name))
}

/// Saves a new cohort.
#[utoipa::path(post, path = "/v1/cohorts", tag = "cohorts", request_body = NewCohort,
    responses((status = 201, body = Cohort), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn add(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<NewCohort>,
) -> Fallible<Answer<Cohort>> {
    let NewCohort { name, rule, customer_ids, description } = given;
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    // cohort_import of a list that exists replaces its ids.
    if customer_ids.is_some() && work.row(PRESENT, &[&name]).await?.is_some() {
        return Err(
            Failure::new(StatusCode::CONFLICT, format!("cohort \"{name}\" already exists")).hint("PUT changes it.")
        );
    }
    create(&work, &name, &Definition { rule, customer_ids, description }).await?;
    let answer = shown(&work, &name).await?;
    work.commit().await?;
    answer.created(&location(&name))
}

/// Gives a cohort a new rule or list, or saves it.
#[utoipa::path(put, path = "/v1/cohorts/{name}", tag = "cohorts", params(("name" = String, Path)), request_body = Definition,
    responses((status = 200, body = Cohort), (status = 201, body = Cohort), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn put(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(given): Body<Definition>,
) -> Fallible<Answer<Cohort>> {
    retried(|| put_once(&gateway, &caller, &headers, &name, &given)).await
}

async fn put_once(
    gateway: &Gateway,
    caller: &Caller,
    headers: &HeaderMap,
    name: &str,
    given: &Definition,
) -> Fallible<Answer<Cohort>> {
    let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
    let present = work.text(PRESENT, &[&name]).await?;
    check_version(headers, present.as_deref())?;
    let answer = if present.is_some() {
        update(&work, name, given).await?;
        shown(&work, name).await?
    } else {
        create(&work, name, given).await?;
        shown(&work, name).await?.created(&location(name))?
    };
    work.commit().await?;
    Ok(answer)
}

/// A new name, a new owner.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Renaming {
    name: Option<String>,
    owner: Option<String>,
}

/// Renames a cohort, or hands it over.
#[utoipa::path(patch, path = "/v1/cohorts/{name}", tag = "cohorts", params(("name" = String, Path)), request_body = Renaming,
    responses((status = 200, body = Cohort), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn rename(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
    Body(given): Body<Renaming>,
) -> Fallible<Answer<Cohort>> {
    retried(|| rename_once(&gateway, &caller, &headers, &name, &given)).await
}

async fn rename_once(
    gateway: &Gateway,
    caller: &Caller,
    headers: &HeaderMap,
    name: &str,
    given: &Renaming,
) -> Fallible<Answer<Cohort>> {
    let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
    let present = work.text(PRESENT, &[&name]).await?.ok_or_else(|| no_cohort(name))?;
    check_version(headers, Some(&present))?;
    if let Some(owner) = &given.owner {
        work.run("SELECT {s}.cohort_set_owner($1, $2)", &[&name, owner]).await?;
    }
    if let Some(new) = &given.name {
        work.run("SELECT {s}.cohort_rename($1, $2)", &[&name, new]).await?;
    }
    let answer = shown(&work, given.name.as_deref().unwrap_or(name)).await?;
    work.commit().await?;
    Ok(answer)
}

/// Removes a cohort.
#[utoipa::path(delete, path = "/v1/cohorts/{name}", tag = "cohorts", params(("name" = String, Path)),
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn remove(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
) -> Fallible<StatusCode> {
    retried(|| remove_once(&gateway, &caller, &headers, &name)).await
}

async fn remove_once(gateway: &Gateway, caller: &Caller, headers: &HeaderMap, name: &str) -> Fallible<StatusCode> {
    let work = gateway.database.begin(&caller.role, Mode::Guarded).await?;
    let present = work.text(PRESENT, &[&name]).await?.ok_or_else(|| no_cohort(name))?;
    check_version(headers, Some(&present))?;
    work.run("SELECT {s}.cohort_drop($1)", &[&name]).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Evaluates a cohort and stores who is in.
#[utoipa::path(post, path = "/v1/cohorts/{name}/refresh", tag = "cohorts", params(("name" = String, Path), AsOf),
    responses((status = 200, body = Refreshed), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn refresh(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Refreshed>> {
    macro_rules! refreshed {
        ($call:literal) => {
            concat!(
                "SELECT jsonb_build_object('size', r.size, 'entered', r.entered, 'exited', r.exited, \
                     'took_ms', extract(epoch FROM r.took) * 1000)::text FROM {s}.cohort_refresh",
                $call,
                " r"
            )
        };
    }
    match &at.as_of {
        None => answer(&gateway, &caller, Mode::Write, refreshed!("($1)"), &[&name]).await,
        Some(at) => {
            answer(&gateway, &caller, Mode::Write, refreshed!("($1, $2::text::timestamptz)"), &[&name, at]).await
        }
    }
}
