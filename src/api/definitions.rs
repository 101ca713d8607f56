//! Definitions as a document: export and apply.

use cohort_core::definitions::parse;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;

use crate::definitions::{self, Change};
use crate::pg::errors::invalid_at;
use crate::pg::jsonb::Jsonb;
use crate::pg::spi::Snapshot;
use crate::pg::store::SURROUNDINGS;
use crate::pg::transaction::rehearsal;

/// The definitions that are saved, as a document that `cohort_apply` takes: all, or those of one cohort and of what it needs.
#[pg_extern(stable, parallel_restricted)]
fn cohort_export(name: default!(Option<&str>, "NULL")) -> Result<Jsonb, ErrorReport> {
    Ok(Jsonb::from(&definitions::export(Snapshot::Callers, name)?.to_json()))
}

/// Creates and updates what a document says, in one transaction; says what was done, and who is gained and lost.
#[pg_extern(volatile, parallel_unsafe)]
#[expect(clippy::type_complexity, reason = "pgrx reads the row type from the signature")]
fn cohort_apply(
    definitions: Option<Jsonb>,
    dry_run: default!(bool, "false"),
    prune: default!(bool, "false"),
) -> Result<
    TableIterator<
        'static,
        (name!(name, String), name!(action, String), name!(gained, Option<i64>), name!(lost, Option<i64>)),
    >,
    ErrorReport,
> {
    let Some(text) = definitions else { return Ok(TableIterator::empty()) };
    let wanted = parse(&text.0, &SURROUNDINGS).map_err(|problems| invalid_at("definitions", &problems))?;
    let apply = || definitions::apply(&wanted, prune);
    let changes = if dry_run { rehearsal(apply)? } else { apply()? };
    Ok(TableIterator::new(changes.into_iter().map(|Change { name, action, members }| {
        (name, action, members.map(|(gained, _)| gained), members.map(|(_, lost)| lost))
    })))
}
