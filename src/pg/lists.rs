//! The ids of fixed lists in `kursaha_cohort.list_chunk`: in byte order, about 500 in a row. An import compares the new
//! list with the stored rows and writes only rows that differ.

use std::collections::VecDeque;

use super::errors::Fallible;
use super::spi::{self, Snapshot};

/// Bytes of ids from which on a row is cut in two: with its header it fits into a page, uncompressed.
const ROW: usize = 6_000;

/// One row.
struct Chunk {
    from: String,
    ids: Vec<String>,
}

/// Sets the ids of a list, which are given in byte order and each once.
pub(crate) fn set(cohort: i64, ids: &[String]) -> Fallible<()> {
    let mut old: VecDeque<Chunk> = spi::run(
        Snapshot::Fresh,
        "SELECT from_id, customer_ids FROM kursaha_cohort.list_chunk WHERE cohort_id = $1 ORDER BY from_id",
        &[cohort.into()],
        |row| Ok(Chunk { from: row.need(1)?, ids: row.need(2)? }),
    )?
    .into();
    let is_new = old.is_empty();
    if is_new {
        old.push_back(Chunk { from: String::new(), ids: Vec::new() });
    }
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let mut left = ids;
    while let Some(chunk) = old.pop_front() {
        pgrx::check_for_interrupts!();
        let end = old.front().map_or(left.len(), |next| left.partition_point(|id| *id < next.from));
        let (own, rest) = left.split_at(end);
        left = rest;
        if own == chunk.ids && !is_new {
            continue;
        }
        // The first row is always there.
        let stays = chunk.from.is_empty() || !own.is_empty();
        if !is_new {
            gone.push(chunk.from.clone());
        }
        if stays {
            cut(chunk.from, own, &mut come);
        }
    }
    if gone.is_empty() && come.is_empty() {
        return Ok(());
    }
    if !gone.is_empty() {
        spi::touch(
            "DELETE FROM kursaha_cohort.list_chunk WHERE cohort_id = $1 AND from_id = ANY ($2)",
            &[cohort.into(), gone.into()],
        )?;
    }
    for Chunk { from, ids } in come {
        pgrx::check_for_interrupts!();
        let last = ids.last().cloned().unwrap_or_default();
        spi::touch(
            "INSERT INTO kursaha_cohort.list_chunk (cohort_id, from_id, last_id, content, customer_ids) \
             VALUES ($1, $2, $3, CASE WHEN $2 = '' THEN gen_random_uuid() END, $4)",
            &[cohort.into(), from.into(), last.into(), ids.into()],
        )?;
    }
    spi::touch(
        "UPDATE kursaha_cohort.list_chunk SET content = gen_random_uuid() WHERE cohort_id = $1 AND from_id = ''",
        &[cohort.into()],
    )?;
    Ok(())
}

/// Cuts ids into rows, the first of which begins at `from`.
fn cut(mut from: String, ids: &[String], into: &mut Vec<Chunk>) {
    let mut own = Vec::new();
    let mut bytes = 0;
    for id in ids {
        // An element has a length of four bytes and begins at a multiple of four.
        bytes += 4 + id.len().next_multiple_of(4);
        if bytes > ROW && !own.is_empty() {
            let chunk = Chunk { from: std::mem::replace(&mut from, id.clone()), ids: std::mem::take(&mut own) };
            into.push(chunk);
            bytes = 4 + id.len().next_multiple_of(4);
        }
        own.push(id.clone());
    }
    into.push(Chunk { from, ids: own });
}
