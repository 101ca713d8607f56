//! Settings from flags, the environment and a file, in this order of precedence. Secrets are read only from the
//! environment or a file.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand};

/// The environment variables of secrets, and the keys of the file that mean the same.
const DATABASE_PASSWORD: &str = "COHORT_GATEWAY_DATABASE_PASSWORD";
const SESSION_KEY: &str = "COHORT_GATEWAY_SESSION_KEY";

#[derive(Parser, Debug)]
#[command(name = "cohort-gateway", version, about, next_line_help = true)]
pub(crate) struct Settings {
    /// A TOML file of settings: the names of the flags, with _ for -, and `database_password`, `session_key`
    #[arg(long, env = "COHORT_GATEWAY_CONFIG", global = true)]
    pub(crate) config: Option<PathBuf>,

    /// Where the database is, as libpq words it, without a password: `host=/run/postgresql dbname=shop user=cohort_gateway`
    #[arg(
        long,
        env = "COHORT_GATEWAY_DATABASE",
        default_value = "host=/var/run/postgresql user=cohort_gateway",
        global = true
    )]
    pub(crate) database: String,

    /// Certificates in PEM form that the database's own is checked against, in place of the system's
    #[arg(long, env = "COHORT_GATEWAY_DATABASE_CA", global = true)]
    pub(crate) database_ca: Option<PathBuf>,

    /// The most connections to the database
    #[arg(long, env = "COHORT_GATEWAY_CONNECTIONS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(2..=1000))]
    pub(crate) connections: u32,

    /// The address and port to listen at
    #[arg(long, env = "COHORT_GATEWAY_LISTEN", default_value = "127.0.0.1:8480")]
    pub(crate) listen: SocketAddr,

    /// The certificate's chain, PEM; read again on SIGHUP
    #[arg(long, env = "COHORT_GATEWAY_TLS_CERTIFICATE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,

    /// The certificate's key, PEM; read again on SIGHUP
    #[arg(long, env = "COHORT_GATEWAY_TLS_KEY", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Speak plain HTTP at an address that is not loopback
    #[arg(long, env = "COHORT_GATEWAY_INSECURE")]
    pub(crate) insecure: bool,

    /// A proxy before this program speaks HTTPS: cookies are Secure although this program speaks plain HTTP
    #[arg(long, env = "COHORT_GATEWAY_BEHIND_HTTPS")]
    pub(crate) behind_https: bool,

    /// Addresses of proxies whose X-Forwarded-For, and whose --trusted-header, is believed
    #[arg(long, env = "COHORT_GATEWAY_PROXIES", value_delimiter = ',')]
    pub(crate) proxies: Vec<IpAddr>,

    /// The header in which a proxy of --proxies names the role of a person that it signed in
    #[arg(long, env = "COHORT_GATEWAY_TRUSTED_HEADER", requires = "proxies")]
    pub(crate) trusted_header: Option<String>,

    /// A directory with the console's files, in place of those in the program
    #[arg(long, env = "COHORT_GATEWAY_CONSOLE")]
    pub(crate) console: Option<PathBuf>,

    /// Seconds that a request may take
    #[arg(long, env = "COHORT_GATEWAY_REQUEST_TIMEOUT", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) request_timeout: u64,

    /// Seconds that a list of members may stream in all
    #[arg(long, env = "COHORT_GATEWAY_STREAM_TIMEOUT", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) stream_timeout: u64,

    /// Seconds that a client may read nothing of a list of members that streams
    #[arg(long, env = "COHORT_GATEWAY_READ_TIMEOUT", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) read_timeout: u64,

    /// The most requests at a time; more are answered with 503
    #[arg(long, env = "COHORT_GATEWAY_MAX_REQUESTS", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) max_requests: u32,

    /// Hours that a session lasts
    #[arg(long, env = "COHORT_GATEWAY_SESSION_HOURS", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=720))]
    pub(crate) session_hours: u32,

    /// What is logged: error, warn, info, debug
    #[arg(long, env = "COHORT_GATEWAY_LOG", default_value = "info", global = true)]
    pub(crate) log: String,

    #[arg(skip)]
    pub(crate) secrets: Secrets,

    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Writes the cohorts, priorities, suppressions and syncs of the database into files
    Export { directory: PathBuf },
    /// Says what apply would do, with the exact numbers of members gained and lost
    Plan {
        directory: PathBuf,
        /// Drop what no file names
        #[arg(long)]
        prune: bool,
    },
    /// Makes the database as the files say, in one transaction
    Apply {
        directory: PathBuf,
        /// Drop what no file names
        #[arg(long)]
        prune: bool,
    },
    /// Writes openapi.json to the standard output
    Openapi,
}

#[derive(Default)]
pub(crate) struct Secrets {
    pub(crate) database_password: Option<String>,
    pub(crate) session_key: Option<String>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secrets")
    }
}

impl Settings {
    /// Reads them, or says what is wrong with them.
    pub(crate) fn read() -> Result<Self, String> {
        let given: Vec<OsString> = std::env::args_os().collect();
        let first = Self::parse_from(&given);
        let mut secrets = Secrets {
            database_password: std::env::var(DATABASE_PASSWORD).ok(),
            session_key: std::env::var(SESSION_KEY).ok(),
        };
        let mut settings = match &first.config {
            None => first,
            Some(path) => Self::parse_from(with_file(path, given, &mut secrets)?),
        };
        settings.secrets = secrets;
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        let config: tokio_postgres::Config = self.database.parse().map_err(|error| format!("--database: {error}"))?;
        if config.get_password().is_some() {
            return Err(format!(
                "--database contains a password, which other users of this machine can see; set {DATABASE_PASSWORD} or database_password in the file of --config"
            ));
        }
        if self.tls_certificate.is_none() && !self.listen.ip().is_loopback() && !self.insecure && self.command.is_none()
        {
            return Err(format!(
                "{} is not a loopback address: set --tls-certificate and --tls-key, or --insecure for plain HTTP",
                self.listen
            ));
        }
        if self.secrets.session_key.as_ref().is_some_and(|key| key.len() < 32) {
            return Err("the session key has fewer than 32 characters".to_owned());
        }
        Ok(())
    }

    pub(crate) fn speaks_https(&self) -> bool {
        self.behind_https || self.tls_certificate.is_some()
    }
}

/// The arguments, and before them those that the file has and neither they nor the environment.
fn with_file(path: &Path, given: Vec<OsString>, secrets: &mut Secrets) -> Result<Vec<OsString>, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let table: toml::Table = text.parse().map_err(|error| format!("{shown}: {error}"))?;
    let command = Settings::command();
    let mut arguments = Vec::new();
    for (name, value) in table {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            toml::Value::Array(list) if list.iter().all(toml::Value::is_str) => {
                list.iter().filter_map(toml::Value::as_str).collect::<Vec<_>>().join(",")
            }
            _ => return Err(format!("{shown}: {name} must be a string, a number, true, false or a list of strings")),
        };
        match name.as_str() {
            "database_password" => secrets.database_password = secrets.database_password.take().or(Some(text)),
            "session_key" => secrets.session_key = secrets.session_key.take().or(Some(text)),
            _ => {
                let argument = command
                    .get_arguments()
                    .find(|argument| argument.get_id() == name.as_str() && name != "config")
                    .ok_or_else(|| format!("{shown}: unknown setting \"{name}\""))?;
                let flag = format!("--{}", name.replace('_', "-"));
                let prefix = format!("{flag}=");
                let is_given = given
                    .iter()
                    .filter_map(|given| given.to_str())
                    .any(|given| given == flag || given.starts_with(&prefix));
                if is_given || argument.get_env().is_some_and(|name| std::env::var_os(name).is_some()) {
                    continue;
                }
                if argument.get_action().takes_values() {
                    arguments.push(format!("{flag}={text}").into());
                } else if text == "true" {
                    arguments.push(flag.into());
                }
            }
        }
    }
    let mut given = given.into_iter();
    Ok(given.next().into_iter().chain(arguments).chain(given).collect())
}
