//! `cohort_destination_test`: whether a destination works, step by step, in words.

use cohort_core::destination::{Action, Context, Destination, Keeps, Outcome, redact};

use super::binding;
use super::send::{Line, random};
use super::store::{self, Place};
use crate::pg::errors::{Fallible, SqlState, failure, invalid};
use crate::pg::spi::{self, Snapshot};
use crate::pg::transaction::Trouble;

/// One thing that was tried.
#[derive(Debug)]
pub(crate) struct Step {
    /// What.
    pub(crate) what: String,
    /// Whether it is as it should be.
    pub(crate) ok: bool,
    /// What is wrong, and what to do.
    pub(crate) detail: Option<String>,
}

impl Step {
    fn good(what: &str) -> Self {
        Self { what: what.to_owned(), ok: true, detail: None }
    }

    fn bad(what: &str, detail: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: false, detail: Some(detail.into()) }
    }
}

/// Tries a destination; stops at the first step that makes the next ones pointless.
pub(crate) fn test(place: &Place) -> Fallible<Vec<Step>> {
    let destination = place.open()?;
    let mut steps = vec![Step::good("the configuration is complete")];
    if destination.keeps() == Keeps::Rows {
        steps.extend(test_table(&*destination)?);
        return Ok(steps);
    }
    let step = "the secret can be read, and this destination may use it";
    let password = match binding::secret_of(place, &*destination, false) {
        Ok(content) => content,
        Err(error) => {
            let trouble = Trouble::from(error);
            let detail = format!("{}. {}", trouble.message, trouble.hint.unwrap_or_default());
            steps.push(Step::bad(step, detail.trim()));
            return Ok(steps);
        }
    };
    if place.secret.is_some() {
        steps.push(Step::good(step));
    }
    let context = Context { now: store::now() / 1_000_000, random: random(), ..Context::default() };
    let mut secrets = vec![password.as_str()];
    secrets.extend(password.split(':'));
    let clean = |text: &str| redact(text, &secrets);
    let mut line = Line::default();
    for probe in destination.probes(&place.state, &context, &password) {
        let outcome = match line.exchange(probe.request)? {
            // A cancelled statement raises its error here.
            None => {
                pgrx::check_for_interrupts!();
                return Ok(steps);
            }
            Some(Ok(answer)) => destination.read(Action::Add, &answer, context.now),
            Some(Err(failure)) => failure.into(),
        };
        steps.push(match outcome {
            Outcome::Done(_) => Step::good(probe.what),
            Outcome::Attention { why, hint } => Step::bad(probe.what, format!("{}. {}", clean(&why), clean(&hint))),
            Outcome::Again { why, .. } | Outcome::Deferred { why } | Outcome::BadRows { why } => {
                Step::bad(probe.what, clean(&why))
            }
            Outcome::Wait { why, seconds } => {
                let wait = seconds.map_or_else(String::new, |seconds| format!("; it asks to wait {seconds} s"));
                Step::bad(probe.what, format!("{}{wait}", clean(&why)))
            }
        });
    }
    Ok(steps)
}

fn test_table(destination: &dyn Destination) -> Fallible<Vec<Step>> {
    let Some((table, column)) = destination.table() else { return Ok(Vec::new()) };
    let (table, column) = match table_names(table, column) {
        Ok(names) => names,
        Err(error) => {
            let trouble = Trouble::from(error);
            let detail = format!("{}. {}", trouble.message, trouble.hint.unwrap_or_default());
            return Ok(vec![Step::bad("the table and its column are there", detail)]);
        }
    };
    let mut steps = vec![Step::good("the table and its column are there")];
    for privilege in ["SELECT", "INSERT", "DELETE"] {
        let what = format!("you may {privilege}");
        let allowed: bool = spi::one(
            Snapshot::Fresh,
            "SELECT pg_catalog.has_table_privilege($1, $2)",
            &[table.as_str().into(), privilege.into()],
            |row| row.need(1),
        )?;
        steps.push(if allowed {
            Step::good(&what)
        } else {
            Step::bad(
                &what,
                format!("GRANT {privilege} ON {table} to the owners of its syncs. {column} is its column."),
            )
        });
    }
    Ok(steps)
}

/// The names of a table and its column as SQL writes them, if both are there.
pub(super) fn table_names(table: &str, column: &str) -> Fallible<(String, String)> {
    if !table.contains('.') {
        return Err(invalid(format!("the table {table} is named without its schema"))
            .set_hint(format!("Write \"table\": \"public.{table}\", or whichever schema it is in.")));
    }
    let found = spi::first(
        Snapshot::Fresh,
        "SELECT format('%I.%I', n.nspname, c.relname), quote_ident(a.attname) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped \
         WHERE c.oid = pg_catalog.to_regclass($1) AND c.relkind IN ('r', 'p', 'v', 'f')",
        &[table.into(), column.into()],
        |row| Ok((row.need(1)?, row.need(2)?)),
    )?;
    found.ok_or_else(|| {
        failure(SqlState::ERRCODE_UNDEFINED_TABLE, format!("there is no table {table} with a column {column}"))
            .set_hint("Create it, with the column that customer_column names.")
    })
}
