//! The part of `kursaha_cohort` that knows no Postgres: the rule language, its values and its plain-SQL
//! translation. What it needs from the server comes in as a trait ([`time::Zones`]), a value or a closure.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod address;
pub mod definitions;
pub mod destination;
pub mod eval;
pub mod plain_sql;
pub mod rule;
pub mod sample;
pub mod schedule;
pub mod segment;
pub mod sync;
pub mod text;
pub mod time;
pub mod value;
