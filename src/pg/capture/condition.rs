//! The condition of a capture. It stands in the WHEN clause of a trigger named `cohort_when_…`, as `false AND condition`: so
//! the server keeps it in step with renamed columns, dumps it, and never evaluates it. An error in the WHEN clause of the
//! trigger that records would fail the application's write; here it skips the row.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

use super::server;

/// Which trigger's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Insert,
    Update,
    Delete,
}

/// A condition that is ready to be evaluated. Holds executor state; dropping it frees that.
pub(super) struct Condition {
    state: *mut pg_sys::EState,
    /// Null where the trigger has no condition.
    qual: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
    old: *mut pg_sys::TupleTableSlot,
    new: *mut pg_sys::TupleTableSlot,
}

/// The condition that a recording trigger evaluates, prepared once a statement, as the server does it for its triggers.
///
/// # Safety
/// `call` is the call of a trigger of an open relation.
pub(super) unsafe fn of_call(
    call: pg_sys::FunctionCallInfo,
    relation: pg_sys::Relation,
    capture: i64,
    event: Event,
) -> Option<&'static Condition> {
    // SAFETY: as the caller says. What is kept lives in the memory of the function's look-up, and is freed with it.
    unsafe {
        let function = (*call).flinfo;
        if (*function).fn_extra.is_null() {
            let before = pg_sys::MemoryContextSwitchTo((*function).fn_mcxt);
            // One of the trigger itself the server has evaluated.
            let kept = match qual(relation, capture, event) {
                Some((_, true)) => Condition::of(relation, capture, event),
                Some((_, false)) | None => None,
            };
            let place: *mut Option<Condition> = pg_sys::palloc(size_of::<Option<Condition>>()).cast();
            place.write(kept);
            (*function).fn_extra = place.cast();
            pg_sys::MemoryContextSwitchTo(before);
        }
        (*(*function).fn_extra.cast::<Option<Condition>>()).as_ref()
    }
}

impl Condition {
    /// The condition of the trigger of a capture for an event; `None` where the table has no such trigger.
    ///
    /// # Safety
    /// The relation is open for as long as the condition lives.
    pub(super) unsafe fn of(relation: pg_sys::Relation, capture: i64, event: Event) -> Option<Self> {
        // SAFETY: as the caller says; a trigger's condition is a node tree, whose variables OLD and NEW are set here as the
        // server does it for a trigger.
        unsafe {
            let (text, is_kept) = qual(relation, capture, event)?;
            let state = pg_sys::CreateExecutorState();
            let before = pg_sys::MemoryContextSwitchTo((*state).es_query_cxt);
            let mut prepared = std::ptr::null_mut();
            if !text.is_null() {
                let tree: *mut pg_sys::Node = pg_sys::stringToNode(text).cast();
                pg_sys::ChangeVarNodes(tree, pg_sys::PRS2_OLD_VARNO.cast_signed(), pg_sys::INNER_VAR, 0);
                pg_sys::ChangeVarNodes(tree, pg_sys::PRS2_NEW_VARNO.cast_signed(), pg_sys::OUTER_VAR, 0);
                let parts = pg_sys::make_ands_implicit(tree.cast());
                let parts = if is_kept { pg_sys::list_delete_first(parts) } else { parts };
                prepared = pg_sys::ExecPrepareQual(parts, state);
            }
            // A copy, which may outlast the relation's own.
            let descriptor = pg_sys::CreateTupleDescCopyConstr((*relation).rd_att);
            let condition = Self {
                state,
                qual: prepared,
                context: pg_sys::CreateExprContext(state),
                old: pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsHeapTuple),
                new: pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsHeapTuple),
            };
            pg_sys::MemoryContextSwitchTo(before);
            Some(condition)
        }
    }

    /// Whether the trigger has no condition.
    pub(super) fn is_always(&self) -> bool {
        self.qual.is_null()
    }

    /// Whether the condition holds for a row.
    ///
    /// # Safety
    /// The tuples have the relation's descriptor; `old` may be null where the condition does not read it.
    pub(super) unsafe fn holds(&self, old: pg_sys::HeapTuple, new: pg_sys::HeapTuple) -> bool {
        // SAFETY: as the caller says.
        unsafe {
            if self.qual.is_null() {
                return true;
            }
            let context = &mut *self.context;
            pg_sys::MemoryContextReset(context.ecxt_per_tuple_memory);
            if !old.is_null() {
                context.ecxt_innertuple = pg_sys::ExecStoreHeapTuple(old, self.old, false);
            }
            context.ecxt_outertuple = pg_sys::ExecStoreHeapTuple(new, self.new, false);
            let before = pg_sys::MemoryContextSwitchTo(context.ecxt_per_tuple_memory);
            let (result, is_null) = server::evaluate(self.qual, context);
            pg_sys::MemoryContextSwitchTo(before);
            !is_null && result.value() != 0
        }
    }
}

impl Drop for Condition {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: made by `of`; after an error the transaction frees all of it.
            unsafe {
                pg_sys::ExecDropSingleTupleTableSlot(self.old);
                pg_sys::ExecDropSingleTupleTableSlot(self.new);
                pg_sys::FreeExecutorState(self.state);
            }
        }
    }
}

/// Whether a trigger of its own keeps the condition of a capture.
///
/// # Safety
/// The relation is open.
pub(super) unsafe fn is_kept(relation: pg_sys::Relation, capture: i64) -> bool {
    let kept = |event| {
        // SAFETY: as the caller says.
        unsafe { qual(relation, capture, event) }.is_some_and(|(_, is_kept)| is_kept)
    };
    [Event::Insert, Event::Update, Event::Delete].into_iter().any(kept)
}

/// The text of a capture's condition for an event, null where it has none, and whether that is one that a trigger of its
/// own keeps.
unsafe fn qual(relation: pg_sys::Relation, capture: i64, event: Event) -> Option<(*const std::ffi::c_char, bool)> {
    let id = CString::new(capture.to_string()).ok()?;
    let bit = match event {
        Event::Insert => pg_sys::TRIGGER_TYPE_INSERT,
        Event::Update => pg_sys::TRIGGER_TYPE_UPDATE,
        Event::Delete => pg_sys::TRIGGER_TYPE_DELETE,
    };
    // SAFETY: the caller has the relation open; the array has the counted length.
    unsafe {
        let triggers = (*relation).trigdesc.as_ref()?;
        let triggers = std::slice::from_raw_parts(triggers.triggers, triggers.numtriggers as usize);
        let find = |name: &[u8], arguments| {
            triggers.iter().find(|trigger| {
                u32::from(trigger.tgtype.cast_unsigned()) & bit != 0
                    && trigger.tgnargs == arguments
                    && CStr::from_ptr(trigger.tgname).to_bytes().starts_with(name)
                    && CStr::from_ptr(*trigger.tgargs) == id.as_c_str()
            })
        };
        let recording = find(b"cohort_capture_", 1)?;
        let kept = find(b"cohort_when_", 2).filter(|kept| !kept.tgqual.is_null());
        Some((kept.unwrap_or(recording).tgqual.cast_const(), kept.is_some()))
    }
}
