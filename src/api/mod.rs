//! The SQL functions, by subject. Each one converts its arguments, calls `src/pg`, `src/sync` or the core, and converts
//! the result.

mod admin;
mod cohorts;
mod crossing;
mod definitions;
mod destinations;
mod evaluate;
mod execute;
mod figures;
mod groups;
mod helpers;
mod index;
mod inspect;
mod keys;
mod members;
mod owners;
mod planner;
mod priorities;
mod properties;
mod retain;
mod sample;
mod secrets;
mod syncs;
mod track;
mod workers;
