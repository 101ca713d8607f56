//! Figures of customers, and the groups of a property's values.

use axum::extract::State;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::shapes::{Figure, Group, Items, Page};
use super::{Answer, Body, answer, limit, paged};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// A figure of the customers of a cohort or a rule; without both, of every customer.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// A figure, as in a comparison of two figures.
    #[schema(value_type = Object)]
    figure: Box<RawValue>,
    cohort: Option<String>,
    #[schema(value_type = Option<Object>)]
    rule: Option<Box<RawValue>>,
    as_of: Option<String>,
    /// 1 to 10,000; default 100.
    limit: Option<i64>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// A figure of each customer who has a value, by customer id.
#[utoipa::path(post, path = "/v1/figures", tag = "rules", request_body = Wanted,
    responses((status = 200, body = Page<Figure>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn figures(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Wanted>,
) -> Fallible<Answer<Page<Figure>>> {
    let limit = limit(given.limit, 10_000)?;
    let figure = given.figure.get();
    let (source, of) = match (&given.cohort, &given.rule) {
        (Some(_), Some(_)) => return Err(Failure::bad_request("cohort and rule exclude each other")),
        (_, Some(rule)) => ("$2::text::jsonb", Some(rule.get())),
        (cohort, None) => ("$2::text", cohort.as_deref()),
    };
    let sql = format!(
        "SELECT f.customer_id, jsonb_build_object('customer_id', f.customer_id, 'value', f.value)::text \
         FROM {{s}}.cohort_figures($1::text::jsonb, {source}, $3::text::timestamptz) f \
         WHERE $4::text IS NULL OR f.customer_id COLLATE \"C\" > $4 ORDER BY f.customer_id COLLATE \"C\" LIMIT $5"
    );
    paged(&gateway, &caller, &sql, &[&figure, &of, &given.as_of, &given.after, &(limit + 1)], limit).await
}

/// The groups of a cohort or a rule by a property of profiles.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Grouped {
    property: String,
    cohort: Option<String>,
    #[schema(value_type = Option<Object>)]
    rule: Option<Box<RawValue>>,
    as_of: Option<String>,
}

/// How many members of a cohort, or customers whom a rule selects, have each value of a property; the largest first.
#[utoipa::path(post, path = "/v1/groups", tag = "rules", request_body = Grouped,
    responses((status = 200, body = Items<Group>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn groups(
    State(gateway): State<Gateway>,
    caller: Caller,
    Body(given): Body<Grouped>,
) -> Fallible<Answer<Items<Group>>> {
    let (source, of) = match (&given.cohort, &given.rule) {
        (Some(cohort), None) => ("$1::text", cohort.as_str()),
        (None, Some(rule)) => ("$1::text::jsonb", rule.get()),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Failure::bad_request("groups are those of either a cohort or a rule")
                .hint("Send cohort, the name of a saved cohort, or rule."));
        }
    };
    let sql = format!(
        "SELECT jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('value', g.customer_group, 'customers', g.members) \
             ORDER BY g.members DESC, g.customer_group), '[]'))::text \
         FROM {{s}}.cohort_groups({source}, $2, $3::text::timestamptz) g"
    );
    answer(&gateway, &caller, Mode::Read, &sql, &[&of, &given.property, &given.as_of]).await
}
