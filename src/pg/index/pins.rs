//! Pages that the leader pins for the thread that evaluates a job.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

/// The bytes of a pinned page.
pub(super) struct HeldPage {
    segment: i64,
    page: i32,
    bytes: *const [u8],
}

impl HeldPage {
    pub(super) fn new(segment: i64, page: i32, bytes: &[u8]) -> Self {
        Self { segment, page, bytes }
    }
}

// SAFETY: the bytes lie in shared memory. They are read only while the leader holds the page, and rows do not change where
// they lie: pruning and VACUUM need a page that nobody holds.
unsafe impl Send for HeldPage {}
// SAFETY: as above.
unsafe impl Sync for HeldPage {}

/// The pages that a job reads, by segment and number. The leader pins them until the job is done.
pub(super) struct Job {
    pub(super) number: usize,
    pub(super) chunks: Range<u16>,
    pages: Vec<HeldPage>,
}

impl Job {
    pub(super) fn new(number: usize, chunks: Range<u16>, mut pages: Vec<HeldPage>) -> Arc<Self> {
        pages.sort_unstable_by_key(|page| (page.segment, page.page));
        Arc::new(Self { number, chunks, pages })
    }
}

thread_local! {
    /// The job of this thread.
    static AT_WORK: RefCell<Option<Arc<Job>>> = const { RefCell::new(None) };
}

/// While this value exists, the thread reads the pages of a job in their buffers.
pub(super) struct AtWork(());

impl AtWork {
    /// The leader keeps the pages of the job pinned at least as long.
    pub(super) fn on(job: &Arc<Job>) -> Self {
        AT_WORK.set(Some(Arc::clone(job)));
        Self(())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.set(None);
    }
}

/// Calls a function with the bytes of a page, if the page is pinned for the job of this thread.
pub(super) fn page<T>(segment: i64, page: i32, take: impl FnOnce(&[u8]) -> T) -> Option<T> {
    AT_WORK.with_borrow(|job| {
        let pages = &job.as_ref()?.pages;
        let place = pages.binary_search_by_key(&(segment, page), |page| (page.segment, page.page)).ok()?;
        // SAFETY: the page is held as long as a thread is at the job.
        Some(take(unsafe { &*pages[place].bytes }))
    })
}
