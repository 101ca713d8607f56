//! A segment: an immutable slice of events, or of profiles, as columns and roaring bitmaps.
//!
//! `docs/SEGMENT.md` describes the bytes. Rows are grouped by event type and, within a group, sorted by (ordinal,
//! time, event id); 65,536 ordinals make a *chunk*, the unit in which rules are evaluated. Nothing here trusts the
//! bytes: whatever they are, the answer is a value or [`Corrupt`].

mod build;
pub(crate) mod column;
mod customers;
pub(crate) mod dictionary;
pub(crate) mod ids;
pub mod item;
pub(crate) mod lists;
mod stream;
pub(crate) mod times;

use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

pub use build::{GroupBuilder, SegmentBuilder};
pub use column::PACK;
pub use customers::{CustomersBuilder, CustomersHeader, Key, customer_hash};
pub use stream::{Corrupt, Span, Stream};

use column::{Column, Reader};
use dictionary::Dictionary;
use ids::{IdReader, Ids};
use lists::Lists;
use times::Times;

/// Bits of an ordinal within its chunk.
pub const CHUNK_BITS: u32 = 16;
/// Ordinals of a chunk.
pub const CHUNK: usize = 1 << CHUNK_BITS;
/// The part of an ordinal within its chunk.
pub(crate) const CHUNK_MASK: u32 = (1 << CHUNK_BITS) - 1;
/// Bytes of a page: what the store keeps as one row. As many have one checksum, counted from the first behind the prefix.
pub const PAGE: usize = 8_000;
/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// The first bytes: format and version.
const MAGIC: [u8; 8] = *b"KCOHORT\x02";
/// Magic, position, length and checksum of the header.
const PREFIX: usize = 8 + 8 + 4 + 4;
/// A header beyond this is taken for damage: a segment has a few thousand columns at most.
const MAX_HEADER: u32 = 1 << 28;

/// What identifies a row, in the order in which rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// Whose it is.
    pub ordinal: u32,
    /// When: microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts.
    pub at: i64,
    /// The event's id.
    pub event_id: i64,
}

/// What a segment holds and where.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Header {
    /// By name.
    pub groups: Vec<Group>,
    /// Of profiles: customers whose profile is gone.
    removed: Vec<ChunkSet>,
}

/// The rows of one event type; of profiles, all rows.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Group {
    /// The event type; empty for profiles.
    pub name: String,
    /// How many rows.
    pub rows: u32,
    /// The earliest row's time.
    pub first: i64,
    /// The latest row's time.
    pub last: i64,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) ordinals: Column,
    pub(crate) seconds: Column,
    pub(crate) micros: Column,
    pub(crate) ids: Ids,
    pub(crate) properties: Vec<Property>,
}

/// The rows of one chunk in a group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) number: u16,
    /// Its first row.
    pub(crate) start: u32,
    /// Who has rows, where they are many: a roaring bitmap of ordinals within the chunk.
    customers: Span,
}

/// A set of customers of one chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct ChunkSet {
    number: u16,
    set: Span,
}

/// The values at one path.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Property {
    /// The keys that lead there; none for the rest, whose values are `[[key, …, value], …]`.
    pub(crate) path: Vec<String>,
    pub(crate) codes: Column,
    pub(crate) lists: Option<Lists>,
    pub(crate) dictionary: Dictionary,
}

/// Puts the header behind the data, its place before them, and the checksums of the data to the end.
fn close<H: Serialize>(header: &H, mut out: Vec<u8>) -> Vec<u8> {
    let sums: Vec<u8> = out[PREFIX..].chunks(PAGE).flat_map(|page| crc32fast::hash(page).to_le_bytes()).collect();
    let bytes = postcard::to_stdvec(header).unwrap_or_default(); // fails for values of no known length
    let at = out.len() as u64;
    out[..8].copy_from_slice(&MAGIC);
    out[8..16].copy_from_slice(&at.to_le_bytes());
    out[16..20].copy_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out[20..24].copy_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
    out.extend_from_slice(&bytes);
    out.extend_from_slice(&sums);
    out.extend_from_slice(&crc32fast::hash(&sums).to_le_bytes());
    out
}

/// Reads a header; gives where it lies, too.
fn open<H: for<'a> Deserialize<'a>>(stream: &dyn Stream) -> Result<(H, Span), Corrupt> {
    let mut prefix = Vec::with_capacity(PREFIX);
    stream.read(0, PREFIX, &mut prefix)?;
    if prefix[..8] != MAGIC {
        return Err(Corrupt::new("these bytes are no segment of this version"));
    }
    let number = |range: std::ops::Range<usize>| {
        prefix[range].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (at, length) = (number(8..16), u32::try_from(number(16..20)).unwrap_or(u32::MAX));
    if length > MAX_HEADER {
        return Err(Corrupt::new("the header is too long"));
    }
    let place = Span { at, length };
    let bytes = place.read(stream)?;
    if u64::from(crc32fast::hash(&bytes)) != number(20..24) {
        return Err(Corrupt::new("the header's checksum is wrong"));
    }
    let header =
        postcard::from_bytes(&bytes).map_err(|error| Corrupt::new(format!("the header is damaged: {error}")))?;
    Ok((header, place))
}

/// Compares every block of the data with its checksum.
fn verify(stream: &dyn Stream, header: Span, check: &dyn Fn()) -> Result<(), Corrupt> {
    const SUM: usize = size_of::<u32>();
    let data = header.at.checked_sub(PREFIX as u64).ok_or_else(|| Corrupt::new("the header lies in front"))?;
    let length = data.div_ceil(PAGE as u64).saturating_add(1).saturating_mul(SUM as u64);
    let length = u32::try_from(length).map_err(|_| Corrupt::new("the header lies behind the end"))?;
    let at = header.at.saturating_add(u64::from(header.length));
    let sums = Span { at, length }.read(stream)?;
    let (sums, own) = sums.split_at(sums.len() - SUM);
    if crc32fast::hash(sums).to_le_bytes() != own {
        return Err(Corrupt::new("the checksum of the checksums is wrong"));
    }
    let mut at = PREFIX as u64;
    let mut bytes = Vec::new();
    for (number, expected) in sums.as_chunks::<SUM>().0.iter().enumerate() {
        check();
        let length = header.at.saturating_sub(at).min(PAGE as u64);
        stream::read_into(stream, at, u32::try_from(length).unwrap_or(0), &mut bytes)?;
        if crc32fast::hash(&bytes).to_le_bytes() != *expected {
            return Err(Corrupt::new(format!("the checksum of block {number} of the data is wrong")));
        }
        at += length;
    }
    Ok(())
}

impl Header {
    /// Reads the header of a segment.
    ///
    /// # Errors
    /// When the bytes are no segment.
    pub fn open(stream: &dyn Stream) -> Result<Self, Corrupt> {
        open::<Self>(stream)?.0.validated()
    }

    /// Compares all bytes with their checksums, and lists of rows with the columns that they were made from.
    ///
    /// # Errors
    /// When one is wrong.
    pub fn verify(stream: &dyn Stream, check: &dyn Fn()) -> Result<(), Corrupt> {
        let (header, place) = open::<Self>(stream)?;
        verify(stream, place, check)?;
        header.validated()?.groups.iter().try_for_each(|group| group.agree(stream))
    }

    fn validated(self) -> Result<Self, Corrupt> {
        for group in &self.groups {
            let columns = [&group.ordinals, &group.seconds, &group.micros, &group.ids.rests];
            let codes = group.properties.iter().map(|property| &property.codes);
            if columns.into_iter().chain(codes).any(|column| column.rows != group.rows || !column.is_plausible()) {
                return Err(Corrupt::new("a column has not as many values as its group has rows"));
            }
            if group.properties.iter().any(|property| !property.dictionary.is_plausible(group.rows)) {
                return Err(Corrupt::new("a dictionary has more codes than its rows can need"));
            }
            let fitting = |property: &Property| {
                let lists = property.lists.as_ref();
                lists.is_none_or(|lists| lists.is_plausible(group.rows, property.dictionary.len()))
            };
            if !group.ids.is_plausible() || !group.properties.iter().all(fitting) {
                return Err(Corrupt::new("the parts of a group do not fit together"));
            }
            let ascending =
                group.chunks.windows(2).all(|two| two[0].number < two[1].number && two[0].start < two[1].start);
            let inside = group.chunks.first().is_none_or(|first| first.start == 0)
                && group.chunks.last().is_none_or(|last| last.start < group.rows);
            if !ascending || !inside || group.chunks.is_empty() != (group.rows == 0) {
                return Err(Corrupt::new("the chunks of a group are out of order"));
            }
        }
        Ok(self)
    }

    /// Whether any of some customers has a row or a removal here.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn holds(&self, customers: &RoaringBitmap, stream: &dyn Stream) -> Result<bool, Corrupt> {
        for ordinal in customers {
            let (chunk, low) = ((ordinal >> CHUNK_BITS) as u16, ordinal & CHUNK_MASK);
            let any = self.any(chunk, stream)?.is_some_and(|set| set.contains(low));
            if any || self.removed(chunk, stream)?.is_some_and(|set| set.contains(low)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.groups.iter().map(|group| u64::from(group.rows)).sum()
    }

    /// The earliest and the latest time; `None` without rows.
    #[must_use]
    pub fn times(&self) -> Option<(i64, i64)> {
        let first = self.groups.iter().map(|group| group.first).min()?;
        Some((first, self.groups.iter().map(|group| group.last).max()?))
    }

    /// The group of a name.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// The customers of a chunk in any group.
    pub(crate) fn any(&self, chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
        let mut all: Option<RoaringBitmap> = None;
        for group in &self.groups {
            if let Some(set) = group.customers(chunk, stream)? {
                *all.get_or_insert_default() |= set;
            }
        }
        Ok(all)
    }

    /// The customers of a chunk whose profile is gone.
    pub(crate) fn removed(&self, chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
        chunk_set(&self.removed, chunk, stream)
    }

    /// Every customer whose profile is gone.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn all_removed(&self, stream: &dyn Stream) -> Result<RoaringBitmap, Corrupt> {
        let mut all = RoaringBitmap::new();
        for chunk in &self.removed {
            for low in read_set(chunk.set, stream)? {
                all.insert(u32::from(chunk.number) << CHUNK_BITS | low);
            }
        }
        Ok(all)
    }
}

fn chunk_set(sets: &[ChunkSet], chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
    match sets.binary_search_by_key(&chunk, |set| set.number) {
        Ok(place) => read_set(sets[place].set, stream).map(Some),
        Err(_) => Ok(None),
    }
}

fn read_set(span: Span, stream: &dyn Stream) -> Result<RoaringBitmap, Corrupt> {
    let bytes = span.read(stream)?;
    let set = RoaringBitmap::deserialize_from(bytes.as_slice())
        .map_err(|error| Corrupt::new(format!("a bitmap is damaged: {error}")))?;
    if set.max().is_some_and(|highest| highest > CHUNK_MASK) {
        return Err(Corrupt::new("a bitmap reaches beyond its chunk"));
    }
    Ok(set)
}

impl Group {
    /// The rows of a chunk: the first, and the one behind the last.
    pub(crate) fn chunk_rows(&self, chunk: u16) -> Option<(u32, u32)> {
        let place = self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number).ok()?;
        let end = self.chunks.get(place + 1).map_or(self.rows, |next| next.start);
        Some((self.chunks[place].start, end))
    }

    /// Whether who has rows in a chunk is stored as a set.
    pub(crate) fn has_set(&self, chunk: u16) -> bool {
        let place = self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number);
        place.is_ok_and(|place| self.chunks[place].customers.length > 0)
    }

    /// Who has rows in a chunk.
    pub(crate) fn customers(&self, chunk: u16, stream: &dyn Stream) -> Result<Option<RoaringBitmap>, Corrupt> {
        match self.chunks.binary_search_by_key(&chunk, |chunk| chunk.number) {
            Ok(place) if self.chunks[place].customers.length > 0 => {
                read_set(self.chunks[place].customers, stream).map(Some)
            }
            Ok(_) => self.customers_by_rows(chunk, stream).map(Some),
            Err(_) => Ok(None),
        }
    }

    fn customers_by_rows(&self, chunk: u16, stream: &dyn Stream) -> Result<RoaringBitmap, Corrupt> {
        let mut set = RoaringBitmap::new();
        let Some((start, end)) = self.chunk_rows(chunk) else { return Ok(set) };
        let (start, end) = (start as usize, end as usize);
        let mut ordinals = Reader::new(stream, &self.ordinals);
        let mut pack = [0_u32; PACK];
        for number in start / PACK..end.div_ceil(PACK) {
            ordinals.small(number, &mut pack)?;
            let rows = start.saturating_sub(number * PACK)..PACK.min(end - number * PACK);
            set.extend(pack[rows].iter().map(|ordinal| ordinal & CHUNK_MASK));
        }
        Ok(set)
    }

    /// Hands out the keys of all rows in order.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn keys(&self, stream: &dyn Stream, mut each: impl FnMut(u32, RowKey)) -> Result<(), Corrupt> {
        let mut keys = KeyReader::new(self, stream);
        for pack in 0..(self.rows as usize).div_ceil(PACK) {
            let from = pack * PACK;
            for (place, key) in keys.pack(pack)?.iter().enumerate().take(self.rows as usize - from) {
                each(u32::try_from(from + place).unwrap_or(u32::MAX), *key);
            }
        }
        Ok(())
    }

    /// The row of an event of a customer, if it is here.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn find(&self, stream: &dyn Stream, ordinal: u32, event_id: i64) -> Result<Option<u32>, Corrupt> {
        let Some((start, end)) = self.chunk_rows((ordinal >> CHUNK_BITS) as u16) else { return Ok(None) };
        let mut ordinals = Reader::new(stream, &self.ordinals);
        // The last pack that begins below the ordinal may hold its first row.
        let (mut low, mut high) = (start as usize / PACK, (end as usize).div_ceil(PACK));
        while low + 1 < high {
            let middle = low + (high - low) / 2;
            if ordinals.first(middle)? < ordinal { low = middle } else { high = middle }
        }
        let mut keys = KeyReader::new(self, stream);
        let mut pack = [0_u32; PACK];
        for number in low..(end as usize).div_ceil(PACK) {
            ordinals.small(number, &mut pack)?;
            let rows = PACK.min(self.rows as usize - number * PACK);
            if pack[0] > ordinal {
                break;
            }
            if pack[..rows].binary_search(&ordinal).is_err() {
                continue;
            }
            let keys = keys.pack(number)?;
            let found = keys[..rows].iter().position(|key| key.ordinal == ordinal && key.event_id == event_id);
            if let Some(place) = found {
                return Ok(u32::try_from(number * PACK + place).ok());
            }
        }
        Ok(None)
    }

    /// Compares lists of rows with their columns.
    fn agree(&self, stream: &dyn Stream) -> Result<(), Corrupt> {
        self.properties.iter().try_for_each(|property| match &property.lists {
            Some(lists) => lists.agree(stream, &property.codes),
            None => Ok(()),
        })
    }

    /// Hands out every value of every row: row, path and value, by path and then by row. Values of the rest come with
    /// the empty path.
    ///
    /// # Errors
    /// When the segment is damaged.
    pub fn values(
        &self,
        stream: &dyn Stream,
        mut each: impl FnMut(u32, &[String], item::Item<'_>),
    ) -> Result<(), Corrupt> {
        for property in &self.properties {
            let loaded = property.dictionary.load(stream)?;
            let mut codes = Reader::new(stream, &property.codes);
            let mut pack = [0_u32; PACK];
            for row in 0..self.rows {
                if (row as usize).is_multiple_of(PACK) {
                    codes.small(row as usize / PACK, &mut pack)?;
                }
                let code = pack[row as usize % PACK];
                if code != dictionary::MISSING {
                    let item = loaded.item(code).ok_or_else(|| Corrupt::new("a code stands for no value"))?;
                    each(row, &property.path, item);
                }
            }
        }
        Ok(())
    }
}

/// The keys of a group's rows, pack by pack.
struct KeyReader<'a> {
    ordinals: Reader<'a>,
    times: Times<'a>,
    ids: IdReader<'a>,
    keys: [RowKey; PACK],
}

impl<'a> KeyReader<'a> {
    fn new(group: &'a Group, stream: &'a dyn Stream) -> Self {
        Self {
            ordinals: Reader::new(stream, &group.ordinals),
            times: Times::new(group, stream),
            ids: IdReader::new(stream, &group.ids),
            keys: [RowKey { ordinal: 0, at: 0, event_id: 0 }; PACK],
        }
    }

    fn pack(&mut self, pack: usize) -> Result<&[RowKey; PACK], Corrupt> {
        let mut ordinals = [0_u32; PACK];
        let mut event_ids = [0_i64; PACK];
        self.ordinals.small(pack, &mut ordinals)?;
        let at = self.times.pack(pack)?;
        self.ids.pack(pack, &at, &mut event_ids)?;
        for (key, ((ordinal, at), event_id)) in self.keys.iter_mut().zip(ordinals.into_iter().zip(at).zip(event_ids)) {
            *key = RowKey { ordinal, at, event_id };
        }
        Ok(&self.keys)
    }
}

/// Numbers from 0 up to, but not including, what is asked for: the same for each seed.
#[cfg(test)]
pub(crate) fn random(seed: u64) -> impl FnMut(i64) -> i64 {
    let mut state = seed | 1;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33).cast_signed() % below
    }
}
