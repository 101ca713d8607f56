//! The pages of segments in `kursaha_cohort.segment_page`, as streams of bytes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use cohort_core::segment::{Corrupt, PAGE, Stream};
use pgrx::{FromDatum, pg_sys};

use super::fetch::{Fetcher, Place};
use super::scan::{IndexScan, Key, Relation, bytes_of, find};
use crate::pg::errors::Fallible;
use crate::pg::spi;

/// Where the pages of one segment were found before.
type Places = Rc<RefCell<Vec<Place>>>;

thread_local! {
    /// By table and segment: a look at the place itself costs a small part of a search in the index. Places are checked,
    /// because a table that is rewritten moves its rows.
    static PLACES: RefCell<HashMap<(pg_sys::Oid, i64), Places>> = RefCell::new(HashMap::new());
}

/// The most segments whose places are remembered: some 20 kB each for a million events.
const MOST_SEGMENTS: usize = 1_024;

/// The open table of pages, under the snapshot that was active when it was opened.
pub(super) struct Pages {
    scan: RefCell<IndexScan>,
    fetcher: Fetcher,
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
        let fetcher = Fetcher::new(scan.table());
        Ok(Rc::new(Self { scan: RefCell::new(scan), fetcher, next: Cell::new((-1, -1)), table: oid }))
    }

    /// Where the pages of a segment were found.
    fn places(&self, segment: i64) -> Places {
        PLACES.with_borrow_mut(|places| {
            if places.len() >= MOST_SEGMENTS && !places.contains_key(&(self.table, segment)) {
                places.clear();
            }
            Rc::clone(places.entry((self.table, segment)).or_default())
        })
    }

    /// Hands the bytes of a page to something, in place. Those up to `last` will be asked for next.
    fn read<T>(
        &self,
        segment: i64,
        places: &RefCell<Vec<Place>>,
        page: i32,
        last: i32,
        take: impl FnOnce(&[u8]) -> Result<T, Corrupt>,
    ) -> Result<T, Corrupt> {
        let mut scan = self.scan.borrow_mut();
        let number = usize::try_from(page).unwrap_or(usize::MAX);
        let mut take = Some(take);
        let mut known = places.borrow_mut();
        if let Some(place) = guess(&mut known, number) {
            let result = self.fetcher.look(scan.table(), place, |[of, at, bytes]| {
                // SAFETY: the columns are those of segment_page: two numbers and a bytea.
                let bytes = unsafe {
                    if i64::from_datum(*of, false) != Some(segment) || i32::from_datum(*at, false) != Some(page) {
                        return None;
                    }
                    bytes_of(*bytes)
                };
                take.take().map(|take| take(bytes.as_bytes()))
            });
            if let Some(result) = result {
                return result;
            }
            *place = Place::NONE;
        }
        let Some(take) = take else { return Err(Corrupt(format!("segment {segment} has no page {page}"))) };
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
                if known.len() <= number {
                    known.resize(number + 1, Place::NONE);
                }
                known[number] = Place::new(row.place());
                take(row.bytes(3).as_bytes())
            }
            _ => Err(Corrupt(format!("segment {segment} has no page {page}"))),
        }
    }
}

/// Where a page lies, or ought to: a segment's pages are stored one after the other, each in a page of the table.
fn guess(places: &mut Vec<Place>, number: usize) -> Option<&mut Place> {
    /// No segment has more pages; numbers beyond come from damaged headers.
    const MOST: usize = 1 << 20;
    if places.get(number).is_none_or(|place| !place.is_known()) {
        let known = |page: &usize| places.get(*page).is_some_and(|place| place.is_known());
        // From the page before, or from the first one, which is read when the segment is opened.
        let below = number.checked_sub(1).filter(known).or_else(|| Some(0).filter(known))?;
        let distance = u32::try_from(number.checked_sub(below)?).ok().filter(|_| number < MOST)?;
        let place = places[below].later(distance);
        if places.len() <= number {
            places.resize(number + 1, Place::NONE);
        }
        places[number] = place;
    }
    places.get_mut(number)
}

/// One segment's bytes.
pub(super) struct PageStream {
    pages: Rc<Pages>,
    segment: i64,
    places: Places,
    /// The page that was read last in a small step: others follow it.
    last: RefCell<(i32, Vec<u8>)>,
}

impl PageStream {
    pub(super) fn new(pages: &Rc<Pages>, segment: i64) -> Self {
        let places = pages.places(segment);
        Self { pages: Rc::clone(pages), segment, places, last: RefCell::new((-1, Vec::new())) }
    }

    /// What the segment is known by: the table of its pages, and its id.
    pub(super) fn identity(&self) -> (pg_sys::Oid, i64) {
        (self.pages.table, self.segment)
    }
}

impl Stream for PageStream {
    fn read(&self, at: u64, mut into: &mut [u8]) -> Result<(), Corrupt> {
        /// Steps from this many bytes on are those of frames: nobody will come back for the rest of the page.
        const LARGE: usize = 1_024;
        let short = || Corrupt(format!("segment {} is shorter than its header says", self.segment));
        let mut at = usize::try_from(at).map_err(|_| short())?;
        let mut last = self.last.borrow_mut();
        let large = into.len() >= LARGE;
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
            } else if large || start + into.len() >= PAGE {
                self.pages.read(self.segment, &self.places, page, end, |bytes| copy(bytes, into))?
            } else {
                last.0 = -1;
                self.pages.read(self.segment, &self.places, page, end, |bytes| {
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
