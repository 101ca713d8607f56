//! Rows of tables beside the events.

use std::rc::Rc;

use serde_json::Value;

use super::problem::{Hint, Segment, quote};
use super::{Document, Reader};
use crate::rule::Where;
use crate::rule::rows::{MAX_NAME, Rows, Table, TableName, Use};

/// The columns that every table has and no rule reads.
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// How many columns are considered for what was meant by a wrong name.
const COLUMNS_CONSIDERED: usize = 200;

impl<'a> Reader<'a> {
    /// `{"table": …, "column": …, "where": …}`.
    pub(super) fn rows(&mut self, value: &'a Value, used: Use) -> Option<Rows> {
        let object = self.object(value, "an object such as {\"table\": \"shop.product\", \"column\": \"id\"}")?;
        if self.document == Document::Row {
            self.problem(
                "\"rows\" is not allowed in the \"where\" of rows",
                "Create a view that joins the tables, and use the view.",
            );
        }
        self.unknown_keys(object, &["table", "column", "where"]);
        let table = self.required(object, "table", Self::table);
        let looked = match (&table, self.tables) {
            (Some(table), Some(tables)) => {
                let found = tables.look(table);
                match found {
                    Ok(found) => Some(Rc::new(found)),
                    Err(unreadable) => {
                        self.at(Segment::Key("table"), |reader| reader.problem(unreadable.problem, unreadable.hint));
                        None
                    }
                }
            }
            _ => None,
        };
        let column = self.required(object, "column", |reader, value| {
            let name = reader.string(value, "the name of a column")?;
            reader.column(name, looked.as_deref())?;
            if used == Use::Ids
                && let Some(refused) = looked.iter().flat_map(|table| &table.columns).find(|known| known.name == name)
                && let Some(of_type) = &refused.no_id
            {
                reader.problem(
                    format!("the column {} of type {of_type} does not contain customer ids", quote(name)),
                    "Use a column whose values are customer ids, or create a view with such a column.",
                );
                return None;
            }
            Some(name.to_owned())
        });
        let filter = self.within_row(looked, |reader| reader.optional(object, "where", Self::filter));
        Some(Rows { table: table?, column: column?, filter: filter?, values: None })
    }

    /// Reads the predicates of rows: nothing outside of the row can be named in them.
    #[expect(clippy::option_option, reason = "a missing key and a wrong value are two outcomes")]
    fn within_row(
        &mut self,
        looked: Option<Rc<Table>>,
        read: impl FnOnce(&mut Self) -> Option<Option<Where>>,
    ) -> Option<Option<Where>> {
        let around = (self.document, self.elements, self.step_names.take(), self.row.take());
        (self.document, self.elements, self.row) = (Document::Row, 0, looked);
        let filter = read(self);
        (self.document, self.elements, self.step_names, self.row) = around;
        filter
    }

    fn table(&mut self, value: &'a Value) -> Option<TableName> {
        let written = self.string(value, "the name of a table, with its schema")?;
        let name = match TableName::parse(written) {
            Ok(name) => name,
            Err(problem) => {
                self.problem(
                    problem,
                    "Write the name as in SQL, with its schema, such as \"shop.product\" or \"shop.\\\"Odd Name\\\"\".",
                );
                return None;
            }
        };
        if name.is_temporary() {
            self.problem("a temporary table cannot be read", "Use a table that is not temporary.");
            return None;
        }
        Some(name)
    }

    /// Checks the name of a column of a table, where it is known.
    pub(super) fn column(&mut self, name: &str, looked: Option<&Table>) -> Option<()> {
        if name.is_empty() || name.contains('\0') || name.len() > MAX_NAME {
            self.problem(
                format!("{} is not the name of a column", quote(name)),
                "Write the exact name of a column, without quotation marks.",
            );
            return None;
        }
        let Some(table) = looked else { return Some(()) };
        match table.columns.iter().find(|column| column.name == name) {
            Some(column) if column.denied => {
                self.problem(
                    format!("permission denied for column {}", quote(name)),
                    "Its owner can grant it with GRANT SELECT.",
                );
                None
            }
            Some(_) => Some(()),
            None if SYSTEM_COLUMNS.contains(&name) => {
                self.problem(
                    format!("{} is a system column", quote(name)),
                    "Use a column of the table, or create a view with this column.",
                );
                None
            }
            None => {
                let names: Vec<String> =
                    table.columns.iter().take(COLUMNS_CONSIDERED).map(|column| column.name.clone()).collect();
                self.problem(
                    format!("column {} does not exist", quote(name)),
                    Hint::Column { wrong: name.to_owned(), names },
                );
                None
            }
        }
    }
}
