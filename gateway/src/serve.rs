//! The routes, the layers around them, and the listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::database::Database;
use crate::patience::Patience;
use crate::problem::{Failure, Fallible, word};
use crate::rest::{
    captures, cohorts, customers, destinations, events, figures as customer_figures, files, keys, members, operation,
    preview, priorities, properties, questions, retention, secrets, syncs,
};
use crate::session::{self, Sessions};
use crate::settings::Settings;
use crate::{console, kursaha};

/// How long the head of a request may take, and a connection be idle between two.
const HEAD: Duration = Duration::from_secs(15);
/// How long a body may stand still.
const BODY: Duration = Duration::from_secs(15);
/// How long requests may continue after the program was signalled to end.
const GRACE: Duration = Duration::from_secs(20);

/// What every handler gets.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) database: Database,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) settings: Arc<Settings>,
    /// Lists that are streamed at a time: half of the connections stay for everyone else.
    pub(crate) streams: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    metrics: PrometheusHandle,
}

#[derive(OpenApi)]
#[openapi(info(
    title = "cohort-gateway",
    description = "Kursaha's API and REST for the extension kursaha_cohort. A program sends Authorization: Bearer with its key; a person has a session."
))]
struct Description;

fn rest() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(session::sign_in, session::show, session::sign_out))
        .routes(routes!(events::store, events::list))
        .routes(routes!(events::types))
        .routes(routes!(events::describe))
        .routes(routes!(properties::list))
        .routes(routes!(customers::list))
        .routes(routes!(customers::show, customers::merge, customers::forget))
        .routes(routes!(customers::cohorts))
        .routes(routes!(customers::changes))
        .routes(routes!(cohorts::list, cohorts::add))
        .routes(routes!(cohorts::show, cohorts::put, cohorts::rename, cohorts::remove))
        .routes(routes!(cohorts::refresh))
        .routes(routes!(members::list))
        .routes(routes!(members::contains))
        .routes(routes!(questions::count))
        .routes(routes!(questions::explain))
        .routes(routes!(questions::why))
        .routes(routes!(questions::sql))
        .routes(routes!(questions::history))
        .routes(routes!(questions::changes))
        .routes(routes!(questions::versions))
        .routes(routes!(preview::preview))
        .routes(routes!(questions::validate))
        .routes(routes!(questions::rule_schema))
        .routes(routes!(questions::overlap))
        .routes(routes!(customer_figures::figures))
        .routes(routes!(customer_figures::groups))
        .routes(routes!(destinations::list, destinations::add))
        .routes(routes!(destinations::show, destinations::put, destinations::hand_over, destinations::remove))
        .routes(routes!(destinations::test))
        .routes(routes!(syncs::list, syncs::add))
        .routes(routes!(syncs::show, syncs::put, syncs::hand_over, syncs::remove))
        .routes(routes!(syncs::preview))
        .routes(routes!(syncs::now))
        .routes(routes!(syncs::pause))
        .routes(routes!(syncs::resume))
        .routes(routes!(syncs::resync))
        .routes(routes!(syncs::rejected))
        .routes(routes!(syncs::runs))
        .routes(routes!(priorities::list, priorities::add))
        .routes(routes!(priorities::show, priorities::put, priorities::remove))
        .routes(routes!(priorities::waterfall))
        .routes(routes!(priorities::suppressions, priorities::suppress, priorities::unsuppress))
        .routes(routes!(captures::list, captures::add, captures::remove))
        .routes(routes!(captures::backfill))
        .routes(routes!(retention::list, retention::put, retention::remove))
        .routes(routes!(secrets::put, secrets::remove))
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::revoke))
        .routes(routes!(operation::show))
        .routes(routes!(operation::seal))
        .routes(routes!(files::export))
        .routes(routes!(files::apply))
}

fn kursaha_api() -> OpenApiRouter<Gateway> {
    OpenApiRouter::new()
        .routes(routes!(kursaha::ping))
        .routes(routes!(kursaha::signal))
        .routes(routes!(kursaha::add_customers, kursaha::change_customers))
}

/// openapi.json.
pub(crate) fn openapi() -> String {
    let mut description = Description::openapi();
    description.merge(rest().into_openapi());
    description.merge(kursaha_api().into_openapi());
    description.to_pretty_json().unwrap_or_default()
}

impl Gateway {
    pub(crate) fn new(settings: Settings, metrics: PrometheusHandle) -> Result<Self, String> {
        let permits = |number: u32| Arc::new(Semaphore::new(usize::try_from(number).unwrap_or(1)));
        Ok(Self {
            database: Database::new(&settings)?,
            sessions: Arc::new(Sessions::new(&settings)),
            streams: permits(settings.connections / 2),
            requests: permits(settings.max_requests),
            settings: Arc::new(settings),
            metrics,
        })
    }

    fn routes(self) -> Router {
        let api = openapi();
        let description = move || async move { ([("content-type", "application/json")], api) };
        let timeout = Duration::from_secs(self.settings.request_timeout + 5);
        let main = Router::from(rest())
            .merge(Router::from(kursaha_api()))
            .route("/openapi.json", get(description.clone()))
            .route("/v1/openapi.json", get(description))
            .fallback(console::file)
            .layer(DefaultBodyLimit::max(crate::rest::MOST_BYTES))
            .layer(RequestDecompressionLayer::new())
            .layer(RequestBodyTimeoutLayer::new(BODY))
            .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, timeout))
            .layer(from_fn_with_state(self.clone(), admit))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(from_fn(word))
            .layer(
                CompressionLayer::new()
                    .compress_when(DefaultPredicate::new().and(NotForContentType::new("application/x-ndjson"))),
            );
        main.route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(figures))
            .layer(from_fn(observe))
            .with_state(self)
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request caused a panic");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}

/// Limits how many requests are processed at a time.
async fn admit(State(gateway): State<Gateway>, request: Request, next: Next) -> Response {
    let Ok(_permit) = gateway.requests.try_acquire() else {
        return Failure::unavailable("too many requests at a time").into_response();
    };
    next.run(request).await
}

/// Logs and counts a request: its route, never its path, query or body, in which there are names and ids.
async fn observe(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("other", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let took = begun.elapsed();
    let status = response.status().as_u16();
    tracing::info!(method = %method, route, status, took_ms = took.as_secs_f64() * 1000.0, "request");
    let labels = [("method", method.to_string()), ("route", route), ("status", status.to_string())];
    metrics::counter!("cohort_gateway_requests_total", &labels).increment(1);
    metrics::histogram!("cohort_gateway_request_seconds", &labels[..2]).record(took.as_secs_f64());
    response
}

/// Whether the database responds and has the extension.
async fn ready(State(gateway): State<Gateway>) -> Response {
    gateway.database.forget_schema();
    let answer: Fallible<()> = async {
        let own = gateway.database.own().await?;
        own.row("SELECT", &[]).await.map(|_| ())
    }
    .await;
    match answer {
        Ok(()) => "ok\n".into_response(),
        Err(failure) => (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", failure.message)).into_response(),
    }
}

async fn figures(State(gateway): State<Gateway>) -> Response {
    let status = gateway.database.status();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    metrics::gauge!("cohort_gateway_connections").set(number(status.size));
    metrics::gauge!("cohort_gateway_connections_idle").set(number(status.available));
    metrics::gauge!("cohort_gateway_connections_awaited").set(number(status.waiting));
    gateway.metrics.run_upkeep();
    ([("content-type", "text/plain; version=0.0.4")], gateway.metrics.render()).into_response()
}

/// Serves until it is signalled to end.
pub(crate) async fn serve(gateway: Gateway) -> Result<(), String> {
    let settings = gateway.settings.clone();
    let handle = axum_server::Handle::new();
    tokio::spawn(end_on_signal(handle.clone()));
    // The default action of SIGHUP would end the program: it is caught before anyone can know of this process.
    let hangups = signal(SignalKind::hangup()).map_err(|error| format!("SIGHUP: {error}"))?;
    let unread = Duration::from_secs(settings.read_timeout);
    let service = gateway.routes().into_make_service_with_connect_info::<SocketAddr>();
    tracing::info!(address = %settings.listen, tls = settings.tls_certificate.is_some(), "listening");
    let served = if let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) {
        let config = RustlsConfig::from_pem_file(certificate, key)
            .await
            .map_err(|error| format!("the certificate or its key: {error}"))?;
        tokio::spawn(reload(hangups, config.clone(), certificate.clone(), key.clone()));
        let mut server = axum_server::bind_rustls(settings.listen, config)
            .map(|accept| Patience { accept, unread })
            .first_request_timeout(HEAD)
            .handle(handle);
        patience(server.http_builder());
        server.serve(service).await
    } else {
        tokio::spawn(ignore(hangups));
        let mut server = axum_server::bind(settings.listen)
            .map(|accept| Patience { accept, unread })
            .first_request_timeout(HEAD)
            .handle(handle);
        patience(server.http_builder());
        server.serve(service).await
    };
    served.map_err(|error| format!("{}: {error}", settings.listen))
}

fn patience(builder: &mut hyper_util::server::conn::auto::Builder<hyper_util::rt::TokioExecutor>) {
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 << 10);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(HEAD)
        .keep_alive_timeout(HEAD)
        .max_concurrent_streams(100);
}

async fn end_on_signal(handle: axum_server::Handle<SocketAddr>) {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return;
    };
    tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
    tracing::info!("ending");
    handle.graceful_shutdown(Some(GRACE));
}

async fn reload(mut hangups: Signal, config: RustlsConfig, certificate: PathBuf, key: PathBuf) {
    while hangups.recv().await.is_some() {
        match config.reload_from_pem_file(&certificate, &key).await {
            Ok(()) => tracing::info!("read the certificate again"),
            Err(error) => {
                tracing::error!(%error, "could not read the certificate or its key; the previous one stays in use");
            }
        }
    }
}

async fn ignore(mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        tracing::info!("there is no certificate to read again");
    }
}
