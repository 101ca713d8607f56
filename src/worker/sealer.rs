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

/// How long it stays with nothing to do: whoever writes a lot writes again within that time. Commands that need the database
/// for themselves wait for up to 5 s.
const LINGER: Duration = Duration::from_secs(1);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);
/// How soon events that wait for a transaction to end are looked at again, at the most.
const WAITING: Duration = Duration::from_secs(10);
/// Rows of counts that captures leave, a row a transaction, before they are added up.
const COUNTS: i64 = 256;
/// Event keys that are removed in one transaction.
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
    /// Whether no other sealer is here.
    alone: bool,
}

/// What there is in this database.
fn look() -> Fallible<Found> {
    let extension = databases::look()?;
    // One that is being dropped is left alone, and looked at again.
    let alone = extension == Extension::Present && keep_extension() && Lock::Sealer.try_take()?;
    Ok(Found { extension, alone })
}

#[derive(Default)]
struct Done {
    worked: bool,
    /// Whether rows are left that a transaction holds back.
    waits: bool,
}

/// Seals and merges, each in a transaction of its own: nobody waits for more than one.
fn work() -> Result<Done, Trouble> {
    let mut done = Done::default();
    process::show(c"deleting events that are older than they are kept");
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

/// Adds the counts of captures up, where there are many rows of them.
fn fold_counts() -> Fallible<()> {
    spi::touch(
        "SELECT kursaha_cohort.fold_capture_counts() \
         WHERE (SELECT count(*) FROM (SELECT FROM kursaha_cohort.capture_count LIMIT $1) c) = $1",
        &[COUNTS.into()],
    )
    .map(drop)
}

/// Follows a change of the extension's owner, where nothing tells of it; that needs a superuser's rights.
fn follow_owner() -> Fallible<()> {
    spi::touch(
        "SELECT kursaha_cohort.follow_owner() FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_roles r ON r.oid = e.extowner \
         WHERE e.extname = 'kursaha_cohort' AND r.rolsuper",
        &[],
    )
    .map(drop)
}

/// Removes event keys that are too old to tell a repeat by; gives how many.
fn prune_keys() -> Fallible<i64> {
    spi::one(Snapshot::Fresh, "SELECT kursaha_cohort.prune_event_keys($1)", &[KEYS.into()], |row| row.need(1))
}

/// Runs something in a transaction, as the extension's owner, unless the extension is being dropped.
fn step<T: Default>(work: impl FnOnce() -> Fallible<T>) -> Result<T, Trouble> {
    attempt(Isolation::ReadCommitted, || if keep_extension() { as_owner(work) } else { Ok(T::default()) })
}

/// Stays for a while; says whether there is something to seal again.
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
