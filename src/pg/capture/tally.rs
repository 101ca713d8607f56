//! Counts the recorded and skipped rows of captured tables.
//!
//! A transaction counts in memory, by subtransaction, and appends its counts when it commits: nobody waits for a row
//! that others count in. `kursaha_cohort.fold_capture_counts()` adds them up later.

use std::cell::{Cell, RefCell};
use std::ffi::{CString, c_void};

use pgrx::{IntoDatum, pg_guard, pg_sys};

use super::super::extension;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Recorded,
    Backfilled,
    NoCustomer,
    EmptyCustomer,
    NoneCustomer,
    LongCustomer,
    InfiniteTime,
    Unconvertible,
    Refused,
    Condition,
    LostColumn,
    Dump,
    Subscribed,
    UpdatedWhileReleased,
}

impl Outcome {
    /// The name in the view `cohort_capture_status`.
    const fn name(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Backfilled => "backfilled",
            Self::NoCustomer => "no customer",
            Self::EmptyCustomer => "empty customer id",
            Self::NoneCustomer => "customer id None",
            Self::LongCustomer => "customer id too long",
            Self::InfiniteTime => "infinite or impossible time",
            Self::Unconvertible => "value that jsonb refuses",
            Self::Refused => "refused by the table",
            Self::Condition => "condition failed",
            Self::LostColumn => "column missing",
            Self::Dump => "loaded by a dump",
            Self::Subscribed => "event comes by subscription",
            Self::UpdatedWhileReleased => "updated while released",
        }
    }
}

struct Count {
    level: i32,
    capture: i64,
    outcome: Outcome,
    state: Option<String>,
    rows: i64,
}

thread_local! {
    static COUNTS: RefCell<Vec<Count>> = const { RefCell::new(Vec::new()) };
    /// Counts of former transactions, at whose end the table was locked.
    static LEFT: RefCell<Vec<Count>> = const { RefCell::new(Vec::new()) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

/// Counts a row. `state` is the SQLSTATE of the error that kept it out, if one did.
pub(super) fn count(capture: i64, outcome: Outcome, state: Option<String>) {
    if !REGISTERED.replace(true) {
        // SAFETY: registers functions of this library, which is never unloaded.
        unsafe {
            pg_sys::RegisterXactCallback(Some(transaction_ends), std::ptr::null_mut());
            pg_sys::RegisterSubXactCallback(Some(subtransaction_ends), std::ptr::null_mut());
        }
    }
    // SAFETY: reads a variable of the server.
    let level = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    COUNTS.with_borrow_mut(|counts| add(counts, Count { level, capture, outcome, state, rows: 1 }));
}

fn add(counts: &mut Vec<Count>, new: Count) {
    let same = |count: &&mut Count| {
        count.level == new.level
            && count.capture == new.capture
            && count.outcome == new.outcome
            && count.state == new.state
    };
    match counts.iter_mut().rev().find(same) {
        Some(count) => count.rows += new.rows,
        None => counts.push(new),
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn transaction_ends(event: pg_sys::XactEvent::Type, _argument: *mut c_void) {
    if event == pg_sys::XactEvent::XACT_EVENT_PRE_COMMIT || event == pg_sys::XactEvent::XACT_EVENT_PRE_PREPARE {
        let new = COUNTS.take();
        if !new.is_empty() {
            let mut counts = LEFT.take();
            counts.extend(new);
            if !append(&counts) {
                LEFT.set(counts);
            }
        }
    } else {
        COUNTS.with_borrow_mut(Vec::clear);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn subtransaction_ends(
    event: pg_sys::SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    // SAFETY: reads a variable of the server.
    let level = unsafe { pg_sys::GetCurrentTransactionNestLevel() };
    COUNTS.with_borrow_mut(|counts| {
        if event == pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB {
            counts.retain(|count| count.level < level);
        } else if event == pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB {
            while counts.last().is_some_and(|count| count.level >= level) {
                let Some(count) = counts.pop() else { break };
                let outer = Count { level: level - 1, ..count };
                let at = counts.iter().take_while(|count| count.level < level).count();
                let inner = counts.split_off(at);
                add(counts, outer);
                counts.extend(inner);
            }
        }
    });
}

/// Appends the counts of a transaction that is about to commit. Below the privilege check: whoever writes the captured
/// table needs no privilege on the counts. Waits for nobody: false where the table is locked.
fn append(counts: &[Count]) -> bool {
    let Ok((_, internals)) = extension::schema_oids() else { return true };
    // SAFETY: the table is opened, locked and of the columns that sql/tables.sql gives it, in that order.
    unsafe {
        let name = c"capture_count";
        let table = pg_sys::get_relname_relid(name.as_ptr(), internals);
        if table == pg_sys::InvalidOid {
            return true;
        }
        if !pg_sys::ConditionalLockRelationOid(table, pg_sys::RowExclusiveLock.cast_signed()) {
            return false;
        }
        let relation = pg_sys::table_open(table, pg_sys::NoLock.cast_signed());
        for count in counts {
            let state = count.state.clone().and_then(|state| CString::new(state).ok());
            let mut values = [
                pg_sys::Datum::from(count.capture),
                count.outcome.name().into_datum().unwrap_or(pg_sys::Datum::from(0)),
                state.as_ref().map_or(pg_sys::Datum::from(0), |state| {
                    pg_sys::Datum::from(pg_sys::cstring_to_text(state.as_ptr()))
                }),
                pg_sys::Datum::from(count.rows),
                pg_sys::Datum::from(pg_sys::GetCurrentTransactionStartTimestamp()),
            ];
            let mut nulls = [false, false, state.is_none(), false, false];
            let tuple = pg_sys::heap_form_tuple((*relation).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
            pg_sys::simple_heap_insert(relation, tuple);
        }
        pg_sys::table_close(relation, pg_sys::NoLock.cast_signed());
    }
    true
}
