//! The row trigger `kursaha_cohort.capture_row(capture_id)`.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{pg_guard, pg_sys};

use super::super::errors::{Fallible, SqlState, failure};
use super::super::extension;
use super::condition::{self, Condition};
use super::event::{self, Event};
use super::plan::{self, Plan};
use super::read::{self, Row};
use super::subtransaction::attempt;
use super::tally::{Outcome, count};
use super::{age, kept, moved, old_rows, profile, server};

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Update,
    Delete,
}

/// A call of an AFTER ROW trigger.
pub(super) struct Call {
    fcinfo: pg_sys::FunctionCallInfo,
    pub(super) relation: pg_sys::Relation,
    pub(super) change: Change,
    pub(super) old: pg_sys::HeapTuple,
    /// The row as it is now, or as it was before a DELETE.
    pub(super) row: pg_sys::HeapTuple,
    arguments: *mut pg_sys::Trigger,
}

impl Call {
    fn of(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<Self> {
        // SAFETY: fcinfo comes from the function manager; a trigger call carries a TriggerData in its context.
        unsafe {
            if fcinfo.is_null()
                || (*fcinfo).context.is_null()
                || !pgrx::is_a((*fcinfo).context, pg_sys::NodeTag::T_TriggerData)
            {
                return Err(wrong());
            }
            #[expect(clippy::cast_ptr_alignment, reason = "the tag says that the node is a TriggerData")]
            let data = &*(*fcinfo).context.cast::<pg_sys::TriggerData>();
            let event = data.tg_event;
            if event & pg_sys::TRIGGER_EVENT_ROW == 0
                || event & pg_sys::TRIGGER_EVENT_TIMINGMASK != pg_sys::TRIGGER_EVENT_AFTER
            {
                return Err(wrong());
            }
            let (change, row) = match event & pg_sys::TRIGGER_EVENT_OPMASK {
                pg_sys::TRIGGER_EVENT_INSERT => (Change::Insert, data.tg_trigtuple),
                pg_sys::TRIGGER_EVENT_UPDATE => (Change::Update, data.tg_newtuple),
                pg_sys::TRIGGER_EVENT_DELETE => (Change::Delete, data.tg_trigtuple),
                _ => return Err(wrong()),
            };
            Ok(Self {
                fcinfo,
                relation: data.tg_relation,
                change,
                old: data.tg_trigtuple,
                row,
                arguments: data.tg_trigger,
            })
        }
    }

    /// The trigger's n-th argument.
    fn argument(&self, n: i16) -> Option<&CStr> {
        // SAFETY: a trigger has tgnargs arguments, strings of C.
        unsafe {
            let trigger = &*self.arguments;
            (n < trigger.tgnargs).then(|| CStr::from_ptr(*trigger.tgargs.add(n as usize)))
        }
    }

    pub(super) fn of_tuple(&self, tuple: pg_sys::HeapTuple) -> Row {
        // SAFETY: the relation is open.
        Row { tuple, descriptor: unsafe { (*self.relation).rd_att } }
    }
}

fn wrong() -> ErrorReport {
    failure(
        SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
        "kursaha_cohort.capture_row is the AFTER row trigger of captured tables",
    )
    .set_hint("cohort_capture creates the triggers of a capture.")
}

/// The C entry of the trigger function.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn kursaha_capture_row(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    if let Err(error) = Call::of(fcinfo).and_then(|call| fire(&call)) {
        std::panic::panic_any(error);
    }
    // An AFTER trigger's result is ignored.
    pg_sys::Datum::from(0)
}

/// Says that the function follows calling convention 1.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kursaha_capture_row() -> &'static pg_sys::Pg_finfo_record {
    const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &CONVENTION
}

fn fire(call: &Call) -> Fallible<()> {
    let id = call.argument(0).and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    // A restore of data alone may load the table before the capture.
    let Some(plan) = id.map_or(Ok(None), |id| plan::plan(call.relation, id))? else { return Ok(()) };
    match call.argument(1).map(CStr::to_bytes) {
        None => change(&plan, call),
        Some(b"keep") => keep(&plan, call),
        Some(b"arrival") => arrival(&plan, call),
        // Its condition never holds.
        Some(b"when") => Ok(()),
        Some(_) => Err(wrong()),
    }
}

/// The trigger that records.
fn change(plan: &Plan, call: &Call) -> Fallible<()> {
    let id = plan.capture.id;
    if call.change != Change::Delete {
        note_writer(plan, call.row)?;
    }
    if let Some(why) = loaded()? {
        count(id, why, None);
        return Ok(());
    }
    // SAFETY: the row of a DELETE is the version that was deleted, that of an INSERT the new one, both of the table.
    let moved = unsafe {
        match call.change {
            Change::Insert => moved::arrived(id, call.row),
            Change::Update => false,
            Change::Delete => moved::away(call.old),
        }
    };
    let unchanged =
        || call.change == Change::Update && !changed(plan, call.of_tuple(call.old), call.of_tuple(call.row));
    if moved || unchanged() || !wanted(plan, call) {
        return Ok(());
    }
    if plan.capture.profile {
        return profile::merge(plan, call);
    }
    let timed = match call.change {
        Change::Insert => true,
        Change::Update => timed(plan, call.of_tuple(call.old), call.of_tuple(call.row)),
        Change::Delete => false,
    };
    record(plan, call.of_tuple(call.row), timed, Outcome::Recorded).map(drop)
}

/// Whether the capture's condition holds. An error of it skips the row.
fn wanted(plan: &Plan, call: &Call) -> bool {
    let (event, old) = match call.change {
        Change::Insert => (condition::Event::Insert, std::ptr::null_mut()),
        Change::Update => (condition::Event::Update, call.old),
        Change::Delete => (condition::Event::Delete, call.old),
    };
    let id = plan.capture.id;
    if !plan.conditional {
        return true;
    }
    // SAFETY: the call is this trigger's; the tuples are rows of its relation.
    let holds = attempt(|| unsafe {
        Ok(condition::of_call(call.fcinfo, call.relation, id, event)
            .is_none_or(|condition| condition.holds(old, call.row)))
    });
    holds.unwrap_or_else(|state| {
        count(id, Outcome::Condition, Some(state));
        false
    })
}

/// The trigger that keeps rows older than the capture until the backfill, and notes those that leave a partition.
fn keep(plan: &Plan, call: &Call) -> Fallible<()> {
    let old = call.old;
    // SAFETY: the old row is a version of this table that this transaction replaced or deleted.
    unsafe {
        if call.change == Change::Delete && moved::away(old) {
            moved::depart(plan.capture.id, old);
        }
        if plan.unrecorded.is_empty() || plan.capture.backfill_until <= pg_sys::GetCurrentTransactionStartTimestamp() {
            return Ok(());
        }
        if call.change == Change::Update {
            note_writer(plan, call.row)?;
        }
        old_rows::keep(plan, call.relation, old)
    }
}

/// The trigger that sees a row arrive in a partition.
fn arrival(plan: &Plan, call: &Call) -> Fallible<()> {
    let id = plan.capture.id;
    if call.change != Change::Insert {
        return Err(wrong());
    }
    // SAFETY: the row was inserted into the open relation by this transaction.
    let Some(old) = (unsafe { moved::arrive(id, call.relation, call.row) }) else { return Ok(()) };
    let (before, after) = (call.of_tuple(old), call.of_tuple(call.row));
    note_writer(plan, call.row)?;
    if !plan.capture.on_update || loaded()?.is_some() || !changed(plan, before, after) {
        return Ok(());
    }
    // SAFETY: both tuples have the relation's columns.
    let holds = attempt(|| unsafe {
        Ok(Condition::of(call.relation, id, condition::Event::Update)
            .is_some_and(|condition| condition.holds(old, call.row)))
    });
    match holds {
        Ok(true) => record(plan, after, timed(plan, before, after), Outcome::Recorded).map(drop),
        Ok(false) => Ok(()),
        Err(state) => {
            count(id, Outcome::Condition, Some(state));
            Ok(())
        }
    }
}

/// Notes a transaction that writes rows after the capture began although its id is older.
fn note_writer(plan: &Plan, row: pg_sys::HeapTuple) -> Fallible<()> {
    thread_local! {
        static NOTED: Cell<(i64, u64)> = const { Cell::new((0, 0)) };
    }
    if plan.unrecorded.is_empty() {
        return Ok(());
    }
    // SAFETY: a version that this transaction wrote.
    let writer = unsafe { age::writer(row, age::next()) };
    if plan.unrecorded.has(writer) && NOTED.replace((plan.capture.id, writer)) != (plan.capture.id, writer) {
        kept::note_writer(plan.capture.id, writer)?;
    }
    Ok(())
}

/// Whether `pg_dump` or `pg_restore` set up the session: the events come with the dump. `kursaha_cohort.restoring()`
/// asks the same. With --enable-row-security, policies stay on.
///
/// # Safety
/// Called in a backend.
unsafe fn restoring() -> bool {
    // SAFETY: reads variables of the server.
    unsafe {
        !pg_sys::check_function_bodies
            && (!pg_sys::row_security
                || (pg_sys::client_min_messages == pg_sys::WARNING.cast_signed()
                    && pg_sys::StatementTimeout == 0
                    && pg_sys::LockTimeout == 0))
    }
}

/// Why a row that was loaded in another way than by an application is not recorded.
fn loaded() -> Fallible<Option<Outcome>> {
    // SAFETY: reads variables of the server.
    unsafe {
        if restoring() {
            return Ok(Some(Outcome::Dump));
        }
        if pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_REPLICA.cast_signed() && subscribed()? {
            return Ok(Some(Outcome::Subscribed));
        }
    }
    Ok(None)
}

/// The column of the catalog that names the table.
const TABLE: i32 = 2;

/// Whether a subscription brings the rows of `cohort_event`.
fn subscribed() -> Fallible<bool> {
    let (public, _) = extension::schema_oids()?;
    let mut found = false;
    // SAFETY: the catalog is open; its rows are of this form.
    unsafe {
        let event_table = pg_sys::get_relname_relid(c"cohort_event".as_ptr(), public);
        let catalog = pg_sys::table_open(
            pg_sys::get_relname_relid(c"pg_subscription_rel".as_ptr(), pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE)),
            pg_sys::AccessShareLock.cast_signed(),
        );
        let scan = pg_sys::systable_beginscan(
            catalog,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        loop {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let row = Row { tuple, descriptor: (*catalog).rd_att };
            found |= row.at(TABLE).is_some_and(|table| table.value() as u32 == event_table.to_u32());
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, pg_sys::AccessShareLock.cast_signed());
    }
    Ok(found)
}

/// Whether an UPDATE changed one of the columns that matter.
fn changed(plan: &Plan, old: Row, new: Row) -> bool {
    plan.update_columns.as_ref().is_none_or(|columns| columns.iter().any(|number| differs(*number, old, new)))
}

/// Whether a column has another value in another version of the row.
fn differs(number: i32, old: Row, new: Row) -> bool {
    match (old.at(number), new.at(number)) {
        (None, None) => false,
        (Some(before), Some(after)) => {
            // SAFETY: both are values of that column.
            unsafe { !server::same_image(before, after, &*plan::attribute(new.descriptor, number)) }
        }
        _ => true,
    }
}

/// Whether an update happened when the time column says: where it set that column. Any other happens now.
fn timed(plan: &Plan, old: Row, new: Row) -> bool {
    plan.occurred_at.as_ref().is_some_and(|column| differs(column.number, old, new))
}

/// Records a row, or counts why it cannot be recorded. Tells whether it was.
pub(super) fn record(plan: &Plan, row: Row, timed: bool, outcome: Outcome) -> Fallible<bool> {
    match read::safely(plan, row, timed)? {
        Some(event) => write(plan.capture.id, &event, outcome),
        None => Ok(false),
    }
}

/// Writes an event, or counts why the table refuses it. Tells whether it was written.
pub(super) fn write(id: i64, event: &Event, outcome: Outcome) -> Fallible<bool> {
    // Where the table is locked, the wait may end in an error: that of lock_timeout, or a deadlock.
    if event::is_free()? && !event::guarded()? {
        event::insert(event)?;
    } else if let Err(state) = attempt(|| event::insert(event)) {
        count(id, Outcome::Refused, Some(state));
        return Ok(false);
    }
    count(id, outcome, None);
    Ok(true)
}

/// The C entry of the trigger that invalidates the captures cached in all backends.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn kursaha_captures_changed(_fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    if let Err(error) = plan::changed() {
        std::panic::panic_any(error);
    }
    pg_sys::Datum::from(0)
}

/// Says that the function follows calling convention 1.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kursaha_captures_changed() -> &'static pg_sys::Pg_finfo_record {
    const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &CONVENTION
}
