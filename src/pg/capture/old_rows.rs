//! Saves old rows of a captured table, as events, before they are changed or deleted. A backfill records them later.

use pgrx::pg_sys;

use super::super::errors::Fallible;
use super::condition::{self, Condition};
use super::leaf::{AsOwner, Leaf, Newest};
use super::marks::Sums;
use super::plan::{self, Plan};
use super::read::{self, Row};
use super::subtransaction::attempt;
use super::tally::{Outcome, count};
use super::{age, kept};

/// Keeps a row version that is about to go, if a backfill is to record it.
///
/// # Safety
/// The tuple is a version in the open relation.
pub(super) unsafe fn keep(plan: &Plan, relation: pg_sys::Relation, tuple: pg_sys::HeapTuple) -> Fallible<()> {
    // SAFETY: as the caller says.
    unsafe {
        let writer = age::writer(tuple, age::next());
        if !plan.unrecorded.has(writer) || updated_in_gap(plan, tuple, writer) {
            return Ok(());
        }
        keep_any(plan, relation, tuple, writer)
    }
}

/// Keeps a row version. An error leaves it out, and is counted.
unsafe fn keep_any(plan: &Plan, relation: pg_sys::Relation, tuple: pg_sys::HeapTuple, writer: u64) -> Fallible<()> {
    let id = plan.capture.id;
    // SAFETY: the tuple is one of the open relation.
    unsafe {
        let row = Row { tuple, descriptor: (*relation).rd_att };
        match attempt(|| {
            Ok(Condition::of(relation, id, condition::Event::Insert)
                .is_some_and(|c| c.holds(std::ptr::null_mut(), tuple)))
        }) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(state) => {
                count(id, Outcome::Condition, Some(state));
                return Ok(());
            }
        }
        match read::safely(plan, row, true)? {
            Some(event) => {
                let (place, sums) = (kept::place((*tuple).t_self), Sums::of(plan, row));
                kept::keep(id, (*relation).rd_id, place, writer, &event, &sums)
            }
            None => Ok(()),
        }
    }
}

/// Whether a row version was written by an UPDATE while the capture was released: the row may have been recorded
/// before.
pub(super) unsafe fn updated_in_gap(plan: &Plan, tuple: pg_sys::HeapTuple, writer: u64) -> bool {
    // SAFETY: the caller gives a valid tuple.
    let updated = unsafe { u32::from((*(*tuple).t_data).t_infomask) & pg_sys::HEAP_UPDATED != 0 };
    updated && plan.unrecorded.in_gap(writer)
}

/// Keeps rows of a table for a backfill: those that this transaction wrote before the capture began, or, before they
/// are written again, all that are unrecorded. Gives how many rows it looked at and kept.
pub(super) fn keep_rows(capture: i64, table: pg_sys::Oid, own: bool) -> Fallible<i64> {
    let Some(leaf) = Leaf::open(table) else { return Ok(0) };
    let Some(plan) = plan::plan(leaf.0, capture)? else { return Ok(0) };
    let snapshot = Newest::take();
    let not_old = kept::writers(capture, snapshot.0)?;
    let _owner = AsOwner::of(leaf.owner());
    let next = age::next();
    let mut rows = 0;
    leaf.scan(plan.place, snapshot.0, |tuple| {
        // SAFETY: the tuple is one of the open table.
        unsafe {
            let writer = age::writer(tuple, next);
            let wanted = if own {
                pg_sys::TransactionIdIsCurrentTransactionId((*(*tuple).t_data).t_choice.t_heap.t_xmin)
            } else {
                plan.unrecorded.has(writer) && !not_old.contains(&writer) && !updated_in_gap(&plan, tuple, writer)
            };
            if wanted {
                keep_any(&plan, leaf.0, tuple, writer)?;
                rows += 1;
            }
        }
        Ok(true)
    })?;
    if !own {
        kept::all_kept(capture, table)?;
    }
    Ok(rows)
}
