//! The customers of this database in a cluster: those whose hash is in the ranges of `kursaha_cohort.owned`, or all if
//! that table is empty. A row of another customer is refused, so that no event is stored on a node that no evaluation
//! of its customer reads.

use std::cell::{Cell, RefCell};

use pgrx::{pg_guard, pg_sys};

use super::databases::with_owners_rights;
use super::errors::{Fallible, SqlState, failure};
use super::extension;
use super::spi::{self, Snapshot};
use super::trigger;

thread_local! {
    /// The ranges, both ends included.
    static RANGES: RefCell<Vec<(i32, i32)>> = const { RefCell::new(Vec::new()) };
    /// Whether the ranges may be out of date. Set by invalidation messages.
    static STALE: Cell<bool> = const { Cell::new(true) };
    /// The table, whose changes matter; invalid until it was found.
    static TABLE: Cell<pg_sys::Oid> = const { Cell::new(pg_sys::InvalidOid) };
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
}

trigger::row_trigger!(kursaha_owned_changed, pg_finfo_kursaha_owned_changed, owned_changed);

/// Tells every session that the ranges have changed, at the end of the transaction that changed them.
fn owned_changed(fcinfo: pg_sys::FunctionCallInfo) -> Fallible<pg_sys::HeapTuple> {
    // SAFETY: fcinfo comes from the function manager.
    let data = unsafe { trigger::data(fcinfo) }.ok_or_else(|| {
        failure(
            SqlState::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED,
            "this function is a trigger of kursaha_cohort.owned",
        )
    })?;
    // SAFETY: the relation is open during the call.
    unsafe { pg_sys::CacheInvalidateRelcache(data.tg_relation) };
    Ok(std::ptr::null_mut())
}

#[pg_guard]
unsafe extern "C-unwind" fn table_changed(_argument: pg_sys::Datum, table: pg_sys::Oid) {
    let own = TABLE.get();
    if own == pg_sys::InvalidOid || table == own || table == pg_sys::InvalidOid {
        STALE.set(true);
    }
}

/// The table; invalid in a database whose objects are of a version without it.
pub(super) fn table() -> Fallible<pg_sys::Oid> {
    let (_, internals) = extension::schema_oids()?;
    // SAFETY: a catalog look-up inside a transaction.
    Ok(unsafe { pg_sys::get_relname_relid(c"owned".as_ptr(), internals) })
}

/// Reads the ranges again where they may have changed.
fn refresh() -> Fallible<()> {
    if !REGISTERED.replace(true) {
        // SAFETY: registers a function of this library, which is never unloaded.
        unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(table_changed), pg_sys::Datum::from(0)) };
    }
    while STALE.replace(false) {
        TABLE.set(table()?);
        let ranges = if TABLE.get() == pg_sys::InvalidOid {
            Vec::new()
        } else {
            // A message that arrives meanwhile makes the ranges stale again.
            let read = with_owners_rights(|| {
                let sql = "SELECT o.lo, o.hi FROM kursaha_cohort.owned o";
                spi::run(Snapshot::Fresh, sql, &[], |row| Ok((row.need(1)?, row.need(2)?)))
            });
            read.inspect_err(|_| STALE.set(true))?
        };
        RANGES.set(ranges);
    }
    Ok(())
}

/// Whether this database holds every customer.
pub(super) fn everybody() -> Fallible<bool> {
    refresh()?;
    Ok(RANGES.with_borrow(Vec::is_empty))
}

/// Refuses a customer whom another database holds.
pub(super) fn check(customer: &str) -> Fallible<()> {
    if everybody()? {
        return Ok(());
    }
    let hash = hash(customer);
    if RANGES.with_borrow(|ranges| ranges.iter().any(|(from, to)| (*from..=*to).contains(&hash))) {
        return Ok(());
    }
    // Without the id: errors are in the server's log, and ids may be addresses.
    Err(failure(SqlState::ERRCODE_CHECK_VIOLATION, "the customer does not belong to this node")
        .set_detail(format!("The hash of the customer's id is {hash}, which is in no range of kursaha_cohort.owned."))
        .set_hint("Write through the coordinator. Its function cohort_cluster_check() checks the map of nodes."))
}

unsafe extern "C" {
    /// The server's hash of some bytes, which the bindings leave out.
    fn hash_bytes(bytes: *const u8, length: std::ffi::c_int) -> u32;
}

/// The hash that the ranges are of: `hashtext(customer_id)` where the column's collation is deterministic, as that of every
/// database is.
fn hash(customer: &str) -> i32 {
    // SAFETY: the server's function reads the given number of bytes and nothing else.
    unsafe { hash_bytes(customer.as_ptr(), i32::try_from(customer.len()).unwrap_or(0)) }.cast_signed()
}
