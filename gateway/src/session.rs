//! Sign-in of people with a role and its password, or through a proxy. A session is an encrypted cookie.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum_extra::extract::PrivateCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha512};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use crate::caller::{self, Role};
use crate::database::Mode;
use crate::problem::{ErrorBody, Failure, Fallible};
use crate::rest::Body;
use crate::serve::Gateway;
use crate::settings::Settings;
use crate::throttle::Throttle;

/// How long a failed sign-in takes at least.
const DELAY: Duration = Duration::from_secs(1);
/// Sign-ins that are tried at a time: each is a connection to the database.
const AT_A_TIME: usize = 4;
/// How long the result is cached that the server requires the password of a role.
const BELIEVED: Duration = Duration::from_mins(10);

pub(crate) struct Sessions {
    pub(crate) key: Key,
    hours: u32,
    secure: bool,
    throttle: Throttle,
    attempts: Semaphore,
    /// Sessions that were ended before their time, until then.
    ended: Mutex<HashMap<String, u64>>,
    /// Roles for which a wrong password was refused, and when.
    asks: Mutex<HashMap<String, std::time::Instant>>,
}

impl Sessions {
    pub(crate) fn new(settings: &Settings) -> Self {
        let key = match &settings.secrets.session_key {
            Some(key) => Key::from(&Sha512::digest(key.as_bytes())),
            None => Key::generate(),
        };
        Self {
            key,
            hours: settings.session_hours,
            secure: settings.speaks_https(),
            throttle: Throttle::default(),
            attempts: Semaphore::new(AT_A_TIME),
            ended: Mutex::default(),
            asks: Mutex::default(),
        }
    }

    /// A cookie with the prefix `__Host-` cannot be set by another host of the domain, nor over plain HTTP.
    fn name(&self) -> &'static str {
        if self.secure { "__Host-cohort" } else { "cohort" }
    }

    fn cookie(&self, value: String) -> Cookie<'static> {
        Cookie::build((self.name(), value))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(SameSite::Strict)
            .build()
    }

    fn is_ended(&self, id: &str) -> bool {
        self.ended.lock().is_ok_and(|ended| ended.contains_key(id))
    }

    fn end(&self, session: &Sealed) {
        if let Ok(mut ended) = self.ended.lock() {
            let now = now();
            ended.retain(|_, expires| *expires > now);
            ended.insert(session.id.clone(), session.expires);
        }
    }
}

/// What the cookie says.
#[derive(Serialize, Deserialize)]
struct Sealed {
    id: String,
    /// The role by its OID: a rename keeps the session, a later role of the same name does not have it.
    role: u32,
    csrf: String,
    /// Seconds since 1970.
    expires: u64,
}

/// A person who signed in.
pub(crate) struct Person {
    pub(crate) role: Role,
    pub(crate) csrf: String,
    expires: u64,
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

fn random() -> Fallible<String> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|_| Failure::unavailable("could not generate random bytes"))?;
    Ok(hexadecimal(&bytes))
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |number: u8| char::from_digit(u32::from(number), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn no_session() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "the request has neither an API key nor a session")
        .hint("Send Authorization: Bearer with a key, or sign in with POST /v1/session.")
}

fn sealed(headers: &HeaderMap, sessions: &Sessions) -> Option<Sealed> {
    let jar: PrivateCookieJar = PrivateCookieJar::from_headers(headers, sessions.key.clone());
    let sealed: Sealed = serde_json::from_str(jar.get(sessions.name())?.value()).ok()?;
    (sealed.expires > now() && !sessions.is_ended(&sealed.id)).then_some(sealed)
}

/// The person of a request.
pub(crate) async fn person(parts: &Parts, gateway: &Gateway) -> Fallible<Person> {
    if let Some(role) = named_by_proxy(parts, gateway)? {
        let own = gateway.database.own().await?;
        let row = own.row(caller::BY_NAME, &[&role]).await?.ok_or_else(no_session)?;
        // Nothing is kept of these, so the token follows from the role.
        let mut digest = Sha512::new();
        digest.update(gateway.sessions.key.master());
        digest.update(role.as_bytes());
        let csrf = hexadecimal(&digest.finalize()[..24]);
        let expires = now() + 3600 * u64::from(gateway.sessions.hours);
        return Ok(Person { role: Role { name: row.try_get(0)?, settings: row.try_get(1)? }, csrf, expires });
    }
    let session = sealed(&parts.headers, &gateway.sessions).ok_or_else(no_session)?;
    let own = gateway.database.own().await?;
    let row = own.row(caller::BY_OID, &[&session.role]).await?.ok_or_else(no_session)?;
    let role = Role { name: row.try_get(0)?, settings: row.try_get(1)? };
    Ok(Person { role, csrf: session.csrf, expires: session.expires })
}

fn named_by_proxy<'a>(parts: &'a Parts, gateway: &Gateway) -> Fallible<Option<&'a str>> {
    let Some(header) = &gateway.settings.trusted_header else { return Ok(None) };
    if !gateway.settings.proxies.contains(&caller::peer(parts)) {
        return Ok(None);
    }
    let mut values = parts.headers.get_all(header).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| no_session()),
        // A proxy that appends lets whoever asks choose.
        (Some(_), Some(_)) => Err(no_session()),
    }
}

/// A role and its password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    role: String,
    password: String,
}

/// Who is signed in.
#[derive(Serialize, ToSchema)]
pub(crate) struct Session {
    role: String,
    csrf: String,
    expires_at: String,
    may: May,
}

/// Which privilege sets the role has.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "the shape of the answer")]
pub(crate) struct May {
    read: bool,
    ingest: bool,
    edit: bool,
    operate: bool,
}

async fn describe(gateway: &Gateway, person: Person) -> Fallible<Session> {
    let work = gateway.database.begin(&person.role, Mode::Read).await?;
    let seconds = i64::try_from(person.expires).unwrap_or(i64::MAX);
    let row = work
        .row(
            "SELECT coalesce(bool_or(p.may) FILTER (WHERE p.proname = 'cohort_count'), false), \
                    coalesce(bool_or(p.may) FILTER (WHERE p.proname = 'cohort_track_batch'), false), \
                    coalesce(bool_or(p.may) FILTER (WHERE p.proname = 'cohort_create'), false), \
                    coalesce(bool_or(p.may) FILTER (WHERE p.proname = 'cohort_seal'), false), \
                    to_jsonb(to_timestamp($1::bigint)) #>> '{}' \
             FROM (SELECT f.proname, has_function_privilege(f.oid, 'EXECUTE') AS may FROM pg_proc f \
                   JOIN pg_extension e ON e.extnamespace = f.pronamespace AND e.extname = 'kursaha_cohort' \
                   WHERE f.proname IN ('cohort_count', 'cohort_track_batch', 'cohort_create', 'cohort_seal')) p",
            &[&seconds],
        )
        .await?
        .ok_or_else(no_session)?;
    let may = May { read: row.try_get(0)?, ingest: row.try_get(1)?, edit: row.try_get(2)?, operate: row.try_get(3)? };
    let session = Session { role: person.role.name, csrf: person.csrf, expires_at: row.try_get(4)?, may };
    work.commit().await?;
    Ok(session)
}

/// Signs a person in.
#[utoipa::path(post, path = "/v1/session", tag = "session", request_body = Credentials,
    responses((status = 200, body = Session), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn sign_in(
    State(gateway): State<Gateway>,
    request: Request,
) -> Fallible<(PrivateCookieJar, Json<Session>)> {
    let (parts, body) = request.into_parts();
    let address = caller::address(&parts, &gateway.settings.proxies);
    let headers = parts.headers.clone();
    let Body(given): Body<Credentials> = Body::from_request(Request::from_parts(parts, body), &gateway).await?;
    let sessions = &gateway.sessions;
    if let Some(seconds) = sessions.throttle.wait(address, &given.role) {
        metrics::counter!("cohort_gateway_sign_ins_total", "outcome" => "throttled").increment(1);
        return Err(Failure::new(StatusCode::TOO_MANY_REQUESTS, "too many failed sign-ins").retry_after(seconds));
    }
    sessions.throttle.count(address, &given.role);
    let begun = tokio::time::Instant::now();
    let oid = match try_password(&gateway, &given).await {
        Ok(oid) => oid,
        Err(failure) => {
            metrics::counter!("cohort_gateway_sign_ins_total", "outcome" => "refused").increment(1);
            tokio::time::sleep_until(begun + DELAY).await;
            return Err(failure);
        }
    };
    sessions.throttle.forgive(address, &given.role);
    metrics::counter!("cohort_gateway_sign_ins_total", "outcome" => "accepted").increment(1);
    let expires = now() + 3600 * u64::from(sessions.hours);
    let sealed = Sealed { id: random()?, role: oid, csrf: random()?, expires };
    let own = gateway.database.own().await?;
    let row = own.row(caller::BY_OID, &[&oid]).await?.ok_or_else(|| {
        Failure::new(StatusCode::FORBIDDEN, "superusers are not served")
            .hint("Sign in as a role with a privilege set of cohort_grant.")
    })?;
    let role = Role { name: row.try_get(0)?, settings: row.try_get(1)? };
    drop(own);
    let session = describe(&gateway, Person { role, csrf: sealed.csrf.clone(), expires }).await?;
    let value = serde_json::to_string(&sealed).map_err(|_| Failure::unavailable("no session"))?;
    let jar = PrivateCookieJar::from_headers(&headers, sessions.key.clone()).add(sessions.cookie(value));
    Ok((jar, Json(session)))
}

/// The role's OID if the database takes the password.
async fn try_password(gateway: &Gateway, given: &Credentials) -> Fallible<u32> {
    let wrong = || Failure::new(StatusCode::UNAUTHORIZED, "the role or its password is wrong");
    if given.role.is_empty() || given.password.is_empty() || given.role.contains('\0') || given.password.contains('\0')
    {
        return Err(wrong());
    }
    let _permit = gateway.sessions.attempts.acquire().await.map_err(|_| wrong())?;
    let oid = connect(gateway, &given.role, &given.password).await?.ok_or_else(wrong)?;
    let is_known =
        gateway.sessions.asks.lock().is_ok_and(|asks| asks.get(&given.role).is_some_and(|at| at.elapsed() < BELIEVED));
    if !is_known {
        // Where the server's pg_hba.conf says trust or peer, every password is right.
        if connect(gateway, &given.role, &random()?).await?.is_some() {
            return Err(Failure::unavailable(
                "the database server does not require a password for this role, so it cannot be used to sign in",
            )
            .hint("Add a line with scram-sha-256 for the role to pg_hba.conf."));
        }
        if let Ok(mut asks) = gateway.sessions.asks.lock() {
            asks.retain(|_, at| at.elapsed() < BELIEVED);
            asks.insert(given.role.clone(), std::time::Instant::now());
        }
    }
    Ok(oid)
}

/// Connects with a password, and gives the role's OID; `None` if it is wrong.
async fn connect(gateway: &Gateway, role: &str, password: &str) -> Fallible<Option<u32>> {
    let mut config = gateway.database.config.clone();
    config.user(role).password(password).application_name("cohort-gateway sign-in");
    let (client, connection) = match config.connect(gateway.database.tls.clone()).await {
        Ok(connected) => connected,
        Err(error) => {
            let refused = error
                .code()
                .is_some_and(|code| code.code().starts_with("28") || matches!(code.code(), "42501" | "42704"));
            return if refused { Ok(None) } else { Err(error.into()) };
        }
    };
    let connection = tokio::spawn(connection);
    let oid = client.query_one("SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = session_user", &[]).await;
    drop(client);
    let _ = connection.await;
    Ok(Some(oid?.try_get(0)?))
}

/// Who is signed in.
#[utoipa::path(get, path = "/v1/session", tag = "session",
    responses((status = 200, body = Session), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn show(State(gateway): State<Gateway>, request: Request) -> Fallible<Json<Session>> {
    let (parts, _) = request.into_parts();
    let person = person(&parts, &gateway).await?;
    Ok(Json(describe(&gateway, person).await?))
}

/// Ends the session.
#[utoipa::path(delete, path = "/v1/session", tag = "session",
    responses((status = 204), (status = "4XX", body = ErrorBody), (status = "5XX", body = ErrorBody)))]
pub(crate) async fn sign_out(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    _caller: caller::Caller,
) -> (PrivateCookieJar, StatusCode) {
    let sessions = &gateway.sessions;
    if let Some(session) = sealed(&headers, sessions) {
        sessions.end(&session);
    }
    let jar = PrivateCookieJar::from_headers(&headers, sessions.key.clone());
    (jar.remove(sessions.cookie(String::new())), StatusCode::NO_CONTENT)
}
