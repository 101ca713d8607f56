//! How an attempt at a run ended: what became of its last request, its last transaction or its worker.

use cohort_core::destination::{Outcome, redact};
use pgrx::pg_sys::panic::ErrorReport;

use super::context::RunContext;
use crate::pg::errors::{Fallible, SqlState};
use crate::pg::transaction::{Isolation, Trouble, attempt};

/// How an attempt at a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// What was acknowledged equals the cohort.
    Success { remark: Option<String> },
    /// Removals are pending.
    Partial { why: String },
    /// A guard stopped it.
    Held { why: String },
    /// To be taken up again when the destination allows it.
    Throttled { why: String, seconds: Option<u64> },
    /// To be tried again, some times.
    Retry { why: String },
    /// Nothing will work until someone acts.
    Attention { why: String, hint: String },
    /// This run failed; the next may not.
    Failed { why: String, hint: Option<String> },
    /// Someone stopped it.
    Cancelled { why: String },
    /// Someone paused the sync.
    Paused,
    /// This process is to end: another takes it up.
    Interrupted,
    /// The destination was changed meanwhile: to be taken up again at once, with what it is now.
    Changed,
    /// The sync or the extension is not there any more.
    Gone,
}

impl From<Trouble> for Ending {
    fn from(trouble: Trouble) -> Self {
        let why = trouble.shown();
        match trouble.state {
            SqlState::ERRCODE_T_R_SERIALIZATION_FAILURE
            | SqlState::ERRCODE_T_R_DEADLOCK_DETECTED
            | SqlState::ERRCODE_LOCK_NOT_AVAILABLE
            | SqlState::ERRCODE_DISK_FULL
            | SqlState::ERRCODE_TOO_MANY_CONNECTIONS => Self::Retry { why },
            SqlState::ERRCODE_QUERY_CANCELED => Self::Cancelled { why },
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE => Self::Attention { why, hint: trouble.hint.unwrap_or_else(|| {
                "A run has the rights of the sync's owner: GRANT the missing privileges to that role, then call cohort_sync_resume.".to_owned()
            }) },
            SqlState::ERRCODE_UNDEFINED_TABLE
            | SqlState::ERRCODE_UNDEFINED_COLUMN
            | SqlState::ERRCODE_DATATYPE_MISMATCH => Self::Attention { why, hint: trouble.hint.unwrap_or_else(|| {
                "Correct the table or the destination, then cohort_sync_resume.".to_owned()
            }) },
            _ => Self::Failed { why, hint: trouble.hint },
        }
    }
}

impl From<ErrorReport> for Ending {
    fn from(error: ErrorReport) -> Self {
        Self::from(Trouble::from(error))
    }
}

impl Ending {
    /// What an answer means for the run.
    pub(super) fn of(outcome: Outcome, context: &RunContext) -> Self {
        let clean = |text: &str| redact(text, &context.hidden(None, &[]));
        match outcome {
            Outcome::Done(_) => Self::Success { remark: None },
            Outcome::Again { why, .. } | Outcome::BadRows { why } => Self::Retry { why: clean(&why) },
            Outcome::Wait { why, seconds } => Self::Throttled { why: clean(&why), seconds },
            // A hint is our own words, in which a setting's long name would pass for a secret.
            Outcome::Attention { why, hint } => Self::Attention { why: clean(&why), hint },
            Outcome::Deferred { why } => Self::Partial { why: clean(&why) },
        }
    }

    /// Why the wait for an answer was given up.
    pub(super) fn of_wait() -> Self {
        // SAFETY: a flag that a signal handler sets.
        if unsafe { (&raw const pgrx::pg_sys::ProcDiePending).read_volatile() } != 0 {
            Self::Interrupted
        } else {
            Self::Cancelled { why: "cancelled on request".to_owned() }
        }
    }
}

/// Runs a step of a run in a transaction.
pub(super) fn step<T>(work: impl FnOnce() -> Fallible<T>) -> Result<T, Ending> {
    attempt(Isolation::ReadCommitted, work).map_err(Ending::from)
}
