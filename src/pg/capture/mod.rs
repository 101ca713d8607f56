//! Application tables whose rows become events and profiles: the row triggers of `cohort_capture`, and the backfill.
//!
//! A trigger runs with the rights of whoever writes the application's table, and never makes that write fail: what
//! cannot be recorded is skipped and counted.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_ptr_alignment,
    clippy::cast_sign_loss,
    clippy::similar_names,
    clippy::struct_excessive_bools,
    clippy::too_many_lines,
    reason = "datums and structures of the server hold narrower types than the machine's word"
)]

mod age;
mod alter;
mod backfill;
mod condition;
mod customer;
mod defaults;
mod deferred;
mod event;
mod ids;
mod kept;
mod leaf;
mod marks;
mod moved;
mod old_rows;
mod plan;
mod profile;
mod read;
mod server;
mod subtransaction;
mod tally;
mod trigger;
mod value;

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

/// Which transactions have ended at this moment.
#[pg_extern(sql = false)]
fn ended_now() -> String {
    age::ended_now()
}

/// Keeps rows of a table for a backfill.
#[pg_extern(sql = false)]
fn keep_rows(capture: i64, table: pg_sys::Oid, own: bool) -> Result<i64, ErrorReport> {
    old_rows::keep_rows(capture, table, own)
}

/// Records rows older than a capture.
#[pg_extern(sql = false)]
fn backfill_rows(capture: i64, at_most: i64) -> Result<i64, ErrorReport> {
    backfill::run(capture, at_most)
}
