//! A table of this database as a destination: looked at, and written in the transaction that records its members.

use cohort_core::destination::{Action, Destination, Row};
use cohort_core::sync::halves;

use crate::pg::databases::with_owners_rights;
use crate::pg::errors::{Code as _, Fallible, SqlState, failure};
use crate::pg::spi::{self, Snapshot};
use crate::pg::transaction::{Trouble, subtransaction};

/// Rows of one batch, all of them refused, after which the fault is not with the rows.
const MOST_REFUSED: usize = 100;

/// A table and its column, as SQL writes them.
pub(super) struct Table {
    oid: i64,
    pub(super) name: String,
    schema: String,
    pub(super) column: String,
    /// The type that an id is cast to; none for `text`.
    cast: Option<String>,
    /// Whether PostgreSQL itself has the operator that compares values of the type; otherwise their texts are compared.
    compares: bool,
    /// Columns that a row must have besides, by their names.
    pub(super) needed: Vec<String>,
}

/// The table of a destination, if it and its column are there.
pub(super) fn find(destination: &dyn Destination) -> Fallible<Option<Table>> {
    let Some((table, column)) = destination.table() else { return Ok(None) };
    // With the extension's rights: a schema that the caller may not use is found, and said to be that.
    let found = with_owners_rights(|| {
        spi::first(
            Snapshot::Fresh,
            "WITH RECURSIVE base (typ) AS ( \
                 SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attname = $2 \
                 UNION ALL SELECT t.typbasetype FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typ WHERE t.typtype = 'd' \
             ) \
             SELECT c.oid::bigint, format('%I.%I', n.nspname, c.relname), quote_ident(n.nspname), quote_ident(a.attname), \
                 (SELECT pg_catalog.format_type(t.oid, -1) FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typ \
                  WHERE t.typtype <> 'd' AND t.oid <> 'text'::regtype), \
                 EXISTS (SELECT FROM base JOIN pg_catalog.pg_type t ON t.oid = base.typ \
                     WHERE t.typtype = 'e' OR t.typtype = 'b' AND t.typnamespace = 'pg_catalog'::regnamespace), \
                 ARRAY(SELECT o.attname::text FROM pg_catalog.pg_attribute o WHERE o.attrelid = c.oid AND o.attnum > 0 \
                     AND o.attnotnull AND NOT o.atthasdef AND o.attidentity = '' AND NOT o.attisdropped AND o.attnum <> a.attnum) \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped \
             WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'f')",
            &[table.into(), column.into()],
            |row| {
                Ok(Table {
                    oid: row.need(1)?,
                    name: row.need(2)?,
                    schema: row.need(3)?,
                    column: row.need(4)?,
                    cast: row.get(5),
                    compares: row.need(6)?,
                    needed: row.need(7)?,
                })
            },
        )
    })?;
    found.map(Some).ok_or_else(|| {
        failure(SqlState::ERRCODE_UNDEFINED_TABLE, format!("table {table} with a column {column} does not exist"))
            .set_hint("Create the table with the column that customer_column specifies.")
    })
}

impl Table {
    /// What a role lacks to write it: the statements that give it.
    pub(super) fn lacking(&self, role: &str) -> Fallible<Vec<String>> {
        let (quoted, schema, select, insert, delete): (String, bool, bool, bool, bool) = with_owners_rights(|| {
            spi::one(
                Snapshot::Fresh,
                "SELECT quote_ident(r.rolname), pg_catalog.has_schema_privilege(r.oid, c.relnamespace, 'USAGE'), \
                     pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT'), \
                     pg_catalog.has_column_privilege(r.oid, c.oid, a.attnum, 'INSERT'), \
                     pg_catalog.has_table_privilege(r.oid, c.oid, 'DELETE') \
                 FROM pg_catalog.pg_roles r, pg_catalog.pg_class c \
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND quote_ident(a.attname) = $3 \
                 WHERE r.rolname = $1 AND c.oid = $2::oid",
                &[role.into(), self.oid.into(), self.column.as_str().into()],
                |row| Ok((row.need(1)?, row.need(2)?, row.need(3)?, row.need(4)?, row.need(5)?)),
            )
        })?;
        let mut grants = Vec::new();
        if !schema {
            grants.push(format!("GRANT USAGE ON SCHEMA {} TO {quoted};", self.schema));
        }
        let wanted = [("SELECT", select), ("INSERT", insert), ("DELETE", delete)];
        let missing: Vec<&str> = wanted.iter().filter(|(_, has)| !has).map(|(privilege, _)| *privilege).collect();
        if !missing.is_empty() {
            grants.push(format!("GRANT {} ON {} TO {quoted};", missing.join(", "), self.name));
        }
        Ok(grants)
    }

    fn statement(&self, action: Action) -> String {
        let Self { name, column, .. } = self;
        let cast = self.cast.as_ref().map_or_else(String::new, |cast| format!("::{cast}"));
        // Compared as the column's own type, so that its index is used.
        let (cast, own, stored) = if self.compares && !cast.is_empty() {
            (cast.as_str(), format!("t.{column}{cast}"), "")
        } else {
            ("", format!("t.{column}::text"), cast.as_str())
        };
        match action {
            Action::Add => format!(
                "INSERT INTO {name} ({column}) SELECT v.id{stored} FROM (SELECT u.id{cast} AS id FROM unnest($1) u (id)) v \
                 WHERE NOT EXISTS (SELECT FROM {name} t WHERE {own} = v.id)"
            ),
            Action::Remove => format!("DELETE FROM {name} t WHERE {own} IN (SELECT u.id{cast} FROM unnest($1) u (id))"),
        }
    }
}

/// A row that the table refused: its place in the batch, why, and the error's class.
pub(super) struct Refused {
    pub(super) place: usize,
    pub(super) reason: String,
    /// The id is no value of the column's type.
    pub(super) is_no_value: bool,
}

/// Writes rows with the current user's rights. What the table refuses is left out, row by row, and given back.
pub(super) fn write(destination: &dyn Destination, action: Action, rows: &[Row]) -> Fallible<Vec<Refused>> {
    let Some(table) = find(destination)? else { return Ok(Vec::new()) };
    let role: String = spi::one(Snapshot::Fresh, "SELECT current_user::text", &[], |row| row.need(1))?;
    let lacking = table.lacking(&role)?;
    if !lacking.is_empty() {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied: \"{role}\", which owns the sync, may not write {}", table.name),
        )
        .set_hint(format!("{} Then cohort_sync_resume.", lacking.join(" "))));
    }
    let sql = table.statement(action);
    let attempt = |part: &[Row]| {
        let customers: Vec<String> = part.iter().map(|row| row.customer.clone()).collect();
        subtransaction(|| {
            spi::touch(&sql, &[customers.into()])?;
            // What is deferred is found out here, where it can be undone by itself.
            spi::touch("SET CONSTRAINTS ALL IMMEDIATE", &[]).map(|_| ())
        })
    };
    let mut refused = Vec::new();
    let mut open = vec![(0, rows)];
    while let Some((first, part)) = open.pop() {
        pgrx::check_for_interrupts!();
        let Err(trouble) = attempt(part) else { continue };
        if !is_of_a_row(trouble.state) {
            return Err(trouble.into_report());
        }
        if let [row] = part {
            // Somebody else may have written the row since this statement began: then it is there now.
            if trouble.state == SqlState::ERRCODE_UNIQUE_VIOLATION && attempt(part).is_ok() {
                continue;
            }
            refused.push(Refused {
                place: first,
                reason: reason(&trouble, &row.customer),
                is_no_value: trouble.state.class() == "22",
            });
        } else {
            let (left, right) = halves(part);
            open.push((first + left.len(), right));
            open.push((first, left));
        }
    }
    match refused.first() {
        Some(first) if refused.len() == rows.len() && rows.len() >= MOST_REFUSED => Err(failure(
            SqlState::ERRCODE_DATATYPE_MISMATCH,
            format!("the table {} refuses every row: {}", table.name, first.reason),
        )
        .set_hint("Check its columns, constraints and triggers, then call cohort_sync_resume.")),
        _ => Ok(refused),
    }
}

/// Whether an error may be one row's alone. The others are the connection's, the transaction's, the statement's or the
/// server's. A code that a trigger made up comes as an internal error.
fn is_of_a_row(state: SqlState) -> bool {
    match state {
        // The table's privileges were looked at: what is left is row security, or a trigger.
        SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE | SqlState::ERRCODE_INTERNAL_ERROR => true,
        _ => !["08", "0A", "25", "2D", "3B", "40", "42", "53", "54", "55", "57", "58", "72", "F0", "HV", "XX"]
            .contains(&state.class().as_str()),
    }
}

/// Why a row was refused, without its values: a constraint's message names the constraint and no value.
fn reason(trouble: &Trouble, customer: &str) -> String {
    let code = trouble.state.code();
    let said = match code.get(..2) {
        Some("22") => "the id cannot be converted to the column's type",
        Some("23") if !trouble.message.contains(customer) => trouble.message.as_str(),
        Some("23") => "a constraint of the table refuses the row",
        Some("42") => "row-level security or a trigger of the table refuses the row",
        _ => "a trigger of the table refuses the row",
    };
    format!("{said} (SQLSTATE {code})")
}
