//! Writes a profile into `cohort_customer`, with the executor and without a privilege check, as `event.rs`. It waits
//! for a concurrent insert of the same profile, and merges into it.

use pgrx::{IntoDatum, direct_function_call_as_datum, pg_sys};

use super::super::errors::Fallible;
use super::super::{extension, owned};
use super::deferred::Deferred;
use super::{defaults, event, server};

/// Column numbers of `cohort_customer`, counted from 0, as `sql/tables.sql` creates it.
mod place {
    pub(super) const CUSTOMER_ID: usize = 0;
    pub(super) const PROFILE: usize = 1;
    pub(super) const CREATED_AT: usize = 2;
    pub(super) const UPDATED_AT: usize = 3;
    pub(super) const STAMP: usize = 4;
    pub(super) const COUNT: usize = 5;
}

/// The table, open.
pub(super) struct Customers {
    relation: pg_sys::Relation,
    key: pg_sys::Oid,
    /// Whether something that users added may refuse a row.
    pub(super) guarded: bool,
    /// Constraints that would be checked at the end of the transaction.
    pub(super) deferred: Deferred,
}

impl Drop for Customers {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open`; an error closes it by itself.
            unsafe { pg_sys::table_close(self.relation, pg_sys::NoLock.cast_signed()) }
        }
    }
}

impl Customers {
    pub(super) fn open() -> Fallible<Self> {
        let (public, internals) = extension::schema_oids()?;
        // SAFETY: catalog look-ups; the lock is held until the transaction ends.
        unsafe {
            let table = pg_sys::get_relname_relid(c"cohort_customer".as_ptr(), public);
            let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock.cast_signed());
            let descriptor = (*relation).rd_att;
            let mut guarded = (*descriptor).natts as usize != place::COUNT
                || !owned::everybody()?
                || event::indexes_may_refuse(relation, place::PROFILE as i16 + 1);
            if let Some(constraints) = (*descriptor).constr.as_ref() {
                guarded |= constraints.num_check != 0;
            }
            if let Some(triggers) = (*relation).trigdesc.as_ref() {
                guarded |= std::slice::from_raw_parts(triggers.triggers, triggers.numtriggers as usize)
                    .iter()
                    .any(|trigger| pg_sys::get_func_namespace(trigger.tgfoid) != internals);
            }
            let deferred = if guarded { Deferred::of(relation, false) } else { Deferred::default() };
            Ok(Self { relation, key: event::primary_key(relation), guarded, deferred })
        }
    }

    /// Whether the table can be written without waiting. Its lock is then held until the transaction ends.
    pub(super) fn is_free() -> Fallible<bool> {
        let (public, _) = extension::schema_oids()?;
        // SAFETY: a catalog look-up inside a transaction.
        Ok(unsafe {
            let table = pg_sys::get_relname_relid(c"cohort_customer".as_ptr(), public);
            pg_sys::ConditionalLockRelationOid(table, pg_sys::RowExclusiveLock.cast_signed())
        })
    }

    /// Changes a customer's profile, or makes it. `gone` takes away a profile that is empty then, and makes none.
    pub(super) fn change(&self, customer: &str, gone: bool, merge: impl Fn(pg_sys::Datum) -> pg_sys::Datum) {
        // SAFETY: executor state is made and freed here; an error leaves that to the transaction.
        unsafe {
            let state = pg_sys::CreateExecutorState();
            let before = pg_sys::MemoryContextSwitchTo((*state).es_query_cxt);
            let result: *mut pg_sys::ResultRelInfo = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            (*result).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(result, self.relation, 0, std::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(result, true);
            // AFTER triggers find the table here.
            (*state).es_opened_result_relations = pg_sys::lappend((*state).es_opened_result_relations, result.cast());
            pg_sys::AfterTriggerBeginQuery();
            let wanted = customer.into_datum().unwrap_or(pg_sys::Datum::from(0));
            loop {
                pgrx::check_for_interrupts!();
                let found = self.find(wanted);
                if let Some(found) = found {
                    self.replace(state, result, found, gone, &merge);
                    break;
                }
                if gone || self.insert(state, result, wanted, merge(event::empty_object())) {
                    break;
                }
            }
            pg_sys::AfterTriggerEndQuery(state);
            pg_sys::ExecCloseResultRelations(state);
            pg_sys::ExecResetTupleTable((*state).es_tupleTable, false);
            pg_sys::MemoryContextSwitchTo(before);
            pg_sys::FreeExecutorState(state);
            // The next row of the same statement may be about the same customer.
            pg_sys::CommandCounterIncrement();
        }
    }

    unsafe fn slot(&self) -> *mut pg_sys::TupleTableSlot {
        // SAFETY: the relation is open.
        unsafe { pg_sys::table_slot_create(self.relation, std::ptr::null_mut()) }
    }

    /// The customer's row, locked; waits for those that write it.
    unsafe fn find(&self, customer: pg_sys::Datum) -> Option<*mut pg_sys::TupleTableSlot> {
        // SAFETY: the slots have the relation's columns; only the key's column is read of the first.
        unsafe {
            let (search, found) = (self.slot(), self.slot());
            pg_sys::ExecStoreAllNullTuple(search);
            *(*search).tts_values.add(place::CUSTOMER_ID) = customer;
            *(*search).tts_isnull.add(place::CUSTOMER_ID) = false;
            let there = pg_sys::RelationFindReplTupleByIndex(
                self.relation,
                self.key,
                pg_sys::LockTupleMode::LockTupleExclusive,
                search,
                found,
            );
            pg_sys::ExecDropSingleTupleTableSlot(search);
            if there {
                return Some(found);
            }
            pg_sys::ExecDropSingleTupleTableSlot(found);
            None
        }
    }

    unsafe fn replace(
        &self,
        state: *mut pg_sys::EState,
        result: *mut pg_sys::ResultRelInfo,
        found: *mut pg_sys::TupleTableSlot,
        gone: bool,
        merge: &impl Fn(pg_sys::Datum) -> pg_sys::Datum,
    ) {
        // SAFETY: the slot holds the locked row, the result is that of the table.
        unsafe {
            pg_sys::slot_getallattrs(found);
            let old = *(*found).tts_values.add(place::PROFILE);
            let new = merge(old);
            let equal = |one, other| {
                direct_function_call_as_datum(pg_sys::jsonb_eq, &[Some(one), Some(other)])
                    .is_some_and(|equal| equal.value() != 0)
            };
            let mut recheck = pg_sys::EPQState::default();
            #[cfg(feature = "pg15")]
            pg_sys::EvalPlanQualInit(&raw mut recheck, state, std::ptr::null_mut(), std::ptr::null_mut(), -1);
            #[cfg(not(feature = "pg15"))]
            pg_sys::EvalPlanQualInit(
                &raw mut recheck,
                state,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                -1,
                std::ptr::null_mut(),
            );
            if gone && equal(new, event::empty_object()) {
                pg_sys::ExecSimpleRelationDelete(result, state, &raw mut recheck, found);
            } else if !equal(new, old) {
                let slot = self.slot();
                pg_sys::ExecCopySlot(slot, found);
                pg_sys::slot_getallattrs(slot);
                *(*slot).tts_values.add(place::PROFILE) = new;
                let tuple = pg_sys::heap_form_tuple((*self.relation).rd_att, (*slot).tts_values, (*slot).tts_isnull);
                let changed = self.slot();
                pg_sys::ExecForceStoreHeapTuple(tuple, changed, false);
                pg_sys::ExecSimpleRelationUpdate(result, state, &raw mut recheck, found, changed);
                pg_sys::ExecDropSingleTupleTableSlot(slot);
                pg_sys::ExecDropSingleTupleTableSlot(changed);
            }
            pg_sys::EvalPlanQualEnd(&raw mut recheck);
            pg_sys::ExecDropSingleTupleTableSlot(found);
        }
    }

    /// Inserts a profile as ON CONFLICT DO NOTHING does; tells whether it is there now.
    unsafe fn insert(
        &self,
        state: *mut pg_sys::EState,
        result: *mut pg_sys::ResultRelInfo,
        customer: pg_sys::Datum,
        profile: pg_sys::Datum,
    ) -> bool {
        // SAFETY: the slot has the relation's columns; the speculative insertion is completed or undone.
        unsafe {
            let slot = pg_sys::MakeSingleTupleTableSlot((*self.relation).rd_att, &raw const pg_sys::TTSOpsVirtual);
            let columns = (*(*self.relation).rd_att).natts as usize;
            let values = std::slice::from_raw_parts_mut((*slot).tts_values, columns);
            let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, columns);
            nulls.fill(true);
            let now = pg_sys::Datum::from(pg_sys::GetCurrentTransactionStartTimestamp());
            let stamp = pg_sys::Datum::from(pg_sys::GetTopFullTransactionId().value);
            for (place, value) in [
                (place::CUSTOMER_ID, customer),
                (place::PROFILE, profile),
                (place::CREATED_AT, now),
                (place::UPDATED_AT, now),
                (place::STAMP, stamp),
            ] {
                values[place] = value;
                nulls[place] = false;
            }
            defaults::fill(self.relation, state, place::COUNT, values, nulls);
            pg_sys::ExecStoreVirtualTuple(slot);
            let triggers = (*result).ri_TrigDesc;
            if !triggers.is_null()
                && (*triggers).trig_insert_before_row
                && !pg_sys::ExecBRInsertTriggers(state, result, slot)
            {
                return true;
            }
            if let Some(constraints) = (*(*self.relation).rd_att).constr.as_ref() {
                if constraints.has_generated_stored {
                    server::compute_generated(result, state, slot);
                }
                pg_sys::ExecConstraints(result, slot, state);
            }
            let writer = pg_sys::GetCurrentTransactionId();
            let token = pg_sys::SpeculativeInsertionLockAcquire(writer);
            let command = pg_sys::GetCurrentCommandId(true);
            pg_sys::table_tuple_insert_speculative(self.relation, slot, command, 0, std::ptr::null_mut(), token);
            let mut conflict = false;
            let arbiters = pg_sys::lappend_oid(std::ptr::null_mut(), self.key);
            event::index(state, result, slot, &raw mut conflict, arbiters);
            pg_sys::table_tuple_complete_speculative(self.relation, slot, token, !conflict);
            pg_sys::SpeculativeInsertionLockRelease(writer);
            if !conflict {
                pg_sys::ExecARInsertTriggers(state, result, slot, std::ptr::null_mut(), std::ptr::null_mut());
            }
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            !conflict
        }
    }
}
