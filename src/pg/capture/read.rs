//! Converts a row into an event, or finds the reason why it is skipped.

use pgrx::{IntoDatum, pg_sys};

use super::super::errors::Fallible;
use super::super::stamp::MAX_NAME_CHARACTERS;
use super::event::{Event, empty_object};
use super::plan::Plan;
use super::subtransaction::attempt;
use super::tally::{Outcome, count};
use super::value::{Column, Value, json_string};
use crate::pg::output::Fixed;

/// A row of a captured table.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) tuple: pg_sys::HeapTuple,
    pub(super) descriptor: pg_sys::TupleDesc,
}

impl Row {
    pub(super) fn datum(self, column: &Column) -> Option<pg_sys::Datum> {
        self.at(column.number)
    }

    pub(super) fn at(self, number: i32) -> Option<pg_sys::Datum> {
        let mut is_null = false;
        // SAFETY: the tuple has this descriptor, and the plan's columns are of it.
        let datum = unsafe { pg_sys::heap_getattr(self.tuple, number, self.descriptor, &mut is_null) };
        (!is_null).then_some(datum)
    }
}

/// The id in a row's customer column, or why it is none.
pub(super) fn customer(plan: &Plan, row: Row) -> Result<String, Outcome> {
    if plan.broken {
        return Err(Outcome::LostColumn);
    }
    let Some(column) = &plan.customer else { return Err(Outcome::LostColumn) };
    let Some(datum) = row.datum(column) else { return Err(Outcome::NoCustomer) };
    let Some(id) = column.text(datum) else { return Err(Outcome::NoCustomer) };
    if id.is_empty() {
        Err(Outcome::EmptyCustomer)
    } else if id == "None" {
        Err(Outcome::NoneCustomer)
    } else if id.len() > MAX_NAME_CHARACTERS && id.chars().count() > MAX_NAME_CHARACTERS {
        Err(Outcome::LongCustomer)
    } else {
        Ok(id)
    }
}

/// Bytes of a row from which on it may be longer as `jsonb` than that can be, or than memory is allocated for.
const LARGE: usize = 32 << 20;

/// Whether reading a row may raise an error, or run what users made.
pub(super) fn is_risky(plan: &Plan, row: Row) -> bool {
    let columns = plan.data.iter().map(|(_, column)| column).chain(&plan.customer);
    plan.risky || columns.filter_map(|column| Some(column.size(row.datum(column)?))).sum::<usize>() > LARGE
}

/// The event that a row becomes; `None` where it becomes none, which is counted.
pub(super) fn safely(plan: &Plan, row: Row, timed: bool) -> Fallible<Option<Event>> {
    let read = if is_risky(plan, row) { attempt(|| event(plan, row, timed)) } else { Ok(event(plan, row, timed)?) };
    let (why, state) = match read {
        Ok(Ok(event)) => return Ok(Some(event)),
        Ok(Err(why)) => (why, None),
        Err(state) => (Outcome::Unconvertible, Some(state)),
    };
    count(plan.capture.id, why, state);
    Ok(None)
}

/// The event that a row becomes, or why it becomes none. `timed` says whether its time is that of the time column;
/// otherwise it is the transaction's.
#[expect(clippy::unnecessary_wraps, reason = "`attempt` takes what may fail")]
fn event(plan: &Plan, row: Row, timed: bool) -> Fallible<Result<Event, Outcome>> {
    let _fixed = Fixed::with(plan.zone);
    let customer = match customer(plan, row) {
        Ok(customer) => customer,
        Err(why) => return Ok(Err(why)),
    };
    let at = plan.occurred_at.as_ref().filter(|_| timed).and_then(|column| Some((column, row.datum(column)?)));
    let occurred_at = match at {
        Some((column, datum)) => match column.instant(datum) {
            Some(at) => at,
            None => return Ok(Err(Outcome::InfiniteTime)),
        },
        // SAFETY: inside a transaction.
        None => unsafe { pg_sys::GetCurrentTransactionStartTimestamp() },
    };
    let customer = customer.into_datum().unwrap_or(pg_sys::Datum::from(0));
    let dated = at.is_some();
    Ok(Ok(Event { customer, kind: plan.event_type, occurred_at, dated, data: data(plan, row) }))
}

/// The properties of a row: columns that are NULL are left out.
pub(super) fn data(plan: &Plan, row: Row) -> pg_sys::Datum {
    let mut state = std::ptr::null_mut();
    // SAFETY: builds a value in the current context; keys and values live until it is made.
    unsafe {
        pg_sys::pushJsonbValue(&raw mut state, pg_sys::JsonbIteratorToken::WJB_BEGIN_OBJECT, std::ptr::null_mut());
        for (key, column) in &plan.data {
            let Some(datum) = row.datum(column) else { continue };
            let mut value = match column.value(datum) {
                Value::Null => continue,
                Value::Scalar(value) => value,
                Value::Container(json) => {
                    let mut value = pg_sys::JsonbValue { type_: pg_sys::jbvType::jbvBinary, ..Default::default() };
                    value.val.binary.data = &raw mut (*json).root;
                    value.val.binary.len = size_of::<u32>() as i32;
                    value
                }
            };
            let mut name = json_string(key.as_ptr().cast_mut().cast(), key.len());
            pg_sys::pushJsonbValue(&raw mut state, pg_sys::JsonbIteratorToken::WJB_KEY, &raw mut name);
            pg_sys::pushJsonbValue(&raw mut state, pg_sys::JsonbIteratorToken::WJB_VALUE, &raw mut value);
        }
        let object =
            pg_sys::pushJsonbValue(&raw mut state, pg_sys::JsonbIteratorToken::WJB_END_OBJECT, std::ptr::null_mut());
        if object.is_null() {
            return empty_object();
        }
        pg_sys::Datum::from(pg_sys::JsonbValueToJsonb(object))
    }
}
