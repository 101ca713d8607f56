//! Saves old rows of a captured table before an ALTER TABLE rewrites the table, because the rewritten rows get new
//! transaction ids.

use std::ffi::CStr;

use pgrx::{PgLogLevel, pg_guard, pg_sys};

use super::super::errors::{Fallible, SqlState};
use super::super::spi::{self, Snapshot};
use super::subtransaction::attempt;
use super::{old_rows, plan};

/// The C entry of the event trigger.
#[unsafe(no_mangle)]
#[pg_guard]
pub extern "C-unwind" fn kursaha_before_alter(fcinfo: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: fcinfo comes from the function manager; an event trigger's call carries an EventTriggerData.
    unsafe {
        if !(*fcinfo).context.is_null() && pgrx::is_a((*fcinfo).context, pg_sys::NodeTag::T_EventTriggerData) {
            #[expect(clippy::cast_ptr_alignment, reason = "the tag says that the node is an EventTriggerData")]
            let data = &*(*fcinfo).context.cast::<pg_sys::EventTriggerData>();
            if pgrx::is_a(data.parsetree, pg_sys::NodeTag::T_AlterTableStmt) {
                #[expect(clippy::cast_ptr_alignment, reason = "the tag says that the node is an AlterTableStmt")]
                let statement = &*data.parsetree.cast::<pg_sys::AlterTableStmt>();
                if let Err(error) = before(statement) {
                    std::panic::panic_any(error);
                }
            }
        }
    }
    pg_sys::Datum::from(0)
}

/// Says that the function follows calling convention 1.
#[unsafe(no_mangle)]
pub extern "C" fn pg_finfo_kursaha_before_alter() -> &'static pg_sys::Pg_finfo_record {
    const CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };
    &CONVENTION
}

/// # Safety
/// The statement is a whole parse tree.
unsafe fn before(statement: &pg_sys::AlterTableStmt) -> Fallible<()> {
    // SAFETY: as the caller says; the list is one of commands.
    let (table, owned) = unsafe {
        let commands = pgrx::PgList::<pg_sys::AlterTableCmd>::from_pg(statement.cmds);
        if !commands.iter_ptr().any(|command| writes_again(&*command)) || plan::unrecorded_tables()?.is_empty() {
            return Ok(());
        }
        let missing_ok = pg_sys::RVROption::RVR_MISSING_OK;
        let lock = pg_sys::NoLock.cast_signed();
        let table = pg_sys::RangeVarGetRelidExtended(statement.relation, lock, missing_ok, None, std::ptr::null_mut());
        (table, table != pg_sys::InvalidOid && owns(table))
    };
    if !owned {
        return Ok(());
    }
    let below: Vec<pg_sys::Oid> = spi::run(
        Snapshot::Fresh,
        "WITH RECURSIVE below (oid) AS (SELECT $1 UNION SELECT i.inhrelid FROM below \
             JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) below.oid) SELECT oid FROM below",
        &[table.into()],
        |row| row.need(1),
    )?;
    let concerned: Vec<(i64, pg_sys::Oid)> =
        plan::unrecorded_tables()?.into_iter().filter(|(_, leaf)| below.contains(leaf)).collect();
    if concerned.is_empty() {
        return Ok(());
    }
    // What the statement itself is about to lock, so that no row changes between here and there.
    for table in below {
        // SAFETY: locks a table until the transaction ends.
        unsafe { pg_sys::LockRelationOid(table, pg_sys::AccessExclusiveLock.cast_signed()) }
    }
    for (capture, leaf) in concerned {
        if let Err(state) = attempt(|| old_rows::keep_rows(capture, leaf, false)) {
            pgrx::ereport!(
                PgLogLevel::WARNING,
                SqlState::ERRCODE_WARNING,
                "rows older than a capture could not be kept for its backfill",
                format!("The error that kept them out has the SQLSTATE {state}; cohort_backfill will not record them.")
            );
        }
    }
    Ok(())
}

unsafe fn owns(table: pg_sys::Oid) -> bool {
    // SAFETY: a catalog look-up inside a transaction.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::pg_class_ownercheck(table, pg_sys::GetUserId());
        #[cfg(not(feature = "pg15"))]
        return pg_sys::object_ownercheck(pg_sys::RelationRelationId, table, pg_sys::GetUserId());
    }
}

/// Whether a part of ALTER TABLE may write all rows again.
unsafe fn writes_again(command: &pg_sys::AlterTableCmd) -> bool {
    match command.subtype {
        pg_sys::AlterTableType::AT_AlterColumnType
        | pg_sys::AlterTableType::AT_SetLogged
        | pg_sys::AlterTableType::AT_SetUnLogged
        | pg_sys::AlterTableType::AT_SetAccessMethod => true,
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        pg_sys::AlterTableType::AT_SetExpression => true,
        // SAFETY: the definition of a new column is a ColumnDef.
        pg_sys::AlterTableType::AT_AddColumn => unsafe { column_writes_again(command.def) },
        _ => false,
    }
}

/// Whether adding a column may need a value for each row: not if it has no default, or a constant one.
unsafe fn column_writes_again(definition: *mut pg_sys::Node) -> bool {
    // SAFETY: the node is a ColumnDef, its constraints are nodes of that kind.
    unsafe {
        let Some(column) = definition.cast::<pg_sys::ColumnDef>().as_ref() else { return true };
        let constraints = pgrx::PgList::<pg_sys::Constraint>::from_pg(column.constraints);
        let constant = |node: *mut pg_sys::Node| node.is_null() || pgrx::is_a(node, pg_sys::NodeTag::T_A_Const);
        let quiet = constraints.iter_ptr().all(|constraint| match (*constraint).contype {
            pg_sys::ConstrType::CONSTR_NULL | pg_sys::ConstrType::CONSTR_NOTNULL => true,
            pg_sys::ConstrType::CONSTR_DEFAULT => constant((*constraint).raw_expr),
            _ => false,
        });
        !quiet || !constant(column.raw_default) || !built_in(column.typeName)
    }
}

/// Whether a type is named as one of the server's own: a domain may have a default or a check, a serial has a sequence.
unsafe fn built_in(name: *mut pg_sys::TypeName) -> bool {
    // SAFETY: the node is a TypeName, or null for a column of a typed table.
    unsafe {
        let Some(name) = name.as_ref() else { return false };
        let names = pgrx::PgList::<pg_sys::Node>::from_pg(name.names);
        let serial = names.iter_ptr().any(|part| {
            #[cfg(feature = "pg15")]
            let text = (*part.cast::<pg_sys::String>()).sval;
            #[cfg(not(feature = "pg15"))]
            let text = (*part.cast::<pg_sys::String>()).sval;
            CStr::from_ptr(text).to_bytes().windows(6).any(|bytes| bytes.eq_ignore_ascii_case(b"serial"))
        });
        if serial {
            return false;
        }
        let mut typmod = -1;
        let declared = pg_sys::LookupTypeName(std::ptr::null_mut(), std::ptr::from_ref(name), &raw mut typmod, true);
        if declared.is_null() {
            return false;
        }
        let oid = pg_sys::typeTypeId(declared);
        pg_sys::ReleaseSysCache(declared);
        oid.to_u32() < pg_sys::FirstNormalObjectId
    }
}
