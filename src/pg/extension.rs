//! Where the extension lives in this database.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;

use super::errors::{Fallible, SqlState, failure};
use super::spi::{self, Snapshot};

thread_local! {
    /// The extension's OID and the quoted schema of its public objects. A new CREATE EXTENSION has a new OID, and the
    /// extension is not relocatable, so an entry never goes stale.
    static SCHEMA: RefCell<Option<(pg_sys::Oid, String)>> = const { RefCell::new(None) };
}

/// The schema that `CREATE EXTENSION` chose for the public objects, quoted for use in SQL.
pub(crate) fn schema() -> Fallible<String> {
    // SAFETY: a catalog look-up inside a transaction; missing_ok avoids an error without a hint.
    let extension = unsafe { pg_sys::get_extension_oid(c"kursaha_cohort".as_ptr(), true) };
    if let Some(known) = SCHEMA
        .with_borrow(|entry| entry.as_ref().filter(|(oid, _)| *oid == extension).map(|(_, schema)| schema.clone()))
    {
        return Ok(known);
    }
    let schema = spi::first(
        Snapshot::Callers,
        "SELECT quote_ident(n.nspname) FROM pg_catalog.pg_extension e \
         JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace WHERE e.oid = $1",
        &[extension.into()],
        |row| row.need::<String>(1),
    )?
    .ok_or_else(missing)?;
    SCHEMA.set(Some((extension, schema.clone())));
    Ok(schema)
}

/// The OIDs of the schema of the public objects and of that of the internal ones.
pub(crate) fn schema_oids() -> Fallible<(pg_sys::Oid, pg_sys::Oid)> {
    thread_local! {
        static OIDS: Cell<Option<(pg_sys::Oid, pg_sys::Oid, pg_sys::Oid)>> = const { Cell::new(None) };
    }
    // SAFETY: a catalog look-up inside a transaction; missing_ok avoids an error without a hint.
    let extension = unsafe { pg_sys::get_extension_oid(c"kursaha_cohort".as_ptr(), true) };
    if let Some((of, schema, internals)) = OIDS.get()
        && of == extension
    {
        return Ok((schema, internals));
    }
    let found = spi::first(
        Snapshot::Callers,
        "SELECT e.extnamespace, n.oid FROM pg_catalog.pg_extension e, pg_catalog.pg_namespace n \
         WHERE e.oid = $1 AND n.nspname = 'kursaha_cohort'",
        &[extension.into()],
        |row| Ok((row.need::<pg_sys::Oid>(1)?, row.need::<pg_sys::Oid>(2)?)),
    )?;
    let (schema, internals) = found.ok_or_else(missing)?;
    OIDS.set(Some((extension, schema, internals)));
    Ok((schema, internals))
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
    failure(SqlState::ERRCODE_UNDEFINED_OBJECT, "the extension kursaha_cohort is not in this database")
        .set_hint("CREATE EXTENSION kursaha_cohort;")
}
