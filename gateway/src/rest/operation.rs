//! The state of the index and the workers.

use axum::extract::State;

use super::shapes::{Operation, Sealed};
use super::{Answer, answer};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

/// What the answer has, and the query of each.
const PARTS: [(&str, &str); 7] = [
    ("version", "SELECT to_jsonb(v)::text FROM {s}.cohort_version() v"),
    ("index", "SELECT to_jsonb(v)::text FROM {s}.cohort_index_status v"),
    ("workers", "SELECT coalesce(jsonb_agg(to_jsonb(v)), '[]')::text FROM {s}.cohort_worker_status v"),
    ("progress", "SELECT coalesce(jsonb_agg(to_jsonb(v)), '[]')::text FROM {s}.cohort_progress v"),
    ("problems", "SELECT coalesce(jsonb_agg(to_jsonb(v)), '[]')::text FROM {s}.cohort_problem v"),
    ("retention", "SELECT coalesce(jsonb_agg(to_jsonb(v)), '[]')::text FROM {s}.cohort_retention v"),
    ("captures", "SELECT coalesce(jsonb_agg(to_jsonb(v)), '[]')::text FROM {s}.cohort_capture_status v"),
];

/// The index, the workers, and what is wrong.
#[utoipa::path(get, path = "/v1/operation", tag = "operation",
    responses((status = 200, body = Operation), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Operation>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let mut parts = Vec::with_capacity(PARTS.len());
    for (name, sql) in PARTS {
        parts.push(format!("\"{name}\":{}", part(&work, sql).await?));
    }
    work.commit().await?;
    Ok(Answer::new(format!("{{{}}}", parts.join(","))))
}

/// What a query gives; null where the role may not read it.
async fn part(work: &Work, sql: &str) -> Fallible<String> {
    work.batch("SAVEPOINT part").await?;
    match work.text(sql, &[]).await {
        Ok(found) => Ok(found.unwrap_or_else(|| "null".to_owned())),
        Err(failure) if failure.sqlstate.as_deref() == Some("42501") => {
            work.batch("ROLLBACK TO part").await?;
            Ok("null".to_owned())
        }
        Err(failure) => Err(failure),
    }
}

/// Folds what is new into the index.
#[utoipa::path(post, path = "/v1/operation/seal", tag = "operation",
    responses((status = 200, body = Sealed), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn seal(State(gateway): State<Gateway>, caller: Caller) -> Fallible<Answer<Sealed>> {
    let sql = "SELECT jsonb_build_object('events', s.events, 'profiles', s.profiles, 'removed', s.removed, 'segments', s.segments, \
                   'took_ms', extract(epoch FROM s.took) * 1000)::text FROM {s}.cohort_seal() s";
    answer(&gateway, &caller, Mode::Write, sql, &[]).await
}
