//! The pages of segments in `kursaha_cohort.segment_page`, as streams of bytes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use cohort_core::segment::{Corrupt, PAGE, Stream, page as stored};
use pgrx::{FromDatum, pg_sys};

use super::fetch::{Fetcher, Held, Place, Version};
use super::pins::{self, HeldPage};
use super::scan::{Bytes, IndexScan, Relation, Scratch, Sought, Tuple, bytes_of, find};
use super::sparse::Sparse;
use crate::pg::errors::Fallible;
use crate::pg::here::Here;
use crate::pg::spi;

/// Cached data about the pages of one segment.
type Places = Rc<RefCell<Known>>;
type Known = Sparse<KnownPage, 64>;

/// Cached data about a page.
#[derive(Debug, Clone, Copy, Default)]
struct KnownPage {
    /// Its last known tuple id.
    place: Place,
    /// The row version whose checksum was verified.
    compared: Version,
}

thread_local! {
    /// Tuple ids by table and segment. Reading a known tuple id is much cheaper than an index look-up. Tuple ids are
    /// checked, because a rewrite of the table moves rows.
    static PLACES: RefCell<HashMap<(pg_sys::Oid, i64), Places>> = RefCell::new(HashMap::new());
}

/// Limits of the cache: number of segments, and bytes. A segment takes up to 40 kB for a million events.
const MOST_SEGMENTS: usize = 1_024;
const MOST_BYTES: usize = 16 << 20;

/// The open table of pages, under the snapshot that was active when it was opened.
pub(super) struct Pages {
    /// The scan of the index on first pages.
    first: RefCell<IndexScan>,
    /// The scan of the index on all pages, opened when needed. Usually pages follow the first page, and the index is
    /// not needed.
    any: RefCell<Option<IndexScan>>,
    fetcher: Fetcher,
    /// The segment and page that the scan of all pages returns next, and the last page that it returns.
    next: Cell<(i64, i32, i32)>,
    last: RefCell<LastPage>,
    /// Ranges of foreseen pages: segment, first page and last page.
    foreseen: RefCell<Vec<(i64, i32, i32)>>,
    internals: pg_sys::Oid,
    table: pg_sys::Oid,
    /// What was active and current when it was opened.
    snapshot: pg_sys::Snapshot,
    context: pg_sys::MemoryContext,
}

impl Pages {
    /// Opens the table in the schema `kursaha_cohort`.
    pub(super) fn open(internals: pg_sys::Oid) -> Fallible<Rc<Self>> {
        let table = find(internals, c"segment_page")?;
        let first = IndexScan::new(Relation::table(table), find(internals, c"segment_page_first")?, 1)?;
        let fetcher = Fetcher::new(first.table());
        let (first, any, next) = (RefCell::new(first), RefCell::new(None), Cell::new((-1, -1, -1)));
        // SAFETY: reads two variables of the server.
        let (snapshot, context) = unsafe { (pg_sys::GetActiveSnapshot(), pg_sys::CurrentMemoryContext) };
        let last = RefCell::new(LastPage { of: (-1, -1), bytes: Vec::new() });
        let foreseen = RefCell::default();
        Ok(Rc::new(Self { first, any, fetcher, next, last, foreseen, internals, table, snapshot, context }))
    }

    /// The tuple ids of the pages of a segment.
    fn places(&self, segment: i64) -> Places {
        PLACES.with_borrow_mut(|places| {
            if !places.contains_key(&(self.table, segment)) {
                // A segment that is being read counts as nothing: it is one of many.
                let bytes = |known: &Places| known.try_borrow().map_or(0, |known| known.memory());
                if places.len() >= MOST_SEGMENTS || places.values().map(bytes).sum::<usize>() > MOST_BYTES {
                    places.clear();
                }
            }
            Rc::clone(places.entry((self.table, segment)).or_default())
        })
    }

    /// Calls a function with the bytes of a page in its buffer. The caller will read the pages up to `last` next.
    fn read<T>(
        &self,
        segment: i64,
        places: &RefCell<Known>,
        page: i32,
        last: i32,
        take: impl FnOnce(&[u8]) -> Result<T, Corrupt>,
    ) -> Result<T, Corrupt> {
        let number = usize::try_from(page).unwrap_or(usize::MAX);
        let mut take = Some(take);
        let mut known = places.borrow_mut();
        if let Some(KnownPage { place, compared }) = guess(&mut known, number) {
            let result = self.fetcher.look(self.first.borrow().table(), place, |columns, version| {
                let bytes = bytes_of_page(segment, page, columns)?;
                let bytes = compared_once(segment, page, bytes.as_bytes(), compared, version);
                take.take().map(|take| bytes.and_then(take))
            });
            if let Some(result) = result {
                return result;
            }
            *place = Place::default();
        }
        let missing = || Corrupt::new(format!("page {page} of segment {segment} is missing"));
        let take = take.ok_or_else(missing)?;
        let found = |row: Option<Tuple<'_>>| {
            let row = row.filter(|row| row.int4(2) == page).ok_or_else(missing)?;
            *known.slot(number) = KnownPage { place: Place::new(row.place()), ..KnownPage::default() };
            take(stored::open(segment, page, row.bytes(3).as_bytes())?)
        };
        if page == 0 {
            let mut scan = self.first.borrow_mut();
            scan.seek(&[Sought::Int8Equals(segment)]);
            return found(scan.next());
        }
        let mut scan = self.any.borrow_mut();
        let scan = match &mut *scan {
            Some(scan) => scan,
            none => none.insert(self.all_pages().map_err(|_| Corrupt::new("segment_page has no primary key"))?),
        };
        // From one page to the next the scan goes on; elsewhere the index is searched from its root.
        let (next_segment, next_page, mut end) = self.next.get();
        if (next_segment, next_page) != (segment, page) {
            scan.seek(&[Sought::Int8Equals(segment), Sought::Int4From(page), Sought::Int4To(last)]);
            end = last;
        }
        let result = found(scan.next());
        self.next.set(if result.is_ok() && page < end { (segment, page + 1, end) } else { (-1, -1, -1) });
        result
    }

    /// Whether pages can be pinned.
    pub(super) fn can_hold(&self) -> bool {
        self.fetcher.is_able()
    }

    /// Pins the page of a segment. `None` if that is impossible or the page is damaged: reading it then raises the
    /// error.
    pub(super) fn hold(&self, segment: i64, page: i32) -> Option<(Held, HeldPage)> {
        let places = self.places(segment);
        let number = usize::try_from(page).ok()?;
        for again in [false, true] {
            let mut known = places.borrow_mut();
            if let Some(KnownPage { place, compared }) = guess(&mut known, number) {
                let held = self.fetcher.hold(self.first.borrow().table(), place, |columns, version| {
                    let bytes = bytes_of_page(segment, page, columns)?;
                    let stored = bytes.in_place()?;
                    let bytes = compared_once(segment, page, stored, compared, version).ok()?;
                    Some(HeldPage::new(segment, page, bytes))
                });
                if let Some((page, held)) = held {
                    return Some((held, page));
                }
            }
            drop(known);
            if again || self.read(segment, &places, page, page, |_| Ok(())).is_err() {
                return None;
            }
        }
        None
    }

    /// The pages foreseen since the last call, each once, in order. At most one more than the limit.
    pub(super) fn foreseen(&self, most: usize) -> Vec<(i64, i32)> {
        let mut stretches = self.foreseen.take();
        stretches.sort_unstable();
        let mut pages: Vec<(i64, i32)> = Vec::new();
        for (segment, first, last) in stretches {
            let first = match pages.last() {
                Some((of, known)) if *of == segment => first.max(known.saturating_add(1)),
                _ => first,
            };
            let room = (most + 1).saturating_sub(pages.len());
            pages.extend((first..=last).map(|page| (segment, page)).take(room));
        }
        pages
    }

    fn all_pages(&self) -> Fallible<IndexScan> {
        let index = find(self.internals, c"segment_page_pkey")?;
        // SAFETY: the context was current and the snapshot active when the pages were opened, which both outlive.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.context);
            let scan = IndexScan::under(self.snapshot, Relation::table(self.table), index, 3);
            pg_sys::MemoryContextSwitchTo(before);
            scan
        }
    }
}

/// The stored bytes of a row of `segment_page`, if it is the expected page.
fn bytes_of_page<'a>(segment: i64, page: i32, [of, at, bytes]: &[pg_sys::Datum; 3]) -> Option<Bytes<'a>> {
    // SAFETY: the columns are those of segment_page: two numbers and a bytea, which lives as long as the page is held.
    unsafe {
        let is_it = i64::from_datum(*of, false) == Some(segment) && i32::from_datum(*at, false) == Some(page);
        is_it.then(|| bytes_of(*bytes))
    }
}

/// The bytes of a stored page. Their checksum is verified, unless it was verified for this row version before.
fn compared_once<'b>(
    segment: i64,
    page: i32,
    stored: &'b [u8],
    compared: &mut Version,
    version: Version,
) -> Result<&'b [u8], Corrupt> {
    if *compared == version {
        return stored::unverified(stored);
    }
    let bytes = stored::open(segment, page, stored);
    *compared = if bytes.is_ok() { version } else { Version::default() };
    bytes
}

/// The known or expected tuple id of a page. The pages of a segment are stored one after the other, each in a page of
/// the table.
fn guess(places: &mut Known, number: usize) -> Option<&mut KnownPage> {
    /// Maximum number of pages of a segment. A higher number comes from a damaged header.
    const MOST: usize = 1 << 20;
    if number >= MOST {
        return None;
    }
    if !places.get(number).place.is_known() {
        let known = |page: usize| Some((page, places.get(page).place)).filter(|(_, place)| place.is_known());
        // From the page before, or from the first one, which is read when the segment is opened.
        let (below, place) = number.checked_sub(1).and_then(known).or_else(|| known(0))?;
        places.slot(number).place = place.later(u32::try_from(number - below).ok()?);
    }
    Some(places.slot(number))
}

/// The bytes of one segment.
pub(super) struct PageStream {
    own: Here<Own>,
    segment: i64,
    /// Maximum number of bytes of one read.
    most: usize,
}

/// The open table, for the server's thread.
struct Own {
    pages: Rc<Pages>,
    places: Places,
}

/// The page of the last small read. The next small read may be in the same page.
struct LastPage {
    /// Its segment and its number.
    of: (i64, i32),
    /// Its bytes, from the second small read on.
    bytes: Vec<u8>,
}

impl PageStream {
    pub(super) fn new(pages: &Rc<Pages>, segment: i64) -> Self {
        let own = Here::new(Own { pages: Rc::clone(pages), places: pages.places(segment) });
        Self { own, segment, most: usize::MAX }
    }

    /// As `open`, with a memory limit. One read is usually a frame, but can be one very large value.
    pub(super) fn within(self, memory: usize) -> Self {
        /// What headers and frames may take.
        const LEAST: usize = 1 << 20;
        Self { most: memory.max(LEAST), ..self }
    }

    /// The key of the segment: the table of its pages, and its id.
    pub(super) fn identity(&self) -> (pg_sys::Oid, i64) {
        (self.own.pages.table, self.segment)
    }
}

impl Stream for PageStream {
    fn read(&self, at: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Corrupt> {
        /// Reads of at least this many bytes are reads of frames. The rest of the page will not be read.
        const LARGE: usize = 1_024;
        /// Beyond this size, memory is allocated as bytes arrive.
        const STEP: usize = 1 << 20;
        let short = || Corrupt::new(format!("segment {} is shorter than its header specifies", self.segment));
        super::interrupts();
        if length > self.most {
            return Err(Corrupt::TooMany(format!("{length} bytes of segment {}", self.segment)));
        }
        let mut at = usize::try_from(at).map_err(|_| short())?;
        let mut left = length;
        let last_page = at.checked_add(length).ok_or_else(short)?.saturating_sub(1) / PAGE;
        let last_page = i32::try_from(last_page).map_err(|_| short())?;
        into.reserve_exact(length.min(STEP));
        while left > 0 {
            let page = i32::try_from(at / PAGE).map_err(|_| short())?;
            let start = at % PAGE;
            let mut take = |bytes: &[u8]| {
                let bytes = bytes.get(start..).filter(|bytes| !bytes.is_empty()).ok_or_else(short)?;
                let bytes = &bytes[..bytes.len().min(left)];
                into.extend_from_slice(bytes);
                Ok(bytes.len())
            };
            let taken = if let Some(taken) = pins::page(self.segment, page, &mut take) {
                taken?
            } else if length >= LARGE || start + left >= PAGE {
                self.own.pages.read(self.segment, &self.own.places, page, last_page, take)?
            } else {
                self.small(page, take)?
            };
            left -= taken;
            at += taken;
        }
        Ok(())
    }

    fn foresee(&self, at: u64, length: u64) {
        let page = |at: u64| i32::try_from(at / PAGE as u64).ok();
        if length > 0
            && let (Some(first), Some(last)) = (page(at), page(at.saturating_add(length - 1)))
        {
            self.own.pages.foreseen.borrow_mut().push((self.segment, first, last));
        }
    }
}

impl PageStream {
    /// Calls a function with the page of a small read.
    fn small<T>(&self, page: i32, take: impl FnOnce(&[u8]) -> Result<T, Corrupt>) -> Result<T, Corrupt> {
        let Own { pages, places } = &*self.own;
        let mut last = pages.last.borrow_mut();
        let of = (self.segment, page);
        if last.of != of {
            last.of = of;
            last.bytes.clear();
            return pages.read(self.segment, places, page, page, take);
        }
        if last.bytes.is_empty() {
            let keep = |bytes: &[u8]| {
                last.bytes.extend_from_slice(bytes);
                Ok(())
            };
            pages.read(self.segment, places, page, page, keep)?;
        }
        take(&last.bytes)
    }
}

/// A segment in memory. Each read checks for interrupts.
pub(super) struct Interruptible(pub(super) Vec<u8>);

impl Stream for Interruptible {
    fn read(&self, at: u64, length: usize, into: &mut Vec<u8>) -> Result<(), Corrupt> {
        super::interrupts();
        self.0.read(at, length, into)
    }
}

/// Stores the bytes of a segment.
pub(super) fn store(segment: i64, bytes: &[u8]) -> Fallible<()> {
    /// Number of pages stored by one statement: 2 MB.
    const TOGETHER: usize = 256;
    let scratch = Scratch::new();
    let mut numbers = 0_i32..;
    let mut pages = bytes.chunks(PAGE).zip(numbers.by_ref()).peekable();
    while let Some((_, first)) = pages.peek() {
        pgrx::check_for_interrupts!();
        let first = *first;
        let together = pages.by_ref().take(TOGETHER).map(|(page, number)| stored::seal(segment, number, page));
        let together: Vec<Vec<u8>> = together.collect();
        // The arguments are copies, which would stay until the function around it returns.
        scratch.run(|| {
            spi::touch(
                "INSERT INTO kursaha_cohort.segment_page (segment_id, page, bytes) \
                 SELECT $1, ($2 + p.number - 1)::integer, p.bytes FROM unnest($3) WITH ORDINALITY AS p (bytes, number)",
                &[segment.into(), first.into(), together.into()],
            )
        })?;
        scratch.clear();
    }
    Ok(())
}
