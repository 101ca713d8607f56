//! The compiled BEFORE INSERT OR UPDATE row triggers of `cohort_event` and `cohort_customer`.
//!
//! Each checks the row and stamps it with the current 64-bit top-level transaction id. The triggers are
//! `ENABLE ALWAYS`, so that rows which arrive by restore or logical replication pass through them too and never bring a
//! stamp of another server. They touch no table and take no lock, but for a first look at `kursaha_cohort.owned`.

use pgrx::{FromDatum, pg_sys};

use super::board;
use super::errors::{Fallible, SqlState, failure, invalid};
use super::{owned, trigger};

/// The longest customer id and event type, in characters. They are keys of several indexes, whose entries must stay
/// far below a third of a page (2,704 bytes).
pub(crate) const MAX_NAME_CHARACTERS: usize = 255;

/// What clients of Kursaha send in place of an id that they do not have.
pub(crate) const REFUSED_CUSTOMER_IDS: [&str; 1] = ["None"];

/// Column numbers of `cohort_event`, as `sql/tables.sql` creates it.
mod event_column {
    pub(super) const CUSTOMER_ID: i32 = 2;
    pub(super) const EVENT_TYPE: i32 = 3;
    pub(super) const OCCURRED_AT: i32 = 4;
    pub(super) const STAMP: i32 = 6;
}

/// Column numbers of `cohort_customer`.
mod customer_column {
    pub(super) const CUSTOMER_ID: i32 = 1;
    pub(super) const UPDATED_AT: i32 = 4;
    pub(super) const STAMP: i32 = 5;
}

/// Checks a customer id: 1 to [`MAX_NAME_CHARACTERS`] characters, and none of [`REFUSED_CUSTOMER_IDS`].
pub(crate) fn check_customer_id(id: &str) -> Fallible<()> {
    check_length("customer id", id)?;
    if REFUSED_CUSTOMER_IDS.contains(&id) {
        return Err(invalid(format!("the customer id \"{id}\" is refused"))
            .set_detail("Many clients send this text for a missing id; it would merge many people into one customer.")
            .set_hint("Send the id of the customer, or do not send the event."));
    }
    Ok(())
}

/// Checks the id of a customer who is written here: besides, one that this database holds.
fn check_owned_customer(id: &str) -> Fallible<()> {
    check_customer_id(id)?;
    owned::check(id)
}

/// Checks an event type: 1 to [`MAX_NAME_CHARACTERS`] characters, and not `*`.
pub(crate) fn check_event_type(name: &str) -> Fallible<()> {
    check_length("event type", name)?;
    if name == "*" {
        return Err(invalid("the event type \"*\" is refused")
            .set_hint("In rules \"*\" means any event; give the event another name."));
    }
    Ok(())
}

/// Checks that a text has 1 to [`MAX_NAME_CHARACTERS`] characters.
pub(crate) fn check_length(what: &str, text: &str) -> Fallible<()> {
    if text.is_empty() {
        return Err(invalid(format!("the {what} is empty"))
            .set_hint(format!("Its length may be 1 to {MAX_NAME_CHARACTERS} characters.")));
    }
    // A text of so few bytes cannot have too many characters: no need to count them.
    if text.len() > MAX_NAME_CHARACTERS && text.chars().count() > MAX_NAME_CHARACTERS {
        // Without the text: errors are in the server's log, and ids may be addresses.
        return Err(invalid(format!("the {what} is too long: {} characters", text.chars().count()))
            .set_hint(format!("Its length may be 1 to {MAX_NAME_CHARACTERS} characters.")));
    }
    Ok(())
}

/// The row that a BEFORE INSERT OR UPDATE row trigger was called for.
struct NewRow {
    relation: pg_sys::Relation,
    tuple: pg_sys::HeapTuple,
    old: Option<pg_sys::HeapTuple>,
}

impl NewRow {
    fn of(fcinfo: pg_sys::FunctionCallInfo, columns: &[(i32, pg_sys::Oid)]) -> Fallible<Self> {
        // SAFETY: fcinfo comes from the function manager.
        let row = unsafe { trigger::data(fcinfo) }.and_then(Self::called_for).ok_or_else(|| {
            failure(
                SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
                "this function is the BEFORE INSERT OR UPDATE row trigger of cohort_event or cohort_customer",
            )
        })?;
        if columns.iter().all(|(column, of_type)| row.type_of(*column) == *of_type) {
            return Ok(row);
        }
        Err(failure(
            SqlState::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the columns of cohort_event and cohort_customer are not as the extension created them",
        )
        .set_hint("Restore their names and types, or restore a dump into a new database."))
    }

    fn called_for(data: &pg_sys::TriggerData) -> Option<Self> {
        let event = data.tg_event;
        let row_before = event & pg_sys::TRIGGER_EVENT_ROW != 0
            && event & pg_sys::TRIGGER_EVENT_TIMINGMASK == pg_sys::TRIGGER_EVENT_BEFORE;
        let relation = data.tg_relation;
        match event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_INSERT if row_before => Some(Self { relation, tuple: data.tg_trigtuple, old: None }),
            pg_sys::TRIGGER_EVENT_UPDATE if row_before => {
                Some(Self { relation, tuple: data.tg_newtuple, old: Some(data.tg_trigtuple) })
            }
            _ => None,
        }
    }

    /// The type of a column; none where there is no such column.
    fn type_of(&self, column: i32) -> pg_sys::Oid {
        // SAFETY: the relation is open, and its descriptor has the number of columns that it says. The type of a dropped one is 0.
        unsafe {
            let descriptor = (*self.relation).rd_att;
            if column > (*descriptor).natts {
                return pg_sys::InvalidOid;
            }
            #[cfg(not(feature = "pg18"))]
            let attribute = (*descriptor).attrs.as_ptr().add(usize::try_from(column - 1).unwrap_or(0));
            #[cfg(feature = "pg18")]
            let attribute = pg_sys::TupleDescAttr(descriptor, column - 1);
            (*attribute).atttypid
        }
    }

    fn datum_in(&self, tuple: pg_sys::HeapTuple, column: i32) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: the tuple has the relation's descriptor, the column number is one of this table.
        let datum = unsafe { pg_sys::heap_getattr(tuple, column, (*self.relation).rd_att, &mut is_null) };
        (!is_null).then_some(datum)
    }

    fn datum(&self, column: i32) -> Option<pg_sys::Datum> {
        self.datum_in(self.tuple, column)
    }

    /// Hands a text to a check, if it is not NULL (the column's NOT NULL speaks about that).
    fn check_text(&self, column: i32, check: impl FnOnce(&str) -> Fallible<()>) -> Fallible<()> {
        // SAFETY: the column is of type text; the string lives until the end of this call.
        match self.datum(column).and_then(|datum| unsafe { <&str>::from_datum(datum, false) }) {
            Some(text) => check(text),
            None => Ok(()),
        }
    }

    /// The row with some columns replaced.
    fn with(&self, columns: &mut [i32], values: &mut [pg_sys::Datum]) -> pg_sys::HeapTuple {
        let mut nulls = vec![false; columns.len()];
        // SAFETY: the three arrays have the same length, the datums the columns' types.
        unsafe {
            pg_sys::heap_modify_tuple_by_cols(
                self.tuple,
                (*self.relation).rd_att,
                i32::try_from(columns.len()).unwrap_or(0),
                columns.as_mut_ptr(),
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            )
        }
    }
}

/// The current top-level transaction's 64-bit id, assigned if it has none yet.
fn current_stamp() -> pg_sys::Datum {
    // SAFETY: called while a row is written, so a transaction is open and may have an id.
    pg_sys::Datum::from(unsafe { pg_sys::GetTopFullTransactionId() }.value)
}

trigger::row_trigger!(kursaha_stamp_event, pg_finfo_kursaha_stamp_event, stamp_event);
trigger::row_trigger!(kursaha_stamp_customer, pg_finfo_kursaha_stamp_customer, stamp_customer);

/// Checks and stamps a row of `cohort_event`.
fn stamp_event(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<pg_sys::HeapTuple> {
    const COLUMNS: [(i32, pg_sys::Oid); 4] = [
        (event_column::CUSTOMER_ID, pg_sys::TEXTOID),
        (event_column::EVENT_TYPE, pg_sys::TEXTOID),
        (event_column::OCCURRED_AT, pg_sys::TIMESTAMPTZOID),
        (event_column::STAMP, pg_sys::XID8OID),
    ];
    let row = NewRow::of(fcinfo, &COLUMNS)?;
    row.check_text(event_column::CUSTOMER_ID, check_owned_customer)?;
    row.check_text(event_column::EVENT_TYPE, check_event_type)?;
    if let Some(at) = row.datum(event_column::OCCURRED_AT) {
        let micros = at.value().cast_signed() as i64;
        if micros == i64::MIN || micros == i64::MAX {
            return Err(invalid("occurred_at must be a finite timestamp")
                .set_hint("Omit occurred_at to use the default, the transaction's now()."));
        }
    }
    board::note_rows(1);
    Ok(row.with(&mut [event_column::STAMP], &mut [current_stamp()]))
}

/// Checks and stamps a row of `cohort_customer`; an update that leaves `updated_at` alone moves it to the
/// transaction's time.
fn stamp_customer(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<pg_sys::HeapTuple> {
    const COLUMNS: [(i32, pg_sys::Oid); 3] = [
        (customer_column::CUSTOMER_ID, pg_sys::TEXTOID),
        (customer_column::UPDATED_AT, pg_sys::TIMESTAMPTZOID),
        (customer_column::STAMP, pg_sys::XID8OID),
    ];
    let row = NewRow::of(fcinfo, &COLUMNS)?;
    row.check_text(customer_column::CUSTOMER_ID, check_owned_customer)?;
    let mut columns = vec![customer_column::STAMP];
    let mut values = vec![current_stamp()];
    let untouched = row.old.is_some_and(|old| {
        let before = row.datum_in(old, customer_column::UPDATED_AT).map(pg_sys::Datum::value);
        before == row.datum(customer_column::UPDATED_AT).map(pg_sys::Datum::value)
    });
    if untouched {
        columns.push(customer_column::UPDATED_AT);
        // SAFETY: inside a transaction.
        values.push(pg_sys::Datum::from(unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }));
    }
    board::note_rows(1);
    Ok(row.with(&mut columns, &mut values))
}
