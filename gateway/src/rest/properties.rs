//! What rules can name: properties of events and profiles, with examples of their values.

use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::shapes::{Items, Property};
use super::{Answer, Query, text};
use crate::caller::Caller;
use crate::database::Mode;
use crate::problem::{ErrorBody, Fallible};
use crate::serve::Gateway;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfType {
    event_type: Option<String>,
}

/// The number of the latest events, and of profiles, whose values are read. It does not depend on the size of the tables.
macro_rules! looked_at {
    () => {
        "2000"
    };
}

/// What the index counts, and what the latest events and profiles have. A value that names a person is no example.
const PROPERTIES: &str = concat!(
    "WITH RECURSIVE sampled AS ( \
         (SELECT e.event_type, e.data AS value FROM {s}.cohort_event e ORDER BY e.event_id DESC LIMIT ",
    looked_at!(),
    ") UNION ALL (SELECT NULL, c.profile FROM {s}.cohort_customer c WHERE $1::text IS NULL LIMIT ",
    looked_at!(),
    ")), \
     part AS ( \
         SELECT s.event_type, m.key AS property, m.value, 1 AS depth FROM sampled s \
             CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(s.value) WHEN 'object' THEN s.value ELSE '{}' END) m \
             WHERE $1::text IS NULL OR s.event_type = $1 \
         UNION ALL \
         SELECT p.event_type, p.property || '.' || m.key, m.value, p.depth + 1 FROM part p \
             CROSS JOIN LATERAL jsonb_each(CASE jsonb_typeof(p.value) WHEN 'object' THEN p.value ELSE '{}' END) m WHERE p.depth < 5), \
     counted AS ( \
         SELECT p.event_type, p.property, p.value, jsonb_typeof(p.value) AS type, count(*) AS times FROM part p \
         WHERE jsonb_typeof(p.value) NOT IN ('null', 'object') OR p.value = '{}' GROUP BY 1, 2, 3), \
     ranked AS (SELECT c.*, row_number() OVER (PARTITION BY c.event_type, c.property ORDER BY c.times DESC, c.value) AS place \
         FROM counted c), \
     seen AS ( \
         SELECT r.event_type, r.property, array_agg(DISTINCT CASE r.type WHEN 'object' THEN 'array' ELSE r.type END ORDER BY CASE r.type WHEN 'object' THEN 'array' ELSE r.type END) AS types, \
             coalesce(jsonb_agg(r.value ORDER BY r.place) FILTER (WHERE r.place <= 20 AND r.type NOT IN ('array', 'object') AND length(r.value::text) <= 100 \
                 AND (r.property !~* '(^|[.])(e?mail|phone|phone_?number|mobile|(first|last|full)_?name|name|dob|date_?of_?birth|address)$')), '[]') AS examples \
         FROM ranked r GROUP BY 1, 2) \
     SELECT jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object( \
             'event_type', coalesce(i.event_type, s.event_type), 'property', coalesce(i.property, s.property), \
             'types', coalesce(i.types, s.types), 'events', i.events, 'distinct_values', NULL, 'examples', coalesce(s.examples, '[]')) \
             ORDER BY coalesce(i.event_type, s.event_type) COLLATE \"C\" NULLS FIRST, coalesce(i.property, s.property) COLLATE \"C\"), '[]'))::text \
     FROM (SELECT * FROM {s}.cohort_property p WHERE $1::text IS NULL OR p.event_type = $1) i \
     FULL JOIN seen s ON s.event_type = i.event_type AND s.property = i.property"
);

/// What the index counts, alone.
const COUNTED: &str = "SELECT jsonb_build_object('items', coalesce(jsonb_agg(jsonb_build_object('event_type', p.event_type, 'property', p.property, \
         'types', p.types, 'events', p.events, 'distinct_values', NULL, 'examples', '[]'::jsonb) \
         ORDER BY p.event_type COLLATE \"C\", p.property COLLATE \"C\"), '[]'))::text \
     FROM {s}.cohort_property p WHERE $1::text IS NULL OR p.event_type = $1";

/// The properties that events and profiles have. Examples are left out where row-level security makes the latest rows of a role slow
/// to find.
#[utoipa::path(get, path = "/v1/properties", tag = "data", params(OfType),
    responses((status = 200, body = Items<Property>), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    Query(of): Query<OfType>,
) -> Fallible<Answer<Items<Property>>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    work.batch("SAVEPOINT sample; SET LOCAL statement_timeout = '3s'").await?;
    let body = match text(&work, PROPERTIES, &[&of.event_type]).await {
        Err(failure) if failure.sqlstate.as_deref() == Some("57014") => {
            work.batch("ROLLBACK TO sample").await?;
            text(&work, COUNTED, &[&of.event_type]).await?
        }
        found => found?,
    };
    work.commit().await?;
    Ok(Answer::new(body))
}
