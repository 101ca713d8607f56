//! Kursaha's API for its SDKs.

use std::borrow::Cow;
use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::caller::Program;
use crate::database::Mode;
use crate::problem::{Failure, Fallible, KursahaError};
use crate::rest::events::STORE;
use crate::rest::shapes::Stored;
use crate::rest::{Answer, Text, malformed};
use crate::serve::Gateway;

/// Signals of one request; the SDKs send up to 499.
const MOST_SIGNALS: usize = 10_000;

#[derive(Serialize, ToSchema)]
pub(crate) struct Pong {
    response: &'static str,
}

/// Whether the key is good.
#[utoipa::path(get, path = "/api/sdk/ping", tag = "kursaha",
    responses((status = 200, body = Pong), (status = "4XX", body = KursahaError), (status = "5XX", body = KursahaError)))]
pub(crate) async fn ping(_: Program) -> Json<Pong> {
    Json(Pong { response: "pong" })
}

/// Stores signals, all or none. A repeated requestIdentifier stores nothing and gets the first response.
#[utoipa::path(post, path = "/api/event-flows/signal", tag = "kursaha", request_body = serde_json::Value,
    responses((status = 200, body = Stored), (status = "4XX", body = KursahaError), (status = "5XX", body = KursahaError)))]
pub(crate) async fn signal(
    State(gateway): State<Gateway>,
    program: Program,
    Text(body): Text,
) -> Fallible<Answer<Stored>> {
    let payload = payload(&body)?;
    let work = gateway.database.begin(&program.role, Mode::Write).await?;
    let answer = work.text(STORE, &[&payload]).await?.ok_or_else(|| Failure::unavailable("no answer"))?;
    work.commit().await?;
    metrics::counter!("cohort_gateway_signal_requests_total").increment(1);
    Ok(Answer::new(answer))
}

/// The body as `cohort_track_batch` takes it: what it is, a list of signals, or one.
pub(crate) fn payload(body: &str) -> Fallible<Cow<'_, str>> {
    let counted = |signals: usize| {
        if signals > MOST_SIGNALS {
            let message = format!("{signals} signals, at most {MOST_SIGNALS} in a request");
            return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
        }
        Ok(())
    };
    match body.trim_start().as_bytes().first() {
        Some(b'[') => {
            let signals: Vec<&RawValue> = serde_json::from_str(body).map_err(|error| malformed(&error))?;
            counted(signals.len())?;
            Ok(format!("{{\"signals\":{body}}}").into())
        }
        Some(b'{') => {
            let parts: HashMap<Cow<'_, str>, &RawValue> =
                serde_json::from_str(body).map_err(|error| malformed(&error))?;
            let Some(signals) = parts.get("signals") else {
                return Ok(format!("{{\"signals\":[{body}]}}").into());
            };
            if signals.get().starts_with('[') {
                let signals: Vec<&RawValue> = serde_json::from_str(signals.get()).map_err(|error| malformed(&error))?;
                counted(signals.len())?;
            }
            Ok(body.into())
        }
        _ => Err(Failure::bad_request("the body must be an object or a list of signals")),
    }
}

/// Creates or merges the profiles of one or several customers, all or none.
#[utoipa::path(post, path = "/api/customers", tag = "kursaha", request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = KursahaError), (status = "5XX", body = KursahaError)))]
pub(crate) async fn add_customers(
    gateway: State<Gateway>,
    program: Program,
    body: Text,
) -> Fallible<Answer<serde_json::Value>> {
    customers(gateway, program, body).await
}

/// As POST.
#[utoipa::path(patch, path = "/api/customers", tag = "kursaha", request_body = serde_json::Value,
    responses((status = 200, body = serde_json::Value), (status = "4XX", body = KursahaError), (status = "5XX", body = KursahaError)))]
pub(crate) async fn change_customers(
    gateway: State<Gateway>,
    program: Program,
    body: Text,
) -> Fallible<Answer<serde_json::Value>> {
    customers(gateway, program, body).await
}

async fn customers(
    State(gateway): State<Gateway>,
    program: Program,
    Text(body): Text,
) -> Fallible<Answer<serde_json::Value>> {
    let work = gateway.database.begin(&program.role, Mode::Write).await?;
    work.run("SELECT {s}.cohort_identify($1::text::jsonb)", &[&body]).await?;
    work.commit().await?;
    Ok(Answer::new("{}".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_signal_and_a_list_become_a_payload() {
        assert_eq!(payload("{\"signals\":[]}").expect("as it is"), "{\"signals\":[]}");
        assert_eq!(payload("[1]").expect("a list"), "{\"signals\":[1]}");
        assert_eq!(payload("{\"customerId\":1.0}").expect("one"), "{\"signals\":[{\"customerId\":1.0}]}");
        assert!(payload("7").is_err());
        let many = format!("[{}0]", "0,".repeat(MOST_SIGNALS));
        assert_eq!(payload(&many).expect_err("too many").status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
