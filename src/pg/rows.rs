//! The tables beside the events that rules read, as the current user sees them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::sync::Arc;

use cohort_core::rule::{Column, Rows, Table, TableName, Tables, Unreadable, Use, read_json};
use cohort_core::text::nearest;
use cohort_core::value::{Number, Scalar};
use pgrx::pg_sys;
use serde_json::Value;

use super::errors::{Fallible, SqlState, failure, or_raise};
use super::spi::{self, Snapshot};

/// The tables of this database.
pub(crate) struct ServerTables;

/// What the catalog says of a name.
enum Known {
    NoSchema,
    NoUsage,
    NoTable,
    Found { table: pg_sys::Oid, kind: String, temporary: bool, readable: bool },
}

fn known(name: &TableName) -> Fallible<Known> {
    let found = spi::first(
        Snapshot::Callers,
        "SELECT has_schema_privilege(n.oid, 'USAGE'), c.oid, c.relkind::text, c.relpersistence = 't', \
                has_any_column_privilege(c.oid, 'SELECT') \
         FROM pg_catalog.pg_namespace n \
         LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2::name \
         WHERE n.nspname = $1::name",
        &[name.schema.as_str().into(), name.table.as_str().into()],
        |row| {
            Ok(match (row.need::<bool>(1)?, row.get::<pg_sys::Oid>(2)) {
                (false, _) => Known::NoUsage,
                (true, None) => Known::NoTable,
                (true, Some(table)) => {
                    Known::Found { table, kind: row.need(3)?, temporary: row.need(4)?, readable: row.need(5)? }
                }
            })
        },
    )?;
    Ok(found.unwrap_or(Known::NoSchema))
}

fn columns(table: pg_sys::Oid) -> Fallible<Vec<Column>> {
    spi::run(
        Snapshot::Callers,
        "SELECT a.attname::text, has_column_privilege(a.attrelid, a.attnum, 'SELECT'), a.atttypid \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        &[table.into()],
        |row| {
            Ok(Column { name: row.need(1)?, denied: !row.need::<bool>(2)?, no_id: no_id(row.need::<pg_sys::Oid>(3)?) })
        },
    )
}

/// The name of a type whose values are no ids.
fn no_id(of: pg_sys::Oid) -> Option<String> {
    // SAFETY: catalog look-ups inside a transaction; the name is a string of C in the current memory context.
    unsafe {
        let base = pg_sys::getBaseType(of);
        let refused = base == pg_sys::JSONOID
            || base == pg_sys::JSONBOID
            || pg_sys::get_element_type(base) != pg_sys::InvalidOid
            || pg_sys::type_is_rowtype(base);
        refused.then(|| CStr::from_ptr(pg_sys::format_type_be(of)).to_string_lossy().into_owned())
    }
}

/// The name of something that is nearest to a wrong one, as SQL writes it.
fn nearest_name(names: &str, schema: &str, wrong: &str) -> Fallible<Option<String>> {
    let names: Vec<String> = spi::run(Snapshot::Callers, names, &[schema.into()], |row| row.need(1))?;
    let Some(near) = nearest(wrong, names.iter().map(String::as_str)) else { return Ok(None) };
    let sql = "SELECT concat(quote_ident(nullif($1, '')) || '.', quote_ident($2))";
    spi::one(Snapshot::Callers, sql, &[schema.into(), near.into()], |row| row.need(1)).map(Some)
}

impl ServerTables {
    fn find(name: &TableName) -> Fallible<Result<Table, Unreadable>> {
        const IN_QUOTES: &str = "Write the name as in SQL. Parts without quotation marks are converted to lower case.";
        let refuse = |problem: String, hint: String| Ok(Err(Unreadable { problem, hint }));
        let TableName { written, schema, table } = name;
        let no_grant = |what: &str| format!("Its owner can grant it with GRANT {what}.");
        match known(name)? {
            Known::NoSchema => {
                let sql = "SELECT n.nspname::text FROM pg_catalog.pg_namespace n \
                           WHERE n.nspname !~ '^pg_(toast|temp)' AND $1 IS NOT NULL ORDER BY 1 LIMIT 10000";
                let near = nearest_name(sql, "", schema)?;
                refuse(
                    format!("schema \"{schema}\" does not exist"),
                    near.map_or_else(|| IN_QUOTES.to_owned(), |near| format!("Did you mean {}?", Value::from(near))),
                )
            }
            Known::NoUsage => refuse(format!("permission denied for schema {schema}"), no_grant("USAGE ON SCHEMA")),
            Known::NoTable => {
                let sql = "SELECT c.relname::text FROM pg_catalog.pg_class c \
                           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                           WHERE n.nspname = $1::name AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1 LIMIT 10000";
                let near = nearest_name(sql, schema, table)?;
                refuse(
                    format!("table \"{written}\" does not exist"),
                    near.map_or_else(|| IN_QUOTES.to_owned(), |near| format!("Did you mean {}?", Value::from(near))),
                )
            }
            Known::Found { temporary: true, .. } => {
                refuse("a temporary table cannot be read".to_owned(), "Use a table that is not temporary.".to_owned())
            }
            Known::Found { kind, .. } if !["r", "p", "v", "m", "f"].contains(&kind.as_str()) => refuse(
                format!("\"{written}\" has no rows to read"),
                "Use a table, a partitioned table, a view, a materialized view or a foreign table.".to_owned(),
            ),
            Known::Found { readable: false, .. } => {
                refuse(format!("permission denied for table {written}"), no_grant("SELECT"))
            }
            Known::Found { table, .. } => Ok(Ok(Table { columns: columns(table)? })),
        }
    }
}

impl Tables for ServerTables {
    fn look(&self, name: &TableName) -> Result<Table, Unreadable> {
        or_raise(Self::find(name))
    }
}

/// Raises the error of rows whose columns are no longer what they were when the rule was saved. What else is wrong, the
/// statement that reads them says. In SQL, a name that is no column may be a function of the row.
pub(crate) fn check(rows: &Rows, used: Use) -> Fallible<()> {
    let Known::Found { table, .. } = known(&rows.table)? else { return Ok(()) };
    let columns = columns(table)?;
    for name in rows.columns() {
        let Some(found) = columns.iter().find(|column| column.name == name) else {
            return Err(failure(
                SqlState::ERRCODE_UNDEFINED_COLUMN,
                format!("column \"{name}\" of relation \"{}\" does not exist", rows.table.written),
            )
            .set_hint(
                "A rule uses it. Change the rule with cohort_update, or create a view with the former columns.",
            ));
        };
        if let (Use::Ids, true, Some(of_type)) = (used, name == rows.column, &found.no_id) {
            return Err(failure(
                SqlState::ERRCODE_DATATYPE_MISMATCH,
                format!(
                    "column \"{name}\" of relation \"{}\" has the type {of_type}, which does not contain customer ids",
                    rows.table.written
                ),
            )
            .set_hint("A rule takes customer ids from it: change the rule with cohort_update."));
        }
    }
    Ok(())
}

/// The sets of rows that an evaluation has read: each statement once.
pub(crate) struct Reading {
    left: usize,
    known: RefCell<HashMap<String, Arc<Vec<Scalar>>>>,
}

/// The rows of a table take more memory than an evaluation has.
pub(crate) struct TooMany;

impl Reading {
    /// Nothing yet; `memory` bytes may be taken.
    pub(crate) fn within(memory: usize) -> Self {
        Self { left: memory, known: RefCell::default() }
    }

    /// The values that a statement gives.
    pub(crate) fn read(&mut self, sql: &str, used: Use) -> Fallible<Result<Arc<Vec<Scalar>>, TooMany>> {
        /// Rows that are fetched at a time. They are in memory before their values are counted, however long these are.
        const PIECE: usize = 100;
        /// Of a value in a set and in a list, with what allocating it costs.
        const ENTRY: usize = 120;
        if let Some(known) = self.known.borrow().get(sql) {
            return Ok(Ok(Arc::clone(known)));
        }
        let mut met: HashSet<String> = HashSet::new();
        let mut left = Some(self.left);
        spi::in_pieces_while(sql, PIECE, &mut |rows| {
            pgrx::check_for_interrupts!();
            for row in rows {
                if !met.contains(row) {
                    left = left.and_then(|left| left.checked_sub(ENTRY + 2 * row.len()));
                    met.insert(row.clone());
                }
            }
            Ok(left.is_some())
        })?;
        let Some(left) = left else { return Ok(Err(TooMany)) };
        self.left = left;
        let values = match used {
            Use::Ids => met.into_iter().map(Scalar::String).collect(),
            Use::Values => met.iter().filter_map(|text| scalar(text)).collect(),
        };
        let values = Arc::new(values);
        self.known.borrow_mut().insert(sql.to_owned(), Arc::clone(&values));
        Ok(Ok(values))
    }
}

/// The scalar of the text of a `jsonb` value, if it is one.
fn scalar(text: &str) -> Option<Scalar> {
    match text.as_bytes().first()? {
        b'"' => match read_json(text).ok()? {
            Value::String(string) => Some(Scalar::String(string)),
            _ => None,
        },
        b't' => Some(Scalar::Bool(true)),
        b'f' => Some(Scalar::Bool(false)),
        b'-' | b'0'..=b'9' => Number::parse(text).map(Scalar::Number),
        _ => None,
    }
}
