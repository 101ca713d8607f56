//! Errors of the workers. They are stored in `kursaha_cohort.worker_error` until the work succeeds, and logged when
//! they begin, change and end.

use cohort_core::destination::{Hidden, redact};

use crate::pg::databases::as_owner;
use crate::pg::spi::{self, Snapshot};
use crate::pg::transaction::{Isolation, Trouble, attempt};

/// Stores an error. `known`: whether the last visit ended with an error, for databases in which the table cannot be
/// written.
pub(super) fn keep(worker: &str, trouble: &Trouble, known: bool) {
    let message = redact(&trouble.message, &Hidden::default());
    let remedy = trouble.hint.clone().unwrap_or_else(|| "The server's log may say more.".to_owned());
    let changed = attempt(Isolation::ReadCommitted, || {
        as_owner(|| {
            spi::first(
                Snapshot::Fresh,
                "INSERT INTO kursaha_cohort.worker_error AS e (worker, message, remedy) VALUES ($1, left($2, 1000), left($3, 1000)) \
                 ON CONFLICT (worker) DO UPDATE SET message = EXCLUDED.message, remedy = EXCLUDED.remedy, last_at = now(), \
                     since = CASE WHEN e.message = EXCLUDED.message THEN e.since ELSE now() END, \
                     times = CASE WHEN e.message = EXCLUDED.message THEN e.times + 1 ELSE 1 END \
                 RETURNING times = 1",
                &[worker.into(), message.as_str().into(), remedy.as_str().into()],
                |row| row.need::<bool>(1),
            )
        })
    });
    if changed.map_or(!known, |changed| changed.unwrap_or(false)) {
        pgrx::warning!("kursaha_cohort {worker}: {message}");
    }
}

/// Deletes the error of a worker whose work succeeded.
pub(super) fn clear(worker: &str) {
    let cleared = attempt(Isolation::ReadCommitted, || {
        as_owner(|| spi::touch("DELETE FROM kursaha_cohort.worker_error WHERE worker = $1", &[worker.into()]))
    });
    if cleared.is_ok_and(|rows| rows > 0) {
        pgrx::log!("kursaha_cohort {worker}: works again");
    }
}
