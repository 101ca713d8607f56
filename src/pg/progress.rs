//! Progress of long operations for the view `cohort_progress`. It is kept in the server's progress counters, which
//! other sessions can read while the operation runs, and which an error or the end of the backend resets. The counters
//! are those of COPY into the table of pages, with a phase number that COPY does not use.

use pgrx::pg_sys;

/// What is being done. The view names the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Reading new rows and writing segments.
    Sealing = 1,
    /// Making one segment of several.
    Merging = 2,
    /// Comparing the index with the tables.
    Checking = 3,
    /// Deleting expired events: counts pages of the table.
    Deleting = 4,
    /// Recording rows older than their capture.
    Backfilling = 5,
}

/// Places of the counters; the view reads them by these numbers plus one.
mod place {
    /// Rows done: COPY's own counter of rows.
    pub(super) const DONE: i32 = 2;
    pub(super) const PHASE: i32 = 10;
    pub(super) const TOTAL: i32 = 11;
}

/// Work under way; ends when dropped.
pub(crate) struct Progress(());

impl Progress {
    /// Begins.
    pub(crate) fn begin(phase: Phase) -> Self {
        let pages = super::extension::page_table();
        // SAFETY: writes this backend's own counters.
        unsafe {
            pg_sys::pgstat_progress_start_command(pg_sys::ProgressCommandType::PROGRESS_COMMAND_COPY, pages);
            pg_sys::pgstat_progress_update_param(place::PHASE, phase as i64);
        }
        Self(())
    }

    /// How many rows there will be; 0 when that is not known.
    #[expect(clippy::unused_self, reason = "only work under way has a total")]
    pub(crate) fn total(&self, rows: u64) {
        set(place::TOTAL, rows);
    }

    /// Where it is now.
    #[expect(clippy::unused_self, reason = "only work under way is anywhere")]
    pub(crate) fn at(&self, place: u64) {
        set(place::DONE, place);
    }

    /// How many rows are done.
    #[expect(clippy::unused_self, reason = "only work under way gets on")]
    pub(crate) fn done(&self, rows: u64) {
        if rows.is_multiple_of(1024) {
            set(place::DONE, rows);
        }
    }
}

fn set(place: i32, rows: u64) {
    // SAFETY: writes this backend's own counters.
    unsafe { pg_sys::pgstat_progress_update_param(place, i64::try_from(rows).unwrap_or(i64::MAX)) }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: as above; an error ends the command by itself.
            unsafe { pg_sys::pgstat_progress_end_command() }
        }
    }
}
