//! The WHEN condition of a capture's trigger, evaluated outside the trigger: on rows older than the capture, and on rows
//! that moved between partitions.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

/// Which trigger's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Insert,
    Update,
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

impl Condition {
    /// The condition of the trigger of a capture for an event; `None` where the table has no such trigger.
    ///
    /// # Safety
    /// The relation is open for as long as the condition lives.
    pub(super) unsafe fn of(relation: pg_sys::Relation, capture: i64, event: Event) -> Option<Self> {
        // SAFETY: as the caller says; a trigger's condition is a node tree, whose variables OLD and NEW are set here as the
        // server does it for a trigger.
        unsafe {
            let text = qual(relation, capture, event)?;
            let state = pg_sys::CreateExecutorState();
            let before = pg_sys::MemoryContextSwitchTo((*state).es_query_cxt);
            let mut prepared = std::ptr::null_mut();
            if !text.is_null() {
                let tree: *mut pg_sys::Node = pg_sys::stringToNode(text).cast();
                pg_sys::ChangeVarNodes(tree, pg_sys::PRS2_OLD_VARNO.cast_signed(), pg_sys::INNER_VAR, 0);
                pg_sys::ChangeVarNodes(tree, pg_sys::PRS2_NEW_VARNO.cast_signed(), pg_sys::OUTER_VAR, 0);
                prepared = pg_sys::ExecPrepareQual(pg_sys::make_ands_implicit(tree.cast()), state);
            }
            let descriptor = (*relation).rd_att;
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
            let Some(qual) = self.qual.as_mut() else { return true };
            let context = &mut *self.context;
            pg_sys::MemoryContextReset(context.ecxt_per_tuple_memory);
            if !old.is_null() {
                context.ecxt_innertuple = pg_sys::ExecStoreHeapTuple(old, self.old, false);
            }
            context.ecxt_outertuple = pg_sys::ExecStoreHeapTuple(new, self.new, false);
            let before = pg_sys::MemoryContextSwitchTo(context.ecxt_per_tuple_memory);
            let mut is_null = false;
            let result = qual.evalfunc.map(|evaluate| evaluate(qual, context, &raw mut is_null));
            pg_sys::MemoryContextSwitchTo(before);
            !is_null && result.is_some_and(|result| result.value() != 0)
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

/// The text of a trigger's condition, null where it has none.
unsafe fn qual(relation: pg_sys::Relation, capture: i64, event: Event) -> Option<*const std::ffi::c_char> {
    let id = CString::new(capture.to_string()).ok()?;
    let bit = match event {
        Event::Insert => pg_sys::TRIGGER_TYPE_INSERT,
        Event::Update => pg_sys::TRIGGER_TYPE_UPDATE,
    };
    // SAFETY: the caller has the relation open; the array has the counted length.
    unsafe {
        let triggers = (*relation).trigdesc.as_ref()?;
        std::slice::from_raw_parts(triggers.triggers, triggers.numtriggers as usize)
            .iter()
            .find(|trigger| {
                u32::from(trigger.tgtype.cast_unsigned()) & bit != 0
                    && trigger.tgnargs == 1
                    && CStr::from_ptr(trigger.tgname).to_bytes().starts_with(b"cohort_capture_")
                    && CStr::from_ptr(*trigger.tgargs) == id.as_c_str()
            })
            .map(|trigger| trigger.tgqual.cast_const())
    }
}
