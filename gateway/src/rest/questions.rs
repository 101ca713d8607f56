//! Evaluations of saved cohorts, and of rules that are not saved.

use axum::extract::State;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::customers::AsOf;
use super::shapes::{Change, Condition, Count, Items, Overlap, Page, Reasons, Refresh, Sql, Validity, Version};
use super::{Answer, Body, Path, Query, answer, cursor, limit, paged};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

/// How many members a cohort has.
#[utoipa::path(get, path = "/v1/cohorts/{name}/count", tag = "cohorts", params(("name" = String, Path), AsOf),
    responses((status = 200, body = Count), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn count(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Count>> {
    let sql = "SELECT jsonb_build_object('count', {s}.cohort_count($1, $2::text::timestamptz))::text";
    answer(&gateway, &caller, Mode::Read, sql, &[&name, &at.as_of]).await
}

/// The conditions of a cohort with their exact numbers.
#[utoipa::path(get, path = "/v1/cohorts/{name}/explain", tag = "cohorts", params(("name" = String, Path), AsOf),
    responses((status = 200, body = Items<Condition>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn explain(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Items<Condition>>> {
    let sql = "SELECT jsonb_build_object('items', jsonb_agg(jsonb_build_object('path', e.path, 'condition', e.condition, 'customers', e.customers, \
                   'events', e.events, 'leaves', NULL, 'took_ms', extract(epoch FROM e.took) * 1000, 'how', e.how)))::text \
               FROM {s}.cohort_explain($1::text, $2::text::timestamptz) e";
    answer(&gateway, &caller, Mode::Read, sql, &[&name, &at.as_of]).await
}

/// Why a customer is, or is not, in a cohort.
#[utoipa::path(get, path = "/v1/cohorts/{name}/why/{id}", tag = "cohorts", params(("name" = String, Path), ("id" = String, Path), AsOf),
    responses((status = 200, body = Reasons), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn why(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Reasons>> {
    let sql = "SELECT jsonb_build_object('holds', {s}.cohort_contains($1, $2::text, $3::text::timestamptz), \
                   'items', coalesce((SELECT jsonb_agg(to_jsonb(w)) FROM {s}.cohort_why($1, $2::text, $3::text::timestamptz) w), '[]'))::text";
    answer(&gateway, &caller, Mode::Read, sql, &[&name, &id, &at.as_of]).await
}

/// Plain SQL that gives the same members.
#[utoipa::path(get, path = "/v1/cohorts/{name}/sql", tag = "cohorts", params(("name" = String, Path), AsOf),
    responses((status = 200, body = Sql), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn sql(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<Sql>> {
    let sql = "SELECT jsonb_build_object('sql', {s}.cohort_sql($1::text, $2::text::timestamptz))::text";
    answer(&gateway, &caller, Mode::Read, sql, &[&name, &at.as_of]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<i64>,
    after: Option<String>,
}

/// The refreshes of a cohort, newest first.
#[utoipa::path(get, path = "/v1/cohorts/{name}/history", tag = "cohorts", params(("name" = String, Path), Paging),
    responses((status = 200, body = Page<Refresh>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn history(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(paging): Query<Paging>,
) -> Fallible<Answer<Page<Refresh>>> {
    let limit = limit(paging.limit, 1000)?;
    let before: String = cursor(paging.after.as_deref())?.unwrap_or_else(|| "infinity".to_owned());
    paged(
        &gateway,
        &caller,
        "SELECT to_jsonb(h.refreshed_at)::text, jsonb_build_object('refreshed_at', h.refreshed_at, 'size', h.size, 'entered', h.entered, \
                'exited', h.exited, 'took_ms', extract(epoch FROM h.took) * 1000, 'version', h.version)::text \
         FROM {s}.cohort_history($1) h WHERE h.refreshed_at < $2::text::timestamptz ORDER BY h.refreshed_at DESC LIMIT $3",
        &[&name, &before, &(limit + 1)],
        limit,
    )
    .await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Changes {
    since: Option<String>,
    limit: Option<i64>,
    after: Option<String>,
}

/// Who entered and who exited, oldest first.
#[utoipa::path(get, path = "/v1/cohorts/{name}/changes", tag = "cohorts", params(("name" = String, Path), Changes),
    responses((status = 200, body = Page<Change>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn changes(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
    Query(which): Query<Changes>,
) -> Fallible<Answer<Page<Change>>> {
    let limit = limit(which.limit, 1000)?;
    let from = which.since.unwrap_or_else(|| "-infinity".to_owned());
    let (at, id): (String, String) =
        cursor(which.after.as_deref())?.unwrap_or_else(|| ("-infinity".to_owned(), String::new()));
    // A customer changes once in a refresh, and refreshes have instants of their own.
    paged(
        &gateway,
        &caller,
        "SELECT jsonb_build_array(c.changed_at, c.customer_id)::text, to_jsonb(c)::text \
         FROM {s}.cohort_changes($1, greatest($2::text::timestamptz, $3::text::timestamptz - interval '1 microsecond')) c \
         WHERE (c.changed_at, c.customer_id COLLATE \"C\") > ($3::text::timestamptz, $4) \
         ORDER BY c.changed_at, c.customer_id COLLATE \"C\" LIMIT $5",
        &[&name, &from, &at, &id, &(limit + 1)],
        limit,
    )
    .await
}

/// What a cohort's rule or list was, newest first.
#[utoipa::path(get, path = "/v1/cohorts/{name}/versions", tag = "cohorts", params(("name" = String, Path)),
    responses((status = 200, body = Items<Version>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn versions(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path(name): Path<String>,
) -> Fallible<Answer<Items<Version>>> {
    let sql = "SELECT jsonb_build_object('items', jsonb_agg(jsonb_build_object('version', v.version, 'rule', v.rule, 'list_size', v.list_size, \
                   'changed_by', v.changed_by, 'changed_at', v.changed_at) ORDER BY v.version DESC))::text \
               FROM {s}.cohort_definition_version v WHERE v.name = $1 HAVING count(*) > 0";
    answer(&gateway, &caller, Mode::Read, sql, &[&name]).await
}

/// A rule.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    #[schema(value_type = Object)]
    rule: Box<RawValue>,
}

/// Every problem of a rule.
#[utoipa::path(post, path = "/v1/validate", tag = "rules", request_body = Rule,
    responses((status = 200, body = Validity), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn validate(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Rule>,
) -> Fallible<Answer<Validity>> {
    let sql = "SELECT jsonb_build_object('valid', count(*) = 0, 'problems', coalesce(jsonb_agg(to_jsonb(v)), '[]'))::text \
               FROM {s}.cohort_validate($1::text::jsonb) v";
    answer(&gateway, &caller, Mode::Read, sql, &[&given.rule.get()]).await
}

/// The JSON Schema of rules.
#[utoipa::path(get, path = "/v1/rule-schema", tag = "rules",
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn rule_schema(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<serde_json::Value>> {
    answer(&gateway, &caller, Mode::Read, "SELECT {s}.cohort_rule_schema()::text", &[]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Names {
    /// Once for each cohort.
    #[serde(default)]
    name: Vec<String>,
    as_of: Option<String>,
}

/// For every combination of cohorts, how many customers they share.
#[utoipa::path(get, path = "/v1/overlap", tag = "rules", params(Names),
    responses((status = 200, body = Items<Overlap>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn overlap(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(names): Query<Names>,
) -> Fallible<Answer<Items<Overlap>>> {
    let sql = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(o)), '[]'))::text \
               FROM {s}.cohort_overlap($1::text[], $2::text::timestamptz) o";
    answer(&gateway, &caller, Mode::Read, sql, &[&names.name, &names.as_of]).await
}
