//! One snapshot, seen before and after changes of this transaction. Concurrent commits of other transactions are in
//! neither view.

use pgrx::pg_sys;

use super::errors::Fallible;

/// A snapshot without what this transaction does from now on.
pub(crate) struct Moment(pg_sys::Snapshot);

impl Moment {
    /// Takes a new snapshot and keeps it active while `work` runs.
    pub(crate) fn hold<T>(work: impl FnOnce(&Self) -> Fallible<T>) -> Fallible<T> {
        // SAFETY: inside a transaction; an error unwinds to the abort of the transaction or subtransaction, which drops the
        // snapshot. The copy is this function's own, so that no later command changes it.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::PushCopiedSnapshot(pg_sys::GetTransactionSnapshot());
            let result = work(&Self(pg_sys::GetActiveSnapshot()));
            pg_sys::PopActiveSnapshot();
            result
        }
    }

    /// Reads as it was then: with `Snapshot::Callers`, nothing that this transaction did since is seen.
    pub(crate) fn before<T>(&self, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
        // SAFETY: the snapshot is active, below, until `hold` ends.
        unsafe {
            pg_sys::PushActiveSnapshot(self.0);
            let result = work();
            pg_sys::PopActiveSnapshot();
            result
        }
    }

    /// Reads the same with what this transaction did since.
    pub(crate) fn after<T>(&self, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
        // SAFETY: as above; the copy is active once, and is nobody else's.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::PushCopiedSnapshot(self.0);
            pg_sys::UpdateActiveSnapshotCommandId();
            let result = work();
            pg_sys::PopActiveSnapshot();
            result
        }
    }
}
