//! Definitions as files: the definitions of the whole database, and changes to them.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::shapes::{Applied, Items};
use super::{Answer, Query, Text, answer};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

pub(crate) const EXPORT: &str = "SELECT {s}.cohort_export($1::text)::text";
pub(crate) const APPLY: &str = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(to_jsonb(a)), '[]'))::text \
                                FROM {s}.cohort_apply($1::text::jsonb, $2, $3) a";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    name: Option<String>,
}

/// The definitions of all cohorts, or of one.
#[utoipa::path(get, path = "/v1/export", tag = "files", params(Which),
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn export(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(which): Query<Which>,
) -> Fallible<Answer<serde_json::Value>> {
    answer(&gateway, &caller, Mode::Read, EXPORT, &[&which.name]).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct How {
    /// Says what would be done, and does nothing.
    dry_run: Option<bool>,
    /// Drops what the definitions do not name.
    prune: Option<bool>,
}

/// Makes the database as the definitions say, in one transaction.
#[utoipa::path(post, path = "/v1/apply", tag = "files", params(How), request_body = serde_json::Value,
    responses((status = 200, body = Items<Applied>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn apply(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(how): Query<How>,
    Text(definitions): Text,
) -> Fallible<Answer<Items<Applied>>> {
    let (dry_run, prune) = (how.dry_run.unwrap_or(false), how.prune.unwrap_or(false));
    answer(&gateway, &caller, Mode::Write, APPLY, &[&definitions, &dry_run, &prune]).await
}
