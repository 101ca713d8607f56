//! Error responses: one type, written in the form of REST or of Kursaha's API.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio_postgres::error::{DbError, SqlState};
use utoipa::ToSchema;

/// Seconds after which a request that met a busy or missing server may come again.
const PAUSE: u64 = 2;

/// Why a request failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) sqlstate: Option<String>,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// Seconds, of 429 and 503.
    retry_after: Option<u64>,
}

pub(crate) type Fallible<T> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(PAUSE);
        Self { status, sqlstate: None, message: message.into(), detail: None, hint: None, retry_after }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// The problems of an invalid rule: the message has the first, DETAIL the others, one a line.
    fn problems(&self) -> Vec<Problem> {
        let Some(first) = self.message.strip_prefix("invalid cohort rule at ") else { return Vec::new() };
        let Some((path, problem)) = first.split_once(": ") else { return Vec::new() };
        let first = Problem { path: path.to_owned(), problem: problem.to_owned(), hint: self.hint.clone() };
        let others = self.detail.as_deref().unwrap_or_default().lines().filter_map(|line| {
            let (path, rest) = line.strip_prefix("at ")?.split_once(": ")?;
            let (problem, hint) = match rest.strip_suffix(')').and_then(|rest| rest.split_once(" (")) {
                Some((problem, hint)) => (problem, Some(hint.to_owned())),
                None => (rest, None),
            };
            Some(Problem { path: path.to_owned(), problem: problem.to_owned(), hint })
        });
        std::iter::once(first).chain(others).collect()
    }

    /// The entries of a payload that are bad, with their places as Kursaha's API names them: without the `$.`.
    fn fields(&self) -> Vec<FieldError> {
        let lines = self.detail.as_deref().unwrap_or_default().lines();
        std::iter::once(self.message.as_str())
            .chain(lines)
            .filter_map(|line| {
                let place = line.find("$.").or_else(|| line.find("$["))?;
                let (field, message) = line[place..].split_once(": ")?;
                let field = field.trim_start_matches('$').trim_start_matches('.');
                Some(FieldError { field: field.to_owned(), message: message.to_owned() })
            })
            .collect()
    }
}

/// What is wrong with a rule, and where.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names of the answer")]
pub(crate) struct Problem {
    path: String,
    problem: String,
    #[schema(required)]
    hint: Option<String>,
}

/// The body of every response with a status of 400 or above.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    status: u16,
    title: String,
    #[schema(required)]
    sqlstate: Option<String>,
    message: String,
    #[schema(required)]
    detail: Option<String>,
    #[schema(required)]
    hint: Option<String>,
    problems: Vec<Problem>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FieldError {
    field: String,
    message: String,
}

/// An error as Kursaha's API words it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KursahaError {
    status: u16,
    r#type: String,
    title: String,
    message: String,
    field_errors: Vec<FieldError>,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(error) => of_database(error),
            None if error.is_closed() => Self::unavailable("the database server closed the connection"),
            None if std::error::Error::source(&error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>) => {
                Self::unavailable("the connection to the database server was lost")
            }
            None => {
                tracing::error!(error = %error, "a response of the database could not be read");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the gateway could not read the response of the database")
            }
        }
    }
}

impl From<deadpool_postgres::PoolError> for Failure {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Timeout(_) => Self::unavailable("all connections to the database are in use"),
            deadpool_postgres::PoolError::Backend(error) if error.as_db_error().is_some() => {
                // What keeps the gateway itself from signing in is for its operator.
                tracing::error!(
                    sqlstate = error.code().map(SqlState::code),
                    "the database refuses the gateway's connection"
                );
                Self::unavailable("the database server refuses the gateway's connection")
            }
            _ => Self::unavailable("the database server cannot be reached"),
        }
    }
}

fn of_database(error: &DbError) -> Failure {
    let status = status_of(error.code());
    let mut failure = Failure::new(status, error.message());
    failure.sqlstate = Some(error.code().code().to_owned());
    failure.detail = error.detail().map(str::to_owned);
    failure.hint = error.hint().map(str::to_owned);
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        // Messages may have values in them: the server's own log has the text.
        tracing::error!(sqlstate = error.code().code(), routine = error.routine(), "an error of the database");
    }
    failure
}

fn status_of(state: &SqlState) -> StatusCode {
    let code = state.code();
    match (&code[..2], code) {
        (_, "42501") => StatusCode::FORBIDDEN,
        (_, "42704" | "P0002") => StatusCode::NOT_FOUND,
        (_, "42710" | "23505" | "55000" | "55006" | "42809") | ("2B", _) => StatusCode::CONFLICT,
        (_, "42883" | "42P01" | "3F000") => StatusCode::NOT_IMPLEMENTED,
        // A name of a table, or the condition of a capture, as the request has it.
        (_, "42601" | "42602" | "42622" | "42703" | "42804") => StatusCode::BAD_REQUEST,
        (_, "57014") => StatusCode::GATEWAY_TIMEOUT,
        (_, "25006" | "55P03") | ("08" | "40" | "53" | "57", _) => StatusCode::SERVICE_UNAVAILABLE,
        ("22" | "23" | "54" | "0A" | "P0" | "44", _) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// How errors are worded.
#[derive(Clone, Copy)]
enum Wording {
    Rest,
    Kursaha,
}

/// Writes the body of an error, also of those that a layer or the router made.
pub(crate) async fn word(request: Request, next: Next) -> Response {
    let wording = if request.uri().path().starts_with("/api/") { Wording::Kursaha } else { Wording::Rest };
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let failure = response.extensions().get::<Failure>().cloned().unwrap_or_else(|| {
        let message = match status {
            StatusCode::NOT_FOUND => "the route does not exist",
            StatusCode::METHOD_NOT_ALLOWED => "the route does not support the method",
            StatusCode::PAYLOAD_TOO_LARGE => "the request is too large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "the request's encoding is not supported",
            StatusCode::GATEWAY_TIMEOUT => "the request took longer than allowed",
            StatusCode::REQUEST_TIMEOUT => "the request was not received within the time limit",
            StatusCode::INTERNAL_SERVER_ERROR => "an error in the gateway",
            _ => "the request is malformed",
        };
        Failure::new(status, message)
    });
    let (parts, _) = response.into_parts();
    let mut answer = worded(wording, &failure);
    // What layers and the router say besides: Allow, WWW-Authenticate, Set-Cookie.
    for (name, value) in &parts.headers {
        if name != CONTENT_TYPE && name != axum::http::header::CONTENT_LENGTH {
            answer.headers_mut().append(name, value.clone());
        }
    }
    answer
}

/// A failure as a response.
fn worded(wording: Wording, failure: &Failure) -> Response {
    let mut answer = Response::new(Body::from(body(wording, failure)));
    *answer.status_mut() = failure.status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(seconds) = failure.retry_after {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

fn body(wording: Wording, failure: &Failure) -> Vec<u8> {
    let title = failure.status.canonical_reason().unwrap_or("Error").to_owned();
    let status = failure.status.as_u16();
    let written = match wording {
        Wording::Rest => serde_json::to_vec(&ErrorBody {
            status,
            title,
            sqlstate: failure.sqlstate.clone(),
            message: failure.message.clone(),
            detail: failure.detail.clone(),
            hint: failure.hint.clone(),
            problems: failure.problems(),
        }),
        Wording::Kursaha => serde_json::to_vec(&KursahaError {
            status,
            r#type: "about:blank".to_owned(),
            title,
            message: failure.message.clone(),
            field_errors: failure.fields(),
        }),
    };
    written.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_rule_is_listed() {
        let mut failure = Failure::bad_request("invalid cohort rule at $.and[0]: the word is missing").hint("Did you?");
        failure.detail = Some("at $.and[0].dd: unknown key \"dd\" (Did you mean \"did\"?)\nat $.x: bad".to_owned());
        let problems: Vec<_> = failure.problems().into_iter().map(|found| (found.path, found.hint)).collect();
        assert_eq!(
            problems,
            [
                ("$.and[0]".to_owned(), Some("Did you?".to_owned())),
                ("$.and[0].dd".to_owned(), Some("Did you mean \"did\"?".to_owned())),
                ("$.x".to_owned(), None)
            ]
        );
    }

    #[test]
    fn every_bad_entry_is_a_field_error() {
        let mut failure = Failure::bad_request("invalid signal at $.signals[0].customerId: is missing");
        failure.detail = Some("Nothing was stored. Also invalid:\n$.signals[3].data: must be an object".to_owned());
        let fields: Vec<_> = failure.fields().into_iter().map(|found| (found.field, found.message)).collect();
        assert_eq!(
            fields,
            [
                ("signals[0].customerId".to_owned(), "is missing".to_owned()),
                ("signals[3].data".to_owned(), "must be an object".to_owned())
            ]
        );
    }
}
