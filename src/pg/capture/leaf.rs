//! The tables that a backfill reads. They are opened with the privileges of their owner, and scanned in the order of
//! tuple ids.

use pgrx::pg_sys;

use super::super::errors::{Fallible, SqlState, failure};

/// Acts as a table's owner, as maintenance commands do: what the table's columns and conditions run has no rights that
/// its owner has not. Ends when dropped.
pub(super) struct AsOwner(pg_sys::Oid, i32);

impl AsOwner {
    pub(super) fn of(owner: pg_sys::Oid) -> Self {
        let (mut user, mut context) = (pg_sys::InvalidOid, 0);
        // SAFETY: reads and sets variables of the server.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&raw mut user, &raw mut context);
            pg_sys::SetUserIdAndSecContext(owner, context | pg_sys::SECURITY_RESTRICTED_OPERATION.cast_signed());
        }
        Self(user, context)
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        // SAFETY: sets what stood before.
        unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) }
    }
}

/// The newest snapshot, active until it is dropped.
pub(super) struct Newest(pub(super) pg_sys::Snapshot);

impl Newest {
    pub(super) fn take() -> Self {
        // SAFETY: inside a transaction.
        unsafe {
            pg_sys::CommandCounterIncrement();
            pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
            Self(pg_sys::GetActiveSnapshot())
        }
    }
}

impl Drop for Newest {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: pushed by `take`; an error pops it by itself.
            unsafe { pg_sys::PopActiveSnapshot() }
        }
    }
}

/// A table, open for reading.
pub(super) struct Leaf(pub(super) pg_sys::Relation);

impl Leaf {
    /// `None` where the table is gone.
    pub(super) fn open(table: pg_sys::Oid) -> Option<Self> {
        // SAFETY: the lock is held until the transaction ends.
        let relation = unsafe { pg_sys::try_relation_open(table, pg_sys::AccessShareLock.cast_signed()) };
        (!relation.is_null()).then_some(Self(relation))
    }

    pub(super) fn owner(&self) -> pg_sys::Oid {
        // SAFETY: the relation is open.
        unsafe { (*(*self.0).rd_rel).relowner }
    }

    pub(super) fn file(&self) -> pg_sys::Oid {
        // SAFETY: the relation is open.
        unsafe { (*(*self.0).rd_rel).relfilenode }
    }

    /// Gives each row that a snapshot sees, from a place on, to a function, until that returns false.
    pub(super) fn scan(
        &self,
        from: i64,
        snapshot: pg_sys::Snapshot,
        mut each: impl FnMut(pg_sys::HeapTuple) -> Fallible<bool>,
    ) -> Fallible<()> {
        // SAFETY: the relation is open; a tuple is valid until the next one. Memory of a row is freed after it.
        unsafe {
            let blocks = pg_sys::RelationGetNumberOfBlocksInFork(self.0, pg_sys::ForkNumber::MAIN_FORKNUM);
            if blocks == 0 {
                return Ok(());
            }
            let mut first = tid(from >> 16, (from & 0xffff) as u16);
            let mut last = tid(i64::from(blocks) - 1, 0xfff0);
            let slot = pg_sys::table_slot_create(self.0, std::ptr::null_mut());
            let scan = pg_sys::table_beginscan_tidrange(self.0, snapshot, &raw mut first, &raw mut last);
            let memory = pg_sys::AllocSetContextCreateInternal(
                pg_sys::CurrentMemoryContext,
                c"kursaha_cohort backfilled row".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            while pg_sys::table_scan_getnextslot_tidrange(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
                pgrx::check_for_interrupts!();
                let mut copied = false;
                let tuple = pg_sys::ExecFetchSlotHeapTuple(slot, false, &raw mut copied);
                (*tuple).t_self = (*slot).tts_tid;
                let before = pg_sys::MemoryContextSwitchTo(memory);
                let more = each(tuple)?;
                pg_sys::MemoryContextSwitchTo(before);
                pg_sys::MemoryContextReset(memory);
                if !more {
                    break;
                }
            }
            pg_sys::table_endscan(scan);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
            pg_sys::MemoryContextDelete(memory);
        }
        Ok(())
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened by `open`; an error closes it by itself.
            unsafe { pg_sys::table_close(self.0, pg_sys::NoLock.cast_signed()) }
        }
    }
}

fn tid(block: i64, offset: u16) -> pg_sys::ItemPointerData {
    pg_sys::ItemPointerData {
        ip_blkid: pg_sys::BlockIdData { bi_hi: (block >> 16) as u16, bi_lo: (block & 0xffff) as u16 },
        ip_posid: offset,
    }
}

/// Whoever records a table's rows must be allowed to read them all.
pub(super) fn may_read(source: pg_sys::Oid) -> Fallible<()> {
    // SAFETY: catalog look-ups inside a transaction.
    let (allowed, secured) = unsafe {
        let user = pg_sys::GetUserId();
        (
            pg_sys::pg_class_aclcheck(source, user, pg_sys::AclMode::from(pg_sys::ACL_SELECT))
                == pg_sys::AclResult::ACLCHECK_OK,
            pg_sys::check_enable_rls(source, user, true),
        )
    };
    if !allowed {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "a backfill reads all rows of the captured table",
        )
        .set_hint("GRANT SELECT on the table, or let its owner call cohort_backfill."));
    }
    if secured == pg_sys::CheckEnableRlsResult::RLS_ENABLED.cast_signed() {
        return Err(failure(
            SqlState::ERRCODE_INSUFFICIENT_PRIVILEGE,
            "row-level security hides rows of the captured table from you, and a backfill must read all rows",
        )
        .set_hint("Let the table's owner or a role with BYPASSRLS call cohort_backfill."));
    }
    Ok(())
}
