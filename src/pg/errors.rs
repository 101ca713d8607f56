//! Errors of SQL functions: an SQLSTATE, a message that names the object or path, and optionally DETAIL with facts and
//! HINT with the remedy.

use cohort_core::rule::Problem;
use pgrx::pg_sys::panic::ErrorReport;
pub(crate) use pgrx::prelude::PgSqlErrorCode as SqlState;

/// What every fallible function of this extension returns. `ErrorReport` is the one error type whose SQLSTATE,
/// DETAIL and HINT pgrx passes on.
pub(crate) type Fallible<T> = Result<T, ErrorReport>;

/// The five characters of a SQLSTATE.
pub(crate) trait Code {
    /// All five.
    fn code(&self) -> String;
    /// The first two.
    fn class(&self) -> String;
}

impl Code for SqlState {
    fn code(&self) -> String {
        let number = *self as usize;
        (0..5).map(|place| char::from(b'0' + u8::try_from(number >> (6 * place) & 63).unwrap_or(0))).collect()
    }

    fn class(&self) -> String {
        self.code().chars().take(2).collect()
    }
}

/// An error of a given SQLSTATE.
#[track_caller]
pub(crate) fn failure(state: SqlState, message: impl Into<String>) -> ErrorReport {
    ErrorReport::new(state, message.into(), "kursaha_cohort")
}

/// Keeps Rust's backtraces out of the DETAIL of errors, whatever the server's environment says. The standard library asks
/// the environment when the first one is taken, and keeps the answer for the process and its children.
pub(crate) fn leave_backtraces_out() {
    const NAME: &str = "RUST_LIB_BACKTRACE";
    let before = std::env::var_os(NAME);
    // SAFETY: the library is loaded by a process of one thread; the variable is what it was when this returns, so that
    // other libraries are not affected.
    unsafe {
        std::env::set_var(NAME, "0");
        let _ = std::backtrace::Backtrace::capture();
        match before {
            Some(value) => std::env::set_var(NAME, value),
            None => std::env::remove_var(NAME),
        }
    }
}

/// An error about a value that the caller gave (SQLSTATE 22023).
#[track_caller]
pub(crate) fn invalid(message: impl Into<String>) -> ErrorReport {
    failure(SqlState::ERRCODE_INVALID_PARAMETER_VALUE, message)
}

/// The error of an invalid rule: the first problem is the message, the rest are the DETAIL.
#[track_caller]
pub(crate) fn invalid_rule(problems: &[Problem]) -> ErrorReport {
    invalid_at("cohort rule", problems)
}

/// The error of an invalid document, likewise.
#[track_caller]
pub(crate) fn invalid_at(what: &str, problems: &[Problem]) -> ErrorReport {
    let Some((first, rest)) = problems.split_first() else {
        return invalid(format!("invalid {what}"));
    };
    let mut report = invalid(format!("invalid {what} at {}: {}", first.path, first.problem));
    if let Some(hint) = &first.hint {
        report = report.set_hint(hint.clone());
    }
    if !rest.is_empty() {
        let lines: Vec<String> = rest
            .iter()
            .map(|problem| match &problem.hint {
                Some(hint) => format!("at {}: {} ({hint})", problem.path, problem.problem),
                None => format!("at {}: {}", problem.path, problem.problem),
            })
            .collect();
        report = report.set_detail(lines.join("\n"));
    }
    report
}

/// What is there, or the error raised through callers that know nothing of errors.
pub(crate) fn or_raise<T>(result: Fallible<T>) -> T {
    result.unwrap_or_else(|error| std::panic::panic_any(error))
}
