//! Functions of the server that pgrx does not declare. Each call is guarded: an error of the server becomes a panic of
//! Rust here, as in pgrx's own declarations.

use std::ffi::c_int;

use pgrx::pg_sys;
use pgrx::pg_sys::ffi::pg_guard_ffi_boundary;

mod raw {
    use super::{c_int, pg_sys};

    unsafe extern "C-unwind" {
        pub(super) fn nextval_internal(sequence: pg_sys::Oid, check_permissions: bool) -> i64;
        pub(super) fn get_partition_ancestors(table: pg_sys::Oid) -> *mut pg_sys::List;
        pub(super) fn datum_image_eq(one: pg_sys::Datum, other: pg_sys::Datum, by_value: bool, length: c_int) -> bool;
        pub(super) fn ExecComputeStoredGenerated(
            result: *mut pg_sys::ResultRelInfo,
            state: *mut pg_sys::EState,
            slot: *mut pg_sys::TupleTableSlot,
            command: pg_sys::CmdType::Type,
        );
    }
}

/// The next value of a sequence, whatever the current user may do with it.
pub(super) fn next_value(sequence: pg_sys::Oid) -> i64 {
    // SAFETY: an error leaves by the guard.
    unsafe { pg_guard_ffi_boundary(|| raw::nextval_internal(sequence, false)) }
}

/// The tables that a partition is a part of.
pub(super) fn partition_ancestors(table: pg_sys::Oid) -> *mut pg_sys::List {
    // SAFETY: an error leaves by the guard.
    unsafe { pg_guard_ffi_boundary(|| raw::get_partition_ancestors(table)) }
}

/// Whether two values of one column have the same bytes.
///
/// # Safety
/// Both are values of a column of that kind.
pub(super) unsafe fn same_image(
    one: pg_sys::Datum,
    other: pg_sys::Datum,
    column: &pg_sys::FormData_pg_attribute,
) -> bool {
    // SAFETY: as the caller says; an error leaves by the guard.
    unsafe { pg_guard_ffi_boundary(|| raw::datum_image_eq(one, other, column.attbyval, c_int::from(column.attlen))) }
}

/// Evaluates an expression: its value, and whether that is NULL. The server calls the function that it has prepared for the
/// expression; a call past the guard would leave an error to whoever catches one above.
///
/// # Safety
/// The expression was prepared for the context.
pub(super) unsafe fn evaluate(
    expression: *mut pg_sys::ExprState,
    context: *mut pg_sys::ExprContext,
) -> (pg_sys::Datum, bool) {
    let mut is_null = true;
    // SAFETY: as the caller says; an error leaves by the guard.
    let value = unsafe {
        match (*expression).evalfunc {
            Some(evaluate) => pg_guard_ffi_boundary(|| evaluate(expression, context, &raw mut is_null)),
            None => pg_sys::Datum::from(0),
        }
    };
    (value, is_null)
}

/// Computes the generated columns of a row before its insertion.
///
/// # Safety
/// Result, state and slot belong to one table.
pub(super) unsafe fn compute_generated(
    result: *mut pg_sys::ResultRelInfo,
    state: *mut pg_sys::EState,
    slot: *mut pg_sys::TupleTableSlot,
) {
    // SAFETY: as the caller says; an error leaves by the guard.
    unsafe {
        pg_guard_ffi_boundary(|| raw::ExecComputeStoredGenerated(result, state, slot, pg_sys::CmdType::CMD_INSERT));
    }
}
