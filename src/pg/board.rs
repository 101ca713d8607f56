//! State of each database in shared memory, for sessions and background workers: unsealed rows, requested syncs, the
//! time of the next visit, and what excludes workers. The launcher creates the entries; other processes look them up.
//! Without preloading there is no shared memory.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::pg_sys;

use super::settings;
use super::shared::Area;

/// Maximum number of databases with an entry, including those without the extension. Other databases are not visited,
/// which `cohort_problem` and the log report. The memory is allocated when the server starts.
const MOST: usize = 4096;

pub(crate) static BOARD: Area = Area::new(c"kursaha_cohort board", size_of::<Board>);

/// State of the extension in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// Not checked yet.
    Unknown,
    Absent,
    Present,
    /// The setting `kursaha_cohort.enabled` of the database is `off`.
    SwitchedOff,
    /// The transactions of the database are read-only.
    ReadOnly,
    /// Its objects and this library have different versions.
    OtherVersion,
}

impl Extension {
    const ALL: [Self; 6] =
        [Self::Unknown, Self::Absent, Self::Present, Self::SwitchedOff, Self::ReadOnly, Self::OtherVersion];
}

/// The outcome of a visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The worker reported nothing: it was terminated, or never started.
    Unsaid,
    /// There was nothing to do.
    Idle,
    Worked,
    /// An error ended its work.
    Failed,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Unsaid, Self::Idle, Self::Worked, Self::Failed];
}

/// The report of a worker to the launcher.
#[repr(C)]
pub(crate) struct Visits {
    /// An index of [`Outcome::ALL`].
    outcome: AtomicU32,
    /// When the next visit is due, in microseconds since 1970; 0 for none.
    due: AtomicI64,
    /// The time since when visits fail; 0 if they do not.
    failing: AtomicI64,
}

impl Visits {
    /// Takes the outcome of the ended visit.
    pub(crate) fn take_outcome(&self) -> Outcome {
        let place = self.outcome.swap(0, Ordering::AcqRel) as usize;
        Outcome::ALL.get(place).copied().unwrap_or(Outcome::Unsaid)
    }

    pub(crate) fn say(&self, outcome: Outcome) {
        if outcome == Outcome::Failed {
            let _ = self.failing.compare_exchange(0, now(), Ordering::AcqRel, Ordering::Relaxed);
        } else {
            self.failing.store(0, Ordering::Release);
        }
        self.outcome.store(outcome as u32, Ordering::Release);
    }

    /// The time since when visits fail, if they do.
    pub(crate) fn failing_since(&self) -> Option<i64> {
        moment(&self.failing)
    }

    pub(crate) fn due(&self) -> Option<i64> {
        moment(&self.due)
    }

    pub(crate) fn set_due(&self, at: Option<i64>) {
        self.due.store(at.unwrap_or(0), Ordering::Release);
    }
}

/// The entry of a database.
#[repr(C, align(64))]
pub(crate) struct Entry {
    /// Its OID; 0 for an entry that is free.
    database: AtomicU32,
    /// An index of [`Extension::ALL`].
    extension: AtomicU32,
    /// Number of rows that were committed since the last check of a sealer.
    rows: AtomicU64,
    /// The time when the first unsealed row was committed; 0 if there is none.
    written: AtomicI64,
    /// Whether a sync was changed or requested.
    asked: AtomicU32,
    /// The time since when no background worker is free for the database; 0 if one is.
    no_worker: AtomicI64,
    pub(crate) sealer: Visits,
    pub(crate) scheduler: Visits,
}

impl Entry {
    pub(crate) fn extension(&self) -> Extension {
        let place = self.extension.load(Ordering::Acquire) as usize;
        Extension::ALL.get(place).copied().unwrap_or(Extension::Unknown)
    }

    pub(crate) fn set_extension(&self, found: Extension) {
        self.extension.store(found as u32, Ordering::Release);
    }

    /// Number of rows that were written since the last check of a sealer.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Acquire)
    }

    /// The time since when there are rows to seal, if there are any.
    pub(crate) fn written_since(&self) -> Option<i64> {
        moment(&self.written)
    }

    /// Called before sealing reads the tables: rows that are written from now on count for the next sealing. Returns
    /// the time since when there were rows to seal.
    pub(crate) fn take_written(&self) -> Option<i64> {
        self.rows.store(0, Ordering::Release);
        Some(self.written.swap(0, Ordering::AcqRel)).filter(|at| *at != 0)
    }

    /// Called after a sealing that left rows: the time since when they are unsealed.
    pub(crate) fn leave_written(&self, since: i64) {
        self.written.store(since, Ordering::Release);
    }

    /// Whether a sync was requested since the last call.
    pub(crate) fn take_asked(&self) -> bool {
        self.asked.swap(0, Ordering::AcqRel) != 0
    }

    /// The same, without resetting it.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) != 0
    }

    pub(crate) fn no_worker_since(&self) -> Option<i64> {
        moment(&self.no_worker)
    }

    /// Records whether a worker could be started. Returns whether that changed.
    pub(crate) fn note_worker(&self, free: bool) -> bool {
        if free {
            self.no_worker.swap(0, Ordering::AcqRel) != 0
        } else {
            self.no_worker.compare_exchange(0, now(), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        }
    }

    fn reset(&self, database: u32) {
        self.database.store(0, Ordering::Release);
        self.set_extension(Extension::Unknown);
        self.take_written();
        self.take_asked();
        self.note_worker(true);
        for visits in [&self.sealer, &self.scheduler] {
            visits.set_due(None);
            visits.say(Outcome::Unsaid);
        }
        self.database.store(database, Ordering::Release);
    }
}

fn moment(at: &AtomicI64) -> Option<i64> {
    Some(at.load(Ordering::Acquire)).filter(|at| *at != 0)
}

/// The shared memory. Zeroes are the initial state.
#[repr(C)]
struct Board {
    /// The latch of the launcher's process; null while there is none.
    launcher: AtomicPtr<pg_sys::Latch>,
    /// Whether a transaction wrote in a database without an entry.
    unlisted: AtomicU32,
    /// Whether there are more databases than entries.
    full: AtomicU32,
    entries: [Entry; MOST],
}

fn board() -> Option<&'static Board> {
    let memory = BOARD.memory();
    if memory.is_null() {
        return None;
    }
    #[expect(clippy::cast_ptr_alignment, reason = "an area begins aligned for a cache line")]
    // SAFETY: the area is as large as a board and zeroed when it was made, which is a valid one; its fields are atomic, and
    // processes end before the server makes it again.
    Some(unsafe { &*memory.cast::<Board>() })
}

/// The current time of the clock, in microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Whether the library is preloaded.
pub(crate) fn is_preloaded() -> bool {
    board().is_some()
}

/// Whether a launcher runs.
pub(crate) fn has_launcher() -> bool {
    board().is_some_and(|board| !board.launcher.load(Ordering::Acquire).is_null())
}

/// Whether background workers serve this database.
pub(crate) fn workers_come() -> bool {
    let comes = |entry: &Entry| matches!(entry.extension(), Extension::Present | Extension::Unknown);
    let here = |entry: &Entry| entry.no_worker_since().is_none() && comes(entry);
    has_launcher() && settings::enabled() && mine().is_none_or(here)
}

/// The entry of the database that this process is connected to, if it has one.
pub(crate) fn mine() -> Option<&'static Entry> {
    thread_local! {
        static PLACE: Cell<Option<usize>> = const { Cell::new(None) };
    }
    // SAFETY: a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    let entries = &board()?.entries;
    let is_mine = |entry: &Entry| database != 0 && entry.database.load(Ordering::Acquire) == database;
    if let Some(entry) = PLACE.get().and_then(|place| entries.get(place)).filter(|entry| is_mine(entry)) {
        return Some(entry);
    }
    let place = entries.iter().position(is_mine)?;
    PLACE.set(Some(place));
    entries.get(place)
}

/// The entry of a database, created if there is room. Only the launcher calls this: it alone creates and frees entries.
pub(crate) fn entry(database: pg_sys::Oid) -> Option<&'static Entry> {
    let entries = &board()?.entries;
    let find = |oid: u32| entries.iter().find(|entry| entry.database.load(Ordering::Acquire) == oid);
    find(database.to_u32()).or_else(|| {
        let free = find(0)?;
        free.reset(database.to_u32());
        Some(free)
    })
}

/// Records whether there are more databases than entries. Returns whether that changed. For the launcher.
pub(crate) fn note_full(full: bool) -> bool {
    board().is_some_and(|board| board.full.swap(u32::from(full), Ordering::AcqRel) != u32::from(full))
}

/// The number of entries, if there are more databases.
pub(crate) fn too_many() -> Option<usize> {
    board().filter(|board| board.full.load(Ordering::Acquire) != 0).map(|_| MOST)
}

/// Frees the entries of all databases except the given ones. For the launcher.
pub(crate) fn keep_entries(is_there: impl Fn(pg_sys::Oid) -> bool) {
    let Some(board) = board() else { return };
    for entry in &board.entries {
        let database = entry.database.load(Ordering::Acquire);
        if database != 0 && !is_there(database.into()) {
            entry.reset(0);
        }
    }
}

/// Whether a transaction wrote in a database without an entry since the last call. For the launcher.
pub(crate) fn take_unlisted() -> bool {
    board().is_some_and(|board| board.unlisted.swap(0, Ordering::AcqRel) != 0)
}

/// Registers this process as the launcher that other processes wake.
pub(crate) fn become_launcher() {
    unsafe extern "C-unwind" fn leave(_code: i32, _argument: pg_sys::Datum) {
        if let Some(board) = board() {
            board.launcher.store(std::ptr::null_mut(), Ordering::Release);
        }
    }
    if let Some(board) = board() {
        // SAFETY: the process's latch lies in shared memory; the callback is a function of this library, which stays.
        unsafe {
            pg_sys::before_shmem_exit(Some(leave), pg_sys::Datum::from(0_usize));
            board.launcher.store(pg_sys::MyLatch, Ordering::Release);
        }
    }
}

/// Wakes the launcher.
pub(crate) fn wake_launcher() {
    let Some(board) = board() else { return };
    let latch = board.launcher.load(Ordering::Acquire);
    if !latch.is_null() {
        // SAFETY: the latch of a process's place in shared memory, which outlives the process: at worst another process
        // that has the place by now looks up from its sleep.
        unsafe { pg_sys::SetLatch(latch) }
    }
}

thread_local! {
    /// The state that the current transaction publishes when it commits.
    static ROWS: Cell<u64> = const { Cell::new(0) };
    static ASKED: Cell<bool> = const { Cell::new(false) };
    static LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// The current transaction wrote rows that must be sealed. Takes one or two nanoseconds per row.
pub(crate) fn note_rows(rows: u64) {
    if is_preloaded() {
        ROWS.set(ROWS.get() + rows);
        listen();
    }
}

/// The current transaction changed a sync, or requested a run.
pub(crate) fn note_asked() {
    if is_preloaded() {
        ASKED.set(true);
        listen();
    }
}

fn listen() {
    if !LISTENING.replace(true) {
        // SAFETY: a function of this library, which stays loaded.
        unsafe { pg_sys::RegisterXactCallback(Some(transaction_ended), std::ptr::null_mut()) }
    }
}

/// Rows count from the commit on. The rows of a prepared transaction can be committed by any process; the next check of
/// a sealer finds them.
unsafe extern "C-unwind" fn transaction_ended(event: pg_sys::XactEvent::Type, _argument: *mut core::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PREPARE};
    if !matches!(event, XACT_EVENT_COMMIT | XACT_EVENT_ABORT | XACT_EVENT_PREPARE) {
        return;
    }
    let (rows, asked) = (ROWS.take(), ASKED.take());
    if event != XACT_EVENT_ABORT && (rows > 0 || asked) {
        publish(rows, asked);
    }
}

fn publish(rows: u64, asked: bool) {
    let Some(entry) = mine() else {
        if let Some(board) = board() {
            board.unlisted.store(1, Ordering::Release);
            wake_launcher();
        }
        return;
    };
    let mut news = asked && entry.asked.swap(1, Ordering::AcqRel) == 0;
    if rows > 0 {
        let before = entry.rows.fetch_add(rows, Ordering::AcqRel);
        if before == 0 {
            let _ = entry.written.compare_exchange(0, now(), Ordering::AcqRel, Ordering::Relaxed);
        }
        let enough = settings::seal_rows() as u64;
        news |= before == 0 || before < enough && before + rows >= enough;
    }
    if news {
        wake_launcher();
    }
}
