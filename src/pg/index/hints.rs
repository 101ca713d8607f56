//! Buffer numbers of table pages, shared between sessions. Without them a new session looks up each page in the server's
//! buffer table, whose entries are scattered, and each first access to shared memory causes a page fault. The entries here
//! are adjacent. They are hints only: the server checks whether the buffer still holds the page.
//!
//! The hints exist only if the library is preloaded, because shared memory is allocated when the server starts.

use std::sync::atomic::{AtomicU64, Ordering};

use pgrx::pg_sys;

use crate::pg::shared::Area;

/// One hint for each buffer that the server has: eight bytes for eight thousand.
fn count() -> usize {
    // SAFETY: a variable of the server, set before any library is loaded.
    usize::try_from(unsafe { pg_sys::NBuffers }).unwrap_or(1).max(1)
}

fn size() -> usize {
    count() * size_of::<AtomicU64>()
}

pub(crate) static HINTS: Area = Area::new(c"kursaha_cohort hints", size);

/// The file of a table: database and file number.
#[derive(Clone, Copy)]
pub(super) struct File(u64);

impl File {
    /// The file of an open table.
    ///
    /// # Safety
    /// The table is open.
    pub(super) unsafe fn of(table: pg_sys::Relation) -> Self {
        // SAFETY: as the caller vouches.
        #[cfg(feature = "pg15")]
        let (database, number) = unsafe { ((*table).rd_node.dbNode, (*table).rd_node.relNode) };
        // SAFETY: as the caller vouches.
        #[cfg(not(feature = "pg15"))]
        let (database, number) = unsafe { ((*table).rd_locator.dbOid, (*table).rd_locator.relNumber) };
        Self(u64::from(database.to_u32()) << 32 | u64::from(number.to_u32()))
    }
}

/// The slot of a page's hint, and the tag that distinguishes pages with the same slot. Consecutive pages have
/// consecutive slots.
fn slot(file: File, block: u32) -> Option<(&'static AtomicU64, u64)> {
    // From the fractional digits of the golden ratio: spreads numbers that follow one another.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let memory = HINTS.memory();
    if memory.is_null() {
        return None;
    }
    #[expect(clippy::cast_ptr_alignment, reason = "an area begins aligned for a cache line")]
    let memory = memory.cast::<AtomicU64>();
    // SAFETY: the area is as large, and zeroed when it was made; sessions end before the server makes it again.
    let hints = unsafe { std::slice::from_raw_parts(memory, count()) };
    let of_file = file.0.wrapping_mul(MIX);
    let at = (of_file >> 32).wrapping_add(u64::from(block));
    let length = hints.len() as u64;
    let rest = at / length;
    let tag = (of_file ^ rest).wrapping_mul(MIX) >> 32;
    let hint = hints.get(usize::try_from(at % length).ok()?)?;
    Some((hint, tag << 32))
}

/// The buffer in which a session last saw a page; 0 if unknown.
pub(super) fn find(file: File, block: u32) -> pg_sys::Buffer {
    let Some((hint, tag)) = slot(file, block) else { return 0 };
    let known = hint.load(Ordering::Relaxed);
    if known >> 32 << 32 == tag { i32::try_from(known & u64::from(u32::MAX)).unwrap_or(0) } else { 0 }
}

/// Stores the buffer of a page for other sessions.
pub(super) fn tell(file: File, block: u32, buffer: pg_sys::Buffer) {
    if let (Some((hint, tag)), Ok(buffer)) = (slot(file, block), u32::try_from(buffer)) {
        hint.store(tag | u64::from(buffer), Ordering::Relaxed);
    }
}
