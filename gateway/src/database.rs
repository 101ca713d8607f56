//! The database: a connection pool of the gateway's role, and requests as the roles that it serves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use futures_util::{Stream, StreamExt};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::caller::Role;
use crate::problem::{Failure, Fallible};
use crate::settings::Settings;

/// Seconds that a request waits for a connection.
const WAIT: u64 = 5;

/// Every session starts with these, so that settings of a role or database do not change responses.
const OPTIONS: &str = "-c search_path=pg_catalog,pg_temp -c timezone=UTC -c datestyle=ISO -c intervalstyle=iso_8601 \
                       -c idle_in_transaction_session_timeout=0 -c client_min_messages=warning";

pub(crate) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

#[derive(Clone)]
pub(crate) struct Database {
    pool: Pool,
    pub(crate) config: Config,
    pub(crate) tls: MakeRustlsConnect,
    /// The schema of the extension, quoted.
    schema: Arc<RwLock<Option<Arc<str>>>>,
    request_timeout: Duration,
    stream_timeout: Duration,
}

/// What a request does to the database.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Reads, in one snapshot.
    Read,
    Write,
    /// Changes what it has looked at: fails (40001) if another transaction changed it since.
    Guarded,
    /// Reads, for as long as a list may stream.
    Stream,
}

impl Database {
    pub(crate) fn new(settings: &Settings) -> Result<Self, String> {
        let mut config: Config = settings.database.parse().map_err(|error| format!("--database: {error}"))?;
        if let Some(password) = &settings.secrets.database_password {
            config.password(password);
        }
        config.application_name("cohort-gateway").connect_timeout(Duration::from_secs(WAIT)).options(OPTIONS);
        config.keepalives_idle(Duration::from_mins(1));
        let tls = MakeRustlsConnect::new(client_tls(settings)?);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(config.clone(), tls.clone(), manager);
        let size = usize::try_from(settings.connections).unwrap_or(16);
        let pool = Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(Duration::from_secs(WAIT)))
            .create_timeout(Some(Duration::from_secs(WAIT)))
            .build()
            .map_err(|error| format!("could not create the connection pool: {error}"))?;
        Ok(Self {
            pool,
            config,
            tls,
            schema: Arc::default(),
            request_timeout: Duration::from_secs(settings.request_timeout),
            stream_timeout: Duration::from_secs(settings.stream_timeout),
        })
    }

    pub(crate) fn status(&self) -> deadpool_postgres::Status {
        self.pool.status()
    }

    /// A connection as the gateway itself.
    pub(crate) async fn own(&self) -> Fallible<Own> {
        let client = self.pool.get().await?;
        let schema = match self.known_schema() {
            Some(schema) => schema,
            None => self.find_schema(&client).await?,
        };
        Ok(Own { client, schema })
    }

    fn known_schema(&self) -> Option<Arc<str>> {
        self.schema.read().ok().and_then(|schema| schema.clone())
    }

    /// Forgets where the extension is: it may have moved.
    pub(crate) fn forget_schema(&self) {
        if let Ok(mut schema) = self.schema.write() {
            *schema = None;
        }
    }

    async fn find_schema(&self, client: &Object) -> Fallible<Arc<str>> {
        let found = client
            .query_opt(
                "SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
                 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace \
                 WHERE e.extname OPERATOR(pg_catalog.=) 'kursaha_cohort'",
                &[],
            )
            .await?;
        let Some(row) = found else {
            return Err(Failure::unavailable("the database does not have the extension kursaha_cohort")
                .hint("CREATE EXTENSION kursaha_cohort; SELECT cohort_grant('gateway', 'cohort_gateway');"));
        };
        let name: Arc<str> = row.get::<_, String>(0).into();
        if let Ok(mut schema) = self.schema.write() {
            *schema = Some(name.clone());
        }
        Ok(name)
    }

    /// Begins a transaction as a role.
    pub(crate) async fn begin(&self, role: &Role, mode: Mode) -> Fallible<Work> {
        let Own { client, schema } = self.own().await?;
        let (kind, limit) = match mode {
            Mode::Read => ("ISOLATION LEVEL REPEATABLE READ READ ONLY", self.request_timeout),
            Mode::Write => ("ISOLATION LEVEL READ COMMITTED READ WRITE", self.request_timeout),
            Mode::Guarded => ("ISOLATION LEVEL REPEATABLE READ READ WRITE", self.request_timeout),
            Mode::Stream => ("ISOLATION LEVEL REPEATABLE READ READ ONLY", self.stream_timeout),
        };
        let mut begin = format!("BEGIN {kind}; SET LOCAL statement_timeout = {}; ", limit.as_millis());
        if matches!(mode, Mode::Write | Mode::Guarded) {
            // Data of a request with the response 200 must survive a crash of the server.
            begin.push_str(
                "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'; ",
            );
        }
        for setting in &role.settings {
            if let Some((name, value)) = setting.split_once('=') {
                begin.extend(["SET LOCAL ", name, " = ", &literal(value), "; "]);
            }
        }
        begin.extend(["SET LOCAL ROLE ", &identifier(&role.name)]);
        let work = Work { client: Some(client), schema, tls: self.tls.clone(), busy: AtomicBool::new(false) };
        match work.batch(&begin).await {
            Ok(()) => Ok(work),
            Err(mut failure) => {
                if matches!(failure.sqlstate.as_deref(), Some("42501" | "22023")) {
                    failure.message = format!("the gateway is not a member of the role \"{}\"", role.name);
                    failure.status = axum::http::StatusCode::FORBIDDEN;
                    failure.hint = Some("GRANT that role TO the role of the gateway.".to_owned());
                }
                Err(failure)
            }
        }
    }
}

/// A connection as the gateway's own role, outside any transaction.
pub(crate) struct Own {
    client: Object,
    schema: Arc<str>,
}

impl Own {
    pub(crate) async fn row(&self, sql: &str, values: Values<'_>) -> Fallible<Option<Row>> {
        let statement = self.client.prepare_cached(&sql.replace("{s}", &self.schema)).await?;
        Ok(self.client.query_opt(&statement, values).await?)
    }
}

/// A transaction as a role. Dropped, it is rolled back; a query that then still runs is cancelled, and its connection closed.
pub(crate) struct Work {
    client: Option<Object>,
    schema: Arc<str>,
    tls: MakeRustlsConnect,
    /// Whether a response of the server is outstanding.
    busy: AtomicBool,
}

impl Work {
    fn client(&self) -> Fallible<&Object> {
        self.client.as_ref().ok_or_else(|| Failure::unavailable("the connection was lost"))
    }

    /// Waits for a response. If the wait is abandoned, the connection stays busy.
    async fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Fallible<T> {
        self.busy.store(true, Ordering::Relaxed);
        let answer = answer.await;
        self.busy.store(false, Ordering::Relaxed);
        Ok(answer?)
    }

    /// The rows of a query; `{s}` in it is the extension's schema.
    pub(crate) async fn rows(&self, sql: &str, values: Values<'_>) -> Fallible<Vec<Row>> {
        let client = self.client()?;
        let sql = sql.replace("{s}", &self.schema);
        self.wait(async {
            let statement = client.prepare_cached(&sql).await?;
            client.query(&statement, values).await
        })
        .await
    }

    pub(crate) async fn row(&self, sql: &str, values: Values<'_>) -> Fallible<Option<Row>> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The text in the first column of the first row; `None` where there is no row, or it is NULL.
    pub(crate) async fn text(&self, sql: &str, values: Values<'_>) -> Fallible<Option<String>> {
        match self.row(sql, values).await? {
            Some(row) => Ok(row.try_get(0)?),
            None => Ok(None),
        }
    }

    pub(crate) async fn run(&self, sql: &str, values: Values<'_>) -> Fallible<()> {
        self.rows(sql, values).await.map(|_| ())
    }

    /// Statements without values.
    pub(crate) async fn batch(&self, sql: &str) -> Fallible<()> {
        self.wait(self.client()?.batch_execute(sql)).await
    }

    /// The rows one by one, as the server sends them. The connection is busy until [`Self::streamed`].
    pub(crate) async fn stream(
        &self,
        sql: &str,
        values: Values<'_>,
    ) -> Fallible<impl Stream<Item = Fallible<Row>> + use<>> {
        let client = self.client()?;
        let sql = sql.replace("{s}", &self.schema);
        let rows = self
            .wait(async {
                let statement = client.prepare_cached(&sql).await?;
                client.query_raw(&statement, values.iter().copied()).await
            })
            .await?;
        self.busy.store(true, Ordering::Relaxed);
        Ok(rows.map(|row| row.map_err(Failure::from)))
    }

    /// Says that a stream has come to its end.
    pub(crate) fn streamed(&self) {
        self.busy.store(false, Ordering::Relaxed);
    }

    pub(crate) async fn commit(mut self) -> Fallible<()> {
        self.wait(self.client()?.batch_execute("COMMIT")).await?;
        // Only now does the connection go back.
        drop(self.client.take());
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if *self.busy.get_mut() {
            let client = Object::take(client);
            let (cancel, tls) = (client.cancel_token(), self.tls.clone());
            tokio::spawn(async move {
                let _ = tokio::time::timeout(Duration::from_secs(WAIT), cancel.cancel_query(tls)).await;
                drop(client);
            });
        } else {
            tokio::spawn(async move {
                if client.batch_execute("ROLLBACK").await.is_err() {
                    drop(Object::take(client));
                }
            });
        }
    }
}

/// A name in SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as an SQL literal, independent of `standard_conforming_strings`.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn client_tls(settings: &Settings) -> Result<rustls::ClientConfig, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = &settings.database_ca {
        let shown = path.display();
        let certificates = CertificateDer::pem_file_iter(path).map_err(|error| format!("{shown}: {error}"))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| format!("{shown}: {error}"))?;
            roots.add(certificate).map_err(|error| format!("{shown}: {error}"))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
