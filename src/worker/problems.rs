//! Writes the problems of the view `cohort_problem` to the server's log, at their start and at their end.

use std::time::{Duration, Instant};

use pgrx::PgLogLevel;

use crate::pg::databases::as_owner;
use crate::pg::errors::{Fallible, SqlState, failure};
use crate::pg::spi::{self, Snapshot};
use crate::pg::transaction::{Isolation, attempt};

/// Interval of the checks during a long visit.
const OFTEN: Duration = Duration::from_secs(10);

/// The time of the last check.
#[derive(Default)]
pub(super) struct Problems(Option<Instant>);

struct Told {
    begins: bool,
    what: String,
    detail: Option<String>,
    remedy: Option<String>,
}

impl Problems {
    /// Checks, unless the last check was a moment ago.
    pub(super) fn look(&mut self) {
        if self.0.is_none_or(|at| at.elapsed() >= OFTEN) {
            self.0 = Some(Instant::now());
            tell();
        }
    }
}

/// Logs new and ended problems. If they cannot be recorded, they are not logged.
pub(super) fn tell() {
    for told in attempt(Isolation::ReadCommitted, || as_owner(note)).unwrap_or_default() {
        if told.begins {
            let mut warning = failure(SqlState::ERRCODE_WARNING, format!("kursaha_cohort: {}", told.what));
            if let Some(detail) = told.detail {
                warning = warning.set_detail(detail);
            }
            if let Some(remedy) = told.remedy {
                warning = warning.set_hint(remedy);
            }
            warning.report(PgLogLevel::WARNING);
        } else {
            pgrx::log!("kursaha_cohort: resolved: {}", told.what);
        }
    }
}

/// Records the current problems. The number in the problem of the tail changes, so that problem is identified by its
/// kind. The launcher logs problems of workers, and `trouble` logs errors.
fn note() -> Fallible<Vec<Told>> {
    spi::run(
        Snapshot::Fresh,
        "WITH present AS MATERIALIZED ( \
             SELECT DISTINCT ON (p.problem) p.problem, p.what, p.detail, p.remedy FROM ( \
                 SELECT 'events are not sealed' AS problem, t.what, t.detail, t.remedy FROM kursaha_cohort.problem_of_tail t \
                 UNION ALL SELECT s.what, s.what, s.detail, s.remedy FROM kursaha_cohort.problem_of_syncs s \
                 UNION ALL SELECT i.what, i.what, i.detail, i.remedy FROM kursaha_cohort.problem_of_index i \
                 UNION ALL SELECT c.what, c.what, c.detail, c.remedy FROM kursaha_cohort.problem_of_captures c \
             ) p ORDER BY p.problem \
         ), begun AS ( \
             INSERT INTO kursaha_cohort.problem_told (problem) SELECT p.problem FROM present p \
             ON CONFLICT (problem) DO NOTHING RETURNING problem \
         ), over AS ( \
             DELETE FROM kursaha_cohort.problem_told t WHERE NOT EXISTS (SELECT FROM present p WHERE p.problem = t.problem) \
             RETURNING t.problem \
         ) \
         SELECT true, p.what, p.detail, p.remedy FROM present p JOIN begun USING (problem) \
         UNION ALL SELECT false, over.problem, NULL, NULL FROM over",
        &[],
        |row| Ok(Told { begins: row.need(1)?, what: row.need(2)?, detail: row.get(3), remedy: row.get(4) }),
    )
}
