//! Transactions of background workers, which continue after an error.

use std::panic::AssertUnwindSafe;

use cohort_core::destination::{Hidden, quote, redact};
use pgrx::PgLogLevel;
use pgrx::pg_sys;
use pgrx::pg_sys::PgTryBuilder;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};

use super::errors::{Code as _, Fallible, SqlState, failure};

/// An error that ended a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    /// Its SQLSTATE.
    pub(crate) state: SqlState,
    /// Its message.
    pub(crate) message: String,
    /// Its DETAIL, which can contain values of rows and must not be written to tables and logs that others read.
    detail: Option<String>,
    /// Its HINT.
    pub(crate) hint: Option<String>,
}

/// The snapshots of the statements of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// A new snapshot for each statement.
    ReadCommitted,
    /// One snapshot for all statements.
    RepeatableRead,
}

/// Runs a closure in a transaction. An error rolls the transaction back and is returned; the process continues.
pub(crate) fn attempt<T>(isolation: Isolation, work: impl FnOnce() -> Fallible<T>) -> Result<T, Trouble> {
    // SAFETY: called by a connected worker outside of any transaction.
    unsafe {
        pg_sys::SetCurrentStatementStartTimestamp();
        pg_sys::StartTransactionCommand();
        if isolation == Isolation::RepeatableRead {
            pg_sys::XactIsoLevel = pg_sys::XACT_REPEATABLE_READ.cast_signed();
        }
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, std::ptr::null());
    }
    let work = AssertUnwindSafe(work);
    let outcome = PgTryBuilder::new(|| {
        let work = work;
        let value = work.0().map_err(Trouble::from)?;
        // SAFETY: ends what was begun above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(value)
    })
    .catch_others(|caught| Err(Trouble::caught(caught)))
    .execute();
    // SAFETY: an error leaves the transaction to be aborted; it also frees what the error left behind.
    unsafe {
        if outcome.is_err() {
            pg_sys::AbortCurrentTransaction();
            pg_sys::FlushErrorState();
        }
        pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
        pg_sys::pgstat_report_stat(false);
    }
    outcome
}

/// Runs a closure in a subtransaction. An error rolls the subtransaction back and is returned; the transaction
/// continues. An error that must end the statement, such as a cancel, is raised again.
pub(crate) fn subtransaction<T>(work: impl FnOnce() -> Fallible<T>) -> Result<T, Trouble> {
    // SAFETY: inside a transaction. As PL/pgSQL's blocks with EXCEPTION do it: the memory context and the resource owner
    // are those of before on both ways out, and an error's subtransaction cleans up what was left open in it.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let work = AssertUnwindSafe(work);
        let outcome = PgTryBuilder::new(|| {
            let work = work;
            work.0().map_err(Trouble::from)
        })
        .catch_others(|caught| Err(Trouble::caught(caught)))
        .execute();
        if outcome.is_ok() {
            pg_sys::ReleaseCurrentSubTransaction();
        } else {
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::FlushErrorState();
            pg_sys::RollbackAndReleaseCurrentSubTransaction();
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        match outcome {
            Err(trouble) if trouble.ends_the_statement() => std::panic::panic_any(trouble.into_report()),
            outcome => outcome,
        }
    }
}

/// Runs a closure in a subtransaction and rolls it back. Returns the closure's result or error.
pub(crate) fn rehearsal<T>(work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    let mut given = None;
    let undone: Result<(), Trouble> = subtransaction(|| {
        given = Some(work()?);
        Err(failure(SqlState::ERRCODE_SUCCESSFUL_COMPLETION, "undone"))
    });
    match (given, undone) {
        (Some(given), _) => Ok(given),
        (None, Err(trouble)) => Err(trouble.into_report()),
        (None, Ok(())) => Err(failure(SqlState::ERRCODE_INTERNAL_ERROR, "a rehearsal ended without an outcome")),
    }
}

impl Trouble {
    /// Whether the error concerns the whole statement or the server, and not only the closure.
    fn ends_the_statement(&self) -> bool {
        matches!(
            self.state,
            SqlState::ERRCODE_QUERY_CANCELED
                | SqlState::ERRCODE_ADMIN_SHUTDOWN
                | SqlState::ERRCODE_CRASH_SHUTDOWN
                | SqlState::ERRCODE_DATABASE_DROPPED
        )
    }

    /// The message for tables and logs, with personal data removed.
    pub(crate) fn shown(&self) -> String {
        let code = self.state.class();
        // Of an error about a value, what comes before it.
        let said = match self.message.split_once(": \"") {
            Some((before, _)) if code == "22" => before,
            _ => &self.message,
        };
        let text = if ["22", "P0", "XX"].contains(&code.as_str()) { quote(said) } else { said.to_owned() };
        redact(&text, &Hidden::default())
    }

    /// Converts it back into an error.
    pub(crate) fn into_report(self) -> ErrorReport {
        let mut report = failure(self.state, self.message);
        if let Some(detail) = self.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = self.hint {
            report = report.set_hint(hint);
        }
        report
    }

    fn caught(caught: CaughtError) -> Self {
        match caught {
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic { ereport: report, .. } => Self {
                state: report.sql_error_code(),
                message: report.message().to_owned(),
                detail: report.detail().map(str::to_owned),
                hint: report.hint().map(str::to_owned),
            },
        }
    }
}

impl From<ErrorReport> for Trouble {
    /// The SQLSTATE of a report can only be read by catching it.
    fn from(report: ErrorReport) -> Self {
        let mut report = Some(report);
        PgTryBuilder::new(AssertUnwindSafe(|| {
            if let Some(report) = report.take() {
                report.report(PgLogLevel::ERROR);
            }
            Self { state: SqlState::ERRCODE_INTERNAL_ERROR, message: String::new(), detail: None, hint: None }
        }))
        .catch_others(Self::caught)
        .execute()
    }
}
