//! Members of a cohort: streamed in constant memory, or by pages.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::customers::AsOf;
use super::shapes::{Member, Page};
use super::{Answer, Path, Query, answer, limit, paged};
use crate::caller::Caller;
use crate::database::{Mode, Work};
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::serve::Gateway;

/// Bytes that are put together before they are sent.
const PIECE: usize = 32 << 10;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    as_of: Option<String>,
    /// Whether profiles are given too.
    profile: Option<bool>,
    /// Of pages: a part of the id, or a whole value of the profile.
    search: Option<String>,
    /// Of pages.
    limit: Option<i64>,
    /// Of pages.
    after: Option<String>,
}

/// How the members are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Lines,
    Csv,
    Json,
}

impl Format {
    /// The first of these formats in `Accept`; `None` if it names others only.
    fn wanted(headers: &HeaderMap) -> Option<Self> {
        let accept =
            headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).collect::<Vec<_>>().join(",");
        if accept.trim().is_empty() {
            return Some(Self::Lines);
        }
        accept.split(',').find_map(|range| match range.split(';').next().unwrap_or_default().trim() {
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "*/*" | "application/*" => {
                Some(Self::Lines)
            }
            "text/csv" | "text/*" => Some(Self::Csv),
            "application/json" => Some(Self::Json),
            _ => None,
        })
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }

    fn sql(self, with_profile: bool) -> &'static str {
        match (self, with_profile) {
            (_, false) => "SELECT r.customer_id FROM {s}.cohort_run($1, $2::text::timestamptz) r",
            (_, true) => {
                "SELECT r.customer_id, c.profile::text FROM {s}.cohort_run($1, $2::text::timestamptz) r \
                 LEFT JOIN {s}.cohort_customer c USING (customer_id)"
            }
        }
    }

    fn write(self, row: &tokio_postgres::Row, with_profile: bool, into: &mut BytesMut) -> Fallible<()> {
        let id: &str = row.try_get(0)?;
        let profile: Option<&str> = if with_profile { row.try_get(1)? } else { None };
        match self {
            Self::Csv => {
                csv_field(id, into);
                if with_profile {
                    into.extend_from_slice(b",");
                    csv_field(profile.unwrap_or_default(), into);
                }
                into.extend_from_slice(b"\r\n");
            }
            Self::Lines | Self::Json => {
                into.extend_from_slice(b"{\"customer_id\":");
                into.extend_from_slice(&serde_json::to_vec(id).map_err(|error| super::malformed(&error))?);
                if with_profile {
                    into.extend_from_slice(b",\"profile\":");
                    into.extend_from_slice(profile.unwrap_or("null").as_bytes());
                }
                into.extend_from_slice(b"}\n");
            }
        }
        Ok(())
    }
}

fn csv_field(text: &str, into: &mut BytesMut) {
    // What a spreadsheet would take for a formula is quoted as all else that needs it: quoting is all that CSV has.
    if !text.is_empty() && !text.contains([',', '"', '\r', '\n']) && !text.starts_with(' ') && !text.ends_with(' ') {
        into.extend_from_slice(text.as_bytes());
    } else {
        into.extend_from_slice(b"\"");
        into.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        into.extend_from_slice(b"\"");
    }
}

/// The members: a stream as NDJSON or CSV, or a page as JSON, by `Accept`.
#[utoipa::path(get, path = "/v1/cohorts/{name}/members", tag = "cohorts", params(("name" = String, Path), Which),
    responses((status = 200, content((Page<Member> = "application/json"), (Member = "application/x-ndjson"), (String = "text/csv"))),
        (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn list(
    State(gateway): State<Gateway>,
    caller: Caller,
    headers: HeaderMap,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Fallible<Response> {
    let format = Format::wanted(&headers).ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_ACCEPTABLE,
            "the formats of members are application/x-ndjson, text/csv and application/json",
        )
    })?;
    if format == Format::Json {
        return Ok(members_page(&gateway, &caller, &name, &which).await?.into_response());
    }
    if which.search.is_some() || which.limit.is_some() || which.after.is_some() {
        return Err(Failure::bad_request("search, limit and after require Accept: application/json"));
    }
    stream(&gateway, &caller, &name, &which, format).await
}

async fn members_page(gateway: &Gateway, caller: &Caller, name: &str, which: &Which) -> Fallible<Answer<Page<Member>>> {
    let limit = limit(which.limit, 1000)?;
    paged(
        gateway,
        caller,
        "SELECT r.customer_id, jsonb_build_object('customer_id', r.customer_id, 'profile', c.profile)::text \
         FROM {s}.cohort_run($1, $2::text::timestamptz) r LEFT JOIN {s}.cohort_customer c USING (customer_id) \
         WHERE ($3::text IS NULL OR r.customer_id COLLATE \"C\" > $3) \
           AND ($4::text IS NULL OR strpos(r.customer_id, $4) > 0 OR CASE jsonb_typeof(c.profile) WHEN 'object' THEN \
                EXISTS (SELECT FROM jsonb_each_text(c.profile) p WHERE p.value = $4) END) \
         ORDER BY r.customer_id COLLATE \"C\" LIMIT $5",
        &[&name, &which.as_of, &which.after, &which.search, &(limit + 1)],
        limit,
    )
    .await
}

async fn stream(gateway: &Gateway, caller: &Caller, name: &str, which: &Which, format: Format) -> Fallible<Response> {
    // Each holds a connection for as long as its client reads.
    let permit = gateway
        .streams
        .clone()
        .try_acquire_owned()
        .map_err(|_| Failure::unavailable("too many lists are being streamed"))?;
    let with_profile = which.profile.unwrap_or(false);
    let work = gateway.database.begin(&caller.role, Mode::Stream).await?;
    let mut rows = Box::pin(work.stream(format.sql(with_profile), &[&name, &which.as_of]).await?);
    // An error before the first row becomes an error response.
    let first = rows.next().await.transpose()?;
    let (pieces, receiver) = mpsc::channel(2);
    let sender = Sender { pieces, patience: Duration::from_secs(gateway.settings.read_timeout) };
    tokio::spawn(async move {
        let _permit = permit;
        let mut piece = BytesMut::with_capacity(PIECE + 1024);
        if format == Format::Csv {
            piece.extend_from_slice(if with_profile { b"customer_id,profile\r\n" } else { b"customer_id\r\n" });
        }
        let sent: Fallible<bool> = async {
            let mut next = first;
            while let Some(row) = next {
                format.write(&row, with_profile, &mut piece)?;
                if piece.len() >= PIECE && !sender.send(Piece::Lines(piece.split().freeze())).await {
                    return Ok(false);
                }
                next = rows.next().await.transpose()?;
            }
            Ok(sender.send(Piece::Lines(piece.split().freeze())).await && sender.send(Piece::End).await)
        }
        .await;
        finish(work, sent).await;
    });
    let body = futures_util::stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Piece::Lines(lines)) => Some((Ok(lines), Some(receiver))),
            Some(Piece::End) => None,
            // A list that was aborted ends with a broken connection, and never looks complete.
            None => Some((Err(std::io::Error::other("the list was aborted")), None)),
        }
    })
    // Compression polls once more after the end.
    .fuse();
    let headers = [(CONTENT_TYPE, format.content_type()), (CACHE_CONTROL, "no-store")];
    Ok((headers, axum::body::Body::from_stream(body)).into_response())
}

/// A part of a list that is streamed. A list without its end was broken off.
enum Piece {
    Lines(Bytes),
    End,
}

struct Sender {
    pieces: mpsc::Sender<Piece>,
    /// How long a client may read nothing: its transaction is open as long.
    patience: Duration,
}

impl Sender {
    /// Sends a part; false if the client is gone, or has read nothing for too long.
    async fn send(&self, piece: Piece) -> bool {
        self.pieces.send_timeout(piece, self.patience).await.is_ok()
    }
}

/// Ends the transaction of a stream.
async fn finish(work: Work, sent: Fallible<bool>) {
    match sent {
        Ok(true) => {
            work.streamed();
            let _ = work.commit().await;
        }
        Ok(false) => metrics::counter!("cohort_gateway_streams_abandoned_total").increment(1),
        Err(failure) => tracing::warn!(sqlstate = failure.sqlstate, "a list of members was aborted"),
    }
}

/// Whether a customer is a member.
#[utoipa::path(get, path = "/v1/cohorts/{name}/members/{id}", tag = "cohorts", params(("name" = String, Path), ("id" = String, Path), AsOf),
    responses((status = 200, body = bool, content_type = "application/json"), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn contains(
    State(gateway): State<Gateway>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
    Query(at): Query<AsOf>,
) -> Fallible<Answer<bool>> {
    let sql = "SELECT to_jsonb({s}.cohort_contains($1, $2::text, $3::text::timestamptz))::text";
    answer(&gateway, &caller, Mode::Read, sql, &[&name, &id, &at.as_of]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_quoted_where_it_must() {
        let mut out = BytesMut::new();
        for text in ["plain", "a,b", "say \"x\"", "two\nlines", ""] {
            csv_field(text, &mut out);
            out.extend_from_slice(b"|");
        }
        assert_eq!(&out[..], b"plain|\"a,b\"|\"say \"\"x\"\"\"|\"two\nlines\"|\"\"|");
    }
}
