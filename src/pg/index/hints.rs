//! Where pages of tables lie in the server's memory, as one session tells the others: a new session would search the
//! server's own table of buffers for each page, whose entries lie far apart, and every first touch of shared memory costs
//! it a page fault. What stands here lies close together, and is never more than a hint: the server checks whether the
//! buffer still holds the page.
//!
//! There is one only where the library is preloaded, because shared memory is handed out when the server starts.

use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use pgrx::pg_sys;

const NAME: &CStr = c"kursaha_cohort hints";

/// The hints; null where there are none. After a crash of a session the server makes shared memory anew, perhaps elsewhere.
static HINTS: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());

/// What was hooked before.
static BEFORE_REQUEST: OnceLock<pg_sys::shmem_request_hook_type> = OnceLock::new();
static BEFORE_STARTUP: OnceLock<pg_sys::shmem_startup_hook_type> = OnceLock::new();

/// One hint for each buffer that the server has: eight bytes for eight thousand.
fn count() -> usize {
    // SAFETY: a variable of the server, set before any library is loaded.
    usize::try_from(unsafe { pg_sys::NBuffers }).unwrap_or(1).max(1)
}

/// Asks the server for the memory while it starts.
pub(crate) fn register() {
    // SAFETY: the server is starting and has one thread; the hooks are functions of this library, which stays loaded.
    unsafe {
        let _ = BEFORE_REQUEST.set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(request);
        let _ = BEFORE_STARTUP.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by the server at the moment that is for this.
    unsafe {
        if let Some(before) = BEFORE_REQUEST.get().copied().flatten() {
            before();
        }
        pg_sys::RequestAddinShmemSpace(count() * size_of::<AtomicU64>());
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the server whenever it has made shared memory. What it hands out is aligned, as large as was asked
    // for, and there until it calls again; it is zeroed before anyone else sees it.
    unsafe {
        if let Some(before) = BEFORE_STARTUP.get().copied().flatten() {
            before();
        }
        HINTS.store(std::ptr::null_mut(), Ordering::Relaxed);
        let mut found = false;
        let memory = pg_sys::ShmemInitStruct(NAME.as_ptr(), count() * size_of::<AtomicU64>(), &raw mut found);
        let memory = memory.cast::<AtomicU64>();
        if !found {
            std::ptr::write_bytes(memory, 0, count());
        }
        HINTS.store(memory, Ordering::Relaxed);
    }
}

/// The file of a table: its database and its number.
#[derive(Clone, Copy)]
pub(super) struct File(u64);

impl File {
    /// That of an open table.
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

/// The place of a page's hint, and what tells the page from others that have the same place. Pages that follow one another
/// have places that do.
fn slot(file: File, block: u32) -> Option<(&'static AtomicU64, u64)> {
    // From the fractional digits of the golden ratio: spreads numbers that follow one another.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let memory = HINTS.load(Ordering::Relaxed);
    if memory.is_null() {
        return None;
    }
    // SAFETY: as `startup` says; sessions begin after it and end before it is called again.
    let hints = unsafe { std::slice::from_raw_parts(memory, count()) };
    let of_file = file.0.wrapping_mul(MIX);
    let at = (of_file >> 32).wrapping_add(u64::from(block));
    let length = hints.len() as u64;
    let rest = at / length;
    let tag = (of_file ^ rest).wrapping_mul(MIX) >> 32;
    let hint = hints.get(usize::try_from(at % length).ok()?)?;
    Some((hint, tag << 32))
}

/// The buffer that held a page of a table when a session looked last; 0 where none is known.
pub(super) fn find(file: File, block: u32) -> pg_sys::Buffer {
    let Some((hint, tag)) = slot(file, block) else { return 0 };
    let known = hint.load(Ordering::Relaxed);
    if known >> 32 << 32 == tag { i32::try_from(known & u64::from(u32::MAX)).unwrap_or(0) } else { 0 }
}

/// Tells others which buffer holds a page.
pub(super) fn tell(file: File, block: u32, buffer: pg_sys::Buffer) {
    if let (Some((hint, tag)), Ok(buffer)) = (slot(file, block), u32::try_from(buffer)) {
        hint.store(tag | u64::from(buffer), Ordering::Relaxed);
    }
}
