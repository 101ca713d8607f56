//! The pages of segments in `kursaha_cohort.segment_page`, as streams of bytes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use cohort_core::segment::{Corrupt, PAGE, Stream};
use pgrx::pg_sys;

use super::scan::{IndexScan, Key, Relation, find};
use crate::pg::errors::Fallible;
use crate::pg::spi;

thread_local! {
    /// Where pages were found before, by table, segment and page: a look at the place itself costs a quarter of a
    /// search in the index. Places are checked, because a table that is rewritten moves its rows.
    static PLACES: RefCell<HashMap<(pg_sys::Oid, i64), Vec<Place>>> = RefCell::new(HashMap::new());
}

/// Where a row lies: block and offset; the offset 0 is no row's.
type Place = (u32, u16);

/// The most segments whose places are remembered: some 10 kB each for a million events.
const MOST_SEGMENTS: usize = 1_024;

/// The open table of pages, under the snapshot that was active when it was opened.
pub(super) struct Pages {
    scan: RefCell<IndexScan>,
    /// The segment and page that the scan gives next, if it goes on.
    next: Cell<(i64, i32)>,
    table: pg_sys::Oid,
}

impl Pages {
    /// Opens the table in the schema `kursaha_cohort`.
    pub(super) fn open(internals: pg_sys::Oid) -> Fallible<Rc<Self>> {
        let oid = find(internals, c"segment_page")?;
        let index = Relation::index(find(internals, c"segment_page_pkey")?);
        let scan = IndexScan::new(Relation::table(oid), index, 3);
        Ok(Rc::new(Self { scan: RefCell::new(scan), next: Cell::new((-1, -1)), table: oid }))
    }

    /// Hands the bytes of a page to something, in place. Those up to `last` will be asked for next.
    fn read<T>(
        &self,
        segment: i64,
        page: i32,
        last: i32,
        take: impl FnOnce(&[u8]) -> Result<T, Corrupt>,
    ) -> Result<T, Corrupt> {
        let mut scan = self.scan.borrow_mut();
        let number = usize::try_from(page).unwrap_or(usize::MAX);
        let known = PLACES.with_borrow(|places| {
            let place = places.get(&(self.table, segment)).and_then(|segment| segment.get(number).copied());
            place.filter(|(_, offset)| *offset > 0)
        });
        if let Some(row) = known.and_then(|place| scan.at(place))
            && row.word(1).cast_signed() == segment
            && row.int4(2) == page
        {
            return take(row.bytes(3).as_bytes());
        }
        // From one page to the next the scan goes on; elsewhere the index is searched from its root.
        if self.next.get() != (segment, page) {
            scan.seek(&[Key::Int8Equals(segment), Key::Int4From(page), Key::Int4To(last)]);
        }
        self.next.set((-1, -1));
        match scan.next() {
            Some(row) if row.int4(2) == page => {
                if page < last {
                    self.next.set((segment, page + 1));
                }
                self.remember(segment, number, row.place());
                take(row.bytes(3).as_bytes())
            }
            _ => Err(Corrupt(format!("segment {segment} has no page {page}"))),
        }
    }

    fn remember(&self, segment: i64, page: usize, place: Place) {
        PLACES.with_borrow_mut(|places| {
            if places.len() >= MOST_SEGMENTS && !places.contains_key(&(self.table, segment)) {
                places.clear();
            }
            let of_segment = places.entry((self.table, segment)).or_default();
            if of_segment.len() <= page {
                of_segment.resize(page + 1, (0, 0));
            }
            of_segment[page] = place;
        });
    }
}

/// One segment's bytes.
pub(super) struct PageStream {
    pages: Rc<Pages>,
    segment: i64,
    /// The page that was read last: columns are read in small steps.
    last: RefCell<(i32, Vec<u8>)>,
}

impl PageStream {
    pub(super) fn new(pages: &Rc<Pages>, segment: i64) -> Self {
        Self { pages: Rc::clone(pages), segment, last: RefCell::new((-1, Vec::new())) }
    }
}

impl Stream for PageStream {
    fn read(&self, at: u64, mut into: &mut [u8]) -> Result<(), Corrupt> {
        let short = || Corrupt(format!("segment {} is shorter than its header says", self.segment));
        let mut at = usize::try_from(at).map_err(|_| short())?;
        let mut last = self.last.borrow_mut();
        let end = i32::try_from((at + into.len()).saturating_sub(1) / PAGE).map_err(|_| short())?;
        while !into.is_empty() {
            let page = i32::try_from(at / PAGE).map_err(|_| short())?;
            let start = at % PAGE;
            let copy = |bytes: &[u8], into: &mut [u8]| {
                let bytes = bytes.get(start..).filter(|bytes| !bytes.is_empty()).ok_or_else(short)?;
                let length = bytes.len().min(into.len());
                into[..length].copy_from_slice(&bytes[..length]);
                Ok(length)
            };
            let length = if last.0 == page {
                copy(&last.1, into)?
            } else if start + into.len() >= PAGE {
                // Read to its end: nobody will come back for the rest.
                self.pages.read(self.segment, page, end, |bytes| copy(bytes, into))?
            } else {
                last.0 = -1;
                self.pages.read(self.segment, page, end, |bytes| {
                    last.1.clear();
                    last.1.extend_from_slice(bytes);
                    Ok(())
                })?;
                last.0 = page;
                copy(&last.1, into)?
            };
            into = &mut into[length..];
            at += length;
        }
        Ok(())
    }
}

/// Stores the bytes of a segment.
pub(super) fn store(segment: i64, bytes: &[u8]) -> Fallible<()> {
    /// Pages stored by one statement: 2 MB.
    const TOGETHER: usize = 256;
    for (number, pages) in bytes.chunks(PAGE * TOGETHER).enumerate() {
        pgrx::check_for_interrupts!();
        let first = i64::try_from(number * TOGETHER).unwrap_or(i64::MAX);
        let pages: Vec<Vec<u8>> = pages.chunks(PAGE).map(<[u8]>::to_vec).collect();
        spi::touch(
            "INSERT INTO kursaha_cohort.segment_page (segment_id, page, bytes) \
             SELECT $1, ($2 + p.number - 1)::integer, p.bytes FROM unnest($3) WITH ORDINALITY AS p (bytes, number)",
            &[segment.into(), first.into(), pages.into()],
        )?;
    }
    Ok(())
}
