//! The one exit for errors: a SQLSTATE, a message that names the place, and optionally DETAIL for the facts and HINT
//! for the remedy.

use cohort_core::rule::Problem;
use pgrx::pg_sys::panic::ErrorReport;
pub(crate) use pgrx::prelude::PgSqlErrorCode as SqlState;

/// What every fallible function of this extension returns. `ErrorReport` is the one error type whose SQLSTATE,
/// DETAIL and HINT pgrx passes on.
pub(crate) type Fallible<T> = Result<T, ErrorReport>;

/// An error of a given SQLSTATE.
#[track_caller]
pub(crate) fn failure(state: SqlState, message: impl Into<String>) -> ErrorReport {
    ErrorReport::new(state, message.into(), "kursaha_cohort")
}

/// An error about a value that the caller gave (SQLSTATE 22023).
#[track_caller]
pub(crate) fn invalid(message: impl Into<String>) -> ErrorReport {
    failure(SqlState::ERRCODE_INVALID_PARAMETER_VALUE, message)
}

/// The error of an invalid rule: the first problem is the message, the rest are the DETAIL.
#[track_caller]
pub(crate) fn invalid_rule(problems: &[Problem]) -> ErrorReport {
    let Some((first, rest)) = problems.split_first() else {
        return invalid("invalid cohort rule");
    };
    let mut report = invalid(format!("invalid cohort rule at {}: {}", first.path, first.problem));
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
