//! What sessions and background workers tell one another about each database, in shared memory: that there is something to
//! seal, that a sync was asked for, when the next visit is due, and what keeps workers away. The launcher gives each
//! database its entry; everyone else finds it. Without preloading there is none of this.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgrx::pg_sys;

use super::settings;
use super::shared::Area;

/// Databases that have an entry, those without the extension included. Those beyond are not visited: `cohort_problem` and the
/// log say so. The memory is taken when the server starts.
const MOST: usize = 4096;

pub(crate) static BOARD: Area = Area::new(c"kursaha_cohort board", size_of::<Board>);

/// What is known of the extension in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// Nobody has looked yet.
    Unknown,
    Absent,
    Present,
    /// The database has `kursaha_cohort.enabled = off` of its own.
    SwitchedOff,
    /// The database's transactions may only read.
    ReadOnly,
    /// Its objects and this library are of different versions.
    OtherVersion,
}

impl Extension {
    const ALL: [Self; 6] =
        [Self::Unknown, Self::Absent, Self::Present, Self::SwitchedOff, Self::ReadOnly, Self::OtherVersion];
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did not say: it was terminated, or never began.
    Unsaid,
    /// There was nothing to do.
    Idle,
    Worked,
    /// An error kept it from its work.
    Failed,
}

impl Outcome {
    const ALL: [Self; 4] = [Self::Unsaid, Self::Idle, Self::Worked, Self::Failed];
}

/// What a visiting worker leaves for the launcher.
#[repr(C)]
pub(crate) struct Visits {
    /// A place in [`Outcome::ALL`].
    outcome: AtomicU32,
    /// When the next visit is due, in microseconds since 1970; 0 for none.
    due: AtomicI64,
    /// Since when visits fail; 0 while they do not.
    failing: AtomicI64,
}

impl Visits {
    /// What the visit that ended said, once.
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

    /// Since when visits fail, if they do.
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

/// A database.
#[repr(C, align(64))]
pub(crate) struct Entry {
    /// Its OID; 0 for an entry that is free.
    database: AtomicU32,
    /// A place in [`Extension::ALL`].
    extension: AtomicU32,
    /// Rows that were written and committed since a sealer looked last.
    rows: AtomicU64,
    /// When the first of them was committed, or of those that an earlier sealing could not take; 0 for none.
    written: AtomicI64,
    /// Whether a sync was changed or requested.
    asked: AtomicU32,
    /// Since when no background worker was free for it; 0 while one is.
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

    /// Rows that were written since a sealer looked last.
    pub(crate) fn rows(&self) -> u64 {
        self.rows.load(Ordering::Acquire)
    }

    /// Since when there are rows to seal, if there are.
    pub(crate) fn written_since(&self) -> Option<i64> {
        moment(&self.written)
    }

    /// Before a sealing looks at the tables: what is written from now on counts for the next. Gives since when there were
    /// rows to seal.
    pub(crate) fn take_written(&self) -> Option<i64> {
        self.rows.store(0, Ordering::Release);
        Some(self.written.swap(0, Ordering::AcqRel)).filter(|at| *at != 0)
    }

    /// After a sealing that left rows: since when they wait.
    pub(crate) fn leave_written(&self, since: i64) {
        self.written.store(since, Ordering::Release);
    }

    /// Whether a sync was requested since the last call.
    pub(crate) fn take_asked(&self) -> bool {
        self.asked.swap(0, Ordering::AcqRel) != 0
    }

    /// The same, and leaves it to the next.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) != 0
    }

    pub(crate) fn no_worker_since(&self) -> Option<i64> {
        moment(&self.no_worker)
    }

    /// Notes whether a worker could be started; says whether that is news.
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

/// The whole of it. Zeroes mean that nothing is known.
#[repr(C)]
struct Board {
    /// The latch of the launcher's process; null while there is none.
    launcher: AtomicPtr<pg_sys::Latch>,
    /// Whether someone wrote in a database that has no entry.
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

/// Now, microseconds since 1970, by the clock and not by the transaction.
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

/// Whether the server's workers run what is due in this database.
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

/// The entry of a database, made if there is room. For the launcher, which alone makes and frees entries.
pub(crate) fn entry(database: pg_sys::Oid) -> Option<&'static Entry> {
    let entries = &board()?.entries;
    let find = |oid: u32| entries.iter().find(|entry| entry.database.load(Ordering::Acquire) == oid);
    find(database.to_u32()).or_else(|| {
        let free = find(0)?;
        free.reset(database.to_u32());
        Some(free)
    })
}

/// Notes whether there are more databases than entries; says whether that is news. For the launcher.
pub(crate) fn note_full(full: bool) -> bool {
    board().is_some_and(|board| board.full.swap(u32::from(full), Ordering::AcqRel) != u32::from(full))
}

/// How many databases have room, if there are more than that.
pub(crate) fn too_many() -> Option<usize> {
    board().filter(|board| board.full.load(Ordering::Acquire) != 0).map(|_| MOST)
}

/// Frees the entries of all databases but some. For the launcher.
pub(crate) fn keep_entries(is_there: impl Fn(pg_sys::Oid) -> bool) {
    let Some(board) = board() else { return };
    for entry in &board.entries {
        let database = entry.database.load(Ordering::Acquire);
        if database != 0 && !is_there(database.into()) {
            entry.reset(0);
        }
    }
}

/// Whether someone wrote in a database without an entry since the last time. For the launcher.
pub(crate) fn take_unlisted() -> bool {
    board().is_some_and(|board| board.unlisted.swap(0, Ordering::AcqRel) != 0)
}

/// Makes this process the launcher that others wake, until it ends.
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
    /// What the current transaction will tell when it commits.
    static ROWS: Cell<u64> = const { Cell::new(0) };
    static ASKED: Cell<bool> = const { Cell::new(false) };
    static LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// The current transaction wrote rows that are to be sealed. Costs a nanosecond or two a row.
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

/// What is written counts from its commit on. A prepared transaction's rows may be committed by any process: a sealer finds
/// them, or finds that they wait.
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
