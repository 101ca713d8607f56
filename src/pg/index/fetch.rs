//! Rows at places that are known: a look at the page itself, without the executor's slots and, mostly, without a search
//! for the buffer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use pgrx::pg_sys;

use super::scan::{IndexScan, Relation, Row};
use super::sparse::Sparse;
use crate::pg::errors::Fallible;

/// Where a row lies; by default, nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Place {
    block: u32,
    offset: u16,
    /// The buffer that held the page last. The server checks whether it still does.
    buffer: pg_sys::Buffer,
}

impl Place {
    pub(super) fn new((block, offset): (u32, u16)) -> Self {
        Self { block, offset, buffer: 0 }
    }

    pub(super) fn is_known(self) -> bool {
        self.offset > 0
    }

    /// Where a row of one table page lies that was stored so many rows after this one, if nothing came between. Pages that
    /// follow one another were mostly read one after the other, into buffers that do so too.
    pub(super) fn later(self, rows: u32) -> Self {
        let buffer = if rows == 1 { behind(self.buffer) } else { 0 };
        Self { block: self.block.wrapping_add(rows), offset: self.offset, buffer }
    }
}

/// The buffer behind another one; 0 where that is not known.
fn behind(buffer: pg_sys::Buffer) -> pg_sys::Buffer {
    if buffer > 0 { buffer.saturating_add(1) } else { 0 }
}

/// Looks at rows of one table by their places.
pub(super) struct Fetcher {
    snapshot: pg_sys::Snapshot,
    /// Pages of the table when it was opened.
    blocks: u32,
    /// Whether the table is a heap, whose pages this file knows, and the predicate locks of SERIALIZABLE, which a scan
    /// takes, are not needed.
    able: bool,
}

impl Fetcher {
    /// For a table that is open and stays so, under the active snapshot.
    pub(super) fn new(table: &Relation) -> Self {
        // SAFETY: the relation is open.
        unsafe {
            let heap = (*table.0).rd_tableam == pg_sys::GetHeapamTableAmRoutine();
            let serializable = pg_sys::XactIsoLevel == pg_sys::XACT_SERIALIZABLE.cast_signed();
            let blocks = pg_sys::RelationGetNumberOfBlocksInFork(table.0, pg_sys::ForkNumber::MAIN_FORKNUM);
            Self { snapshot: pg_sys::GetActiveSnapshot(), blocks, able: heap && !serializable }
        }
    }

    /// Hands the columns of the row at a place to something, if there is a row that the snapshot sees. They are valid
    /// for that time only.
    pub(super) fn look<T, const COLUMNS: usize>(
        &self,
        table: &Relation,
        place: &mut Place,
        take: impl FnOnce(&[pg_sys::Datum; COLUMNS]) -> Option<T>,
    ) -> Option<T> {
        // Places are remembered from one transaction to another, and the table may have been cut off between; while it
        // is open it is not.
        if !self.able || !place.is_known() || place.block >= self.blocks {
            return None;
        }
        // SAFETY: the table is open and the block exists. The pin keeps the row where it is; the lock is held while it
        // is looked for, as for any row. An error leaves both to the transaction's end.
        unsafe {
            let buffer = pinned(table.0, place.block, &mut place.buffer);
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE.cast_signed());
            let found = row(table, buffer, *place).filter(|tuple| {
                let tuple = std::ptr::from_ref(tuple).cast_mut();
                pg_sys::HeapTupleSatisfiesVisibility(tuple, self.snapshot, buffer)
            });
            pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK.cast_signed());
            let result = found.and_then(|mut tuple| {
                let mut values = [pg_sys::Datum::from(0_usize); COLUMNS];
                let mut nulls = [true; COLUMNS];
                let columns = (*table.0).rd_att;
                if usize::try_from((*columns).natts).ok()? != COLUMNS {
                    return None;
                }
                pg_sys::heap_deform_tuple(&raw mut tuple, columns, values.as_mut_ptr(), nulls.as_mut_ptr());
                if nulls.contains(&true) { None } else { take(&values) }
            });
            pg_sys::ReleaseBuffer(buffer);
            result
        }
    }
}

thread_local! {
    /// By table and block: the buffer that held it last; 0 where none is known.
    static BUFFERS: RefCell<HashMap<pg_sys::Oid, Buffers>> = RefCell::new(HashMap::new());
}

type Buffers = Sparse<pg_sys::Buffer, 256>;

/// Blocks beyond (128 GB) are read without remembering their buffers.
const MOST_BLOCKS: u32 = 1 << 24;

/// Hands out the rows that an index scan finds, until `take` says that it has enough. Rows that lie in one page of the
/// table are taken together.
pub(super) fn each_row(scan: &mut IndexScan, mut take: impl FnMut(&Row<'_>) -> Fallible<bool>) -> Fallible<()> {
    let fetcher = Fetcher::new(scan.table());
    if fetcher.able {
        let table = scan.table().0;
        // SAFETY: the table is open.
        let oid = unsafe { (*table).rd_id };
        let mut buffers = BUFFERS.with_borrow_mut(|all| all.remove(&oid)).unwrap_or_default();
        let result = fetcher.each_row(scan, &mut buffers, take);
        BUFFERS.with_borrow_mut(|all| all.insert(oid, buffers));
        return result;
    }
    while let Some(row) = scan.next() {
        if !take(&row)? {
            break;
        }
    }
    Ok(())
}

impl Fetcher {
    fn each_row(
        &self,
        scan: &mut IndexScan,
        buffers: &mut Buffers,
        mut take: impl FnMut(&Row<'_>) -> Fallible<bool>,
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
            // SAFETY: the table is open, and the index names blocks that it has. The pin keeps the rows where they are; the
            // lock is held while they are looked for. An error of the server leaves both to the transaction's end.
            unsafe {
                let mut beyond = 0;
                let last = if block < MOST_BLOCKS { remembered(buffers, block as usize) } else { &mut beyond };
                let buffer = pinned(table, block, last);
                pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE.cast_signed());
                tuples.clear();
                for offset in &offsets {
                    let mut place = pg_sys::ItemPointerData::default();
                    pgrx::itemptr::item_pointer_set_all(&mut place, block, *offset);
                    let mut tuple = pg_sys::HeapTupleData::default();
                    let all_dead = std::ptr::null_mut();
                    if pg_sys::heap_hot_search_buffer(
                        &raw mut place,
                        table,
                        buffer,
                        self.snapshot,
                        &raw mut tuple,
                        all_dead,
                        true,
                    ) {
                        tuples.push(tuple);
                    }
                }
                pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_UNLOCK.cast_signed());
                let mut more = Ok(true);
                for tuple in &mut tuples {
                    pg_sys::heap_deform_tuple(&raw mut *tuple, columns, values.as_mut_ptr(), nulls.as_mut_ptr());
                    more = take(&Row::new(&values, &nulls));
                    if !matches!(more, Ok(true)) {
                        break;
                    }
                }
                pg_sys::ReleaseBuffer(buffer);
                if !more? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The buffer that held a block last; where none is known, the one behind that of the block before, which was mostly read
/// just before it.
fn remembered(buffers: &mut Buffers, block: usize) -> &mut pg_sys::Buffer {
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

/// One page in so many is looked up as any scan would: a look where it was last does not tell the server that the page is
/// in use, and pages that nobody uses are the first to make room for others.
const TOLD: u8 = 16;

/// The buffer of a page, pinned; `last` is where it was found last or may be, or 0.
///
/// # Safety
/// The table is open and has the block.
unsafe fn pinned(table: pg_sys::Relation, block: u32, last: &mut pg_sys::Buffer) -> pg_sys::Buffer {
    // SAFETY: as the caller vouches. The server checks that the buffer still holds the page.
    unsafe {
        #[cfg(feature = "pg15")]
        let file = (*table).rd_node;
        #[cfg(not(feature = "pg15"))]
        let file = (*table).rd_locator;
        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
        let tell = PINNED.replace(PINNED.get().wrapping_add(1)).is_multiple_of(TOLD);
        let there = !tell && (1..=pg_sys::NBuffers).contains(last);
        if !there || !pg_sys::ReadRecentBuffer(file, main, block, *last) {
            *last = pg_sys::ReadBuffer(table, block);
        }
        *last
    }
}

/// The row at a place of a page, if one is there.
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
