//! The schema of the extension in this database.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;

use super::errors::{Fallible, SqlState, failure};
use super::index::{extension_owner, public_schema};
use super::version;

/// The OID of the schema of the internal objects; invalid where there is none. Other than the extension's own it comes
/// from a cache of the server's.
fn internals() -> pg_sys::Oid {
    // SAFETY: a catalog look-up inside a transaction; missing_ok avoids an error without a hint.
    unsafe { pg_sys::get_namespace_oid(c"kursaha_cohort".as_ptr(), true) }
}

/// The schema of the public objects as it is called now, quoted for use in SQL. A name remembered would be that of
/// another schema after a rename.
pub(crate) fn schema() -> Fallible<String> {
    let (public, _) = schema_oids()?;
    // SAFETY: both give a string in the current context, or the one that they got; a schema may be gone by now.
    unsafe {
        let name = pg_sys::get_namespace_name(public);
        if name.is_null() {
            return Err(missing());
        }
        Ok(CStr::from_ptr(pg_sys::quote_identifier(name)).to_string_lossy().into_owned())
    }
}

/// The same for evaluations and workers, which are refused if the objects are newer than the library.
pub(crate) fn served_schema() -> Fallible<String> {
    version::refuse_newer_objects()?;
    schema()
}

/// The OIDs of the schema of the public objects and of that of the internal ones.
pub(crate) fn schema_oids() -> Fallible<(pg_sys::Oid, pg_sys::Oid)> {
    thread_local! {
        /// The script makes both and neither moves after it, so an entry never goes stale.
        static OIDS: Cell<Option<(pg_sys::Oid, pg_sys::Oid)>> = const { Cell::new(None) };
    }
    let internals = internals();
    if let Some((schema, of)) = OIDS.get()
        && of == internals
    {
        return Ok((schema, internals));
    }
    if internals == pg_sys::InvalidOid {
        return Err(missing());
    }
    let schema = public_schema().ok_or_else(missing)?;
    OIDS.set(Some((schema, internals)));
    Ok((schema, internals))
}

/// The role that owns the extension.
pub(crate) fn owner() -> Fallible<pg_sys::Oid> {
    extension_owner().ok_or_else(missing)
}

/// Has `DROP EXTENSION` drop an object that is no member, and that a dump holds for that reason.
pub(crate) fn adopt(class: pg_sys::Oid, object: pg_sys::Oid) {
    // SAFETY: a catalog look-up inside a transaction.
    let extension = unsafe { pg_sys::get_extension_oid(c"kursaha_cohort".as_ptr(), false) };
    let kind = pg_sys::DependencyType::DEPENDENCY_AUTO_EXTENSION;
    depend((class, object), (pg_sys::ExtensionRelationId, extension), kind);
}

/// Has an object be dropped with another one, in place of standing in its way.
pub(crate) fn goes_with(object: (pg_sys::Oid, pg_sys::Oid), other: (pg_sys::Oid, pg_sys::Oid)) {
    depend(object, other, pg_sys::DependencyType::DEPENDENCY_AUTO);
}

fn depend(object: (pg_sys::Oid, pg_sys::Oid), on: (pg_sys::Oid, pg_sys::Oid), kind: pg_sys::DependencyType::Type) {
    let of = |(class, oid)| pg_sys::ObjectAddress { classId: class, objectId: oid, objectSubId: 0 };
    // SAFETY: inside a transaction; the dependency is between two objects by their addresses.
    unsafe { pg_sys::recordDependencyOn(&of(object), &of(on), kind) }
}

/// The table of the index's pages; invalid when it is missing.
pub(crate) fn page_table() -> pg_sys::Oid {
    match schema_oids() {
        // SAFETY: reads the catalog inside a transaction.
        Ok((_, internals)) => unsafe { pg_sys::get_relname_relid(c"segment_page".as_ptr(), internals) },
        Err(_) => pg_sys::InvalidOid,
    }
}

fn missing() -> ErrorReport {
    failure(SqlState::ERRCODE_UNDEFINED_OBJECT, "the extension kursaha_cohort is not installed in this database")
        .set_hint("CREATE EXTENSION kursaha_cohort;")
}
