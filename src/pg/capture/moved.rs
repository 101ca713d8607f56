//! Rows that an UPDATE moves to another partition. The server fires a DELETE trigger on one partition and an INSERT
//! trigger on the other. This file combines the two into one update.

use std::cell::RefCell;

use pgrx::pg_sys;

/// A row version that left its partition.
struct Departure {
    capture: i64,
    transaction: u32,
    command: u32,
    descriptor_of: pg_sys::Oid,
    /// The bytes of the tuple.
    tuple: Vec<u8>,
}

/// The row version that arrived last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Arrival {
    capture: i64,
    transaction: u32,
    command: u32,
    table: pg_sys::Oid,
    place: i64,
}

thread_local! {
    static DEPARTURE: RefCell<Option<Departure>> = const { RefCell::new(None) };
    static ARRIVAL: RefCell<Option<Arrival>> = const { RefCell::new(None) };
}

/// Whether an UPDATE took this row version to another partition.
///
/// # Safety
/// The tuple is one of a table.
pub(super) unsafe fn away(tuple: pg_sys::HeapTuple) -> bool {
    const MOVED: u16 = 0xfffd;
    // SAFETY: as the caller says.
    unsafe { (*(*tuple).t_data).t_ctid.ip_posid == MOVED }
}

/// Notes that a row version left its partition.
///
/// # Safety
/// The tuple is a version that this transaction deleted.
pub(super) unsafe fn depart(capture: i64, tuple: pg_sys::HeapTuple) {
    // SAFETY: as the caller says; the tuple has t_len bytes.
    unsafe {
        let bytes = std::slice::from_raw_parts((*tuple).t_data.cast::<u8>(), (*tuple).t_len as usize);
        DEPARTURE.set(Some(Departure {
            capture,
            transaction: pg_sys::GetTopTransactionId().into_inner(),
            command: pg_sys::HeapTupleHeaderGetCmax((*tuple).t_data),
            descriptor_of: (*tuple).t_tableOid,
            tuple: bytes.to_vec(),
        }));
    }
}

/// The version that an arrived row had in its former partition, with the columns of `relation`; `None` for a row that
/// was inserted.
///
/// # Safety
/// The tuple was inserted into the open relation by this transaction.
pub(super) unsafe fn arrive(
    capture: i64,
    relation: pg_sys::Relation,
    tuple: pg_sys::HeapTuple,
) -> Option<pg_sys::HeapTuple> {
    // SAFETY: as the caller says; the copied bytes are a tuple of the former partition.
    unsafe {
        let transaction = pg_sys::GetTopTransactionId().into_inner();
        let command = pg_sys::HeapTupleHeaderGetCmin((*tuple).t_data);
        let departure = DEPARTURE.take()?;
        if (departure.capture, departure.transaction, departure.command) != (capture, transaction, command) {
            return None;
        }
        ARRIVAL.set(Some(arrival(capture, tuple)));
        let mut former = pg_sys::HeapTupleData {
            t_len: departure.tuple.len() as u32,
            t_self: (*tuple).t_self,
            t_tableOid: departure.descriptor_of,
            t_data: departure.tuple.as_ptr().cast_mut().cast(),
        };
        let old = pg_sys::heap_copytuple(&raw mut former);
        let former = pg_sys::table_open(departure.descriptor_of, pg_sys::AccessShareLock.cast_signed());
        let map = pg_sys::convert_tuples_by_name((*former).rd_att, (*relation).rd_att);
        let old = if map.is_null() { old } else { pg_sys::execute_attr_map_tuple(old, map) };
        pg_sys::table_close(former, pg_sys::NoLock.cast_signed());
        Some(old)
    }
}

/// Whether a row is the one that arrived last.
///
/// # Safety
/// The tuple was inserted by this transaction.
pub(super) unsafe fn arrived(capture: i64, tuple: pg_sys::HeapTuple) -> bool {
    // SAFETY: as the caller says.
    ARRIVAL.with_borrow(|last| {
        last.is_some_and(|last| last.capture == capture && unsafe { arrival(capture, tuple) } == last)
    })
}

unsafe fn arrival(capture: i64, tuple: pg_sys::HeapTuple) -> Arrival {
    // SAFETY: the tuple was inserted by this transaction.
    unsafe {
        Arrival {
            capture,
            transaction: pg_sys::GetTopTransactionId().into_inner(),
            command: pg_sys::HeapTupleHeaderGetCmin((*tuple).t_data),
            table: (*tuple).t_tableOid,
            place: super::kept::place((*tuple).t_self),
        }
    }
}
