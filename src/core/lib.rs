//! The part of `kursaha_cohort` that does not depend on PostgreSQL: the rule language, its values, its translation to
//! SQL, segments and their evaluation, destinations and schedules. It gets data of the server through a trait
//! ([`time::Zones`]), values and closures.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// Tests and benchmarks share files with this crate, in which it has its name.
#[cfg(any(test, feature = "internals"))]
extern crate self as cohort_core;

pub mod address;
pub mod definitions;
pub mod destination;
pub mod eval;
#[cfg(any(test, feature = "internals"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod plain_sql;
pub mod rule;
pub mod sample;
pub mod schedule;
pub mod segment;
pub mod sync;
pub mod text;
pub mod time;
pub mod value;
