//! The sealer: starts in a database with unsealed rows, seals, merges, and exits.

use std::time::{Duration, Instant};

use pgrx::{FromDatum, pg_guard, pg_sys};

use super::problems::{self, Problems};
use super::process;
use super::trouble;
use crate::pg::board::{self, Entry, Extension, Outcome};
use crate::pg::databases::{self, as_owner};
use crate::pg::errors::{Fallible, SqlState};
use crate::pg::index;
use crate::pg::locks::{Lock, keep_extension};
use crate::pg::spi::{self, Snapshot};
use crate::pg::transaction::{Isolation, Trouble, attempt};
use crate::pg::{retain, settings};

/// How long the sealer stays without work. A busy application writes again within that time. Commands that need the
/// database exclusively wait up to 5 s.
const LINGER: Duration = Duration::from_secs(1);
/// Interval of the checks during that time.
const LOOK: Duration = Duration::from_millis(50);
/// Maximum interval of the checks for events that a running transaction holds back.
const WAITING: Duration = Duration::from_secs(10);
/// Number of count rows of captures, one for each transaction, above which they are added up.
const COUNTS: i64 = 256;
/// Number of event keys that one transaction deletes.
const KEYS: i64 = 10_000;

/// The sealer's main function; the argument is the database's OID.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn kursaha_cohort_sealer(database: pg_sys::Datum) {
    // SAFETY: the launcher gave an OID.
    let database = unsafe { pg_sys::Oid::from_datum(database, false) }.unwrap_or(pg_sys::InvalidOid);
    process::begin(c"kursaha_cohort sealer", database, pg_sys::InvalidOid);
    if let Some(entry) = board::mine() {
        entry.sealer.set_due(None);
        let outcome = visit(entry);
        // One that was told to end is said to have said nothing: another comes.
        if !process::is_to_end() {
            entry.sealer.say(outcome);
        }
    }
    process::end()
}

fn visit(entry: &Entry) -> Outcome {
    let found = match attempt(Isolation::ReadCommitted, look) {
        Ok(found) => found,
        Err(trouble) => return failed(entry, &trouble),
    };
    databases::note(entry, found.extension);
    if found.extension != Extension::Present {
        return Outcome::Idle;
    }
    if !found.alone {
        return Outcome::Unsaid;
    }
    let mut worked = false;
    let mut problems = Problems::default();
    loop {
        let since = entry.take_written();
        match work() {
            Ok(done) => {
                worked |= done.worked;
                if done.waits {
                    entry.leave_written(since.unwrap_or_else(board::now));
                    let again = settings::seal_interval().min(WAITING);
                    entry.sealer.set_due(Some(board::now() + board::micros(again)));
                }
            }
            Err(trouble) => {
                // Its rows are not sealed.
                entry.leave_written(since.unwrap_or_else(board::now));
                return failed(entry, &trouble);
            }
        }
        trouble::clear("sealer");
        if !is_due_again(entry) {
            problems::tell();
            return if worked { Outcome::Worked } else { Outcome::Idle };
        }
        problems.look();
    }
}

struct Found {
    extension: Extension,
    /// Whether no other sealer runs in this database.
    alone: bool,
}

/// The work in this database.
fn look() -> Fallible<Found> {
    let extension = databases::look()?;
    // One that is being dropped is left alone, and looked at again.
    let alone = extension == Extension::Present && keep_extension() && Lock::Sealer.try_take()?;
    Ok(Found { extension, alone })
}

#[derive(Default)]
struct Done {
    worked: bool,
    /// Whether a transaction holds back unsealed rows.
    waits: bool,
}

/// Seals and merges, each in a separate transaction, so that other commands wait for one of them only.
fn work() -> Result<Done, Trouble> {
    let mut done = Done::default();
    process::show(c"deleting expired events");
    done.worked |= retain::work(&|| !process::is_to_leave());
    process::show(c"looking for events to seal");
    if step(|| Ok(index::pending(1)? > 0))? {
        process::show(c"sealing");
        step(index::seal_only)?;
        done.worked = true;
    }
    process::show(c"merging");
    while !process::is_to_leave() && step(index::merge_next)? {
        done.worked = true;
    }
    done.waits = step(index::waits)?;
    process::show(c"tidying up");
    step(fold_counts)?;
    step(follow_owner)?;
    while !process::is_to_leave() && step(prune_keys)? == KEYS {}
    Ok(done)
}

/// Adds up the count rows of captures, if there are many.
fn fold_counts() -> Fallible<()> {
    spi::touch(
        "SELECT kursaha_cohort.fold_capture_counts() \
         WHERE (SELECT count(*) FROM (SELECT FROM kursaha_cohort.capture_count LIMIT $1) c) = $1",
        &[COUNTS.into()],
    )
    .map(drop)
}

/// Detects a change of the extension's owner, for which there is no notification. This needs superuser privileges.
fn follow_owner() -> Fallible<()> {
    spi::touch(
        "SELECT kursaha_cohort.follow_owner() FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_roles r ON r.oid = e.extowner \
         WHERE e.extname = 'kursaha_cohort' AND r.rolsuper",
        &[],
    )
    .map(drop)
}

/// Deletes expired event keys. Returns their number.
fn prune_keys() -> Fallible<i64> {
    spi::one(Snapshot::Fresh, "SELECT kursaha_cohort.prune_event_keys($1)", &[KEYS.into()], |row| row.need(1))
}

/// Runs something in a transaction, as the extension's owner, unless the extension is being dropped.
fn step<T: Default>(work: impl FnOnce() -> Fallible<T>) -> Result<T, Trouble> {
    attempt(Isolation::ReadCommitted, || if keep_extension() { as_owner(work) } else { Ok(T::default()) })
}

/// Waits for new rows. Returns whether there are rows to seal.
fn is_due_again(entry: &Entry) -> bool {
    let until = Instant::now() + LINGER;
    while Instant::now() < until && !process::is_to_leave() && settings::enabled() {
        let long = entry.written_since().is_some_and(|since| {
            since + board::micros(settings::seal_interval()) <= board::now() && entry.sealer.due().is_none()
        });
        if entry.rows() >= settings::seal_rows() as u64 || entry.rows() > 0 && long {
            return true;
        }
        process::wait(LOOK);
    }
    false
}

fn failed(entry: &Entry, trouble: &Trouble) -> Outcome {
    // Another sealing came in between, a writer's: not an error.
    if trouble.state == SqlState::ERRCODE_T_R_SERIALIZATION_FAILURE {
        return Outcome::Unsaid;
    }
    trouble::keep("sealer", trouble, entry.sealer.failing_since().is_some());
    Outcome::Failed
}
