//! Reads rows at known tuple ids directly from their pages, without the executor's slots and usually without a buffer
//! look-up.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pgrx::pg_sys;

use super::hints;
use super::scan::{IndexScan, Relation, Row};
use super::sparse::Sparse;
use crate::pg::errors::Fallible;

/// The tuple id of a row; by default none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    block: u32,
    offset: u16,
    buffer: LastBuffer,
}

/// Hint for the buffer of a page: `> 0` is the buffer in which it was last seen, `< 0` is a guessed buffer (negated), `0` is
/// unknown. The server checks whether the buffer still holds the page.
type LastBuffer = pg_sys::Buffer;

impl Place {
    pub(super) fn new((block, offset): (u32, u16)) -> Self {
        Self { block, offset, buffer: 0 }
    }

    pub(super) fn is_known(self) -> bool {
        self.offset > 0
    }

    /// The expected place of the row that was stored `rows` rows after this one, if each row fills a table page.
    pub(super) fn later(self, rows: u32) -> Self {
        let buffer = if rows == 1 { behind(self.buffer) } else { 0 };
        Self { block: self.block.wrapping_add(rows), offset: self.offset, buffer }
    }
}

/// A guess at the buffer of the next page: consecutive pages were usually read one after the other into consecutive
/// buffers.
fn behind(buffer: LastBuffer) -> LastBuffer {
    if buffer == 0 { 0 } else { -(buffer.saturating_abs().saturating_add(1)) }
}

/// One version of a row in one buffer; by default none. Results about it are valid while it is the same: a row version
/// does not change in place, and a page that is read from disk again usually gets another buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Version {
    buffer: pg_sys::Buffer,
    writer: pg_sys::TransactionId,
}

/// Reads rows of one table by tuple id.
pub(super) struct Fetcher {
    snapshot: pg_sys::Snapshot,
    /// Number of pages of the table when it was opened.
    blocks: u32,
    /// Whether rows can be read directly: the table is a heap, and the transaction does not need the predicate locks
    /// that a scan takes for SERIALIZABLE.
    able: bool,
}

impl Fetcher {
    /// For a table that stays open, under the active snapshot.
    pub(super) fn new(table: &Relation) -> Self {
        // SAFETY: the relation is open.
        unsafe {
            let heap = (*table.0).rd_tableam == pg_sys::GetHeapamTableAmRoutine();
            let serializable = pg_sys::XactIsoLevel == pg_sys::XACT_SERIALIZABLE.cast_signed();
            let blocks = pg_sys::RelationGetNumberOfBlocksInFork(table.0, pg_sys::ForkNumber::MAIN_FORKNUM);
            Self { snapshot: pg_sys::GetActiveSnapshot(), blocks, able: heap && !serializable }
        }
    }

    /// Whether rows can be read by tuple id.
    pub(super) fn is_able(&self) -> bool {
        self.able
    }

    /// Calls a function with the columns of the row at a tuple id, if the snapshot sees the row. The columns are valid
    /// during the call.
    pub(super) fn look<T, const COLUMNS: usize>(
        &self,
        table: &Relation,
        place: &mut Place,
        take: impl FnOnce(&[pg_sys::Datum; COLUMNS], Version) -> Option<T>,
    ) -> Option<T> {
        self.hold(table, place, take).map(|(result, _)| result)
    }

    /// As above, but the columns are valid as long as the page is pinned.
    pub(super) fn hold<T, const COLUMNS: usize>(
        &self,
        table: &Relation,
        place: &mut Place,
        take: impl FnOnce(&[pg_sys::Datum; COLUMNS], Version) -> Option<T>,
    ) -> Option<(T, Held)> {
        // Places are remembered from one transaction to another, and the table may have been cut off between; while it
        // is open it is not.
        if !self.able || !place.is_known() || place.block >= self.blocks {
            return None;
        }
        let mut values = [pg_sys::Datum::from(0_usize); COLUMNS];
        let mut nulls = [true; COLUMNS];
        // SAFETY: the table is open and the block exists. The pin keeps the row where it is; the lock is held while it
        // is looked for, as for any row. An error leaves both to the transaction's end.
        let (version, found) = unsafe {
            if usize::try_from((*(*table.0).rd_att).natts).ok()? != COLUMNS {
                return None;
            }
            guarded(|| {
                let buffer = pinned(table.0, place.block, &mut place.buffer);
                raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE.cast_signed());
                let found = row(table, buffer, *place).filter(|tuple| {
                    let tuple = std::ptr::from_ref(tuple).cast_mut();
                    raw::HeapTupleSatisfiesVisibility(tuple, self.snapshot, buffer)
                });
                raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK.cast_signed());
                let mut version = Version { buffer, ..Version::default() };
                if let Some(mut tuple) = found {
                    let columns = (*table.0).rd_att;
                    version.writer = (*tuple.t_data).t_choice.t_heap.t_xmin;
                    raw::heap_deform_tuple(&raw mut tuple, columns, values.as_mut_ptr(), nulls.as_mut_ptr());
                }
                (version, found.is_some())
            })
        };
        let held = Held(version.buffer);
        if !found || nulls.contains(&true) {
            return None;
        }
        take(&values, version).map(|result| (result, held))
    }
}

/// A pinned page. Its rows keep their addresses until the value is dropped.
pub(super) struct Held(pg_sys::Buffer);

impl Drop for Held {
    fn drop(&mut self) {
        // An error leaves it to the transaction's end.
        if !std::thread::panicking() {
            // SAFETY: pinned when this was made.
            unsafe { pg_sys::ReleaseBuffer(self.0) }
        }
    }
}

/// Calls several functions of the server under one guard against `longjmp`. A guard for each call would take longer
/// than most of these functions.
///
/// # Safety An error skips the rest of the closure, so no value in it may need to be dropped.
unsafe fn guarded<T: Copy>(calls: impl FnOnce() -> T) -> T {
    // SAFETY: as the caller vouches, nothing is skipped that must not be.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(calls) }
}

/// Declarations of server functions without pgrx's guard, for calls that are [`guarded`].
mod raw {
    use pgrx::pg_sys;

    #[cfg(feature = "pg15")]
    pub(super) type Locator = pg_sys::RelFileNode;
    #[cfg(not(feature = "pg15"))]
    pub(super) type Locator = pg_sys::RelFileLocator;

    /// Declares functions of the server. The compiler compares the declarations with those of pgrx, which are generated
    /// from the headers of the server's version.
    macro_rules! as_declared_by_pgrx {
        ($(fn $name:ident($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)?;)*) => {
            unsafe extern "C-unwind" {
                $(pub(super) fn $name($($argument: $kind),*) $(-> $result)?;)*
            }
            const _: () = {
                $(let _: unsafe fn($($kind),*) $(-> $result)? = pg_sys::$name;)*
            };
        };
    }

    as_declared_by_pgrx! {
        fn ReadRecentBuffer(
            file: Locator,
            fork: pg_sys::ForkNumber::Type,
            block: pg_sys::BlockNumber,
            buffer: pg_sys::Buffer,
        ) -> bool;
        fn ReadBuffer(table: pg_sys::Relation, block: pg_sys::BlockNumber) -> pg_sys::Buffer;
        fn LockBuffer(buffer: pg_sys::Buffer, mode: std::ffi::c_int);
        fn HeapTupleSatisfiesVisibility(
            tuple: pg_sys::HeapTuple,
            snapshot: pg_sys::Snapshot,
            buffer: pg_sys::Buffer,
        ) -> bool;
        fn heap_deform_tuple(
            tuple: pg_sys::HeapTuple,
            columns: pg_sys::TupleDesc,
            values: *mut pg_sys::Datum,
            nulls: *mut bool,
        );
        fn heap_hot_search_buffer(
            place: pg_sys::ItemPointer,
            table: pg_sys::Relation,
            buffer: pg_sys::Buffer,
            snapshot: pg_sys::Snapshot,
            tuple: pg_sys::HeapTuple,
            all_dead: *mut bool,
            first: bool,
        ) -> bool;
    }
}

thread_local! {
    /// By table and block: see [`LastBuffer`].
    static BUFFERS: RefCell<HashMap<pg_sys::Oid, Buffers>> = RefCell::new(HashMap::new());
}

type Buffers = Sparse<LastBuffer, 256>;

/// For blocks beyond this one (128 GB), buffers are not remembered.
const MOST_BLOCKS: u32 = 1 << 24;

/// Returned by the callback after each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Continue with the next row.
    Next,
    /// Call `work` first, which takes time. No page of the table stays pinned meanwhile, so VACUUM is not blocked.
    Work,
    /// End the scan.
    End,
}

/// Calls `take` for each row of an index scan, until `take` or `work` ends it. Consecutive rows in the same page are
/// read under one lock.
pub(super) fn each_row<C>(
    scan: &mut IndexScan,
    context: &mut C,
    mut take: impl FnMut(&mut C, &Row<'_>) -> Fallible<Then>,
    work: &mut dyn FnMut(&mut C) -> Fallible<bool>,
) -> Fallible<()> {
    let fetcher = Fetcher::new(scan.table());
    if fetcher.able {
        let table = scan.table().0;
        // SAFETY: the table is open.
        let oid = unsafe { (*table).rd_id };
        let mut buffers = BUFFERS.with_borrow_mut(|all| all.remove(&oid)).unwrap_or_default();
        let result = fetcher.each_row(scan, &mut buffers, context, take, work);
        BUFFERS.with_borrow_mut(|all| all.insert(oid, buffers));
        return result;
    }
    while let Some(row) = scan.next() {
        match take(context, &row)? {
            Then::Next => {}
            Then::Work => {
                scan.unpin();
                if !work(context)? {
                    break;
                }
            }
            Then::End => break,
        }
    }
    Ok(())
}

impl Fetcher {
    fn each_row<C>(
        &self,
        scan: &mut IndexScan,
        buffers: &mut Buffers,
        context: &mut C,
        mut take: impl FnMut(&mut C, &Row<'_>) -> Fallible<Then>,
        work: &mut dyn FnMut(&mut C) -> Fallible<bool>,
    ) -> Fallible<()> {
        let table = scan.table().0;
        // SAFETY: the table is open.
        let columns = unsafe { (*table).rd_att };
        // SAFETY: as above.
        let count = usize::try_from(unsafe { (*columns).natts }).unwrap_or(0);
        let mut values = vec![pg_sys::Datum::from(0_usize); count];
        let mut nulls = vec![true; count];
        let (mut offsets, mut tuples) = (Vec::new(), Vec::new());
        let mut next = scan.next_place();
        while let Some((block, first)) = next {
            offsets.clear();
            offsets.push(first);
            next = scan.next_place();
            while let Some((_, offset)) = next.filter(|(other, _)| *other == block) {
                offsets.push(offset);
                next = scan.next_place();
            }
            let mut from = 0;
            while from < offsets.len() {
                // SAFETY: the table is open, and the index names blocks that it has. The pin keeps the rows where they are;
                // the lock is held while they are looked for. An error of the server leaves both to the transaction's end.
                unsafe {
                    let mut beyond = 0;
                    let last = if block < MOST_BLOCKS { remembered(buffers, block as usize) } else { &mut beyond };
                    tuples.clear();
                    tuples.resize(offsets.len() - from, (0, pg_sys::HeapTupleData::default()));
                    let (found, offsets) = (tuples.as_mut_slice(), offsets.as_slice());
                    let (buffer, rows) = guarded(|| {
                        let buffer = pinned(table, block, last);
                        raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE.cast_signed());
                        let mut rows = 0;
                        for (number, offset) in offsets.iter().enumerate().skip(from) {
                            let mut place = pg_sys::ItemPointerData::default();
                            pgrx::itemptr::item_pointer_set_all(&mut place, block, *offset);
                            let all_dead = std::ptr::null_mut();
                            let (of, tuple) = &mut found[rows];
                            *of = number;
                            let (tuple, place) = (&raw mut *tuple, &raw mut place);
                            if raw::heap_hot_search_buffer(place, table, buffer, self.snapshot, tuple, all_dead, true) {
                                rows += 1;
                            }
                        }
                        raw::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK.cast_signed());
                        (buffer, rows)
                    });
                    tuples.truncate(rows);
                    from = offsets.len();
                    let mut then = Ok(Then::Next);
                    for (of, tuple) in &mut tuples {
                        pg_sys::heap_deform_tuple(&raw mut *tuple, columns, values.as_mut_ptr(), nulls.as_mut_ptr());
                        then = take(context, &Row::new(&values, &nulls));
                        if !matches!(then, Ok(Then::Next)) {
                            from = *of + 1;
                            break;
                        }
                    }
                    pg_sys::ReleaseBuffer(buffer);
                    match then? {
                        Then::Next => {}
                        Then::Work => {
                            if !work(context)? {
                                return Ok(());
                            }
                        }
                        Then::End => return Ok(()),
                    }
                }
            }
        }
        Ok(())
    }
}

/// The buffer in which a block was last seen. If unknown, the buffer after that of the previous block, which was
/// usually read just before.
fn remembered(buffers: &mut Buffers, block: usize) -> &mut LastBuffer {
    let before = block.checked_sub(1).map_or(0, |before| buffers.get(before));
    let last = buffers.slot(block);
    if *last == 0 {
        *last = behind(before);
    }
    last
}

thread_local! {
    /// Counts the pages that were pinned.
    static PINNED: Cell<u8> = const { Cell::new(0) };
}

/// One page in this number is read through the ordinary buffer look-up. Reading it by its hint does not raise its usage
/// count, and the server evicts pages with a low usage count first.
const MARK_EVERY: u8 = 16;

/// Pins the buffer of a page. Call it [`guarded`].
///
/// # Safety
/// The table is open and has the block.
unsafe fn pinned(table: pg_sys::Relation, block: u32, last: &mut LastBuffer) -> pg_sys::Buffer {
    // SAFETY: as the caller vouches. The server checks that the buffer still holds the page.
    unsafe {
        #[cfg(feature = "pg15")]
        let locator = (*table).rd_node;
        #[cfg(not(feature = "pg15"))]
        let locator = (*table).rd_locator;
        let file = hints::File::of(table);
        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
        let known = if *last > 0 { *last } else { hints::find(file, block) };
        let candidate = if known > 0 { known } else { last.saturating_abs() };
        let mark_used = PINNED.replace(PINNED.get().wrapping_add(1)) % MARK_EVERY == MARK_EVERY - 1;
        let look = !mark_used && (1..=pg_sys::NBuffers).contains(&candidate);
        *last = if look && raw::ReadRecentBuffer(locator, main, block, candidate) {
            candidate
        } else {
            raw::ReadBuffer(table, block)
        };
        if *last != known {
            hints::tell(file, block, *last);
        }
        *last
    }
}

/// The row at an offset of a page, if there is one.
///
/// # Safety
/// The buffer is pinned, locked and holds a page of the table, which is a heap.
unsafe fn row(table: &Relation, buffer: pg_sys::Buffer, place: Place) -> Option<pg_sys::HeapTupleData> {
    // SAFETY: as the caller vouches; the item's place and length are those that the server wrote.
    unsafe {
        #[expect(clippy::cast_ptr_alignment, reason = "pages are aligned")]
        let page = pg_sys::BufferGetPage(buffer).cast::<pg_sys::PageHeaderData>();
        let head = std::mem::offset_of!(pg_sys::PageHeaderData, pd_linp);
        let items = usize::from((*page).pd_lower).saturating_sub(head) / size_of::<pg_sys::ItemIdData>();
        let item = usize::from(place.offset).checked_sub(1).filter(|item| *item < items)?;
        let item = (*page).pd_linp.as_ptr().add(item);
        if (*item).lp_flags() != pg_sys::LP_NORMAL || (*item).lp_len() == 0 {
            return None;
        }
        let mut tuple = pg_sys::HeapTupleData {
            t_len: (*item).lp_len(),
            t_tableOid: (*table.0).rd_id,
            t_data: page.cast::<u8>().add((*item).lp_off() as usize).cast(),
            ..pg_sys::HeapTupleData::default()
        };
        pgrx::itemptr::item_pointer_set_all(&mut tuple.t_self, place.block, place.offset);
        Some(tuple)
    }
}
