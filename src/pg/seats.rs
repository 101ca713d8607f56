//! How many threads help the server's sessions: counted in shared memory, where the library is preloaded, so that many
//! sessions do not start many threads each.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use pgrx::pg_sys;

use super::shared::Area;
use super::{here, settings};

pub(crate) static SEATS: Area = Area::new(c"kursaha_cohort threads", size_of::<AtomicU32>);

/// Seats that this process has taken.
static TAKEN: AtomicU32 = AtomicU32::new(0);

/// Helpers of this process that are alive.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// The number of seats that all sessions have taken; `None` where there is no shared memory for it.
fn count() -> Option<&'static AtomicU32> {
    let memory = SEATS.memory();
    #[expect(clippy::cast_ptr_alignment, reason = "an area begins aligned for a cache line")]
    // SAFETY: the area is as large, and zeroed when it was made; sessions end before the server makes it again.
    (!memory.is_null()).then(|| unsafe { &*memory.cast::<AtomicU32>() })
}

/// Whether the number of threads is limited for all sessions together.
pub(crate) fn are_shared() -> bool {
    count().is_some()
}

/// Seats for helpers of one question, given back when it is dropped, and when the process ends.
pub(crate) struct Seats(u32);

impl Seats {
    /// Takes as many as are free, up to a number.
    pub(crate) fn take(wanted: usize) -> Self {
        give_back_at_the_end();
        let most = u32::try_from(settings::max_threads()).unwrap_or(u32::MAX);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).min(most);
        let mut given = wanted;
        if let Some(count) = count() {
            let taken = count.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |taken| {
                given = wanted.min(most.saturating_sub(taken));
                Some(taken + given)
            });
            debug_assert!(taken.is_ok());
        }
        TAKEN.fetch_add(given, Ordering::Relaxed);
        Self(given)
    }

    pub(crate) fn number(&self) -> usize {
        self.0 as usize
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
        give_back(self.0);
    }
}

fn give_back(seats: u32) {
    if let Some(count) = count() {
        count.fetch_sub(seats, Ordering::AcqRel);
    }
}

/// A helper that is alive.
pub(crate) struct Helper(());

impl Helper {
    /// To be made before the thread is started.
    pub(crate) fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::AcqRel);
        Self(())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sees to it that a process which ends in the middle of a question, without unwinding, leaves neither seats nor threads that
/// read shared memory.
fn give_back_at_the_end() {
    thread_local! {
        static REGISTERED: Cell<bool> = const { Cell::new(false) };
    }
    if !REGISTERED.replace(true) {
        // SAFETY: the callback is a function of this library, which stays.
        unsafe { pg_sys::before_shmem_exit(Some(process_ends), pg_sys::Datum::from(0_usize)) }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn process_ends(_code: core::ffi::c_int, _argument: pg_sys::Datum) {
    here::stop();
    while ALIVE.load(Ordering::Acquire) > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    give_back(TAKEN.swap(0, Ordering::Relaxed));
}
