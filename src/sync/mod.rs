//! Syncs in this database: who is told of whom, what is due, and one run from the evaluation to the last answer.

mod audience;
pub(crate) mod binding;
mod plan;
pub(crate) mod priority;
pub(crate) mod queue;
pub(crate) mod run;
mod send;
pub(crate) mod setup;
mod spool;
pub(crate) mod store;
pub(crate) mod suppression;
mod table;
pub(crate) mod trial;

pub(crate) use plan::preview;
