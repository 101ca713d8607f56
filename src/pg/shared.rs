//! Areas in the server's shared memory. They exist only if the library is preloaded, because they are allocated when
//! the server starts.

use std::ffi::CStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use pgrx::pg_sys;

/// Memory that all processes of the server share, zeroed when the server makes it.
pub(crate) struct Area {
    name: &'static CStr,
    size: fn() -> usize,
    /// Null where there is none. After a crash of a session the server makes shared memory again, perhaps elsewhere.
    memory: AtomicPtr<u8>,
}

impl Area {
    pub(crate) const fn new(name: &'static CStr, size: fn() -> usize) -> Self {
        Self { name, size, memory: AtomicPtr::new(std::ptr::null_mut()) }
    }

    /// Where it begins, aligned for a cache line; null where there is none.
    pub(crate) fn memory(&self) -> *mut u8 {
        self.memory.load(Ordering::Relaxed)
    }

    /// # Safety
    /// Called by the server at the moment for making shared memory.
    unsafe fn make(&self) {
        let size = (self.size)();
        let mut found = false;
        // SAFETY: as the caller vouches; the memory is as large as was asked for.
        unsafe {
            let memory = pg_sys::ShmemInitStruct(self.name.as_ptr(), size, &raw mut found).cast::<u8>();
            if !found {
                std::ptr::write_bytes(memory, 0, size);
            }
            self.memory.store(memory, Ordering::Relaxed);
        }
    }
}

static AREAS: OnceLock<&'static [&'static Area]> = OnceLock::new();

/// What was hooked before.
static BEFORE_REQUEST: OnceLock<pg_sys::shmem_request_hook_type> = OnceLock::new();
static BEFORE_STARTUP: OnceLock<pg_sys::shmem_startup_hook_type> = OnceLock::new();

/// `AddinShmemInitLock`: its place among the server's own locks.
const ADDIN_SHMEM_INIT: usize = 21;

/// Asks the server for the areas while it starts.
pub(crate) fn register(areas: &'static [&'static Area]) {
    let _ = AREAS.set(areas);
    // SAFETY: the server is starting and has one thread; the hooks are functions of this library, which stays loaded.
    unsafe {
        let _ = BEFORE_REQUEST.set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(request);
        let _ = BEFORE_STARTUP.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(startup);
    }
}

fn areas() -> &'static [&'static Area] {
    AREAS.get().copied().unwrap_or_default()
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by the server at the moment that is for this.
    unsafe {
        if let Some(before) = BEFORE_REQUEST.get().copied().flatten() {
            before();
        }
        for area in areas() {
            pg_sys::RequestAddinShmemSpace((area.size)());
        }
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the server whenever it has made shared memory; the lock is the one for this.
    unsafe {
        if let Some(before) = BEFORE_STARTUP.get().copied().flatten() {
            before();
        }
        let lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT)).lock;
        pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        for area in areas() {
            area.make();
        }
        pg_sys::LWLockRelease(lock);
    }
}
