//! Merges rows of a captured table into `cohort_customer`, without a privilege check.

use pgrx::{IntoDatum, direct_function_call_as_datum, pg_sys};

use super::super::errors::Fallible;
use super::customer::Customers;
use super::plan::Plan;
use super::read::{self, Row};
use super::subtransaction::attempt;
use super::tally::{Outcome, count};
use super::trigger::{Call, Change};
use crate::pg::output::Fixed;

/// What a row says of a customer.
struct Said {
    customer: String,
    /// Properties that have a value.
    set: pg_sys::Datum,
    /// Properties to take out, as a `text[]`.
    removed: pg_sys::Datum,
}

/// The trigger that merges a row, or takes it out again.
pub(super) fn merge(plan: &Plan, call: &Call) -> Fallible<()> {
    let new = call.of_tuple(call.row);
    if call.change == Change::Delete {
        return apply(plan, new, true).map(drop);
    }
    if call.change == Change::Update {
        // A row that names another customer now says nothing of the former one.
        let old = call.of_tuple(call.old);
        let (Ok(before), Ok(after)) = (attempt(|| named(plan, old)), attempt(|| named(plan, new))) else {
            return apply(plan, new, false).map(drop);
        };
        if before.is_some() && before != after {
            apply(plan, old, true)?;
        }
    }
    apply(plan, new, false).map(drop)
}

/// Merges a row that was there before. Tells whether it became part of a profile.
pub(super) fn backfill(plan: &Plan, relation: pg_sys::Relation, tuple: pg_sys::HeapTuple) -> Fallible<bool> {
    // SAFETY: the caller has the relation open.
    apply(plan, Row { tuple, descriptor: unsafe { (*relation).rd_att } }, false)
}

#[expect(clippy::unnecessary_wraps, reason = "`attempt` takes what may fail")]
fn named(plan: &Plan, row: Row) -> Fallible<Option<String>> {
    let _fixed = Fixed::with(plan.zone);
    Ok(read::customer(plan, row).ok())
}

fn apply(plan: &Plan, row: Row, gone: bool) -> Fallible<bool> {
    let id = plan.capture.id;
    let risky = read::is_risky(plan, row);
    let said = if risky { attempt(|| say(plan, row, gone)) } else { Ok(say(plan, row, gone)?) };
    let (why, state) = match said {
        Ok(Ok(said)) => match store(&said, gone, risky)? {
            None => {
                count(id, Outcome::Recorded, None);
                return Ok(true);
            }
            refused => (Outcome::Refused, refused),
        },
        Ok(Err(why)) => (why, None),
        Err(state) => (Outcome::Unconvertible, Some(state)),
    };
    count(id, why, state);
    Ok(false)
}

#[expect(clippy::unnecessary_wraps, reason = "`attempt` takes what may fail")]
fn say(plan: &Plan, row: Row, gone: bool) -> Fallible<Result<Said, Outcome>> {
    let _fixed = Fixed::with(plan.zone);
    let customer = match read::customer(plan, row) {
        Ok(customer) => customer,
        Err(why) => return Ok(Err(why)),
    };
    let removed: Vec<String> = plan
        .data
        .iter()
        .filter(|(_, column)| gone || row.datum(column).is_none())
        .map(|(key, _)| key.clone())
        .collect();
    let removed = removed.into_datum().unwrap_or(pg_sys::Datum::from(0));
    let set = if gone { super::event::empty_object() } else { read::data(plan, row) };
    Ok(Ok(Said { customer, set, removed }))
}

/// Merges what a row says into the customer's profile; gives the SQLSTATE where the table refuses it.
fn store(said: &Said, gone: bool, risky: bool) -> Fallible<Option<String>> {
    let merge = || {
        let customers = Customers::open()?;
        customers.deferred.check_at_once()?;
        customers.change(&said.customer, gone, |old| said.onto(old));
        customers.deferred.defer_again()
    };
    // Where the table is locked, the wait may end in an error.
    if risky || !Customers::is_free()? || Customers::open()?.guarded {
        return Ok(attempt(merge).err());
    }
    merge().map(|()| None)
}

impl Said {
    /// A profile with this row merged in.
    fn onto(&self, profile: pg_sys::Datum) -> pg_sys::Datum {
        // SAFETY: both are jsonb, the list is a text[].
        unsafe {
            let both = direct_function_call_as_datum(pg_sys::jsonb_concat, &[Some(profile), Some(self.set)]);
            direct_function_call_as_datum(pg_sys::jsonb_delete_array, &[both, Some(self.removed)]).unwrap_or(profile)
        }
    }
}
