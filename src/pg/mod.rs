//! The Postgres side: errors, settings, SPI, types, time zones, the row triggers and all SQL text.

pub(crate) mod answer;
mod binary_json;
mod calendar;
pub(crate) mod databases;
pub(crate) mod errors;
pub(crate) mod extension;
mod ids;
pub(crate) mod index;
pub(crate) mod jsonb;
pub(crate) mod notices;
mod owner;
pub(crate) mod planner;
pub(crate) mod progress;
pub(crate) mod replication;
pub(crate) mod retain;
pub(crate) mod settings;
pub(crate) mod signals;
pub(crate) mod spi;
pub(crate) mod stamp;
pub(crate) mod store;
pub(crate) mod time;
pub(crate) mod transaction;
mod trigger;
pub(crate) mod zones;
