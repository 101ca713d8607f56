//! `cohort-gateway`: Kursaha's API, REST and a console over HTTP for the extension `kursaha_cohort`. docs/GATEWAY.md
//! describes it. This file reads the settings and starts what they ask for.

#![expect(unused_qualifications, reason = "utoipa names the types of parameters with their modules")]

mod caller;
mod console;
mod database;
mod definitions;
mod kursaha;
mod patience;
mod problem;
mod rest;
mod serve;
mod session;
mod settings;
mod throttle;

use std::process::ExitCode;

use metrics_exporter_prometheus::PrometheusBuilder;

use settings::{Command, Settings};

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("cohort-gateway: {message}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<(), String> {
    let settings = Settings::read()?;
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.log).map_err(|error| format!("--log: {error}"))?;
    tracing_subscriber::fmt().json().flatten_event(true).with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(run(settings))
}

async fn run(settings: Settings) -> Result<(), String> {
    match &settings.command {
        Some(Command::Openapi) => {
            println!("{}", serve::openapi());
            Ok(())
        }
        Some(Command::Export { directory }) => definitions::export(&settings, directory).await,
        Some(Command::Plan { directory, prune }) => definitions::apply(&settings, directory, true, *prune).await,
        Some(Command::Apply { directory, prune }) => definitions::apply(&settings, directory, false, *prune).await,
        None => {
            // Each connection is an open file, and the usual soft limit is 1024.
            if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
                tracing::warn!(%error, "the limit of open files is unchanged");
            }
            let metrics = PrometheusBuilder::new()
                .set_buckets(&[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0])
                .map_err(|error| error.to_string())?
                .install_recorder()
                .map_err(|error| error.to_string())?;
            serve::serve(serve::Gateway::new(settings, metrics)?).await
        }
    }
}
