//! Outgoing HTTPS requests. A helper thread, which never calls server functions, performs the request. The calling
//! process checks for interrupts while it waits.

pub(crate) mod secret;

use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cohort_core::address::{self, Host};
use cohort_core::destination::{Outcome, Request, Response};
use pgrx::pg_sys;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error};

use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::here::with_signals_blocked;
use crate::pg::settings;

/// Maximum length of a response, in bytes.
const LONGEST: u64 = 1 << 20;

/// The allowed hosts and the time limits.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// `None`: the setting has an invalid entry.
    allowed_hosts: Option<Vec<Host>>,
    allow_private: bool,
    connect: Duration,
    request: Duration,
    ca_file: Option<PathBuf>,
}

impl Limits {
    /// The limits of the settings.
    pub(crate) fn from_settings() -> Self {
        Self {
            allowed_hosts: address::hosts(&settings::allowed_hosts()).ok(),
            allow_private: settings::allow_private_networks(),
            connect: settings::connect_timeout(),
            request: settings::request_timeout(),
            ca_file: Some(settings::ca_file()).filter(|file| !file.is_empty()).map(PathBuf::from),
        }
    }
}

/// Why a request failed before there was a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request is not allowed. A retry would not help.
    Refused {
        /// The reason.
        why: String,
        /// The hint.
        hint: String,
    },
    /// The server could not be reached, or its response was invalid.
    Failed(String),
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { why, hint } => Self::Attention { why, hint },
            Failure::Failed(why) => Self::again(why),
        }
    }
}

impl Failure {
    fn refused(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), hint: hint.into() }
    }
}

type Answer = Result<Response, Failure>;

/// A connection to the helper thread.
pub(crate) struct Wire {
    /// Closes the open connections.
    line: Arc<Closing>,
    requests: Sender<Request>,
    answers: Receiver<Answer>,
    /// Readable when there is a response.
    bell: UnixStream,
}

/// The part of the helper thread's agent that the waiting process needs.
#[derive(Default)]
struct Closing {
    closed: AtomicBool,
    agent: Mutex<Option<Agent>>,
}

/// If the process stops waiting, the thread ends: reads and writes fail at once; a name resolution and a connection
/// attempt take at most `connect_timeout`.
impl Drop for Wire {
    fn drop(&mut self) {
        self.line.closed.store(true, Ordering::SeqCst);
        if let Some(agent) = self.line.agent.lock().ok().and_then(|mut agent| agent.take()) {
            agent.shutdown();
        }
    }
}

impl Wire {
    /// Starts the helper thread. All signals are blocked in it, so that the main thread receives them.
    pub(crate) fn open(limits: Limits) -> Fallible<Self> {
        let broken = |error: std::io::Error| {
            failure(
                SqlState::ERRCODE_SYSTEM_ERROR,
                format!("could not start the thread for outgoing requests: {error}"),
            )
        };
        let (bell, mut ring) = UnixStream::pair().map_err(broken)?;
        bell.set_nonblocking(true).map_err(broken)?;
        let (requests, orders) = channel::<Request>();
        let (results, answers) = channel();
        let line = Arc::new(Closing::default());
        let closing = Arc::clone(&line);
        let work = move || {
            let mut agent: Option<(Agent, Refusal)> = None;
            while let Ok(request) = orders.recv() {
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    let (agent, refusal) = match &mut agent {
                        Some(agent) => agent,
                        none => none.insert(agent_of(&limits)?),
                    };
                    if let Ok(mut shared) = closing.agent.lock() {
                        shared.get_or_insert_with(|| agent.clone());
                    }
                    if closing.closed.load(Ordering::SeqCst) {
                        return Err(Failure::Failed("the request was cancelled".to_owned()));
                    }
                    exchange(agent, refusal, &limits, &request)
                }));
                let answer = outcome.unwrap_or_else(|_| {
                    Err(Failure::Failed("the request was aborted before a response arrived".to_owned()))
                });
                if results.send(answer).is_err() || ring.write_all(&[1]).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("kursaha_cohort wire".to_owned());
        with_signals_blocked(|| thread.spawn(work)).map_err(broken)?;
        Ok(Self { line, requests, answers, bell })
    }

    /// Passes a request to the thread and returns at once.
    pub(crate) fn start(&mut self, request: Request) -> Fallible<()> {
        self.requests
            .send(request)
            .map_err(|_| failure(SqlState::ERRCODE_INTERNAL_ERROR, "the thread for outgoing requests has ended"))
    }

    /// Waits for the response. `idle` is called at least every 100 ms and checks for interrupts. `None`: `idle`
    /// cancelled the wait; dropping the wire then ends the thread.
    pub(crate) fn wait(&mut self, idle: &mut dyn FnMut() -> bool) -> Option<Answer> {
        loop {
            let mut bytes = [0; 16];
            let _ = self.bell.read(&mut bytes);
            match self.answers.try_recv() {
                Ok(answer) => return Some(answer),
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    return Some(Err(Failure::Failed("the request was aborted before a response arrived".to_owned())));
                }
                Err(std::sync::mpsc::TryRecvError::Empty) => {}
            }
            let events =
                pg_sys::WL_LATCH_SET | pg_sys::WL_SOCKET_READABLE | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
            // SAFETY: this process's latch, and a socket that is open as long as `self` is.
            unsafe {
                pg_sys::WaitLatchOrSocket(
                    pg_sys::MyLatch,
                    events.cast_signed(),
                    self.bell.as_raw_fd(),
                    100,
                    pg_sys::PG_WAIT_EXTENSION,
                );
                pg_sys::ResetLatch(pg_sys::MyLatch);
            }
            if !idle() {
                return None;
            }
        }
    }
}

/// The reason why the resolver refused an address.
type Refusal = Arc<Mutex<Option<Failure>>>;

/// Resolves a name once, and returns exactly the addresses that were checked.
#[derive(Debug)]
struct Guarded {
    allow_private: bool,
    refusal: Refusal,
}

impl Resolver for Guarded {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let found = DefaultResolver::default().resolve(uri, config, timeout)?;
        if !self.allow_private
            && let Some((address, why)) =
                found.iter().find_map(|found| address::refused(found.ip()).map(|why| (found.ip(), why)))
        {
            let host = uri.host().unwrap_or_default();
            if let Ok(mut refusal) = self.refusal.lock() {
                *refusal = Some(Failure::refused(
                    format!("the address of {host} is not a public one ({why}: {address})"),
                    "For destinations in private networks a superuser sets kursaha_cohort.allow_private_networks.",
                ));
            }
            return Err(Error::HostNotFound);
        }
        Ok(found)
    }
}

fn agent_of(limits: &Limits) -> Result<(Agent, Refusal), Failure> {
    let roots = match &limits.ca_file {
        None => RootCerts::WebPki,
        Some(file) => {
            let wrong = |why: String| {
                Failure::refused(
                    format!("kursaha_cohort.ca_file cannot be used: {why}"),
                    "It must be a file of certificates in PEM format that the server can read.",
                )
            };
            let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
            let certificates: Vec<Certificate<'static>> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(wrong("it contains no certificate".to_owned()));
            }
            RootCerts::from(certificates)
        }
    };
    let config = Agent::config_builder()
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .user_agent(concat!("kursaha_cohort/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_global(Some(limits.request))
        .tls_config(TlsConfig::builder().root_certs(roots).build())
        .build();
    let refusal = Refusal::default();
    let resolver = Guarded { allow_private: limits.allow_private, refusal: Arc::clone(&refusal) };
    Ok((Agent::with_parts(config, DefaultConnector::default(), resolver), refusal))
}

/// The host and port of an https address.
pub(crate) fn host_and_port(url: &str) -> Option<(String, u16)> {
    let parsed = url::Url::parse(url).ok()?;
    Some((parsed.host_str()?.to_owned(), parsed.port_or_known_default()?))
}

fn exchange(agent: &Agent, refusal: &Refusal, limits: &Limits, request: &Request) -> Answer {
    let parsed = url::Url::parse(&request.url)
        .map_err(|error| Failure::refused(format!("the address is invalid: {error}"), "Correct the destination."))?;
    let host = parsed.host_str().unwrap_or_default();
    let port = parsed.port_or_known_default().unwrap_or(443);
    if parsed.scheme() != "https" {
        return Err(Failure::refused("the address is not https", "Only https is supported."));
    }
    if !limits.allowed_hosts.as_ref().is_some_and(|list| address::allowed(host, port, list)) {
        return Err(Failure::refused(
            format!("the host {host}:{port} is not allowed"),
            "A superuser adds it to kursaha_cohort.allowed_hosts.",
        ));
    }
    macro_rules! with_headers {
        ($builder:expr) => {{
            let mut builder = $builder;
            for (name, value) in &request.headers {
                builder = builder.header(name.as_str(), value.as_str());
            }
            builder
        }};
    }
    let url = request.url.as_str();
    let sent = match request.method {
        "GET" => with_headers!(agent.get(url)).call(),
        "DELETE" => with_headers!(agent.delete(url)).force_send_body().send(&request.body[..]),
        "PUT" => with_headers!(agent.put(url)).send(&request.body[..]),
        _ => with_headers!(agent.post(url)).send(&request.body[..]),
    };
    let mut answer = sent.map_err(|error| {
        let refused = refusal.lock().ok().and_then(|mut refusal| refusal.take());
        refused.unwrap_or_else(|| failed(&error, host))
    })?;
    let headers = answer
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(LONGEST).read_to_vec().map_err(|error| match error {
        Error::BodyExceedsLimit(_) => Failure::Failed("the response is longer than 1 MiB".to_owned()),
        other => failed(&other, host),
    })?;
    Ok(Response { status, headers, body })
}

/// The error as text, without the content of the request.
fn failed(error: &Error, host: &str) -> Failure {
    let said = error.to_string();
    if said.contains("UnknownIssuer") {
        return Failure::refused(
            format!("{host} has a certificate from an authority that is not trusted"),
            "A superuser can set kursaha_cohort.ca_file to a file of trusted authorities, which replace the built-in ones.",
        );
    }
    Failure::Failed(match error {
        Error::HostNotFound => format!("the host name {host} cannot be resolved"),
        Error::Timeout(which) => format!("{host} did not respond in time ({which})"),
        Error::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            format!("{host} closed the connection before its response was complete")
        }
        Error::Io(error) => format!("the connection to {host} failed: {error}"),
        Error::ConnectionFailed => format!("the connection to {host} failed"),
        _ => format!("no usable response from {host}: {said}"),
    })
}
