//! `cohort_destination_test`: whether a destination works, step by step, in words.

use std::time::Instant;

use cohort_core::destination::{Action, Context, Destination, Hidden, Outcome, redact};
use pgrx::pg_sys::panic::ErrorReport;

use super::binding;
use super::context::random;
use super::session::Session;
use super::store::{self, Place};
use super::table;
use crate::pg::databases::with_owners_rights;
use crate::pg::errors::Fallible;
use crate::pg::settings;
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
    pub(super) fn good(what: &str) -> Self {
        Self { what: what.to_owned(), ok: true, detail: None }
    }

    fn failed(what: &str, error: ErrorReport) -> Self {
        let trouble = Trouble::from(error);
        Self::bad(what, format!("{}. {}", trouble.message, trouble.hint.unwrap_or_default()).trim())
    }

    fn bad(what: &str, detail: impl Into<String>) -> Self {
        Self { what: what.to_owned(), ok: false, detail: Some(detail.into()) }
    }
}

/// Tries a destination by requests; stops at the first step that makes the next ones pointless.
pub(super) fn by_requests(place: &Place, destination: &dyn Destination) -> Fallible<Vec<Step>> {
    let mut steps = Vec::new();
    let step = "the secret can be read, and this destination may use it";
    let password = match binding::secret_of(place, destination, false) {
        Ok(content) => content,
        Err(error) => {
            steps.push(Step::failed(step, error));
            return Ok(steps);
        }
    };
    if place.secret.is_some() {
        steps.push(Step::good(step));
    }
    let context = Context { now: store::now() / 1_000_000, random: random(), ..Context::default() };
    let hidden = Hidden::secret(&password);
    let clean = |text: &str| redact(text, &hidden);
    let mut session = Session::default();
    // The caller's transaction and snapshot are held for so long, all requests together.
    let end = Instant::now() + settings::request_timeout();
    for probe in destination.probes(&place.state, &context, &password) {
        let outcome = match session.exchange_until(probe.request, end)? {
            None => {
                // A cancelled statement raises its error here.
                drop(session);
                pgrx::check_for_interrupts!();
                steps.push(Step::bad(probe.what, "there was no response within kursaha_cohort.request_timeout"));
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
                let wait = seconds.map_or_else(String::new, |seconds| format!("; it requests a delay of {seconds} s"));
                Step::bad(probe.what, format!("{}{wait}", clean(&why)))
            }
        });
    }
    Ok(steps)
}

/// Tries a table, for each role that writes it: the owners of the destination's syncs, or whoever owns the destination.
pub(super) fn of_table(place: &Place, destination: &dyn Destination) -> Fallible<Vec<Step>> {
    let what = "the table and its column exist";
    let table = match table::find(destination) {
        Ok(Some(table)) => table,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => return Ok(vec![Step::failed(what, error)]),
    };
    let mut steps = vec![Step::good(what)];
    let what = "its other columns have a default or allow NULL";
    steps.push(if table.needed.is_empty() {
        Step::good(what)
    } else {
        Step::bad(
            what,
            format!(
                "A sync writes only {}. Set a default or allow NULL for: {}.",
                table.column,
                table.needed.join(", ")
            ),
        )
    });
    let roles: Vec<String> = with_owners_rights(|| {
        spi::run(
            Snapshot::Fresh,
            "SELECT DISTINCT s.owner::text COLLATE \"C\" FROM kursaha_cohort.sync s WHERE s.destination_id = $1 ORDER BY 1",
            &[place.id.into()],
            |row| row.need(1),
        )
    })?;
    let roles = if roles.is_empty() { vec![place.owner.clone()] } else { roles };
    for role in roles {
        let what = format!("\"{role}\" may SELECT, INSERT and DELETE");
        let lacking = table.lacking(&role)?;
        steps.push(if lacking.is_empty() { Step::good(&what) } else { Step::bad(&what, lacking.join(" ")) });
    }
    Ok(steps)
}
