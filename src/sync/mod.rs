//! Syncs in this database: who is told of whom, what is due, and one run from the evaluation to the last answer.

mod audience;
mod batch;
pub(crate) mod binding;
mod context;
mod deliver;
mod diff;
mod ending;
mod finish;
mod intent;
mod job;
mod journal;
mod preview;
pub(crate) mod priority;
mod probe;
mod profiles;
pub(crate) mod queue;
pub(crate) mod run;
mod session;
mod settled;
pub(crate) mod setup;
mod spool;
pub(crate) mod store;
pub(crate) mod suppression;
mod table;

pub(crate) use deliver::test;
pub(crate) use preview::preview;
