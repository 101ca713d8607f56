//! Writes a captured event into `cohort_event`. It uses the executor without a privilege check, so that triggers,
//! constraints, defaults and indexes of users work. Triggers run as the writing role, as for any statement.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::{direct_function_call_as_datum, pg_sys};

use super::super::errors::Fallible;
use super::super::{board, extension, owned};
use super::deferred::Deferred;
use super::ids::{self, Ids};
use super::{defaults, plan};

/// Column numbers of `cohort_event`, counted from 0, as `sql/tables.sql` creates it.
mod place {
    pub(super) const EVENT_ID: usize = 0;
    pub(super) const CUSTOMER_ID: usize = 1;
    pub(super) const EVENT_TYPE: usize = 2;
    pub(super) const OCCURRED_AT: usize = 3;
    pub(super) const DATA: usize = 4;
    pub(super) const STAMP: usize = 5;
    pub(super) const COUNT: usize = 6;
}

/// What is known of the event table.
#[derive(Clone)]
struct Target {
    generation: u64,
    table: pg_sys::Oid,
    ids: Ids,
    /// Whether the trigger `stamp` is the only one that an insert runs, and nothing else can refuse a row.
    plain: bool,
    /// Whether there is an enabled AFTER trigger for inserted rows or statements.
    after: bool,
    /// Whether columns of users have defaults.
    defaults: bool,
    /// Constraints that would be checked at the end of the transaction.
    deferred: Rc<Deferred>,
}

thread_local! {
    static TARGET: RefCell<Option<Target>> = const { RefCell::new(None) };
}

/// An event that is ready to be written.
pub(super) struct Event {
    pub(super) customer: pg_sys::Datum,
    pub(super) kind: pg_sys::Datum,
    pub(super) occurred_at: i64,
    /// Whether the time is the row's own.
    pub(super) dated: bool,
    pub(super) data: pg_sys::Datum,
}

fn target() -> Fallible<Target> {
    let generation = plan::refresh();
    if let Some(target) = TARGET.with_borrow(Clone::clone).filter(|target| target.generation == generation) {
        return Ok(target);
    }
    let (public, internals) = extension::schema_oids()?;
    // SAFETY: catalog look-ups inside a transaction; the relation is open meanwhile.
    let target = unsafe {
        let table = pg_sys::get_relname_relid(c"cohort_event".as_ptr(), public);
        plan::watch(table);
        plan::watch(owned::table()?);
        let everybody = owned::everybody()?;
        let relation = pg_sys::table_open(table, pg_sys::RowExclusiveLock.cast_signed());
        let mut target = describe(relation, internals, generation);
        // The trigger `stamp` refuses customers whom other nodes hold.
        target.plain &= everybody;
        pg_sys::table_close(relation, pg_sys::NoLock.cast_signed());
        target
    };
    TARGET.set(Some(target.clone()));
    Ok(target)
}

/// # Safety
/// The relation is `cohort_event`, open.
unsafe fn describe(relation: pg_sys::Relation, internals: pg_sys::Oid, generation: u64) -> Target {
    // SAFETY: as the caller says; the arrays have the counted lengths.
    unsafe {
        let descriptor = (*relation).rd_att;
        let mut plain = (*descriptor).natts as usize == place::COUNT;
        let mut defaults = false;
        for n in place::COUNT..(*descriptor).natts as usize {
            let attribute = &*plan::attribute(descriptor, n as i32 + 1);
            defaults |= attribute.atthasdef && attribute.attgenerated == 0;
        }
        if !(*descriptor).constr.is_null() {
            plain &= (*(*descriptor).constr).num_check == 0;
        }
        let mut after = false;
        if let Some(triggers) = (*relation).trigdesc.as_ref() {
            for trigger in std::slice::from_raw_parts(triggers.triggers, triggers.numtriggers as usize) {
                let inserts = u32::from(trigger.tgtype.cast_unsigned()) & pg_sys::TRIGGER_TYPE_INSERT != 0;
                let ours = pg_sys::get_func_namespace(trigger.tgfoid) == internals
                    && std::ffi::CStr::from_ptr(trigger.tgname) == c"stamp";
                plain &= !inserts || ours;
            }
            after = triggers.trig_insert_after_row
                || triggers.trig_insert_after_statement
                || triggers.trig_insert_before_statement
                || triggers.trig_insert_new_table;
        }
        let key = primary_key(relation);
        plain &= !indexes_may_refuse(relation, place::DATA as i16 + 1);
        let table = (*relation).rd_id;
        let id_column = place::EVENT_ID as i16 + 1;
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        let sequence = pg_sys::getIdentitySequence(table, id_column, true);
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        let sequence = pg_sys::getIdentitySequence(relation, id_column, true);
        Target {
            generation,
            table,
            ids: Ids { sequence, key, taken: i64::MIN },
            plain,
            after,
            defaults,
            deferred: Rc::new(Deferred::of(relation, true)),
        }
    }
}

/// Whether an index of a table may refuse a row: one that users made unique, or over an expression or with a condition, or
/// by operators of theirs, or over the column whose values may be long.
///
/// # Safety
/// The relation is open.
pub(super) unsafe fn indexes_may_refuse(relation: pg_sys::Relation, long: i16) -> bool {
    // SAFETY: as the caller says; the array has the counted length.
    unsafe {
        let indexes = pgrx::PgList::<pg_sys::Oid>::from_pg(pg_sys::RelationGetIndexList(relation));
        indexes.iter_oid().any(|index| {
            let open = pg_sys::index_open(index, pg_sys::AccessShareLock.cast_signed());
            let form = &*(*open).rd_index;
            let columns =
                std::slice::from_raw_parts((&raw const form.indkey.values).cast::<i16>(), form.indnatts as usize);
            let families = std::slice::from_raw_parts((*open).rd_opfamily, form.indnkeyatts as usize);
            let refuses = (form.indisunique && !form.indisprimary)
                || form.indisexclusion
                || !pg_sys::RelationGetIndexPredicate(open).is_null()
                || families.iter().any(|family| family.to_u32() >= pg_sys::FirstNormalObjectId)
                || columns.iter().any(|column| *column <= 0 || *column == long);
            pg_sys::index_close(open, pg_sys::AccessShareLock.cast_signed());
            refuses
        })
    }
}

/// Whether something that users added to the table may refuse a row.
pub(super) fn guarded() -> Fallible<bool> {
    Ok(!target()?.plain)
}

/// Whether the table can be written without waiting. Its lock is then held until the transaction ends.
pub(super) fn is_free() -> Fallible<bool> {
    let (public, _) = extension::schema_oids()?;
    // SAFETY: a catalog look-up inside a transaction.
    Ok(unsafe {
        let table = pg_sys::get_relname_relid(c"cohort_event".as_ptr(), public);
        pg_sys::ConditionalLockRelationOid(table, pg_sys::RowExclusiveLock.cast_signed())
    })
}

/// Inserts an event.
pub(super) fn insert(event: &Event) -> Fallible<()> {
    let mut target = target()?;
    if !target.plain {
        // A duplicate would be an error there, after a wait for whoever wrote it.
        target.ids.taken = i64::MAX;
        target.deferred.check_at_once()?;
    }
    // SAFETY: relation, indexes and executor state are opened and closed here; an error leaves that to the transaction.
    unsafe {
        let relation = pg_sys::table_open(target.table, pg_sys::RowExclusiveLock.cast_signed());
        let id = ids::free(&target.ids, relation);
        let state = pg_sys::CreateExecutorState();
        let before = pg_sys::MemoryContextSwitchTo((*state).es_query_cxt);
        let result: *mut pg_sys::ResultRelInfo = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
        (*result).type_ = pg_sys::NodeTag::T_ResultRelInfo;
        pg_sys::InitResultRelInfo(result, relation, 0, std::ptr::null_mut(), 0);
        pg_sys::ExecOpenIndices(result, false);
        // AFTER triggers find the table here.
        (*state).es_opened_result_relations = pg_sys::lappend((*state).es_opened_result_relations, result.cast());
        let slot = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &raw const pg_sys::TTSOpsVirtual);
        let columns = (*(*relation).rd_att).natts as usize;
        let values = std::slice::from_raw_parts_mut((*slot).tts_values, columns);
        let nulls = std::slice::from_raw_parts_mut((*slot).tts_isnull, columns);
        nulls.fill(true);
        let mut set = |place: usize, value: pg_sys::Datum| {
            values[place] = value;
            nulls[place] = false;
        };
        set(place::EVENT_ID, pg_sys::Datum::from(id));
        set(place::CUSTOMER_ID, event.customer);
        set(place::EVENT_TYPE, event.kind);
        set(place::OCCURRED_AT, pg_sys::Datum::from(event.occurred_at));
        set(place::DATA, event.data);
        // The trigger `stamp` would set the same.
        set(place::STAMP, pg_sys::Datum::from(pg_sys::GetTopFullTransactionId().value));
        if target.defaults {
            defaults::fill(relation, state, place::COUNT, values, nulls);
        }
        pg_sys::ExecStoreVirtualTuple(slot);
        if target.plain {
            while !insert_plainly(&target, state, result, slot) {
                target.ids.taken = note_taken(target.clone(), relation);
                *(*slot).tts_values.add(place::EVENT_ID) = pg_sys::Datum::from(ids::free(&target.ids, relation));
            }
            // As the trigger `stamp` does.
            board::note_rows(1);
        } else {
            insert_with_triggers(&target, state, result, slot);
        }
        pg_sys::ExecCloseResultRelations(state);
        pg_sys::ExecResetTupleTable((*state).es_tupleTable, false);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::MemoryContextSwitchTo(before);
        pg_sys::FreeExecutorState(state);
        pg_sys::table_close(relation, pg_sys::NoLock.cast_signed());
    }
    if !target.plain {
        target.deferred.defer_again()?;
    }
    Ok(())
}

/// Inserts a row that nothing but its id can keep out; tells whether it is in. An id that somebody wrote into the table,
/// whose transaction may be under way, raises no error and waits for nobody.
///
/// # Safety
/// State, result and slot belong to the event table.
unsafe fn insert_plainly(
    target: &Target,
    state: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let relation = (*result).ri_RelationDesc;
        pg_sys::simple_table_tuple_insert(relation, slot);
        let mut conflict = false;
        index(state, result, slot, &raw mut conflict, pg_sys::lappend_oid(std::ptr::null_mut(), target.ids.key));
        if conflict {
            // A row of the same command cannot be deleted.
            pg_sys::CommandCounterIncrement();
            pg_sys::simple_table_tuple_delete(relation, &raw mut (*slot).tts_tid, &raw mut pg_sys::SnapshotAnyData);
        }
        !conflict
    }
}

/// Makes the index entries of an inserted row. With arbiters, a conflict in one of these is told instead of raised.
///
/// # Safety
/// State, result and slot belong to one table, whose row in the slot was inserted.
pub(super) unsafe fn index(
    state: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    conflict: *mut bool,
    arbiters: *mut pg_sys::List,
) {
    let lenient = !conflict.is_null();
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(feature = "pg15")]
        pg_sys::ExecInsertIndexTuples(result, slot, state, false, lenient, conflict, arbiters);
        #[cfg(not(feature = "pg15"))]
        pg_sys::ExecInsertIndexTuples(result, slot, state, false, lenient, conflict, arbiters, false);
    }
}

/// The index of a primary key that is checked at once.
///
/// # Safety
/// The relation is open.
pub(super) unsafe fn primary_key(relation: pg_sys::Relation) -> pg_sys::Oid {
    // SAFETY: as the caller says.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return pg_sys::RelationGetPrimaryKeyIndex(relation);
        #[cfg(feature = "pg18")]
        return pg_sys::RelationGetPrimaryKeyIndex(relation, false);
    }
}

/// One INSERT statement of one row.
///
/// # Safety
/// State, result and slot belong to the event table.
unsafe fn insert_with_triggers(
    target: &Target,
    state: *mut pg_sys::EState,
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
) {
    // SAFETY: as the caller says.
    unsafe {
        if !target.after {
            pg_sys::ExecSimpleRelationInsert(result, state, slot);
            return;
        }
        pg_sys::AfterTriggerBeginQuery();
        let table = (*(*result).ri_RelationDesc).rd_id;
        let transitions = pg_sys::MakeTransitionCaptureState((*result).ri_TrigDesc, table, pg_sys::CmdType::CMD_INSERT);
        pg_sys::ExecBSInsertTriggers(state, result);
        pg_sys::ExecSimpleRelationInsert(result, state, slot);
        if !transitions.is_null() {
            // ExecSimpleRelationInsert fills no transition table: the row is shown to it afterwards.
            let row = (*result).ri_TrigDesc;
            let rows = (*row).trig_insert_after_row;
            (*row).trig_insert_after_row = false;
            pg_sys::ExecARInsertTriggers(state, result, slot, std::ptr::null_mut(), transitions);
            (*row).trig_insert_after_row = rows;
        }
        pg_sys::ExecASInsertTriggers(state, result, transitions);
        pg_sys::AfterTriggerEndQuery(state);
    }
}

/// Notes the greatest id that the table has now, and gives it.
///
/// # Safety
/// The relation is the event table, open.
unsafe fn note_taken(mut target: Target, relation: pg_sys::Relation) -> i64 {
    // SAFETY: as the caller says.
    target.ids.taken = unsafe { ids::highest(target.ids.key, relation) };
    let taken = target.ids.taken;
    TARGET.set(Some(target));
    taken
}

/// An empty object.
pub(super) fn empty_object() -> pg_sys::Datum {
    // SAFETY: reads a C string.
    unsafe { direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(c"{}".as_ptr().into())]) }
        .unwrap_or(pg_sys::Datum::from(0))
}
