//! A worker that another process starts and watches.

use pgrx::pg_sys;

/// A dynamic background worker that this process started. Its end wakes this process.
pub(crate) struct Child {
    handle: *mut pg_sys::BackgroundWorkerHandle,
}

/// The parameters of a worker.
pub(super) struct Start<'a> {
    /// The worker's type, as shown by the server.
    pub(super) name: &'a str,
    /// The C symbol of its main function.
    pub(super) function: &'a str,
    /// The argument of that function.
    pub(super) argument: pg_sys::Datum,
    /// A text of less than 128 bytes for the worker.
    pub(super) extra: &'a str,
}

impl Child {
    /// Starts a worker, which the server does not restart when it ends; `None`: no background worker is free.
    pub(super) fn start(what: &Start<'_>) -> Option<Self> {
        let mut worker = pg_sys::BackgroundWorker {
            bgw_flags: (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION).cast_signed(),
            bgw_start_time: pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished,
            bgw_restart_time: pg_sys::BGW_NEVER_RESTART,
            bgw_main_arg: what.argument,
            // SAFETY: reads a variable of this process.
            bgw_notify_pid: unsafe { pg_sys::MyProcPid },
            ..pg_sys::BackgroundWorker::default()
        };
        put(&mut worker.bgw_name, what.name);
        put(&mut worker.bgw_type, what.name);
        put(&mut worker.bgw_library_name, "kursaha_cohort");
        put(&mut worker.bgw_function_name, what.function);
        put(&mut worker.bgw_extra, what.extra);
        let mut handle = std::ptr::null_mut();
        // SAFETY: the server copies the description. The handle must outlive the transaction, if there is one.
        let started = unsafe {
            let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
            let started = pg_sys::RegisterDynamicBackgroundWorker(&raw mut worker, &raw mut handle);
            pg_sys::MemoryContextSwitchTo(before);
            started
        };
        // Not then_some: it would make a Child of a null handle, and drop it.
        started.then(|| Self { handle })
    }

    fn status(&self) -> (pg_sys::BgwHandleStatus::Type, pg_sys::pid_t) {
        let mut pid = 0;
        // SAFETY: the handle is this process's own.
        let status = unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &raw mut pid) };
        (status, pid)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.status().0 == pg_sys::BgwHandleStatus::BGWH_STOPPED
    }

    /// Terminates the worker.
    pub(crate) fn terminate(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::TerminateBackgroundWorker(self.handle) }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: allocated by `start`, and nobody else has it.
        unsafe { pg_sys::pfree(self.handle.cast()) }
    }
}

/// Copies a text into a field, with a terminating zero.
fn put(field: &mut [core::ffi::c_char], text: &str) {
    let room = field.len().saturating_sub(1);
    for (place, byte) in field.iter_mut().take(room).zip(text.bytes()) {
        *place = byte.cast_signed();
    }
}
