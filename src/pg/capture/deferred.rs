//! Deferred constraints of users on the public tables. A captured row that violates one would make the application's
//! COMMIT fail. They are therefore checked when the row is written, so that the row can be skipped.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::super::errors::Fallible;
use super::super::spi;

/// The deferrable constraints of a table, as SET CONSTRAINTS names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Deferred {
    all: Vec<String>,
    /// Those of them that a transaction begins with as deferred.
    initially: Vec<String>,
}

impl Deferred {
    /// Those that rows of an INSERT, or also those that an UPDATE or DELETE may break.
    ///
    /// # Safety
    /// The relation is open.
    pub(super) unsafe fn of(relation: pg_sys::Relation, insert_only: bool) -> Self {
        let mut found = Self::default();
        // SAFETY: as the caller says; the array has the counted length, names are strings of C.
        unsafe {
            let Some(triggers) = (*relation).trigdesc.as_ref() else { return found };
            let schema = pg_sys::get_namespace_name((*(*relation).rd_rel).relnamespace);
            for trigger in std::slice::from_raw_parts(triggers.triggers, triggers.numtriggers as usize) {
                let concerned =
                    !insert_only || u32::from(trigger.tgtype.cast_unsigned()) & pg_sys::TRIGGER_TYPE_INSERT != 0;
                if !trigger.tgdeferrable || !concerned || schema.is_null() {
                    continue;
                }
                let name = pg_sys::get_constraint_name(trigger.tgconstraint);
                if name.is_null() {
                    continue;
                }
                let name = format!("{}.{}", quoted(schema), quoted(name));
                if trigger.tginitdeferred && !found.initially.contains(&name) {
                    found.initially.push(name.clone());
                }
                if !found.all.contains(&name) {
                    found.all.push(name);
                }
            }
        }
        found
    }

    /// Has them checked at once. An error of rows that the transaction wrote before comes up, too.
    pub(super) fn check_at_once(&self) -> Fallible<()> {
        set(&self.all, "IMMEDIATE")
    }

    /// Has those wait for the end of the transaction again that did when it began.
    pub(super) fn defer_again(&self) -> Fallible<()> {
        set(&self.initially, "DEFERRED")
    }
}

fn set(names: &[String], when: &str) -> Fallible<()> {
    if names.is_empty() {
        return Ok(());
    }
    spi::touch(&format!("SET CONSTRAINTS {} {when}", names.join(", ")), &[]).map(drop)
}

unsafe fn quoted(name: *const std::ffi::c_char) -> String {
    // SAFETY: the caller gives a string of C.
    unsafe { CStr::from_ptr(pg_sys::quote_identifier(name)) }.to_string_lossy().into_owned()
}
