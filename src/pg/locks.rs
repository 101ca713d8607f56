//! Locks of sealers, schedulers, syncs and destinations. Their tags refer to objects of the extension's own tables,
//! which no SQL command of an ordinary role locks. Advisory locks are not used, because every role could take them.

use pgrx::pg_sys;

use super::errors::Fallible;
use super::extension;

/// What is locked, in this database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Sealing and merging by a worker.
    Sealer,
    /// Claiming syncs and starting their runs.
    Scheduler,
    /// A run of a sync, so that no two of one sync overlap.
    Sync(i64),
    /// A run to a destination: its runs come one after the other, so that none takes away what another adds.
    Destination(i64),
}

const EXCLUSIVE: pg_sys::LOCKMODE = pg_sys::ExclusiveLock.cast_signed();

impl Lock {
    /// The server's name of the lock: an object whose class is a table of ours, in place of a catalog.
    fn tag(self) -> Fallible<pg_sys::LOCKTAG> {
        let internals = extension::schema_oids()?.1;
        let (table, object, sub) = match self {
            Self::Sealer => (c"index_state", 0, 0),
            Self::Scheduler => (c"sync", 0, 0),
            Self::Sync(id) => (c"sync", id, 1),
            Self::Destination(id) => (c"destination", id, 1),
        };
        // SAFETY: a catalog look-up inside a transaction.
        let class = unsafe { pg_sys::get_relname_relid(table.as_ptr(), internals) };
        // Ids that are equal in 32 bits share a lock, and wait for each other without need.
        Ok(tag(Method::Kept, database(), class.to_u32(), u32::try_from(object & 0xFFFF_FFFF).unwrap_or(0), sub))
    }

    /// Takes the lock for this process if it is free, until it gives it back or ends; says whether it did.
    pub(crate) fn try_take(self) -> Fallible<bool> {
        let tag = self.tag()?;
        // SAFETY: inside a transaction.
        let taken = unsafe { pg_sys::LockAcquire(&raw const tag, EXCLUSIVE, true, true) };
        Ok(taken != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL)
    }

    /// Gives back what this process took.
    pub(crate) fn give_back(self) -> Fallible<()> {
        let tag = self.tag()?;
        // SAFETY: as above.
        unsafe { pg_sys::LockRelease(&raw const tag, EXCLUSIVE, true) };
        Ok(())
    }

    /// Whether nobody holds the lock.
    pub(crate) fn is_free(self) -> Fallible<bool> {
        let tag = self.tag()?;
        // SAFETY: as above; what was taken for the transaction is given back at once.
        unsafe {
            let taken = pg_sys::LockAcquire(&raw const tag, EXCLUSIVE, false, true);
            if taken == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
                return Ok(false);
            }
            pg_sys::LockRelease(&raw const tag, EXCLUSIVE, false);
        }
        Ok(true)
    }
}

fn database() -> u32 {
    // SAFETY: a variable of this process.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
}

/// The server's own locks end with the transaction, and those kept for longer with the first one that fails; the other
/// method's last until the process ends.
#[derive(Debug, Clone, Copy)]
enum Method {
    Servers = 1,
    Kept = 2,
}

fn tag(method: Method, database: u32, class: u32, object: u32, sub: u16) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: database,
        locktag_field2: class,
        locktag_field3: object,
        locktag_field4: sub,
        locktag_type: u8::try_from(pg_sys::LockTagType::LOCKTAG_OBJECT).unwrap_or(0),
        locktag_lockmethodid: method as u8,
    }
}

/// Whether a command is about to drop, rename, move or copy a database: each locks it so that no process can connect. The
/// caller is inside a transaction.
pub(crate) fn is_wanted(database: pg_sys::Oid) -> bool {
    let tag = tag(Method::Servers, 0, pg_sys::DatabaseRelationId.to_u32(), database.to_u32(), 0);
    let mode = pg_sys::RowExclusiveLock.cast_signed();
    // SAFETY: inside a transaction; the lock is the one that every new process takes, and is given back at once.
    unsafe {
        if pg_sys::LockAcquire(&raw const tag, mode, false, true) == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return true;
        }
        pg_sys::LockRelease(&raw const tag, mode, false);
    }
    false
}

/// Keeps the extension from being dropped until the transaction ends; false where there is none, or where it is being
/// dropped.
pub(crate) fn keep_extension() -> bool {
    let find = || {
        // SAFETY: a catalog look-up inside a transaction; missing_ok avoids an error.
        unsafe { pg_sys::get_extension_oid(c"kursaha_cohort".as_ptr(), true) }
    };
    let found = find();
    if found == pg_sys::InvalidOid {
        return false;
    }
    let tag = tag(Method::Servers, database(), pg_sys::ExtensionRelationId.to_u32(), found.to_u32(), 0);
    let mode = pg_sys::AccessShareLock.cast_signed();
    // SAFETY: inside a transaction; the lock is kept until it ends. What others changed meanwhile is looked at afresh.
    unsafe {
        if pg_sys::LockAcquire(&raw const tag, mode, false, true) == pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL {
            return false;
        }
        pg_sys::AcceptInvalidationMessages();
    }
    find() == found
}
