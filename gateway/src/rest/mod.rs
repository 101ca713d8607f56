//! REST below `/v1`. The database writes the bodies of responses as JSON; the shapes are declared for `openapi.json`.

use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;

use crate::caller::Caller;
use crate::database::{Mode, Values, Work};
use crate::problem::{Failure, Fallible};
use crate::serve::Gateway;

pub(crate) mod captures;
pub(crate) mod cohorts;
pub(crate) mod customers;
pub(crate) mod destinations;
pub(crate) mod events;
pub(crate) mod figures;
pub(crate) mod files;
pub(crate) mod keys;
pub(crate) mod members;
pub(crate) mod operation;
pub(crate) mod preview;
pub(crate) mod priorities;
pub(crate) mod properties;
pub(crate) mod questions;
pub(crate) mod reach;
pub(crate) mod retention;
pub(crate) mod secrets;
pub(crate) mod shapes;
pub(crate) mod syncs;

/// The most that a JSON body may have, once unpacked.
pub(crate) const MOST_BYTES: usize = 5 << 20;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Fallible<Self> {
        let text = json_text(request, state).await?;
        serde_json::from_str(&text).map(Self).map_err(|error| malformed(&error))
    }
}

/// A JSON body that is passed through unchanged.
pub(crate) struct Text(pub(crate) String);

impl<S: Send + Sync> FromRequest<S> for Text {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Fallible<Self> {
        json_text(request, state).await.map(Self)
    }
}

pub(crate) fn malformed(error: &serde_json::Error) -> Failure {
    // The error may quote the value. The response goes only to the client that sent it.
    Failure::bad_request(format!("the body is not valid for this route: {error}"))
}

async fn json_text<S: Send + Sync>(request: Request, state: &S) -> Fallible<String> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body must be JSON")
            .hint("Send Content-Type: application/json."));
    }
    let bytes = bytes::Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Failure::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {MOST_BYTES} bytes, unpacked"))
        }
        _ => Failure::bad_request("the body is incomplete, or its encoding is invalid"),
    })?;
    String::from_utf8(bytes.into()).map_err(|_| Failure::bad_request("the body is not UTF-8"))
}

/// The query of the address.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Fallible<Self> {
        axum_extra::extract::Query::from_request_parts(parts, state).await.map(|query| Self(query.0)).map_err(|error| {
            Failure::bad_request(format!("the query parameters are not valid for this route: {error}"))
        })
    }
}

/// Names and ids in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Fallible<Self> {
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|_| Failure::bad_request("a name in the path is not percent-encoded UTF-8"))
    }
}

/// A body that the database wrote, in the shape `T`.
pub(crate) struct Answer<T> {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: String,
    shape: PhantomData<fn() -> T>,
}

impl<T> Answer<T> {
    pub(crate) fn new(body: String) -> Self {
        Self { status: StatusCode::OK, headers: Vec::new(), body, shape: PhantomData }
    }

    pub(crate) fn created(mut self, location: &str) -> Fallible<Self> {
        self.status = StatusCode::CREATED;
        self.header(axum::http::header::LOCATION, location)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Fallible<Self> {
        let value = HeaderValue::from_str(value).map_err(|_| Failure::bad_request("a name that no header can have"))?;
        self.headers.push((name, value));
        Ok(self)
    }

    pub(crate) fn etag(self, etag: &str) -> Fallible<Self> {
        self.header(ETAG, &format!("\"{etag}\""))
    }

    /// Without its body if whoever asks has this version already.
    pub(crate) fn unless_known(mut self, headers: &HeaderMap) -> Self {
        let etag = self.headers.iter().find(|(name, _)| name == ETAG).and_then(|(_, value)| value.to_str().ok());
        let known =
            etag.is_some_and(|etag| names(headers, &IF_NONE_MATCH, true, Some(etag.trim_matches('"'))) == Some(true));
        if known {
            self.status = StatusCode::NOT_MODIFIED;
            self.body.clear();
        }
        self
    }
}

impl<T> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.extend(self.headers);
        response
    }
}

/// Runs one query as the caller and responds with the text in its first column.
pub(crate) async fn answer<T>(
    gateway: &Gateway,
    caller: &Caller,
    mode: Mode,
    sql: &str,
    values: Values<'_>,
) -> Fallible<Answer<T>> {
    let work = gateway.database.begin(&caller.role, mode).await?;
    let body = text(&work, sql, values).await?;
    work.commit().await?;
    Ok(Answer::new(body))
}

/// Runs one query as the caller and answers with a page of its rows, which each have a cursor and a JSON text. The query
/// asks for one row more than `limit`.
pub(crate) async fn paged<T>(
    gateway: &Gateway,
    caller: &Caller,
    sql: &str,
    values: Values<'_>,
    limit: i64,
) -> Fallible<Answer<T>> {
    let work = gateway.database.begin(&caller.role, Mode::Read).await?;
    let rows = work.rows(sql, values).await?;
    work.commit().await?;
    page(&rows, limit)
}

/// The text of a query that always has one.
pub(crate) async fn text(work: &Work, sql: &str, values: Values<'_>) -> Fallible<String> {
    work.text(sql, values).await?.ok_or_else(|| Failure::not_found("the object does not exist"))
}

/// Runs one query as the caller that changes data and returns nothing.
pub(crate) async fn change(gateway: &Gateway, caller: &Caller, sql: &str, values: Values<'_>) -> Fallible<StatusCode> {
    let work = gateway.database.begin(&caller.role, Mode::Write).await?;
    work.run(sql, values).await?;
    work.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Attempts at a change that others' changes get in the way of.
const ATTEMPTS: u32 = 5;

/// Makes a change, and makes it again where a change of somebody else came between.
pub(crate) async fn retried<T, F: Future<Output = Fallible<T>>>(change: impl Fn() -> F) -> Fallible<T> {
    let mut attempt = 1;
    loop {
        match change().await {
            Err(failure) if attempt < ATTEMPTS && matches!(failure.sqlstate.as_deref(), Some("40001" | "40P01")) => {
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// How many entries of a list are wanted.
pub(crate) fn limit(given: Option<i64>, most: i64) -> Fallible<i64> {
    let limit = given.unwrap_or(100.min(most));
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(Failure::bad_request(format!("limit must be 1 to {most}")))
    }
}

/// The page of rows, of which one more than `limit` was requested.
fn page<T>(rows: &[tokio_postgres::Row], limit: i64) -> Fallible<Answer<T>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut body = String::from("{\"items\":[");
    for (number, row) in rows.iter().take(limit).enumerate() {
        if number > 0 {
            body.push(',');
        }
        body.push_str(row.try_get(1)?);
    }
    body.push_str("],\"next\":");
    match rows.get(limit) {
        Some(_) => {
            let cursor: String = rows[limit - 1].try_get(0)?;
            body.push_str(&serde_json::to_string(&cursor).map_err(|error| malformed(&error))?);
        }
        None => body.push_str("null"),
    }
    body.push('}');
    Ok(Answer::new(body))
}

/// Whether a header names the present version; `None` if it is not there.
fn names(headers: &HeaderMap, header: &HeaderName, weak: bool, present: Option<&str>) -> Option<bool> {
    let mut given = headers.get_all(header).iter().peekable();
    given.peek()?;
    Some(given.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        let tag = if weak { tag.strip_prefix("W/").unwrap_or(tag) } else { tag };
        present.is_some_and(|present| {
            tag == "*" || tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) == Some(present)
        })
    }))
}

/// Refuses a request whose `If-Match` or `If-None-Match` does not hold of the present version.
pub(crate) fn check_version(headers: &HeaderMap, present: Option<&str>) -> Fallible<()> {
    let failed = names(headers, &IF_MATCH, false, present) == Some(false)
        || names(headers, &IF_NONE_MATCH, true, present) == Some(true);
    if failed {
        return Err(Failure::new(
            StatusCode::PRECONDITION_FAILED,
            "the object was changed since that version, already exists, or was deleted",
        )
        .hint("GET the object, compare, and send its current ETag."));
    }
    Ok(())
}

/// A name as one segment of a path.
pub(crate) fn segment(name: &str) -> impl std::fmt::Display + '_ {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC)
}

/// A place in a list: the values after which it goes on.
pub(crate) fn cursor<T: DeserializeOwned>(after: Option<&str>) -> Fallible<Option<T>> {
    after
        .map(|after| serde_json::from_str(after).map_err(|_| Failure::bad_request("after is not a value of next")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn versions_are_compared() {
        assert!(check_version(&HeaderMap::new(), None).is_ok());
        assert!(check_version(&headers(IF_MATCH, "\"1-2\""), Some("1-2")).is_ok());
        assert!(check_version(&headers(IF_MATCH, "\"0\", \"1-2\""), Some("1-2")).is_ok());
        assert!(check_version(&headers(IF_MATCH, "\"1-1\""), Some("1-2")).is_err());
        assert!(check_version(&headers(IF_MATCH, "W/\"1-2\""), Some("1-2")).is_err());
        assert!(check_version(&headers(IF_MATCH, "\"1-2\""), None).is_err());
        assert!(check_version(&headers(IF_NONE_MATCH, "*"), Some("1-2")).is_err());
        assert!(check_version(&headers(IF_NONE_MATCH, "*"), None).is_ok());
    }
}
